"""`%rlm doctor`: what works on this machine, without sending anything."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from .caching import describe
from .engine.errors import InputError
from .models import configured_providers
from .settings import default_model
from .subkernel import probe, probe_tiers
from .trace import Runs

PACKAGES = ("rlm_magic", "ipython", "ipykernel", "jupyter_client", "litellm")


def report(runs_dir: str | None = None) -> str:
    """Lines of what was found; a key is named by its provider, never shown."""
    runs = Runs(runs_dir)
    rows = {
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "model": os.environ.get("RLM_MODEL") or _default(),
        "keys set for": ", ".join(configured_providers(os.environ)) or "no provider",
        "subkernel": probe(),
        "sandbox": probe_tiers(),
        "runs": f"{len(runs.list())} in {runs.directory}",
        "kept replies": _kept(runs_dir),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _kept(runs_dir: str | None) -> str:
    try:
        return describe(runs_dir)
    except InputError as error:
        return str(error)


def _default() -> str:
    try:
        return default_model(os.environ)
    except InputError as error:
        return str(error)
