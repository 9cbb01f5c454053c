"""No key, header or password reaches what a person reads. A canary stands for each."""

from __future__ import annotations

import base64
import logging
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.engine.errors import InputError, ModelError
from rlm_magic.models import open_model, redact
from rlm_magic.models.library import litellm
from tests.server import OpenAIServer, error, html_page, refuse_key, sequence

from .helpers import KEY, ask, build

CANARY = "c4n4ry"


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "lm_studio"])
@pytest.mark.parametrize("script", [refuse_key, html_page])
def test_a_server_that_echoes_the_key(serve, capfd, caplog, provider, script):
    key = f"{CANARY}-without-any-known-form"
    server = serve(script)
    with pytest.raises(ModelError) as caught:
        ask(build(server, f"{provider}/served", key=key))
    assert key in server.requests[0].headers["Authorization"]
    everything = f"{caught.value!r} {caplog.text} {''.join(capfd.readouterr())}"
    assert CANARY not in everything
    assert "served" in everything


def test_a_retry_line_is_redacted(serve):
    echo = lambda r: error(500, f"upstream got {dict(r.headers)}")  # noqa: E731
    replies = sequence("first", "42")
    server = serve(lambda r: echo(r) if replies(r) == "first" else "42")
    completion = ask(build(server, options={"extra_headers": {"X-Team": f"{CANARY}-team"}}))
    assert server.requests[0].headers["X-Team"] == f"{CANARY}-team"
    assert "500: upstream got" in completion.retries[0]
    assert CANARY not in completion.retries[0]
    assert KEY not in completion.retries[0]


def test_a_key_that_a_long_message_would_cut_in_two(serve):
    server = serve(lambda r: error(400, "x" * 290 + r.headers["Authorization"].removeprefix("Bearer ")))
    with pytest.raises(ModelError) as caught:
        ask(build(server, key=f"{CANARY}-without-any-known-form"))
    assert CANARY not in str(caught.value)


def test_secrets_among_the_options(serve):
    server = serve(error(400, f"you sent {CANARY}-azure"))
    with pytest.raises(ModelError) as caught:
        ask(build(server, options={"azure_ad_token": f"{CANARY}-azure"}))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("address", [f"http://user:{CANARY}@host/v1", f"ftp://user:{CANARY}@host", f"h/?key={CANARY}"])
def test_a_key_in_an_address_that_is_refused(address):
    with pytest.raises(InputError) as caught:
        open_model("openai/served", api_base=address)
    assert CANARY not in str(caught.value)


def test_a_key_in_an_address_that_fails():
    with OpenAIServer(lambda _: "") as gone:
        gone.url += f"?key={CANARY}"
        model = build(gone)
    with pytest.raises(
        ModelError, match=r"no server answers at http://127.0.0.1:\d+/v1\?key=\[redacted\]: start it"
    ) as caught:
        ask(model)
    assert CANARY not in str(caught.value)


def test_a_proxy_that_is_down_is_named_without_its_password(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://bob:{CANARY}@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(ModelError, match=r"through the proxy http://\[redacted\]@127.0.0.1:9 failed") as caught:
        ask(build(serve("never reached")))
    assert CANARY not in str(caught.value)


def test_an_address_on_the_internet_that_is_not_there_says_what_to_check(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror("name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    model = open_model("openai/served", api_base=f"http://nosuch.example/v1?key={CANARY}", api_key=KEY)
    with pytest.raises(
        ModelError, match=r"connection to http://nosuch.example/v1.* failed: .*; check the address"
    ) as caught:
        ask(model)
    assert CANARY not in str(caught.value)


def test_a_key_given_as_the_name_of_its_variable():
    with pytest.raises(InputError) as caught:
        open_model("openai/gpt-5", api_key_env=f"sk-{CANARY}")
    assert CANARY not in str(caught.value)


def test_what_the_environment_holds(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", f"{CANARY}/+key")
    monkeypatch.setenv("HTTPS_PROXY", f"http://bob:{CANARY}%40pw@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "http://[broken")
    shown = redact(f"via {CANARY}@pw and {CANARY}%40pw with {CANARY}/+key or {CANARY}%2F%2Bkey")
    assert CANARY not in shown
    assert redact(f"CONNECT http://bob:{CANARY}%40pw@proxy.example:3128 failed") == (
        "CONNECT http://[redacted]@proxy.example:3128 failed"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "{{'Authorization': 'Bearer {}'}}",
        '"authorization":"Basic {}"',
        "x-api-key: {}",
        '{{"api_key": "{}"}}',
        "https://host/v1/models?alt=json&key={}&x=1",
        "client_secret={}",
        "password={}",
        "key sk-{}",
        "key sk-ant-api03-{}",
        "key AIza{}",
        "token eyJ{}.{}",
        "redis://:{}@host/0",
    ],
)
def test_forms_that_give_a_secret_away(text):
    secret = base64.b64encode(CANARY.encode() * 3).decode().rstrip("=")
    assert secret not in redact(text.format(secret, secret))


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=100 were spent",
        "a task-oriented risk-management desk-research",
        "see https://host/a@b or mail me@example.org",
        "the bearer of bad news, the key point, a secret garden",
        "key = value, tokens: 12",
        "true false localhost none 1",
    ],
)
def test_ordinary_words_stay(text, monkeypatch):
    monkeypatch.setenv("USE_TOKEN", "true")
    assert redact(text) == text


@given(st.text(), st.text(alphabet="abcdefghijkABCDEFG0123456789-_", min_size=12, max_size=60), st.text())
def test_whatever_stands_around_a_key(before, key, after):
    secret = "sk-" + key
    shown = redact(f"{before} {secret} {after}")
    assert secret not in shown
    assert redact(shown) == shown


def test_a_word_that_serves_as_key_does_not_hide_the_message(serve):
    with pytest.raises(ModelError, match=r"no model x in the EMPTY list"):
        ask(build(serve(error(404, "no model x in the EMPTY list")), key="EMPTY"))


def test_the_librarys_own_log_lines(caplog):
    litellm()
    with caplog.at_level(logging.DEBUG, logger="LiteLLM"):
        try:
            raise ValueError(f"sent Bearer {CANARY}-1")
        except ValueError:
            logging.getLogger("LiteLLM").exception("request with %s", {"api_key": f"{CANARY}-2"})
    assert "ValueError: sent Bearer [redacted]" in caplog.text
    assert CANARY not in caplog.text
