"""Where functions of the user's run: on the user's thread, while it waits for the run or is idle.

On the main thread they can be interrupted. Ctrl-C is as ever, and goes on to whoever handles it once the function has
ended. A time limit comes as SIGURG, whose handler is ours while a function runs: it raises KeyboardInterrupt, as Ctrl-C
does, but by default the signal is ignored, so that one that comes too late does nothing to what runs there then.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, TypeAlias

from .engine.errors import ToolFailed

GRACE = 0.3  # seconds for a function to end once it was interrupted; it is interrupted twice

Work: TypeAlias = Callable[[], str]


class Job:
    """A function that another thread is to call, once. Made, awaited and ended on the engine's thread.

    Attributes:
        done: what the function returned, or the `ToolFailed` that it raised.
    """

    def __init__(self, work: Work, at_ctrl_c: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[str] = self._loop.create_future()
        self._work = work
        self._at_ctrl_c = at_ctrl_c
        self._begun = False
        self._inside = False
        self._unwanted = False
        self._ctrl_c = False
        self._outer: Any = None

    async def end(self) -> str:
        """See to it that it runs no more; why it had to be ended, in words, empty if it ended by itself."""
        if self.done.done():
            self.done.exception()  # was looked at
            return ""
        self._unwanted = True
        if not self._begun:
            self.done.cancel()
            return "was not called, as the notebook was busy"
        for _ in range(2):
            signal.pthread_kill(_main_thread(), signal.SIGURG)
            if (await asyncio.wait({self.done}, timeout=GRACE))[0]:
                return "was interrupted" if self.done.exception() else ""
        self.done.cancel()
        return "could not be interrupted"

    def run(self) -> None:
        """Call it, on this thread.

        Raises:
            KeyboardInterrupt: Ctrl-C came meanwhile.
        """
        handlers = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGURG))
        if threading.get_ident() != _main_thread() or None in handlers:  # None: of C code, which cannot be put back
            self._call()
            return
        ctrl_c = signal.signal(signal.SIGINT, self._on_ctrl_c)
        self._outer = signal.signal(signal.SIGURG, self._on_limit)
        try:
            self._call()
        finally:
            signal.signal(signal.SIGURG, self._outer)
            signal.signal(signal.SIGINT, ctrl_c)
        if self._ctrl_c:
            handler = ctrl_c if callable(ctrl_c) else signal.default_int_handler
            handler(signal.SIGINT, None)

    def _call(self) -> None:
        """Nothing is called between the end of the work and ``_inside = False``, after which no signal raises here."""
        self._begun = True
        try:
            self._inside = True
            if self._unwanted:
                raise KeyboardInterrupt
            result = self._work()
            self._inside = False
        except BaseException as error:
            self._inside = False
            failure = error if isinstance(error, ToolFailed) else ToolFailed("it was interrupted")
            self._settle(lambda: self.done.set_exception(failure))
            if not (isinstance(error, ToolFailed) or self._unwanted or self._ctrl_c):
                raise
        else:
            self._settle(lambda: self.done.set_result(result))

    def _settle(self, act: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(lambda: self.done.done() or act())

    def _on_ctrl_c(self, number: int, frame: FrameType | None) -> None:
        self._ctrl_c = True
        self._loop.call_soon_threadsafe(self._at_ctrl_c)  # at once: the function may swallow what is raised
        if self._inside:
            raise KeyboardInterrupt

    def _on_limit(self, number: int, frame: FrameType | None) -> None:
        if self._inside and self._unwanted:
            raise KeyboardInterrupt
        if self._inside and callable(self._outer):  # of a function in which a run was started that called this one
            self._outer(number, frame)


class Workplace:
    """The jobs of one run, done one at a time by whichever thread of the user's comes for them.

    Args:
        at_ctrl_c: called on the engine's thread when Ctrl-C comes during a job.
    """

    def __init__(self, at_ctrl_c: Callable[[], object]) -> None:
        self._at_ctrl_c = at_ctrl_c
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._fetch: Callable[[], object] | None = None
        self._one = asyncio.Lock()

    async def run(self, work: Work, seconds: float) -> str:
        """Have a function called; on the engine's thread. Cancelling ends the call.

        Raises:
            ToolFailed: what the function raised.
            TimeoutError: it did not return within so many seconds; the message follows the function's name.
        """
        async with self._one:
            job = Job(work, self._at_ctrl_c)
            self._jobs.put(job)
            if self._fetch is not None:
                self._fetch()
            try:
                await asyncio.wait({job.done}, timeout=seconds)
            finally:
                ended = await job.end()
            if ended:
                raise TimeoutError(f"did not return within {seconds:g} seconds and {ended}")
            return job.done.result()

    def attend(self, fetch: Callable[[], object]) -> None:
        """Have ``fetch`` called whenever there is a job, from now on; it has some thread call `work_off`."""
        self._fetch = fetch
        fetch()

    def attend_by_threads(self) -> None:
        """Have each job done by a thread of its own, which may be left behind, unless somebody attends already."""
        if self._fetch is None:
            self.attend(lambda: threading.Thread(target=self.work_off, daemon=True, name="rlm-tool").start())

    def work_off(self) -> None:
        """Do the jobs that wait, on this thread. Raises KeyboardInterrupt: see `Job.run`."""
        with contextlib.suppress(Empty):
            while True:
                self._do(self._jobs.get_nowait())

    def wait(self, seconds: float) -> None:
        """Wait for a job on this thread, for so long at most or until `wake`, and do it.

        Raises:
            KeyboardInterrupt: Ctrl-C came.
        """
        with contextlib.suppress(Empty):
            self._do(self._jobs.get(timeout=seconds))

    def wake(self) -> None:
        """End the `wait` of some thread."""
        self._jobs.put(None)

    def _do(self, job: Job | None) -> None:
        if job is not None:
            job.run()


def _main_thread() -> int:
    return threading.main_thread().ident or 0
