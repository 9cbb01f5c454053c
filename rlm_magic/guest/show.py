"""A short, safe text for any object: no method of the user's classes runs, and long values are not copied."""

from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import enum
import fractions
import itertools
import pathlib
import sys
import types
import uuid
from typing import Any, Dict, Iterable, List, Tuple, cast

_PLAIN = (bool, type(None), complex, range, decimal.Decimal, fractions.Fraction, uuid.UUID)
_BRACKETS: Dict[Any, str] = {list: "[]", tuple: "()", collections.deque: "[]", set: "{}", frozenset: "{}"}
_NAMED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
_DEPTH = 3
_ITEMS = 12
_NESTED_ITEMS = 4
# Members of a set that are put in order.
_ORDERED = 1000
_MAX_BITS = 256
# Keys of one record that are looked at.
_KEYS = 200
# A text from this length on is worth a word.
LONG = 200
# Characters that a sub-model reads with care; a whole window of them it skims.
CHUNK = 50_000
# Libraries whose arrays and tables may be asked for their shape.
_SHAPED = ("numpy", "pandas", "polars", "pyarrow")
# Scalars of pandas, whose own texts are brief, and its nulls.
_PANDAS_SCALARS = ("Timedelta", "Period", "Interval")
_PANDAS_NULLS = {"NaTType": "NaT", "NAType": "NA"}


def show(value: Any, limit: int = 80, depth: int = _DEPTH) -> str:
    """At most ``limit`` printable characters on one line, in the manner of `repr`."""
    try:
        text = scalar(value, limit) or _container(value, limit, depth) or _object(value, limit, depth)
    except Exception:  # what a class of the user's does when it is looked at is its own affair
        text = f"<{type_name(value)}>"
    return cut(printable(text).replace("\n", " "), limit)


def cut(text: str, limit: int) -> str:
    """``text``, its end replaced by "…" if it is longer than ``limit``."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: str) -> str:
    """``text`` with control characters, lone surrogates and the like escaped; line feeds stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def is_a(value: Any, *kinds: Any) -> bool:
    """`isinstance` that a lying ``__class__`` does not deceive."""
    return issubclass(type(value), kinds)


def entries(value: Any) -> Iterable[Tuple[Any, Any]]:
    """The items of a dict, whatever its class makes of them."""
    return dict[Any, Any].items(value)


def type_name(value: Any) -> str:
    """The class of a value with its module, as far as that helps."""
    module, name = _class(value)
    full = name if module in ("builtins", "__main__") else f"{module}.{name}"
    return cut(printable(full).replace("\n", " "), 80)


def library_class(value: Any) -> Tuple[str, str]:
    """The top-level package of a value's class, and the class's name."""
    module, name = _class(value)
    return module.partition(".")[0], name


def _class(value: Any) -> Tuple[str, str]:
    kind = cast(Any, type(value))
    return str(kind.__module__), str(kind.__qualname__).rpartition("<locals>.")[2]


def word(key: Any) -> str:
    """A key or column as it reads best: bare if that is clear."""
    if type(key) is str and 0 < len(key) <= 40 and key.strip() == key and key.isprintable() and "," not in key:
        return key
    return show(key, 40)


def fields(records: Iterable[Any]) -> str:
    """The keys of dicts with the types of their values: "id int, text str up to 4,096 characters (in 9 of 10)"."""
    found: Dict[str, _Field] = {}
    count = 0
    for record in records:
        count += 1
        for key, value in itertools.islice(entries(record), _KEYS):
            found.setdefault(word(key), _Field()).add(value)
    return listed([f"{key} {field.words(count)}" for key, field in found.items()])


class _Field:
    """What the values of one key have in common."""

    def __init__(self) -> None:
        self._types: Dict[str, int] = {}
        self._longest = 0

    def add(self, value: Any) -> None:
        name = type_name(value)
        self._types[name] = self._types.get(name, 0) + 1
        if is_a(value, str):
            self._longest = max(self._longest, str.__len__(value))

    def words(self, count: int) -> str:
        seen = sum(self._types.values())
        length = f" up to {self._longest:,} characters" if self._longest > LONG else ""
        return "|".join(self._types) + length + ("" if seen == count else f" (in {seen:,} of {count:,})")


def listed(parts: List[str], limit: int = 300, total: int = 0) -> str:
    """Parts separated by commas, as many as fit into ``limit`` characters, and the number of the others.

    ``total`` is the number of all where ``parts`` holds the first only.
    """
    ends = itertools.accumulate(len(part) + 2 for part in parts)
    fitting = sum(end <= limit for end in ends) or 1
    others = max(total, len(parts)) - fitting
    more = [f"… {others:,} more"] if others > 0 else []
    return ", ".join(parts[:fitting] + more)


def batches(count: int, length: float) -> str:
    """How to split so many texts of a mean length among sub-calls; empty where one takes them all."""
    if count * length <= CHUNK:
        return ""
    size = max(1, int(CHUNK / length))
    return f"; suggested batches: {-(-count // size):,} of {size:,}"


