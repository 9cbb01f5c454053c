"""The card: what a model is told of a variable before it has looked at it. At most 1,000 characters, for any value.

Serves both sides: the notebook describes what the user bound, a subkernel what its code hands to a sub-RLM.
"""

from __future__ import annotations

import collections
import itertools
import pathlib
from typing import Any, Counter, List, Tuple

from .card_path import bytes_card, path_card
from .card_table import table_card, table_line
from .card_text import text_card
from .show import LONG, attributes, batches, cut, entries, fields, is_a, listed, printable, scalar, show, type_name

LIMIT = 1000
# Items of a container that are looked at, and how much of one is shown.
_SAMPLE = 2000
_ITEM = 200
_SMALL_DICT = 30
# Objects of a list whose attributes are looked at.
_OBJECTS = 200
_SEQUENCES: Tuple[Any, ...] = (list, tuple, collections.deque, set, frozenset)


def card(name: str, value: object) -> str:
    """Describe a value in at most 1,000 printable characters. Never raises for what the value is or does."""
    try:
        lines = _describe(value)
    except Exception:  # a class of the user's may do anything when it is looked at
        lines = [f"{type_name(value)}, which cannot be looked into"]
    return cut(printable(f"{cut(name, 60)}: " + "\n".join(lines)), LIMIT)


def _describe(value: Any) -> List[str]:
    if is_a(value, str):
        return text_card(value)
    if is_a(value, bytes, bytearray):
        return bytes_card(value)
    if is_a(value, pathlib.Path):
        return path_card(value)
    if is_a(value, dict):
        return _dict_card(value)
    for base in _SEQUENCES:
        if is_a(value, base):
            return _items_card(value, base)
    return table_card(value) or _object_card(value)


def _object_card(value: Any) -> List[str]:
    held = _parts(value)
    if not held:
        return [type_name(value), f"Value: {show(value, 600)}"]
    return [f"{type_name(value)}, an object with {_counted(len(held), 'attribute')}", *_entry_lines(held)]


def _parts(value: Any) -> "dict[str, Any]":
    """The attributes of an object that is more than a single value."""
    try:
        return {} if is_a(value, type) or scalar(value, 1) else attributes(value)
    except Exception:  # one that was never whole
        return {}


def _items_card(value: Any, base: Any) -> List[str]:
    length = base.__len__(value)
    items = _sampled(value, base, length)
    lines = [f"{type_name(value)}, {_counted(length, 'item')}{_kinds(items, length)}", *_inner(items, length, "items")]
    if items and base in (set, frozenset):
        return [*lines, f"Items: {show(value, _ITEM)}"]
    if items:
        lines.append(f"First item: {show(items[0], _ITEM)}")
    if length > 1:
        lines.append(f"Last item: {show(items[-1], _ITEM)}")
    return lines


def _dict_card(value: Any) -> List[str]:
    length = len(dict[Any, Any].keys(value))
    pairs = [*itertools.islice(entries(value), _SAMPLE)]
    values = [item for _, item in pairs]
    lines = [f"{type_name(value)}, {_counted(length, 'key')}{_kinds(values, length)}"]
    if length <= _SMALL_DICT:
        return lines + _entry_lines({show(key, 60): item for key, item in pairs})
    return [
        *lines,
        *_inner(values, length, "values"),
        f"First keys: {listed([show(key, 60) for key, _ in pairs[:8]])}",
        f"First value: {show(values[0], _ITEM)}",
    ]


def _entry_lines(held: "dict[str, Any]") -> List[str]:
    room = max(_SMALL_DICT, 850 // max(len(held), 1))
    return [cut(f"{name}: {table_line(item) or show(item, room)}", room) for name, item in held.items()]


def _sampled(value: Any, base: Any, length: int) -> List[Any]:
    """Some items; of a sequence the first and last among them."""
    if length <= _SAMPLE or not hasattr(base, "__getitem__"):
        return [*itertools.islice(base.__iter__(value), _SAMPLE)]
    return [base.__getitem__(value, i * (length - 1) // (_SAMPLE - 1)) for i in range(_SAMPLE)]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _kinds(items: List[Any], length: int) -> str:
    """The types of the items, or of the values of a dict."""
    counts = Counter[str](map(type_name, items)).most_common(4)
    if not counts:
        return ""
    names = f"all {counts[0][0]}" if len(counts) == 1 else ", ".join(f"{count:,} {name}" for name, count in counts)
    return f": {names}{_in_sample(items, length)}"


def _inner(items: List[Any], length: int, noun: str) -> List[str]:
    """What there is to say of items that are texts or records."""
    texts = [item for item in items if is_a(item, str)]
    records = [item for item in items if is_a(item, dict)]
    keys = [f"Keys of the {noun}: {fields(records)}"] if records else []
    objects = [held for held in map(_parts, items[:_OBJECTS]) if held] if not texts and not records else []
    held = [f"Attributes of the {noun}: {fields(objects)}"] if objects else []
    return [*(_texts(texts, items, length) if texts else []), *keys, *held]


def _texts(texts: List[Any], items: List[Any], length: int) -> List[str]:
    sizes = [str.__len__(text) for text in texts]
    whole = len(items) == length
    total = f"{sum(sizes):,}" if whole else f"about {sum(sizes) * length // len(items):,}"
    share = 1 - len({str.__hash__(text) for text in texts}) / len(texts)
    repeats = f"{share:.0%} repeat another" if share else "none repeats another"
    split = batches(length * len(texts) // len(items), sum(sizes) / len(texts)) if max(sizes) > LONG else ""
    return [
        f"Texts: {total} characters in all; shortest {min(sizes):,}, longest {max(sizes):,}; "
        f"{repeats}{_in_sample(items, length)}{split}"
    ]


def _in_sample(items: List[Any], length: int) -> str:
    return "" if len(items) == length else f" (in a sample of {len(items):,})"
