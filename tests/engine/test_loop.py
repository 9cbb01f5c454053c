from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from inline_snapshot import snapshot

from rlm_magic.engine.errors import (
    AuthError,
    BindingError,
    EmptyReply,
    InputError,
    ModelError,
    SandboxError,
    WindowError,
)
from rlm_magic.engine.harness import PassGate
from rlm_magic.engine.loop import solve
from rlm_magic.engine.types import (
    CellResult,
    Change,
    Completion,
    Decision,
    Earlier,
    Limits,
    Message,
    Price,
    Task,
    Usage,
)
from rlm_magic.testing import FakeSandbox, MemoryJournal, ScriptedModel, fake_harness, variable

from .support import DOCS, Ran, check_record, code, run

LOOK = code("print(context)")


def test_a_question_is_answered() -> None:
    ran = run([LOOK, code("FINAL(len(docs.split()))")])
    assert ran.answer.outcome == "answered"
    assert ran.answer.value == 3
    assert ran.answer.usage.tokens > 0
    assert ran.statuses() == ["run ok", "turn ok", "exec ok", "turn ok", "exec ok", "answer ok"]


def test_what_the_root_reads() -> None:
    ran = run([LOOK, code("x = 1", "FINAL(docs)")])
    roles = [message.role for message in ran.model.requests[1]]
    assert roles == ["system", "user", "assistant", "user"]
    assert ran.last_prompt() == snapshot("""\
Output:
one two three

Turn 2 of 30. 998 model calls left.\
""")


def test_requests_are_append_only() -> None:
    ran = run([LOOK, LOOK, LOOK, code("FINAL(docs)")])
    for earlier, later in zip(ran.model.requests, ran.model.requests[1:], strict=False):
        assert later[: len(earlier)] == earlier


def test_the_record_holds_every_text() -> None:
    ran = run([LOOK, code("FINAL(docs)")], header={"confinement": "none", "versions": {"python": "3"}})
    tree = ran.tree
    root = tree.nodes["0"]
    assert {
        k: root.fields[k] for k in ("query", "variables", "models", "confinement", "outcome", "reason")
    } == snapshot(
        {
            "query": "How many?",
            "variables": [{"name": "docs", "card": "str, 13 characters"}],
            "models": {"root": "scripted", "sub": "scripted"},
            "confinement": "none",
            "outcome": "answered",
            "reason": "",
        }
    )
    assert tree.body(root.fields["answer"]) == "one two three"
    turn = ran.nodes("turn")[1]
    assert [tree.body(ref) for ref in turn.fields["prompt"]] == [m.content for m in ran.model.requests[1]]
    assert tree.body(turn.fields["reply"]) == code("FINAL(docs)")
    assert turn.fields["usage"]["output"] > 0
    cell = ran.nodes("exec")[0]
    assert tree.body(cell.fields["code"]) == "print(context)"
    assert tree.body(cell.fields["output"]) == "one two three\n"
    assert (cell.fields["output_chars"], cell.fields["shown_chars"], cell.fields["calls"]) == (14, 14, 0)
    assert root.sums.calls == 2
    assert root.sums.input + root.sums.output == ran.answer.usage.tokens


def test_every_block_runs_in_order_until_one_fails() -> None:
    reply = "\n".join([code("a = 1"), "then", code("1 / 0"), code("b = 2")])
    ran = run([reply, code("FINAL([a, 'b' in globals(), docs])")])
    assert ran.answer.value == [1, False, "one two three"]
    assert [node.status for node in ran.nodes("exec")] == ["ok", "error", "ok"]
    assert "ZeroDivisionError" in ran.last_prompt()
    assert "The blocks after it were not run." in ran.last_prompt()
    assert ran.nodes("exec")[1].fields["error"]["name"] == "ZeroDivisionError"


def test_blocks_after_an_answer_do_not_run() -> None:
    ran = run([code("FINAL(docs)") + "\n" + code("1 / 0")])
    assert ran.answer.value == "one two three"
    assert len(ran.nodes("exec")) == 1


def test_an_answer_in_prose() -> None:
    ran = run([LOOK, "FINAL(three words)"])
    assert ran.answer.value == "three words"
    assert ran.nodes("answer")[0].fields["via"] == "prose"


