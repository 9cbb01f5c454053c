"""However a run ends: nodes closed once and innermost first, the session left, the record sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rlm_magic.engine.errors import ModelError
from rlm_magic.engine.events import Event
from rlm_magic.engine.loop import solve
from rlm_magic.engine.types import Answer, CellResult, Completion, Limits, Message, SubCall, Task, Usage
from rlm_magic.testing import MemoryJournal, ScriptedModel, fake_harness

from .support import DOCS, check_record, code, is_sub_call, run


class PlainSandbox:
    """A sandbox without a thread, so that every run has the same steps: each cell makes the sub-calls in its text."""

    confinement = "none"
    rules = ""

    def __init__(self, node: str) -> None:
        self.node = node

    async def bind(self, variables: object) -> None:
        await asyncio.sleep(0)

    async def run(self, code: str, handle: Any, *, seconds: float) -> CellResult:
        partial = f"draft of {self.node}"
        if "batch" in code:
            await handle(SubCall("llm", ("a", "b", "c"), (None,) * 3, batch=True))
        if "rlm" in code:
            await handle(SubCall("rlm", ("deeper", "deeper"), (None, None), batch=True))
        await asyncio.sleep(0)
        return CellResult("ok", "out", 3, partial=partial)


class Sandboxes:
    def __init__(self) -> None:
        self.live = 0

    @asynccontextmanager
    async def __call__(self, node: str, *, recursive: bool, window: int) -> Any:
        self.live += 1
        try:
            await asyncio.sleep(0)
            yield PlainSandbox(node)
        finally:
            self.live -= 1
            await asyncio.sleep(0)


def script(messages: Sequence[Message]) -> str:
    if is_sub_call(messages):
        return "leaf"
    if "deeper" in messages[1].content:
        return "FINAL(child)" if len(messages) > 2 else code("batch")
    return [code("batch") + code("rlm"), code("batch"), "FINAL(done)"][sum(m.role == "assistant" for m in messages)]


def cancelled_at(k: int) -> tuple[Answer, MemoryJournal, int]:
    """A run of three turns with batches and sub-RLMs, cancelled at its k-th step; and how many steps it took."""

    async def main() -> tuple[Answer, int]:
        harness = fake_harness(ScriptedModel(script), journal=journal, limits=Limits(depth=2), open_sandbox=sandboxes)
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))
        steps = 0
        while not task.done():
            steps += 1
            if steps == k:
                task.cancel()
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"still running: {left}"
        return task.result(), steps

    journal, sandboxes = MemoryJournal(), Sandboxes()
    answer, steps = asyncio.run(main())
    assert sandboxes.live == 0
    check_record(journal)
    return answer, journal, steps


def test_a_run_can_be_cancelled_at_every_step() -> None:
    answer, _, steps = cancelled_at(0)
    assert (answer.outcome, answer.value) == ("answered", "done")
    assert steps > 100
    for k in range(2, steps):  # step 1 is before the run's first
        answer, journal, _ = cancelled_at(k)
        status = journal.tree.nodes["0"].status
        assert (answer.outcome, status) in (("stopped", "stopped"), ("answered", "ok")), k
        assert answer.outcome == "stopped" or k >= steps - 2, k
        assert answer.value in (None, "draft of 0", "done")


def cancelled_after(number: int) -> tuple[Answer, MemoryJournal]:
    """The same run, cancelled by an observer at an event."""
    journal, sandboxes = MemoryJournal(), Sandboxes()

    async def main() -> Answer:
        harness = fake_harness(
            ScriptedModel(script),
            journal=journal,
            limits=Limits(depth=2),
            open_sandbox=sandboxes,
            observers=[lambda event: event.seq == number and task.cancel()],
        )
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))
        return await task

    answer = asyncio.run(main())
    assert sandboxes.live == 0
    check_record(journal)
    return answer, journal


def test_a_run_can_be_cancelled_at_every_event() -> None:
    _, journal = cancelled_after(-1)
    last_reply = max(event.seq for event in journal.events if "reply" in event.data)
    assert {cancelled_after(number)[0].outcome for number in range(last_reply)} == {"stopped"}


def test_stopping_interrupts_no_session_s_cleaning_up() -> None:
    cleaned: list[str] = []

    class Late(PlainSandbox):
        """Ends its sub-calls a while after it was cancelled itself, as a process does."""

        async def run(self, code: str, handle: Any, *, seconds: float) -> CellResult:
            op: Any = "llm" if "." in self.node else "rlm"
            call = asyncio.ensure_future(handle(SubCall(op, ("deeper",), (None,))))
            try:
                await asyncio.shield(call)
            finally:
                await asyncio.sleep(0 if "." in self.node else 0.02)
                call.cancel()
            return CellResult("ok")

    @asynccontextmanager
    async def sandboxes(node: str, *, recursive: bool, window: int) -> Any:
        try:
            yield Late(node)
        finally:
            await asyncio.sleep(0.1)
            cleaned.append(node)

    def leaves_hang(messages: Sequence[Message]) -> Any:
        if is_sub_call(messages):
            waiting.append(messages[-1].content)
            return asyncio.sleep(60, "never")
        return code("x")

    async def main() -> None:
        harness = fake_harness(ScriptedModel(leaves_hang), limits=Limits(depth=2), open_sandbox=sandboxes)
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))
        await until(lambda: waiting == ["deeper"])
        task.cancel()
        await task

    waiting: list[str] = []
    asyncio.run(main())
    assert cleaned == ["0.1.1.1", "0"]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (what it waits for has no event)
        await asyncio.sleep(0.001)


def test_nothing_is_sent_after_a_cancellation() -> None:
    def many(messages: Sequence[Message]) -> str:
        return "x" if is_sub_call(messages) else code("llm_query_batched([docs] * 500)")

    model = ScriptedModel(many, delay=0.005)

    async def main() -> tuple[Answer, int, int]:
        journal = MemoryJournal()
        harness = fake_harness(model, journal=journal, limits=Limits(concurrency=8))
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))
        await until(lambda: len(model.requests) >= 20)
        task.cancel()
        sent = len(model.requests)
        answer = await task
        await asyncio.sleep(0.02)
        check_record(journal)
        return answer, sent, len(model.requests)

    answer, sent, after = asyncio.run(main())
    assert (answer.outcome, answer.reason) == ("stopped", "stopped by the user")
    assert sent == after


def test_the_cancelled_task_can_go_on() -> None:
    async def main() -> int:
        harness = fake_harness(ScriptedModel(["x"], delay=60))
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))
        await asyncio.sleep(0.01)
        task.cancel()
        await task
        return task.cancelling()

    assert asyncio.run(main()) == 0


def test_the_partial_answer_is_kept_when_stopped() -> None:
    async def main() -> Answer:
        model = ScriptedModel(answer_then_hang)
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), fake_harness(model)))
        await until(lambda: len(model.requests) == 2)
        task.cancel()
        return await task

    assert asyncio.run(main()).value == "one two three, so far"


async def answer_then_hang(messages: Sequence[Message]) -> str:
    if len(messages) == 2:
        return code("answer['content'] = docs + ', so far'")
    await asyncio.sleep(60)
    return ""


# --- time


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is time for a last answer, however busy the machine is."""
    monkeypatch.setattr("rlm_magic.engine.loop.LATE_SHARE", 1_000.0)


