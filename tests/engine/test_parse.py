from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.engine.parse import Block, is_blind, parse, split_thought
from rlm_magic.engine.types import Finish


def codes(reply: str) -> list[str]:
    return [block.code for block in parse(reply).blocks]


@pytest.mark.parametrize("tag", ["repl", "python", "py", "python3", "Python", "repl "])
def test_fences_that_run(tag: str) -> None:
    assert codes(f"Look:\n```{tag}\nprint(1)\n```\nthen wait") == ["print(1)"]


@pytest.mark.parametrize("tag", ["", "json", "bash", "text", "pythonic"])
def test_fences_that_do_not_run(tag: str) -> None:
    assert codes(f"```{tag}\nprint(1)\n```") == []


def test_every_block_in_order() -> None:
    assert codes("```repl\na\n```\ntext\n```json\n{}\n```\n~~~python\nb\n~~~\n````repl\nc\n````") == ["a", "b", "c"]


def test_windows_line_ends() -> None:
    assert codes("```repl\r\nx = 1\r\ny = 2\r\n```\r\n") == ["x = 1\ny = 2"]


def test_an_empty_block_is_none() -> None:
    assert parse("```repl\n\n```").blocks == ()


def test_the_language_may_carry_attributes() -> None:
    assert codes("```python {.numberLines}\nx\n```") == ["x"]


def test_an_unclosed_fence_runs_to_the_end() -> None:
    assert parse("```repl\nx = 1\ny = 2").blocks == (Block("x = 1\ny = 2", closed=False),)


def test_a_fence_in_a_list_loses_its_indent() -> None:
    assert codes("1. first\n   ```repl\n   for x in y:\n       z\n   ```") == ["for x in y:\n    z"]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    assert codes("````repl\n'''\n```\n'''\n````") == ["'''\n```\n'''"]


def test_a_fence_inside_a_string_of_the_code() -> None:
    code = 'prompt = """Reply as\n```json\n{}\n```\nonly."""\nprint(prompt)'
    assert codes(f"```repl\n{code}\n```\nthat is all") == [code]


def test_code_that_is_never_complete_ends_at_the_first_fence() -> None:
    assert codes("```repl\n!ls (\n```\nprose\n```repl\nx = 1\n```") == ["!ls (", "x = 1"]


@pytest.mark.parametrize(
    "code", ["x = '\\d'", "a\0b", "(" * 500 + ")" * 500, "await f()", "%time x", "x = 'a\u2028b\x0c'"]
)
def test_odd_code_is_taken_as_it_is(code: str) -> None:
    assert codes(f"```repl\n{code}\n```") == [code]


def test_a_thought_is_split_off() -> None:
    reply = "\n<think>try\n```repl\nbad\n```\n</think>\n```repl\ngood\n```"
    thought, rest = split_thought(reply)
    assert thought == "try\n```repl\nbad\n```"
    assert codes(rest) == ["good"]


def test_an_endless_thought_leaves_nothing() -> None:
    assert split_thought("<think>on and on") == ("on and on", "")


@pytest.mark.parametrize(
    ("reply", "thought", "rest"),
    [
        ("<thinking>a\n<think>b</thinking>\nc", "a\n<think>b", "c"),
        ("a </think>\n```repl\nx\n```", "a", "```repl\nx\n```"),
        ("```repl\nx = '</think>'\n```", "", "```repl\nx = '</think>'\n```"),
        ("I <think>x</think>", "", "I <think>x</think>"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "a", "b"),
        ("<|channel|>analysis<|message|>a<|end|>\n<|channel|>commentary to=x <|message|>b<|call|>", "a\nb", ""),
        ("\n<|channel|>analysis<|message|>on and on", "on and on", ""),
        ("<|channel|>final<|message|>print('<|end|>')", "", "print('<|end|>')"),
        ("print('<|channel|>final<|message|>')", "", "print('<|channel|>final<|message|>')"),
    ],
)
def test_forms_of_a_thought(reply: str, thought: str, rest: str) -> None:
    assert split_thought(reply) == (thought, rest)


def test_a_think_tag_later_on_is_text() -> None:
    assert split_thought("I <think>x</think>") == ("", "I <think>x</think>")