def test_a_variable_named_in_prose() -> None:
    assert run([code("words = docs.split()"), "FINAL_VAR(words)"]).answer.value == ["one", "two", "three"]


def test_a_reply_without_code_is_told_so() -> None:
    ran = run(["Let me think.", code("FINAL(docs)")])
    assert ran.answer.value == "one two three"
    assert ran.last_prompt().startswith("Your reply held no code, so nothing ran.")


def test_thoughts_stay_out_of_the_conversation() -> None:
    ran = run(["<think>secret\n```repl\n1 / 0\n```</think>" + LOOK, code("FINAL(docs)")])
    assert ran.answer.outcome == "answered"
    assert "secret" not in "".join(m.content for m in ran.model.requests[1])
    assert ran.tree.body(ran.nodes("turn")[0].fields["reasoning"]) == "secret\n```repl\n1 / 0\n```"


def test_retries_are_recorded() -> None:
    reply = Completion(code("FINAL(docs)"), Usage(5, 5), "m-2026", "stop", "why", ("429: slow down",))
    fields = run([reply]).nodes("turn")[0].fields
    assert (fields["model"], fields["retries"]) == ("m-2026", ["429: slow down"])


def test_code_cut_at_the_output_limit_is_not_run() -> None:
    cut = Completion(LOOK + "\n```repl\ndelete_everythi", Usage(5, 5), "m", "length")
    ran = run([cut, code("FINAL(docs)")])
    assert len(ran.nodes("exec")) == 2
    assert "cut at the output limit" in ran.last_prompt()
    assert "one two three" in ran.last_prompt()


def test_an_unclosed_fence_of_a_whole_reply_runs() -> None:
    assert run(["```repl\nFINAL(docs)"]).answer.value == "one two three"


# --- an answer that is not accepted


def test_a_blind_answer_on_the_first_turn_is_refused_once() -> None:
    ran = run([code("FINAL(42)"), code("FINAL(42)")])
    assert ran.answer.value == 42
    assert len(ran.model.requests) == 2
    assert "never looked at the context" in ran.last_prompt()


def test_a_look_at_a_variable_of_an_earlier_question_is_a_look() -> None:
    earlier = Earlier((Change("found", "list", "3 items", False),))
    ran = run([code("found = [1]", "FINAL(len(found))")], earlier=earlier)
    assert ran.answer.value == 1
    assert "found (list, 3 items)" in ran.model.requests[0][1].content


def test_a_blind_answer_in_prose_is_refused_too() -> None:
    assert len(run(["FINAL(42)", "FINAL(42)"]).model.requests) == 2


def test_without_a_context_any_first_answer_counts() -> None:
    assert len(run([code("FINAL(6 * 7)")], variables=()).model.requests) == 1


def test_a_look_in_an_earlier_block_is_a_look() -> None:
    assert len(run([LOOK + "\n" + code("FINAL(3)")]).model.requests) == 1


async def refuse(value: object) -> str:
    return "it is not an int"


async def only_int(value: object) -> str:
    return "" if isinstance(value, int) else "no int"


def test_an_answer_that_fails_the_check_gets_one_repair() -> None:
    asked: list[object] = []

    async def check(value: object) -> str:
        asked.append(value)
        return "" if isinstance(value, int) else "it is not an int"

    ran = run([code("FINAL(docs)"), code("FINAL(3)")], check=check)
    assert ran.answer.value == 3
    assert "Your answer was not accepted: it is not an int." in ran.last_prompt()
    assert asked == ["one two three", 3]


def test_an_answer_that_fails_the_check_again_ends_the_run_and_is_kept() -> None:
    ran = run([code("FINAL(docs)"), code("FINAL('still text')")], check=refuse)
    assert (ran.answer.outcome, ran.answer.value) == ("failed", "still text")
    assert ran.answer.reason == "the answer was not accepted twice: it is not an int"


def test_a_last_answer_is_checked_and_not_passed_off_as_one() -> None:
    ran = run([LOOK, "about three"], limits={"turns": 1}, check=refuse)
    assert ran.answer.outcome == "limit"
    assert "the last answer is not as asked: it is not an int" in ran.answer.reason


