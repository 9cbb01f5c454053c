"""A subkernel that is kept: further questions, its variables listed and fetched, what a death in between costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.types import CellResult, SubCall, SubReply, Variable
from rlm_magic.subkernel import Subkernel, Subkernels, Tier

from ...subkernels import WINDOW, echo
from .test_binding import written

MIB = 1024**2


class Kept:
    """A kept subkernel, and the questions that are asked of it."""

    def __init__(self, runner: asyncio.Runner, **options: Any) -> None:
        self._runner = runner
        self._options = options
        self.subkernel: Subkernel | None = None

    def ask(self, *cells: str, variables: Sequence[Variable] = (), **options: Any) -> list[CellResult]:
        return self._runner.run(self._ask(cells, variables, options))

    def last(self, *cells: str, **options: Any) -> str:
        """What the last cell printed; each must succeed."""
        results = self.ask(*cells, **options)
        assert [(result.status, result.error) for result in results] == [("ok", None)] * len(cells)
        return results[-1].output.strip()

    def names(self) -> list[tuple[str, str, str]]:
        assert self.subkernel is not None
        return [(each.name, each.type, each.size) for each in self._runner.run(self.subkernel.variables())]

    def pull(self, name: str) -> Any:
        assert self.subkernel is not None
        return self._runner.run(self.subkernel.pull(name))

    def do(self, work: Callable[[Subkernel], Any]) -> Any:
        assert self.subkernel is not None
        return self._runner.run(work(self.subkernel))

    async def _ask(
        self, cells: Sequence[str], variables: Sequence[Variable], options: dict[str, Any]
    ) -> list[CellResult]:
        subkernels = Subkernels(**{**self._options, **options})
        self.subkernel = subkernels.keep(self.subkernel)
        async with subkernels("0", recursive=False, window=WINDOW) as sandbox:
            await sandbox.bind(variables)
            return [await sandbox.run(code, echo, seconds=20) for code in cells]


@contextlib.contextmanager
def session(**options: Any) -> Iterator[Kept]:
    with asyncio.Runner() as runner:
        kept = Kept(runner, **options)
        try:
            yield kept
        finally:
            if kept.subkernel is not None:
                runner.run(kept.subkernel.close())


@pytest.fixture
def kept(tier: Tier) -> Iterator[Kept]:
    with session(tier=tier) as kept:
        yield kept


def pid(subkernel: Subkernel) -> int:
    assert subkernel._kernel is not None
    return subkernel._kernel._provisioner.kernel_pid


async def die(subkernel: Subkernel) -> None:
    assert subkernel._kernel is not None
    os.kill(pid(subkernel), signal.SIGKILL)
    await asyncio.wait({subkernel._kernel.died})


def test_variables_stay_and_the_answer_and_history_begin_anew(kept: Kept) -> None:
    kept.ask("x = [1, 2]\nanswer['content'] = 'old'\nanswer['ready'] = True", "Final = 5; class A: pass")
    results = kept.ask("print(x, answer, history, 'Final' in globals())", "x.append(3); print(len(history))")
    assert results[0].output == "[1, 2] {'content': '', 'ready': False} [] False\n"
    assert results[0].finish is None
    assert results[1].output == "1\n"


def test_a_question_binds_anew_what_changed_and_keeps_what_did_not(kept: Kept, tmp_path: Path) -> None:
    text = written("text", "one two", tmp_path)
    kept.last("text = 'spoilt'", variables=[text, written("rows", [1], tmp_path)])
    again = [text, written("rows", [1, 2], tmp_path)]
    assert kept.last("print(text, rows, sorted(context), context['text'] is text)", variables=again) == (
        "one two [1, 2] ['rows', 'text'] True"
    )
    alone = [written("other", "x", tmp_path)]
    assert kept.last("print(context, text, rows)", variables=alone) == "x one two [1, 2]"


def test_many_questions_with_values_of_their_own(kept: Kept, tmp_path: Path) -> None:
    seen = [kept.last("print(docs)", variables=[written("docs", [n], tmp_path)]) for n in range(5)]
    assert seen == ["[0]", "[1]", "[2]", "[3]", "[4]"]


def test_the_variables_are_listed_with_type_and_size(kept: Kept, tmp_path: Path) -> None:
    kept.ask("n = 5\n_hidden = 1\nimport os\nglobals()['no name'] = 1", variables=[written("docs", "abc", tmp_path)])
    assert kept.names() == [("docs", "str", "3 characters"), ("n", "int", "5")]


def test_a_tool_is_gone_when_it_is_not_named_again(kept: Kept) -> None:
    assert kept.last("print(lookup)", tools=["lookup"]) == "<tool lookup>"
    assert kept.last("print('lookup' in globals())") == "False"
    assert kept.names() == []


def test_functions_that_the_code_has_kept_serve_the_next_question(kept: Kept) -> None:
    kept.last("ask = llm_query; print(ask('one'))")
    assert kept.last("print(llm_query('two'), ask('three'))") == "TWO THREE"


def test_a_death_between_two_questions_is_told_and_a_fresh_session_answers(kept: Kept, tmp_path: Path) -> None:
    kept.ask("mine = 1")
    kept.do(die)
    assert kept.do(lambda subkernel: asyncio.sleep(0, subkernel.alive)) is False
    with pytest.raises(InputError, match="killed by SIGKILL"):
        kept.names()
    first, second = kept.ask("print('mine' in globals(), docs)", "1", variables=[written("docs", "d", tmp_path)])
    assert first.output == "False d\n"
    assert "SIGKILL" in first.lost
    assert "variables are gone" in first.lost
    assert second.lost == ""


def test_a_session_whose_last_cell_died_takes_the_next_question(kept: Kept) -> None:
    assert kept.ask("mine = 1", "import os; os._exit(3)")[1].status == "died"
    assert kept.last("print('mine' in globals())") == "False"


def test_an_interrupted_cell_leaves_its_session(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_magic.subkernel.sandbox.KEPT_GRACE", 60.0)
    kept.ask("mine = 1")

    async def stopped(subkernel: Subkernel) -> None:
        begun = asyncio.Event()

        async def mark(call: SubCall) -> list[SubReply]:
            begun.set()
            return await echo(call)

        code = "import time\nmine = 2\nllm_query('go')\ntime.sleep(60)"
        asking = asyncio.create_task(subkernel.run(code, mark, seconds=120))
        await begun.wait()
        asking.cancel()
        await asyncio.wait({asking})

    kept.do(stopped)
    assert kept.last("print(mine)") == "2"


def test_a_session_that_is_kept_busy_is_ended(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_magic.subkernel.sandbox.ASKED_SECONDS", 1.0)
    busy = (
        "import os, re, threading, time\n"
        "def keep_busy():\n"
        "    while not os.path.exists('begin'): time.sleep(0.01)\n"
        "    open('busy', 'w').close(); re.match(r'(a+)+b', 'a' * 60)\n"
        "threading.Thread(target=keep_busy).start()\n"
        "print(os.getcwd())"
    )
    work = Path(kept.last(busy))
    (work / "begin").touch()
    while not (work / "busy").exists():
        kept.do(lambda _: asyncio.sleep(0.01))
    (result,) = kept.ask("print('here')")
    assert result.output == "here\n"
    assert "kept it busy" in result.lost


@pytest.mark.timeout(120)
def test_values_of_a_later_question_do_not_count_as_memory_that_the_code_took(tmp_path: Path, tier: Tier) -> None:
    with session(tier=tier, memory=300 * MIB) as kept:
        kept.last("mine = bytearray(100 << 20)")
        for n in range(2):
            large = written("large", "é" * (150 * MIB), tmp_path)
            assert kept.last("print(len(large))", variables=[large]) == str(150 * MIB), n
        assert kept.last("more = bytearray(120 << 20); print(len(mine))") == str(100 << 20)
        (over,) = kept.ask("yet_more = bytearray(200 << 20)")
        assert over.error is not None
        assert over.error.name == "MemoryError"
        assert kept.last("print(len(more))") == str(120 << 20)


def test_the_allowance_is_not_given_again_with_each_question(tmp_path: Path, tier: Tier) -> None:
    with session(tier=tier, memory=200 * MIB) as kept:
        for _ in range(3):
            kept.ask("kept = globals().get('kept', []); kept.append(bytearray(80 << 20))")
        assert kept.last("print(len(kept))") == "2"
