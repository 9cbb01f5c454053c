"""Real subkernels for tests: one on an event loop of its own, and the tiers that work on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from rlm_magic.engine.ports import AnswerCalls
from rlm_magic.engine.types import CellResult, SubCall, SubReply, Variable
from rlm_magic.subkernel import Subkernel, Subkernels
from rlm_magic.subkernel.tiers import failure

WINDOW = 1_000


async def echo(call: SubCall) -> list[SubReply]:
    """Every prompt comes back in capitals."""
    return [SubReply(text=prompt.upper()) for prompt in call.prompts]


class Never:
    """Answers "go" once it was asked something else, which it never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, call: SubCall) -> list[SubReply]:
        if call.prompts == ("go",):
            await self.asked.wait()
            return await echo(call)
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return []


class Session:
    """A subkernel to be used from plain test functions."""

    def __init__(self, runner: asyncio.Runner, subkernel: Subkernel) -> None:
        self.runner = runner
        self.subkernel = subkernel

    def run(self, code: str, handle: AnswerCalls = echo, *, seconds: float = 20) -> CellResult:
        return self.runner.run(self.subkernel.run(code, handle, seconds=seconds))

    def bind(self, *variables: Variable) -> None:
        self.runner.run(self.subkernel.bind(variables))

    def do(self, work: Callable[[Subkernel], Any]) -> Any:
        """Run ``await work(subkernel)``."""
        return self.runner.run(work(self.subkernel))


@contextmanager
def opened(
    variables: Sequence[Variable] = (), *, recursive: bool = False, window: int = WINDOW, **options: Any
) -> Iterator[Session]:
    with asyncio.Runner() as runner:
        opening = Subkernels(**options)("0", recursive=recursive, window=window)
        session = Session(runner, runner.run(opening.__aenter__()))
        try:
            session.bind(*variables)
            yield session
        finally:
            runner.run(opening.__aexit__(None, None, None))


def tiers(*, sampled: bool) -> list[Any]:
    """Parameters: the tiers that confine here, each a test of its own; ``sampled``: all but the strongest are slow."""
    here = [name for name in ("bwrap", "landlock") if not failure(name)]
    rare = here[1:] if sampled else []
    return [pytest.param(name, marks=[pytest.mark.slow] if name in rare else [], id=name) for name in here]
