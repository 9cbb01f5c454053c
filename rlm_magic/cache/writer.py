"""A thread that writes, so that nobody else waits for a disk or a lock."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
EXIT_SECONDS = 5.0


class Writer(Generic[T]):
    """Hands what is put to ``write``, in groups, on a thread of its own that starts with the first; see `close`."""

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._ended: Future[None] = Future()
        self._thread: threading.Thread | None = None

    def put(self, item: T) -> None:
        """Take an item; returns at once."""
        self._queue.put(item)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="rlm-cache", daemon=True)
            self._thread.start()
            atexit.register(self._at_exit)

    async def close(self) -> None:
        """Wait until all is written, and end the thread. Nothing is taken afterwards."""
        if self._thread is not None:
            atexit.unregister(self._at_exit)
            self._queue.put(None)
            await asyncio.wrap_future(self._ended)
            self._thread.join()

    def _at_exit(self) -> None:
        assert self._thread is not None
        self._queue.put(None)
        self._thread.join(EXIT_SECONDS)

    def _run(self) -> None:
        going = True
        try:
            while going:
                group = [self._queue.get()]
                while not self._queue.empty():
                    group.append(self._queue.get())
                going = None not in group
                self._write([item for item in group if item is not None])
        finally:
            self._ended.set_result(None)
