"""What is tried again, how often, and after how long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from rlm_magic.engine.errors import AuthError, ModelError, WindowError
from rlm_magic.engine.types import Message
from tests.server import OpenAIServer, Reply, error, html_page, rate_limited, refuse_key, sequence, window_exceeded

from .helpers import KEY, Waits, ask, build, run

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (rate_limited(), "429: Rate limit reached for requests"),
        (error(500, "boom"), "500: boom"),
        (error(502, "bad gateway"), "502: bad gateway"),
        (error(503, "loading model"), "503: loading model"),
        (error(529, "overloaded"), "529: overloaded"),
        (error(504, "too slow"), "504: too slow"),
        (Reply(reset=True), "the connection to http://127.0.0.1"),
    ],
)
def test_a_passing_fault_is_tried_again_and_noted(serve, provider, fault, line):
    server, waits = serve(sequence(fault, "42")), Waits()
    completion = ask(build(server, f"{provider}/served", sleep=waits))
    assert completion.text == "42"
    assert len(server.requests) == 2
    assert completion.retries[0].startswith(line)
    assert completion.retries[0].endswith("(tried again after 0.5 s)")
    assert waits == [0.5]


def test_waits_double_with_full_jitter_and_end(serve):
    server, waits = serve(error(500, "boom")), Waits()
    with pytest.raises(ModelError, match=r"^openai/served: 500: boom \(after 6 attempts\)$") as caught:
        ask(build(server, sleep=waits))
    assert caught.value.status == 500
    assert len(server.requests) == 6
    assert waits == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.5),
        ("1.25", 1.75),
        ("0", 0.5),
        ("86400", 60),
        (format_datetime(NOON.replace(second=20), usegmt=True), 20.5),
        (format_datetime(NOON.replace(hour=1), usegmt=True), 0.5),
        ("soon", 0.5),
        ("-3", 0.5),
        ("nan", 0.5),
        ("inf", 60),
        ("", 0.5),
    ],
)
def test_the_servers_wish_comes_first(serve, header, wait):
    waits = Waits()
    completion = ask(build(serve(sequence(rate_limited(header), "42")), sleep=waits, now=NOON.timestamp))
    assert completion.text == "42"
    assert waits == [wait]


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (refuse_key, AuthError, 401),
        (error(403, "not for you"), AuthError, 403),
        (error(400, "temperature must be 1"), ModelError, 400),
        (error(402, "no credit"), ModelError, 402),
        (error(404, "the model `served` does not exist"), ModelError, 404),
        (error(422, "bad field"), ModelError, 422),
        (window_exceeded(8192, 9000), WindowError, 400),
    ],
)
def test_a_lasting_fault_is_raised_at_once(serve, fault, kind, status):
    server, waits = serve(fault), Waits()
    with pytest.raises(ModelError) as caught:
        ask(build(server, sleep=waits))
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert (len(server.requests), waits) == (1, [])


def test_a_prompt_that_does_not_fit_names_the_sizes(serve):
    with pytest.raises(WindowError, match=r"36,000 characters .* maximum context length is 8192 tokens"):
        ask(build(serve(window_exceeded(8192, 9000))), "x" * 36_000)


def test_a_refused_key_says_where_to_look(serve):
    server = serve(refuse_key)
    with pytest.raises(AuthError, match=r"check the key that was passed$"):
        ask(build(server))
    with pytest.raises(AuthError, match=r"none was sent to this server.*--api-key-env$"):
        ask(build(server, key=None))
    assert server.requests[-1].headers["Authorization"] == "Bearer none"


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
@pytest.mark.parametrize("silence", [Reply(hang=True), Reply(trickle=True)])
def test_a_server_that_comes_to_no_end_is_given_up(serve, provider, silence):
    server = serve(sequence("ready", silence))
    assert ask(build(server, f"{provider}/served")).text == "ready"
    with pytest.raises(ModelError, match=r": no reply within 2 s \(after 2 attempts\)$"):
        ask(build(server, f"{provider}/served", timeout=2))
    assert len(server.requests) == 3
    server.wait(lambda s: s.disconnects == 2)


@pytest.mark.parametrize(
    ("provider", "start"),
    [
        ("openai", "such as llama-server -m FILE"),
        ("ollama_chat", "ollama serve"),
        ("lm_studio", "lms server start"),
        ("hosted_vllm", "vllm serve NAME"),
        ("llamafile", "llama-server -m FILE"),
    ],
)
def test_a_server_that_is_not_running_is_named_with_how_it_is_started(provider, start):
    with OpenAIServer(lambda _: "") as server:
        model = build(server, f"{provider}/served")
    line = (
        rf"^{provider}/served: no server answers at http://127.0.0.1:\d+(/v1)?: start it \({start}\), or .* --api-base"
    )
    with pytest.raises(ModelError, match=line):
        ask(model)


def test_nothing_is_sent_after_a_run_is_stopped_while_waiting_to_try_again(serve):
    server = serve(rate_limited("30"))

    async def stop_while_waiting() -> None:
        asleep = asyncio.Event()

        async def sleep(_: float) -> None:
            asleep.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(build(server, sleep=sleep).complete([Message("user", "?")], max_tokens=9))
        await asleep.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(stop_while_waiting())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault", [refuse_key, html_page, error(500, "boom"), Reply(reset=True), Reply(raw="{"), Reply("")]
)
def test_no_error_drags_the_request_along(serve, fault):
    with pytest.raises(ModelError) as caught:
        ask(build(serve(fault)))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert KEY not in repr(caught.value)
