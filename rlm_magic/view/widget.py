"""The live view: one anywidget for each run, and nothing in it but a channel to the `Feed`."""

# ipywidgets is typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import anywidget

from .comms import unpin

STATIC = Path(__file__).parent.parent / "static"


class RunView(anywidget.AnyWidget):
    """The tree of a run in a notebook, as long as its kernel lives.

    Args:
        receive: called with each message of the view, on whatever thread the frontend's messages come in.
    """

    _esm = STATIC / "view.js"
    _css = STATIC / "view.css"

    def __init__(self, receive: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._receive = receive
        self.on_msg(self._take)
        unpin(self.comm)

    def bundle(self, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Data and metadata to display it with ``raw=True``, which old ipywidgets need for a ``display_id``.

        ``text`` stands where no widget can be shown.
        """
        data, metadata = cast("tuple[dict[str, Any], dict[str, Any]]", self._repr_mimebundle_())
        return {**data, "text/plain": text}, metadata

    def _take(self, widget: object, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        self._receive(message)
