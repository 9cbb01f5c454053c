"""Tools: functions of the user's that the model's code calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from inline_snapshot import snapshot

from rlm_magic.engine import budget
from rlm_magic.engine.arguments import MAX_CHARS, Arguments, arguments_of
from rlm_magic.engine.errors import ToolFailed
from rlm_magic.engine.harness import NoTools
from rlm_magic.engine.tree import Tree
from rlm_magic.testing import MemoryJournal, ScriptedModel, fake_open_sandbox

from .support import Ran, code, run
from .test_replay import cut, resume, scripted
from .test_subcalls import answering

Function = Callable[..., Any]


def paired(key: str, n: Any = 1) -> dict[str, Any]:
    return {key: n}


def twice(key: str) -> str:
    return key * 2


class Functions:
    """`Tools` that calls functions at once, and keeps what was called."""

    def __init__(self, **functions: Function) -> None:
        self.called: list[str] = []
        self._functions = functions

    @property
    def cards(self) -> Mapping[str, str]:
        return {name: f"`{name}(key)`: Look up a key." for name in self._functions}

    async def call(self, name: str, arguments: Arguments) -> str:
        self.called.append(f"{name}({arguments})")
        try:
            return json.dumps(self._functions[name](*arguments.args, **arguments.kwargs))
        except Exception as error:
            raise ToolFailed(f"{name}: {type(error).__name__}: {error}") from None


def ask(*replies: str, tools: Any = None, **options: Any) -> Ran:
    tools = tools or Functions(lookup=paired)
    return run([*replies], tools=tools, **options)


def test_a_tool_is_called_with_values_and_returns_one() -> None:
    tools = Functions(lookup=paired)
    ran = ask(code("FINAL(lookup(docs[:3], n=[1, None]))"), tools=tools)
    assert ran.answer.value == {"one": [1, None]}
    assert tools.called == ["lookup('one', n=[1, None])"]
    node = ran.nodes("tool")[0]
    assert (node.label, node.parent, node.status, node.fields["name"]) == snapshot(
        ("lookup('one', n=[1, None])", "0.1.1", "ok", "lookup")
    )
    assert json.loads(ran.tree.body(node.fields["arguments"]) or "") == {"args": ["one"], "kwargs": {"n": [1, None]}}
    assert json.loads(ran.tree.body(node.fields["result"]) or "") == {"one": [1, None]}
    assert ran.nodes("exec")[0].fields["calls"] == 1


def test_a_tool_makes_no_model_request() -> None:
    lines = ["for _ in range(5): lookup('a')", "FINAL(llm_query('x'))"]
    ran = run(scripted(code(*lines), sub=str.upper), tools=Functions(lookup=str.strip), limits={"calls": 3})
    assert (ran.answer.outcome, ran.answer.value) == ("answered", "X")


def test_the_root_reads_what_its_tools_are() -> None:
    question = ask(code("FINAL(docs)")).model.requests[0][1].content
    assert question.split("\n\n")[2] == snapshot("""\
