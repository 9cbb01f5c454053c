"""Contexts on their way to a sub-RLM: files that only the child will open."""

from __future__ import annotations

import json
import os
from typing import Any, Dict

from .card import card
from .load import dump
from .search import searchable

MAX_CARD = 1_000


class Outbox:
    """The directory where contexts are left for the notebook to pass on."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def put(self, name: str, value: object) -> Dict[str, Any]:
        """Write a value and return what an item's frame says of it.

        Raises:
            Exception: whatever writing it raises.
        """
        form = dump(value, os.path.join(self._directory, name))
        described = {"card": card("context", value)[:MAX_CARD], "text_size": searchable(value)}
        return {"file": name, "format": form, **described}

    def drop(self, prefix: str) -> None:
        """Remove the files of a call that is over."""
        for name in os.listdir(self._directory):
            if name.startswith(prefix):
                os.unlink(os.path.join(self._directory, name))


def as_text(value: object) -> str:
    """A context as part of a prompt: a text as it is, anything else as JSON where that exists."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
