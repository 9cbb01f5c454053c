# the data libraries are typed in part, and none is a dependency
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A table that a subkernel handed up: of Arrow's own types, validated in full, then as its library has it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from ..engine.errors import InputError
from .ipc import check_stream

MAX_COLUMNS = 10_000
MAX_DEPTH = 16
MAX_MEMORY = 4 * 1024**3
OBJECT_BYTES = 64  # of a value that becomes an object, about
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*|[+-]\d\d:\d\d")
_SIMPLE = ("null", "boolean", "integer", "floating", "decimal128", "date", "time", "duration", "string", "binary")
_SIMPLE_LARGE = ("large_string", "large_binary")
_COMPACT = ("integer", "floating", "timestamp", "duration")

_NULLABLE = {name.lower(): name for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")}
_NULLABLE["bool"] = "boolean"

Labels = list[Any]


def table_of(arrow: Any, library: Any, content: bytearray, fields: Mapping[str, Any]) -> object:
    """Rebuild a table from an Arrow stream and the ``kind``, ``labels`` and ``index`` of `rlm_magic.guest.exports`.

    Raises:
        InputError: it is too large, or of types that are not taken.
        Exception: whatever the libraries make of damaged data.
    """
    check_stream(content)
    reader = arrow.ipc.open_stream(arrow.py_buffer(content))
    for column in reader.schema:
        _check_type(arrow.types, column.type, 0)
    table = reader.read_all().replace_schema_metadata(None)
    table.validate(full=True)
    _check_size(arrow.types, table)
    labels, index = _labels(fields, table.num_columns)
    return _KINDS[str(fields["kind"])](library, table, labels, index)


def _check_type(types: Any, kind: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InputError(f"its columns are nested more than {MAX_DEPTH} deep")
    if types.is_timestamp(kind):
        if kind.tz is not None and not _ZONE.fullmatch(kind.tz):
            raise ValueError("a time zone without a plain name")
        return
    inner = _inner(types, kind)
    if not inner and not any(getattr(types, f"is_{name}")(kind) for name in (*_SIMPLE, *_SIMPLE_LARGE, "struct")):
        raise InputError(f"a column of {str(kind)[:80]} is not pulled: make it text or numbers below")
    for each in inner:
        _check_type(types, each, depth + 1)


def _inner(types: Any, kind: Any) -> list[Any]:
    """The types that a type is made of."""
    if types.is_dictionary(kind):
        return [kind.index_type, kind.value_type]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return [kind.value_type]
    return [kind.field(n).type for n in range(kind.num_fields)] if types.is_struct(kind) else []


def _check_size(types: Any, table: Any) -> None:
    """Refuse what would take much more memory than its file: rows without content, or an object for each bit."""
    chunks = itertools.chain.from_iterable(column.chunks for column in table.columns)
    objects = sum(len(array) for chunk in chunks for array in _parts(types, chunk) if not _is_compact(types, array))
    size = table.nbytes + OBJECT_BYTES * objects
    if size > MAX_MEMORY:
        raise InputError(f"it would take about {size:,} bytes here; at most {MAX_MEMORY:,} do: pull a part of it")


def _is_compact(types: Any, array: Any) -> bool:
    return any(getattr(types, f"is_{name}")(array.type) for name in _COMPACT)


def _parts(types: Any, array: Any) -> Iterator[Any]:
    """An array, and those that it is made of."""
    yield array
    kind = array.type
    inner: list[Any] = []
    if types.is_dictionary(kind):
        inner = [array.indices, array.dictionary]
    elif types.is_struct(kind):
        inner = [array.field(n) for n in range(kind.num_fields)]
    elif _inner(types, kind):
        inner = [array.values]
    for each in inner:
        yield from _parts(types, each)


def _labels(fields: Mapping[str, Any], columns: int) -> tuple[Labels, int]:
    labels, index = fields.get("labels"), fields.get("index")
    if not isinstance(labels, list) or len(cast(Labels, labels)) != columns or columns > MAX_COLUMNS:
        raise ValueError("the columns of a table are not as many as their names")
    if type(index) is not int or not 0 <= index <= columns:
        raise ValueError("a table has an index of columns that are not there")
    return [_label(each) for each in cast(Labels, labels)], index


def _label(label: Any) -> Any:
    if isinstance(label, list):
        return tuple(_scalar(each) for each in cast(Labels, label))
    return _scalar(label)


def _scalar(value: Any) -> Any:
    if not isinstance(value, (str, int, float, type(None))):
        raise ValueError("a column has a name that is none")
    return value


def _pandas_frame(pandas: Any, table: Any, labels: Labels, index: int) -> Any:
    columns = [_pandas_column(pandas, column) for column in table.columns]
    frame = pandas.DataFrame(dict(enumerate(columns)), index=range(table.num_rows))
    if index:
        frame = frame.set_index(list(range(index)))
        frame.index.names = labels[:index]
    frame.columns = _columns(pandas, labels[index:])
    return frame


def _pandas_column(pandas: Any, column: Any) -> Any:
    """A column whose type has no missing values, but which has some, gets one of pandas' own types."""
    nullable = _NULLABLE.get(str(column.type)) if column.null_count else None
    return column.to_pandas(
        types_mapper={column.type: pandas.api.types.pandas_dtype(nullable)}.get if nullable else None
    )


def _columns(pandas: Any, labels: Labels) -> Any:
    levels = {len(label) if isinstance(label, tuple) else 0 for label in labels}
    many = len(levels) == 1 and levels != {0}
    return pandas.MultiIndex.from_tuples(labels) if many else pandas.Index(labels, tupleize_cols=False)


def _pandas_series(pandas: Any, table: Any, labels: Labels, index: int) -> Any:
    series = _pandas_frame(pandas, table, labels, index).iloc[:, 0]
    series.name = labels[index]
    return series


def _polars_frame(polars: Any, table: Any, labels: Labels, index: int) -> Any:
    return polars.from_arrow(table.rename_columns(list(map(str, labels))))


def _polars_series(polars: Any, table: Any, labels: Labels, index: int) -> Any:
    return _polars_frame(polars, table, labels, index).to_series(0)


def _arrow_table(arrow: Any, table: Any, labels: Labels, index: int) -> Any:
    return table.rename_columns(list(map(str, labels)))


def _arrow_batch(arrow: Any, table: Any, labels: Labels, index: int) -> Any:
    whole = _arrow_table(arrow, table, labels, index)
    batches = whole.combine_chunks().to_batches()
    return batches[0] if batches else arrow.RecordBatch.from_pylist([], schema=whole.schema)


_KINDS: dict[str, Callable[[Any, Any, Labels, int], Any]] = {
    "pandas.DataFrame": _pandas_frame,
    "pandas.Series": _pandas_series,
    "polars.DataFrame": _polars_frame,
    "polars.Series": _polars_series,
    "pyarrow.Table": _arrow_table,
    "pyarrow.RecordBatch": _arrow_batch,
}
