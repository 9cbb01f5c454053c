"""Contexts that a subkernel hands up for a sub-RLM: files that are passed on and never opened here."""

from __future__ import annotations

import itertools
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from ..engine.errors import BindingError
from ..engine.types import ValueFile, Variable
from ..guest.frames import FrameError
from .files import take
from .results import number, text
from .rundir import Place

MAX_CARD = 1_000
MAX_BYTES = 4 * 1024**3
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
        try:
            descriptor = os.open(self.place.outbox / self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                size = _checked(descriptor)
                if not self._kept.exists():
                    take(descriptor, self._kept)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BindingError(f"the context of a sub-RLM cannot be passed on: {error.strerror}") from error
        return ValueFile(str(self._kept), self.format, size)

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


def _checked(descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise BindingError("the context of a sub-RLM is not a plain file")
    if status.st_size > MAX_BYTES:
        raise BindingError(
            f"the context of a sub-RLM has {status.st_size:,} bytes; at most {MAX_BYTES:,} are passed on"
        )
    return status.st_size
