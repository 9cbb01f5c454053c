"""The record as text, and the line on how a run goes."""

from __future__ import annotations

import re

import pytest
from wcwidth import wcswidth

from rlm_magic.engine.tree import Tree
from rlm_magic.view import document, status_line
from rlm_magic.view.parts import parts_of
from rlm_magic.view.text import WIDTH, text
from rlm_magic.view.words import clean, count, dollars, duration, one_line, shorten
from tests.vectors.generate import VECTORS, Script, used

from .sample import run

WHOLE = """\
Brutus betrays Caesar.

answered · 1 turn · 8 calls (1 failed) · 1.9k→115 tokens · $1.12 · 8.2 s · bubblewrap and seccomp

✓ R Who betrays whom?                                                   ok       2.0k  $1.12   8.2 s
✓ ├ T1 Split it, then ask.                                              ok       2.0k  $1.12   8.1 s
✓ │ └ X parts = context.split("\\n\\n") for p in llm_query_batched(part…  ok        735  $0.88   2.0 s
  │   ├ H hint mind the prologue
▲ │   ├ B ×8 7✓ 1✕                                                      partial   735  $0.88  800 ms
✓ │   │ ├ L part 1                                                      ok        105  $0.12  100 ms
✓ │   │ ├ L part 2                                                      ok        105  $0.12  200 ms
✓ │   │ ├ L part 3                                                      ok        105  $0.12  300 ms
✕ │   │ ├ L part 7 — EmptyReply: the model answered nothing             error                 700 ms
  │   │ └ … 4 more
✓ │   └ S chapter 9                                                     ok                     1.0 s
✓ └ A FINAL: Brutus betrays Caesar.                                     ok                      0 ms"""


def test_the_whole_text() -> None:
    assert text(run()) == WHOLE


@pytest.mark.parametrize("name", VECTORS)
def test_every_vector_at_every_moment_is_aligned_and_fits(name: str) -> None:
    tree = Tree()
    for event in VECTORS[name]():
        tree.apply(event)
        for alive in (True, False):
            assert "\n" not in status_line(tree, alive=alive)
            assert all(len(line) <= WIDTH + 2 for line in text(tree, alive=alive).splitlines())


def test_status_line_while_a_run_goes() -> None:
    add = Script()
    assert status_line(Tree()) == "starting"
    add.opened(0, "0", "run", label="Ask", confinement="not confined")
    add.opened(0, "0.1", "turn", label="turn 1", number=1)
    add(0, "await", "0.1", phase="thinking")
    assert (
        status_line(Tree(add.events)) == "running, thinking · 1 turn · 0 calls · 0→0 tokens · $0 · 0 ms · not confined"
    )
    add.opened(2, "0.1.1", "exec", label="x")
    add(0, "await", "0.1.1", phase="waiting")
    add.opened(0, "0.1.1.1", "llm", 1, label="a")
    add.opened(0, "0.1.1.2", "llm", 1, label="b")
    assert status_line(Tree(add.events)).startswith("running, waiting for 2 calls · 1 turn")
    assert status_line(Tree(add.events), alive=False).startswith("interrupted · 1 turn")


@pytest.mark.parametrize("outcome", ["answered", "forced", "stopped", "limit", "failed"])
def test_status_line_names_the_outcome(outcome: str) -> None:
    add = Script()
    add.opened(0, "0", "run", label="Ask")
    add(1, "close", "0", status="partial", outcome=outcome, reason="turns=30 are used up")
    assert status_line(Tree(add.events)).startswith(f"{outcome} · ")
    assert "turns=30 are used up" in text(Tree(add.events))


def priced(*costs: float | None) -> str:
    add = Script()
    add.opened(0, "0", "run", label="Ask")
    for i, cost in enumerate(costs, 1):
        add.opened(0, f"0.{i}", "llm", 1, label="a", usage=used(1, 1, cost))
    return status_line(Tree(add.events)).split(" · ")[4]


