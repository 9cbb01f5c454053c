"""--cache and --cassette through whole runs: real subkernels, a real server that counts what it is asked."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, Limits
from rlm_magic.cache import contents
from rlm_magic.engine.errors import InputError
from rlm_magic.magic import RunEnded
from rlm_magic.result import Result
from rlm_magic.testing import ScriptedModel
from rlm_magic.view import status_line
from tests.edges.conftest import shell  # noqa: F401
from tests.server import OpenAIServer, Reply, Request, error

DOCS = "one two three"
BATCH = "```repl\nparts = llm_query_batched(docs.split() * 2)\nprint(len(parts))\n```"
SUBMIT = "```repl\nFINAL('/'.join(parts))\n```"


class Numbered:
    """Numbers its replies to sub-calls, so that no two are the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0

    def __call__(self, request: Request) -> Any:
        if request.model == "down":
            return error(401, "no")
        if request.model == "sub":
            with self._lock:
                self._number += 1
                return f"{request.prompt}{self._number}"
        return (BATCH, SUBMIT)[sum(message["role"] == "assistant" for message in request["messages"])]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(Numbered()) as server:
        yield server


@pytest.fixture
def ask(server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))

    def ask(query: str = "What?", docs: str = DOCS, **options: Any) -> Result:
        options = {"cache": "on", "api_base": server.url, "api_key": "none", **options}
        return RLM("openai/root", "openai/sub", **options).completion(query, variables={"docs": docs})

    return ask


def test_the_second_run_asks_nothing_and_answers_the_same(ask: Callable[..., Result], server: OpenAIServer) -> None:
    first, asked = ask(), len(server.requests)
    second = ask(limits=Limits(concurrency=2))
    assert len(server.requests) == asked == 8
    assert second.answer == first.answer
    assert len(set(str(first.answer).split("/"))) == 6
    assert (second.cost, second.usage.tokens) == (0, 0)
    assert second.nodes[0].fields["hash_seed"] == "0"
    assert second.nodes[0].fields["options"]["cache"] == "on"
    assert "0 calls, 8 cached" in status_line(second.tree)


@pytest.mark.parametrize(
    "change",
    [
        {"model_options": {"temperature": 0.5}},
        pytest.param({"query": "What now?"}, marks=pytest.mark.slow),
        pytest.param({"docs": "one two four"}, marks=pytest.mark.slow),
        pytest.param({"limits": Limits(turns=7)}, marks=pytest.mark.slow),
        pytest.param({"cache": "off"}, marks=pytest.mark.slow),
    ],
)
def test_what_a_reply_depends_on_is_asked_anew(
    ask: Callable[..., Result], server: OpenAIServer, change: dict[str, Any]
) -> None:
    ask()
    before = len(server.requests)
    assert ask(**change).status == "answered"
    assert server.requests[before].model == "root"


def test_another_server_is_asked_though_the_name_is_the_same(ask: Callable[..., Result]) -> None:
    ask()
    with OpenAIServer(Numbered()) as other:
        ask(api_base=other.url)
        assert len(other.requests) == 8


