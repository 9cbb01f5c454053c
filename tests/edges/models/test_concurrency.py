"""Many calls at once, calls that are cancelled, and a server that wants fewer."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from rlm_magic.engine.types import Message
from rlm_magic.models.failures import Asked, classify
from rlm_magic.models.library import litellm
from rlm_magic.models.listing import Listing
from rlm_magic.models.route import find_route
from tests.server import OpenAIServer, Reply, rate_limited, sequence

from .helpers import build, run

LOCAL = "http://127.0.0.1:9/v1"


async def many(model, count):
    calls = (model.complete([Message("user", str(number))], max_tokens=9) for number in range(count))
    return await asyncio.gather(*calls)


async def arrived(server: OpenAIServer, condition) -> None:
    """Wait for the server without blocking the loop that the requests run on."""
    done = asyncio.get_running_loop().create_future()

    def watch() -> None:
        server.wait(condition)
        done.get_loop().call_soon_threadsafe(done.set_result, None)

    threading.Thread(target=watch, daemon=True).start()
    await done


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_calls_are_in_flight_together_and_keep_their_order(serve, count):
    server = serve(lambda r: Reply(f"answer {r.prompt}", delay=0.2))
    completions = run(many(build(server), count))
    assert [c.text for c in completions] == [f"answer {n}" for n in range(count)]
    assert server.max_in_flight > count // 20


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_cancelling_closes_every_connection_and_sends_nothing_more(serve, provider):
    server = serve(Reply(hang=True))
    model = build(server, f"{provider}/served")

    async def stop() -> None:
        calls = asyncio.gather(*(model.complete([Message("user", "?")], max_tokens=9) for _ in range(50)))
        await arrived(server, lambda s: s.in_flight == 4)
        calls.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls
        await arrived(server, lambda s: s.disconnects == 4 and s.in_flight == 0)

    run(stop())
    assert len(server.requests) == 4


def test_calls_that_are_cancelled_before_they_are_sent_end_without_a_word(serve):
    """litellm makes a coroutine on another thread, and nobody awaits it once the call is cancelled."""
    model = build(serve("ok"))

    async def cancel_after(steps: int) -> None:
        call = asyncio.create_task(model.complete([Message("user", "?")], max_tokens=9))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    async def cancel() -> None:
        for steps in range(60):
            await cancel_after(steps)

    run(cancel())
    gc.collect()


def test_a_local_server_is_tried_with_four_at_once(serve):
    server = serve(Reply("ok", hang=True))
    model = build(server)

    async def watch() -> None:
        calls = asyncio.create_task(many(model, 30))
        await arrived(server, lambda s: s.in_flight == 4)
        server.release()
        await calls

    run(watch())
    assert len(server.requests) == 30


def test_a_call_after_cancelled_ones_gets_its_place(serve):
    server = serve(sequence(*[Reply(hang=True)] * 4, "ok"))
    model = build(server)

    async def stop_then_ask() -> str:
        calls = asyncio.gather(*(model.complete([Message("user", "?")], max_tokens=9) for _ in range(9)))
        await arrived(server, lambda s: s.in_flight == 4)
        calls.cancel()
        await asyncio.gather(calls, return_exceptions=True)
        return (await model.complete([Message("user", "?")], max_tokens=9)).text

    assert run(stop_then_ask()) == "ok"


def test_models_of_one_server_share_its_limit(serve):
    server = serve(Reply("ok", hang=True))
    models = [build(server, "openai/root"), build(server, "openai/sub")]

    async def watch() -> None:
        calls = asyncio.gather(*(many(model, 10) for model in models))
        await arrived(server, lambda s: s.in_flight == 4)
        server.release()
        await calls

    run(watch())
    assert server.requests[0].model != server.requests[4].model or len(server.requests) == 20


@pytest.mark.parametrize(("address", "overloaded"), [(LOCAL, True), ("https://api.example.com/v1", False)])
def test_silence_of_a_local_server_means_that_it_gets_too_much_at_once(address, overloaded):
    route = find_route(litellm(), "openai/served", address, "a-key", None)
    asked = Asked(route, Listing(8_192, "assumed"), chars=9, timeout=1.0, attempt=1)
    assert classify(TimeoutError(), asked, now=0.0).overloaded is overloaded


def test_a_server_that_refuses_gets_fewer_at_once(serve):
    """The server takes two at once and refuses the third; in the end everything is answered."""
    server = serve(lambda r: rate_limited() if server.in_flight > 2 else Reply("ok", delay=0.01))
    completions = run(many(build(server), 40))
    assert [c.text for c in completions] == ["ok"] * 40
    refused = sum(len(c.retries) for c in completions)
    assert 0 < refused < 40
