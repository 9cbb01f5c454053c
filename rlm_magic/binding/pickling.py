"""Pickling a value of the notebook, and finding what in it cannot be pickled."""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from ..engine.errors import BindingError
from ..guest.load import write_pickle
from ..guest.show import type_name

# Bounds of the search for the culprit: seconds, levels, parts of one object.
_SEARCH_SECONDS = 2.0
_SEARCH_DEPTH = 8
_SEARCH_PARTS = 1000


def pickle_into(file: BinaryIO, name: str, value: object) -> None:
    """Write the container of `rlm_magic.guest.load`; classes and functions of the notebook travel by value.

    Raises:
        BindingError: the value, or a part of it, cannot be pickled; the message names it.
        OSError: the file cannot be written.
    """
    try:
        write_pickle(value, file, _pickler())
    except OSError:
        raise
    except Exception as error:
        place, part = culprit(name, value)
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BindingError(
            f"{name} cannot be handed to the subkernel: {place} ({type_name(part)}) cannot be pickled: {cause}; "
            "convert it to text, list, dict or DataFrame, or pass a path"
        ) from error


def culprit(name: str, value: object) -> tuple[str, object]:
    """The innermost part that cannot be pickled, as far as a short search finds it, and how to reach it."""
    deadline = time.monotonic() + _SEARCH_SECONDS
    with contextlib.suppress(Exception):  # the value's own methods run, and what they raise ends the search
        for _ in range(_SEARCH_DEPTH):
            name, value = next(part for part in _parts(name, value) if not _picklable(part[1], deadline))
    return name, value


def _parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    return itertools.islice(_all_parts(name, value), _SEARCH_PARTS)


def _all_parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield f"a key of {name}", key
            yield f"{name}[{_short(key)}]", item
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(cast("list[object]", value)):
            yield f"{name}[{position}]", item
    elif isinstance(value, (set, frozenset)):
        for item in cast("set[object]", value):
            yield f"an item of {name}", item
    for attribute, item in cast("dict[str, object]", getattr(cast("object", value), "__dict__", {})).items():
        yield f"{name}.{attribute}", item


def _picklable(value: object, deadline: float) -> bool:
    """Also true when the time is over, which ends the search."""
    if time.monotonic() > deadline:
        return True
    try:
        write_pickle(value, _Nowhere(), _pickler())
    except Exception:
        return False
    return True


def _pickler() -> Any:
    return importlib.import_module("cloudpickle").Pickler  # 30 ms, and texts need none of it


class _Nowhere(io.BytesIO):
    """Takes what is written and keeps nothing."""

    def write(self, data: Any, /) -> int:
        return len(data)


def _short(key: object) -> str:
    return repr(key)[:40] if type(key) in (str, int) else f"<{type_name(key)}>"
