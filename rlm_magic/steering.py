"""The gate that a person works: pause, step, decide on one cell, ask for the answer now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .engine.types import Decision


@dataclass(slots=True)
class _Waiting:
    code: str
    decision: asyncio.Future[Decision]


class Steering:
    """A `Gate` of the engine. Used on the engine's thread only.

    Args:
        step: wait before the first cell.
    """

    def __init__(self, *, step: bool = False) -> None:
        self.paused = step
        self._answer_now = False
        self._waiting: dict[str, _Waiting] = {}

    async def cell(self, node: str, code: str) -> Decision:
        """Let a cell run, or wait for what the person decides."""
        if self._answer_now:
            return Decision("answer")
        if not self.paused:
            return Decision("run", code)
        waiting = _Waiting(code, asyncio.get_running_loop().create_future())
        self._waiting[node] = waiting
        try:
            return await waiting.decision
        finally:
            del self._waiting[node]

    def pause(self) -> None:
        """Wait before the next cell."""
        self.paused = True

    def resume(self) -> None:
        """Let everything run that waits, and what comes."""
        self.paused = False
        self._release(None)

    def step(self, node: str | None = None) -> None:
        """Let one waiting cell run, or every one, and wait before the next."""
        self.paused = True
        self._release(node)

    def answer(self) -> None:
        """End every RLM of the tree at its next cell, with an answer from what it has seen."""
        self._answer_now = True
        for waiting in self._waiting.values():
            _decide(waiting, Decision("answer"))

    def decide(self, node: str, decision: Decision) -> bool:
        """Say what becomes of a waiting cell; False if it does not wait any more."""
        waiting = self._waiting.get(node)
        if waiting is None:
            return False
        _decide(waiting, decision)
        return True

    def waiting_code(self, node: str) -> str | None:
        """The code that waits at a node."""
        waiting = self._waiting.get(node)
        return None if waiting is None else waiting.code

    def _release(self, node: str | None) -> None:
        for id, waiting in self._waiting.items():
            if node in (None, id):
                _decide(waiting, Decision("run", waiting.code))


def _decide(waiting: _Waiting, decision: Decision) -> None:
    if not waiting.decision.done():
        waiting.decision.set_result(decision)
