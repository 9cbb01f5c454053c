"""A server for questions that hold the code which is to be run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server import OpenAIServer, asked_code, route


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """The root model runs what the question holds between << and >>; the sub-model answers in capitals."""
    with OpenAIServer(route({"root": asked_code, "sub": lambda request: request.prompt.upper()})) as running:
        yield running
