"""A run of the engine through a record on disk: what is loaded is what was run, and a full disk ends it in one line."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.loop import solve
from rlm_magic.engine.types import Answer, Task
from rlm_magic.result import Result
from rlm_magic.testing import ScriptedModel, fake_harness, variable
from rlm_magic.trace import FileJournal
from rlm_magic.view import record, status_line

DOCS = variable("docs", "one two three")
BATCH = "```repl\nparts = llm_query_batched([w for w in docs.split()])\nprint(parts)\n```"
FINISH = "```repl\nFINAL(parts[0] + len(docs) * '.')\n```"


def ask(path: Path) -> tuple[Answer, ScriptedModel]:
    replies = iter([BATCH, FINISH])
    model = ScriptedModel(lambda messages: "said" if messages[-1].content in DOCS_WORDS else next(replies))

    async def go() -> Answer:
        journal = FileJournal(path, "r1")
        try:
            return await solve(Task("What?", (DOCS,)), fake_harness(model, journal=journal))
        finally:
            await journal.close()

    return asyncio.run(go()), model


DOCS_WORDS = {"one", "two", "three"}


def test_a_run_comes_back_from_its_record(tmp_path: Path) -> None:
    answer, model = ask(tmp_path / "r1.rlm.jsonl")
    result = Result.load(tmp_path / "r1.rlm.jsonl")
    assert (result.answer, result.status) == (answer.value, "answered")
    assert (result.usage.input_tokens, result.usage.cost) == (answer.usage.input_tokens, answer.usage.cost)
    assert [node.kind for node in result.nodes].count("llm") == 3
    assert len(model.requests) == 5
    assert status_line(result.tree).startswith("answered · 2 turns · 5 calls · ")
    assert str(result.answer) in record(result.tree)["text/html"]


def test_a_full_disk_ends_the_run_and_nothing_unrecorded_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    path = tmp_path / "r1.rlm.jsonl"

    def full(fd: int, data: Any) -> int:
        if threading.current_thread().name != "rlm-journal":
            return real(fd, data)
        left = 9_000 - os.fstat(fd).st_size
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data[:left])

    monkeypatch.setattr(os, "write", full)
    answer, model = ask(path)
    assert answer.outcome == "failed"
    assert answer.reason.startswith("the record of the run cannot be written (No space left on device): its first ")
    result = Result.load(path)
    assert result.reason == "interrupted: its process ended before the run did"
    recorded = [node for node in result.nodes if node.prompt]
    assert 0 < len(model.requests) <= len(recorded)
    assert len(model.requests) < 5
