"""Serves the sub-calls of the running cell. Everything that the frames say is checked; none outlives its cell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ..engine.ports import AnswerCalls
from ..engine.types import SubCall, SubReply, Variable
from ..guest.frames import Frame, FrameError
from .contexts import HandedUp, identified
from .results import number, text

MAX_CHARS = 256 * 1024**2
MAX_ITEMS = 100_000
MAX_COMING = 1_000  # calls whose items are still coming: a thread sends all of one before it makes another
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
        self._asked: set[int] = set()
        self._sending = asyncio.Lock()
        self._chars = 0
        self._items = 0
        self._waited = 0.0
        self._since = 0.0

    @property
    def waiting(self) -> bool:
        """At least one call is not answered yet; whether its answer was read is the guest's affair."""
        return bool(self._asked)

    @property
    def waited(self) -> float:
        """Seconds during which at least one call was not answered yet."""
        return self._waited + (time.monotonic() - self._since if self._asked else 0.0)

    async def take(self, frame: Frame) -> None:
        """Take a call, item or cancel frame. Waits while what is refused is not read below.

        Raises:
            FrameError: it is not what it must be.
        """
        call = number(frame, "id")
        if frame["type"] == "call":
            self._announce(call, frame)
        elif frame["type"] == "item":
            await self._item(call, frame)
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
        if len(self._coming) >= MAX_COMING:
            raise FrameError(f"more than {MAX_COMING:,} calls were announced whose items did not come")
        too_much = self._items + count > MAX_ITEMS
        self._items += 0 if too_much else count
        self._coming[call] = _Call(op, count, model, frame.get("batch") is True and not tool, tool, too_much)

    async def _item(self, number_: int, frame: Frame) -> None:
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
            del self._coming[number_]
            if call.too_much:
                await self._tell(number_, [SubReply(error=TOO_MUCH)] * call.count)
            else:
                self._start(number_, call)

    def _start(self, number_: int, call: _Call) -> None:
        if not self._asked:
            self._since = time.monotonic()
        self._asked.add(number_)
        task = asyncio.create_task(self._serve(number_, call))
        self._serving[number_] = task
        task.add_done_callback(lambda _: self._done(number_, call))

    def _answered(self, number_: int) -> None:
        waited = self.waited
        self._asked.discard(number_)
        if not self._asked:
            self._waited = waited

    def _done(self, number_: int, call: _Call) -> None:
        self._answered(number_)
        del self._serving[number_]
        self._items -= call.count
        self._chars -= call.chars

    async def _serve(self, number_: int, call: _Call) -> None:
        try:
            contexts = await identified(call.contexts)
            replies = await self._handle(replace(call.as_subcall(), contexts=contexts))
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)
            return
        finally:
            for context in filter(None, call.contexts):
                cast(HandedUp, context.source).release()
        self._answered(number_)
        await self._tell(number_, replies)

    async def _tell(self, number_: int, replies: Sequence[SubReply]) -> None:
        """Send replies, one at a time: those that nobody reads do not pile up."""
        for index, reply in enumerate(replies):
            async with self._sending:
                await self._reply(number_, index, reply)

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
