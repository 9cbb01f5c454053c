"""The fakes that the package ships."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from rlm_magic.engine.errors import BindingError, ModelError
from rlm_magic.engine.loop import solve
from rlm_magic.engine.types import Completion, Message, Price, Task, Usage, ValueFile, Variable
from rlm_magic.testing import FakeSandbox, ScriptedModel, fake_harness, fake_open_sandbox, variable

ASK = [Message("user", "a" * 40)]


def test_a_script_of_replies() -> None:
    model = ScriptedModel(["b" * 8, Completion("x", Usage(), "other"), ModelError("down")], price=Price(0.1, 1.0))
    first = asyncio.run(model.complete(ASK, max_tokens=5))
    assert (first.text, first.usage, first.model) == ("b" * 8, Usage(10, 2, cost=3.0), "scripted")
    assert asyncio.run(model.complete(ASK, max_tokens=6)).model == "other"
    with pytest.raises(ModelError, match="down"):
        asyncio.run(model.complete(ASK, max_tokens=7))
    with pytest.raises(ModelError, match="no reply left"):
        asyncio.run(model.complete(ASK, max_tokens=8))
    assert model.requests == [tuple(ASK)] * 4
    assert model.max_tokens == [5, 6, 7, 8]


def test_a_script_that_is_a_function() -> None:
    async def later(messages: Sequence[Message]) -> str:
        return messages[-1].content.upper()

    assert asyncio.run(ScriptedModel(later).complete(ASK, max_tokens=1)).text == "A" * 40
    assert asyncio.run(ScriptedModel(lambda m: "x", price=None).complete(ASK, max_tokens=1)).usage.cost is None


def test_concurrency_is_seen() -> None:
    async def main() -> int:
        model = ScriptedModel(lambda _: "x", delay=0.01)
        await asyncio.gather(*(model.complete(ASK, max_tokens=1) for _ in range(5)))
        return model.peak

    assert asyncio.run(main()) == 5


def test_the_example_of_the_module() -> None:
    opened: list[FakeSandbox] = []
    harness = fake_harness(ScriptedModel(["```repl\nFINAL(len(context))\n```"]), open_sandbox=fake_open_sandbox(opened))
    answer = asyncio.run(solve(Task("How long?", (variable("context", "abc"),)), harness))
    assert answer.value == 3
    assert len(opened) == 1


def test_a_fake_sandbox_reads_value_files(tmp_path: Path) -> None:
    class File:
        def __init__(self, file: ValueFile) -> None:
            self.given = file

        def file(self) -> ValueFile:
            return self.given

    files = [variable(name, value, directory=tmp_path).source.file() for name, value in [("t", "é"), ("b", b"\x00")]]
    files.append(variable("p", tmp_path).source.file())
    bound = [Variable(name, "", File(file)) for name, file in zip("tbp", files, strict=True)]

    async def main() -> str:
        async with fake_open_sandbox()("0", recursive=False, window=100) as sandbox:
            await sandbox.bind(bound)
            return (await sandbox.run("print(t, b, p.name)", None, seconds=20)).output  # type: ignore[arg-type]

    assert asyncio.run(main()) == f"é b'\\x00' {tmp_path.name}\n"


def test_what_a_fake_cannot_bind() -> None:
    with pytest.raises(BindingError, match="list values are not written"):
        variable("x", [1]).source.file()

    class Pickled:
        def file(self) -> ValueFile:
            return ValueFile("x", "pickle", 1)

    with pytest.raises(BindingError, match="not pickle"):
        asyncio.run(FakeSandbox().bind([Variable("x", "", Pickled())]))


def test_a_cell_that_cannot_be_interrupted_is_abandoned() -> None:
    held = threading.Event()

    async def main() -> tuple[str, str]:
        sandbox = FakeSandbox()
        await sandbox.bind([variable("held", held)])
        stuck = await sandbox.run("held.wait()", None, seconds=0.05)  # type: ignore[arg-type]
        after = await sandbox.run("print(1)", None, seconds=20)  # type: ignore[arg-type]
        held.set()
        return stuck.lost, after.output

    lost, output = asyncio.run(main())
    assert "restarted" in lost
    assert output == "1\n"
