"""What a run may use holds against servers that count wrongly and code that asks for everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.types import Limits
from rlm_magic.result import Result
from rlm_magic.run import Run
from rlm_magic.settings import Settings
from tests.server import OpenAIServer, Reply, Request, route

NEARLY_NOTHING = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
BYTES_PER_TOKEN = 3.5
STRETCH = 2.5


def ask(server: OpenAIServer, runs: Path, limits: Limits, model: str = "openai/root") -> Result:
    settings = Settings(
        model=model,
        sub_model="openai/sub",
        api_base=server.url,
        api_key="none",
        limits=limits,
        sandbox="none",
        runs_dir=str(runs),
    )
    return Run("go", {}, settings).wait()


def endless(request: Request) -> Reply:
    code = "parts = llm_query_batched(['a word or two ' * 200] * 20)"
    return Reply(f"```repl\n{code}\n```", usage=NEARLY_NOTHING)


def tokens_of(request: Request) -> float:
    """What a request and its reply of 3,000 characters really have, as far as their texts tell."""
    sent = sum(len(message["content"]) for message in request["messages"])
    return (sent + (3_000 if request.model == "sub" else 0)) / BYTES_PER_TOKEN


def test_a_server_that_counts_next_to_nothing_cannot_stretch_the_limit_further_than_stated(tmp_path: Path) -> None:
    long_reply = Reply("so it is " * 333, usage=NEARLY_NOTHING)
    with OpenAIServer(route({"root": endless, "sub": lambda request: long_reply})) as server:
        result = ask(server, tmp_path, Limits(tokens=60_000, calls=500))
        used = sum(map(tokens_of, server.requests))
    assert result.status in ("forced", "limit")
    assert "tokens=60000" in result.reason
    assert 30_000 < used < STRETCH * 60_000


def test_a_call_asks_for_no_more_output_than_it_may_have(tmp_path: Path) -> None:
    scripts = {"root": endless, "sub": lambda request: "ok"}
    with OpenAIServer(route(scripts)) as server:
        ask(server, tmp_path, Limits(tokens=20_000, calls=100))
        asked = [request["max_tokens"] for request in server.requests]
        subs = [request["max_tokens"] for request in server.requests if request.model == "sub"]
    assert max(asked) <= 16_000
    assert max(subs) <= 4_000
    assert min(asked) >= 1


def test_a_limit_in_dollars_needs_prices(tmp_path: Path) -> None:
    with OpenAIServer(lambda request: "never asked") as server:
        with pytest.raises(InputError, match=r"price of openai/root is unknown, so a cost limit of \$1 cannot"):
            ask(server, tmp_path, Limits(cost=1.0))
        assert server.requests == []
    assert list(tmp_path.iterdir()) == []
