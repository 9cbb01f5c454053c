"""Cleaning up that a cancellation must not cut short: a process that is killed and not waited for stays a zombie."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end; if the caller is cancelled meanwhile, it is told so afterwards."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait({task})