def hang_unless_last(messages: Sequence[Message]) -> Any:
    last = "No more code can be run" in messages[-1].content
    return "about three" if last else asyncio.sleep(60, "never")


@pytest.mark.usefixtures("patient")
def test_time_that_is_up_forces_an_answer() -> None:
    ran = run(hang_unless_last, limits={"seconds": 1})
    assert (ran.answer.outcome, ran.answer.value) == ("forced", "about three")
    assert ran.answer.reason == "seconds=1 is used up: raise seconds to go further"
    assert ran.statuses() == ["run partial", "turn stopped", "answer ok"]


@pytest.mark.usefixtures("patient")
def test_time_ends_everything_in_flight() -> None:
    def slow_leaves(messages: Sequence[Message]) -> Any:
        if "No more code can be run" in messages[-1].content:
            return "forced"
        return asyncio.sleep(60, "x") if is_sub_call(messages) else code("llm_query_batched([docs] * 50)")

    ran = run(slow_leaves, limits={"seconds": 2, "concurrency": 5})
    assert ran.answer.value == "forced"
    assert {node.status for node in ran.nodes("llm")} == {"stopped"}
    assert ran.nodes("batch")[0].status == "stopped"


def test_the_last_answer_has_a_tenth_of_the_time() -> None:
    ran = run(ScriptedModel([], delay=60), limits={"seconds": 1})
    assert ran.answer.outcome == "limit"
    assert "seconds=1 is used up, and the time for a last answer too" in ran.answer.reason
    assert ran.statuses() == ["run limit", "turn stopped", "answer stopped"]