The user's functions, which your code can call (JSON values in and out; a failure raises SubCallError):
- `lookup(key)`: Look up a key.\
""")
    assert "functions" not in run([code("FINAL(docs)")]).model.requests[0][1].content


def test_a_failure_is_an_exception_below() -> None:
    def lookup(key: str) -> str:
        raise KeyError(key)

    lines = ["try: lookup(docs[:3])", "except SubCallError as error: FINAL(str(error))"]
    ran = ask(code(*lines), tools=Functions(lookup=lookup))
    assert ran.answer.value == "lookup: KeyError: 'one'"
    node = ran.nodes("tool")[0]
    assert (node.status, node.fields["error"]) == (
        "error",
        {"name": "ToolFailed", "message": "lookup: KeyError: 'one'"},
    )


def test_a_tool_that_is_called_counts_as_a_look_at_the_data() -> None:
    ran = ask(code("FINAL(lookup('a'))"))
    assert (ran.answer.outcome, len(ran.model.requests)) == ("answered", 1)


def test_a_sub_rlm_has_the_same_tools() -> None:
    tools = Functions(lookup=twice)
    ran = ask(
        code("FINAL(rlm_query('q', context=docs))"),
        code("FINAL(lookup(context[:3]))"),
        tools=tools,
        limits={"depth": 2},
    )
    assert ran.answer.value == "oneone"
    assert "lookup" in ran.model.requests[1][1].content


def test_what_json_has_no_form_for_is_not_handed_over() -> None:
    lines = ["try: lookup(object)", "except SubCallError as error: FINAL([docs, str(error)])"]
    ran = ask(code(*lines))
    assert ran.answer.value[1] == snapshot(  # type: ignore[index]
        "lookup cannot be called with this: JSON cannot hold all of it (a type was turned into text): "
        "use text, numbers, lists, dicts, dates, tables"
    )
    assert not ran.nodes("tool")


def test_an_endless_loop_of_tool_calls_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "TOOL_CALLS", 3)
    lines = [
        "n = 0",
        "try:",
        "    while True: lookup('a'); n += 1",
        "except SubCallError as error: FINAL([n, str(error)])",
    ]
    value: Any = ask(code(*lines)).answer.value
    assert value[0] == 3
    assert value[1].startswith("tools were called 3 times")


def test_a_name_that_is_no_tool() -> None:
    lines = ["try: gone('a')", "except SubCallError as error: FINAL([docs, str(error)])"]
    ran = run([code(*lines)], open_sandbox=fake_open_sandbox(tools=["gone"]))
    assert ran.answer.value == ["one two three", "there is no tool 'gone'"]
    assert [node.status for node in ran.nodes("tool")] == ["error"]
    assert NoTools().cards == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the arguments are not JSON"),
        ("[" * 100_000, "the arguments are not JSON|nested"),
        ('{"args": [NaN], "kwargs": {}}', "NaN is no JSON value"),
        ("[1]", "not an object of args and kwargs"),
        ('{"args": 1, "kwargs": {}}', "not an object of args and kwargs"),
        ('{"args": [], "kwargs": []}', "not an object of args and kwargs"),
        (json.dumps({"args": ["x" * MAX_CHARS], "kwargs": {}}), "at most 1,000,000 are handed over"),
        ('{"args": ' + "[" * 60 + "]" * 60 + ', "kwargs": {}}', "nested more than 40 deep"),
        ('{"args": [], "kwargs": {"a": ' + "[" * 60 + "]" * 60 + "}}", "nested more than 40 deep"),
    ],
    ids=lambda value: value[:20],
)
def test_forged_arguments_are_refused(text: str, said: str) -> None:
    with pytest.raises(ToolFailed, match=said):
        arguments_of(text)


def test_a_resumed_run_calls_no_tool_twice() -> None:
    block = code("found = [lookup('a'), lookup('b'), lookup('a')]", "print(found)")
    replies = answering(block, code("FINAL([docs, found])"))
    first = run(replies, tools=Functions(lookup=str.upper))
    for number in range(1, len(first.journal.events) + 1):
        events = first.journal.events[:number]
        known = sum(event.type == "patch" and "result" in event.data for event in events)
        tools = Functions(lookup=str.upper)
        second, _ = resume([Tree(events)], ScriptedModel(replies), tools=tools)
        assert second.answer.value == first.answer.value == ["one two three", ["A", "B", "A"]]
        assert len(tools.called) == 3 - known
        assert sum("cached" in node.fields for node in second.nodes("tool")) == known


def test_a_recorded_failure_stands_once_the_record_goes_on() -> None:
    def lookup(key: str) -> str:
        raise ValueError("now")

    block = code("try: lookup('a')", "except SubCallError as error: print(error)")
    submit = code("FINAL(docs)")
    first = run([block, submit], tools=Functions(lookup=lookup))
    again = Functions(lookup=lookup)
    resume([first.tree], scripted(), tools=again)
    assert again.called == []
    killed = cut(first, lambda event: event.type == "close" and event.node == "0.1.1.1")
    resume([killed], scripted(submit), tools=again)
    assert again.called == ["lookup('a')"]


def test_other_arguments_than_recorded_are_a_divergence() -> None:
    tools = Functions(lookup=str.strip)
    first = run([code("lookup(docs)", "print(1)"), code("FINAL(docs)")], tools=tools)
    for event in first.journal.events:
        if event.node == "0.1.1.1" and "request" in event.data:
            event.data["request"] = "another"  # type: ignore[index]
    second, _ = resume([first.tree], scripted(), tools=Functions(lookup=str.strip))
    assert second.answer.outcome == "failed"
    assert "goes another way than its record" in second.answer.reason


def test_nothing_is_called_before_its_record_is_written() -> None:
    tools = Functions(lookup=str.strip)
    whole = run([code("FINAL(lookup('a'))")], tools=tools)
    opened = next(number for number, event in enumerate(whole.journal.events) if event.node == "0.1.1.1")
    tools.called.clear()
    ran = run([code("FINAL(lookup('a'))")], tools=tools, journal=MemoryJournal(fail_at=opened))
    assert ran.answer.outcome == "failed"
    assert tools.called == []
