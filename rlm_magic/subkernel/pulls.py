"""Variables that a subkernel hands up: read and rebuilt here, nothing of them run, no path of theirs opened.

The file is the model's. It is opened by a name that we chose, in the subkernel's outbox, and copied into memory before
it is looked at, as the other side may change it at any time. `rlm_magic.guest.exports` says what it may hold.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ..engine.errors import InputError
from ..guest.exports import MAX_BYTES, MAX_JSON
from ..guest.show import cut, printable
from .results import shallow
from .tables import table_of

NPY = b"\x93NUMPY"
MAX_DIMENSIONS = 32
MAX_SAID = 400
_HEADER = re.compile(
    r"\{'descr': '([<>|][biufcSUmM]\d{1,9}(?:\[\d{0,9}[a-zA-Z]{1,2}\])?)', 'fortran_order': (True|False), "
    r"'shape': \(([\d, ]{0,600})\), \} *\n"
)
LARGEST_CHARACTER = 0x10FFFF


def pulled(path: Path, fields: Mapping[str, Any]) -> object:
    """The value in the file that a subkernel left at ``path``, as its ``fields`` say. Blocks.

    Raises:
        InputError: it is none that is taken; the message is one line.
    """
    if fields.get("error"):
        raise InputError(line(fields["error"]))
    form = str(fields.get("form"))
    if form not in _FORMS:
        raise InputError("it came in a form that is unknown")
    try:
        return _FORMS[form](_content(path), fields)
    except InputError:
        raise
    except NotImplementedError as error:
        raise InputError(f"its library cannot read that here ({line(error)}): make it text or numbers below") from None
    except Exception as error:  # what a library makes of damaged data
        raise InputError(f"what came is not what it says: {line(f'{type(error).__name__}: {error}')}") from None


def line(said: object) -> str:
    """What a subkernel or a library says, fit for one line of a message."""
    return cut(" ".join(printable(str(said)[: 10 * MAX_SAID]).split()), MAX_SAID)


def needed(name: str, what: str) -> ModuleType:
    """A library that a value of another process needs in this one.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            f"a {what} needs {name} here, which is not installed: pip install {name}, or make it a list of dicts below"
        ) from None


def _content(path: Path) -> bytearray:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("what came is not a plain file")
        if status.st_size > MAX_BYTES:
            raise InputError(f"it has {status.st_size:,} bytes; at most {MAX_BYTES:,} are pulled: take a part of it")
        content = bytearray(status.st_size)
        del content[file.readinto(content) :]
        return content


def _text(content: bytearray, fields: Mapping[str, Any]) -> str:
    return content.decode("utf-8", "surrogatepass")


def _bytes(content: bytearray, fields: Mapping[str, Any]) -> bytes:
    return bytes(content)


def _json(content: bytearray, fields: Mapping[str, Any]) -> object:
    if len(content) > MAX_JSON:
        raise InputError(f"it has {len(content):,} bytes as JSON; at most {MAX_JSON:,} are pulled")
    try:
        return shallow(json.loads(content.decode("utf-8", "surrogatepass")))
    except RecursionError:
        raise InputError("it is nested too deeply") from None


def _array(content: bytearray, fields: Mapping[str, Any]) -> object:
    """An array over ``content``. NumPy's own reader would evaluate the header and believe its shape."""
    numpy: Any = needed("numpy", "NumPy array")
    descr, fortran, shape, offset = _header(content)
    dtype, count = numpy.dtype(descr), math.prod(shape)
    if not dtype.itemsize or dtype.itemsize * count != len(content) - offset:
        raise ValueError("the length of an array is not what its header says")
    if not count:
        return numpy.empty(shape, dtype)
    flat = numpy.frombuffer(content, dtype, count, offset)
    raw = {"U": f"{dtype.byteorder.replace('|', '=')}u4", "b": "u1"}.get(dtype.kind)
    if raw and flat.view(raw).max() > (LARGEST_CHARACTER if dtype.kind == "U" else 1):
        raise ValueError("an array holds what is no character, or neither true nor false")
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(content: bytearray) -> tuple[str, bool, tuple[int, ...], int]:
    """Type, order, shape and offset of the data."""
    width = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}.get(bytes(content[6:8]), 0)
    start = 8 + width
    end = start + int.from_bytes(content[8:start], "little")
    found = _HEADER.fullmatch(content[start:end].decode("ascii")) if end - start < 2_000 else None
    if not content.startswith(NPY) or not width or end > len(content) or found is None:
        raise ValueError("an array without a plain header")
    shape = tuple(int(size) for size in found[3].split(",") if size.strip())
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"an array of {len(shape)} dimensions")
    return found[1], found[2] == "True", shape, end


def _table(content: bytearray, fields: Mapping[str, Any]) -> object:
    arrow = needed("pyarrow", "table")
    kind = str(fields.get("kind"))
    library = kind.partition(".")[0]
    if library not in ("pandas", "polars", "pyarrow"):
        raise ValueError("a table of an unknown library")
    return table_of(arrow, needed(library, f"{library} table"), content, fields)


_FORMS: dict[str, Callable[[bytearray, Mapping[str, Any]], object]] = {
    "text": _text,
    "bytes": _bytes,
    "json": _json,
    "npy": _array,
    "arrow": _table,
}