def test_a_run_can_be_stopped_during_its_last_answer() -> None:
    async def main() -> Answer:
        journal = MemoryJournal()
        model = ScriptedModel([code("print(docs)")], delay=0)
        harness = fake_harness(model, journal=journal, limits=Limits(turns=1))
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))

        async def slow(messages: Sequence[Message], *, max_tokens: int) -> Completion:
            if len(messages) > 2:
                task.cancel()
                await asyncio.sleep(60)
            return Completion(code("print(docs)"), Usage(), "m")

        model.complete = slow  # type: ignore[method-assign]
        answer = await task
        check_record(journal)
        return answer

    assert asyncio.run(main()).outcome == "stopped"


# --- the record


def test_a_record_that_fails_stops_the_run_wherever_it_fails() -> None:
    journal = MemoryJournal()
    assert run(script, journal=journal, limits={"depth": 2}, open_sandbox=Sandboxes()).answer.outcome == "answered"
    for fail_at in range(len(journal.events)):
        broken = MemoryJournal(fail_at=fail_at)
        ran = run(script, journal=broken, limits={"depth": 2}, open_sandbox=Sandboxes())
        assert ran.answer.outcome == "failed"
        assert "no space left" in ran.answer.reason


def test_nothing_is_sent_that_is_not_on_record() -> None:
    assert run(script, journal=MemoryJournal(fail_at=0)).model.requests == []


def test_a_reply_that_is_not_on_record_is_not_used() -> None:
    journal = MemoryJournal()
    run([code("FINAL(docs)")], journal=journal)
    replied = next(event.seq for event in journal.events if "reply" in event.data)
    ran = run([code("FINAL(docs)")], journal=MemoryJournal(fail_at=replied))
    assert len(ran.model.requests) == 1
    assert ran.nodes("exec") == []


def test_the_record_is_complete_before_the_answer_is_given() -> None:
    journal = MemoryJournal()
    run([code("FINAL(docs)")], journal=journal)
    late = run([code("FINAL(docs)")], journal=MemoryJournal(fail_at=len(journal.events) - 1))
    assert (late.answer.outcome, late.answer.value) == ("failed", "one two three")


class Refusing(MemoryJournal):
    def append(self, event: Event) -> None:
        if len(self.events) >= 12:
            raise OSError("the disk is gone")
        super().append(event)


def test_a_journal_that_refuses_an_event_stops_the_run_before_the_next_request() -> None:
    seen: list[Event] = []
    model = ScriptedModel(lambda messages: code("print(docs)"))
    harness = fake_harness(model, journal=Refusing(), observers=[seen.append])
    answer = asyncio.run(solve(Task("q", (DOCS,)), harness))
    assert (answer.outcome, answer.reason) == ("failed", "the record could not be written: the disk is gone")
    assert len(model.requests) == 1
    check_record(MemoryJournal(seen))


def test_a_stop_while_the_last_of_the_record_is_written_keeps_the_answer() -> None:
    class Slow(MemoryJournal):
        def ended(self) -> bool:
            return bool(self.events) and (self.events[-1].type, self.events[-1].node) == ("close", "0")

        async def written(self) -> None:
            await asyncio.sleep(60 if self.ended() else 0)

    async def main() -> Answer:
        journal = Slow()
        harness = fake_harness(ScriptedModel([code("FINAL(docs)")]), journal=journal)
        task = asyncio.ensure_future(solve(Task("q", (DOCS,)), harness))
        await until(journal.ended)
        task.cancel()
        return await task

    assert asyncio.run(main()).value == "one two three"


# --- faults everywhere


@pytest.mark.parametrize("number", range(12))
def test_a_model_that_fails_at_any_call(number: int) -> None:
    calls = 0

    def failing(messages: Sequence[Message]) -> Any:
        nonlocal calls
        calls += 1
        return ModelError("down") if calls == number + 1 else script(messages)

    sandboxes = Sandboxes()
    ran = run(failing, limits={"depth": 2}, open_sandbox=sandboxes)
    assert ran.answer.outcome in ("answered", "failed")
    assert sandboxes.live == 0


@pytest.mark.usefixtures("patient")
def test_a_session_that_takes_all_the_time_to_open_leaves_an_answer_from_the_question() -> None:
    @asynccontextmanager
    async def slow(node: str, *, recursive: bool, window: int) -> Any:
        await asyncio.sleep(60)
        yield PlainSandbox(node)

    ran = run(["a guess"], limits={"seconds": 0.1}, open_sandbox=slow)
    assert (ran.answer.outcome, ran.answer.value) == ("forced", "a guess")
    assert "seconds=0.1 is used up" in ran.answer.reason
