"""The card of raw bytes, of a file, and of a directory."""

from __future__ import annotations

import codecs
import os
import pathlib
import stat
import time
from typing import Any, Counter, Dict, Iterator, List, Tuple

from .card_sqlite import sqlite_lines
from .card_text import text_form
from .show import CHUNK, listed, show, type_name

# Files that are looked at, and seconds for it.
_ENTRIES = 10_000
_SECONDS = 0.5
_HEAD = 1 << 16
_ITEM = 200
_SQLITE = "SQLite database"
# Codecs of texts, and what they are called.
_TEXTS = {
    "utf-8": "UTF-8 text",
    "utf-16-le": "UTF-16 text",
    "utf-16-be": "UTF-16 text",
    "latin-1": "text that is not UTF-8, read here as Latin-1",
}
_BOMS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\v\f\r\x1b"})
_MAGIC = {
    b"%PDF-": "PDF",
    b"\x89PNG": "PNG image",
    b"\xff\xd8\xff": "JPEG image",
    b"GIF8": "GIF image",
    b"PK\x03\x04": "ZIP archive (also DOCX, XLSX, EPUB)",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow IPC file",
    b"SQLite format 3": _SQLITE,
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "NumPy array file",
    b"\x7fELF": "ELF executable",
}


def bytes_card(value: Any) -> List[str]:
    """Lines that describe `bytes` or a `bytearray`."""
    head, tail = bytes(value[:_HEAD]), bytes(value[-_ITEM:])
    size = f"{type_name(value)}, {len(value):,} bytes, {_content(head, tail, len(value) <= _HEAD)}"
    last = [f"Last: {show(tail[-80:], _ITEM)}"] if len(value) > _ITEM else []
    return [size, f"First: {show(head, _ITEM)}", *last] if head else [size]


def path_card(path: pathlib.Path) -> List[str]:
    """Lines that describe a file or a directory."""
    status = os.stat(path)
    return _folder(path) if stat.S_ISDIR(status.st_mode) else _file(path, status.st_size)


def _content(head: bytes, tail: bytes, whole: bool) -> str:
    codec = _codec(head)
    if not codec:
        return _kind(head) or ("binary" if head else "empty")
    return f"{_TEXTS[codec]}: {text_form(head.decode(codec, 'ignore'), tail.decode(codec, 'ignore'), whole)}"


def _kind(head: bytes) -> str:
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def _codec(head: bytes) -> str:
    """That of a text; empty for what is none."""
    if not head or _kind(head):
        return ""
    if head[:2] in _BOMS:
        return _BOMS[head[:2]]
    if b"\x00" not in head and _is_utf8(head):
        return "utf-8"
    written = b" " in head or b"\n" in head
    return "latin-1" if written and len(head) == len(head.translate(None, _CONTROLS)) else ""


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # the head ends within a character
    return True


def _file(path: pathlib.Path, size: int) -> List[str]:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        file.seek(max(size - _ITEM, 0))
        tail = file.read(_ITEM)
    content = _content(head, tail, size <= _HEAD)
    codec = _codec(head)
    first = head.decode(codec, "replace").lstrip("\ufeff").partition("\n")[0] if codec else ""
    start = [f"First line: {show(first, _ITEM)}"] if codec else []
    chunks = [f"Suggested chunks: {-(-size // CHUNK):,} of {CHUNK:,} bytes"] if codec and size > CHUNK else []
    inner = sqlite_lines(path) if content == _SQLITE else []
    return [f"file {show(str(path), 200)}, {size:,} bytes, {content}", *start, *chunks, *inner]


def _folder(path: pathlib.Path) -> List[str]:
    found, complete = files(str(path))
    least = "" if complete else "at least "
    size = sum(found.values())
    lines = [f"directory {show(str(path), 200)}, {least}{len(found):,} files, {least}{size:,} bytes"]
    if found:
        kinds = Counter[str](os.path.splitext(file)[1].lower() or "none" for file in found).most_common(8)
        lines.append("Extensions: " + listed([f"{show(name, 30)[1:-1]} {count:,}" for name, count in kinds]))
        lines.append("Files: " + listed([show(os.path.relpath(file, path), 80) for file in sorted(found)[:8]]))
    return lines


def files(top: str) -> Tuple[Dict[str, int], bool]:
    """Files below a directory with their sizes, and whether these are all; a large tree is left early."""
    deadline = time.monotonic() + _SECONDS
    sizes: Dict[str, int] = {}
    folders = [top]
    while folders:
        for entry in _scan(folders.pop()):
            if time.monotonic() > deadline or len(sizes) >= _ENTRIES:
                return sizes, False
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                sizes[entry.path] = _size(entry)
    return sizes, True


def _scan(folder: str) -> "Iterator[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:  # gone, or not to be read
        return


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
