from __future__ import annotations

import asyncio
from typing import Any

from rlm_magic.engine.types import Decision

from .support import code, run


class Person:
    """A gate that answers from a list, then lets everything run; each wait takes a while."""

    def __init__(self, *decisions: Decision, seconds: float = 0.0, batches: tuple[Decision, ...] = ()) -> None:
        self.decisions = list(decisions)
        self.batches = list(batches)
        self.seconds = seconds
        self.seen: list[tuple[str, str]] = []

    async def cell(self, node: str, code: str) -> Decision:
        self.seen.append((node, code))
        await asyncio.sleep(self.seconds)
        return self.decisions.pop(0) if self.decisions else Decision("run", code)

    async def batch(self, node: str) -> Decision:
        await asyncio.sleep(self.seconds)
        return self.batches.pop(0) if self.batches else Decision("run")


def humans(ran: Any) -> list[tuple[str, str]]:
    return [(event.data["action"], event.data["text"]) for event in ran.journal.events if event.type == "human"]


def test_every_cell_passes_the_gate() -> None:
    gate = Person()
    run([code("print(docs)") + "\n" + code("FINAL(docs)")], gate=gate)
    assert gate.seen == [("0.1.1", "print(docs)"), ("0.1.2", "FINAL(docs)")]


def test_a_pause_is_a_phase_and_passing_is_none() -> None:
    def phases(gate: Person) -> list[str]:
        ran = run([code("FINAL(docs)")], gate=gate)
        return [e.data["phase"] for e in ran.journal.events if e.type == "await" and e.node == "0.1.1"]

    assert phases(Person(seconds=0.01)) == ["paused", "executing"]
    assert phases(Person()) == ["paused", "executing"]  # one step of the event loop is a wait, too


def test_without_a_gate_nothing_pauses() -> None:
    ran = run([code("FINAL(docs)")])
    assert "paused" not in [e.data.get("phase") for e in ran.journal.events]
    assert humans(ran) == []


def test_edited_code_runs_instead_and_the_model_is_told() -> None:
    gate = Person(Decision("run", "print(docs.upper())"))
    ran = run([code("print(docs)"), code("FINAL(docs)")], gate=gate)
    assert "The user edited this code before it ran:\nprint(docs.upper())\nOutput:\nONE TWO THREE" in ran.last_prompt()
    fields = ran.nodes("exec")[0].fields
    assert ran.tree.body(fields["code"]) == "print(docs.upper())"
    assert ran.tree.body(fields["code_proposed"]) == "print(docs)"
    assert humans(ran) == [("edit", "")]


def test_an_edit_that_looks_is_a_look() -> None:
    ran = run([code("FINAL(3)")], gate=Person(Decision("run", "FINAL(len(docs.split()))")))
    assert ran.answer.value == 3


def test_a_hint_reaches_the_model() -> None:
    gate = Person(Decision("run", "print(docs)", "count them"))
    ran = run([code("print(docs)"), code("FINAL(docs)")], gate=gate)
    assert "The user says: count them\nOutput:" in ran.last_prompt()
    assert humans(ran) == [("hint", "count them")]
    assert "code_proposed" not in ran.nodes("exec")[0].fields


def test_a_skipped_cell_is_not_run_and_the_next_one_is() -> None:
    gate = Person(Decision("skip", note="too slow"))
    ran = run([code("x = 1") + "\n" + code("print('x' in globals(), docs)"), code("FINAL(docs)")], gate=gate)
    assert "The user skipped this code; it was not run.\nThe user says: too slow" in ran.last_prompt()
    assert "False one two three" in ran.last_prompt()
    assert [node.status for node in ran.nodes("exec")] == ["skipped", "ok", "ok"]
    assert humans(ran) == [("skip", "too slow")]


def test_answer_now_asks_for_the_answer() -> None:
    gate = Person(Decision("run", "print(docs)"), Decision("answer"))
    ran = run([code("print(docs)") + "\n" + code("y = 1") + "\n" + code("z = 1"), "three"], gate=gate)
    assert (ran.answer.outcome, ran.answer.value) == ("forced", "three")
    assert ran.answer.reason == "the user asked for an answer now"
    assert "one two three" in ran.last_prompt()
    assert "No more code can be run: the user asked for an answer now." in ran.last_prompt()
    assert humans(ran) == [("answer", "")]
    assert len(ran.nodes("exec")) == 2


def test_thinking_at_the_gate_takes_none_of_the_run_s_time() -> None:
    gate = Person(*[Decision("run", "print(docs)")] * 3, seconds=0.7)
    ran = run([code("print(docs)")] * 3 + [code("FINAL(docs)")], gate=gate, limits={"seconds": 2})
    assert ran.answer.outcome == "answered"


def test_cells_of_sub_rlms_pass_the_gate() -> None:
    gate = Person()
    replies = [code("FINAL(rlm_query('q', context=docs))"), code("FINAL(context)")]
    run(replies, gate=gate, limits={"depth": 2})
    assert [node for node, _ in gate.seen] == ["0.1.1", "0.1.1.1.1.1"]


BATCH = code("print(llm_query_batched(['a', 'bc']))")


def test_a_batch_says_how_much_before_it_is_sent() -> None:
    ran = run([BATCH, "x", "y", code("FINAL(docs)")], gate=Person(batches=(Decision("run"),)))
    (batch,) = ran.nodes("batch")
    assert (batch.fields["n"], batch.fields["chars"]) == (2, 3)
    opened = next(event for event in ran.journal.events if event.node == batch.id)
    assert opened.data["cost_estimate"] == batch.fields["cost_estimate"]
    assert [e.data["phase"] for e in ran.journal.events if e.type == "await" and e.node == batch.id] == [
        "paused",
        "waiting",
    ]
    assert humans(ran) == []


def test_a_batch_that_is_held_back_fails_and_nothing_is_sent() -> None:
    ran = run([BATCH, code("FINAL(docs)")], gate=Person(batches=(Decision("skip", note="too many"),)))
    assert "the user did not let this batch go out" in ran.last_prompt()
    assert "The user says: too many" in ran.last_prompt()
    assert ran.nodes("batch")[0].status == "skipped"
    assert humans(ran) == [("skip", "too many")]
    assert ran.nodes("llm") == []


def test_a_hint_at_a_batch_reaches_the_model_with_the_output() -> None:
    gate = Person(batches=(Decision("run", note="mind the second"),))
    ran = run([BATCH, "x", "y", code("FINAL(docs)")], gate=gate)
    assert "The user says: mind the second" in ran.last_prompt()
    assert humans(ran) == [("hint", "mind the second")]
    assert len(ran.nodes("llm")) == 2


def test_answer_now_at_a_batch_ends_with_the_cell() -> None:
    ran = run([BATCH, "three"], gate=Person(batches=(Decision("answer"),)))
    assert (ran.answer.outcome, ran.answer.value) == ("forced", "three")
    assert ran.answer.reason == "the user asked for an answer now"


def test_what_a_batch_may_cost_is_unknown_for_sub_rlms_and_for_models_that_are_not_there() -> None:
    unknown = code("print(llm_query_batched(['a'], model='nobody'))")
    ran = run([unknown, code("FINAL(docs)")], gate=Person())
    assert ran.nodes("batch")[0].fields["cost_estimate"] is None
    deep = [code("print(rlm_query_batched(['q']))"), code("FINAL(context)"), code("FINAL(docs)")]
    ran = run(deep, gate=Person(), limits={"depth": 2})
    assert ran.nodes("batch")[0].fields["cost_estimate"] is None