def test_the_form_of_the_answer_is_said_with_the_question() -> None:
    ran = run([code("FINAL(len(docs))")], form="an integer")
    assert "Question:\nHow many?\n\nThe answer must be an integer." in ran.last_prompt()


def test_a_sub_rlm_answers_as_it_likes() -> None:
    model = ScriptedModel([code("FINAL(len(rlm_query('sub', context=docs)))"), code("FINAL(context)")])
    ran = run(model, form="an integer", limits={"depth": 2}, check=only_int)
    assert ran.answer.value == len("one two three")
    assert "an integer" not in ran.last_prompt()


# --- limits


def test_running_out_of_turns_forces_an_answer() -> None:
    ran = run([LOOK, LOOK, "  three, I think "], limits={"turns": 2})
    assert ran.answer.outcome == "forced"
    assert ran.answer.value == "three, I think"
    assert ran.answer.reason == "turns=2 is used up: raise turns to go further"
    assert ran.statuses()[0] == "run partial"
    extract = ran.nodes("answer")[0]
    assert (extract.fields["via"], extract.status) == ("extract", "ok")
    assert ran.tree.body(extract.fields["answer"]) == "three, I think"
    assert "No turn is left." in ran.last_prompt()


def test_a_forced_answer_in_the_form_of_a_submission() -> None:
    assert run([LOOK, "FINAL(three)"], limits={"turns": 1}).answer.value == "three"


def test_the_turn_before_last_and_the_last_are_announced() -> None:
    ran = run([LOOK, LOOK, LOOK, "x"], limits={"turns": 3})
    assert "Only one turn comes after it" in ran.model.requests[1][-1].content
    assert "This is the last turn" in ran.model.requests[2][-1].content


def test_the_unfinished_answer_is_part_of_the_last_request() -> None:
    ran = run([code("answer['content'] = docs"), "x"], limits={"turns": 1})
    assert "The unfinished answer so far:\none two three" in ran.last_prompt()


@pytest.mark.parametrize("calls", [2, 3, 7])
def test_calls_are_used_up_exactly(calls: int) -> None:
    ran = run(lambda messages: LOOK, limits={"calls": calls, "turns": 50})
    assert len(ran.model.requests) == calls
    assert ran.answer.outcome == "forced"
    assert f"calls={calls} is used up" in ran.answer.reason


def test_a_single_call_leaves_nothing_for_a_forced_answer() -> None:
    ran = run([code("answer['content'] = docs")], limits={"calls": 1})
    assert len(ran.model.requests) == 1
    assert (ran.answer.outcome, ran.answer.value) == ("limit", "one two three")
    assert "calls=1 is used up" in ran.answer.reason


def test_tokens_are_kept_and_leave_room_for_an_answer() -> None:
    ran = run(lambda messages: LOOK, limits={"tokens": 20_000})
    assert ran.answer.outcome == "forced"
    assert "tokens=20000 is used up" in ran.answer.reason
    assert ran.answer.usage.tokens <= 20_000


def test_cost_is_kept_and_leaves_room_for_an_answer() -> None:
    model = ScriptedModel(lambda messages: LOOK, price=Price(1e-5, 1e-4))
    ran = run(model, limits={"cost": 0.2, "turns": 1000})
    assert ran.answer.outcome == "forced"
    assert 0.1 < (ran.answer.usage.cost or 0) <= 0.2


def test_tokens_that_do_not_pay_for_one_request() -> None:
    ran = run([], limits={"tokens": 300})
    assert ran.answer.outcome == "limit"
    assert ran.model.requests == []
    assert ran.statuses() == ["run limit", "turn limit"]


def test_a_forced_answer_that_fails_is_a_limit() -> None:
    ran = run([LOOK, ModelError("the server is down")], limits={"turns": 1})
    assert ran.answer.outcome == "limit"
    assert ran.answer.reason == "turns=1 is used up; no last answer: the server is down: raise turns to go further"


def test_a_refused_key_in_the_last_request_is_a_failure() -> None:
    assert run([LOOK, AuthError("the key was refused")], limits={"turns": 1}).answer.outcome == "failed"


