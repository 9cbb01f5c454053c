"""The texts that a value holds, by number and by name, read a few at a time."""

from __future__ import annotations

import math
import mmap
import os
import pathlib
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, cast

from .card_path import files
from .passages import Content
from .show import library_class
from .tables import Table, as_table

# Rows or items that are looked at, to find the column that holds text and to guess how much there is.
_SAMPLE = 1_000
# Files of a folder that are looked into, to guess how much of it is text.
_FILES = 100
# Bytes of a file in which a zero byte makes it binary.
_HEAD = 4096
_PLAIN = (str, bytes, list, tuple, dict)

Read = Callable[[int, int], Sequence[Optional[Content]]]


@dataclass(frozen=True)
class Texts:
    """Numbered texts.

    Attributes:
        count: how many numbers there are.
        read: the texts from one number to before another; None where there is none.
        where: how the value itself calls a text: its index, key or (row, column); None if the value is the text.
    """

    count: int
    read: Read
    where: Callable[[int], Any]


def texts(value: Any, column: Optional[str] = None) -> Texts:
    """The texts of a text, of bytes, of a list or dict of texts, of a column of a table or of records, or of files.

    Without ``column``, the one that holds the most text.

    Raises:
        TypeError: the value holds something else.
        ValueError: there is no such column, or none with text.
    """
    table = as_table(value)
    if table is not None:
        return _table(value, table, column)
    if _are_records(value):
        return _records(value, column)
    if column is not None:
        raise ValueError(f"column={column!r}: a {type(value).__name__} has no columns, a table or list of dicts has")
    return _files(value) if isinstance(value, pathlib.Path) else _held(value)


def _held(value: Any) -> Texts:
    if isinstance(value, (str, bytes)):
        return _items([value], lambda number: None)
    if isinstance(value, (list, tuple)):
        return _items([*parts(value)])
    if isinstance(value, dict):
        keys, held = _halves(parts(value))
        return _items(held, keys.__getitem__)
    raise _no_text("the value", value)


def parts(value: Any) -> List[Any]:
    """What a list or dict holds, the keys of a dict first: with another object there it is another value."""
    if isinstance(value, dict):
        held = cast("Dict[Any, Any]", value)
        return [*held, *held.values()]
    return [*cast("List[Any]", value)] if isinstance(value, (list, tuple)) else []


def text_size(value: Any) -> int:
    """About how many characters of text there are (bytes, of files); 0 where `texts` would refuse. Takes no long."""
    try:
        if isinstance(value, pathlib.Path):
            return _size_of_files(value)
        binary = type(value) is bytes and b"\x00" in value[:_HEAD]
        if binary or (type(value) not in _PLAIN and as_table(value) is None):
            return 0
        found = texts(value)
        sampled = min(found.count, _SAMPLE)
        return sum(len(text or "") for text in found.read(0, sampled)) * found.count // max(1, sampled)
    except Exception:  # a class of the user's may do anything when it is looked at
        return 0


def _items(items: List[Any], where: Callable[[int], Any] = int) -> Texts:
    def read(start: int, stop: int) -> List[Optional[Content]]:
        return [_text(items[number], where(number)) for number in range(start, stop)]

    return Texts(len(items), read, where)


def _text(item: Any, where: Any) -> Optional[Content]:
    if isinstance(item, (str, bytes)):
        return item
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return None
    raise _no_text(f"item {where!r}", item)


def _halves(both: List[Any]) -> Tuple[List[Any], List[Any]]:
    middle = len(both) // 2
    return both[:middle], both[middle:]


def _table(value: Any, table: Table, column: Optional[str]) -> Texts:
    labels = _labels(value) if table.named else [None]
    number = _chosen(labels, [_column(table, number, 0, _SAMPLE) for number in range(len(table.shown))], column)

    def where(row: int) -> Any:
        return (row, labels[number]) if table.named else row

    return Texts(table.rows, partial(_column, table, number), where)


def _labels(frame: Any) -> List[Any]:
    return list(frame.column_names if library_class(frame)[0] == "pyarrow" else frame.columns)


def _column(table: Table, number: int, start: int, stop: int) -> List[Optional[str]]:
    return [item if isinstance(item, str) else None for item in table.read(number, start, stop)]


def _are_records(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in parts(value[:_SAMPLE]))


def _records(records: Any, column: Optional[str]) -> Texts:
    held: List[Dict[Any, Any]] = [record if isinstance(record, dict) else {} for record in records]

    def read(key: Any, start: int, stop: int) -> List[Optional[str]]:
        return [item if isinstance(item, str) else None for item in (record.get(key) for record in held[start:stop])]

    keys = [*dict.fromkeys(key for record in held[:_SAMPLE] for key in record)]
    label = keys[_chosen(keys, [read(key, 0, _SAMPLE) for key in keys], column)]
    return Texts(len(held), partial(read, label), lambda number: (number, label))


def _chosen(labels: List[Any], samples: List[List[Optional[str]]], column: Optional[str]) -> int:
    """The number of the column of this name, or of that with the most text; two may have the same name."""
    sizes = [sum(map(len, filter(None, sample))) for sample in samples]
    full = {number: labels[number] for number, size in enumerate(sizes) if size}
    fitting = [number for number, label in full.items() if column is None or label == column]
    if fitting:
        return max(fitting, key=sizes.__getitem__)
    asked = "" if column is None else f"column={column!r}: "
    names = ", ".join(map(repr, [*full.values()][:20]))
    known = f"the columns with text are {names}" if full else "there is no column with text"
    raise ValueError(asked + known)


def _no_text(what: str, value: object) -> TypeError:
    return TypeError(
        f"{what} is a {type(value).__name__}: over= takes a text, a list or dict of texts, a table, "
        "a list of records, or the path of a file or folder"
    )


def _files(path: pathlib.Path) -> Texts:
    if not path.is_dir():
        return Texts(1, lambda start, stop: [_content(str(path))][start:stop], lambda number: None)
    top = str(path)
    found = sorted(
        os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names
    )

    def read(start: int, stop: int) -> List[Optional[Content]]:
        return [_content(os.path.join(top, name)) for name in found[start:stop]]

    return Texts(len(found), read, found.__getitem__)


def _size_of_files(path: pathlib.Path) -> int:
    if path.is_file():
        return len(_content(str(path)) or b"")
    sizes = files(str(path))[0]
    sample = [*sizes][:: len(sizes) // _FILES + 1]
    text = sum(sizes[name] for name in sample if _content(name))
    return sum(sizes.values()) * text // max(1, sum(sizes[name] for name in sample))


def _content(path: str) -> Optional[Content]:
    """A file's bytes, mapped; None for a binary one, an empty one, a pipe, and one that cannot be read."""
    try:
        if not os.path.isfile(path) or not os.path.getsize(path):
            return None
        with open(path, "rb") as file:
            return None if b"\x00" in file.read(_HEAD) else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
