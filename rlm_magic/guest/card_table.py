"""The card of an array or a table of the common libraries, none of which is imported: what they say of themselves."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from .show import library_class, listed, show, word

# Rows in which nulls are counted, columns that are named.
_ROWS = 10_000
_COLUMNS = 40


def table_card(value: Any) -> Optional[List[str]]:
    """Lines that describe an array or table; None for anything else."""
    describe = _CARDS.get(library_class(value))
    return describe(value) if describe else None


def _pandas_frame(frame: Any) -> List[str]:
    rows, columns = frame.shape
    head = frame.iloc[:_ROWS]
    shown = range(min(columns, _COLUMNS))
    named = [(frame.columns[i], frame.dtypes.iloc[i], int(head.iloc[:, i].isna().sum())) for i in shown]
    return [
        f"pandas DataFrame, {rows:,} rows, {columns:,} columns, index {frame.index.dtype}",
        _columns(named, columns, len(head), rows),
        *_ends(lambda row: [frame.iat[row, i] for i in shown], rows),
    ]


def _pandas_series(series: Any) -> List[str]:
    rows = len(series)
    return [f"pandas Series {word(series.name)}, {rows:,} {series.dtype}", *_ends(lambda row: series.iat[row], rows)]


def _polars_frame(frame: Any) -> List[str]:
    rows, columns = frame.shape
    head = frame.head(_ROWS)
    shown = [frame.to_series(i) for i in range(min(columns, _COLUMNS))]
    named = [(series.name, series.dtype, series.head(_ROWS).null_count()) for series in shown]
    return [
        f"polars DataFrame, {rows:,} rows, {columns:,} columns",
        _columns(named, columns, len(head), rows),
        *_ends(frame.row, rows),
    ]


def _arrow_table(table: Any) -> List[str]:
    rows, columns = table.num_rows, table.num_columns
    head = table.slice(0, _ROWS)
    shown = [(table.field(i), head.column(i)) for i in range(min(columns, _COLUMNS))]
    return [
        f"pyarrow Table, {rows:,} rows, {columns:,} columns",
        _columns(
            [(field.name, field.type, column.null_count) for field, column in shown], columns, head.num_rows, rows
        ),
        *_ends(lambda row: [column[row].as_py() for column in table.columns[:_COLUMNS]], rows),
    ]


def _numpy_array(array: Any) -> List[str]:
    size = f"numpy array, shape {array.shape}, {array.dtype}, {array.nbytes:,} bytes"
    return [size, *_ends(lambda position: array.flat[position], array.size)]


def _columns(named: Iterable[Tuple[Any, Any, int]], columns: int, seen: int, rows: int) -> str:
    where = "" if seen == rows else f" of the first {seen:,}"
    parts = [f"{word(name)} {type_}" + (f" ({nulls:,}{where} null)" if nulls else "") for name, type_, nulls in named]
    more = f" (and {columns - _COLUMNS:,} beyond these)" if columns > _COLUMNS else ""
    return f"Columns: {listed(parts, 450)}{more}"


def _ends(item: Callable[[int], Any], count: int) -> List[str]:
    last = [f"Last: {show(item(count - 1), 200)}"] if count > 1 else []
    return [f"First: {show(item(0), 200)}", *last] if count else []


_CARDS: Dict[Tuple[str, str], Callable[[Any], List[str]]] = {
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("polars", "DataFrame"): _polars_frame,
    ("pyarrow", "Table"): _arrow_table,
    ("numpy", "ndarray"): _numpy_array,
}
