"""Kept replies: the same question goes the same way again, and costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest

from rlm_magic.engine.budget import Budget
from rlm_magic.engine.cached import CachedReplies
from rlm_magic.engine.errors import ModelError
from rlm_magic.engine.harness import NoReplies, NoTools
from rlm_magic.engine.loop import solve
from rlm_magic.engine.ports import Kept, Replies, Tools
from rlm_magic.engine.replay import RecordedReplies, sent
from rlm_magic.engine.tree import Tree
from rlm_magic.engine.types import Answer, Completion, Limits, Message, Price, Task, Variable
from rlm_magic.testing import MemoryJournal, ScriptedModel, fake_harness

from .support import DOCS, Ran, check_record, code, is_sub_call
from .test_tools import Functions

SUBMIT = code("FINAL('/'.join(map(str, parts)))")


class Shelf:
    """A `ReplyStore` in memory."""

    name = "the shelf"

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    def get(self, key: str) -> Completion | None:
        return self.kept[key].completion if key in self.kept else None

    def put(self, kept: Kept) -> None:
        assert kept.key not in self.kept
        self.kept[kept.key] = kept

    def nearest(self, parts: Sequence[str]) -> Kept | None:
        same = {key: sum(a == b for a, b in zip(parts, kept.parts, strict=False)) for key, kept in self.kept.items()}
        return self.kept[max(same, key=lambda key: same[key])] if same else None


def script(*roots: str, sub: Callable[[str], Any] | None = None) -> Callable[[Sequence[Message]], Any]:
    """A root that writes these by turn, and sub-calls that are numbered as they come."""
    numbers = count(1)

    def reply(messages: Sequence[Message]) -> Any:
        if is_sub_call(messages):
            prompt = messages[-1].content
            return sub(prompt) if sub else f"{prompt}{next(numbers)}"
        return roots[sum(message.role == "assistant" for message in messages)]

    return reply


def ask(
    shelf: Shelf,
    script: Any,
    *,
    query: str = "How many?",
    known: Replies | None = None,
    records: Sequence[Tree] = (),
    setting: str = "",
    version: str = "1",
    replay: bool = False,
    variables: tuple[Variable, ...] = (DOCS,),
    name: str = "scripted",
    tools: Tools | None = None,
    **limits: Any,
) -> Ran:
    model = ScriptedModel(script, name=name, price=Price(0.001, 0.001))
    budget, journal = Budget(Limits(**limits), lambda: 0.0), MemoryJournal()
    for _, estimated, usage in sent(records):
        budget.book(estimated, usage, None)
    replies = CachedReplies(shelf, budget, known or NoReplies(), setting=setting, version=version, replay=replay)
    harness = fake_harness(
        model, journal=journal, observers=[replies], replies=replies, budget=budget, tools=tools or NoTools()
    )
    answer: Answer = asyncio.run(solve(Task(query, variables), harness))
    check_record(journal)
    return Ran(answer, journal, model)


BATCH = code("parts = llm_query_batched(['a', 'b', 'a'])")


def test_the_same_question_is_asked_once() -> None:
    shelf = Shelf()
    first = ask(shelf, script(BATCH, SUBMIT))
    second = ask(shelf, ())
    assert second.answer.value == first.answer.value == "a1/b2/a3"
    assert second.model.requests == []
    assert second.answer.usage.cost == 0
    assert second.tree.nodes.keys() == first.tree.nodes.keys()


def test_a_kept_reply_is_shown_as_such_with_what_it_saved() -> None:
    shelf = Shelf()
    first = ask(shelf, script(BATCH, SUBMIT))
    second = ask(shelf, ())
    paid, kept = first.tree.nodes["0.1.1.1.2"].fields, second.tree.nodes["0.1.1.1.2"].fields
    assert "cached" not in paid
    assert kept["cached"] is True
    assert kept["saved"] == paid["usage"]
    assert kept["prompt"] == paid["prompt"]
    assert "usage" not in kept
    assert second.tree.nodes["0"].sums.calls == 0
    assert second.tree.nodes["0"].fields["cached_calls"] == 5
    assert "cached_calls" not in first.tree.nodes["0"].fields


def test_a_question_that_was_changed_goes_the_same_way_up_to_the_change() -> None:
    shelf = Shelf()
    ask(shelf, script(code("parts = llm_query_batched(['a', 'b'])", "print(parts)"), SUBMIT))
    other = code("parts = [llm_query('new')] + llm_query_batched(['b', 'a'])", "print(parts)")
    second = ask(shelf, script(other, SUBMIT), query="How many now?")
    assert second.answer.value == "new1/b2/a1"
    assert [messages[-1].content for messages in second.model.requests if is_sub_call(messages)] == ["new"]
    assert len(second.model.requests) == 3


def test_the_same_request_made_twice_has_two_replies_in_their_order() -> None:
    shelf = Shelf()
    ask(shelf, script(code("parts = [llm_query('a'), llm_query('a')]"), SUBMIT))
    second = ask(shelf, script(code("parts = [llm_query('a') for _ in 'abc']"), SUBMIT), query="How many more?")
    assert second.answer.value == "a1/a2/a1"
    assert len(second.model.requests) == 3


def test_which_of_a_batch_is_done_first_does_not_matter() -> None:
    async def overtaken(messages: Sequence[Message]) -> Any:
        if not is_sub_call(messages):
            return (BATCH, SUBMIT)[len(messages) // 2 - 1]
        order.append(len(order))
        if order == [0]:
            await others.wait()
        if len(order) == 3:
            others.set()
        return f"arrived {order[-1]}" if messages[-1].content == "a" else "b"

    shelf, order, others = Shelf(), list[int](), asyncio.Event()
    first = ask(shelf, overtaken)
    assert first.answer.value == ask(shelf, ()).answer.value


CHILD = code("FINAL(llm_query('same'))")


def nested(messages: Sequence[Message]) -> str:
    if is_sub_call(messages):
        return f"reply {next(NUMBERS)}"
    if "Question:\nq" in messages[1].content:
        return CHILD
    return (code("parts = rlm_query_batched(['q1', 'q2'])"), SUBMIT)[len(messages) // 2 - 1]


NUMBERS = count(1)


def test_sub_rlms_that_ask_the_same_at_once_get_their_own() -> None:
    shelf = Shelf()

    async def second_child_first(messages: Sequence[Message]) -> str:
        if "Question:\nq1" in messages[-1].content:
            await asked.wait()
        if is_sub_call(messages):
            asked.set()
        return nested(messages)

    asked = asyncio.Event()
    first = ask(shelf, second_child_first, depth=2)
    second = ask(shelf, (), depth=2)
    assert second.answer.value == first.answer.value
    assert first.answer.value[:8] > first.answer.value[8:]
    assert second.tree.nodes.keys() == first.tree.nodes.keys()


@pytest.mark.parametrize("other", [{"setting": "hotter"}, {"name": "other"}, {"variables": ()}])
def test_another_setting_model_or_value_is_asked_anew(other: dict[str, Any]) -> None:
    shelf = Shelf()
    ask(shelf, script(code("FINAL(1)"), code("FINAL(1)")))
    assert ask(shelf, script(code("FINAL(2)"), code("FINAL(2)")), **other).answer.value == 2


def test_how_many_requests_may_be_under_way_does_not_matter() -> None:
    shelf = Shelf()
    ask(shelf, script(BATCH, SUBMIT), concurrency=1)
    assert ask(shelf, (), concurrency=3).model.requests == []


def test_failures_and_empty_replies_are_asked_for_again() -> None:
    shelf, answers = Shelf(), {"a": ModelError("overloaded"), "b": "  ", "c": "fine"}
    first = ask(shelf, script(code("parts = llm_query_batched(['a', 'b', 'c'])"), SUBMIT, sub=lambda p: answers[p]))
    second = ask(shelf, script("", "", sub=str.upper))
    assert first.answer.value == "Error: overloaded/Error: scripted answered nothing (stop)/fine"
    assert second.answer.value == "A/B/fine"
    assert [messages[-1].content for messages in second.model.requests] == ["a", "b"]


def test_a_thought_is_kept_with_its_reply() -> None:
    shelf = Shelf()
    ask(shelf, script("<think>easy</think>" + code("FINAL(1)"), code("FINAL(1)")))
    kept = ask(shelf, ()).tree
    assert kept.body(kept.nodes["0.1"].fields["reasoning"]) == "easy"


def test_kept_replies_use_up_the_calls_that_the_root_is_told_of() -> None:
    shelf = Shelf()
    calls = code("parts = llm_query_batched(['a'] * 9)", "print([part.ok for part in parts if part == ''] )")
    first = ask(shelf, script(calls, SUBMIT, "It is 7."), calls=6)
    second = ask(shelf, (), calls=6)
    assert first.answer.outcome == "forced"
    assert (second.answer.outcome, second.answer.value) == (first.answer.outcome, first.answer.value)
    assert second.model.requests == []


def test_kept_replies_leave_the_last_call() -> None:
    shelf = Shelf()
    ask(shelf, script(BATCH, SUBMIT))
    ran = ask(shelf, script(BATCH, SUBMIT, "It is 7."), query="How many now?", calls=2)
    assert (ran.answer.outcome, len(ran.model.requests)) == ("forced", 2)
    assert ran.answer.reason == "calls=2 is used up: raise calls to go further"


def test_a_limit_of_money_is_not_touched_by_kept_replies() -> None:
    shelf = Shelf()
    ask(shelf, script(BATCH, SUBMIT))
    assert ask(shelf, (), cost=0.000001).answer.value == "a1/b2/a3"


def test_threads_have_numbers_of_their_own() -> None:
    shelf = Shelf()
    threads = code(
        "from concurrent.futures import ThreadPoolExecutor",
        "parts = sorted(ThreadPoolExecutor(3).map(llm_query, 'abc'))",
    )
    first = ask(shelf, script(threads, SUBMIT, sub=str.upper))
    assert ask(shelf, ()).answer.value == first.answer.value == "A/B/C"


def test_calls_that_wait_for_the_ledger_are_told_apart() -> None:
    budget = Budget(Limits(), lambda: 0.0)
    replies = CachedReplies(Shelf(), budget, NoReplies(), setting="", version="1", replay=False)
    numbers = [replies.number("0.1.1", "llm", request, index=None, label="") for request in ("a", "b", "a")]
    assert numbers == [1, 2, 3]


def test_a_run_that_is_resumed_takes_its_record_first_then_what_is_kept() -> None:
    shelf = Shelf()
    whole = ask(shelf, script(BATCH, SUBMIT), concurrency=1)
    end = next(i for i, e in enumerate(whole.journal.events) if e.node == "0.1.1.1.1" and "reply" in e.data)
    record = Tree(whole.journal.events[: end + 1])
    replies = RecordedReplies([record])
    again = ask(shelf, script("", SUBMIT), known=replies, records=[record])
    assert again.answer.value == whole.answer.value
    assert len(again.model.requests) == 1
    from_record, from_shelf = (again.tree.nodes[name].fields for name in ("0.1.1.1.1", "0.1.1.1.3"))
    assert "usage" in from_record
    assert "saved" in from_shelf


def test_what_a_run_did_not_pay_is_not_charged_when_it_is_resumed() -> None:
    shelf = Shelf()
    ask(shelf, script(BATCH, SUBMIT))
    assert list(sent([ask(shelf, ()).tree])) == []


def test_a_tool_is_called_again() -> None:
    shelf, tools = Shelf(), Functions(lookup=str.upper)
    for _ in range(2):
        ran = ask(shelf, script(code("FINAL(lookup(docs[:3]))")), tools=tools)
        assert ran.answer.value == "ONE"
    assert tools.called == ["lookup('one')"] * 2
    assert ran.model.requests == []


def missing(shelf: Shelf, **options: Any) -> str:
    ran = ask(shelf, script(), replay=True, **options)
    assert ran.model.requests == []
    assert ran.answer.outcome == "failed"
    return ran.answer.reason


def test_replay_sends_nothing() -> None:
    shelf = Shelf()
    ask(shelf, script(BATCH, SUBMIT))
    assert ask(shelf, (), replay=True).answer.value == "a1/b2/a3"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"query": "How many then?"}, "the nearest that was asked is 'Question: How many?"),
        ({"name": "other"}, "it was asked of scripted"),
        ({"setting": "hotter"}, "it was asked less often, or with other model options"),
        ({"depth": 2, "version": "2"}, "it was asked with other instructions, by rlm_magic 1 (this is 2)"),
    ],
)
def test_a_reply_that_is_not_there_ends_a_replay_and_says_why(other: dict[str, Any], why: str) -> None:
    shelf = Shelf()
    ask(shelf, script(code("FINAL(1)"), code("FINAL(1)")))
    reason = missing(shelf, **other)
    assert reason.startswith("at 0.1 ")
    assert "is asked 'Question: How many" in reason
    assert "and the shelf has no reply to that: " in reason
    assert why in reason
    assert reason.endswith("; --cache on asks for it and keeps it")


def test_a_sub_call_that_is_not_there_ends_the_replay() -> None:
    shelf = Shelf()
    first = ask(shelf, script(BATCH, SUBMIT))
    del shelf.kept[next(key for key, kept in shelf.kept.items() if kept.asked == "b")]
    second = ask(shelf, (), replay=True)
    assert second.answer.reason.startswith("at 0.1.1.1.2 scripted is asked 'b', and the shelf has no reply")
    assert first.tree.nodes["0.1.1.1.2"].label == "b"


def test_nothing_is_kept() -> None:
    assert "nothing like it was asked" in missing(Shelf())
