"""What becomes of a reply: text, reasoning, finish reason, usage and cost."""

from __future__ import annotations

import json

import pytest

from rlm_magic.engine.errors import EmptyReply, ModelError
from rlm_magic.engine.types import Message, Price, Usage
from rlm_magic.models.library import litellm
from tests.server import Reply

from .helpers import ask, build, run

COUNTED = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


def test_a_reply_is_text_and_usage(serve):
    completion = ask(build(serve(Reply("42", usage=COUNTED)), "openai/served"))
    assert completion.text == "42"
    assert completion.model == "openai/served"
    assert completion.finish_reason == "stop"
    assert completion.retries == ()
    assert completion.usage == Usage(1000, 50, 400, 30, None)


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "custom_openai", "lm_studio"])
def test_the_request_arrives_as_it_was_asked(serve, provider):
    server = serve("ok")
    messages = [
        Message("system", "Be brief.\u2028\t\x00\x1b[31m"),
        Message("user", 'sk-live-abcdefghijkl "Müller" \U0001f9ea {x} \\ud800'),
        Message("assistant", "ß"),
        Message("user", "Authorization: Bearer not-for-redaction"),
    ]
    run(build(server, f"{provider}/served", options={"temperature": 0.5}).complete(messages, max_tokens=77))
    (request,) = server.requests
    assert [(m["role"], m["content"]) for m in request["messages"]] == [(m.role, m.content) for m in messages]
    assert (request.model, request["max_tokens"], request["temperature"]) == ("served", 77, 0.5)
    assert set(request) == {"model", "messages", "max_tokens", "temperature"}


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("<think>first</think>then", "then", "first"),
        ("  <think>\nfirst\n</think>\n\nthen", "then", "first"),
        ("first</think>\nthen", "then", "first"),
        ("say <think>x</think> here", "say <think>x</think> here", ""),
        ("```repl\nx = '</think>'\n```", "```repl\nx = '</think>'\n```", ""),
    ],
)
def test_a_leading_thought_is_reasoning(serve, content, text, reasoning):
    completion = ask(build(serve(Reply(content))))
    assert (completion.text, completion.reasoning) == (text, reasoning)


def test_reasoning_of_its_own_field_is_kept_apart(serve):
    completion = ask(build(serve(Reply("then", reasoning="first"))))
    assert (completion.text, completion.reasoning) == ("then", "first")


def test_a_cut_reply_keeps_its_text_and_says_so(serve):
    completion = ask(build(serve(Reply("half a sent", finish_reason="length"))))
    assert (completion.text, completion.finish_reason) == ("half a sent", "length")


@pytest.mark.parametrize("text", ["", None, "  \n"])
def test_an_empty_reply_names_its_finish_reason(serve, text):
    server = serve(Reply(text, finish_reason="content_filter"))
    with pytest.raises(EmptyReply, match=r"empty \(finish_reason=content_filter\)"):
        ask(build(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(None, reasoning="so many thoughts", finish_reason="length"),
        Reply("<think>so many thoughts", finish_reason="length"),
    ],
)
def test_reasoning_that_used_up_the_output_says_what_to_do(serve, reply):
    line = (
        r"all of its 100 output tokens went into thinking: raise them with --model-options '{\"max_tokens\": 400}', or"
    )
    with pytest.raises(EmptyReply, match=line):
        ask(build(serve(reply)))


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
@pytest.mark.parametrize(
    "raw",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"choi',
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"index": 0, "finish_reason": "stop", "message": null}]}',
        '{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": 7}}]}',
        "<html>log in</html>",
        "\ufeff\ufffd",
        '{"choices": "\udcff\udc80',  # bytes that are no UTF-8
    ],
)
def test_what_is_no_completion_is_a_model_error_and_not_paid_twice(serve, provider, raw):
    server = serve(Reply(raw=raw))
    with pytest.raises(ModelError) as caught:
        ask(build(server, f"{provider}/served"))
    message = str(caught.value)
    assert message.startswith(f"{provider}/served: ")
    assert "\n" not in message
    assert len(message) < 500
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": None},
        {"prompt_tokens": 10**60, "completion_tokens": 1, "total_tokens": 10**60},
    ],
)
def test_without_a_count_that_can_be_tokens_are_estimated(serve, usage):
    completion = ask(build(serve(Reply("x" * 41, usage=usage)), "openai/gpt-4o-mini"), "y" * 400)
    assert completion.usage == Usage(100, 11, cost=pytest.approx(100 * 1.5e-07 + 11 * 6e-07), estimated=True)


def test_reasoning_counts_where_tokens_are_estimated(serve):
    usage = ask(build(serve(Reply("x" * 40, reasoning="r" * 400, usage=None)))).usage
    assert (usage.output_tokens, usage.reasoning_tokens) == (110, 100)


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "openai/gpt-5"])
def test_a_known_price_is_litellms(serve, name):
    model = build(serve(Reply("42", usage=COUNTED)), name)
    entry = litellm().model_cost[name.removeprefix("openai/")]
    assert model.price == Price(entry["input_cost_per_token"], entry["output_cost_per_token"])
    response = litellm().ModelResponse(**json.loads(json.dumps({"model": name, "usage": COUNTED, "choices": []})))
    assert ask(model).usage.cost == pytest.approx(litellm().completion_cost(response, model=name))
    assert 0 < ask(model).usage.cost < model.price.of(1000, 50)  # cached tokens are cheaper


def test_the_price_is_that_of_the_name_that_was_asked_for(serve):
    """A server that claims to be another model does not change the bill."""
    claim = {"model": "gpt-4", "usage": COUNTED, "id": "1", "object": "chat.completion", "created": 1}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "42"}}
    honest, liar = serve(Reply("42", usage=COUNTED)), serve(Reply(raw=json.dumps({**claim, "choices": [choice]})))
    costs = [ask(build(server, "openai/gpt-4o-mini")).usage.cost for server in (honest, liar)]
    assert costs[0] == costs[1]


def test_an_unknown_price_is_none_and_a_listed_zero_is_zero(serve, monkeypatch):
    server = serve(Reply("42", usage=COUNTED))
    unknown = build(server, "openai/served")
    assert (unknown.price, ask(unknown).usage.cost) == (None, None)
    entry = {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 9000}
    free = {**entry, "input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    monkeypatch.setitem(litellm().model_cost, "openai/free-of-charge", free)
    monkeypatch.setitem(litellm().model_cost, "openai/unpriced", entry)
    assert build(server, "openai/free-of-charge").price == Price(0.0, 0.0)
    assert ask(build(server, "openai/free-of-charge")).usage.cost == 0.0
    assert build(server, "openai/unpriced").price is None
    assert build(server, "openai/unpriced").window == 9000
