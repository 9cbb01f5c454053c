from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from rlm_magic.models.catalog import KEY_VARIABLES
from tests.server import OpenAIServer, Reply, Request


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own keys and addresses reach no test."""
    for variable in (*KEY_VARIABLES.values(), "OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_API_BASE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., OpenAIServer]]:
    """Start a server with a script, or with one reply for every request."""
    with ExitStack() as stack:

        def start(script: Callable[[Request], str | Reply] | Reply | str, **options: Any) -> OpenAIServer:
            chosen = script if callable(script) else lambda _: script
            return stack.enter_context(OpenAIServer(chosen, **options))

        yield start