def test_an_unknown_price_under_a_cost_limit_starts_nothing() -> None:
    harness = fake_harness(ScriptedModel(price=None), limits=Limits(cost=1.0))
    with pytest.raises(InputError, match=r"cost limit of .*: leave it out"):
        asyncio.run(solve(Task("q"), harness))


def test_a_long_conversation_is_folded() -> None:
    replies = [code(f"print('{n} ' + 'x' * 20_000)") for n in range(20)]
    ran = run([*replies, code("FINAL(docs)")])
    sizes = [sum(len(m.content) for m in request) for request in ran.model.requests]
    assert max(sizes) < 90_000
    last = [m.content for m in ran.model.requests[-1] if m.role == "user"]
    assert "[observation of turn 1 folded away: 20,003 characters of output; in full in history[0]]" in last
    assert all(len(text) > 7_000 for text in last[-3:])
    assert sum(b < a for a, b in itertools.pairwise(sizes)) <= 3


# --- failures


def test_a_model_error_ends_the_run_and_keeps_the_partial_answer() -> None:
    ran = run([code("answer['content'] = docs"), ModelError("HTTP 500 three times")])
    assert (ran.answer.outcome, ran.answer.value, ran.answer.reason) == (
        "failed",
        "one two three",
        "HTTP 500 three times",
    )
    assert ran.statuses() == ["run error", "turn ok", "exec ok", "turn error"]


@pytest.mark.parametrize("error", [AuthError("no key"), WindowError("too long"), ModelError("odd")])
def test_any_model_error_on_the_first_turn(error: ModelError) -> None:
    assert run([error]).answer.outcome == "failed"


def test_one_empty_reply_is_forgiven() -> None:
    ran = run(["<think>" + "long " * 50, code("FINAL(docs)")])
    assert ran.answer.value == "one two three"
    assert "Your reply was empty" in ran.last_prompt()
    assert all(m.content for m in ran.model.requests[-1])


def test_empty_replies_in_a_row_end_the_run() -> None:
    assert run([EmptyReply("first"), EmptyReply("second")]).answer.reason == "second"
    assert run([EmptyReply("e"), LOOK, EmptyReply("e"), code("FINAL(docs)")]).answer.outcome == "answered"


def test_an_unexpected_exception_is_raised_with_every_node_closed() -> None:
    journal = MemoryJournal()
    with pytest.raises(RuntimeError, match="a bug"):
        run([LOOK], journal=journal, gate=BrokenGate(RuntimeError("a bug")))
    check_record(journal)


def test_a_timeout_error_of_a_port_is_not_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        run([LOOK], gate=BrokenGate(TimeoutError("a bug")))


class BrokenGate(PassGate):
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def cell(self, node: str, code: str) -> Decision:
        raise self.error


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("the key my-secret\nis refused"), "scripted raised RuntimeError: the key *** is refused"),
        (TimeoutError(), "scripted raised TimeoutError"),
        (InputError("no such model"), "scripted raised rlm_magic.engine.errors.InputError: no such model"),
        (Mute(), f"scripted raised {__name__}.Mute: <exception str() failed>"),
        (ValueError("x" * 10_000), "scripted raised ValueError: " + "x" * 472),
    ],
)
def test_whatever_a_model_raises_ends_the_run_in_one_line(error: Exception, reason: str) -> None:
    ran = run([error], redact=lambda text: text.replace("my-secret", "***"))
    assert (ran.answer.outcome, ran.answer.reason) == ("failed", reason)
    assert ran.nodes("run")[0].fields["reason"] == reason


@pytest.mark.parametrize(
    "reply",
    [
        "FINAL(docs)",
        None,
        Completion(None, Usage(), "mine"),  # type: ignore[arg-type]
        Completion("FINAL(docs)", None, "mine"),  # type: ignore[arg-type]
        Completion("FINAL(docs)", Usage(), "mine", reasoning=None),  # type: ignore[arg-type]
    ],
)
def test_a_model_that_returns_something_else_ends_the_run_in_one_line(reply: Any) -> None:
    class Mine(ScriptedModel):
        async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Any:
            return reply

    ran = run(Mine(name="mine"))
    assert ran.answer.outcome == "failed"
    assert ran.answer.reason == (
        f"mine returned {type(reply).__name__}: give a rlm_magic.engine.types.Completion(text, usage, model), "
        "its text a str and its usage a Usage"
    )


