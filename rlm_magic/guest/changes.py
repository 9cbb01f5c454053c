"""Which variables a cell made or changed, and sizes in words. Compares identity, type and length, never contents."""

from __future__ import annotations

import types
from typing import Any, Dict, List, Mapping, Optional, Tuple, cast

from .names import RESERVED

MAX_CHANGES = 50
MAX_LISTED = 500
MAX_NAME = 80
_SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset, range)
_SCALARS = (bool, int, float, complex, type(None))
_LIBRARIES = ("numpy", "pandas", "polars", "pyarrow", "torch", "scipy")

Mark = Tuple[int, Any, Optional[int]]
Marks = Dict[str, Mark]


def marks(names: Mapping[str, object], hidden: Mapping[str, object]) -> Marks:
    """What is remembered of each variable of the model's."""
    return {name: (id(value), type(value), _length(value)) for name, value in own(names, hidden)}


def own(names: Mapping[str, object], hidden: Mapping[str, object]) -> List[Tuple[str, Any]]:
    """The variables that are the model's own: no reserved name, no underscore, no module."""
    return [
        (name, value)
        for name, value in list(names.items())
        if name not in RESERVED
        and not name.startswith("_")
        and not issubclass(type(value), types.ModuleType)  # isinstance would ask the value
        and not (name in hidden and hidden[name] is value)
    ]


def changes(before: Marks, names: Mapping[str, object], hidden: Mapping[str, object]) -> List[Dict[str, Any]]:
    """New and changed variables, in order of first assignment, as the fields of a result frame."""
    now = marks(names, hidden)
    changed = [name for name, mark in now.items() if before.get(name) != mark][:MAX_CHANGES]
    return [
        {
            "name": name[:MAX_NAME],
            "type": type(names[name]).__name__[:MAX_NAME],
            "size": size(names[name]),
            "new": name not in before,
        }
        for name in changed
    ]


def described(names: Mapping[str, object], hidden: Mapping[str, object]) -> List[Dict[str, str]]:
    """Name, type and size in words of each variable of the model's, the newest last; of very many the newest."""
    return [_described(name, value) for name, value in own(names, hidden)[-MAX_LISTED:]]


def _described(name: str, value: Any) -> Dict[str, str]:
    try:
        return {"name": name[:MAX_NAME], "type": type(value).__name__[:MAX_NAME], "size": size(value)}
    except Exception:  # a metaclass of the model's may do anything
        return {"name": name[:MAX_NAME], "type": "object", "size": ""}


def size(value: Any) -> str:
    """How large a value is, in words; empty where that cannot be said safely."""
    kind: Any = cast(Any, type(value))
    if kind in _SCALARS:
        return _scalar(value)
    if issubclass(kind, _SIZED):
        return f"{_length(value):,} {_unit(kind)}"
    if kind.__module__.partition(".")[0] in _LIBRARIES:
        try:
            return _shape(value)
        except Exception:
            return ""
    return ""


def _scalar(value: Any) -> str:
    if type(value) is int and value.bit_length() > 1_000:
        return f"{value.bit_length():,} bits"
    return repr(value)[:40]


def _unit(kind: Any) -> str:
    if issubclass(kind, str):
        return "characters"
    return "bytes" if issubclass(kind, (bytes, bytearray)) else "items"


def _shape(value: Any) -> str:
    shape = tuple(int(n) for n in value.shape)
    if type(value).__name__ in ("DataFrame", "Table"):
        return f"{shape[0]:,} rows × {shape[1]:,} columns"
    if len(shape) == 1:
        return f"{shape[0]:,} items"
    return " × ".join(f"{n:,}" for n in shape)


def _length(value: Any) -> Optional[int]:
    """The length by the built-in type's own method: a subclass of the model's may lie, raise or hang."""
    kind = next((base for base in type(value).__mro__ if base in _SIZED), None)
    return None if kind is None else kind.__len__(value)  # type: ignore[attr-defined]
