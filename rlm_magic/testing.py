"""Fakes of the engine's ports, for tests without a model, a key or a subkernel.

model = ScriptedModel(["```repl\\nFINAL(len(context))\\n```"])
answer = asyncio.run(solve(Task("How long?", (variable("context", "abc"),)), fake_harness(model)))
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ._fake_guest import Held
from ._fake_sandbox import FakeSandbox, fake_open_sandbox
from .engine.budget import Budget
from .engine.errors import JournalError, ModelError
from .engine.events import Event
from .engine.harness import NoTools
from .engine.loop import Harness
from .engine.ports import Journal, Observer, Tools
from .engine.recorder import Recorder
from .engine.tree import Tree
from .engine.types import Completion, Limits, Message, Price, Usage, Variable

__all__ = ["FakeSandbox", "MemoryJournal", "ScriptedModel", "fake_harness", "fake_open_sandbox", "variable"]

FREE = Price(0.0, 0.0)

Reply: TypeAlias = "str | Completion | Exception"
Script: TypeAlias = "Iterable[Reply] | Callable[[Sequence[Message]], Reply | Awaitable[Reply]]"


class ScriptedModel:
    """A `Model` that answers from a script.

    The script is replies in order, or a function (async or not) from the messages to one. A reply is a text, a whole
    `Completion`, or an exception to raise. A text counts one token for four characters, asked and answered.

    Attributes:
        requests: the messages of every request, in order of arrival.
        max_tokens: the output limit of every request.
        peak: how many requests were under way at once, at most.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        name: str = "scripted",
        window: int = 128_000,
        price: Price | None = FREE,
        notes: str = "",
        delay: float = 0.0,
    ) -> None:
        self.name = name
        self.window = window
        self.price = price
        self.notes = notes
        self.delay = delay
        self.requests: list[tuple[Message, ...]] = []
        self.max_tokens: list[int] = []
        self.peak = 0
        self._active = 0
        self._script = script if callable(script) else _in_order(script, name)

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        self.requests.append(tuple(messages))
        self.max_tokens.append(max_tokens)
        self._active += 1
        self.peak = max(self.peak, self._active)
        try:
            await asyncio.sleep(self.delay)
            reply = self._script(messages)
            return self._completion(messages, await reply if inspect.isawaitable(reply) else reply)
        finally:
            self._active -= 1

    def _completion(self, messages: Sequence[Message], reply: Reply) -> Completion:
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        asked, answered = sum(len(m.content) for m in messages) // 4, len(reply) // 4
        cost = None if self.price is None else self.price.of(asked, answered)
        return Completion(reply, Usage(asked, answered, cost=cost), self.name)


def _in_order(replies: Iterable[Reply], name: str) -> Callable[[Sequence[Message]], Reply]:
    left = iter(replies)
    return lambda _: next(left, ModelError(f"the script of {name} has no reply left"))


@dataclass(slots=True)
class MemoryJournal:
    """A `Journal` in memory. From event number ``fail_at`` on, `written` raises."""

    events: list[Event] = field(default_factory=list[Event])
    fail_at: int | None = None

    def append(self, event: Event) -> None:
        self.events.append(event)

    async def written(self) -> None:
        await asyncio.sleep(0)
        if self.fail_at is not None and len(self.events) > self.fail_at:
            raise JournalError("the record cannot be written: no space left on the device")

    @property
    def tree(self) -> Tree:
        """The nodes after all events so far."""
        return Tree(self.events)


def variable(name: str, value: object, *, card: str | None = None, directory: Path | None = None) -> Variable:
    """Bind a value of this process: a `FakeSandbox` takes it as it is, any other sandbox a text or bytes as a file.

    ``directory`` is where the file goes (default: the temporary directory).
    """
    words = f"{type(value).__name__}, {len(value):,} characters" if isinstance(value, str) else type(value).__name__
    return Variable(name, card if card is not None else words, Held(value, directory or Path(tempfile.gettempdir())))


def fake_harness(
    model: Any,
    sub_model: Any = None,
    *,
    journal: Journal | None = None,
    observers: Iterable[Observer] = (),
    limits: Limits | None = None,
    header: Mapping[str, Any] | None = None,
    tools: Tools | None = None,
    **ports: Any,
) -> Harness:
    """A `Harness` whose sandbox is the fake one; ``ports`` replaces any other field of it."""
    tools = tools or NoTools()
    recorder = Recorder(journal or MemoryJournal(), observers, time.monotonic)
    given: dict[str, Any] = {
        "model": model,
        "sub_model": sub_model or model,
        "open_sandbox": fake_open_sandbox(tools=tuple(tools.cards)),
        "tools": tools,
        "recorder": recorder,
        "budget": Budget(limits or Limits(), time.monotonic),
        "header": header or {},
    }
    return Harness(**{**given, **ports})
