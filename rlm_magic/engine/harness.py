"""What a run works with: the ports, the ledger, and what its whole tree shares."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .arguments import Arguments
from .budget import Budget
from .errors import RLMError, ToolFailed
from .ports import Gate, Model, OpenSandbox, Replies, Tools
from .recorder import Recorder
from .types import Completion, Decision, Json, Limits

if TYPE_CHECKING:
    from .request import Request

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

    def result(self, node: str) -> str | ToolFailed | None:
        return None

    def sending(self, node: str, request: Request) -> None:
        pass

    def keep(self, node: str, request: Request, completion: Completion) -> None:
        pass


class NoTools:
    """No function of the user's may be called."""

    cards: Mapping[str, str] = {}

    async def call(self, name: str, arguments: Arguments) -> str:
        raise ToolFailed(f"there is no tool {name!r}")


async def accept_any(value: Json) -> str:
    """The check that has no complaint."""
    return ""


@dataclass(frozen=True)
class Harness:
    """One run's surroundings, the same for every RLM of its tree. Make one for each run.

    Attributes:
        model: the root model; sub_model: that of sub-calls and of sub-RLMs.
        check: what is wrong with the run's answer, in words for the model, or nothing. It is told once.
        header: further fields of the run's node.
        redact: takes secrets out of what a model raised.
        limit_names: what the user calls a limit, where that is not its field's name.
        reply_tokens: what one reply may have; None: 16,000 a root model's, 4,000 a sub-call's.
    """

    model: Model
    sub_model: Model
    open_sandbox: OpenSandbox
    recorder: Recorder
    budget: Budget
    gate: Gate = field(default_factory=PassGate)
    replies: Replies = field(default_factory=NoReplies)
    tools: Tools = field(default_factory=NoTools)
    check: Callable[[Json], Awaitable[str]] = accept_any
    header: Mapping[str, Any] = field(default_factory=dict[str, Any])
    redact: Callable[[str], str] = str
    limit_names: Mapping[str, str] = field(default_factory=dict[str, str])
    reply_tokens: int | None = None

    @property
    def limits(self) -> Limits:
        return self.budget.limits

    def output(self, usual: int, room: int) -> int:
        """Tokens that a reply may have where the model's window leaves ``room``."""
        return min(self.reply_tokens or usual, room)

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