def test_what_a_model_raises_in_a_sub_call_is_told_to_the_code_and_the_run_goes_on() -> None:
    script = [code("print(llm_query(docs))"), RuntimeError("no route"), code("FINAL(docs)")]
    ran = run(script)
    assert ran.answer.outcome == "answered"
    assert "scripted raised RuntimeError: no route" in ran.last_prompt()


class Opened:
    """An `OpenSandbox` of one given sandbox that notes its closing."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        self.closed = False

    @asynccontextmanager
    async def __call__(self, node: str, *, recursive: bool, window: int) -> Any:
        try:
            yield self.sandbox
        finally:
            self.closed = True


def test_a_sandbox_that_does_not_open_ends_the_run() -> None:
    def refuse(node: str, *, recursive: bool, window: int) -> Any:
        raise SandboxError("no tier of confinement works here")

    ran = run([LOOK], open_sandbox=refuse)
    assert ran.answer.outcome == "failed"
    assert ran.model.requests == []


def test_a_value_that_cannot_be_bound_ends_the_completion() -> None:
    class Unbindable(FakeSandbox):
        async def bind(self, variables: object) -> None:
            await asyncio.sleep(0.01)
            raise BindingError("docs: the disk is full")

    never = ScriptedModel([LOOK], delay=60)
    opened = Opened(Unbindable())
    ran = run(never, open_sandbox=opened)
    assert (ran.answer.outcome, ran.answer.reason) == ("failed", "docs: the disk is full")
    assert opened.closed


def test_a_binding_that_fails_after_the_completion() -> None:
    class Slow(FakeSandbox):
        async def bind(self, variables: object) -> None:
            await asyncio.sleep(0.05)
            raise BindingError("docs: the disk is full")

    assert run([LOOK], open_sandbox=Opened(Slow())).answer.reason == "docs: the disk is full"


def test_the_first_cell_waits_for_the_binding() -> None:
    class Slow(FakeSandbox):
        async def bind(self, variables: Any) -> None:
            await asyncio.sleep(0.05)
            await super().bind(variables)

    assert run([code("FINAL(docs)")], open_sandbox=Opened(Slow())).answer.value == "one two three"


def test_a_session_that_is_gone_ends_the_run() -> None:
    class Gone(FakeSandbox):
        async def run(self, code: str, handle: object, *, seconds: float) -> CellResult:
            raise SandboxError("the subkernel died and cannot be restarted")

    opened = Opened(Gone())
    ran = run([LOOK], open_sandbox=opened)
    assert ran.answer.outcome == "failed"
    assert ran.statuses() == ["run error", "turn error", "exec error"]
    assert opened.closed


def test_a_restart_is_told_and_the_history_starts_anew() -> None:
    results = iter(
        [
            CellResult("ok", "a" * 9_000, 9_000),
            CellResult("died", lost="all variables"),
            CellResult("ok", "b" * 9_000, 9_000, lost="what another question had made"),
            CellResult("ok", "c" * 9_000, 9_000),
        ]
    )

    class Scripted(FakeSandbox):
        async def run(self, code: str, handle: object, *, seconds: float) -> CellResult:
            return next(results)

    ran = run([LOOK, LOOK, LOOK, LOOK, "FINAL(x)"], open_sandbox=Opened(Scripted()))
    observations = [m.content for m in ran.model.requests[-1] if m.role == "user"][1:]
    assert "in full in history[0]" in observations[0]
    assert "Lost: all variables" in observations[1]
    assert "in full in history[0]" in observations[2]
    assert "in full in history[1]" in observations[3]
    assert ran.nodes("exec")[1].fields["lost"] == "all variables"


def test_several_variables_are_bound() -> None:
    ran = run([code("FINAL(a + b)")], variables=(variable("a", "x"), variable("b", "y")))
    assert ran.answer.value == "xy"


def test_a_failing_observer_does_not_break_a_run() -> None:
    def broken(event: object) -> None:
        raise ValueError("no view")

    assert isinstance(run([code("FINAL(docs)")], observers=[broken]), Ran)


def test_the_variables_of_a_task_are_data() -> None:
    assert DOCS.card in run([code("FINAL(docs)")]).model.requests[0][1].content
