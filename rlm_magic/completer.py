"""Tab completion on the `%%rlm` and `%rlm` lines."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import isroutine
from types import ModuleType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from .commands import COMMANDS
from .models import OFFLINE_POLICY, OFFLINE_READER, known_models
from .options import OPTIONS, WITH_VALUE
from .run import live
from .sessions import kept
from .settings import CACHES, SANDBOXES
from .subkernel import kernel_names

TYPES = ("str", "int", "float", "bool", "list", "dict", "json")


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


def _class_names(namespace: Mapping[str, object]) -> list[str]:
    return [name for name, value in namespace.items() if not name.startswith("_") and isinstance(value, type)]


def _magic(shell: InteractiveShell) -> Any:
    return shell.magics_manager.registry["RLMMagic"]


def _models(shell: InteractiveShell) -> list[str]:
    return [*_magic(shell).aliases, OFFLINE_POLICY, OFFLINE_READER, *known_models()]


VALUES: Mapping[str, Callable[[InteractiveShell], Iterable[str]]] = {
    **dict.fromkeys(("-m", "--model", "-s", "--sub-model"), _models),
    **dict.fromkeys(("-o", "--out"), lambda shell: variable_names(shell.user_ns)),
    "--as": lambda shell: [*TYPES, *_class_names(shell.user_ns)],
    "--tool": lambda shell: function_names(shell.user_ns),
    "--kernel": lambda shell: kernel_names(),
    "--sandbox": lambda shell: SANDBOXES,
    "--session": lambda shell: _session_names(),
    "--cache": lambda shell: CACHES,
}


def complete_cell(shell: InteractiveShell, event: Any) -> list[str]:
    """What may follow on a `%%rlm` line; where it is nothing, IPython offers files."""
    return _option(shell, _words(event), event.symbol, variable_names(shell.user_ns))


def complete_line(shell: InteractiveShell, event: Any) -> list[str]:
    """What may follow on a `%rlm` line; where it is nothing, IPython offers files."""
    words = _words(event)
    if words[:1] == ["resume"] and len(words) > 1:
        return _option(shell, words, event.symbol, [])
    return _command(shell, words)


def _command(shell: InteractiveShell, words: list[str]) -> list[str]:
    """What may follow these words of a `%rlm` line."""
    match words:
        case []:
            return list(COMMANDS)
        case ["show" | "resume" | "export" | "forget"]:
            runs = [run.id for run in _magic(shell).runs.list()]
            return [*runs, "all"] if words == ["forget"] else runs
        case ["stop"]:
            return list(live)
        case ["close" | "vars" | "pull"]:
            return _session_names()
        case ["pull", name]:
            return [each.name for session in kept() if session.name == name for each in session.variables]
        case _:
            return {"cache": ["trim"], "cache trim": ["all"]}.get(" ".join(words), [])


def _words(event: Any) -> list[str]:
    """The whole words between the magic's name and the cursor."""
    text = event.text_until_cursor
    return text[: len(text) - len(event.symbol)].split()[1:]


def _option(shell: InteractiveShell, words: list[str], symbol: str, others: list[str]) -> list[str]:
    """What the option before the cursor can be, or else the options, or ``others``."""
    if words and words[-1] in WITH_VALUE:
        values = VALUES.get(words[-1])
        return list(values(shell)) if values else []
    return list(OPTIONS) if symbol.startswith("-") else others


def install_completer(shell: InteractiveShell) -> None:
    shell.set_hook("complete_command", complete_cell, str_key="%%rlm")
    shell.set_hook("complete_command", complete_line, str_key="%rlm")
