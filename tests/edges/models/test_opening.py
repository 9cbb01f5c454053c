"""`open_model`: what it refuses, with which words, and what it finds out."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.models import configured_providers, known_models, open_model
from rlm_magic.models.library import litellm
from rlm_magic.models.notes import find_notes

from .helpers import ask

LOCAL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("opnai/gpt-5", r"there is no provider 'opnai'; did you mean openai/gpt-5\?"),
        ("Anthropic/claude-sonnet-4-5", r"did you mean anthropic/claude-sonnet-4-5\?"),
        ("foo", r"model 'foo' is not known: write provider/name, such as openai/gpt-5, .*ollama_chat/"),
        ("", r"model '' is not known"),
        ("openai/", r"model 'openai/' is not known"),
        ("/gpt-5", r"is not known"),
        ("x" * 10_000, r"is not known"),
        ("rlm-offline/polcy", r"the offline ones are rlm-offline/policy and rlm-offline/reader"),
        ("github_copilot/gpt-5", r"signs in through the browser"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, message):
    with pytest.raises(InputError, match=message) as caught:
        open_model(name)
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_bare_name_at_a_server_of_ones_own_is_shown_how_to_be_written():
    with pytest.raises(InputError, match=r"speaks OpenAI's protocol, write openai/qwen3-8b$"):
        open_model("qwen3-8b", api_base=LOCAL)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai/gpt-5", "OPENAI_API_KEY"),
        ("gpt-5", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY or GOOGLE_API_KEY"),
        ("groq/llama-3.3-70b-versatile", "GROQ_API_KEY"),
        ("openrouter/qwen/qwen3-coder", "OPENROUTER_API_KEY"),
    ],
)
def test_a_missing_key_names_its_variable(name, variable, monkeypatch):
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    with pytest.raises(
        InputError, match=rf"needs a key: set {variable}, or name another variable with --api-key-env .*api_key="
    ):
        open_model(name)


def test_keys_of_the_environment_are_enough(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefgh")
    assert open_model("openai/gpt-5").name == "openai/gpt-5"


def test_a_named_variable_must_hold_a_key(monkeypatch):
    monkeypatch.setenv("EMPTY", " ")
    for variable in ("NOT_THERE", "EMPTY"):
        with pytest.raises(InputError, match=f"the environment variable {variable} holds no key"):
            open_model("openai/gpt-5", api_key_env=variable)


def test_the_key_of_a_named_variable_is_what_is_sent(serve, monkeypatch):
    server = serve("42")
    monkeypatch.setenv("MY_VARIABLE", "key-of-mine")
    ask(open_model("openai/served", api_base=server.url, api_key_env="MY_VARIABLE"))
    assert server.requests[0].headers["Authorization"] == "Bearer key-of-mine"


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "custom_openai"])
def test_a_local_server_needs_no_key_and_never_gets_the_providers(serve, monkeypatch, provider):
    server = serve("42")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-real-provider")
    assert ask(open_model(f"{provider}/served", api_base=server.url)).text == "42"
    assert server.requests[0].headers["Authorization"] == "Bearer none"


def test_a_local_server_of_the_environment(serve, monkeypatch):
    server = serve("42")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    model = open_model("openai/served")
    assert ask(model).text == "42"
    assert model.window == 32_768


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host/v1", "http://", "http://[::1", "nonsense"])
def test_an_address_that_is_none(address):
    with pytest.raises(InputError, match="write it as http://localhost:8000/v1"):
        open_model("openai/served", api_base=address)


@pytest.mark.parametrize(
    "option", ["model", "messages", "api_key", "stream", "max_tokens", "num_retries", "n", "tools"]
)
def test_an_option_that_is_not_the_users(option):
    with pytest.raises(InputError, match=f"model option '{option}' is set by rlm_magic"):
        open_model("openai/served", api_base=LOCAL, options={option: 1})


def test_options_reach_the_server(serve):
    server = serve("42")
    options = {"temperature": 0.2, "seed": 7, "extra_headers": {"X-Team": "blue"}, "extra_body": {"min_p": 0.1}}
    ask(open_model("openai/served", api_base=server.url, options=options))
    (request,) = server.requests
    assert (request["temperature"], request["seed"], request["min_p"]) == (0.2, 7, 0.1)
    assert request.headers["X-Team"] == "blue"


@pytest.mark.parametrize(
    ("listed", "window"),
    [
        ({"max_model_len": 40_960}, 40_960),
        ({"loaded_context_length": 8192, "max_context_length": 131_072}, 8192),
        ({"context_length": 200_000}, 200_000),
        ({"meta": {"n_ctx": 16_384, "n_ctx_train": 131_072}}, 16_384),
        ({"max_model_len": "many"}, 32_768),
        ({"max_model_len": -1}, 32_768),
        ({"meta": 3}, 32_768),
    ],
)
def test_a_local_server_says_its_window(serve, listed, window):
    server = serve("", models=["other", {"id": "served", **listed}])
    assert open_model("openai/served", api_base=server.url).window == window


def test_windows_of_the_map_and_where_nothing_is_known(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefgh")
    assert open_model("openai/gpt-4o-mini").window == 128_000
    assert open_model("openai/gpt-5").window == litellm().model_cost["gpt-5"]["max_input_tokens"]
    assert open_model("openai/not-out-yet").window == 128_000
    assert open_model("openai/served", api_base=LOCAL).window == 32_768


def test_ollamas_window_is_what_we_ask_it_for():
    assert open_model("ollama_chat/qwen3").window == 32_768
    assert open_model("ollama_chat/qwen3", options={"num_ctx": 65_536}).window == 65_536
    with pytest.raises(InputError, match="num_ctx='large' is not a number of tokens"):
        open_model("ollama_chat/qwen3", options={"num_ctx": "large"})


@pytest.mark.parametrize(
    ("name", "own", "patterns"),
    [
        ("openai/gpt-5", None, []),
        ("openrouter/qwen/qwen3-coder", None, ["*qwen*"]),
        ("ollama_chat/Qwen3-235B-Thinking", None, ["*qwen*", "*thinking*"]),
        (
            "openai/gpt-5",
            {"openai/*": "Be brief.", "*GPT-5": "Be kind.", "gemini/*": "Be long."},
            ["openai/*", "*GPT-5"],
        ),
        ("openai/qwen3", {"*qwen*": "Go on.", "openai/qwen[0-9]": "Now."}, ["*qwen*", "openai/qwen[0-9]"]),
        ("openai/qwen3", {"*qwen*": ""}, []),
    ],
)
def test_notes_for_a_model_are_those_whose_pattern_fits_its_name(name, own, patterns):
    notes = find_notes(name, own)
    assert list(notes) == patterns
    assert all(notes[pattern] == text for pattern, text in (own or {}).items() if pattern in notes)
    assert open_model(name, api_base=LOCAL, notes=own).notes == "\n".join(notes.values())


@pytest.mark.parametrize("own", [{"*": 3}, {3: "text"}, {"*": None}])
def test_a_note_that_is_no_text(own):
    with pytest.raises(InputError, match=r"^model_notes: .* is not a pattern and a text such as"):
        find_notes("openai/gpt-5", own)


def test_the_offline_models():
    assert open_model("rlm-offline/policy").name == "rlm-offline/policy"
    assert open_model("rlm-offline/reader").price.of(1000, 1000) == 0


def test_configured_providers_are_names_only():
    environ = {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "", "GITHUB_TOKEN": "t", "MISTRAL_API_KEY": "m"}
    assert configured_providers(environ) == ["openai", "mistral"]
    assert configured_providers({}) == []


def test_known_models_are_names_that_can_be_opened(monkeypatch):
    library = litellm()
    names = known_models()
    assert {"openai/gpt-5", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro"} <= set(names)
    assert names == sorted(set(names))
    for name in names[::50]:
        library.get_llm_provider(name)


ALONE = """
import socket, sys, os, threading

