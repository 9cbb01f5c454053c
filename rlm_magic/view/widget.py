"""The live view: one anywidget for each run, and nothing in it but a channel to the `Feed`."""

# ipywidgets is typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget

STATIC = Path(__file__).parent.parent / "static"
MODULE, STYLE = STATIC / "view.js", STATIC / "view.css"


class RunView(anywidget.AnyWidget):
    """The tree of a run in a notebook, as long as its kernel lives.

    Args:
        receive: called with each message of the view, on whatever thread the frontend's messages come in.
    """

    _esm = MODULE
    _css = STYLE

    def __init__(self, receive: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._receive = receive
        self.on_msg(self._take)
        _unpin(self.comm)

    def _take(self, widget: object, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        self._receive(message)


def is_built() -> bool:
    """Whether this installation has the view; one from source without Node has not."""
    return MODULE.exists()


def _unpin(comm: Any) -> None:
    """Let commands come in while a cell runs.

    ipykernel 7.4 sends what a view says to the shell that last spoke to the view, which the running cell blocks.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _as_asked


def _as_asked(data: object, default: object) -> object:
    return default
