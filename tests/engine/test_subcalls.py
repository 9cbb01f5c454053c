from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from inline_snapshot import snapshot

from rlm_magic.engine.errors import AuthError, ModelError
from rlm_magic.engine.harness import NoReplies
from rlm_magic.engine.subcalls import OVER
from rlm_magic.engine.types import CellResult, Completion, Limits, Message, SubCall, SubReply, Usage
from rlm_magic.testing import FakeSandbox, ScriptedModel, variable

from .support import code, is_sub_call, run
from .test_loop import Opened, only_int


def answering(*replies: str, sub: Callable[[str], Any] = str.upper) -> Callable[[Sequence[Message]], Any]:
    """The root's replies in order; sub-calls are answered by a function of their prompt."""

    def script(messages: Sequence[Message]) -> Any:
        if is_sub_call(messages):
            return sub(messages[-1].content)
        return replies[sum(m.role == "assistant" for m in messages)]

    return script


def by_level(*levels: str, leaf: Callable[[str], Any] = str.upper) -> Callable[[Sequence[Message]], Any]:
    """One reply for each RLM, chosen by the depth that its question names ("level 1: ...")."""

    def script(messages: Sequence[Message]) -> Any:
        if is_sub_call(messages):
            return leaf(messages[-1].content)
        question = messages[1].content
        level = next((n for n in range(len(levels) - 1, 0, -1) if f"level {n}" in question), 0)
        return levels[level]

    return script


# --- plain sub-calls


def test_a_plain_sub_call() -> None:
    ran = run(answering(code("FINAL(llm_query('say ' + docs))")))
    assert ran.answer.value == "SAY ONE TWO THREE"
    leaf = ran.nodes("llm")[0]
    assert (leaf.label, leaf.depth, leaf.parent) == ("say one two three", 1, "0.1.1")
    assert ran.tree.body(leaf.fields["reply"]) == "SAY ONE TWO THREE"
    assert [ref["role"] for ref in leaf.fields["prompt"]] == ["system", "user"]
    assert ran.nodes("exec")[0].fields["calls"] == 1


def test_sub_calls_go_to_the_sub_model() -> None:
    sub = ScriptedModel(lambda messages: "from below", name="small")
    ran = run([code("FINAL(llm_query('q' + docs))")], sub_model=sub)
    assert ran.answer.value == "from below"
    assert sub.max_tokens == [4_000]
    assert ran.model.max_tokens == [16_000]


def test_a_call_may_name_one_of_the_run_s_models_only() -> None:
    lines = ["print(llm_query('a', model='big'), llm_query('b', model='small'))", "llm_query(docs, model='other')"]
    big = ScriptedModel(answering(code(*lines), code("FINAL(1)")), name="big")
    small = ScriptedModel(lambda messages: "from small", name="small")
    ran = run(big, sub_model=small)
    assert "A from small" in ran.last_prompt()
    assert "model='other' is not part of this run: give 'small' or 'big', or none" in ran.last_prompt()
    assert len(small.requests) == 1


def test_a_batch_keeps_its_order_and_one_failure_in_its_slot() -> None:
    def sub(prompt: str) -> Any:
        return ModelError("HTTP 500") if prompt == "b" else prompt * 2

    lines = ["items = llm_query_batched(['a', 'b', 'c'])", "FINAL([docs, items, items[1].error])"]
    ran = run(answering(code(*lines), sub=sub))
    assert ran.answer.value == ["one two three", ["aa", "Error: HTTP 500", "cc"], "HTTP 500"]
    batch = ran.nodes("batch")[0]
    assert (batch.label, batch.status, batch.fields["n"], batch.fields["chars"], batch.fields["failed"]) == snapshot(
        ("llm × 3", "partial", 3, 3, 1)
    )
    assert [node.status for node in ran.nodes("llm")] == ["ok", "error", "ok"]


def test_a_batch_of_failures() -> None:
    ran = run(answering(code("FINAL(llm_query_batched([docs]))"), sub=lambda _: ModelError("down")))
    assert ran.nodes("batch")[0].status == "error"


