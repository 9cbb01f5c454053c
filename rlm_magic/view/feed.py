"""A live run as messages to its view, and the view's commands (`labextension/src/view/protocol.ts` is the contract)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from ..engine.events import Event

INTERVAL = 0.1
HEARTBEAT = 2.0
CHUNK = 64_000

CONTROLS = ("pause", "resume", "step", "stop", "kill", "answer", "decide")


class Feed:
    """Sends a run's events to one view, in batches. An observer of the engine, used on its thread only.

    Args:
        send: takes a message for the view.
        command: carries out one of `CONTROLS`, given the view's message.
        body: the text of a body by its hash, None if it was not kept.
        clock: the run's time in seconds.
    """

    def __init__(
        self,
        run: str,
        send: Callable[[dict[str, Any]], None],
        command: Callable[[Mapping[str, Any]], None],
        body: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        self._run = run
        self._send = send
        self._command = command
        self._body = body
        self._clock = clock
        self._events: list[Event] = []
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self.answered = False
        self.renderer = False

    def __call__(self, event: Event) -> None:
        self._events.append(event)
        self._ended = self._ended or (event.type == "close" and event.node == "0")
        if self.answered and (self._timer is None or self._sent == len(self._events) - 1):
            self._schedule(INTERVAL)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Carry out one message of the view; what is not in the contract is passed over."""
        command = message.get("cmd")
        if command == "hello":
            self._hello(message)
        elif command == "body":
            sha256 = str(message.get("sha256"))
            self._send({"type": "body", "sha256": sha256, "text": self._body(sha256)})
        elif command in CONTROLS and not self._ended:
            self._command(message)

    def flush(self) -> None:
        """Send what has not been sent, at least the time."""
        first = True
        while first or self._sent < len(self._events):
            first = False
            start, end, batch = self._next_batch()
            self._send({"type": "events", "from": start, "to": end, "t": self._clock(), "events": batch})
            self._sent = end

    def close(self) -> None:
        """Send the rest and stop the heartbeat."""
        self._cancel()
        if self.answered:
            self.flush()

    def _hello(self, message: Mapping[str, Any]) -> None:
        have = message.get("have")
        known = isinstance(have, int) and 0 <= have <= len(self._events)
        self._sent = have if known and isinstance(have, int) else 0
        self.answered = True
        self.renderer = bool(message.get("renderer"))
        live = not self._ended
        bounds = {"from": self._sent, "to": len(self._events)}
        self._send({"type": "snapshot", "run": self._run, **bounds, "live": live, "controls": list(CONTROLS)})
        self._tick()

    def _tick(self) -> None:
        self._cancel()
        self.flush()
        if not self._ended:
            self._schedule(HEARTBEAT)

    def _schedule(self, seconds: float) -> None:
        self._cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next_batch(self) -> tuple[int, int, list[dict[str, Any]]]:
        """The next events that fit in a message; bodies stay here until they are asked for."""
        start = end = self._sent
        batch: list[dict[str, Any]] = []
        size = 0
        while end < len(self._events):
            event = self._events[end]
            if event.type != "body":
                item = event.as_json(self._run)
                size += len(json.dumps(item))
                if batch and size > CHUNK:
                    break
                batch.append(item)
            end += 1
        return start, end, batch