def scalar(value: Any, limit: int) -> str:
    """A value that holds no others, in about ``limit`` characters; empty for what is none."""
    if is_a(value, str, bytes):
        base = str if is_a(value, str) else bytes
        return _quoted(base.__getitem__(value, slice(limit)), base.__len__(value), limit)
    if type(value) in _PLAIN:
        return repr(value)
    if is_a(value, int):
        bits = int.bit_length(value)
        return int.__repr__(value) if bits <= _MAX_BITS else f"<int of {bits:,} bits>"
    if is_a(value, float):
        return float.__repr__(value)
    if library_class(value)[0] == "numpy" and getattr(value, "shape", None) == ():
        return show(value.item(), limit)
    return _of_pandas(value) or _moment(value) or _named(value)


def _quoted(start: Any, length: int, limit: int) -> str:
    text = repr(start)
    return text if length == len(start) and len(text) <= limit else text[:-1][: limit - 1] + "…"


def _of_pandas(value: Any) -> str:
    library, name = library_class(value)
    if library != "pandas":
        return ""
    own = name in _PANDAS_SCALARS and type(value) is getattr(sys.modules.get("pandas"), name, None)
    return str(value) if own else _PANDAS_NULLS.get(name, "")


def _moment(value: Any) -> str:
    for base in (datetime.datetime, datetime.date, datetime.time):
        if is_a(value, base):
            return base.isoformat(value)
    return datetime.timedelta.__str__(value).replace(",", "") if is_a(value, datetime.timedelta) else ""


def _named(value: Any) -> str:
    if is_a(value, pathlib.PurePath):
        return f"Path({pathlib.PurePath.__str__(value)!r})"
    if is_a(value, enum.Enum):
        held = attributes(value)
        return f"<{type_name(value)}.{held['_name_']}: {show(held['_value_'])}>"
    return f"<{type_name(value)} {value.__name__}>" if type(value) in _NAMED else ""


def _container(value: Any, limit: int, depth: int) -> str:
    items = 0 if depth <= 0 else _ITEMS if depth == _DEPTH else _NESTED_ITEMS
    if is_a(value, dict):
        pairs = itertools.islice(entries(value), items)
        parts = [f"{show(key, 40, 0)}: {show(item, limit // 2, depth - 1)}" for key, item in pairs]
        return _enclosed("{}", parts, len(dict[Any, Any].keys(value)))
    for base, brackets in _BRACKETS.items():
        if is_a(value, base):
            parts = _first(value, base, items, limit // 2, depth - 1)
            return _enclosed(brackets, parts, base.__len__(value))
    return ""


def _first(value: Any, base: Any, number: int, limit: int, depth: int) -> List[str]:
    """The first items; of a set, whose order is another in each process, the shortest, or none of a large one."""
    items, length = base.__iter__(value), base.__len__(value)
    if base not in (set, frozenset):
        return [show(item, limit, depth) for item in itertools.islice(items, number)]
    texts = [show(item, limit, depth) for item in items] if number and length <= _ORDERED else []
    return sorted(texts, key=lambda text: (len(text), text))[:number]


def _enclosed(brackets: str, parts: List[str], length: int) -> str:
    more = [f"… {length - len(parts):,} more"] if length > len(parts) else []
    return brackets[0] + ", ".join(parts + more) + brackets[1]


def _object(value: Any, limit: int, depth: int) -> str:
    if library_class(value)[0] in _SHAPED and hasattr(value, "shape"):
        return f"<{type_name(value)} of shape {value.shape}>"
    held = attributes(value) if depth > 0 else {}
    shown = itertools.islice(held.items(), _NESTED_ITEMS)
    parts = [f"{word(name)}={show(item, limit // 2, depth - 1)}" for name, item in shown]
    more = [f"… {len(held) - len(parts):,} more"] if len(held) > len(parts) else []
    return "<" + " ".join([type_name(value), *parts, *more]) + ">"


def attributes(value: Any) -> Dict[str, Any]:
    """What an object holds, in its ``__dict__`` or its slots; names that begin with two underscores are left out."""
    found: Dict[str, Any] = {}
    for base in reversed(cast(Any, type(value)).__mro__):
        for name, slot in list(cast(Dict[str, Any], vars(base)).items()):
            if type(slot) is types.MemberDescriptorType and not name.startswith("__"):
                _put_slot(found, name, slot, value)
    namespace = _namespace(value)
    return {**found, **{name: item for name, item in namespace.items() if not str(name).startswith("__")}}


def _put_slot(found: Dict[str, Any], name: str, slot: Any, value: Any) -> None:
    with contextlib.suppress(AttributeError):  # nothing was assigned to it
        found[name] = slot.__get__(value)


def _namespace(value: Any) -> Dict[Any, Any]:
    try:
        namespace = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return dict(entries(namespace)) if type(namespace) is dict else {}