def test_an_unknown_price_is_never_zero() -> None:
    assert priced(None) == "—"
    assert priced(None, None) == "—"
    assert priced(0.12, None) == "≥ $0.12"
    assert priced(0.0) == "$0"
    assert priced(0.125, 0.125) == "$0.25"


def test_the_offline_policy_is_labelled() -> None:
    assert "offline policy, no language model" in text(run(model="rlm-offline/policy"))
    assert "offline" not in text(run())


def test_many_sub_calls_are_cut_and_the_cut_is_stated() -> None:
    lines = text(run(calls=5000)).splitlines()
    assert len(lines) < 30
    assert any("… 4,996 more" in line for line in lines)
    assert any("EmptyReply" in line for line in lines)


def test_figures_wider_than_the_page_are_shown() -> None:
    add = Script()
    add.opened(0, "0", "run", label="q", usage={"input": 10**150, "output": 0, "cost": None})
    assert re.search(r"\d{100}M", text(Tree(add.events)))


def test_a_number_that_is_none_is_one_short_word() -> None:
    add = Script()
    add.opened(0, "0", "run", label="q")
    add.opened(0, "0.1", "turn", label="", number="\x1b]0;title\x07" + "9" * 100_000)
    assert re.search(r"T9{2,10}…", text(Tree(add.events)))


def test_wide_characters_stay_aligned() -> None:
    add = Script()
    add.opened(0, "0", "run", label="問い" * 40)
    add.opened(0, "0.1", "turn", label="é" * 3 + "🐍", number=1)
    lines = text(Tree(add.events)).splitlines()[-2:]
    assert wcswidth(lines[0]) == wcswidth(lines[1])


@pytest.mark.parametrize(
    ("dirty", "said"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]0;never ended\nnext", "0;never ended\nnext"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b(Bplain\x1b=", "plain"),
        ("user\u202egnp.exe\u2066x\u2069", "usergnp.exex"),
        ("a\x00b\x07c\x7fd\x85e", "abcde"),
        ("50%\r100%\r\ndone\ttab", "50%\n100%\ndone\ttab"),
        ("lone \ud800", "lone \ufffd"),
        ("[brackets] stay, é 🐍 too", "[brackets] stay, é 🐍 too"),
    ],
)
def test_clean(dirty: str, said: str) -> None:
    assert clean(dirty) == said


def test_figures() -> None:
    assert [count(n) for n in (0, 950, 9_460, 9_960, 182_000, 999_499, 999_600, 4_100_000)] == [
        *("0", "950", "9.5k", "10k", "182k", "999k", "1.0M", "4.1M")
    ]
    assert [dollars(c) for c in (0, 0.00001, 0.0031, 0.21, 99.994, 1234.5)] == [
        *("$0", "<$0.0001", "$0.0031", "$0.21", "$99.99", "$1234")
    ]
    assert [duration(s) for s in (0.0452, 0.9999, 6.24, 72, 99.7, 724, 3725)] == [
        *("45 ms", "1.0 s", "6.2 s", "72 s", "1m40s", "12m04s", "1h02m")
    ]


def test_cuts_are_stated() -> None:
    assert shorten("abcdefghi", 9) == "abcdefghi"
    assert shorten("a" * 100 + "z" * 100, 9) == "aaaaaa\n[… 191 characters not embedded …]\nzzz"
    assert one_line("a  b\nc", 10) == "a b c"
    assert one_line("abcdef", 4) == "abc…"


def test_a_tool_s_call_with_what_it_was_given_and_returned() -> None:
    tree = Tree(VECTORS["tools"]())
    assert "✓     ├ F lookup(7) " in text(tree)
    assert "✕     └ F lookup(8) — ToolFailed: lookup raised KeyError: 8 " in text(tree)
    parts = [(part.title, part.text) for part in parts_of(tree, tree.nodes["0.1.1.1"], set())]
    assert parts == [("Arguments", '{"args": [7], "kwargs": {}}'), ("Result", '{"name": "Ada"}')]
    assert '{"name": "Ada"}' in document(tree)
