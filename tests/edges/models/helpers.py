"""A model at a local server, without the waits of the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rlm_magic.engine.types import Completion, Message
from rlm_magic.models import close_connections
from rlm_magic.models.library import litellm
from rlm_magic.models.litellm_model import LiteLLMModel, checked_options
from rlm_magic.models.route import find_route
from tests.server import OpenAIServer

T = TypeVar("T")

KEY = "sk-canary-4f9d1c7be2"


class Waits(list[float]):
    """A sleep that only notes what it was asked for."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def build(
    server: OpenAIServer,
    name: str = "openai/served",
    *,
    key: str | None = KEY,
    options: dict[str, Any] | None = None,
    timeout: float = 30.0,
    **waiting: Any,
) -> LiteLLMModel:
    """What `open_model` builds, with a sleep, a chance and a clock of the test's."""
    library = litellm()
    route = find_route(library, name, server.url, key, None)
    given = checked_options(options, route)
    waiting = {"sleep": Waits(), "chance": lambda: 0.5, **waiting}
    return LiteLLMModel(library, route, options=given, timeout=timeout, **waiting)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on a loop of its own and leave no connection behind."""

    async def whole() -> T:
        try:
            return await work
        finally:
            await close_connections()

    return asyncio.run(whole())


def ask(model: Any, text: str = "How many?", max_tokens: int = 100) -> Completion:
    return run(model.complete([Message("user", text)], max_tokens=max_tokens))
