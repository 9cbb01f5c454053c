"""Values as files: how a variable of the notebook reaches a subkernel, and a context reaches a sub-RLM.

    text     UTF-8, lone surrogates kept
    bytes    the raw content
    path     no content of its own: the value is the path itself
    pickle   the container below

The container holds a pickle (protocol 5) and its out-of-band buffers in one file. It is mapped copy-on-write, so that
arrays and tables lie where they were written, cost no copy and stay writable. All numbers are little-endian:

    pickle stream
    each buffer, at the next multiple of 64 bytes
    each buffer's offset and length, 8 bytes each
    length of the pickle stream (8 bytes), number of buffers (8 bytes), MAGIC

The end is written last, so that a file that was cut short is never taken for a whole one.
"""

from __future__ import annotations

import mmap
import os
import pathlib
import pickle
import struct
from typing import Any, BinaryIO, Callable, List, Tuple, Union

MAGIC = b"RLMPKL1\n"
FOOTER = struct.Struct("<QQ8s")
SPAN = struct.Struct("<QQ")
ALIGN = 64
# Characters encoded at a time: the copies stay in the processor's cache, which writes 1 GiB of ASCII as fast as
# handing out CPython's own buffer does (0.21 s against 0.19; 1.08 s in steps of 4 Mi characters).
STEP = 1 << 18

Span = Tuple[int, int]
Mapped = Union[mmap.mmap, bytes]


def load(path: str, format: str) -> object:
    """Read a value back. Blocks; about half a second for 1 GiB of text.

    Raises:
        ValueError: the file is cut short, or is not of this format.
        OSError: it cannot be read.
        MemoryError: it does not fit.
        ImportError, AttributeError: a class of a pickled value does not exist in this Python.
    """
    if format not in _LOADERS:
        raise ValueError(f"format {format!r} is unknown: it is one of {', '.join(_LOADERS)}")
    try:
        return _LOADERS[format](path)
    except MemoryError:
        size = os.path.getsize(path)
        raise MemoryError(f"{size:,} bytes do not fit into the memory here: bind the path of a file instead") from None


def dump(value: object, path: str) -> str:
    """Write a value to a new private file and return its format: "text", "bytes" or "pickle".

    Raises:
        OSError: the file exists or cannot be written. Nothing is left behind.
        Exception: whatever pickling raises for a value that cannot be pickled. Nothing is left behind.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with open(descriptor, "wb") as file:
            return write(value, file)
    except BaseException:
        os.unlink(path)
        raise


def write(value: object, file: BinaryIO, pickler: Callable[..., Any] = pickle.Pickler) -> str:
    """Write a value in the format that fits it, and return that format."""
    if isinstance(value, str):
        write_text(value, file)
        return "text"
    if isinstance(value, bytes):
        file.write(value)
        return "bytes"
    write_pickle(value, file, pickler)
    return "pickle"


def write_text(text: str, file: BinaryIO) -> None:
    for start in range(0, len(text), STEP):
        file.write(text[start : start + STEP].encode("utf-8", "surrogatepass"))


def write_pickle(value: object, file: BinaryIO, pickler: Callable[..., Any] = pickle.Pickler) -> None:
    """Write the container, from position 0 of ``file``; ``pickler`` is called as `pickle.Pickler` is."""
    buffers: List[pickle.PickleBuffer] = []
    # append() answers None, which keeps a buffer out of the stream
    pickler(file, protocol=5, buffer_callback=buffers.append).dump(value)
    stream = file.tell()
    spans = [_write_buffer(buffer, file) for buffer in buffers]
    file.writelines(SPAN.pack(*span) for span in spans)
    file.write(FOOTER.pack(stream, len(spans), MAGIC))


def _write_buffer(buffer: pickle.PickleBuffer, file: BinaryIO) -> Span:
    file.write(bytes(-file.tell() % ALIGN))
    offset = file.tell()
    with buffer.raw() as raw:
        file.write(raw)
        return offset, raw.nbytes


def _load_text(path: str) -> str:
    try:
        return str(_map(path, mmap.ACCESS_READ), "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def _load_bytes(path: str) -> bytes:
    return _map(path, mmap.ACCESS_READ)[:]


def _load_pickle(path: str) -> object:
    mapped = _map(path, mmap.ACCESS_COPY)
    view = memoryview(mapped)
    try:
        stream, spans = _layout(view)
        return pickle.loads(view[:stream], buffers=[view[start : start + length] for start, length in spans])
    except (pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{path} is not a whole value file: {error}") from None


def _layout(view: memoryview) -> Tuple[int, List[Span]]:
    """Length of the pickle stream, and where each buffer lies."""
    if len(view) < FOOTER.size:
        raise EOFError(f"it has {len(view)} bytes")
    stream, count, magic = FOOTER.unpack(view[-FOOTER.size :])
    index = len(view) - FOOTER.size - count * SPAN.size
    if magic != MAGIC or not 0 < stream <= index:
        raise EOFError("its end is missing, or it is of another kind")
    spans: List[Span] = [*SPAN.iter_unpack(view[index : -FOOTER.size])]  # type: ignore[list-item]
    if any(start + length > index for start, length in spans):
        raise EOFError("a buffer lies outside of it")
    return stream, spans


def _map(path: str, access: int) -> Mapped:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""  # an empty file cannot be mapped
        return mmap.mmap(file.fileno(), 0, access=access)


_LOADERS: "dict[str, Callable[[str], object]]" = {
    "text": _load_text,
    "bytes": _load_bytes,
    "pickle": _load_pickle,
    "path": pathlib.Path,
}
