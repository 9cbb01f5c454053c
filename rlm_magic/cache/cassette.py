r"""A cassette: replies in a file of JSON lines that is shared with a notebook.

    {"cassette": 1}
    {"model": "openai/gpt-5", "window": 400000, "price": [1.25e-06, 1e-05], "notes": "", "key": "…"}
    {"asked": "Question: How many?…", "reply": "…", "usage": {…}, "model": "openai/gpt-5", "version": "0.1.0",
     "parts": ["…"], "key": "…"}

Each line is complete in itself, in the order in which the replies came. It holds no time and no address, and what is
known is not written again, so that recording once more changes only what is new. A reply may be edited by hand.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..engine.errors import InputError
from ..engine.ports import Kept
from ..engine.types import Completion
from .entry import KeptModel, Redact, completion_fields, completion_of, dump, model_fields, model_of
from .nearest import nearest_of
from .writer import Writer

FORMAT = 1
HEADER = dump({"cassette": FORMAT}).encode() + b"\n"
BLOCK = 1 << 16  # bytes


class Cassette:
    """A `ReplyStore` in a file; see the module.

    Attributes:
        notice: what went wrong with the file, one line; empty if nothing did.

    Raises:
        InputError: the file is no cassette, is damaged or of a newer version, or cannot be read or written.
    """

    def __init__(self, path: Path, redact: Redact, *, replay: bool) -> None:
        self.notice = ""
        self._path = path
        self._redact = redact
        self._models: dict[str, KeptModel] = {}
        self._kept: dict[str, Kept] = {}
        self._writer = Writer(self._write)
        if not replay:
            self._make()
        self._read()

    @property
    def name(self) -> str:
        return str(self._path)

    def get(self, key: str) -> Completion | None:
        """See `ReplyStore.get`."""
        kept = self._kept.get(key)
        return kept and kept.completion

    def put(self, kept: Kept) -> None:
        """See `ReplyStore.put`."""
        if kept.key not in self._kept:
            self._kept[kept.key] = kept
            self._writer.put(_reply_fields(kept, self._redact))

    def nearest(self, parts: Sequence[str]) -> Kept | None:
        """See `ReplyStore.nearest`."""
        return nearest_of(parts, self._kept.values())

    def model(self, key: str) -> KeptModel | None:
        """The model that was recorded under this key."""
        return self._models.get(key)

    def model_names(self) -> list[str]:
        """The models that were recorded."""
        return sorted({model.name for model in self._models.values()})

    def put_model(self, model: KeptModel) -> None:
        if self._models.get(model.key) != model:
            self._models[model.key] = model
            self._writer.put(model_fields(model))

    async def close(self) -> None:
        """Wait until all is written."""
        await self._writer.close()

    def _make(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(fd, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not os.fstat(fd).st_size:
                    file.write(HEADER)
        except OSError as error:
            raise InputError(f"the cassette {self._path} cannot be written: {error.strerror}") from None

    def _read(self) -> None:
        header, *lines = self._lines()
        _check(self._path, header)
        for number, line in enumerate(lines, 2):
            try:
                self._take(json.loads(line))
            except (KeyError, TypeError, ValueError):
                raise InputError(
                    f"line {number} of the cassette {self._path} cannot be read: "
                    "put the file back as it was, or record another with --cache on"
                ) from None

    def _lines(self) -> list[bytes]:
        try:
            *whole, torn = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            raise InputError(f"there is no cassette {self._path}: --cache on records one") from None
        except OSError as error:
            raise InputError(f"the cassette {self._path} cannot be read: {error.strerror}") from None
        if torn:
            self.notice = f"the cassette {self._path} ends within a line, which is left out"
        return whole or [b""]

    def _take(self, fields: Mapping[str, Any]) -> None:
        if "window" in fields:
            model = model_of(fields)
            self._models[model.key] = model
        else:
            kept = _reply_of(fields)
            self._kept.setdefault(kept.key, kept)

    def _write(self, group: Sequence[Mapping[str, Any]]) -> None:
        """Append whole lines. Others may append to the same file meanwhile."""
        data = "".join(dump(fields) + "\n" for fields in group).encode()
        try:
            with open(self._path, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _cut(file.fileno())
                size = file.seek(0, os.SEEK_END)
                try:
                    _write_all(file.fileno(), data)
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            self.notice = f"not all replies are kept: the cassette {self._path} cannot be written: {error.strerror}"


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _cut(fd: int) -> None:
    """Cut what a killed process left of a line; reads no more than that, as it is done before each reply."""
    size = end = os.fstat(fd).st_size
    found = -1
    while end and found < 0:
        start = max(0, end - BLOCK)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        end = start + found + 1
    if end < size:
        os.ftruncate(fd, end)


def _check(path: Path, header: bytes) -> None:
    found = _format(header)
    if found is None:
        raise InputError(f"{path} is not a cassette: its first line is not {HEADER.decode().strip()}")
    if found > FORMAT:
        raise InputError(f"the cassette {path} was made by a newer rlm_magic (format {found}): update rlm_magic")


def _format(header: bytes) -> int | None:
    try:
        return int(json.loads(header)["cassette"])
    except (KeyError, TypeError, ValueError):
        return None


def _reply_fields(kept: Kept, redact: Redact) -> dict[str, Any]:
    rest = {"model": kept.model, "version": kept.version, "parts": kept.parts, "key": kept.key}
    return {"asked": redact(kept.asked), **completion_fields(kept.completion, redact), **rest}


def _reply_of(fields: Mapping[str, Any]) -> Kept:
    model = str(fields["model"])
    completion = completion_of(model, fields)
    parts = tuple(map(str, fields["parts"]))
    return Kept(str(fields["key"]), model, str(fields["asked"]), parts, completion, str(fields["version"]))
