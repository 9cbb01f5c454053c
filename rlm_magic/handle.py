"""`%%rlm --bg`: a run that goes on when its cell has ended."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from .display import Screen
from .result import Result
from .run import SLICE, Run
from .view import status_line


class Handle:
    """A run in the background: ``await`` it, or ask it. Usable from any thread.

    Args:
        at_end: called with the result before anybody else has it.

    Attributes:
        run_id: names the run's record, as in ``%rlm show RUN_ID``.
    """

    def __init__(
        self, run: Run, screen: Screen, shell: InteractiveShell | None, at_end: Callable[[Result], None]
    ) -> None:
        self.run_id = run.id
        self._run = run
        self._done: Future[Result] = Future()
        _call_tools_when_idle(run, getattr(shell, "kernel", None))
        screen.begin()
        get_parent = getattr(shell, "get_parent", None)
        parent = get_parent() if get_parent else None
        watching = (screen, shell, parent, at_end)
        threading.Thread(target=self._watch, args=watching, daemon=True, name=f"rlm-{run.id}").start()

    def pause(self) -> None:
        """Wait before the next cell of the model's code."""
        self._run.pause()

    def step(self) -> None:
        """Let the cells run that wait, and wait before the next."""
        self._run.step()

    def resume(self) -> None:
        """Go on without waiting."""
        self._run.resume()

    def stop(self) -> None:
        """End every pending call; what there is stays."""
        self._run.stop()

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the end; Ctrl-C ends the wait, not the run, unless a tool is being called.

        Raises:
            TimeoutError: the run did not end in ``timeout`` seconds; it goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        if threading.current_thread() is threading.main_thread():
            self._call_tools(end)
        return self._done.result(None if end is None else max(0.0, end - time.monotonic()))

    def _call_tools(self, end: float | None) -> None:
        """The main thread is waited on, and so is not idle: call tools here."""
        self._done.add_done_callback(lambda _: self._run.workplace.wake())
        while not self._done.done() and (end is None or time.monotonic() < end):
            self._run.workplace.wait(SLICE)

    def __await__(self) -> Generator[Any, None, Result]:
        return asyncio.shield(asyncio.wrap_future(self._done)).__await__()

    def __repr__(self) -> str:
        line = f"<run {self.run_id} in the background: {status_line(self._run.tree)}"
        ways = "await it, or .pause() .step() .resume() .stop() .result()"
        return f"{line}>" if self._done.done() else f"{line}; {ways}>"

    def _watch(
        self, screen: Screen, shell: InteractiveShell | None, parent: Any, at_end: Callable[[Result], None]
    ) -> None:
        try:
            _stay_in_cell(shell, parent)
            result = screen.watch()
            at_end(result)
        except BaseException as error:
            self._done.set_exception(error)
        else:
            self._done.set_result(result)


def _call_tools_when_idle(run: Run, kernel: Any) -> None:
    """Have tools called on the main thread of a notebook between two cells; their output goes below this cell."""
    loop = getattr(kernel, "io_loop", None)
    if loop is not None:
        context = contextvars.copy_context()
        run.workplace.attend(lambda: loop.add_callback(context.run, run.call_tools))


def _stay_in_cell(shell: InteractiveShell | None, parent: Any) -> None:
    """What this thread shows goes below the cell that started it, not below the newest one."""
    set_parent = getattr(shell, "set_thread_parent", None)
    if set_parent is not None:
        set_parent(parent)
