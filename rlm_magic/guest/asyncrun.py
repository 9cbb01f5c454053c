"""`asyncio.run` in a cell: the kernel's own loop runs on the main thread, so the model's goes to another one."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from concurrent.futures import Future
from typing import Any, Callable


def install() -> None:
    """Make `asyncio.run` work where a loop is running already."""
    asyncio.run = _anywhere(asyncio.run)


def _anywhere(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def anywhere(main: Any, **options: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return run(main, **options)
        return _elsewhere(run, main, options)

    return anywhere


def _elsewhere(run: Callable[..., Any], main: Any, options: Any) -> Any:
    done: Future[Any] = Future()
    cancel: Callable[[], object] = done.cancel

    async def cancellable() -> Any:
        nonlocal cancel
        task = asyncio.ensure_future(main)
        cancel = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
        return await task

    def work() -> None:
        try:
            done.set_result(run(cancellable(), **options))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
    try:
        return done.result()
    except KeyboardInterrupt:
        cancel()
        raise
