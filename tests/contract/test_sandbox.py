"""What every sandbox does for the model's code, whichever process that code runs in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.ports import AnswerCalls, OpenSandbox
from rlm_magic.engine.types import CellResult, SubCall, SubReply, Variable
from rlm_magic.testing import variable

SECONDS = 20.0
DIED = ("timeout", "died")


async def echo(call: SubCall) -> list[SubReply]:
    """The text in capitals; an error for "bad"."""
    return [SubReply(error="no luck") if p == "bad" else SubReply(text=p.upper()) for p in call.prompts]


def run_cells(
    open_sandbox: OpenSandbox,
    *cells: str,
    variables: Sequence[Variable] = (),
    handle: AnswerCalls = echo,
    seconds: float = SECONDS,
    recursive: bool = False,
    window: int = 100_000,
) -> list[CellResult]:
    async def run() -> list[CellResult]:
        async with open_sandbox("0", recursive=recursive, window=window) as sandbox:
            await sandbox.bind(variables)
            return [await sandbox.run(code, handle, seconds=seconds) for code in cells]

    return asyncio.run(run())


def last(open_sandbox: OpenSandbox, *cells: str, **options: object) -> CellResult:
    return run_cells(open_sandbox, *cells, **options)[-1]  # type: ignore[arg-type]


def text(name: str, value: str, tmp_path: Path) -> Variable:
    return variable(name, value, directory=tmp_path)


# --- running code


def test_output_holds_prints_and_the_last_expression_in_order(open_sandbox: OpenSandbox) -> None:
    result = last(open_sandbox, "print('first')\n'sec' + 'ond'")
    assert result.status == "ok"
    assert result.error is None
    assert result.output.index("first") < result.output.index("second")
    assert result.output_chars >= len("first\n'second'")


def test_a_cell_without_output_has_none(open_sandbox: OpenSandbox) -> None:
    result = last(open_sandbox, "x = 1")
    assert result.output == ""
    assert result.output_chars == 0


def test_variables_persist_and_are_reported(open_sandbox: OpenSandbox) -> None:
    first, second = run_cells(open_sandbox, "rows = [1, 2, 3]\nn = 5", "n = n + 1\nprint(n, rows)")
    assert {(c.name, c.type, c.new) for c in first.changes} == {("rows", "list", True), ("n", "int", True)}
    assert "3" in next(c.size for c in first.changes if c.name == "rows")
    assert [(c.name, c.new) for c in second.changes] == [("n", False)]
    assert "6 [1, 2, 3]" in second.output


def test_an_exception_is_described_and_earlier_names_stay(open_sandbox: OpenSandbox) -> None:
    failed, after = run_cells(open_sandbox, "kept = 7\nprint('before')\n1 / 0\nprint('after')", "print(kept)")
    assert failed.status == "error"
    assert failed.error is not None
    assert (failed.error.name, failed.error.message) == ("ZeroDivisionError", "division by zero")
    assert "line 3" in failed.error.traceback
    assert "site-packages" not in failed.error.traceback
    assert "before" in failed.output
    assert "after" not in failed.output
    assert [c.name for c in failed.changes] == ["kept"]
    assert "7" in after.output


@pytest.mark.parametrize("code", ["def broken(:", "print('x'", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_code_that_cannot_end_well_leaves_the_session_usable(open_sandbox: OpenSandbox, code: str) -> None:
    failed, after = run_cells(open_sandbox, code, "print(6 * 7)")
    assert failed.status != "ok"
    assert after.status == "ok"
    assert "42" in after.output


def test_input_is_refused_at_once(open_sandbox: OpenSandbox) -> None:
    result = last(open_sandbox, "input('name? ')", seconds=5)
    assert result.status == "error"


def test_lone_surrogates_do_no_harm(open_sandbox: OpenSandbox) -> None:
    asked: list[str] = []

    async def handle(call: SubCall) -> list[SubReply]:
        asked.extend(call.prompts)
        return [SubReply(text="a\udc80b")]

    result = last(open_sandbox, "got = llm_query('x\\ud800y')\nprint('p\\ud800q', len(got))\nFINAL(got)", handle=handle)
    assert result.status == "ok"
    assert [p in ("x\ud800y", "x\ufffdy") for p in asked] == [True]
    assert "q 3" in result.output
    assert result.finish is not None
    assert result.finish.value in ("a\udc80b", "a\ufffdb")


# --- names


def test_one_variable_is_the_context_and_keeps_its_name(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    result = last(
        open_sandbox,
        "print(context is docs, len(docs), docs[-3:])",
        variables=[text("docs", "x" * 5000 + "end", tmp_path)],
    )
    assert "True 5003 end" in result.output


def test_several_variables_are_a_dict_in_context(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    variables = [text("left", "l", tmp_path), text("right", "r", tmp_path)]
    result = last(open_sandbox, "print(left, right, sorted(context), context['right'] is right)", variables=variables)
    assert "l r ['left', 'right'] True" in result.output


def test_without_variables_there_is_no_context(open_sandbox: OpenSandbox) -> None:
    assert "None" in last(open_sandbox, "print(context)").output


def test_text_is_bound_exactly(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    value = "caf\u00e9 \U0001f600\r\n\x00 \udc80"
    result = last(open_sandbox, "print(ascii(context), type(context) is str)", variables=[text("t", value, tmp_path)])
    assert f"{value!a} True" in result.output


def test_search_finds_the_passages_of_the_context(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    value = "\n\n".join([f"Paragraph {n}. " + "Nothing of note. " * 30 for n in range(20)] + ["The *needle* is here."])
    found, absent, other, own = run_cells(
        open_sandbox,
        "best = search('NEEDLE')[0]\nprint(best['text'][-21:], context[best['start']:best['end']] == best['text'])",
        "search('haystack')",
        "[hit['where'] for hit in search('b', over=['a', 'b', 'a'])]",
        "search = None\nprint(SHOW_VARS())",
        variables=[text("report", value, tmp_path)],
    )
    assert found.output == "The *needle* is here. True\n"
    assert absent.output == "[]\n"
    assert other.output == "[1]\n"
    assert "search" not in own.output
    assert own.changes == ()


def test_reserved_names_are_restored_before_each_cell(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    spoil = "context = answer = history = 1\nllm_query = llm_query_batched = rlm_query = FINAL = SHOW_VARS = None"
    use = (
        "print(context, history, SHOW_VARS() is None, llm_query('a'), llm_query_batched(['b']))\nFINAL(rlm_query('c'))"
    )
    result = last(open_sandbox, spoil, use, variables=[text("docs", "D", tmp_path)])
    assert "D [''] False A ['B']" in result.output
    assert result.finish is not None
    assert result.finish.value == "C"


def test_history_holds_earlier_outputs_in_full(open_sandbox: OpenSandbox) -> None:
    result = last(
        open_sandbox, "print('x' * 50_000)", "y = 1", "print(len(history), history[0].count('x'), repr(history[1]))"
    )
    assert "2 50000 ''" in result.output


def test_show_vars_lists_own_variables(open_sandbox: OpenSandbox) -> None:
    result = last(open_sandbox, "mine = {'a': 1}", "print(SHOW_VARS())")
    assert "mine" in result.output
    assert "dict" in result.output
    assert "llm_query" not in result.output


# --- submitting


@pytest.mark.parametrize(
    ("code", "value", "via"),
    [
        ("FINAL('done')", "done", "FINAL"),
        ("FINAL({'n': [1, 2.5, None, True]})", {"n": [1, 2.5, None, True]}, "FINAL"),
        ("result = [1, 2]\nFINAL_VAR('result')", [1, 2], "FINAL_VAR"),
        ("answer['content'] = 'x'\nanswer['ready'] = True", "x", "answer"),
        ("answer = {'content': 5, 'ready': True}", 5, "answer"),
        ("Final = {'a': 1}", {"a": 1}, "Final"),
        ("FINAL((1, 2))", [1, 2], "FINAL"),
        ("FINAL({3})", [3], "FINAL"),
        ("FINAL(float('nan'))", None, "FINAL"),
        ("import datetime\nFINAL(datetime.date(2026, 5, 4))", "2026-05-04", "FINAL"),
    ],
)
def test_every_form_of_submitting(open_sandbox: OpenSandbox, code: str, value: object, via: str) -> None:
    result = last(open_sandbox, code)
    assert result.finish is not None
    assert (result.finish.value, result.finish.via) == (value, via)


def test_the_first_submission_wins(open_sandbox: OpenSandbox) -> None:
    result = last(open_sandbox, "FINAL('first')\nFINAL('second')\nanswer['content'] = 'third'\nanswer['ready'] = True")
    assert result.finish is not None
    assert result.finish.value == "first"


def test_a_value_that_is_no_json_becomes_text_with_a_notice(open_sandbox: OpenSandbox) -> None:
    finish = last(open_sandbox, "FINAL(1 + 2j)").finish
    assert finish is not None
    assert finish.value == "(1+2j)"
    assert finish.notice


def test_a_submission_counts_for_its_cell_only(open_sandbox: OpenSandbox) -> None:
    results = run_cells(open_sandbox, "answer['content'] = 1\nanswer['ready'] = True", "x = 2", "FINAL(3)")
    assert [r.finish.value if r.finish else None for r in results] == [1, None, 3]


def test_a_submission_by_an_unknown_name_is_an_error(open_sandbox: OpenSandbox) -> None:
    result = last(open_sandbox, "FINAL_VAR('nowhere')")
    assert result.finish is None
    assert result.error is not None
    assert "nowhere" in result.error.message


def test_an_unready_answer_is_partial(open_sandbox: OpenSandbox) -> None:
    first, second = run_cells(open_sandbox, "answer['content'] = 'a draft'", "answer['content'] += ', longer'")
    assert (first.finish, first.partial) == (None, "a draft")
    assert (second.finish, second.partial) == (None, "a draft, longer")


# --- sub-calls


def test_a_sub_call_returns_text(open_sandbox: OpenSandbox) -> None:
    seen: list[SubCall] = []

    async def handle(call: SubCall) -> list[SubReply]:
        seen.append(call)
        return await echo(call)

    result = last(open_sandbox, "print(llm_query('one'), llm_query('two', model='m'))", handle=handle)
    assert "ONE TWO" in result.output
    assert seen == [SubCall("llm", ("one",), (None,)), SubCall("llm", ("two",), (None,), model="m")]


def test_a_batch_keeps_its_order_and_reports_a_failure_in_its_slot(open_sandbox: OpenSandbox) -> None:
    code = (
        "items = llm_query_batched(['a', 'bad', 'c'])\n"
        "print(items[0], items[2], isinstance(items[1], str), items[1].ok, items[1].error, len(items))"
    )
    assert "A C True False no luck 3" in last(open_sandbox, code).output


def test_a_batch_is_one_call(open_sandbox: OpenSandbox) -> None:
    seen: list[SubCall] = []

    async def handle(call: SubCall) -> list[SubReply]:
        seen.append(call)
        return await echo(call)

    last(open_sandbox, "llm_query_batched(['a', 'b'])\nllm_query_batched([])", handle=handle)
    assert seen[0] == SubCall("llm", ("a", "b"), (None, None), batch=True)
    assert not any(call.prompts for call in seen[1:])


def test_a_failed_single_call_raises(open_sandbox: OpenSandbox) -> None:
    code = "try:\n    llm_query('bad')\nexcept SubCallError as error:\n    print('caught', error)"
    assert "caught no luck" in last(open_sandbox, code).output
    uncaught = last(open_sandbox, "llm_query('bad')")
    assert uncaught.error is not None
    assert uncaught.error.name == "SubCallError"


def test_a_batch_wants_a_list(open_sandbox: OpenSandbox) -> None:
    assert last(open_sandbox, "llm_query_batched('abc')").status == "error"


def test_a_context_goes_down_as_a_value_where_there_is_recursion(open_sandbox: OpenSandbox) -> None:
    seen: list[SubCall] = []

    async def handle(call: SubCall) -> list[SubReply]:
        seen.append(call)
        return await echo(call)

    code = "print(rlm_query('q', context='some text'), rlm_query_batched(['r', 's'], contexts=['t', 'u']))"
    result = last(open_sandbox, code, handle=handle, recursive=True)
    assert "Q ['R', 'S']" in result.output
    assert [(c.op, c.prompts, c.batch) for c in seen] == [("rlm", ("q",), False), ("rlm", ("r", "s"), True)]
    contexts = [context for call in seen for context in call.contexts]
    assert all(context is not None and not context.trusted and len(context.card) <= 1000 for context in contexts)


def test_a_context_is_part_of_the_prompt_at_the_last_depth(open_sandbox: OpenSandbox) -> None:
    seen: list[SubCall] = []

    async def handle(call: SubCall) -> list[SubReply]:
        seen.append(call)
        return await echo(call)

    code = "rlm_query('the question', context='some text')\nrlm_query('q', context='y' * 2000)"
    result = last(open_sandbox, code, handle=handle, window=1000)
    assert [call.contexts for call in seen] == [(None,)]
    assert "the question" in seen[0].prompts[0]
    assert "some text" in seen[0].prompts[0]
    assert result.error is not None
    assert result.error.name == "SubCallError"
    assert "1,000" in result.error.message


def test_calls_from_threads_run_in_parallel(open_sandbox: OpenSandbox) -> None:
    waiting: list[str] = []
    all_there = asyncio.Event()

    async def handle(call: SubCall) -> list[SubReply]:
        waiting.extend(call.prompts)
        if len(waiting) == 3:
            all_there.set()
        await all_there.wait()
        return await echo(call)

    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(3) as pool:\n"
        "    print(list(pool.map(llm_query, ['a', 'b', 'c'])))"
    )
    assert "['A', 'B', 'C']" in last(open_sandbox, code, handle=handle).output


def test_a_call_outside_of_any_cell_is_refused(open_sandbox: OpenSandbox) -> None:
    start = (
        "import threading, time\n"
        "refused = []\n"
        "def late():\n"
        "    while not refused:\n"
        "        try:\n"
        "            llm_query('late')\n"
        "        except Exception as error:\n"
        "            refused.append(type(error).__name__)\n"
        "        time.sleep(0.01)\n"
        "thread = threading.Thread(target=late)\n"
        "thread.start()"
    )

    async def refused() -> str:
        async with open_sandbox("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind([])
            result = await sandbox.run(start, echo, seconds=SECONDS)
            while "Error" not in result.output:
                await asyncio.sleep(0.1)  # in which no cell runs
                result = await sandbox.run("print(refused)", echo, seconds=SECONDS)
            return result.output

    assert "['SubCallError']" in asyncio.run(refused())


# --- limits and interrupts


def test_endless_code_is_ended_and_the_session_stays_usable(open_sandbox: OpenSandbox) -> None:
    async def run() -> tuple[CellResult, CellResult]:
        async with open_sandbox("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind([])
            endless = await sandbox.run("while True: pass", echo, seconds=0.5)
            return endless, await sandbox.run("print(6 * 7)", echo, seconds=SECONDS)

    endless, after = asyncio.run(run())
    assert endless.status in DIED
    assert endless.status == "timeout" or endless.lost
    assert "42" in after.output


def test_waiting_for_a_sub_call_is_not_running(open_sandbox: OpenSandbox) -> None:
    async def slow(call: SubCall) -> list[SubReply]:
        await asyncio.sleep(2.5)
        return await echo(call)

    assert last(open_sandbox, "print(llm_query('a'))", handle=slow, seconds=2).status == "ok"


def test_cancelling_during_a_sub_call_leaves_the_session_usable(open_sandbox: OpenSandbox) -> None:
    cancelled: list[str] = []

    async def run() -> CellResult:
        asked = asyncio.Event()

        async def never(call: SubCall) -> list[SubReply]:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.extend(call.prompts)
                raise
            return []

        async with open_sandbox("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind([])
            cell = asyncio.ensure_future(sandbox.run("kept = 1\nllm_query('a')", never, seconds=SECONDS))
            await asyncio.wait_for(asked.wait(), SECONDS)
            cell.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cell
            return await sandbox.run("print(llm_query('again'))", echo, seconds=SECONDS)

    assert "AGAIN" in asyncio.run(run()).output
    assert cancelled == ["a"]


def test_cancelling_busy_code_interrupts_it(open_sandbox: OpenSandbox) -> None:
    async def run() -> CellResult:
        started = asyncio.Event()

        async def signal(call: SubCall) -> list[SubReply]:
            started.set()
            return await echo(call)

        async with open_sandbox("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind([])
            cell = asyncio.ensure_future(sandbox.run("llm_query('go')\nwhile True: pass", signal, seconds=SECONDS))
            await asyncio.wait_for(started.wait(), SECONDS)
            cell.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cell
            return await sandbox.run("print(6 * 7)", echo, seconds=SECONDS)

    assert "42" in asyncio.run(run()).output


def test_sessions_do_not_share_names(open_sandbox: OpenSandbox) -> None:
    async def run() -> list[CellResult]:
        async with (
            open_sandbox("0", recursive=True, window=1000) as one,
            open_sandbox("0.1", recursive=False, window=1000) as two,
        ):
            await one.bind([])
            await two.bind([])
            await one.run("mine = 1", echo, seconds=SECONDS)
            return [await two.run("print('mine' in globals())", echo, seconds=SECONDS)]

    assert "False" in asyncio.run(run())[0].output


# --- tools


def calling(call: SubCall) -> dict[str, Any]:
    arguments: dict[str, Any] = json.loads(call.prompts[0])
    return {"op": call.op, "tool": call.tool, "batch": call.batch, **arguments}


async def telling(call: SubCall) -> list[SubReply]:
    """A tool returns how it was called; one named "bad" fails."""
    return [SubReply(error="no luck") if call.tool == "bad" else SubReply(text=json.dumps(calling(call)))]


def test_a_tool_is_called_with_json_and_returns_json(open_with_tools: OpenSandbox) -> None:
    result = last(open_with_tools, "FINAL(tool(1, [None, 'é'], key={'a': (2.5,)}))", handle=telling)
    assert result.finish is not None
    called = {"op": "tool", "tool": "tool", "batch": False, "args": [1, [None, "é"]], "kwargs": {"key": {"a": [2.5]}}}
    assert result.finish.value == called


def test_a_tool_that_fails_raises(open_with_tools: OpenSandbox) -> None:
    result = last(open_with_tools, "try: bad()\nexcept SubCallError as error: FINAL(str(error))", handle=telling)
    assert result.finish is not None
    assert result.finish.value == "no luck"


def test_a_tool_takes_what_json_can_hold_whole(open_with_tools: OpenSandbox) -> None:
    code = "def tell(*args):\n    try: tool(*args)\n    except SubCallError as error: print(error)\n"
    result = last(open_with_tools, f"{code}tell(object())\ntell('x' * 1_000_000)", handle=telling)
    assert (
        "tool cannot be called with this: JSON cannot hold all of it (a object was turned into text)" in result.output
    )
    assert "it has 1,000,028 bytes as JSON; at most 1,000,000 are handed over" in result.output


def test_tools_are_back_in_each_cell_and_no_variables(open_with_tools: OpenSandbox) -> None:
    first, second = run_cells(open_with_tools, "tool = bad = 1", "tool(); print(SHOW_VARS())", handle=telling)
    assert first.status == second.status == "ok"
    assert [change.name for change in second.changes] == []
    assert "tool" not in second.output


def test_a_tool_is_not_cell_time(open_with_tools: OpenSandbox) -> None:
    async def slow(call: SubCall) -> list[SubReply]:
        await asyncio.sleep(2.5)
        return [SubReply(text="1")]

    assert last(open_with_tools, "FINAL(tool())", handle=slow, seconds=2).status == "ok"