def test_replay_needs_no_key_and_no_server(
    ask: Callable[..., Result], server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask()
    server.requests.clear()
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert ask(cache="replay", api_key=None).answer == first.answer
    assert server.requests == []


def test_replay_never_asks(ask: Callable[..., Result], server: OpenAIServer, tmp_path: Path) -> None:
    ask()
    server.requests.clear()
    result = ask("What else?", cache="replay")
    assert result.status == "failed"
    assert result.reason.startswith("at 0.1 openai/root is asked 'Question: What else?")
    assert "the nearest that was asked is 'Question: What?" in result.reason
    with pytest.raises(InputError, match=r"has no replies of openai/root with these model options: give those it"):
        ask(cache="replay", model_options={"temperature": 1})
    with pytest.raises(InputError, match=r"has no replies of openai/new: it was recorded with openai/root, openai/sub"):
        RLM("openai/new", cache="replay", api_base=server.url).completion("What?", DOCS)
    (tmp_path / "empty.jsonl").write_text('{"cassette": 1}\n')
    with pytest.raises(InputError, match=r"empty.jsonl has no replies yet: --cache on keeps those of a run"):
        ask(cache="replay", cassette=str(tmp_path / "empty.jsonl"))
    assert server.requests == []


def test_a_cassette_goes_where_the_server_is_not(ask: Callable[..., Result], tmp_path: Path) -> None:
    cassette = str(tmp_path / "lesson.jsonl")
    first = ask(cassette=cassette)
    kept = Path(cassette).read_bytes()
    result = ask(cassette=cassette, cache="replay", api_base=None, api_key=None)
    assert result.answer == first.answer
    assert Path(cassette).read_bytes() == kept
    assert b"127.0.0.1" not in kept
    assert kept.count(b"\n") == 1 + 2 + 8


def test_a_cassette_takes_what_is_new(ask: Callable[..., Result], server: OpenAIServer, tmp_path: Path) -> None:
    cassette = tmp_path / "lesson.jsonl"
    ask(cassette=str(cassette))
    kept, before = cassette.read_bytes(), len(server.requests)
    ask("And now?", cassette=str(cassette))
    assert cassette.read_bytes().startswith(kept)
    assert [request.model for request in server.requests[before:]] == ["root", "root"]
    assert cassette.read_bytes().count(b"\n") == kept.count(b"\n") + 2


@pytest.mark.slow
def test_a_damaged_cache_costs_replies_and_is_said(
    ask: Callable[..., Result], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "data" / "rlm_magic" / "replies.sqlite"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"rubbish" * 1000)
    first = ask()
    assert first.status == "answered"
    assert [record.message for record in caplog.records if "begins anew" in record.message]
    assert ask().answer == first.answer


def test_a_key_that_a_model_repeats_is_not_kept(tmp_path: Path) -> None:
    key, cassette = "a-key-of-no-known-form", tmp_path / "lesson.jsonl"

    def leaky(request: Request) -> str:
        return f"your key is {key}" if request.model == "sub" else "```repl\nFINAL(llm_query('key?'))\n```"

    with OpenAIServer(leaky) as server:
        options: Any = {"api_base": server.url, "api_key": key, "cache": "on", "cassette": str(cassette)}
        first = RLM("openai/root", "openai/sub", **options).completion("What?")
        again = RLM("openai/root", "openai/sub", **options).completion("What?")
    assert key not in cassette.read_text()
    assert str(again.answer) == "your key is [redacted]"
    assert first.status == "answered"


def test_a_run_that_a_limit_ended_is_resumed_with_what_is_kept(
    ask: Callable[..., Result], server: OpenAIServer
) -> None:
    whole = ask()
    ended = ask("Now?", limits=Limits(calls=4))
    assert ended.status == "forced"
    before = len(server.requests)
    options: Any = {"cache": "on", "api_base": server.url, "api_key": "none", "limits": Limits(calls=40)}
    resumed = RLM("openai/root", "openai/sub", **options).resume(ended.run_id, variables={"docs": DOCS})
    assert resumed.answer == whole.answer
    assert [request.model for request in server.requests[before:]] == ["root"]


PROGRAM = """
import sys
from rlm_magic import RLM
rlm = RLM("openai/root", "openai/sub", api_base=sys.argv[1], api_key="none", cache="on")
rlm.completion("What?", variables={"docs": sys.argv[2]})
"""


@pytest.mark.slow
def test_what_a_killed_run_was_told_is_known_to_the_next(
    ask: Callable[..., Result], server: OpenAIServer, tmp_path: Path
) -> None:
    numbered, hanging = Numbered(), True

    def script(request: Request) -> Any:
        return Reply(hang=True) if hanging and request.prompt == "three" else numbered(request)

    database = tmp_path / "data" / "rlm_magic" / "replies.sqlite"
    with OpenAIServer(script) as other:
        with subprocess.Popen([sys.executable, "-c", PROGRAM, other.url, DOCS]) as process:
            other.wait(lambda s: len(s.requests) == 7 and s.in_flight == 2)
            while contents(database).replies < 5:
                time.sleep(0.01)
            process.kill()
        hanging = False
        assert ask(api_base=other.url).status == "answered"
        assert [request.prompt for request in other.requests[7:9]] == ["three", "three"]
        assert len(other.requests) == 10


def test_models_that_are_objects_are_kept_by_name(ask: Callable[..., Result]) -> None:
    replies = ["```repl\nFINAL(llm_query('x'))\n```", "first"]
    first = RLM(ScriptedModel(replies, name="mine"), cache="on").completion("What?")
    again = RLM(ScriptedModel([], name="mine"), cache="on").completion("What?")
    replayed = RLM(ScriptedModel([], name="mine"), cache="replay").completion("What?")
    assert first.answer == again.answer == replayed.answer == "first"
    assert RLM(ScriptedModel(["other"], name="yours"), cache="on").completion("What?").answer != "first"


@pytest.mark.slow
def test_two_notebooks_at_once_share_a_cache(ask: Callable[..., Result], server: OpenAIServer) -> None:
    """Each asks questions of its own, and then all of both: nothing is mixed up, nothing is asked twice."""
    answers: dict[str, object] = {}

    def notebook(name: str) -> None:
        for i in range(3):
            docs = f"{name}{i} {name}{i}x"
            answers[docs] = ask(docs=docs).answer

    threads = [threading.Thread(target=notebook, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = len(server.requests)
    assert len(answers) == 6
    for docs, answer in answers.items():
        assert ask(docs=docs).answer == answer
        assert all(part.startswith(docs[:2]) for part in str(answer).split("/"))
    assert len(server.requests) == asked


@pytest.fixture
def asking(shell: InteractiveShell, server: OpenAIServer) -> Callable[[str], Any]:  # noqa: F811
    shell.user_ns["docs"] = DOCS
    options = f"docs -m openai/root -s openai/sub --api-base {server.url}"
    return lambda more: shell.run_cell_magic("rlm", f"{options} {more}", "What?")


def test_in_a_notebook(
    shell: InteractiveShell,  # noqa: F811
    asking: Callable[[str], Any],
    server: OpenAIServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asking("--cache on -o first")
    asked = len(server.requests)
    asking("--cache on -o second")
    asking("--cache replay -o third")
    names = shell.user_ns
    assert names["first"] == names["second"] == names["third"]
    assert len(server.requests) == asked
    capsys.readouterr()
    shell.run_line_magic("rlm", "cache")
    assert "kept replies: 8 in " in capsys.readouterr().out
    shell.run_line_magic("rlm", "doctor")
    assert "kept replies" in capsys.readouterr().out
    shell.run_line_magic("rlm", "cache trim all")
    assert "kept replies: 0 in " in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"has no replies yet: --cache on keeps those of a run"):
        asking("--cache replay")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trim lots", "'lots' is not a size: give one such as 200MB or 1.5GB, or all"),
        ("clear", "%rlm cache clear is not known: give %rlm cache, or %rlm cache trim 200MB"),
        ("trim 1 2", "%rlm cache trim 1 2 is not known"),
    ],
)
def test_other_words_after_cache(shell: InteractiveShell, words: str, message: str) -> None:  # noqa: F811
    with pytest.raises(UsageError, match=message):
        shell.run_line_magic("rlm", f"cache {words}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--cassette lesson.jsonl", "add --cache on to record, or --cache replay to use them alone"),
        ("--cache replay --cassette none.jsonl", "there is no cassette none.jsonl: --cache on records one"),
        ("--cache replay", r"no replies are kept in .*replies.sqlite: --cache on keeps those of a run"),
        ("--cache often", "invalid choice: 'often'"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(asking: Callable[[str], Any], options: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        asking(options)
    assert "\n" not in str(caught.value)


def test_a_cassette_made_with_another_prompt_ends_the_cell_in_one_line(
    shell: InteractiveShell,  # noqa: F811
    asking: Callable[[str], Any],
    server: OpenAIServer,
    tmp_path: Path,
) -> None:
    cassette = tmp_path / "lesson.jsonl"
    asking(f"--cache on --cassette {cassette}")
    cassette.write_text(
        cassette.read_text().replace('"version": "', '"version": "0.0.').replace('"key": "', '"key": "0')
    )
    server.requests.clear()
    with pytest.raises(UsageError, match="with these model options"):
        asking(f"--cache replay --cassette {cassette}")
    lines = cassette.read_text().splitlines(keepends=True)
    cassette.write_text("".join(line.replace('"key": "0', '"key": "') if "window" in line else line for line in lines))
    with pytest.raises(RunEnded, match="it was asked less often, or with other model options"):
        asking(f"--cache replay --cassette {cassette}")
    assert server.requests == []
