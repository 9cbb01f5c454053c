"""What the root's messages hold: the question, and what each earlier cell reported.

The policy keeps no state of its own: everything is read back from the messages, so that a run replays. Its cells open
with a comment that names their stage, and end by printing one line, `cells.MARK` and JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rlm_magic.engine.types import Message

from .cells import MARK, PREFIX

QUESTION = "Question:\n"
AFTER_QUESTION = ("\n\nThe answer must be ", "\n\nVariables (", "\n\nThere is no context", "\n\nTurn 1 of ")
NO_CONTEXT = "There is no context"
FORCED = "No more code can be run"
REFUSED = re.compile(r"Your answer was not accepted: (.*)")
STAGE = re.compile(rf"^# {PREFIX}: (\w+)", re.MULTILINE)
REPORT = re.compile(rf"^{MARK} (\{{.*\}})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the messages hold.

    Attributes:
        forced: no cell can be run any more.
        refused: why a submitted answer was not accepted; empty if none was.
        reports: what the cells that worked reported, by stage, the last of each.
        failures: how many cells reported nothing.
    """

    question: str
    has_context: bool
    forced: bool
    refused: str
    reports: Mapping[str, Mapping[str, Any]]
    failures: int


def read(messages: Sequence[Message]) -> Conversation:
    """Take a conversation apart. Without the engine's headings, the first user message is the question."""
    opening = next((m.content for m in messages if m.role == "user"), "")
    steps = [_step(a, b) for a, b in pairwise(messages) if a.role == "assistant"]
    reports = {report["stage"]: report for report in steps if report is not None}
    last = messages[-1].content if messages else ""
    refusal = REFUSED.search(last)
    return Conversation(
        question=_question(opening),
        has_context=NO_CONTEXT not in opening.removeprefix(QUESTION),
        forced=FORCED in last,
        refused=refusal[1] if refusal else "",
        reports=reports,
        failures=steps.count(None),
    )


def _question(opening: str) -> str:
    text = opening.partition(QUESTION)[2] or opening
    ends = [text.find(mark) for mark in AFTER_QUESTION if mark in text]
    return text[: min(ends, default=len(text))].strip()


def _step(reply: Message, observation: Message) -> dict[str, Any] | None:
    """The report of a cell of ours; None if it made none."""
    stage, found = STAGE.search(reply.content), REPORT.findall(observation.content)
    if stage is None or not found:
        return None
    try:
        report = json.loads(found[-1])
    except ValueError:
        return None
    return report if report.get("stage") == stage[1] else None
