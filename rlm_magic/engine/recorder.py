"""Numbers and times what happens, and hands it to the journal first, then to the observers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from .errors import JournalError
from .events import Event, EventType, reference
from .ports import Clock, Journal, Observer
from .types import Message

log = logging.getLogger("rlm_magic")


class Recorder:
    """The one writer of a run's events. Used on the engine's thread only.

    ``conceal`` takes secrets out of every text before anybody has it.
    """

    def __init__(
        self, journal: Journal, observers: Iterable[Observer], clock: Clock, conceal: Callable[[str], str] = str
    ) -> None:
        self._journal = journal
        self._observers = list(observers)
        self._clock = clock
        self._conceal = conceal
        self._start = clock()
        self._seq = 0
        self._children: dict[str, int] = {}
        self._bodies: set[str] = set()
        self._failure: Exception | None = None

    def open(
        self, parent: str | None, kind: str, *, depth: int, label: str = "", child: int | None = None, **fields: Any
    ) -> str:
        """Open a node below ``parent`` (None: the run itself) and return its path.

        ``child`` is its number there; None: one more than the highest so far.
        """
        node = "0" if parent is None else self.upcoming(parent, child)
        if parent is not None:
            self._children[parent] = max(self._children.get(parent, 0), int(node.rpartition(".")[2]))
        self._emit("open", node, {"kind": kind, "parent": parent, "depth": depth, "label": label[:120], **fields})
        return node

    def patch(self, node: str, **fields: Any) -> None:
        self._emit("patch", node, fields)

    def phase(self, node: str, phase: str) -> None:
        self._emit("await", node, {"phase": phase})

    def human(self, node: str, action: str, text: str = "") -> None:
        self._emit("human", node, {"action": action, "text": text})

    def close(self, node: str, status: str, **fields: Any) -> None:
        self._emit("close", node, {"status": status, **fields})

    def body(self, node: str, text: str) -> dict[str, Any]:
        """Store a text once and return what a body field holds of it."""
        text = self._conceal(text)
        ref = reference(text)
        if ref["sha256"] not in self._bodies:
            self._bodies.add(ref["sha256"])
            self._emit("body", node, {"sha256": ref["sha256"], "text": text})
        return ref

    def prompt(self, node: str, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Store a prompt as the list of its messages' bodies."""
        return [{"role": m.role, **self.body(node, m.content)} for m in messages]

    async def written(self) -> None:
        """Wait until all of the above is in the record; see `Journal.written`."""
        if self._failure is not None:
            raise JournalError(f"the record could not be written: {self._failure}") from None
        await self._journal.written()

    def upcoming(self, parent: str, child: int | None = None) -> str:
        """The path that the next node opened below ``parent`` gets, with this number or without one."""
        return f"{parent}.{self._children.get(parent, 0) + 1 if child is None else child}"

    def _emit(self, type_: EventType, node: str, data: dict[str, Any]) -> None:
        event = Event(self._seq, round(self._clock() - self._start, 6), type_, node, _each(data, self._conceal))
        self._seq += 1
        self._append(event)
        for observer in list(self._observers):
            self._show(observer, event)

    def _append(self, event: Event) -> None:
        try:
            self._journal.append(event)
        except Exception as error:  # kept for `written`, so that every node is still closed before the observers
            self._failure = self._failure or error

    def _show(self, observer: Observer, event: Event) -> None:
        try:
            observer(event)
        except Exception:
            log.exception("an observer failed and is left out for the rest of the run")
            self._observers.remove(observer)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON with all its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each(part, change) for name, part in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_each(part, change) for part in cast("Sequence[Any]", value)]
    return value
