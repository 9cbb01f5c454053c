"""A live run as messages to its view, and the view's commands (`labextension/src/view/protocol.ts` is the contract)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from ..engine.events import Event
from .comms import body_message

INTERVAL = 0.1  # seconds between two batches of what happens
HEARTBEAT = 2.0  # seconds after which an empty batch says that the run lives
CHUNK = 64_000  # bytes of such a batch
BULK = 512_000  # bytes of a batch of what had happened before: sent at once, so few and large

CONTROLS = ("pause", "resume", "step", "stop", "kill", "answer", "decide")


class Feed:
    """Sends a run's events to one view, in batches. An observer of the engine, used on its thread only.

    Args:
        command: carries out one of `CONTROLS`, given the view's message.
        body: the text of a body by its hash, None if it was not kept.
        clock: the run's time in seconds.

    Attributes:
        answered: whether a view has said hello.
        renderer: whether that view gives way to the saved run at the end.
    """

    def __init__(
        self,
        run: str,
        command: Callable[[Mapping[str, Any]], None],
        body: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        self._run = run
        self._command = command
        self._body = body
        self._clock = clock
        self._send: Callable[[dict[str, Any]], None] = _nowhere
        self._events: list[Event] = []
        self._sent = 0
        self._missed = 0
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self.answered = False
        self.renderer = False

    def __call__(self, event: Event) -> None:
        all_sent = self._sent == len(self._events)
        self._events.append(event)
        self._ended = self._ended or (event.type == "close" and event.node == "0")
        if self.answered and all_sent:
            self._schedule(self._next)

    def connect(self, send: Callable[[dict[str, Any]], None]) -> None:
        """Send to this view from now on, once it has said hello."""
        self._send = send

    def receive(self, message: Mapping[str, Any]) -> None:
        """Carry out one message of the view; what is not in the contract is passed over."""
        command = message.get("cmd")
        if command == "hello":
            self._hello(message)
        elif command == "body":
            sha256 = str(message.get("sha256"))
            self._send(body_message(sha256, self._body(sha256)))
        elif command in CONTROLS and not self._ended:
            self._command(message)

    def close(self) -> None:
        """The view is gone: send nothing more."""
        self._cancel()
        self._send = _nowhere
        self.answered = False

    def _hello(self, message: Mapping[str, Any]) -> None:
        have = message.get("have")
        self._sent = have if isinstance(have, int) and 0 <= have <= len(self._events) else 0
        self._missed = len(self._events)
        self.answered = True
        self.renderer = bool(message.get("renderer"))
        bounds = {"from": self._sent, "to": self._missed}
        controls = list(CONTROLS)
        self._send({"type": "snapshot", "run": self._run, **bounds, "live": not self._ended, "controls": controls})
        self._tick()

    def _tick(self) -> None:
        self._cancel()
        start, end, batch = self._batch()
        self._send({"type": "events", "from": start, "to": end, "t": self._clock(), "events": batch})
        self._sent = end
        now = asyncio.get_running_loop().time()
        self._next = now + (INTERVAL if end >= self._missed else 0)
        if self._sent < len(self._events):
            self._schedule(self._next)
        elif not self._ended:
            self._schedule(now + HEARTBEAT)

    def _schedule(self, when: float) -> None:
        self._cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._tick)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _batch(self) -> tuple[int, int, list[dict[str, Any]]]:
        """The next events that fit in a message; bodies stay here until they are asked for."""
        start = end = self._sent
        most = CHUNK if start >= self._missed else BULK
        batch: list[dict[str, Any]] = []
        size = 0
        for event in islice(self._events, start, None):
            if event.type != "body":
                item = json.dumps(event.as_json(self._run), ensure_ascii=False).encode("utf-8", "replace")
                size += len(item)
                if batch and size > most:
                    break
                batch.append(json.loads(item))
            end += 1
        return start, end, batch


def _nowhere(message: dict[str, Any]) -> None:
    """There is no view."""