@pytest.mark.parametrize(
    ("prose", "value"),
    [
        ("FINAL(42)", "42"),
        ("So:\n  FINAL(the answer (really) is x)  ", "the answer (really) is x"),
        ("FINAL('quoted')", "quoted"),
        ("FINAL(two\nlines)", "two\nlines"),
        ("FINAL([1, 2])", "[1, 2]"),
        ("FINAL(213)\n\nThat is 2% (10,000 lines)", "213"),
        ("FINAL(213) (I counted)", "213"),
        ("FINAL(two (2)\nlines (1))\n(as asked)", "two (2)\nlines (1)"),
        ("FINAL(1) Ann\n2) Bob)", "1) Ann\n2) Bob"),
        ("FINAL('smile :)')\n(it does)", "smile :)"),
        ('FINAL("""a)\nb""")\n(c)', "a)\nb"),
        ("FINAL([':(', 'x'])\n(y)", "[':(', 'x']"),
        ("FINAL(don't :( cry)\n(x", "don't :( cry"),
        ("FINAL(a)\nFINAL(b)", "a"),
        ("FINAL(x) ends it\nFINAL(b)", "b"),
        ("FINAL() (nothing)", ""),
        ("FINAL(None)", "None"),
    ],
)
def test_an_answer_in_prose(prose: str, value: str) -> None:
    assert parse(prose).finish == Finish(value, "prose")


@pytest.mark.parametrize(
    "prose", ["I will call FINAL(x)", "FINAL(x", "FINAL(x) ends it", "```\nFINAL(x)\n```", "finally", ""]
)
def test_no_answer_in_prose(prose: str) -> None:
    assert parse(prose).finish is None


def test_prose_beside_code_does_not_count() -> None:
    reply = parse("FINAL(1)\n```repl\nx\n```")
    assert reply.finish is None
    assert reply.blocks == (Block("x"),)


@pytest.mark.parametrize("prose", ["FINAL_VAR(result)", 'FINAL_VAR("result")', "done\nFINAL_VAR( 'result' )"])
def test_a_variable_in_prose_becomes_the_block_that_submits_it(prose: str) -> None:
    assert parse(prose).blocks == (Block("FINAL_VAR('result')"),)


@pytest.mark.parametrize(
    "code",
    [
        "FINAL(42)",
        "# context\nFINAL(1)",
        "x = 'about the context'\nFINAL(x)",
        "FINAL(",
        "def f(): return 1\nFINAL(f())",
    ],
)
def test_blind_code(code: str) -> None:
    assert is_blind(code, {"context", "docs"})


@pytest.mark.parametrize(
    "code",
    [
        "FINAL(len(context))",
        "FINAL_VAR('docs')",
        "FINAL(globals()['docs'])",
        "FINAL(llm_query('q'))",
        "FINAL(search('q')[0]['text'])",
        "FINAL(await arlm_query_batched(['q']))",
        "%time print(docs)",
    ],
)
def test_code_that_looks(code: str) -> None:
    assert not is_blind(code, {"context", "docs"})


@given(st.text())
def test_any_text_can_be_parsed(text: str) -> None:
    reply = parse(split_thought(text)[1])
    assert not (reply.blocks and reply.finish)
    assert all(block.code.strip() for block in reply.blocks)


LINES = st.lists(st.sampled_from(["x = 1", "'''", "```", "```repl", "~~~", "prose", "FINAL(1)", "  ```python", ""]))


@given(LINES)
def test_code_is_made_of_lines_of_the_reply(lines: list[str]) -> None:
    stripped = [line.strip() for line in lines]
    for code in codes("\n".join(lines)):
        block = [line.strip() for line in code.split("\n")]
        starts = range(len(stripped) - len(block) + 1)
        assert any(stripped[at : at + len(block)] == block for at in starts) or code.startswith("FINAL_VAR")


@given(st.lists(st.sampled_from(["x = 1", "print(x)", "for i in x:\n    i", "s = '''a\n```\nb'''"]), min_size=1))
def test_whole_statements_come_back_as_they_were_written(statements: list[str]) -> None:
    code = "\n".join(statements)
    assert codes(f"text\n```repl\n{code}\n```\n") == [code]
