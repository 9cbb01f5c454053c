"""Running a question with fakes, and what must hold of every record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlm_magic.engine.loop import solve
from rlm_magic.engine.tree import Node, Tree
from rlm_magic.engine.types import Answer, Earlier, Limits, Message, Task, Variable
from rlm_magic.testing import MemoryJournal, ScriptedModel, fake_harness, variable

DOCS = variable("docs", "one two three", card="str, 13 characters")


def code(*lines: str) -> str:
    return "\n".join(("```repl", *lines, "```"))


def is_sub_call(messages: Sequence[Message]) -> bool:
    return messages[0].content.startswith("You are an assistant")


@dataclass
class Ran:
    """A run that has ended."""

    answer: Answer
    journal: MemoryJournal
    model: ScriptedModel

    @property
    def tree(self) -> Tree:
        return self.journal.tree

    def nodes(self, kind: str) -> list[Node]:
        return [node for node in self.tree.nodes.values() if node.kind == kind]

    def statuses(self) -> list[str]:
        return [f"{node.kind} {node.status}" for node in self.tree.walk()]

    def last_prompt(self) -> str:
        return self.model.requests[-1][-1].content


def run(
    script: Any,
    *,
    query: str = "How many?",
    form: str = "",
    variables: tuple[Variable, ...] = (DOCS,),
    earlier: Earlier = Earlier(),  # noqa: B008 (it is frozen)
    journal: MemoryJournal | None = None,
    **options: Any,
) -> Ran:
    """Ask a scripted model a question; ``limits`` may be a dict, any other option is one of `fake_harness`."""
    model = script if isinstance(script, ScriptedModel) else ScriptedModel(script)
    journal = journal or MemoryJournal()
    limits = options.pop("limits", {})
    harness = fake_harness(model, journal=journal, limits=Limits(**limits), **options)
    answer = asyncio.run(solve(Task(query, variables, form, earlier), harness))
    check_record(journal)
    return Ran(answer, journal, model)


def check_record(journal: MemoryJournal) -> None:
    """Every node was closed exactly once, before its parent, and every event has its number."""
    live: list[str] = []
    seen: set[str] = set()
    for number, event in enumerate(journal.events):
        assert event.seq == number
        if event.type == "open":
            assert event.node not in seen
            assert event.data["parent"] is None or event.data["parent"] in live
            seen.add(event.node)
            live.append(event.node)
        else:
            assert event.node in live, f"{event.type} of {event.node}, which is not open"
        if event.type == "close":
            live.remove(event.node)
            assert not [node for node in live if node.startswith(f"{event.node}.")]
    assert not live