def test_an_empty_batch() -> None:
    assert run([code("FINAL([docs, llm_query_batched([])])")]).answer.value == ["one two three", []]


def test_at_most_so_many_requests_at_once() -> None:
    model = ScriptedModel(answering(code("FINAL(len(llm_query_batched([docs] * 100)))")), delay=0.002)
    ran = run(model, limits={"concurrency": 4})
    assert ran.answer.value == 100
    assert model.peak == 4


def test_threads_share_the_same_limit() -> None:
    lines = [
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(20) as pool: items = list(pool.map(llm_query, [docs] * 40))",
        "FINAL(len(items))",
    ]
    model = ScriptedModel(answering(code(*lines)), delay=0.002)
    assert run(model, limits={"concurrency": 3}).answer.value == 40
    assert model.peak == 3


def test_a_huge_batch_makes_exactly_the_calls_that_are_left() -> None:
    lines = [
        "items = llm_query_batched([docs] * 10_000)",
        "FINAL([sum(hasattr(i, 'error') for i in items), items[-1]])",
    ]
    ran = run(answering(code(*lines)), limits={"calls": 101})
    refused, last = ran.answer.value  # type: ignore[misc]
    assert refused == 10_000 - 99
    assert last == snapshot(
        "Error: calls=101 is used up; make no more sub-calls: aggregate in Python what you have, and submit"
    )
    assert len(ran.model.requests) == 100
    assert len(ran.nodes("llm")) == 99
    assert ran.nodes("exec")[0].fields["calls"] == 10_000


def test_code_that_calls_without_end_uses_exactly_the_calls() -> None:
    lines = ["while docs:", "    try: llm_query('x')", "    except SubCallError as error: break", "print(error)"]
    ran = run(answering(code(*lines), "x"), limits={"calls": 20})
    assert len(ran.model.requests) == 20
    assert ran.answer.outcome == "forced"


def test_a_prompt_that_is_too_long_names_both_sizes() -> None:
    small = ScriptedModel(name="small", window=4_000)
    ran = run([code("llm_query(docs * 10_000)"), code("FINAL(1)")], sub_model=small)
    assert "the prompt has 130,000 characters, small takes about 9,000: split it" in ran.last_prompt()
    assert small.requests == []


def test_output_of_a_sub_call_leaves_room_for_its_prompt() -> None:
    small = ScriptedModel(lambda _: "x", name="small", window=4_000)
    run([code("FINAL(llm_query(docs + 'y' * 10_000))")], sub_model=small)
    assert 256 <= small.max_tokens[0] < 1_200


def test_an_empty_reply_fails_its_item() -> None:
    ran = run(answering(code("FINAL(llm_query_batched([docs]))"), sub=lambda _: Completion("", Usage(1, 0), "m")))
    assert ran.answer.value == ["Error: scripted answered nothing (stop)"]


def test_replies_have_the_length_that_was_asked_for_up_to_what_the_window_leaves() -> None:
    root = ScriptedModel(["no code", code("llm_query(docs)", "FINAL(docs)")])
    sub = ScriptedModel(lambda _: "yes", window=9_000)
    run(root, sub_model=sub, reply_tokens=30_000)
    assert root.max_tokens == [30_000, 30_000]
    assert 8_000 < sub.max_tokens[0] < 9_000


def test_sub_replies_that_were_cut_are_counted() -> None:
    def reply(messages: Sequence[Message]) -> Completion:
        reason = "length" if "long" in messages[-1].content else "stop"
        return Completion("half a", Usage(1, 1), "small", reason)

    root = [code("llm_query_batched(['long', 'short', 'long'])"), code("llm_query(docs)"), code("FINAL(docs)")]
    ran = run(root, sub_model=ScriptedModel(reply))
    assert "that were cut at the output limit: 2." in ran.model.requests[1][-1].content
    assert "cut at the output limit" not in ran.last_prompt()


