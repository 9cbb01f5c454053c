"""What the values of one column have in common, in words: nulls, distinct values, range, the commonest."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any, Counter, List, NamedTuple, Optional, Tuple, cast

from .show import LONG, is_a, library_class, show

_NUMBERS: Tuple[Any, ...] = (int, float)
_ORDERED: Tuple[Any, ...] = (
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
)
_PLAIN = frozenset((str, bytes, bool, uuid.UUID, *_NUMBERS, *_ORDERED))
_SHOWN = 24
# A moment with microseconds and zone.
_MOMENT = 32


class Column(NamedTuple):
    """Name (empty: it has none) and type, ready for reading, and the values looked at; None where that is not safe."""

    name: str
    type: str
    values: Optional[List[Any]]

    @property
    def short(self) -> str:
        return f"{self.name} {self.type}" if self.name else ""


def summary(column: Column) -> str:
    """What the values show, below name and type: "id int64: 1 to 300, all distinct"."""
    values = column.values or []
    filled = [value for value in values if not _is_null(value)]
    nulls = len(values) - len(filled)
    words = ", ".join([*_words(filled), *([f"{nulls:,} null"] if nulls else [])])
    return ": ".join(part for part in (column.short, words) if part)


def mean_length(column: Column) -> float:
    """Characters of a value of a column of long texts; 0 for any other column."""
    lengths = [str.__len__(value) for value in column.values or () if is_a(value, str)]
    return sum(lengths) / len(lengths) if lengths and max(lengths) > LONG else 0


def _words(filled: List[Any]) -> List[str]:
    if not filled or not all(_is_plain(value) for value in filled):
        return []
    counts = Counter(_key(value) for value in filled)
    return [*_range(filled), *_distinct(counts, len(filled))]


def _range(filled: List[Any]) -> List[str]:
    kinds = set(map(type, filled))
    if kinds == {str}:
        return _lengths(filled)
    if not (kinds <= set(_NUMBERS) or (len(kinds) == 1 and is_a(filled[0], *_ORDERED))):
        return []
    low, high = min(filled), max(filled)
    return [f"{_bound(low)} to {_bound(high)}"] if low != high else []


def _lengths(texts: List[str]) -> List[str]:
    shortest, longest = min(map(len, texts)), max(map(len, texts))
    return [f"{shortest:,} to {longest:,} characters"] if longest > LONG else []


def _bound(value: Any) -> str:
    return f"{value:.6g}" if type(value) is float else show(value, _MOMENT)


def _distinct(counts: "Counter[Any]", number: int) -> List[str]:
    value, times = counts.most_common(1)[0]
    if len(counts) == number > 1:
        return ["all distinct"] if type(value) is not float else []
    if len(counts) == 1:
        return [f"always {_shown(value)}"]
    most = f", most often {_shown(value)} ({times:,})" if times * 50 >= number else ""
    return [f"{len(counts):,} distinct{most}"]


def _key(value: Any) -> Any:
    """Stands for the value in counts; a long text is not hashed whole."""
    return value if not is_a(value, str, bytes) or len(value) <= LONG else (len(value), value[:LONG], value[-LONG:])


def _shown(key: Any) -> str:
    if type(key) is tuple:
        return show(key[1], _SHOWN)
    return show(key, _SHOWN if is_a(key, str, bytes) else _MOMENT)


def _is_null(value: Any) -> bool:
    if value is None:
        return True
    kind: Any = cast(Any, type(value))
    return kind.__name__ in ("NAType", "NaTType") if kind is not float else value != value


def _is_plain(value: Any) -> bool:
    """Its comparisons and hash are those of Python or pandas, not of a user's class."""
    return type(value) in _PLAIN or library_class(value)[0] == "pandas"
