from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from rlm_magic.engine.observation import NO_CODE, NOT_RUN, Left, Ran, block_cap, clip, observe, shown_chars, stub
from rlm_magic.engine.types import CellError, CellResult, Change, Finish

LEFT = Left(2, 30, 998)
ERROR = CellError("KeyError", "'a'", '  File "<cell>", line 2\n    d["a"]\nKeyError: \'a\'')


def printed(output: str, **fields: object) -> CellResult:
    return replace(CellResult("ok", output, len(output)), **fields)  # type: ignore[arg-type]


def test_output_and_changes() -> None:
    result = printed("5 rows\n", changes=(Change("rows", "list", "5 items", True), Change("n", "int", "", False)))
    assert observe([Ran(result, 0)], LEFT) == snapshot("""\
Output:
5 rows
New variables: rows (list, 5 items)
Changed: n (int)

Turn 2 of 30. 998 model calls left.\
""")


def test_several_blocks() -> None:
    failed = CellResult("error", "", 0, ERROR)
    assert observe([Ran(printed("a\n"), 0), Ran(failed, 1)], LEFT, notes=[NOT_RUN]) == snapshot("""\
Block 1 of 2
Output:
a

Block 2 of 2
No output.
Error:
  File "<cell>", line 2
    d["a"]
KeyError: 'a'

The blocks after it were not run.

Turn 2 of 30. 998 model calls left.\
""")


def test_long_output_is_cut_in_the_middle_with_its_numbers() -> None:
    text = "".join(f"line {n}\n" for n in range(1_000))
    assert observe([Ran(printed(text), 4)], LEFT, cap=60) == snapshot("""\
Output (8,890 characters, 60 shown; in full in history[4]):
line 0
line 1
line 2
line 3
li
... [8,830 characters not shown] ...
96
line 997
line 998
line 999

Turn 2 of 30. 998 model calls left.\
""")


def test_output_that_the_session_cut_already() -> None:
    result = CellResult("ok", "a" * 50 + "z" * 50, 1_000_000)
    seen = observe([Ran(result)], LEFT, cap=40)
    assert seen == snapshot("""\
Output (1,000,000 characters, 40 shown):
aaaaaaaaaaaaaaaaaaaa
... [999,960 characters not shown] ...
zzzzzzzzzzzzzzzzzzzz

Turn 2 of 30. 998 model calls left.\
""")


def test_silence() -> None:
    assert observe([Ran(CellResult("ok"), 0)], LEFT).startswith("No output: did you print?\n")
    assert observe([Ran(CellResult("ok", changes=(Change("x", "int", "5", True),)), 0)], LEFT) == snapshot("""\
No output.
New variables: x (int, 5)

Turn 2 of 30. 998 model calls left.\
""")


def test_a_restart_says_what_was_lost() -> None:
    result = CellResult("died", lost="all variables; the memory limit of 4 GiB was exceeded")
    assert observe([Ran(result)], LEFT) == snapshot("""\
No output.
The session ended while the code ran, and was started anew.
Lost: all variables; the memory limit of 4 GiB was exceeded

Turn 2 of 30. 998 model calls left.\
""")


def test_interrupted_cells() -> None:
    assert "took too long" in observe([Ran(CellResult("timeout"), 0)], LEFT)
    assert "was interrupted" in observe([Ran(CellResult("interrupted"), 0)], LEFT)


def test_an_error_without_a_traceback() -> None:
    result = CellResult("error", error=CellError("SystemExit", "3", ""))
    assert "Error:\nSystemExit: 3" in observe([Ran(result, 0)], LEFT)


def test_a_long_traceback_is_cut() -> None:
    result = CellResult("error", error=CellError("E", "x", "frame\n" * 10_000))
    assert len(observe([Ran(result, 0)], LEFT)) < 2_300


def test_what_the_user_did() -> None:
    edited = Ran(printed("1\n"), 0, edited="print(1)", note="smaller steps, please")
    skipped = Ran(CellResult("skipped"), note="too expensive")
    assert observe([edited, skipped], LEFT) == snapshot("""\
Block 1 of 2
The user edited this code before it ran:
print(1)
The user says: smaller steps, please
Output:
1

Block 2 of 2
The user skipped this code; it was not run.
The user says: too expensive

Turn 2 of 30. 998 model calls left.\
""")


def test_a_reply_without_code() -> None:
    assert observe([], LEFT, notes=[NO_CODE]) == snapshot("""\
Your reply held no code, so nothing ran. Write a ```repl block; submit with FINAL(value) inside one.

Turn 2 of 30. 998 model calls left.\
""")


def test_a_notice_about_a_refused_answer() -> None:
    result = CellResult("ok", finish=Finish("x", "FINAL", "a complex was turned into text"))
    assert "Submitted: a complex was turned into text" in observe([Ran(result, 0)], LEFT)


def test_many_changes_are_counted() -> None:
    changes = tuple(Change(f"v{n}", "int", "1", True) for n in range(30))
    assert "v19 (int, 1) and 10 more" in observe([Ran(CellResult("ok", changes=changes), 0)], LEFT)


def test_turns_left() -> None:
    lines = [observe([], Left(turn, 30, calls)) for turn, calls in [(2, 1), (28, None), (29, 5), (30, 0), (31, 0)]]
    assert lines == snapshot(
        [
            "Turn 2 of 30. 1 model call left.",
            "Turn 28 of 30.",
            "Turn 29 of 30. 5 model calls left. Only one turn comes after it: submit now if you can.",
            "Turn 30 of 30. 0 model calls left. This is the last turn: submit the answer now.",
            "No turn is left.",
        ]
    )


def test_many_blocks_share_the_space() -> None:
    assert [block_cap(8_000, n) for n in (0, 1, 2, 4, 100)] == [8_000, 8_000, 8_000, 4_000, 500]


def test_stubs() -> None:
    ran = [Ran(printed("a" * 30), 3), Ran(CellResult("skipped")), Ran(printed("b"), 4)]
    assert [stub(ran, 2), stub(ran[:1], 3), stub(ran[1:2], 4)] == snapshot(
        [
            "[observation of turn 2 folded away: 31 characters of output; in full in history[3] to history[4]]",
            "[observation of turn 3 folded away: 30 characters of output; in full in history[3]]",
            "[observation of turn 4 folded away: 0 characters of output]",
        ]
    )


@given(st.text(), st.integers(0, 200))
def test_a_clipped_text_keeps_head_and_tail_and_counts_the_rest(text: str, cap: int) -> None:
    clipped = clip(text, cap)
    if len(text) <= cap:
        assert clipped == text
        return
    head, tail = (cap + 1) // 2, cap // 2
    assert clipped.startswith(text[:head])
    assert clipped.endswith(text[len(text) - tail :])
    assert f"[{len(text) - cap:,} characters not shown]" in clipped


@given(st.text(max_size=50), st.integers(0, 100), st.integers(1, 60))
def test_shown_and_missing_add_up(output: str, missing: int, cap: int) -> None:
    result = CellResult("ok", output, len(output) + missing)
    assert 0 <= shown_chars(result, cap) <= min(cap, len(output))
