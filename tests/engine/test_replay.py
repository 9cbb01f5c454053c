"""A recorded run as the source of replies for the run that resumes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rlm_magic.engine.budget import Budget
from rlm_magic.engine.errors import EmptyReply, ModelError, WindowError
from rlm_magic.engine.events import Event
from rlm_magic.engine.harness import PassGate
from rlm_magic.engine.loop import solve
from rlm_magic.engine.replay import RecordedGate, RecordedReplies, sent
from rlm_magic.engine.tree import Tree
from rlm_magic.engine.types import Answer, Completion, Decision, Limits, Message, Task, Usage
from rlm_magic.testing import MemoryJournal, ScriptedModel, fake_harness

from .support import DOCS, Ran, check_record, code, is_sub_call, run
from .test_gate import Person, humans

BATCH = code("parts = llm_query_batched(['a', 'b', 'a'])", "print(parts)")
SUBMIT = code("FINAL(docs + '/'.join(map(str, parts)))")


def scripted(*roots: str, sub: Callable[[str], Any] = str.upper) -> ScriptedModel:
    """Roots in order; a sub-call gets what ``sub`` makes of its prompt."""
    left = iter(roots)
    return ScriptedModel(lambda messages: sub(messages[-1].content) if is_sub_call(messages) else next(left))


def resume(
    records: Sequence[Tree],
    model: ScriptedModel,
    *,
    gate: Any = None,
    journal: MemoryJournal | None = None,
    tools: Any = None,
    **limits: Any,
) -> tuple[Ran, RecordedReplies]:
    replies = RecordedReplies(records)
    budget = Budget(Limits(**limits), lambda: 0.0)
    for _, estimated, usage in sent(records):
        budget.book(estimated, usage, None)
    journal = journal or MemoryJournal()
    gate = RecordedGate(replies, gate or PassGate())
    ports = {"replies": replies, "gate": gate, "budget": budget, "tools": tools}
    harness = fake_harness(model, journal=journal, observers=[replies], **ports)
    answer: Answer = asyncio.run(solve(Task("How many?", (DOCS,)), harness))
    check_record(journal)
    return Ran(answer, journal, model), replies


def cut(ran: Ran, wanted: Callable[[Event], bool]) -> Tree:
    """The record as a killed process leaves it: up to the first event that is wanted, itself included."""
    events = ran.journal.events
    return Tree(events[: next(i for i, event in enumerate(events) if wanted(event)) + 1])


def replied(node: str) -> Callable[[Event], bool]:
    return lambda event: event.node == node and "reply" in event.data


def asked(node: str) -> Callable[[Event], bool]:
    return lambda event: event.node == node and "prompt" in event.data


def test_a_whole_run_comes_again_without_a_model() -> None:
    first = run(scripted(BATCH, SUBMIT))
    second, replies = resume([first.tree], ScriptedModel())
    assert second.answer.value == first.answer.value == "one two threeA/B/A"
    assert second.model.requests == []
    assert replies.notice == ""
    assert all(node.fields["cached"] for node in second.tree.nodes.values() if "usage" in node.fields)
    assert second.answer.usage == first.answer.usage
    assert second.tree.nodes.keys() == first.tree.nodes.keys()


def test_after_every_event_the_run_can_be_killed_and_nothing_recorded_is_asked_again() -> None:
    nested = code("parts = [rlm_query('q', context=docs), llm_query('x')] + llm_query_batched(['a', 'b'])")
    child = code("FINAL(llm_query('deep ' + context))")

    def model(*roots: str) -> ScriptedModel:
        left = iter(roots)

        def reply(messages: Sequence[Message]) -> str:
            if is_sub_call(messages):
                return messages[-1].content.upper()
            return child if "Question:\nq" in messages[1].content else next(left)

        return ScriptedModel(reply)

    first = run(model(nested, SUBMIT), limits={"depth": 2})
    whole = len(first.model.requests)
    for k in range(1, len(first.journal.events) + 1):
        tree = Tree(first.journal.events[:k])
        known = sum("reply" in node.fields for node in tree.nodes.values())
        turns = sum("reply" in node.fields for node in tree.nodes.values() if node.id in ("0.1", "0.2"))
        second, _ = resume([tree], model(*[nested, SUBMIT][turns:]), depth=2)
        assert second.answer.value == first.answer.value, k
        assert len(second.model.requests) == whole - known, k


def test_a_turn_that_was_lost_is_sent_again_and_counts_twice() -> None:
    first = run(scripted(BATCH, SUBMIT))
    second, _ = resume([cut(first, asked("0.2"))], scripted(SUBMIT), calls=7)
    assert second.answer.outcome == "answered"
    assert len(second.model.requests) == 1


def test_what_was_recorded_uses_up_the_calls() -> None:
    first = run(scripted(BATCH, SUBMIT))
    second, _ = resume([cut(first, asked("0.2"))], scripted(SUBMIT), calls=5)
    assert second.answer.reason == "calls=5 is used up: raise calls to go further"
    assert second.model.requests == []


def test_a_run_that_a_limit_ended_goes_on_with_a_higher_one() -> None:
    first = run(scripted(BATCH, "parts"), limits={"calls": 4})
    assert first.answer.outcome == "forced"
    again, _ = resume([first.tree], scripted(), calls=4)
    assert (again.answer.outcome, again.answer.value, again.model.requests) == ("forced", first.answer.value, [])
    further, _ = resume([first.tree], scripted(SUBMIT), calls=40)
    assert further.answer.value == "one two threeA/B/A"


def test_the_calls_that_a_limit_refused_in_the_last_cell_are_made() -> None:
    def refused(prompt: str) -> str:
        return prompt.upper()

    first = run(scripted(BATCH, "parts", sub=refused), limits={"calls": 3})
    assert sum(node.kind == "llm" for node in first.tree.nodes.values()) == 1
    second, replies = resume([first.tree], scripted(SUBMIT), calls=30)
    assert second.answer.value == "one two threeA/B/A"
    assert len(second.model.requests) == 3
    assert replies.notice.startswith("cell 0.1.1 printed something else")


LOOP = code(
    "parts = []",
    "for x in 'abc':",
    "    try: parts.append(llm_query(x))",
    "    except Exception as error: parts.append(type(error).__name__)",
)


@pytest.mark.parametrize("cell", [BATCH, LOOP])
def test_in_a_settled_cell_what_a_limit_refused_stays_refused(cell: str) -> None:
    inner = code(*cell.splitlines()[1:-1], "FINAL(str(parts) + context)")
    outer = code("answer = rlm_query('q', context=docs)", "FINAL(answer)")
    first = run(scripted(outer, inner), limits={"depth": 2, "calls": 5})
    assert first.answer.outcome == "answered"
    assert len(first.model.requests) == 4
    second, _ = resume([first.tree], ScriptedModel(), depth=2, calls=100)
    assert second.answer.outcome == "answered"
    assert second.model.requests == []


@pytest.mark.parametrize("error", [ModelError("down"), WindowError("too long"), EmptyReply("nothing")])
def test_in_a_settled_cell_what_failed_fails_again(error: ModelError) -> None:
    def sub(prompt: str) -> Any:
        return error if prompt == "b" else prompt.upper()

    first = run(scripted(BATCH, SUBMIT, sub=sub))
    second, _ = resume([first.tree], ScriptedModel())
    assert second.answer.value == first.answer.value
    failed = next(node for node in second.tree.nodes.values() if node.id == "0.1.1.1.2")
    assert (failed.status, failed.fields["error"]["name"]) == ("error", type(error).__name__)


def test_in_the_last_cell_what_failed_is_asked_again() -> None:
    first = run(scripted(BATCH, SUBMIT, sub=lambda prompt: ModelError("down")))
    second, _ = resume([cut(first, lambda e: e.node == "0.1.1" and e.type == "close")], scripted(SUBMIT))
    assert second.answer.value == "one two threeA/B/A"


def test_a_paid_empty_reply_is_recorded_and_not_paid_again() -> None:
    paid = EmptyReply("cut", usage=Usage(10, 5, cost=0.1, estimated=True))
    first = run([paid, code("FINAL(docs)")])
    assert (first.answer.usage.output_tokens > 5, first.answer.usage.estimated) == (True, True)
    second, _ = resume([first.tree], ScriptedModel())
    assert second.answer.value == first.answer.value
    assert second.answer.usage == first.answer.usage


def test_other_requests_than_recorded_stop_the_run_and_show_both() -> None:
    dice = iter("12")
    rolled = code("import builtins", "x = llm_query('roll ' + builtins.rlm_dice())")
    import builtins

    builtins.rlm_dice = lambda: next(dice)  # type: ignore[attr-defined]
    try:
        first = run(scripted(rolled, code("FINAL(docs + x)")))
        second, _ = resume([first.tree], ScriptedModel())
    finally:
        del builtins.rlm_dice  # type: ignore[attr-defined]
    assert second.answer.outcome == "failed"
    assert second.answer.reason == (
        "at 0.1.1 the run goes another way than its record: recorded was 'llm roll 1', now comes 'llm roll 2'; "
        "nothing was sent; ask the question anew with %%rlm, which pays for all of it again"
    )
    assert second.model.requests == []


@pytest.mark.parametrize(
    "call",
    [
        "llm_query_batched(words())",
        "rlm_query(words()[0], context=docs)",
        "rlm_query('go', context=words()[0])",  # with the same card
        "rlm_query_batched(['go'], contexts=words())",
    ],
)
def test_another_batch_or_sub_rlm_stops_the_run_at_any_depth(call: str) -> None:
    import builtins

    turns = iter([["a"], ["b"]])
    builtins.words = lambda: next(turns)  # type: ignore[attr-defined]
    try:
        replies = [code(f"x = {call}"), code("FINAL(context)"), code("FINAL(docs)")]
        first = run(scripted(*(r for r in replies if "rlm" in call or r != replies[1])), limits={"depth": 2})
        assert first.answer.outcome == "answered"
        second, _ = resume([first.tree], ScriptedModel(), depth=2)
    finally:
        del builtins.words  # type: ignore[attr-defined]
    assert "goes another way than its record" in second.answer.reason


def test_a_call_more_than_recorded_is_a_divergence() -> None:
    import builtins

    counts = iter([1, 2])
    builtins.count = lambda: next(counts)  # type: ignore[attr-defined]
    try:
        first = run(scripted(code("x = [llm_query('a') for _ in range(count())]"), code("FINAL(docs)")))
        second, _ = resume([first.tree], ScriptedModel())
    finally:
        del builtins.count  # type: ignore[attr-defined]
    assert "recorded was 'no further call', now comes 'llm a'" in second.answer.reason


def test_other_code_than_recorded_stops_the_run() -> None:
    first = run(scripted(code("x = 1"), code("FINAL(docs)")))
    for event in first.journal.events:
        if event.type == "body" and event.data["text"] == "x = 1":
            event.data["text"] = "x = 2"  # type: ignore[index]
    second, _ = resume([first.tree], ScriptedModel())
    assert "at 0.1.1 the run goes another way than its record: recorded was 'x = 2', now comes 'x = 1'" in (
        second.answer.reason
    )


def test_another_observation_alone_is_only_said_and_once() -> None:
    differs = code("import time", "print(time.perf_counter_ns())")
    first = run(scripted(differs, differs, code("FINAL(docs)")))
    second, replies = resume([first.tree], ScriptedModel())
    assert second.answer.value == first.answer.value
    assert replies.notice == ("cell 0.1.1 printed something else than when it was recorded; the recorded replies stand")


def test_threads_may_ask_in_another_order() -> None:
    threads = code(
        "from concurrent.futures import ThreadPoolExecutor",
        "parts = list(ThreadPoolExecutor(8).map(llm_query, [str(i % 10) for i in range(30)]))",
    )
    first = run(scripted(threads, SUBMIT))
    second, _ = resume([first.tree], ScriptedModel())
    assert second.answer.value == first.answer.value


DECISIONS = [
    [Decision("run", "print(docs.upper())")],
    [Decision("run", "print(docs)", "count them")],
    [Decision("run", "print(docs.upper())", "look")],
    [Decision("skip", note="too slow")],
    [Decision("answer", note="enough")],
]


@pytest.mark.parametrize("decisions", DECISIONS)
def test_what_a_person_decided_is_decided_again(decisions: list[Decision]) -> None:
    first = run([code("print(docs)"), code("FINAL(docs)")], gate=Person(*decisions))
    person = Person()
    second, _ = resume([first.tree], ScriptedModel(), gate=person)
    assert (second.answer.outcome, second.answer.value) == (first.answer.outcome, first.answer.value)
    assert humans(second) == humans(first)
    assert person.seen == []


def test_a_cell_nobody_had_decided_on_goes_to_the_gate() -> None:
    first = run([code("print(docs)"), code("FINAL(docs)")], gate=Person(Decision("run", "print(1)")))
    for wanted in (lambda e: e.data.get("phase") == "paused", lambda e: e.type == "human"):
        person = Person()
        resume([cut(first, wanted)], ScriptedModel([code("FINAL(docs)")]), gate=person)
        assert person.seen[0] == ("0.1.1", "print(docs)")


def test_a_resumed_run_that_is_killed_again_knows_what_both_know() -> None:
    first = run(scripted(BATCH, SUBMIT))
    older = cut(first, replied("0.1.1.1.2"))
    second, _ = resume([older], scripted(SUBMIT))
    newer = cut(second, replied("0.1"))
    third, _ = resume([newer, older], scripted(SUBMIT))
    assert len(third.model.requests) == 2
    assert third.answer.value == first.answer.value


def test_sent_counts_what_two_records_repeat_once_and_what_was_lost_each_time() -> None:
    first = run(scripted(BATCH, SUBMIT))
    lost = cut(first, asked("0.2"))
    second, _ = resume([lost], scripted(SUBMIT))
    again = cut(second, asked("0.2"))
    assert len(list(sent([lost]))) == 5
    assert len(list(sent([again, lost]))) == 6
    assert sum(usage is None for _, _, usage in sent([again, lost])) == 2


def test_a_record_that_cannot_be_written_ends_a_resumed_run_too() -> None:
    first = run(scripted(BATCH, SUBMIT))
    second, _ = resume([cut(first, asked("0.2"))], scripted(SUBMIT), journal=MemoryJournal(fail_at=30))
    assert second.answer.outcome == "failed"
    assert "cannot be written" in second.answer.reason
    assert second.model.requests == []


def test_a_sub_rlm_that_ran_into_a_limit_does_so_again() -> None:
    parent = code("try: x = rlm_query('q', context=docs)", "except Exception as error: x = type(error).__name__")
    replies = [parent, code("y = llm_query('a')"), "forced", code("FINAL(docs + x)")]
    left = iter(replies)

    def reply(messages: Sequence[Message]) -> str:
        return "A" if is_sub_call(messages) else next(left)

    first = run(ScriptedModel(reply), limits={"depth": 2, "calls": 5, "turns": 2})
    second, _ = resume([first.tree], ScriptedModel(), depth=2, calls=5, turns=2)
    assert (second.answer.outcome, second.answer.value) == (first.answer.outcome, first.answer.value)


def test_reasoning_and_retries_come_back() -> None:
    thought = Completion(code("FINAL(docs)"), Usage(3, 4), "scripted", reasoning="hm", retries=("429",))
    first = run([thought])
    second, _ = resume([first.tree], ScriptedModel())
    fields = second.tree.nodes["0.1"].fields
    assert second.tree.body(fields["reasoning"]) == "hm"
    assert fields["retries"] == ["429"]


def test_a_sub_rlm_without_calls_left_has_none_with_a_higher_limit_either() -> None:
    outer = code(
        "try: x = rlm_query('q', context=docs)",
        "except Exception as error: x = type(error).__name__",
        "FINAL(x)",
    )
    first = run(scripted(outer, code("y = llm_query('a')")), limits={"depth": 2, "calls": 4})
    second, _ = resume([first.tree], ScriptedModel(), depth=2, calls=100)
    assert first.answer.value == second.answer.value == "SubCallError"
    assert second.model.requests == []


def test_a_call_that_its_cell_left_behind_is_sent_again() -> None:
    first = run(scripted(BATCH, SUBMIT))
    for event in first.journal.events:
        if event.node == "0.1.1.1.2":
            for field in ("reply", "usage"):
                event.data.pop(field, None)  # type: ignore[attr-defined]
            if event.type == "close":
                event.data["status"] = "stopped"  # type: ignore[index]
    second, _ = resume([first.tree], scripted())
    assert second.answer.value == first.answer.value
    assert [request[-1].content for request in second.model.requests] == ["b"]


class Held(PassGate):
    """Decides on batches; cells pass."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.asked = 0

    async def batch(self, node: str) -> Decision:
        self.asked += 1
        return self.decision


@pytest.mark.parametrize("decision", [Decision("skip", note="dear"), Decision("answer"), Decision("run", note="go on")])
def test_what_a_person_decided_of_a_batch_is_decided_again(decision: Decision) -> None:
    cell = code("parts = [getattr(part, 'error', part) for part in llm_query_batched(['a', 'b'])]")
    first = run(scripted(cell, SUBMIT), gate=Held(decision))
    nobody = Held(Decision("run"))
    second, _ = resume([first.tree], ScriptedModel(), gate=nobody)
    assert (second.answer.outcome, second.answer.value) == (first.answer.outcome, first.answer.value)
    assert humans(second) == humans(first) != []
    assert nobody.asked == 0


def test_a_record_whose_nodes_stand_where_none_should_is_survived() -> None:
    strange = Event(1, 0.0, "open", "0.1", {"kind": "exec", "parent": "0", "depth": 0})
    tree = Tree([Event(0, 0.0, "open", "0", {"kind": "run", "parent": None, "depth": 0}), strange])
    second, _ = resume([tree], scripted(BATCH, SUBMIT))
    assert second.answer.value == "one two threeA/B/A"
