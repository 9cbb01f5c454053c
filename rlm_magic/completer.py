"""Tab completion on the `%%rlm` and `%rlm` lines."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from inspect import isroutine
from types import ModuleType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from .commands import COMMANDS
from .models import known_models
from .options import OPTIONS
from .sessions import kept
from .settings import CACHES, OFFLINE_MODEL, OFFLINE_SUB_MODEL, SANDBOXES
from .trace import Runs

OF_A_RUN = ("show", "resume", "export")


def variable_names(namespace: Mapping[str, object]) -> list[str]:
    """The notebook's own variables that could be a context."""
    hidden = {"In", "Out", "exit", "quit", "open"}
    return [
        name
        for name, value in namespace.items()
        if not name.startswith("_") and name not in hidden and not isinstance(value, ModuleType) and not callable(value)
    ]


def function_names(namespace: Mapping[str, object]) -> list[str]:
    """The notebook's own functions that could be tools."""
    return [
        name
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ("open", "get_ipython", "exit", "quit") and isroutine(value)
    ]


def _session_names() -> list[str]:
    return [session.name for session in kept() if session.name]


def complete_cell(shell: InteractiveShell, event: Any) -> list[str]:
    """What may follow on a `%%rlm` line."""
    words = event.line[: len(event.line) - len(event.symbol)].split()
    last = words[-1] if words else ""
    if last in ("-m", "--model", "-s", "--sub-model"):
        return [OFFLINE_MODEL, OFFLINE_SUB_MODEL, *known_models()]
    if last == "--tool":
        return function_names(shell.user_ns)
    if last == "--sandbox":
        return list(SANDBOXES)
    if last == "--session":
        return _session_names()
    if last == "--cache":
        return list(CACHES)
    if event.symbol.startswith("-"):
        return list(OPTIONS)
    return variable_names(shell.user_ns)


def complete_line(shell: InteractiveShell, event: Any) -> list[str]:
    """What may follow `%rlm`: a command, then a run where it takes one."""
    words = event.line[: len(event.line) - len(event.symbol)].split()
    if len(words) == 2 and words[1] in OF_A_RUN:
        runs_dir = getattr(shell.magics_manager.registry["RLMMagic"], "runs_dir", None)
        return [run.id for run in Runs(runs_dir or None).list()]
    if words[1:] in (["close"], ["vars"], ["pull"]):
        return _session_names()
    if words[1:2] == ["pull"] and len(words) == 3:
        return [each.name for session in kept() if session.name == words[2] for each in session.variables]
    if words[1:] in (["cache"], ["cache", "trim"]):
        return ["all"] if words[-1] == "trim" else ["trim"]
    if words[1:2] == ["resume"] and event.symbol.startswith("-"):
        return list(OPTIONS)
    return list(COMMANDS)


def install_completer(shell: InteractiveShell) -> None:
    shell.set_hook("complete_command", complete_cell, str_key="%%rlm")
    shell.set_hook("complete_command", complete_line, str_key="%rlm")
