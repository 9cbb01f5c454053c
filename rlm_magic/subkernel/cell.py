"""One cell under way: its sub-calls, what it told, and the time it has used."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from ..engine.ports import AnswerCalls
from ..guest.frames import Frame
from .contexts import handed_up
from .results import Report
from .rpc import CallServer

if TYPE_CHECKING:
    from .kernel import Kernel

# After the reply the result is in the socket already, unless the cell's code forged the reply.
REPORT_SECONDS = 5.0
# How often the time is looked at while sub-calls are under way and it stands still.
TICK = 0.1


class Cell:
    """A cell of the model's code. It has ended when the kernel has replied and its result has come."""

    def __init__(self, kernel: Kernel, code: str, handle: AnswerCalls) -> None:
        self.report = Report()
        self.calls = CallServer(handle, kernel.send, partial(handed_up, kernel.place))
        self._kernel = kernel
        self._started = time.monotonic()
        self._cpu = kernel.cpu_seconds()
        self._message = kernel.execute(code)
        self._told = asyncio.Event()
        self._end = asyncio.create_task(self._follow())

    @property
    def ended(self) -> bool:
        return self._end.done() and self._told.is_set()

    @property
    def seconds(self) -> float:
        """Wall time so far, without the waits for sub-calls."""
        return time.monotonic() - self._started - self.calls.waited

    def tell(self, frame: Frame) -> None:
        """Take a rich, finish or result frame; one of another cell is left out.

        Raises:
            FrameError: it is not what it must be.
        """
        if frame.get("cell") == self._message:
            self.report.add(frame)
            if self.report.result is not None:
                self._told.set()

    async def within(self, seconds: float) -> bool:
        """Wait until it ends, or its subkernel dies: then True. False when it has used up so many seconds.

        Raises:
            Exception: whatever the handle of the sub-calls raised.
        """
        watched = {self._end, self._kernel.died, self.calls.failed}
        while not (self._end.done() or self._kernel.died.done()):
            if self.calls.failed.done():
                self.calls.failed.result()
            left = seconds - max(self.seconds, self._cpu_seconds())
            if left <= 0:
                return False
            timeout = TICK if self.calls.waiting else left
            await asyncio.wait(watched, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def stop(self, grace: float) -> bool:
        """Interrupt it, and once more half-way; True if it ended within ``grace`` seconds."""
        watched = {self._end, self._kernel.died}
        for _ in range(2):
            self._kernel.interrupt()
            if (await asyncio.wait(watched, timeout=grace / 2, return_when=asyncio.FIRST_COMPLETED))[0]:
                break
        return self.ended

    async def close(self) -> None:
        """End what is left of it: its sub-calls above all."""
        self._kernel.cell = None
        self._end.cancel()
        await asyncio.wait({self._end})
        if await self.calls.close():
            self._kernel.post({"type": "over", "cell": self._message})

    def _cpu_seconds(self) -> float:
        return self._kernel.cpu_seconds() - self._cpu

    async def _follow(self) -> None:
        await self._kernel.replied(self._message)
        try:
            await asyncio.wait_for(self._told.wait(), REPORT_SECONDS)
        except TimeoutError:
            self._kernel.end("a cell ended without a result")
            await asyncio.wait({self._kernel.died})
