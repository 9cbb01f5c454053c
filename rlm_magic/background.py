"""The engine thread: one daemon thread with one event loop, where everything asynchronous of this process runs.

A cell waits for it on the notebook's own thread, so that Ctrl-C reaches the wait and never the loop. Subkernels are
started from this thread because a death signal fires when the thread that forked ends, and this one lives as long as
the process.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

EXIT_SECONDS = 2.0


class Engine:
    """A running event loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._last: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True, name="rlm-engine")
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop; cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the loop, soon."""
        self.loop.call_soon_threadsafe(function)

    def before_close(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have this done on the loop before it ends."""
        if work not in self._last:
            self._last.append(work)

    def close(self) -> None:
        """Cancel what runs, give it a moment to clean up, stop the thread."""
        if self._thread.is_alive():
            self.submit(self._cancel_all())
            self._thread.join(EXIT_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=EXIT_SECONDS)
        try:
            for work in self._last:
                await work()
        finally:
            self.loop.stop()


_lock = threading.Lock()
_engine: Engine | None = None


def engine() -> Engine:
    """The engine of this process, started at its first use; a forked child gets its own."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = Engine()
        return _engine


def _forget() -> None:
    global _engine, _lock
    _engine, _lock = None, threading.Lock()


def _close() -> None:
    if _engine is not None:
        _engine.close()


os.register_at_fork(after_in_child=_forget)
atexit.register(_close)
