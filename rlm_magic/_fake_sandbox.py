"""A `Sandbox` without a process: the code really runs, by `exec`, on a thread of this one. No confinement at all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from ._fake_guest import FakeGuest, Held, SubCallError
from .engine.errors import BindingError
from .engine.ports import AnswerCalls, OpenSandbox
from .engine.types import CellResult, SubCall, SubReply, Variable

POLL = 0.01
GRACE = 1.0


class _Cell:
    """One cell under way: its thread, its sub-calls, and the seconds it ran without them."""

    def __init__(self, handle: AnswerCalls, loop: asyncio.AbstractEventLoop) -> None:
        self.handle = handle
        self.loop = loop
        self.done: asyncio.Future[CellResult] = loop.create_future()
        self.calls: set[Future[list[SubReply]]] = set()
        self.spent = 0.0

    def call(self, call: SubCall) -> list[SubReply]:
        """Make a sub-call from a thread of the guest's, and wait for it."""
        future = asyncio.run_coroutine_threadsafe(_coroutine(self.handle, call), self.loop)
        self.calls.add(future)
        try:
            return future.result()
        finally:
            self.calls.discard(future)

    def start(self, execute: Callable[[], CellResult]) -> None:
        threading.Thread(target=self._execute, args=(execute,), daemon=True).start()

    def _execute(self, execute: Callable[[], CellResult]) -> None:
        result = execute()
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self.loop.call_soon_threadsafe(lambda: self.done.done() or self.done.set_result(result))

    def end_calls(self) -> None:
        """Wake the threads that wait for a sub-call."""
        for future in list(self.calls):
            future.cancel()

    async def ended(self, seconds: float) -> bool:
        """Wait until the cell ended, or ran ``seconds`` without waiting for a sub-call: then False."""
        while not self.done.done() and self.spent < seconds:
            start = time.monotonic()
            waiting = bool(self.calls)
            await asyncio.wait({self.done}, timeout=min(POLL, seconds - self.spent))
            self.spent += 0 if waiting else time.monotonic() - start
        return self.done.done()


async def _coroutine(handle: AnswerCalls, call: SubCall) -> list[SubReply]:
    return await handle(call)


class FakeSandbox:
    """One session of the model's code. A cell that cannot be interrupted is abandoned with its session.

    ``recursive`` and ``window`` are as in `OpenSandbox`; ``tools`` are names of functions that the code may call.
    """

    confinement = "not confined (fake)"
    rules = ""

    def __init__(self, *, recursive: bool = False, window: int = 100_000, tools: Sequence[str] = ()) -> None:
        self._new_guest = partial(FakeGuest, self._call, recursive=recursive, window=window, tools=tools)
        self._bound: dict[str, object] = {}
        self._cell: _Cell | None = None
        self._guest = self._new_guest({})

    async def bind(self, variables: Sequence[Variable]) -> None:
        self._bound = {variable.name: _value(variable) for variable in variables}
        self._guest = self._new_guest(self._bound)

    async def run(self, code: str, handle: AnswerCalls, *, seconds: float) -> CellResult:
        cell = self._cell = _Cell(handle, asyncio.get_running_loop())
        guest = self._guest
        cell.start(lambda: guest.run(code))
        try:
            if await cell.ended(seconds):
                return cell.done.result()
            return await self._cut_short(cell, f"the cell ran longer than {seconds:g} seconds")
        except asyncio.CancelledError:
            await self._cut_short(cell, "interrupted")
            raise
        finally:
            self._cell = None

    async def _cut_short(self, cell: _Cell, why: str) -> CellResult:
        self._guest.interrupted = True
        cell.end_calls()
        await asyncio.wait({cell.done}, timeout=GRACE)
        if cell.done.done():
            return self._guest.timed_out(cell.done.result(), why)
        self._guest = self._new_guest(self._bound)
        return CellResult(
            "died", seconds=cell.spent, lost=f"{why}; the session was restarted and its variables are lost"
        )

    def _call(self, call: SubCall) -> list[SubReply]:
        if self._cell is None:
            raise SubCallError("no cell is running: make sub-calls inside a cell and wait for them there")
        return self._cell.call(call)


def _value(variable: Variable) -> object:
    if isinstance(variable.source, Held):
        return variable.source.value
    file = variable.source.file()
    path = Path(file.path)
    readers: dict[str, Callable[[], object]] = {
        "text": lambda: path.read_bytes().decode("utf-8", "surrogatepass"),
        "bytes": path.read_bytes,
        "path": lambda: path,
    }
    if file.format not in readers:
        raise BindingError(f"{variable.name}: the fake sandbox reads text, bytes and paths, not {file.format}")
    return readers[file.format]()


def fake_open_sandbox(opened: list[FakeSandbox] | None = None, tools: Sequence[str] = ()) -> OpenSandbox:
    """An `OpenSandbox` of fakes, whose code may call ``tools``; every one that it opens is added to ``opened``."""

    @asynccontextmanager
    async def opening(recursive: bool, window: int) -> AsyncGenerator[FakeSandbox]:
        sandbox = FakeSandbox(recursive=recursive, window=window, tools=tools)
        if opened is not None:
            opened.append(sandbox)
        yield sandbox

    def open_sandbox(node: str, *, recursive: bool, window: int) -> AbstractAsyncContextManager[FakeSandbox]:
        return opening(recursive, window)

    return open_sandbox
