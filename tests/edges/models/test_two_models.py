"""A root model and a sub-model: each gets its own provider's address and key."""

from __future__ import annotations

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.settings import Settings

from .helpers import KEY, ask

OTHER = "hosted_vllm/small"


@pytest.fixture
def servers(serve, monkeypatch):
    """The server that ``api_base`` names, and that of another provider."""
    named, other = serve("from the named server"), serve("from the other server")
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", other.url)
    monkeypatch.setenv("MY_VARIABLE", KEY)
    return named, other


def keys(server):
    return [request.headers["Authorization"] for request in server.requests]


@pytest.mark.parametrize("key", [{"api_key": KEY}, {"api_key_env": "MY_VARIABLE"}])
@pytest.mark.parametrize("by_environment", [False, True])
def test_another_providers_sub_model_gets_neither_the_address_nor_the_key(servers, monkeypatch, key, by_environment):
    named, other = servers
    if by_environment:
        monkeypatch.setenv("RLM_SUB_MODEL", OTHER)
    settings = Settings(model="openai/large", sub_model=None if by_environment else OTHER, api_base=named.url, **key)
    replies = [ask(model).text for model in settings.models()]
    assert replies == ["from the named server", "from the other server"]
    assert (keys(named), keys(other)) == ([f"Bearer {KEY}"], ["Bearer none"])


def test_a_key_is_no_key_for_another_provider():
    settings = Settings(model="openai/gpt-5", sub_model="anthropic/claude-sonnet-4-5", api_key=KEY)
    with pytest.raises(InputError, match="anthropic/claude-sonnet-4-5 needs a key: set ANTHROPIC_API_KEY"):
        settings.models()


@pytest.mark.parametrize("root", ["openai/large", "rlm-offline/policy"])
def test_a_sub_model_of_the_same_provider_or_under_the_offline_policy_gets_both(servers, root):
    named, _ = servers
    settings = Settings(model=root, sub_model="openai/small", api_base=named.url, api_key=KEY)
    _, sub = settings.models()
    assert ask(sub).text == "from the named server"
    assert keys(named) == [f"Bearer {KEY}"]


@pytest.mark.parametrize(("root", "sub"), [("gpt-5", "gpt-5-mini"), ("gpt-5", "openai/gpt-5-mini")])
def test_names_without_a_provider_are_of_one_if_it_is_the_same(servers, root, sub):
    named, _ = servers
    for model in Settings(model=root, sub_model=sub, api_base=named.url, api_key=KEY).models():
        ask(model)
    assert keys(named) == [f"Bearer {KEY}"] * 2


def test_another_providers_sub_model_gets_the_options_but_no_secret_among_them(servers):
    named, other = servers
    options = {"temperature": 0, "extra_headers": {"X-Gateway-Key": KEY}}
    settings = Settings(model="openai/large", sub_model=OTHER, api_base=named.url, api_key=KEY, model_options=options)
    for model in settings.models():
        ask(model)
    assert [server.requests[0].headers.get("X-Gateway-Key") for server in (named, other)] == [KEY, None]
    assert [server.requests[0]["temperature"] for server in (named, other)] == [0, 0]
