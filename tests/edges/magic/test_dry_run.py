"""`--dry-run` and the advice on single calls, against a real server that must not be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, Limits
from rlm_magic.dryrun import DryRun
from rlm_magic.engine.errors import InputError
from rlm_magic.engine.types import Price
from rlm_magic.testing import ScriptedModel
from tests.server import OpenAIServer

HOSTILE = "<script>alert(1)</script>\x1b[2J</pre></details>"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    models = [{"id": "qwen3-8b", "max_model_len": 40_960}, {"id": "small"}]
    with OpenAIServer(lambda _: "```repl\nFINAL(len(context))\n```", models=models) as running:
        yield running


def ask(shell: InteractiveShell, server: OpenAIServer, line: str, question: str = "How long is it?") -> object:
    return shell.run_cell_magic("rlm", f"{line} -m openai/qwen3-8b --api-base {server.url}", question)


def dry(shell: InteractiveShell, server: OpenAIServer, line: str) -> DryRun:
    shown = ask(shell, server, f"{line} --dry-run")
    assert isinstance(shown, DryRun)
    return shown


def test_it_shows_the_first_prompt_as_it_is_sent(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns.update(log="a line\n" * 5_000, users=[{"id": i} for i in range(100)])
    shown = dry(shell, server, "log users -s openai/small --depth 2 --as int")
    assert server.requests == []
    ask(shell, server, "log users -s openai/small --depth 2 --as int")
    sent = [(message["role"], message["content"]) for message in server.requests[0]["messages"]]
    assert [(message.role, message.content) for message in shown.messages] == sent
    text = str(shown)
    assert all(content in text for _, content in sent)


def test_it_sends_starts_and_records_nothing(shell: InteractiveShell, server: OpenAIServer, tmp_path: Path) -> None:
    shell.user_ns.update(log="a line\n" * 5_000, answer="kept")
    before = psutil.Process().children(recursive=True)
    dry(shell, server, "log -o answer")
    assert server.requests == []
    assert psutil.Process().children(recursive=True) == before
    assert list((tmp_path / "runs").glob("**/*")) == []
    assert shell.user_ns["answer"] == "kept"


def test_the_facts_of_a_run(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns["log"] = "a line\n" * 50_000
    shell.run_line_magic("config", "RLMMagic.model_notes = {'openai/*': 'Be brief.'}")
    shown = dry(shell, server, "log -s openai/small --turns 3 --calls 10 --tokens 50000")
    facts = shown.facts
    assert facts["model"] == "openai/qwen3-8b · window 40,960 tokens (its server) · price unknown"
    assert facts["sub-model"] == "openai/small · window 32,768 tokens (assumed) · price unknown"
    assert facts["notes"] == "*qwen*, openai/*"
    assert shown.messages[0].content.endswith("\nBe brief.")
    assert facts["limits"].startswith("turns 3 · depth 1 · calls 10 · tokens 50,000 · cost unlimited · timeout 30m00s")
    assert facts["cost"] == "unknown, as the price of openai/qwen3-8b and openai/small is"
    assert (
        "to 50k: at least one turn with a short reply, at most 4 requests to the root model and 6 to" in facts["tokens"]
    )
    assert "confine" in facts["confinement"]
    assert "--- card of log\nlog: str, 350,000 characters" in str(shown)


def test_a_known_price_gives_a_range() -> None:
    model = ScriptedModel(window=20_000, price=Price(0.000_01, 0.000_1))
    facts = RLM(model, limits=Limits(turns=3, calls=10)).dry_run("How many?", "text").facts
    assert facts["model"] == "scripted · window 20,000 tokens · $10.00 in and $100.00 out for a million tokens"
    assert facts["sub-model"] == "the same"
    assert facts["cost"].endswith(" to $9.92; a limit on cost lowers the most")
    assert model.requests == []
    limited = RLM(model, limits=Limits(turns=3, calls=10, cost=0.5)).dry_run("How many?", "text").facts
    assert limited["cost"].endswith(" to $0.50")


def test_the_users_tools_are_in_the_prompt(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns.update(log="x" * 100_000, convert=lambda amount: amount * 2)
    shown = dry(shell, server, "log --tool convert")
    ask(shell, server, "log --tool convert")
    assert "convert(amount)" in shown.messages[1].content
    assert shown.messages[1].content == server.requests[0]["messages"][1]["content"]


def test_a_server_that_does_not_answer_is_told(shell: InteractiveShell, server: OpenAIServer) -> None:
    with OpenAIServer(lambda _: "") as gone:
        pass
    shown = dry(shell, gone, "")
    assert "window 32,768 tokens (assumed, its server said nothing)" in shown.facts["model"]


def test_kept_replies_cost_nothing_and_need_no_server(shell: InteractiveShell, tmp_path: Path) -> None:
    shell.user_ns["log"] = "x" * 100_000
    line = f"log --cassette {tmp_path / 'kept.jsonl'}"
    with OpenAIServer(lambda _: "```repl\nFINAL(len(context))\n```") as gone:
        ask(shell, gone, f"{line} --cache on")
        asked = len(gone.requests)
        shown = dry(shell, gone, f"{line} --cache replay")
        assert len(gone.requests) == asked
    assert shown.facts["cost"] == "$0, as every reply is a kept one"
    again = dry(shell, gone, f"{line} --cache replay")
    assert again.messages == shown.messages


def test_what_costs_nothing_says_so() -> None:
    facts = RLM(ScriptedModel(notes="Be kind.")).dry_run("How many?", "text").facts
    assert facts["model"] == "scripted · window 128,000 tokens · free"
    assert (facts["cost"], facts["notes"]) == ("$0", "the model's own")


def test_its_html_holds_no_markup_of_others(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns["page"] = HOSTILE * 3_000
    shown = shell.run_cell_magic("rlm", f"page -m openai/qwen3-8b --api-base {server.url} --dry-run", f"Why {HOSTILE}?")
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "<script" not in bundle["text/html"]
    assert bundle["text/html"].count("<details>") == 3
    assert bundle["text/html"].count("&lt;script&gt;") >= 2
    assert "\x1b" not in bundle["text/plain"] + bundle["text/html"]


def test_the_offline_policy_is_shown_too(shell: InteractiveShell) -> None:
    shell.user_ns["log"] = "short"
    shown = shell.run_cell_magic("rlm", "log --dry-run", "How long?")
    assert shown.facts["model"] == "rlm-offline/policy · offline policy, no language model"
    assert shown.facts["cost"] == "$0"
    assert "advice" not in shown.facts


@pytest.mark.parametrize(
    ("line", "question", "message"),
    [
        ("log --dry-run", " ", "the question is empty"),
        ("other --dry-run", "How long?", "no variable named 'other'"),
        ("log --dry-run --cost 1", "How long?", "the price of openai/qwen3-8b is unknown, so a cost limit of "),
        ("log --dry-run --turns 0", "How long?", "--turns=0 is too small"),
    ],
)
def test_it_refuses_what_a_run_refuses(
    shell: InteractiveShell, server: OpenAIServer, line: str, question: str, message: str
) -> None:
    shell.user_ns["log"] = "short"
    with pytest.raises(UsageError, match=message):
        ask(shell, server, line, question)


def test_a_recorded_run_has_no_dry_run(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="--dry-run is for a new question"):
        shell.run_line_magic("rlm", "resume 20261121 --dry-run")


def test_an_empty_question_is_refused_in_python() -> None:
    with pytest.raises(InputError, match="the question is empty"):
        RLM(ScriptedModel()).dry_run(" ", "text")


def advised(shell: InteractiveShell, server: OpenAIServer, line: str, capsys: pytest.CaptureFixture[str]) -> bool:
    capsys.readouterr()
    ask(shell, server, line)
    said = [line for line in capsys.readouterr().out.splitlines() if "a single call to" in line]
    assert len(said) <= 1
    return bool(said)


def test_a_short_text_gets_one_line_of_advice(
    shell: InteractiveShell, server: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns.update(note="x" * 3_500, notes=["a", "b"], log="x" * 100_000, count=7)
    ask(shell, server, "note")
    line = "note is short (about 1,000 tokens): a single call to openai/qwen3-8b may do, for less than a run"
    assert line in capsys.readouterr().out.splitlines()
    assert not advised(shell, server, "note", capsys), "once for the same variable"
    assert advised(shell, server, "note notes", capsys)
    assert not advised(shell, server, "log", capsys)
    assert not advised(shell, server, "count", capsys)
    assert not advised(shell, server, "note count", capsys)
    assert not advised(shell, server, "", capsys)
    shell.run_line_magic("config", "RLMMagic.advice = False")
    assert not advised(shell, server, "notes", capsys)


def test_advice_says_what_reading_costs() -> None:
    model = ScriptedModel(price=Price(0.000_01, 0.000_1))
    facts = RLM(model).dry_run("How many?", variables={"a": "x" * 3_500, "b": ["y" * 3_500]}).facts
    assert facts["advice"].startswith(
        "a and b are short (about 2,000 tokens, $0.02 to read): a single call to scripted"
    )


@pytest.mark.parametrize(
    ("window", "value"),
    [(128_000, "x" * 70_000), (8_000, "x" * 20_000), (128_000, ["x"] * 1_001), (128_000, b"bytes"), (128_000, [])],
)
def test_no_advice_where_a_single_call_would_not_do(window: int, value: object) -> None:
    assert "advice" not in RLM(ScriptedModel(window=window)).dry_run("How many?", value).facts
