"""Finding what in a value cannot be pickled."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, TypeAlias, cast

from ..guest.show import type_name

# Bounds of the search: seconds, levels, parts of one object.
_SECONDS = 2.0
_DEPTH = 8
_PARTS = 1000

Write: TypeAlias = "Callable[[object, BinaryIO], None]"


def culprit(name: str, value: object, write: Write) -> tuple[str, object]:
    """The innermost part that ``write`` cannot pickle, as far as a short search finds it, and how to reach it."""
    deadline = time.monotonic() + _SECONDS
    with contextlib.suppress(Exception):  # the value's own methods run, and what they raise ends the search
        for _ in range(_DEPTH):
            name, value = next(part for part in _parts(name, value) if not _picklable(part[1], write, deadline))
    return name, value


def _parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    return itertools.islice(_all_parts(name, value), _PARTS)


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


def _picklable(value: object, write: Write, deadline: float) -> bool:
    """Also true when the time is over, which ends the search."""
    if time.monotonic() > deadline:
        return True
    try:
        write(value, _Nowhere())
    except Exception:
        return False
    return True


class _Nowhere(io.BytesIO):
    """Takes what is written and keeps nothing."""

    def write(self, data: Any, /) -> int:
        return len(data)


def _short(key: object) -> str:
    return repr(key)[:40] if type(key) in (str, int) else f"<{type_name(key)}>"
