"""Arrays and tables of pandas, polars, pyarrow and NumPy as one kind of table, none of these imported.

A class counts only if its library is imported and the class is the library's own. An instance of a subclass is
described as its base sees it, so that no method of the subclass runs.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, cast

from .show import cut, library_class, printable, type_name, word

# Columns that are looked at.
_SHOWN = 40
_LIBRARIES = ("numpy", "pandas", "polars", "pyarrow")
# Classes of these that have a subclass for each kind of value.
_FAMILIES = ("Index", "Array")


class Table(NamedTuple):
    """A table to be described.

    Attributes:
        heading: its class and size, in words.
        types: of all columns.
        shown: name and type of the first columns.
        read: the values of a column (by position) in a range of rows; raises where that is not safe.
        bytes: size of the first columns, about.
        named: its columns have names.
        unit: what a row is called.
    """

    heading: str
    rows: int
    columns: int
    types: Sequence[str]
    shown: List[Tuple[str, str]]
    read: Callable[[int, int, int], List[Any]]
    bytes: int
    named: bool = True
    unit: str = "rows"


def as_table(value: Any) -> Optional[Table]:
    """None for what is neither array nor table."""
    for base in cast(Any, type(value)).__mro__:
        name = (str(base.__module__).partition(".")[0], str(base.__qualname__))
        if name in _KINDS and getattr(sys.modules.get(name[0]), name[1], None) is base:
            return _KINDS[name](_as_base(value, base))
    return None


def _as_base(value: Any, base: Any) -> Any:
    library, name = library_class(value)
    if type(value) is base or (library in _LIBRARIES and (base.__name__ in _FAMILIES or name == "MaskedArray")):
        return value
    return base.view(value, base) if base.__name__ == "ndarray" else base(value)


def _pandas_frame(frame: Any) -> Table:
    rows, columns = frame.shape
    dtypes: List[Any] = frame.dtypes.tolist()
    shown = range(min(columns, _SHOWN))

    def read(column: int, start: int, stop: int) -> List[Any]:
        return _pandas_values(frame.iloc[start:stop, column])

    return Table(
        f"pandas DataFrame, {_size(rows, columns)}, index {_pandas_index(frame.index)}",
        rows,
        columns,
        [_type_word(dtype) for dtype in dtypes],
        [(word(frame.columns[i]), _type_word(dtypes[i])) for i in shown],
        read,
        sum(_pandas_bytes(frame.iloc[:, i]) for i in shown),
    )


def _pandas_series(series: Any) -> Table:
    rows, type_ = len(series), _type_word(series.dtype)
    name = f" {word(series.name)}" if series.name is not None else ""

    def read(start: int, stop: int) -> List[Any]:
        return _pandas_values(series.iloc[start:stop])

    heading = f"pandas Series{name}, {rows:,} {type_}, index {_pandas_index(series.index)}"
    return _column(heading, rows, type_, read, _pandas_bytes(series))


def _pandas_labels(index: Any) -> Table:
    heading = f"pandas {type(index).__name__}, {len(index):,} values: {_pandas_index(index)}"
    return _pandas_series(index.to_series())._replace(heading=heading)


def _pandas_index(index: Any) -> str:
    names = [word(name) for name in index.names if name is not None]
    return " ".join([*([", ".join(names)] if names else []), _type_word(index.dtype)])


def _pandas_values(series: Any) -> List[Any]:
    if not _is_known(series.dtype):
        raise TypeError("values of a type of the user's are not read")
    return series.tolist()


def _pandas_bytes(series: Any) -> int:
    """Values that are objects count as pointers: they are not copied."""
    return series.memory_usage(index=False) if _is_known(series.dtype) else 0


def _polars_frame(frame: Any) -> Table:
    rows, columns = frame.shape
    types = [_type_word(dtype) for dtype in frame.dtypes]
    first = frame[:, :_SHOWN]

    def read(column: int, start: int, stop: int) -> List[Any]:
        return first.to_series(column).slice(start, stop - start).to_list()

    return Table(
        f"polars DataFrame, {_size(rows, columns)}",
        rows,
        columns,
        types,
        [(word(name), types[i]) for i, name in enumerate(first.columns)],
        read,
        first.estimated_size(),
    )


def _polars_series(series: Any) -> Table:
    rows, type_ = len(series), _type_word(series.dtype)

    def read(start: int, stop: int) -> List[Any]:
        return series.slice(start, stop - start).to_list()

    return _column(f"polars Series {word(series.name)}, {rows:,} {type_}", rows, type_, read, series.estimated_size())


def _arrow_table(table: Any) -> Table:
    rows, columns = table.num_rows, table.num_columns
    types = [_type_word(type_) for type_ in table.schema.types]
    first = table.select(range(min(columns, _SHOWN)))

    def read(column: int, start: int, stop: int) -> List[Any]:
        if not _is_known(first.schema.types[column]):
            raise TypeError("values of a type of the user's are not read")
        return first.column(column).slice(start, stop - start).to_pylist()

    return Table(
        f"pyarrow {type(table).__name__}, {_size(rows, columns)}",
        rows,
        columns,
        types,
        [(word(name), types[i]) for i, name in enumerate(first.schema.names)],
        read,
        first.nbytes,
    )


def _arrow_array(array: Any) -> Table:
    rows, type_ = len(array), _type_word(array.type)

    def read(start: int, stop: int) -> List[Any]:
        if not _is_known(array.type):
            raise TypeError("values of a type of the user's are not read")
        return array.slice(start, stop - start).to_pylist()

    heading = f"pyarrow {type(array).__name__}, {rows:,} {type_}"
    return _column(heading, rows, type_, read, array.nbytes, unit="values")


def _numpy_array(array: Any) -> Table:
    type_ = _type_word(array.dtype)
    masked = "masked " if hasattr(array, "mask") else ""
    whole = array.astype(f"{array.dtype.kind}8[us]", copy=False) if array.dtype.kind in "mM" else array

    def read(start: int, stop: int) -> List[Any]:
        return whole.flat[start:stop].tolist()

    heading = f"numpy {masked}array, shape {array.shape}, {type_}, {array.nbytes:,} bytes"
    return _column(heading, array.size, type_, read, array.nbytes, unit="values")


def _column(
    heading: str, rows: int, type_: str, read: Callable[[int, int], List[Any]], size: int, unit: str = "rows"
) -> Table:
    """A table of one column that has no name."""

    def read_column(column: int, start: int, stop: int) -> List[Any]:
        return read(start, stop)

    return Table(heading, rows, 1, [type_], [("", type_)], read_column, size, named=False, unit=unit)


def _size(rows: int, columns: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}, {columns:,} column{'' if columns == 1 else 's'}"


def _type_word(dtype: Any) -> str:
    """The type of a column as its library writes it; of a user's own type only its class."""
    text = str(dtype) if _is_known(dtype) else type_name(dtype)
    return cut(printable(text).replace("\n", " "), 40)


def _is_known(dtype: Any) -> bool:
    return library_class(dtype)[0] in _LIBRARIES or type(dtype) is type  # polars' types are classes in part


_KINDS: Dict[Tuple[str, str], Callable[[Any], Table]] = {
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("pandas", "Index"): _pandas_labels,
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "Series"): _polars_series,
    ("pyarrow", "Table"): _arrow_table,
    ("pyarrow", "RecordBatch"): _arrow_table,
    ("pyarrow", "ChunkedArray"): _arrow_array,
    ("pyarrow", "Array"): _arrow_array,
    ("numpy", "ndarray"): _numpy_array,
}
