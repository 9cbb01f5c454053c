"""What a run works with: the ports, the ledger, and what its whole tree shares."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .budget import Budget
from .errors import RLMError
from .ports import Gate, Model, OpenSandbox, Replies
from .recorder import Recorder
from .types import Completion, Decision, Json, Limits

LIVE_SANDBOXES = 8


class PassGate:
    """The gate that lets everything pass as it is."""

    async def cell(self, node: str, code: str) -> Decision:
        return Decision("run", code)

    async def batch(self, node: str) -> Decision:
        return Decision("run")


class NoReplies:
    """Nothing is known: every request is sent, every node gets the next number or its place in its batch."""

    def number(self, parent: str, kind: str, request: str, *, index: int | None, label: str) -> int | None:
        return None if index is None else index + 1

    def holds(self, node: str) -> bool:
        return False

    def find(self, kind: str, node: str, request: str) -> Completion | RLMError | None:
        return None


def accept_any(value: Json) -> str:
    """The check that has no complaint."""
    return ""


@dataclass(frozen=True)
class Harness:
    """One run's surroundings, the same for every RLM of its tree. Make one for each run.

    Attributes:
        model: the root model; sub_model: that of sub-calls and of sub-RLMs.
        check: what is wrong with an answer's value, in words for the model, or nothing; asked once in a run.
        header: further fields of the run's node.
    """

    model: Model
    sub_model: Model
    open_sandbox: OpenSandbox
    recorder: Recorder
    budget: Budget
    gate: Gate = field(default_factory=PassGate)
    replies: Replies = field(default_factory=NoReplies)
    check: Callable[[Json], str] = accept_any
    header: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def limits(self) -> Limits:
        return self.budget.limits

    @cached_property
    def requests(self) -> asyncio.Semaphore:
        """Held around one model request, and around nothing else."""
        return asyncio.Semaphore(self.limits.concurrency)

    @cached_property
    def sandboxes(self) -> Mapping[int, asyncio.Semaphore]:
        """How many sub-RLMs may live at each depth. One waits only for deeper ones, so none waits for ever."""
        return defaultdict(lambda: asyncio.Semaphore(LIVE_SANDBOXES))


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the tree an RLM stands; without a parent it is the run itself.

    ``prompt`` is what the cell above asked, ``request`` its digest; ``model`` is the root model of this RLM.
    ``number`` is its number below the parent; None: the next one.
    """

    model: Model
    parent: str | None = None
    depth: int = 0
    prompt: str = ""
    request: str = ""
    number: int | None = None
