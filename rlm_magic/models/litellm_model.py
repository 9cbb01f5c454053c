"""The `Model` port over litellm: one completion, retried where that is worth it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..engine.errors import EmptyReply, InputError, ModelError
from ..engine.types import Completion, Message, Price, Usage
from .failures import Asked, Failure, classify
from .listing import find_listing
from .redact import remember_options
from .reply import is_counted, read_reply
from .route import OLLAMA, Route
from .throttle import throttle_of

TIMEOUT = 600.0  # seconds for one reply; a thinking model takes minutes
BACKOFF = 1.0  # seconds; doubled for each further attempt
LONGEST_WAIT = 60.0

_OURS = {
    "model", "messages", "api_base", "base_url", "api_key", "stream", "stream_options", "timeout", "num_retries",
    "max_retries", "max_tokens", "max_completion_tokens", "n", "tools", "tool_choice", "functions", "function_call",
    "custom_llm_provider", "fallbacks", "mock_response",
}  # fmt: skip


def checked_options(options: Mapping[str, Any] | None, route: Route) -> dict[str, Any]:
    """Options for litellm, as the user gave them.

    Raises:
        InputError: one that rlm_magic sets itself.
    """
    given = dict(options or {})
    if taken := sorted(_OURS & given.keys()):
        raise InputError(f"model option {taken[0]!r} is set by rlm_magic: leave it out, or use its own option or limit")
    remember_options(given)
    size = given.get("num_ctx", 1)
    if route.provider in OLLAMA and (not isinstance(size, int) or size < 1):
        raise InputError(f"model option num_ctx={size!r} is not a number of tokens")
    return given


class LiteLLMModel:
    """A model that litellm reaches.

    ``sleep``, ``chance`` (0 to 1) and ``now`` (seconds since the epoch) are what waiting between attempts depends on.
    """

    def __init__(
        self,
        library: Any,
        route: Route,
        *,
        options: Mapping[str, Any],
        timeout: float = TIMEOUT,
        notes: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._library = library
        self._route = route
        self._timeout = timeout
        self._sleep = sleep
        self._chance = chance
        self._now = now
        self._throttle = throttle_of(route.provider, route.server, local=route.local)
        self.notes = notes
        self.listing = listing = find_listing(library, route, options)
        self._options = {**options, "num_ctx": listing.window} if route.provider in OLLAMA else options

    @property
    def name(self) -> str:
        return self._route.name

    @property
    def window(self) -> int:
        return self.listing.window

    @property
    def price(self) -> Price | None:
        return self.listing.price

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        """See `Model.complete`. Waits between attempts as long as the server asks, at most a minute."""
        retries: list[str] = []
        while True:
            outcome = await self._attempt(messages, max_tokens, len(retries) + 1)
            if isinstance(outcome, Completion):
                return replace(outcome, retries=tuple(retries))
            if len(retries) + 1 >= outcome.attempts:
                raise outcome.error
            wait = self._wait(outcome, len(retries))
            retries.append(f"{outcome.line} (tried again after {wait:.1f} s)")
            await self._sleep(wait)

    def _wait(self, failure: Failure, attempt: int) -> float:
        """Full jitter; what the server asks for comes first, and is jittered upwards."""
        jitter = self._chance() * BACKOFF
        if failure.wait is None:
            return min(LONGEST_WAIT, jitter * 2**attempt)
        return min(LONGEST_WAIT, failure.wait + jitter)

    async def _attempt(self, messages: Sequence[Message], max_tokens: int, number: int) -> Completion | Failure:
        """One request. A failure is returned, not raised, so that no error drags the request along in its chain."""
        async with self._throttle.slot() as round_:
            outcome = await self._request(messages, max_tokens, number)
            if not isinstance(outcome, Failure):
                self._throttle.replied()
            elif outcome.overloaded:
                self._throttle.refused(round_)
            return outcome

    async def _request(self, messages: Sequence[Message], max_tokens: int, number: int) -> Completion | Failure:
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._library.acompletion(**self._body(messages, max_tokens))
            return self._read(response, messages, max_tokens)
        except ModelError as error:
            return Failure(error.with_traceback(None), str(error))
        except Exception as error:
            chars = sum(len(message.content) for message in messages)
            return classify(error, Asked(self._route, self.listing, chars, self._timeout, number), self._now())

    def _body(self, messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
        return {
            **self._options,
            "model": self._route.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": max_tokens,
            "api_base": self._route.api_base,
            "api_key": self._route.api_key,
            "timeout": self._timeout,
            "num_retries": 0,
            "max_retries": 0,
            "no-log": True,  # a fifth less work for each call, and no callback reports it elsewhere
        }

    def _read(self, response: Any, messages: Sequence[Message], max_tokens: int) -> Completion:
        try:
            completion = read_reply(response, self.name, messages, max_tokens)
        except EmptyReply as empty:
            empty.usage = empty.usage and self._priced(response, empty.usage)
            raise
        return replace(completion, usage=self._priced(response, completion.usage))

    def _priced(self, response: Any, usage: Usage) -> Usage:
        return replace(usage, cost=self._cost(response, usage))

    def _cost(self, response: Any, usage: Usage) -> float | None:
        """litellm's sum, which knows cached tokens and tiers; the plain price for tokens that are only estimated."""
        if self.price is None:
            return None
        if not is_counted(response):
            return self.price.of(usage.input_tokens, usage.output_tokens)
        route = self._route
        return sum(
            self._library.cost_per_token(
                model=route.model, custom_llm_provider=route.provider, usage_object=response.usage
            )
        )
