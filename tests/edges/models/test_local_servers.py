"""Servers on one's own machine, each answering over HTTP in its own protocol."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

import pytest

from rlm_magic.engine.errors import EmptyReply, InputError, ModelError, WindowError
from rlm_magic.models import local_models, open_model
from rlm_magic.models.library import litellm
from rlm_magic.models.route import find_route
from tests.server import OpenAIServer, Reply, error, sequence

from .helpers import ask

QWEN = {"id": "qwen3-8b", "object": "model"}
LLAMA_CPP = {"id": "/models/qwen3-8b.gguf", "object": "model", "owned_by": "llamacpp"}
LM_STUDIO = {**QWEN, "state": "loaded", "max_context_length": 131_072, "loaded_context_length": 12_288}


def lm_studio(loaded: int | None = None, name: str = "qwen3-8b") -> dict[str, Any]:
    """A model as LM Studio 0.4 lists it, loaded under a name or not at all."""
    instances = [] if loaded is None else [{"id": name, "config": {"context_length": loaded, "parallel": 4}}]
    return {"type": "llm", "key": "qwen3-8b", "loaded_instances": instances, "max_context_length": 16_384}


def ollama(trained: int = 40_960, parameters: str = "stop    <|im_end|>") -> dict[str, Any]:
    """Pages of an Ollama that has qwen3:8b."""
    shown = {"model_info": {"general.architecture": "qwen3", "qwen3.context_length": trained}, "parameters": parameters}
    return {"/api/tags": {"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}]}, "/api/show": shown}


def root(server: OpenAIServer) -> str:
    return server.url.removesuffix("/v1")


@pytest.mark.parametrize(
    ("name", "models", "pages", "window"),
    [
        ("hosted_vllm/qwen3-8b", [{**QWEN, "owned_by": "vllm", "max_model_len": 40_960}], {}, 40_960),
        ("openai/any", [{**LLAMA_CPP, "meta": {"n_ctx": 16_384, "n_ctx_train": 131_072}}], {}, 16_384),
        (
            "openai/any",
            [{**LLAMA_CPP, "meta": {"n_ctx_train": 131_072}}],
            {"/props": {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 4}},
            8192,
        ),
        ("openai/any", [LLAMA_CPP], {"/props": None}, 32_768),
        ("lm_studio/qwen3-8b", [QWEN], {"/api/v0/models": {"data": [LM_STUDIO]}}, 12_288),
        ("lm_studio/qwen3-8b", [QWEN], {"/api/v1/models": {"models": [lm_studio(12_288)]}}, 12_288),
        ("lm_studio/mine", ["mine"], {"/api/v1/models": {"models": [lm_studio(12_288, "mine")]}}, 12_288),
        ("lm_studio/qwen3-8b", [QWEN], {"/api/v1/models": {"models": [lm_studio()]}}, 16_384),
        (
            "lm_studio/qwen3-8b",
            [QWEN],
            {"/api/v0/models": {"data": [{**QWEN, "state": "not-loaded", "max_context_length": 4096}]}},
            4096,
        ),
        (
            "lm_studio/qwen3-8b",
            [QWEN],
            {"/api/v0/models": {"data": [{**QWEN, "state": "not-loaded", "max_context_length": 131_072}]}},
            32_768,
        ),
        ("lm_studio/qwen3-8b", [QWEN], {"/api/v0/models": ["of an odd form"]}, 32_768),
    ],
)
def test_the_window_is_the_servers(serve, name, models, pages, window):
    server = serve("42", models=models, pages=pages)
    model = open_model(name, api_base=server.url)
    assert model.window == window
    assert ask(model).text == "42"


@pytest.mark.parametrize(
    ("pages", "options", "window", "source"),
    [
        (ollama(), {}, 32_768, "asked for"),
        (ollama(trained=8192), {}, 8192, "its server"),
        (ollama(trained=8192), {"num_ctx": 65_536}, 8192, "its server"),
        (ollama(trained=131_072), {"num_ctx": 65_536}, 65_536, "asked for"),
        (ollama(trained=131_072, parameters="num_ctx                        16384\nstop x"), {}, 16_384, "its server"),
        (ollama(trained=131_072, parameters="num_ctx 16384"), {"num_ctx": 4096}, 4096, "asked for"),
        ({"/api/tags": {"models": []}, "/api/show": None}, {}, 32_768, "asked for"),
        ({"/api/tags": {"models": [{"name": "x"}]}, "/api/show": {"model_info": 3}}, {}, 32_768, "asked for"),
        ({}, {}, 32_768, "asked for, its server said nothing"),
    ],
)
def test_ollamas_window_is_what_it_is_asked_for_up_to_what_the_model_can(serve, pages, options, window, source):
    server = serve("42", pages=pages)
    model = open_model("ollama_chat/qwen3:8b", api_base=root(server), options=options)
    assert (model.window, model.listing.source) == (window, source)
    assert ask(model).text == "42"
    assert server.requests[0]["options"]["num_ctx"] == window
    assert server.requests[0]["options"]["num_predict"] == 100


def test_ollama_is_found_behind_the_path_of_openais_protocol_too(serve):
    server = serve("42", pages=ollama(trained=8192))
    model = open_model("ollama_chat/qwen3:8b", api_base=server.url)
    assert model.window == 8192
    assert ask(model).text == "42"


@pytest.mark.parametrize(
    ("name", "variable"),
    [("ollama_chat/qwen3:8b", "OLLAMA_API_BASE"), ("lm_studio/qwen3-8b", "LM_STUDIO_API_BASE")],
)
def test_a_server_of_the_environment_is_asked_and_used(serve, monkeypatch, name, variable):
    server = serve("42", models=[QWEN], pages={**ollama(4096), "/api/v0/models": {"data": [LM_STUDIO]}})
    monkeypatch.setenv(variable, root(server) if "OLLAMA" in variable else server.url)
    model = open_model(name)
    assert model.window in (4096, 12_288)
    assert ask(model).text == "42"


@pytest.mark.parametrize("name", ["ollama_chat/qwen3:8b", "lm_studio/qwen3-8b", "hosted_vllm/qwen3-8b", "llamafile/x"])
def test_no_key_is_asked_for_or_sent(serve, monkeypatch, name):
    for provider in ("OPENAI", "OLLAMA", "LM_STUDIO", "HOSTED_VLLM", "LLAMAFILE"):
        monkeypatch.setenv(f"{provider}_API_KEY", "sk-a-key-of-mine")
    pages = {**ollama(), "/api/v0/models": {"data": [LM_STUDIO]}}
    server = serve("42", models=[QWEN], pages=pages)
    ask(open_model(name, api_base=root(server) if "ollama" in name else server.url))
    sent = [request.headers for request in server.requests] + [headers for _, headers in server.visits]
    assert server.requests
    assert all(headers.get("Authorization", "Bearer none") == "Bearer none" for headers in sent)


@pytest.mark.parametrize(
    ("name", "models", "reply", "line"),
    [
        (
            "hosted_vllm/qwen3",
            [{**QWEN, "max_model_len": 40_960}],
            error(404, "The model `qwen3` does not exist."),
            r"404: The model `qwen3` does not exist.; http://127.0.0.1:\d+/v1 has qwen3-8b$",
        ),
        (
            "lm_studio/qwen3-8b",
            [QWEN, "gemma-3", *(f"m{i}" for i in range(9))],
            error(404, "No models loaded. Please load a model in the developer page or use the 'lms load' command."),
            r"'lms load' command.; http://127.0.0.1:\d+/v1 has qwen3-8b, gemma-3, m0, .*, m5 and 3 more$",
        ),
        (
            "ollama_chat/qwen3",
            [],
            Reply(status=404, raw='{"error": "model \'qwen3\' not found"}'),
            r"model 'qwen3' not found; http://127.0.0.1:\d+ has qwen3:8b; `ollama pull qwen3` gets this one$",
        ),
    ],
)
def test_a_model_that_a_server_has_not_is_answered_with_those_that_it_has(serve, name, models, reply, line):
    server = serve(reply, models=models, pages=ollama())
    model = open_model(name, api_base=root(server) if "ollama" in name else server.url)
    with pytest.raises(ModelError, match=line) as caught:
        ask(model)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_the_whole_one_is_told(serve):
    with pytest.raises(
        ModelError, match=r"404: .*; check that http://127.0.0.1:\d+ is the server's whole .* end in /v1$"
    ):
        ask(open_model("openai/qwen3-8b", api_base=root(serve("never reached"))))


def test_an_ollama_without_any_model_says_how_to_get_this_one(serve):
    nothing = Reply(status=404, raw='{"error": "model \'qwen3\' not found"}')
    server = serve(nothing, pages={**ollama(), "/api/tags": {"models": []}})
    with pytest.raises(ModelError, match=r"not found; `ollama pull qwen3` gets it$"):
        ask(open_model("ollama_chat/qwen3", api_base=root(server)))


@pytest.mark.parametrize(
    "message",
    [
        "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "Trying to keep the first 9412 tokens when context the overflows. However, the model is loaded with context "
        "length of only 8192 tokens",
        "This model's maximum context length is 8192 tokens. However, you requested 9412 tokens",
    ],
)
def test_a_prompt_that_is_too_long_is_told_in_each_servers_words(serve, message):
    with pytest.raises(WindowError, match="40 characters of prompt do not fit the window"):
        ask(open_model("openai/qwen3-8b", api_base=serve(error(400, message)).url), "x" * 40)


@pytest.mark.parametrize("name", ["ollama_chat/qwen3:8b", "openai/qwen3-8b"])
def test_a_thought_is_kept_apart_and_one_without_end_is_named(serve, name):
    server = serve(
        lambda request: (
            Reply("```repl\nx\n```", reasoning="hm")
            if request.prompt == "short"
            else Reply(None, reasoning="on and on", finish_reason="length")
        ),
        pages=ollama(),
    )
    model = open_model(name, api_base=root(server) if "ollama" in name else server.url)
    completion = ask(model, "short")
    assert (completion.text, completion.reasoning) == ("```repl\nx\n```", "hm")
    with pytest.raises(EmptyReply, match=r"all of its 100 output tokens went into thinking"):
        ask(model, "long")


@pytest.mark.parametrize("name", ["ollama_chat/m", "openai/m", "hosted_vllm/m", "lm_studio/m"])
@pytest.mark.parametrize(
    ("whole", "cut"),
    [
        ("<think>hm</think>text", "<think>hm and hm"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>text", None),
        ("hm</think>text", "<|channel|>analysis<|message|>hm and hm"),
    ],
)
def test_a_thought_in_the_text_is_no_part_of_it(serve, name, whole, cut):
    server = serve(sequence(whole, Reply(cut, reasoning=None if cut else "hm", finish_reason="length")))
    model = open_model(name, api_base=root(server) if "ollama" in name else server.url)
    completion = ask(model)
    assert (completion.text, completion.reasoning) == ("text", "hm")
    with pytest.raises(EmptyReply, match="went into thinking"):
        ask(model)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_servers_name_the_field_of_thoughts_differently(serve, field):
    message = {"role": "assistant", "content": "text", field: "hm"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0}]}
    body["choices"][0] |= {"finish_reason": "stop", "message": message}
    completion = ask(open_model("hosted_vllm/m", api_base=serve(Reply(raw=json.dumps(body))).url))
    assert (completion.text, completion.reasoning) == ("text", "hm")


def test_a_reply_that_ollama_cut_says_so(serve):
    server = serve(Reply("half a sent", finish_reason="length"), pages=ollama())
    completion = ask(open_model("ollama_chat/qwen3:8b", api_base=root(server)))
    assert (completion.text, completion.finish_reason) == ("half a sent", "length")


def test_a_busy_ollama_is_asked_again(serve):
    busy = Reply(status=503, raw='{"error": "server busy, please try again.  maximum pending requests exceeded"}')
    replies = iter([busy, "42"])
    server = serve(lambda _: next(replies), pages=ollama())
    completion = ask(open_model("ollama_chat/qwen3:8b", api_base=root(server)))
    assert completion.text == "42"
    assert len(completion.retries) == 1


def test_the_models_of_ones_own_servers_are_listed(serve, monkeypatch):
    server = serve("", models=["qwen3-8b", "gemma"], pages=ollama())
    monkeypatch.setenv("OLLAMA_API_BASE", root(server))
    monkeypatch.setenv("LM_STUDIO_API_BASE", server.url)
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "https://models.example.com/v1")
    monkeypatch.setenv("LLAMAFILE_API_BASE", "http://[nonsense")
    assert local_models() == ["ollama_chat/qwen3:8b", "lm_studio/qwen3-8b", "lm_studio/gemma"]


@pytest.mark.parametrize("name", ["openai/served", "ollama_chat/served"])
def test_a_server_that_comes_to_no_end_is_not_waited_for(name):
    given_up = threading.Event()

    def trickle() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            while not given_up.wait(0.05):
                connection.send(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=trickle)
        thread.start()
        model = open_model(name, api_base=f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        given_up.set()
        thread.join()
    assert model.window == 32_768
    assert model.listing.source.endswith("its server said nothing")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ollama_chat/x", "http://localhost:11434"),
        ("lm_studio/x", "http://localhost:1234/v1"),
        ("hosted_vllm/x", "http://localhost:8000/v1"),
        ("llamafile/x", "http://localhost:8080/v1"),
    ],
)
def test_without_an_address_a_request_goes_to_the_usual_one(name, address, monkeypatch):
    for provider in ("LM_STUDIO", "HOSTED_VLLM", "LLAMAFILE"):
        monkeypatch.delenv(f"{provider}_API_BASE", raising=False)
    route = find_route(litellm(), name, None, None, None)
    assert (route.server, route.api_base) == (address, address)


@pytest.mark.parametrize("host", ["host.docker.internal", "nas.local", "gpu", "10.0.0.7", "100.64.0.9", "[::1]"])
def test_a_host_on_ones_own_network_needs_no_key(host):
    assert find_route(litellm(), "openai/served", f"http://{host}:8000/v1", None, None).local


def test_a_host_on_the_internet_needs_a_key():
    with pytest.raises(InputError, match="needs a key"):
        open_model("openai/served", api_base="https://internal.example.com/v1")
