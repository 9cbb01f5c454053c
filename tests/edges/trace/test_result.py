"""What a run leaves: loading it again, its nodes, its exports."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from IPython.lib.pretty import pretty

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.events import Event
from rlm_magic.engine.loop import solve
from rlm_magic.engine.tree import Tree
from rlm_magic.engine.types import Answer, Json, Message, Task, Usage
from rlm_magic.result import Result
from rlm_magic.testing import ScriptedModel, fake_harness
from rlm_magic.trace import FileJournal
from rlm_magic.trace.journal import line_of
from tests.vectors.generate import VECTORS


def put(path: Path, events: list[Event]) -> Path:
    path.write_bytes(b"".join(line_of(event, "r1") for event in events))
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return put(tmp_path / "r1.rlm.jsonl", VECTORS["success"]())


def test_a_loaded_run_is_what_it_was(saved: Path) -> None:
    result = Result.load(saved)
    assert (result.answer, str(result)) == ("Brutus betrays Caesar.", "Brutus betrays Caesar.")
    assert (result.status, result.reason, result.run_id, result.trace) == ("answered", "", "r1", saved)
    assert result.usage == Usage(1500, 46, 0, 0, 0.0035)
    assert result.cost == 0.0035
    assert repr(result) == "<Result answered: 'Brutus betrays Caesar.'>"


def test_nodes_give_fields_and_texts(saved: Path) -> None:
    nodes = Result.load(saved).nodes
    assert [node.kind for node in nodes] == ["run", "turn", "exec", "llm", "answer"]
    run, turn, cell, call, answer = nodes
    assert cell.code == "FINAL(llm_query(context))"
    assert cell.output == ""
    assert turn.prompt == [Message("system", "You write code."), Message("user", "Who betrays whom?")]
    assert call.reply == "Brutus betrays Caesar."
    assert call.usage["input"] == 300
    assert (call.id, call.parent, call.depth, call.status, cell.children) == ("0.1.1.1", "0.1.1", 0, "ok", ["0.1.1.1"])
    assert answer.via == "FINAL"
    assert run.code is None
    assert {"code", "usage", "label", "status"} <= set(dir(call))
    with pytest.raises(AttributeError, match=r"node 0\.1\.1\.1 \(llm\) has no field 'cost'"):
        _ = call.cost


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nlong " * 20, "a\nlong " * 20),
        ({"n": 1}, '{"n": 1}'),
        ("x" * 20_005, "x" * 20_000 + "\n… 5 more characters"),
        ("\x1b]52;c;ZXZpbA==\x07a\x1b[2J\x9b31mb\u202e", "ab"),
        (None, "<Result answered: ''>"),
    ],
)
def test_a_notebook_shows_the_answer(value: Json, shown: str, tmp_path: Path) -> None:
    result = Result(Answer("answered", value), Tree(), "r", tmp_path / "r.rlm.jsonl")
    assert pretty(result) == shown


@pytest.mark.parametrize("value", [[1, "two", None], {"n": 3}, 7, "7", True])
def test_a_loaded_answer_keeps_its_type(value: Json, tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "r.rlm.jsonl", "r")
    harness = fake_harness(model=ScriptedModel([f"```repl\nFINAL({value!r})\n```"]), journal=journal)

    async def run() -> None:
        await solve(Task("which?"), harness)
        await journal.close()

    asyncio.run(run())
    assert Result.load(journal.path).answer == value


@pytest.mark.parametrize("outcome", ["answered", "forced", "stopped", "limit", "failed"])
def test_the_status_of_a_loaded_run(outcome: str, tmp_path: Path) -> None:
    events = [
        Event(0, 0.0, "open", "0", {"kind": "run", "parent": None}),
        Event(1, 0.0, "close", "0", {"status": "partial", "outcome": outcome, "answer": None, "reason": "because"}),
    ]
    result = Result.load(put(tmp_path / "a", events))
    assert (result.status, result.reason, result.answer, str(result)) == (outcome, "because", None, "")


def test_an_interrupted_run_loads_and_says_so(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-30])
    result = Result.load(saved)
    assert result.status == "stopped"
    assert result.reason.startswith("interrupted: its process ended before the run did; the record is torn after")
    assert len(result.nodes) == 5


def test_a_run_under_way_loads_and_says_so(tmp_path: Path) -> None:
    async def go() -> str:
        journal = FileJournal(tmp_path / "a", "r1")
        journal.append(Event(0, 0.0, "open", "0", {"kind": "run", "parent": None}))
        await journal.written()
        reason = Result.load(tmp_path / "a").reason
        await journal.close()
        return reason

    assert asyncio.run(go()) == "the run is still under way"


def test_an_unknown_price_makes_the_cost_unknown(tmp_path: Path) -> None:
    assert Result.load(put(tmp_path / "a", VECTORS["batch"]())).cost is None


@pytest.mark.parametrize(
    ("value", "text"),
    [("yes", "yes"), (None, ""), (["é", 1], '["é", 1]'), (0, "0"), (False, "false"), ({"a": None}, '{"a": null}')],
)
def test_str_is_the_answer(value: object, text: str) -> None:
    result = Result(Answer("answered", value), Tree(), "r1", Path("a"))  # type: ignore[arg-type]
    assert str(result) == text
    assert result.answer == value


def test_exports(saved: Path, tmp_path: Path) -> None:
    result = Result.load(saved)
    copy = result.export(tmp_path / "copy.jsonl")
    assert Result.load(copy).answer == result.answer
    page = result.export(str(tmp_path / "run.html")).read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "Brutus betrays Caesar." in page
    report = result.export(tmp_path / "run.md").read_text("utf-8")
    assert report.startswith("# Question\n\n```\nWho betrays whom?\n```")
    assert "FINAL(llm_query(context))" in report
    whole = json.loads(result.export(tmp_path / "run.json").read_text("utf-8"))
    assert (whole["run"], whole["status"], whole["usage"]["cost"]) == ("r1", "answered", 0.0035)
    assert whole["nodes"][2]["fields"]["code"] == "FINAL(llm_query(context))"
    assert whole["nodes"][1]["fields"]["prompt"][0] == {"role": "system", "content": "You write code."}


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("suffix", ["jsonl", "html", "md", "json"])
def test_every_vector_exports_in_every_form(name: str, suffix: str, tmp_path: Path) -> None:
    result = Result.load(put(tmp_path / "a", VECTORS[name]()))
    assert result.export(tmp_path / f"out.{suffix}").stat().st_size > 0


def test_bad_exports_are_refused_with_a_hint(saved: Path, tmp_path: Path) -> None:
    result = Result.load(saved)
    with pytest.raises(InputError, match=r"run\.htm does not end in \.jsonl, .*: did you mean \.html\?"):
        result.export(tmp_path / "run.htm")
    with pytest.raises(InputError, match=r"run does not end in \.jsonl"):
        result.export(tmp_path / "run")
    with pytest.raises(InputError, match=r"none/run\.md cannot be written: No such file or directory"):
        result.export(tmp_path / "none" / "run.md")
    with pytest.raises(InputError, match="cannot be written"):
        result.export(saved)
