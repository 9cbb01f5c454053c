"""Serves the sub-calls of the running cell. Everything that the frames say is checked; none outlives its cell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ..engine.ports import AnswerCalls
from ..engine.types import SubCall, SubReply, Variable
from ..guest.frames import Frame, FrameError
from .contexts import HandedUp, identified
from .results import number, text

MAX_CHARS = 256 * 1024**2
MAX_ITEMS = 100_000
MAX_NAME = 100
NO_CELL = "no cell is running: make sub-calls inside a cell and wait for them there"
TOO_MUCH = f"more than {MAX_ITEMS:,} sub-calls or {MAX_CHARS:,} characters of prompts at once: make fewer at a time"

Send = Callable[[Frame], Awaitable[None]]


@dataclass(slots=True)
class _Call:
    """A call whose items are coming, or which is being served. One that is too much keeps no item."""

    op: Literal["llm", "rlm", "tool"]
    count: int
    model: str | None
    batch: bool
    tool: str
    too_much: bool
    came: int = 0
    chars: int = 0
    prompts: list[str] = field(default_factory=list[str])
    contexts: list[Variable | None] = field(default_factory=list["Variable | None"])

    def as_subcall(self) -> SubCall:
        return SubCall(self.op, tuple(self.prompts), tuple(self.contexts), self.model, self.batch, self.tool)


class CallServer:
    """The calls of one cell. ``context`` makes a variable of what an item says of its context.

    Attributes:
        failed: raises what ``handle`` raised, if it did.
    """

    def __init__(self, handle: AnswerCalls, send: Send, context: Callable[[Any], Variable]) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handle = handle
        self._send = send
        self._context = context
        self._coming: dict[int, _Call] = {}
        self._serving: dict[int, asyncio.Task[None]] = {}
        self._chars = 0
        self._items = 0
        self._waited = 0.0
        self._since = 0.0

    @property
    def waiting(self) -> bool:
        """At least one call is under way."""
        return bool(self._serving)

    @property
    def waited(self) -> float:
        """Seconds during which at least one call was under way."""
        return self._waited + (time.monotonic() - self._since if self._serving else 0.0)

    def take(self, frame: Frame) -> None:
        """Take a call, item or cancel frame.

        Raises:
            FrameError: it is not what it must be.
        """
        call = number(frame, "id")
        if frame["type"] == "call":
            self._announce(call, frame)
        elif frame["type"] == "item":
            self._item(call, frame)
        elif call in self._serving:
            self._serving[call].cancel()

    async def close(self) -> bool:
        """End every call; True if there was one."""
        tasks = list(self._serving.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self.failed.done():
            self.failed.exception()  # it was looked at, or the cell ended by itself before
        self.failed.cancel()
        return bool(tasks or self._coming)

    def _announce(self, call: int, frame: Frame) -> None:
        op, count, model = frame.get("op"), number(frame, "count"), frame.get("model")
        if op not in ("llm", "rlm", "tool") or not (model is None or isinstance(model, str)):
            raise FrameError("a call has an unknown op, or a model that is not a name")
        tool = text(frame, "tool") if op == "tool" else ""
        if op == "tool" and (count != 1 or not 0 < len(tool) <= MAX_NAME):
            raise FrameError("a call of a tool without its name, or of several at once")
        if call in self._coming or call in self._serving or not count:
            raise FrameError("a call comes twice, or has no items")
        too_much = self._items + count > MAX_ITEMS
        self._items += 0 if too_much else count
        self._coming[call] = _Call(op, count, model, frame.get("batch") is True and not tool, tool, too_much)

    def _item(self, number_: int, frame: Frame) -> None:
        call = self._coming.get(number_)
        if call is None or number(frame, "index") != call.came:
            raise FrameError("an item of no call, or out of order")
        prompt, context = text(frame, "prompt"), frame.get("context")
        call.came += 1
        if self._chars + len(prompt) > MAX_CHARS:
            call.too_much = True
        if not call.too_much:
            call.chars += len(prompt)
            self._chars += len(prompt)
            call.prompts.append(prompt)
            call.contexts.append(None if context is None else self._context(context))
        if call.came == call.count:
            self._start(number_, self._coming.pop(number_))

    def _start(self, number_: int, call: _Call) -> None:
        if not self._serving:
            self._since = time.monotonic()
        task = asyncio.create_task(self._serve(number_, call))
        self._serving[number_] = task
        task.add_done_callback(lambda _: self._done(number_, call))

    def _done(self, number_: int, call: _Call) -> None:
        waited = self.waited
        del self._serving[number_]
        if not self._serving:
            self._waited = waited
        self._items -= call.count
        self._chars -= call.chars

    async def _serve(self, number_: int, call: _Call) -> None:
        try:
            replies = await self._replies(call)
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)
            return
        finally:
            for context in filter(None, call.contexts):
                cast(HandedUp, context.source).release()
        for index, reply in enumerate(replies):
            await self._reply(number_, index, reply)

    async def _replies(self, call: _Call) -> list[SubReply]:
        if call.too_much:
            return [SubReply(error=TOO_MUCH)] * call.count
        return await self._handle(replace(call.as_subcall(), contexts=await identified(call.contexts)))

    async def _reply(self, call: int, index: int, reply: SubReply) -> None:
        frame: Frame = {"type": "reply", "id": call, "index": index, "text": reply.text, "error": reply.error}
        try:
            await self._send(frame)
        except FrameError as error:
            await self._send({**frame, "text": None, "error": f"the reply is too long: {error}"})
        except ConnectionError:
            pass  # the death of the subkernel is noticed elsewhere


async def refuse(frame: Frame, send: Send) -> None:
    """Answer an item that comes while no cell is running."""
    if frame["type"] == "item":
        reply = {"type": "reply", "id": number(frame, "id"), "index": number(frame, "index")}
        await send({**reply, "text": None, "error": NO_CELL})
