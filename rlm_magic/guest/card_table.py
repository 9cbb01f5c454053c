"""The card of an array or a table of the common libraries, none of which is imported.

Each is read through a `Table`, so that all are described alike. Only a sample of a large one is read: windows of
consecutive rows at even distances, the first and last rows among them, which every library cuts without a copy.
"""

from __future__ import annotations

from typing import Any, Counter, List, Optional

from .card_column import Column, mean_length, summary
from .show import batches, listed, show
from .tables import Table, as_table

# Characters of a card that the lines of a table may take, and those of its columns among them.
_ROOM = 930
_COLUMNS_ROOM = 520
_LEAST_ROW = 40
# Columns of a row that are shown where not even all names are.
_WIDE = 10
# What is read: values, and bytes of the library's own, which become several times more as Python's.
_CELLS = 50_000
_BYTES = 1 << 24
_WINDOWS = 16


def table_card(value: Any) -> Optional[List[str]]:
    """Lines that describe an array or table; None for anything else."""
    table = as_table(value)
    if table is None:
        return None
    sample = _sample(table)
    columns = [Column(name, type_, sample.values[i]) for i, (name, type_) in enumerate(table.shown)]
    lines = [table.heading, *_columns(table, columns, sample.note), *_chunks(table, columns)]
    return lines + _rows(table, columns, _ROOM - sum(len(line) + 1 for line in lines))


def table_line(value: Any) -> str:
    """The same in one line that reads no values; empty for anything else."""
    table = as_table(value)
    if table is None:
        return ""
    names = listed([f"{name} {type_}" for name, type_ in table.shown], 400, table.columns) if table.named else ""
    return f"{table.heading}: {names}" if names else table.heading


class _Sample:
    """Values of each column that is shown, from rows at even distances; ``note`` says how many where not all."""

    def __init__(self, values: List[Optional[List[Any]]], note: str) -> None:
        self.values = values
        self.note = note


def _sample(table: Table) -> _Sample:
    row_bytes = table.bytes // max(table.rows, 1) + 1
    number = max(1, min(_CELLS // max(len(table.shown), 1), _BYTES // row_bytes))
    if number >= table.rows:
        return _Sample([_read(table, i, [0], table.rows) for i in range(len(table.shown))], "")
    windows = min(_WINDOWS, number)
    size = number // windows
    starts = [i * (table.rows - size) // max(windows - 1, 1) for i in range(windows)]
    note = f" (in a sample of {windows * size:,} {table.unit})"
    return _Sample([_read(table, i, starts, size) for i in range(len(table.shown))], note)


def _read(table: Table, column: int, starts: List[int], size: int) -> Optional[List[Any]]:
    try:
        return [value for start in starts for value in table.read(column, start, start + size)]
    except Exception:  # a time zone that is not known here, a value out of Python's range, a type of the user's
        return None


def _columns(table: Table, columns: List[Column], note: str) -> List[str]:
    """As much of each column as there is room for."""
    if not table.named:
        return [f"Values{note}: {words}" for words in map(summary, columns) if words]
    words = [column.short for column in columns]
    room = _COLUMNS_ROOM - sum(len(word) + 3 for word in words)
    if len(columns) < table.columns or room < 0:
        types = listed([f"{count:,} {name}" for name, count in Counter(table.types).most_common(20)], 150)
        return [f"Types: {types}", f"Columns: {listed(words, 300, table.columns)}"]
    for i, column in enumerate(columns):
        full = summary(column)
        if len(full) - len(words[i]) <= room:
            room -= len(full) - len(words[i])
            words[i] = full
    return [f"Columns{note}:", *(f"- {word}" for word in words)] if words else []


def _chunks(table: Table, columns: List[Column]) -> List[str]:
    """How many rows go into one sub-call, where one column holds long texts."""
    longest = max(columns, key=mean_length, default=None)
    length = mean_length(longest) if longest else 0
    suggested = batches(table.rows, length)
    if not longest or not suggested:
        return []
    return [f"Texts{' of ' + longest.name if table.named else ''}: about {int(length):,} characters each{suggested}"]


def _rows(table: Table, columns: List[Column], room: int) -> List[str]:
    """The first rows and the last, in what room is left."""
    number = max((len(column.values) for column in columns if column.values), default=0)
    positions = {"First": 0, "Second": 1, "Last": -1} if table.rows > 2 else {"First": 0, "Last": -1}
    wide = len(columns) < table.columns
    where = f" ({_WIDE} columns)" if wide else ""
    limit = min(room // len(positions) - 10 - len(where), 200)
    if not number or limit < _LEAST_ROW:
        return []
    shown = columns[:_WIDE] if wide else columns
    return [f"{word}{where}: {_row(shown, at, limit)}" for word, at in positions.items() if at < number][: table.rows]


def _row(columns: List[Column], at: int, limit: int) -> str:
    row = [column.values[at] for column in columns if column.values]
    return show(row if columns[0].name else row[0], limit)
