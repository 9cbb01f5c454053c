"""Contexts that a subkernel hands up for a sub-RLM: files that are passed on, of which only a digest is taken here."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from ..engine.errors import BindingError
from ..engine.types import ValueFile, Variable
from ..guest.frames import FrameError
from .files import take
from .results import number, text
from .rundir import Place
from .threads import in_thread

MAX_CARD = 1_000
MAX_BYTES = 4 * 1024**3
BLOCK = 1024**2  # bytes that are read at once for a digest, and how many times
BLOCKS = 64
_NAME = re.compile(r"[0-9]{1,12}-[0-9]{1,8}")
_FORMATS = ("text", "bytes", "pickle")
_numbers = itertools.count(1)

Format = Literal["text", "bytes", "pickle"]


@dataclass(frozen=True, slots=True)
class HandedUp:
    """A `Source`: a file that a subkernel left in its outbox. Its content is the model's."""

    place: Place
    name: str
    format: Format
    number: int = field(default_factory=_numbers.__next__)

    @property
    def _kept(self) -> Path:
        """Out of the subkernel's reach, so that the name stands for one file from now on."""
        return self.place.directory / f"handed-{self.number}"

    def file(self) -> ValueFile:
        with self._opened() as (descriptor, size):
            if not self._kept.exists():
                take(descriptor, self._kept)
        return ValueFile(str(self._kept), self.format, size)

    def digest(self) -> str:
        """Names the content: SHA-256 of it, or of blocks all over it if it is large.

        Raises:
            BindingError: as `file`.
        """
        with self._opened() as (descriptor, size):
            found = hashlib.sha256(f"{self.format} {size}".encode())
            for start in range(0, size, max(BLOCK, size // BLOCKS)):
                found.update(os.pread(descriptor, BLOCK, start))
        return found.hexdigest()[:32]

    @contextmanager
    def _opened(self) -> Generator[tuple[int, int]]:
        """The file's descriptor and size."""
        try:
            descriptor = os.open(self.place.outbox / self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                yield descriptor, _checked(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BindingError(f"the context of a sub-RLM cannot be passed on: {error.strerror}") from error

    def release(self) -> None:
        """Forget the file; called when the sub-call is over."""
        self._kept.unlink(missing_ok=True)


def handed_up(place: Place, fields: Any) -> Variable:
    """The variable that an item's ``context`` announces.

    Raises:
        FrameError: it names no file of an outbox, or an unknown format.
    """
    if not isinstance(fields, dict):
        raise FrameError("a context is not an object")
    fields = cast(dict[str, Any], fields)
    name, form = text(fields, "file"), fields.get("format")
    if not _NAME.fullmatch(name) or form not in _FORMATS:
        raise FrameError("a context names no file of the outbox, or an unknown format")
    card, size = text(fields, "card")[:MAX_CARD], number(fields, "text_size")
    return Variable("context", card, HandedUp(place, name, form), trusted=False, text_size=size)


async def identified(contexts: Sequence[Variable | None]) -> tuple[Variable | None, ...]:
    """The same contexts with their digests. One that cannot be read gets none: what binds it will say why."""
    if not any(contexts):
        return tuple(contexts)
    return await in_thread(lambda: tuple(context and _identified(context) for context in contexts))


def _identified(context: Variable) -> Variable:
    with suppress(BindingError):
        return replace(context, digest=cast(HandedUp, context.source).digest())
    return context


def _checked(descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise BindingError("the context of a sub-RLM is not a plain file")
    if status.st_size > MAX_BYTES:
        raise BindingError(
            f"the context of a sub-RLM has {status.st_size:,} bytes; at most {MAX_BYTES:,} are passed on"
        )
    return status.st_size
