"""What the data libraries' own pickling does not do, none of them imported before the user has done so.

- polars pickles by way of bytes in memory, which takes seconds and twice the memory for a gigabyte; as Arrow data it
  goes out of band.
- A slice of an Arrow table is pickled with all of the table that it was cut from.
- A NumPy array mapped from a file is pickled by way of all its bytes in memory; as a plain array it goes out of band.
- A DuckDB relation cannot be pickled: it is a query on a connection. A polars LazyFrame may read files that are out of
  a subkernel's sight. Their results are handed over.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from typing import Any, cast

from ..engine.errors import InputError

# Bytes from which on it pays to leave out what a slice does not show.
_LARGE = 1 << 16


def materialized(name: str, value: object) -> object:
    """The value itself; for a query that waits to be carried out its result.

    That of a DuckDB relation is a pyarrow Table, or a pandas DataFrame without pyarrow; of a polars LazyFrame it is a
    DataFrame. So too for queries that are the values of a `dict`.

    Raises:
        InputError: the query fails, or its library lacks what it needs.
    """
    queries = _classes("duckdb", "DuckDBPyRelation") + _classes("polars", "LazyFrame")
    if isinstance(value, queries):
        return _result(name, value)
    if type(value) is not dict:
        return value
    items = cast("dict[object, object]", value)
    if not any(isinstance(item, queries) for item in items.values()):
        return items
    return {key: _result(name, item) if isinstance(item, queries) else item for key, item in items.items()}


def _classes(library: str, name: str) -> tuple[Any, ...]:
    """The class, if its library is imported."""
    kind: Any = getattr(sys.modules.get(library), name, None)
    return () if kind is None else (kind,)


def _result(name: str, query: Any) -> object:
    lazy = isinstance(query, _classes("polars", "LazyFrame"))
    try:
        return query.collect() if lazy else _rows(query)
    except Exception as error:
        cause = " ".join(str(error).split())[:200]
        what = "polars LazyFrame" if lazy else "DuckDB relation"
        raise InputError(f"{name}: the query of this {what} fails: {cause}") from error


def _rows(relation: Any) -> object:
    if _has("pyarrow"):
        # older versions have the second name only, newer ones warn of it
        method = "to_arrow_table" if hasattr(relation, "to_arrow_table") else "fetch_arrow_table"
        return getattr(relation, method)()
    if _has("pandas"):
        return relation.df()
    raise ImportError("its result needs pyarrow or pandas here: install one")


def is_reducible(kind: Any) -> bool:
    """Whether `reduced` may have an answer for values of this class."""
    return _library(kind) in ("polars", "pyarrow") or (_library(kind), kind.__name__) == ("numpy", "memmap")


def reduced(value: Any) -> Any:
    """How to pickle a value, as ``__reduce_ex__`` answers it; None: as its library does."""
    with contextlib.suppress(Exception):  # a type that Arrow or its filter does not know
        return _REDUCERS[_library(cast("Any", type(value)))](value)
    return None


def _library(kind: Any) -> str:
    return str(kind.__module__).partition(".")[0]


def _polars(value: Any) -> Any:
    polars: Any = sys.modules["polars"]
    if type(value) is polars.Series:
        return polars.DataFrame.to_series, (value.to_frame(),)
    if type(value) is not polars.DataFrame or not _has("pyarrow"):
        return None
    newest = polars.CompatLevel.newest()
    table = value.to_arrow(compat_level=newest)
    small = table.get_total_buffer_size() <= 2 * value.estimated_size() + _LARGE  # not a slice of a large one
    same = polars.from_arrow(value.head(0).to_arrow(compat_level=newest)).schema == value.schema
    return (polars.from_arrow, (table,)) if small and same else None


def _arrow(value: Any) -> Any:
    arrow: Any = sys.modules["pyarrow"]
    sliceable = issubclass(type(value), (arrow.Table, arrow.RecordBatch, arrow.ChunkedArray, arrow.Array))
    if not sliceable or value.get_total_buffer_size() <= 2 * value.nbytes + _LARGE:
        return None
    return value.filter(arrow.repeat(True, len(value))).__reduce_ex__(5)


def _mapped(value: Any) -> Any:
    return value.view(sys.modules["numpy"].ndarray).__reduce_ex__(5)


_REDUCERS = {"polars": _polars, "pyarrow": _arrow, "numpy": _mapped}


def _has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
