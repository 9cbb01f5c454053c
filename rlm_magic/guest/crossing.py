"""Values as JSON: an answer on its way to the notebook, what a tool is given and what it returns."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from typing import Any, Dict, List, Tuple, cast

MAX_BYTES = 6 * 1024**2
MAX_CARRIED = 1_000_000
MAX_DEPTH = 40
MAX_ROWS = 10_000
# json.dumps writes an int in decimal, which Python refuses beyond 4,300 digits
MAX_INT_BITS = 14_000


def cross(value: object, limit: int = MAX_BYTES) -> Tuple[Any, str]:
    """The value as JSON, and what that changed (empty if nothing).

    Raises:
        ValueError: it is longer than ``limit`` bytes as JSON.
    """
    crossed, notice = _crossed(value)
    size = len(json.dumps(crossed, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > limit:
        raise ValueError(f"the answer has {size:,} bytes as JSON; at most {limit:,} fit: submit a shorter one")
    return crossed, notice


def carry(value: object, limit: int = MAX_CARRIED) -> str:
    """The value as JSON text: an argument of a tool, or its result. It is carried whole, or not at all.

    Raises:
        ValueError: JSON has no form for a part of it, or it is longer than ``limit`` bytes.
    """
    crossed, changed = _crossed(value)
    if changed:
        raise ValueError(f"JSON cannot hold all of it ({changed}): use text, numbers, lists, dicts, dates, tables")
    text = json.dumps(crossed, ensure_ascii=False)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise ValueError(f"it has {size:,} bytes as JSON; at most {limit:,} are handed over: use a part of it")
    return text


def _crossed(value: object) -> Tuple[Any, str]:
    notices: List[str] = []
    return _cross(value, notices, 0), "; ".join(dict.fromkeys(notices))


def is_plain(value: object) -> bool:
    """JSON has a form for this value, or its elements' types."""
    return value is None or isinstance(value, (bool, int, float, str, dict, list, tuple, set, frozenset, datetime.date))


def _cross(value: Any, notices: List[str], depth: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _integer(int(value), notices)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth >= MAX_DEPTH:
        return _as_text(value, notices)
    return _cross_compound(value, notices, depth)


def _cross_compound(value: Any, notices: List[str], depth: int) -> Any:
    if isinstance(value, dict):
        pairs = cast(Dict[Any, Any], value).items()
        return {_key(key): _cross(item, notices, depth + 1) for key, item in pairs}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_cross(item, notices, depth + 1) for item in cast(List[Any], value)]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat() if value == value else None  # pandas' NaT is not itself
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _cross(getattr(value, f.name), notices, depth + 1) for f in dataclasses.fields(value)}
    return _cross_foreign(value, notices, depth)


def _cross_foreign(value: Any, notices: List[str], depth: int) -> Any:
    """Values of the data libraries, told by their type's module: none of them is imported here."""
    kind: Any = cast(Any, type(value))
    library = kind.__module__.partition(".")[0]
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if library == "numpy" and hasattr(value, "tolist"):
        return _cross(value.tolist(), notices, depth + 1)
    if library in ("pandas", "polars", "pyarrow"):
        return _table(value, notices, depth)
    return _as_text(value, notices)


def _table(value: Any, notices: List[str], depth: int) -> Any:
    kind = type(value).__name__
    if kind in ("DataFrame", "Table") and len(value) > MAX_ROWS:
        notices.append(f"only the first {MAX_ROWS:,} of {len(value):,} rows were kept")
        value = value[:MAX_ROWS]
    readers = (("to_dicts", ()), ("to_pylist", ()), ("to_dict", ("records",)), ("to_list", ()), ("tolist", ()))
    for name, arguments in readers:
        if hasattr(value, name) and (name != "to_dict" or kind == "DataFrame"):
            return _cross(getattr(value, name)(*arguments), notices, depth + 1)
    return _as_text(value, notices)


def _integer(value: int, notices: List[str]) -> Any:
    if value.bit_length() <= MAX_INT_BITS:
        return value
    notices.append("an integer of over 4,300 digits was turned into hexadecimal text")
    return hex(value)


def _as_text(value: object, notices: List[str]) -> str:
    notices.append(f"a {type(value).__name__} was turned into text")
    return str(value)


def _key(key: object) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)