def test_a_last_answer_has_that_length_too() -> None:
    root = ScriptedModel(["no code", "three"])
    assert run(root, reply_tokens=30_000, limits={"turns": 1}).answer.outcome == "forced"
    assert root.max_tokens == [30_000, 30_000]


def test_a_thought_of_a_sub_model_is_no_part_of_its_reply() -> None:
    assert run(answering(code("FINAL(llm_query(docs))"), sub=lambda _: "<think>hm</think>yes")).answer.value == "yes"


def test_lone_surrogates_do_not_reach_a_model() -> None:
    ran = run(answering(code("FINAL(ascii(llm_query(docs + '\\ud800')))")))
    assert ran.answer.value == "'ONE TWO THREE\\ufffd'"


# --- what ends the run


def test_a_refused_key_in_a_sub_call_ends_the_run() -> None:
    def sub(prompt: str) -> Any:
        return AuthError("the key was refused") if prompt == "7" else prompt

    lines = ["import time", "items = llm_query_batched([str(n) for n in range(1000)])", "print(docs)", "time.sleep(5)"]
    ran = run(answering(code(*lines), sub=sub), limits={"concurrency": 2})
    assert (ran.answer.outcome, ran.answer.reason) == ("failed", "the key was refused")
    assert len(ran.model.requests) < 20


def test_a_refused_key_two_levels_down_ends_the_run() -> None:
    script = by_level(
        code("rlm_query('level 1', context=docs)"), code("llm_query(context)"), leaf=lambda _: AuthError("refused")
    )
    ran = run(script, limits={"depth": 2})
    assert (ran.answer.outcome, ran.answer.reason) == ("failed", "refused")


class BrokenReplies(NoReplies):
    def find(self, kind: str, node: str, request: str) -> None:
        if kind == "llm":
            raise ZeroDivisionError("bug")


def test_a_bug_in_a_sub_call_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        run(answering(code("print(docs)", "llm_query_batched(['a'] * 5)")), replies=BrokenReplies())


def test_calls_after_the_run_was_ended_are_refused() -> None:
    asked: list[SubReply] = []

    class Insistent(FakeSandbox):
        async def run(self, code: str, handle: Any, *, seconds: float) -> CellResult:
            call = SubCall("llm", ("a",), (None,))
            try:
                await handle(call)
            finally:
                asked.extend(await handle(call))
            return CellResult("ok")

    ran = run(answering(code("docs"), sub=lambda _: AuthError("refused")), open_sandbox=Opened(Insistent()))
    assert ran.answer.outcome == "failed"
    assert asked == [SubReply(error=OVER)]
    assert len(ran.model.requests) == 2


def test_calls_that_outlive_their_cell_are_ended_and_later_ones_refused() -> None:
    replies: list[Any] = []
    asked = asyncio.Event()

    class Leaky(FakeSandbox):
        async def run(self, code: str, handle: Any, *, seconds: float) -> CellResult:
            call = SubCall("llm", ("never answered",), (None,))
            left_behind = asyncio.ensure_future(handle(call))
            await asked.wait()
            self.later = asyncio.ensure_future(self._late(handle, call, left_behind))
            return CellResult("ok")

        async def _late(self, handle: Any, call: SubCall, left_behind: asyncio.Future[Any]) -> None:
            replies.extend(await asyncio.gather(left_behind, return_exceptions=True))
            replies.extend(await handle(call))

    async def sub(_: str) -> str:
        asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
        return ""

    ran = run(
        answering(code("docs"), "FINAL(done)", sub=lambda prompt: "x"),
        sub_model=ScriptedModel(lambda messages: sub("")),
        open_sandbox=Opened(Leaky()),
    )
    assert ran.answer.value == "done"
    assert isinstance(replies[0], asyncio.CancelledError)
    assert "the cell has ended" in replies[1].error
    assert [node.status for node in ran.nodes("llm")] == ["stopped"]


# --- recursion


