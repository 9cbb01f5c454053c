"""What a subkernel tells of a cell, checked and as the engine's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any, cast

from ..engine.arguments import nested_within
from ..engine.types import CellError, CellResult, Change, Finish, Json, Rich
from ..guest.frames import Frame, FrameError

# The guest keeps to less; what is longer was sent by the model's code, and is cut or left out.
MAX_RICH = 16
MAX_RICH_BYTES = 34 * 1024**2  # of memory, all of a cell's together
MAX_OUTPUT = 1_100_000
MAX_TEXT = 20_000
MAX_NAME = 200
MAX_CHANGES = 50
MAX_NUMBER = 2**53 - 1  # what the view can count to
# Deeper values could not be written to the record: Python's json is recursive.
MAX_DEPTH = 100
FORMS = ("answer", "FINAL", "FINAL_VAR", "Final")


@dataclass(slots=True)
class Report:
    """What came of one cell so far. Every frame is untrusted; a second one of a kind that comes once is left out."""

    rich: list[Rich] = field(default_factory=list[Rich])
    finish: Finish | None = None
    result: Frame | None = None
    _rich_bytes: int = 0

    def add(self, frame: Frame) -> None:
        """Take a rich, finish or result frame.

        Raises:
            FrameError: it is not what it must be.
        """
        kind = frame["type"]
        if kind == "rich" and len(self.rich) < MAX_RICH:
            self._add_rich(_texts(frame.get("data")))
        elif kind == "finish" and self.finish is None:
            self.finish = _finish(frame)
        elif kind == "result" and self.result is None:
            self.cell_result(frame)
            self.result = frame

    def _add_rich(self, data: dict[str, str]) -> None:
        size = sum(map(getsizeof, (*data, *data.values())))
        if self._rich_bytes + size <= MAX_RICH_BYTES:
            self._rich_bytes += size
            self.rich.append(Rich(data))

    def cell_result(self, frame: Frame | None = None) -> CellResult:
        """The cell's result, once the result frame has come."""
        frame = frame or self.result or {}
        error = frame.get("error")
        return CellResult(
            "ok" if error is None else "error",
            text(frame, "output", MAX_OUTPUT),
            number(frame, "output_chars"),
            None if error is None else _error(error),
            tuple(_change(item) for item in _list(frame.get("changes", []))[:MAX_CHANGES]),
            self.finish,
            shallow(frame.get("partial")),
            tuple(self.rich),
        )


def text(frame: Mapping[str, Any], name: str, most: int | None = None) -> str:
    """A field that is a text; of a longer one than ``most`` its beginning."""
    value = frame.get(name)
    if not isinstance(value, str):
        raise FrameError(f"{name} is not a text")
    return value[:most]


def number(frame: Mapping[str, Any], name: str) -> int:
    value = frame.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise FrameError(f"{name} is not a number from 0 to {MAX_NUMBER:,}")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FrameError("not a list")
    return cast(list[Any], value)


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FrameError("not an object")
    return cast(dict[str, Any], value)


def _texts(value: Any) -> dict[str, str]:
    data = _dict(value)
    return {kind: text(data, kind) for kind in data}


def _finish(frame: Frame) -> Finish:
    via = frame.get("via")
    if via not in FORMS:
        raise FrameError("via is unknown")
    return Finish(shallow(frame.get("value")), via, text(frame, "notice", MAX_TEXT))


def _error(value: Any) -> CellError:
    fields = _dict(value)
    return CellError(
        text(fields, "name", MAX_NAME), text(fields, "message", MAX_TEXT), text(fields, "traceback", MAX_TEXT)
    )


def _change(value: Any) -> Change:
    fields = _dict(value)
    new = fields.get("new")
    name, kind, size = (text(fields, each, MAX_NAME) for each in ("name", "type", "size"))
    return Change(name, kind, size, new is True)


def shallow(value: Any) -> Json:
    """The value, if it is not nested too deeply."""
    if not nested_within(value, MAX_DEPTH):
        raise FrameError(f"an answer is nested more than {MAX_DEPTH} deep")
    return value
