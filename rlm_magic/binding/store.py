"""The value files of this notebook kernel, each written once, when a sandbox asks for it."""

from __future__ import annotations

import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

from ..engine.types import ValueFile
from ..guest.load import write_text
from .folder import PrivateFolder
from .pickling import pickle_into

# Texts whose files outlive their runs, so that the next run on the same text starts at once.
RECENT = 4


class ValueStore:
    """Hands out sources for values; one for each live `str` or `bytes`, so that an unchanged one is not written again.

    Args:
        parent: directory for the files; default: on disk, where temporary files go.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._folder = PrivateFolder(parent)
        self._guard = threading.Lock()
        self._recent: OrderedDict[int, WrittenOnce] = OrderedDict()

    def source(self, name: str, value: object) -> WrittenOnce:
        """The source of a value; ``name`` is for messages. Writes nothing yet."""
        if not isinstance(value, (str, bytes)):
            return WrittenOnce(name, value, self._folder)
        with self._guard:
            self._forget_unused()
            # The source holds the value, so its id is of no other object. A `str` takes no weak reference.
            source = self._recent.pop(id(value), None) or WrittenOnce(name, value, self._folder)
            self._recent[id(value)] = source
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
            return source

    def close(self) -> None:
        """Remove all files."""
        with self._guard:
            self._recent.clear()
        self._folder.close()

    def _forget_unused(self) -> None:
        """Let go of values that nobody else holds any more: a deleted gigabyte must not stay because of us."""
        unused = [key for key, source in self._recent.items() if source.only_holder()]
        for key in unused:
            del self._recent[key]


class WrittenOnce:
    """A value and, from the first request on, its file, which is removed when nothing refers to this any more."""

    def __init__(self, name: str, value: object, folder: PrivateFolder) -> None:
        self._name = name
        self._value = value
        self._folder = folder
        self._guard = threading.Lock()
        self._file: ValueFile | None = None

    def file(self) -> ValueFile:
        """The value as a file, whoever asks first writing it; see `rlm_magic.engine.types.Source`."""
        with self._guard:
            if self._file is None or not Path(self._file.path).exists():
                self._file = self._write()
            return self._file

    def only_holder(self) -> bool:
        """Nobody but this holds the value: it counts our reference and the call's own."""
        return sys.getrefcount(self._value) <= 2

    def _write(self) -> ValueFile:
        format_, size, fill = self._plan()
        path = self._folder.write(fill, size)
        weakref.finalize(self, self._folder.remove, path).atexit = False
        return ValueFile(str(path), format_, path.stat().st_size)

    def _plan(self) -> tuple[Literal["text", "bytes", "pickle"], int, Callable[[BinaryIO], object]]:
        """Format, least size in bytes, and what writes the content."""
        value = self._value
        if isinstance(value, str):
            return "text", len(value), lambda file: write_text(value, file)
        if isinstance(value, bytes):
            return "bytes", len(value), lambda file: file.write(value)
        return "pickle", 0, lambda file: pickle_into(file, self._name, value)
