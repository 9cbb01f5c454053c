"""What a run needs before it starts: its variables, and the subkernels for its code."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from .binding import ValueStore, bind_all
from .engine.errors import InputError
from .engine.types import Task, Variable
from .models import OFFLINE_POLICY
from .settings import Settings
from .subkernel import RESERVED, SUBKERNEL_MARK, Subkernels, Tier, choose
from .tools import check as check_tools

PACKAGES = ("rlm_magic", "ipykernel", "jupyter_client", "litellm")


@cache
def values() -> ValueStore:
    """The value files of this process."""
    return ValueStore()


def task_of(query: str, named: Mapping[str, object], form: str = "") -> Task:
    """A question about values of the notebook; ``form`` is what the answer must be, in words.

    Raises:
        InputError: the question is empty, or a value cannot be bound.
    """
    if not query.strip():
        raise InputError("the question is empty: write it below the %%rlm line, or pass query=")
    return Task(query, variables_of(named), form)


def variables_of(named: Mapping[str, object]) -> tuple[Variable, ...]:
    """Describe the values of a run; they are handed over later, beside the first completion.

    Raises:
        InputError: a name that cannot be bound, or a path that does not exist.
    """
    alone = len(named) == 1
    for name in named:
        if not name.isidentifier():
            raise InputError(f"{name!r} is not a variable name: bind a name such as docs")
        if name in RESERVED and not (name == "context" and alone):
            raise InputError(f"the model's code has its own {name}: bind your variable under another name")
    return bind_all(named, store=values())


def subkernels_of(settings: Settings, named: Mapping[str, object], model: str) -> Subkernels:
    """What opens the subkernels of a run.

    Raises:
        InputError: an unknown kernel, a confinement that does not work here, or a tool that cannot be one.
    """
    check_tools(settings.tools, named)
    return Subkernels(
        kernel=settings.kernel,
        memory=settings.limits.memory,
        tier=tier_of(settings, model),
        paths=[str(value.resolve()) for value in named.values() if isinstance(value, Path)],
        tools=list(settings.tools),
    )


def tier_of(settings: Settings, model: str) -> Tier:
    """How the model's code is confined. That of the offline policy is ours, and runs where nothing confines.

    Raises:
        InputError: it cannot be confined as asked.
    """
    try:
        return choose(settings.sandbox)
    except InputError:
        if settings.sandbox == "auto" and model == OFFLINE_POLICY:
            return choose("none")
        raise


def refuse_inside_subkernel() -> None:
    """The model's code must not start runs of its own: they would escape the limits of this one.

    Raises:
        InputError: this process is a subkernel.
    """
    if os.environ.get(SUBKERNEL_MARK):
        raise InputError("this is the subkernel of a run: call llm_query or rlm_query here, not another run")


def versions() -> dict[str, str]:
    """Of Python, and of what a run rests on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
