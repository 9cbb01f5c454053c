"""Runs the offline policy through the engine, with a sandbox that really executes its code."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from rlm_magic.engine.loop import solve
from rlm_magic.engine.ports import Model
from rlm_magic.engine.tree import Node
from rlm_magic.engine.types import Answer, Task
from rlm_magic.models.offline import policy, reader
from rlm_magic.testing import MemoryJournal, fake_harness, variable

DATA = Path(__file__).parents[3] / "notebooks" / "data"
ABSTAINS = "The offline policy (no language model) cannot answer this"


@dataclass(frozen=True)
class Outcome:
    answer: Answer
    journal: MemoryJournal

    @property
    def text(self) -> str:
        return str(self.answer.value)

    @property
    def last_line(self) -> str:
        return self.text.splitlines()[-1]

    @property
    def abstained(self) -> bool:
        return self.text.startswith(ABSTAINS)

    def nodes(self, kind: str) -> list[Node]:
        return [n for n in self.journal.tree.walk() if n.kind == kind]

    def code(self) -> list[str]:
        tree = self.journal.tree
        return [tree.body(n.fields["code"]) or "" for n in self.nodes("exec")]


def ask(
    question: str,
    *values: object,
    form: str = "",
    model: Model | None = None,
    sub_model: Model | None = None,
    **ports: object,
) -> Outcome:
    """Answer a question about one value (or about none); ``ports`` are fields of the harness, or limits."""
    journal = MemoryJournal()
    task = Task(question, tuple(variable("context", v) for v in values), form)
    harness = fake_harness(model or policy(), sub_model or reader(), journal=journal, **ports)
    return Outcome(asyncio.run(solve(task, harness)), journal)
