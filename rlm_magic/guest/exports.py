"""Variables on their way to the notebook, as files in forms that it can read without running anything of theirs.

    text     UTF-8, lone surrogates kept
    bytes    the raw content
    json     what `rlm_magic.guest.crossing` makes of a value
    npy      a NumPy array
    arrow    an Arrow IPC stream without compression: the columns of a table, named by their numbers

A table's own column names travel beside it, as do what it was (``kind``) and how many of its first columns are its
index; nothing of it is in the metadata of the stream.
"""

from __future__ import annotations

import importlib
import json
from typing import Any, BinaryIO, Dict, List, Tuple, cast

from .crossing import cross
from .load import write_text
from .show import library_class

MAX_BYTES = 512 * 1024**2
MAX_JSON = 32 * 1024**2
MAX_COLUMNS = 10_000
WAY_OUT = "make it a str, list, dict, DataFrame or array with a further question of the session"

Fields = Dict[str, Any]


class NotExportable(Exception):
    """A value has no form that the notebook takes; the message says why and what to do."""


def export(value: Any, path: str) -> Fields:
    """Write a value to a new file and return what the notebook is told of it: at least its ``form``.

    Raises:
        NotExportable: there is no form for it.
        Exception: whatever its library raises, or writing the file.
    """
    with open(path, "xb") as file:
        fields = _export(value, file)
        size = file.tell()
    if size > MAX_BYTES:
        raise NotExportable(f"it has {size:,} bytes; at most {MAX_BYTES:,} are pulled: take a part of it")
    return fields


def _export(value: Any, file: BinaryIO) -> Fields:
    if type(value) is str:
        write_text(value, file)
        return {"form": "text"}
    if type(value) in (bytes, bytearray):
        file.write(value)
        return {"form": "bytes"}
    source = library_class(value)
    if source in (("numpy", "ndarray"), ("numpy", "memmap")):
        return _array(value, file)
    if source in _TABLES:
        labels, index = _TABLES[source](value, file)
        return {"form": "arrow", "kind": ".".join(source), "labels": [_label(each) for each in labels], "index": index}
    return _json(value, file)


def _json(value: Any, file: BinaryIO) -> Fields:
    crossed, notice = cross(value, MAX_BYTES)
    if notice:
        raise NotExportable(f"JSON has no form for all of it ({notice}): {WAY_OUT}")
    size = file.write(json.dumps(crossed, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MAX_JSON:
        raise NotExportable(f"it has {size:,} bytes as JSON; at most {MAX_JSON:,} are pulled: make it a DataFrame")
    return {"form": "json"}


def _array(value: Any, file: BinaryIO) -> Fields:
    numpy = _library("numpy")
    if value.dtype.kind not in "biufcSUmM":
        raise NotExportable(f"an array of {value.dtype} is not pulled: make it one of numbers or text, or a list")
    numpy.save(file, value, allow_pickle=False)
    return {"form": "npy"}


def _library(name: str) -> Any:
    """A library that a value comes from, or pyarrow, which its table needs."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotExportable(f"that needs {name} in the subkernel's Python: install it there, or {WAY_OUT}") from None


Labels = Tuple[List[Any], int]


def _pandas_frame(frame: Any, file: BinaryIO) -> Labels:
    """An index that only counts the rows is left out."""
    pandas = _library("pandas")
    plain = isinstance(frame.index, pandas.RangeIndex) and frame.index.equals(pandas.RangeIndex(len(frame)))
    levels = [] if plain else [frame.index.get_level_values(n) for n in range(frame.index.nlevels)]
    columns = levels + [frame.iloc[:, n] for n in range(frame.shape[1])]
    labels = [*(level.name for level in levels), *frame.columns]
    _check_width(len(columns))
    _write_arrow([*map(_pandas_column, labels, columns)], file)
    return labels, len(levels)


def _pandas_column(label: Any, column: Any) -> Any:
    pyarrow = _library("pyarrow")
    try:
        return pyarrow.array(column, from_pandas=True)
    except (pyarrow.ArrowException, OverflowError) as error:
        raise NotExportable(f"column {label!r}: {error}: make its values of one type") from None


def _pandas_series(series: Any, file: BinaryIO) -> Labels:
    labels, index = _pandas_frame(series.to_frame(), file)
    return [*labels[:index], series.name], index


def _polars_frame(frame: Any, file: BinaryIO) -> Labels:
    polars = _library("polars")
    _check_width(frame.width)
    names = frame.columns
    plain = frame.rename({name: str(n) for n, name in enumerate(names)})
    plain.write_ipc_stream(file, compression="uncompressed", compat_level=polars.CompatLevel.oldest())
    return names, 0


def _polars_series(series: Any, file: BinaryIO) -> Labels:
    return _polars_frame(series.to_frame(), file)


def _arrow_table(table: Any, file: BinaryIO) -> Labels:
    _check_width(table.num_columns)
    _write_arrow(table.columns, file)
    return table.schema.names, 0


def _write_arrow(columns: List[Any], file: BinaryIO) -> None:
    pyarrow = _library("pyarrow")
    for column in columns:
        if isinstance(column.type, pyarrow.BaseExtensionType):
            raise NotExportable(f"a column of {column.type} is not pulled: convert it to text or numbers")
    table = pyarrow.table(columns, names=[str(n) for n in range(len(columns))])
    with pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def _check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise NotExportable(f"it has {columns:,} columns; at most {MAX_COLUMNS:,} are pulled: take some of them")


def _label(label: Any) -> Any:
    """A column's name as JSON: a list for each level of many."""
    if type(label) is tuple:
        return [_label(each) for each in cast("Tuple[Any, ...]", label)]
    return label if type(label) in (str, int, bool, type(None)) else str(label)


_TABLES: Dict[Tuple[str, str], Any] = {
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "Series"): _polars_series,
    ("pyarrow", "Table"): _arrow_table,
    ("pyarrow", "RecordBatch"): _arrow_table,
}
