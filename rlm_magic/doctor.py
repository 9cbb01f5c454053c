"""`%rlm doctor`: what works on this machine. Servers on its network are asked for their models, nobody else is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from .caching import describe
from .engine.errors import InputError
from .models import configured_providers, local_models
from .settings import Settings
from .subkernel import probe, probe_tiers
from .trace import Runs
from .view import one_line

PACKAGES = ("rlm_magic", "ipython", "ipykernel", "jupyter_client", "litellm")
MOST = 400  # characters of the names of models


def report(settings: Settings) -> str:
    """Lines of what was found for a question with these settings; a key is named by its provider, never shown."""
    runs = Runs(settings.runs_dir)
    rows = {
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "model": _models(settings),
        "local models": _local(),
        "keys set for": ", ".join(configured_providers(os.environ)) or "no provider",
        "subkernel": probe(),
        "sandbox": probe_tiers(),
        "runs": f"{len(runs.list())} in {runs.directory}",
        "kept replies": _kept(settings.runs_dir),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _local() -> str:
    names = local_models()
    return one_line(", ".join(names), MOST) or "no server of the kinds we know answers on this machine"


def _kept(runs_dir: str | None) -> str:
    try:
        return describe(runs_dir)
    except InputError as error:
        return str(error)


def _models(settings: Settings) -> str:
    try:
        root, sub = settings.chosen_models()
    except InputError as error:
        return str(error)
    return str(root) if sub == root else f"{root}, {sub} for sub-calls"