def test_a_sub_rlm_answers() -> None:
    script = by_level(
        code("FINAL(rlm_query('level 1', context=docs))"), code("FINAL({'words': context.split(), 'n': 3})")
    )
    ran = run(script, limits={"depth": 2})
    assert ran.answer.value == '{"words": ["one", "two", "three"], "n": 3}'
    child = ran.nodes("rlm")[0]
    assert (child.parent, child.depth, child.status) == ("0.1.1", 1, "ok")
    assert [ran.tree.nodes[c].kind for c in child.children] == ["turn", "answer"]
    assert ran.tree.body(child.fields["prompt"][0]) == "level 1"
    assert child.fields["variables"][0]["name"] == "context"
    assert ran.tree.root is not None
    assert ran.tree.root.sums.calls == 2


def test_without_a_context_the_prompt_is_the_context() -> None:
    script = by_level(code("FINAL(rlm_query('level 1 ' + docs))"), code("FINAL(context + '!')"))
    assert run(script, limits={"depth": 2}).answer.value == "level 1 one two three!"


def test_a_sub_rlm_runs_on_the_sub_model_and_is_not_told_of_calls() -> None:
    big = ScriptedModel([code("FINAL(rlm_query('level 1', context=docs))")], name="big")
    small = ScriptedModel([code("FINAL(context)")], name="small")
    ran = run(big, sub_model=small, limits={"depth": 2})
    assert ran.answer.value == "one two three"
    assert small.requests[0][1].content.endswith("Turn 1 of 30.")
    assert ran.nodes("rlm")[0].fields["models"] == {"root": "small", "sub": "small"}


def test_at_the_last_depth_a_sub_rlm_is_a_plain_call() -> None:
    ran = run(answering(code("FINAL(rlm_query_batched(['a', docs]))")))
    assert ran.answer.value == ["A", "ONE TWO THREE"]
    assert ran.nodes("rlm") == []
    assert ran.nodes("batch")[0].label == "rlm × 2"


def test_a_context_that_a_sandbox_hands_up_at_the_last_depth_is_refused() -> None:
    replies: list[SubReply] = []

    class Odd(FakeSandbox):
        async def run(self, code: str, handle: Any, *, seconds: float) -> CellResult:
            replies.extend(await handle(SubCall("rlm", ("a",), (variable("context", "x"),))))
            return CellResult("ok")

    run([code("docs"), "FINAL(x)"], open_sandbox=Opened(Odd()))
    assert replies == [SubReply(error="this is the last depth: put the context into the prompt")]


def test_a_sub_rlm_that_fails_fails_its_item() -> None:
    def script(messages: Sequence[Message]) -> Any:
        if "level 1" in messages[1].content:
            return ModelError("HTTP 500")
        return code("FINAL(rlm_query_batched(['level 1', 'level 1'], contexts=[docs, docs]))")

    ran = run(script, limits={"depth": 2})
    assert ran.answer.value == ["Error: HTTP 500"] * 2
    assert [node.status for node in ran.nodes("rlm")] == ["error", "error"]


def test_a_sub_rlm_at_its_turn_limit_gives_a_forced_answer() -> None:
    def script(messages: Sequence[Message]) -> Any:
        if "level 1" in messages[1].content:
            return "about three" if "No more code can be run" in messages[-1].content else code("print(context)")
        if "FINAL" not in messages[-1].content and len(messages) == 2:
            return code("x = rlm_query('level 1', context=docs)")
        return code("FINAL(x)")

    ran = run(script, limits={"depth": 2, "turns": 2})
    assert ran.answer.value == "about three"
    assert [node.status for node in ran.nodes("rlm")] == ["partial"]


def test_a_sub_rlm_without_a_call_left_is_not_opened() -> None:
    lines = [
        "first = rlm_query('level 1', context=docs)",
        "try: rlm_query('level 1', context=docs)",
        "except SubCallError as error: FINAL([first, str(error)])",
    ]
    ran = run(by_level(code(*lines), code("FINAL(context)")), limits={"depth": 2, "calls": 3})
    first, error = ran.answer.value  # type: ignore[misc]
    assert first == "one two three"
    assert "aggregate in Python" in str(error)
    assert len(ran.nodes("rlm")) == 1


