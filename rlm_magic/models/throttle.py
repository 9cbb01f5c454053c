"""How many requests one server gets at once: fewer when it refuses some, slowly more again."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from math import inf
from weakref import WeakValueDictionary

LOCAL_START = 4.0


class Throttle:
    """Additive increase, multiplicative decrease, as TCP does. One event loop at a time.

    ``limit`` is halved when the server refuses, once for all the requests that were in flight together. It grows
    only where it held requests back: fast until the first refusal, then by about one for each round of replies.
    """

    def __init__(self, limit: float = inf) -> None:
        self.limit = limit
        self.in_flight = 0
        self._round = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[int]:
        """Wait for a place, first come first served. Yields the round, which `refused` takes."""
        await self._enter()
        try:
            yield self._round
        finally:
            self._leave()

    def refused(self, round_: int) -> None:
        """The server refused a request of this round for being one too many; called inside its slot."""
        if round_ == self._round:
            self._round += 1
            self.limit = max(1.0, min(self.limit, self.in_flight) / 2)

    def replied(self) -> None:
        """The server answered; called inside the request's slot."""
        if self.in_flight + 1 > self.limit:
            self.limit += 1 / self.limit if self._round else 2

    async def _enter(self) -> None:
        if not self._waiting and self.in_flight + 1 <= self.limit:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was given and is not wanted any more
                self._leave()
            raise

    def _leave(self) -> None:
        self.in_flight -= 1
        while self._waiting and self.in_flight + 1 <= self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)


_throttles: WeakValueDictionary[tuple[str, str], Throttle] = WeakValueDictionary()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_throttles.clear)  # the parent's places are never given back there


def throttle_of(provider: str, api_base: str, *, local: bool) -> Throttle:
    """The one throttle of a server, shared by the models that use it."""
    key = (provider, api_base)
    throttle = _throttles.get(key) or Throttle(LOCAL_START if local else inf)
    _throttles[key] = throttle
    return throttle
