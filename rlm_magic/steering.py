"""The gate that a person works: pause, step, decide on one cell, ask for the answer now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .engine.types import Decision


@dataclass(slots=True)
class _Waiting:
    code: str  # of a batch: none
    decision: asyncio.Future[Decision]


class Steering:
    """A `Gate` of the engine. Used on the engine's thread only.

    Args:
        step: wait before the first cell.
    """

    def __init__(self, *, step: bool = False) -> None:
        self._paused = step
        self._answer_now = False
        self._waiting: dict[str, _Waiting] = {}

    async def cell(self, node: str, code: str) -> Decision:
        """Let a cell run, or wait for what the person decides."""
        return await self._hold(node, code)

    async def batch(self, node: str) -> Decision:
        """Let a batch go out, or wait."""
        return await self._hold(node, "")

    async def _hold(self, node: str, code: str) -> Decision:
        if self._answer_now:
            return Decision("answer")
        if not self._paused:
            return Decision("run", code)
        waiting = _Waiting(code, asyncio.get_running_loop().create_future())
        self._waiting[node] = waiting
        try:
            return await waiting.decision
        finally:
            del self._waiting[node]

    def pause(self) -> None:
        """Wait before the next cell or batch."""
        self._paused = True

    def resume(self) -> None:
        """Let everything run that waits, and what comes."""
        self._paused = False
        self._release()

    def step(self) -> None:
        """Let the cells run that wait, and wait before the next."""
        self._paused = True
        self._release()

    def answer(self) -> None:
        """End every RLM of the tree at its next cell or batch, with an answer from what it has seen."""
        self._answer_now = True
        for waiting in self._waiting.values():
            _decide(waiting, Decision("answer"))

    def take(self, message: Mapping[str, Any]) -> None:
        """Carry out a command of the view; one that makes no sense, or comes too late, changes nothing."""
        match message:
            case {"cmd": "pause"}:
                self.pause()
            case {"cmd": "resume"}:
                self.resume()
            case {"cmd": "step"}:
                self.step()
            case {"cmd": "answer"}:
                self.answer()
            case {"cmd": "decide", "node": str(node)} if node in self._waiting:
                waiting = self._waiting[node]
                decision = _decision(message, waiting.code)
                if decision is not None:
                    _decide(waiting, decision)
            case _:
                pass

    def _release(self) -> None:
        for waiting in self._waiting.values():
            _decide(waiting, Decision("run", waiting.code))


def _decide(waiting: _Waiting, decision: Decision) -> None:
    if not waiting.decision.done():
        waiting.decision.set_result(decision)


def _decision(message: Mapping[str, Any], code: str) -> Decision | None:
    """What the view says of a cell or batch; code that was edited away leaves nothing to run."""
    edited, note = message.get("code", code), message.get("note", "")
    if not isinstance(edited, str) or not isinstance(note, str):
        return None
    match message.get("action"):
        case "run" if edited.strip() or not code:
            return Decision("run", edited, note)
        case "run" | "skip":
            return Decision("skip", note=note)
        case "answer":
            return Decision("answer", note=note)
        case _:
            return None