def refuse(*_, **__):
    raise AssertionError("the network was touched")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
environ = dict(os.environ)
{code}
assert dict(os.environ) == environ, "the environment was changed"
"""


def alone(code: str, cwd: object) -> str:
    """Run code in a process of its own where any use of the network is an error."""
    command = [sys.executable, "-W", "error", "-c", ALONE.format(code=code)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_imports_neither_litellm_nor_the_offline_policy(tmp_path):
    out = alone(
        "import rlm_magic.models as m\n"
        "heavy = {'litellm', 'openai', 'aiohttp', 'httpx', 'numpy', 'rlm_magic.models.offline'}\n"
        "print(sorted(heavy & set(sys.modules)), m.known_models()[0])",
        tmp_path,
    )
    assert out == "[] openai/gpt-5\n"


def test_a_process_that_ends_while_litellm_is_being_imported_says_nothing():
    code = "from rlm_magic.models import preload; preload()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_opening_touches_no_network_and_reads_no_file_of_the_user(tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-from-a-file\nFROM_DOTENV=1\n")
    out = alone(
        "import warnings; warnings.simplefilter('ignore')\n"
        "from rlm_magic.models import open_model\n"
        "from rlm_magic.models import preload; preload()\n"
        "import json; m = open_model('openai/gpt-4o-mini', api_key='sk-abcdefgh')\n"
        "print(json.dumps([m.name, m.window, 'FROM_DOTENV' in os.environ]))",
        tmp_path,
    )
    assert json.loads(out) == ["openai/gpt-4o-mini", 128_000, False]
