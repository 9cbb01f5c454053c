"""A whole run with its sub-RLM, each in a subkernel of its own, driven by scripted replies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from rlm_magic.engine.budget import Budget
from rlm_magic.engine.loop import Harness, solve
from rlm_magic.engine.recorder import Recorder
from rlm_magic.engine.types import Answer, Limits, Message, Task
from rlm_magic.subkernel import Subkernels
from rlm_magic.testing import MemoryJournal, ScriptedModel, variable

PARENT = """```repl
rows = [{"n": i, "word": context[i]} for i in range(3)]
parts = rlm_query_batched(["tally it", "tally it"], contexts=[rows, "some text"])
FINAL([parts, len(context)])
```"""
CHILD = """```repl
FINAL(f"{type(context).__name__} of {len(context)}")
```"""


def reply(messages: Sequence[Message]) -> str:
    return CHILD if any("tally it" in message.content for message in messages[:2]) else PARENT


def run(tmp_path: Path, model: ScriptedModel) -> Answer:
    journal = MemoryJournal()
    harness = Harness(
        model=model,
        sub_model=model,
        open_sandbox=Subkernels(),
        recorder=Recorder(journal, [], time.monotonic),
        budget=Budget(Limits(depth=2), time.monotonic),
    )
    docs = variable("docs", "abc" * 10, directory=tmp_path)
    return asyncio.run(solve(Task("what is there?", (docs,)), harness))


def test_a_run_with_two_sub_rlms(tmp_path: Path) -> None:
    answer = run(tmp_path, ScriptedModel(reply))
    assert (answer.outcome, answer.value) == ("answered", [["list of 3", "str of 9"], 30])