def test_sub_rlms_that_run_out_of_calls_say_so() -> None:
    script = by_level(code("FINAL(rlm_query_batched(['level 1'] * 3, contexts=[docs] * 3))"), code("FINAL(context)"))
    ran = run(script, limits={"depth": 2, "calls": 3})
    assert ran.answer.value == snapshot(
        [
            "one two three",
            "Error: calls=3 is used up; make no more sub-calls: aggregate in Python what you have, and submit",
            "Error: calls=3 is used up; make no more sub-calls: aggregate in Python what you have, and submit",
        ]
    )


def test_a_sub_rlm_never_uses_the_call_held_back_for_the_run() -> None:
    script = by_level(code("x = rlm_query('level 1', context=docs)"), code("print(context)"))
    ran = run(script, limits={"depth": 2, "calls": 6})
    assert len(ran.model.requests) == 6
    assert ran.answer.outcome == "forced"
    assert ran.nodes("rlm")[0].status == "limit"


def test_an_answer_of_a_child_is_not_checked() -> None:
    script = by_level(code("FINAL(int(rlm_query('level 1', context=docs)))"), code("FINAL(str(len(context.split())))"))
    ran = run(script, limits={"depth": 2}, check=only_int)
    assert ran.answer.value == 3


def test_deep_and_wide_recursion_ends_at_low_concurrency() -> None:
    wide = "FINAL(sum(map(int, rlm_query_batched(['level {n}'] * {width}, contexts=[context] * {width}))))"
    script = by_level(
        code(wide.format(n=1, width=200)),
        code(wide.format(n=2, width=2)),
        code("FINAL(llm_query(context))"),
        leaf=lambda _: "1",
    )
    model = ScriptedModel(script)
    ran = run(model, limits={"depth": 3, "concurrency": 4, "calls": 10_000, "turns": 3, "seconds": 60})
    assert ran.answer.value == 400
    assert len(ran.nodes("rlm")) == 200 + 400
    assert model.peak <= 4


def test_recursion_from_threads_ends_at_low_concurrency() -> None:
    threads = "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(50) as pool: items = list("
    script = by_level(
        code(threads + "pool.map(lambda n: rlm_query('level 1', context=docs), range(50)))", "FINAL(len(items))"),
        code(threads + "pool.map(lambda n: rlm_query('level 2', context=context), range(3)))", "FINAL(len(items))"),
        code("FINAL(llm_query(context))"),
    )
    ran = run(script, limits={"depth": 3, "concurrency": 1, "seconds": 60})
    assert ran.answer.value == 50


def test_at_most_eight_sub_rlms_live_at_each_depth() -> None:
    live: dict[bool, int] = {True: 0, False: 0}
    most: dict[bool, int] = {True: 0, False: 0}

    @asynccontextmanager
    async def counting(node: str, *, recursive: bool, window: int) -> Any:
        live[recursive] += 1
        most[recursive] = max(most[recursive], live[recursive])
        yield FakeSandbox(recursive=recursive, window=window)
        live[recursive] -= 1

    script = by_level(
        code("FINAL(len(rlm_query_batched(['level 1'] * 30, contexts=[docs] * 30)))"), code("FINAL(context)")
    )
    assert run(ScriptedModel(script, delay=0.005), limits={"depth": 2}, open_sandbox=counting).answer.value == 30
    assert most == {True: 1, False: 8}


def test_limits_are_shared_by_the_tree() -> None:
    script = by_level(code("x = rlm_query('level 1', context=docs)"), code("y = llm_query_batched([context] * 50)"))
    ran = run(script, limits={"depth": 2, "calls": 30})
    assert len(ran.model.requests) == 30 == Limits(calls=30).calls
