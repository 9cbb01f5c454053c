"""What a subkernel tells of a cell, checked and as the engine's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..engine.arguments import nested_within
from ..engine.types import CellError, CellResult, Change, Finish, Json, Rich
from ..guest.frames import Frame, FrameError

MAX_RICH = 16
MAX_CHANGES = 50
# Deeper values could not be written to the record: Python's json is recursive.
MAX_DEPTH = 100
FORMS = ("answer", "FINAL", "FINAL_VAR", "Final")


@dataclass(slots=True)
class Report:
    """What came of one cell so far. Every frame is untrusted; a second one of a kind that comes once is left out."""

    rich: list[Rich] = field(default_factory=list[Rich])
    finish: Finish | None = None
    result: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Take a rich, finish or result frame.

        Raises:
            FrameError: it is not what it must be.
        """
        kind = frame["type"]
        if kind == "rich" and len(self.rich) < MAX_RICH:
            self.rich.append(Rich(_texts(frame.get("data"))))
        elif kind == "finish" and self.finish is None:
            self.finish = _finish(frame)
        elif kind == "result" and self.result is None:
            self.cell_result(frame)
            self.result = frame

    def cell_result(self, frame: Frame | None = None) -> CellResult:
        """The cell's result, once the result frame has come."""
        frame = frame or self.result or {}
        error = frame.get("error")
        return CellResult(
            "ok" if error is None else "error",
            text(frame, "output"),
            number(frame, "output_chars"),
            None if error is None else _error(error),
            tuple(_change(item) for item in _list(frame.get("changes", []))[:MAX_CHANGES]),
            self.finish,
            shallow(frame.get("partial")),
            tuple(self.rich),
        )


def text(frame: Mapping[str, Any], name: str) -> str:
    value = frame.get(name)
    if not isinstance(value, str):
        raise FrameError(f"{name} is not a text")
    return value


def number(frame: Mapping[str, Any], name: str) -> int:
    value = frame.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FrameError(f"{name} is not a number from 0 on")
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
    return Finish(shallow(frame.get("value")), via, text(frame, "notice"))


def _error(value: Any) -> CellError:
    fields = _dict(value)
    return CellError(text(fields, "name"), text(fields, "message"), text(fields, "traceback"))


def _change(value: Any) -> Change:
    fields = _dict(value)
    new = fields.get("new")
    return Change(text(fields, "name"), text(fields, "type"), text(fields, "size"), new is True)


def shallow(value: Any) -> Json:
    """The value, if it is not nested too deeply."""
    if not nested_within(value, MAX_DEPTH):
        raise FrameError(f"an answer is nested more than {MAX_DEPTH} deep")
    return value
