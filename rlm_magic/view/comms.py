"""Comms of a Jupyter kernel: what the frontend says over them must be heard while a cell runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .words import shorten

BODIES = "rlm_magic.bodies"
LONGEST_BODY = 1_000_000  # characters; a Jupyter server drops what goes beyond a megabyte a second


def unpin(comm: Any) -> None:
    """Let commands come in while a cell runs.

    ipykernel 7.4 sends what a frontend says to the shell that last spoke over the comm, which the running cell blocks.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _as_asked


def _as_asked(data: object, default: object) -> object:
    return default


def body_message(sha256: str, text: str | None) -> dict[str, Any]:
    """A text for the view, fit for a Jupyter message: long ones cut, no lone surrogates."""
    shown = None if text is None else shorten(text, LONGEST_BODY).encode("utf-8", "replace").decode()
    return {"type": "body", "sha256": sha256, "text": shown}


def serve_bodies(manager: Any, find: Callable[[str], Mapping[str, str] | None]) -> None:
    """Answer the views of saved runs, as long as this kernel lives.

    Args:
        manager: the kernel's comm manager.
        find: the texts of a run by their hash, given its id; None if it is not known.
    """

    def opened(comm: Any, message: Mapping[str, Any]) -> None:
        bodies = find(str(message["content"]["data"].get("run")))
        unpin(comm)
        if bodies is None:
            comm.close()
            return

        def asked(message: Mapping[str, Any]) -> None:
            sha256 = str(message["content"]["data"].get("sha256"))
            comm.send(body_message(sha256, bodies.get(sha256)))

        comm.on_msg(asked)

    manager.register_target(BODIES, opened)
