"""The two offline models as `Model` ports of the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from rlm_magic.engine.types import Completion, Message, Price, Usage

from ..catalog import OFFLINE_POLICY, OFFLINE_READER
from .policy import reply
from .reader import read

WINDOW = 128_000
CHARS_PER_TOKEN = 4
FREE = Price(0.0, 0.0)


class OfflineModel:
    """A `Model` that computes its reply with this machine's Python: no network, no key, price zero.

    Tokens are counted as four characters each; a reply longer than ``max_tokens`` is cut, with finish reason "length".
    """

    price = FREE
    window = WINDOW
    notes = ""

    def __init__(self, name: str, answer: Callable[[Sequence[Message]], str]) -> None:
        self.name = name
        self._answer = answer

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        """Answer once; the work is done on a thread of the offline models, so that the event loop goes on."""
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(_workers(os.getpid()), self._answer, tuple(messages))
        limit = max_tokens * CHARS_PER_TOKEN
        usage = Usage(_tokens(sum(len(m.content) for m in messages)), _tokens(min(len(text), limit)), cost=0.0)
        return Completion(text[:limit], usage, self.name, "length" if len(text) > limit else "stop")


@cache
def _workers(pid: int) -> ThreadPoolExecutor:
    """Two threads for each process: a forked child cannot use its parent's."""
    return ThreadPoolExecutor(2, thread_name_prefix="rlm-offline")


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def policy() -> OfflineModel:
    """The root model: writes code for the question families it knows, and abstains otherwise."""
    return OfflineModel(OFFLINE_POLICY, reply)


def reader() -> OfflineModel:
    """The sub-model: classifies, extracts, summarises; see `rlm_magic.models.offline.reader`."""
    return OfflineModel(OFFLINE_READER, lambda messages: read(messages[-1].content if messages else ""))
