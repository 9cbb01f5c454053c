"""What the engine needs from outside, one Protocol each. `rlm_magic.testing` has fakes of the first three."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from .arguments import Arguments
from .errors import RLMError, ToolFailed
from .events import Event
from .types import CellResult, Completion, Decision, Message, Price, SubCall, SubReply, Variable

if TYPE_CHECKING:
    from .request import Request

AnswerCalls: TypeAlias = Callable[[SubCall], Awaitable[list[SubReply]]]


class Model(Protocol):
    """A language model.

    ``window`` is its context window in tokens; ``price`` is None where unknown (zeros for a free model).
    ``notes`` is advice on this model for the root prompt, usually empty.
    """

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int: ...
    @property
    def price(self) -> Price | None: ...
    @property
    def notes(self) -> str: ...

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        """Answer once, retrying what is worth retrying.

        Raises:
            ModelError: no usable reply; the message is redacted and fit for display. Anything else that is
                raised counts as one. Cancelling closes the connection.
        """
        ...


class Sandbox(Protocol):
    """A Python session that runs the model's code. One cell runs at a time."""

    @property
    def confinement(self) -> str:
        """What confines it, in words for the user, such as "not confined"."""
        ...

    @property
    def rules(self) -> str:
        """What the code cannot do there, a line for the prompt; empty if it can do everything."""
        ...

    async def bind(self, variables: Sequence[Variable]) -> None:
        """Start the session and hand the values over; called once, before the first `run`, and beside a request.

        One of the values is named ``context``, or none.

        Raises:
            SandboxError: the session does not start.
            BindingError: a value cannot be handed over.
        """
        ...

    async def run(self, code: str, handle: AnswerCalls, *, seconds: float) -> CellResult:
        """Run one cell; its sub-calls go to ``handle``, and none outlives the cell.

        Never raises for what the code does: a timeout or a death is a status, after which the session is usable
        again (restarted if need be, ``lost`` saying so). Cancelling interrupts the code.

        Raises:
            SandboxError: the session is gone and cannot be restarted.
        """
        ...


class OpenSandbox(Protocol):
    """Opens a sandbox for one RLM of the tree; leaving the context ends every process of it, unless it is kept."""

    def __call__(self, node: str, *, recursive: bool, window: int) -> AbstractAsyncContextManager[Sandbox]:
        """``recursive``: `rlm_query` opens a sub-RLM here; ``window``: characters that one sub-call can take."""
        ...


class Gate(Protocol):
    """Where a person may step in, at any depth. May wait."""

    async def cell(self, node: str, code: str) -> Decision:
        """Called before each cell of the model's code."""
        ...

    async def batch(self, node: str) -> Decision:
        """Called before a batch is sent; its node says how much. The items fail unless the decision is to ``run``."""
        ...


class Replies(Protocol):
    """Replies that are known before anything is sent, such as those of a run that is resumed.

    ``request`` is the digest of what is asked: `rlm_magic.engine.request.Request.digest` for a model's reply.
    """

    def number(self, parent: str, kind: str, request: str, *, index: int | None, label: str) -> int | None:
        """The number below ``parent`` of a node that a cell's code is about to open; None: the next one.

        ``index`` is the item's place in its batch, from 0. ``label`` is what is asked, for a message.

        Raises:
            SubCallFailed: the call is known to have been refused.
            Divergence: the cell did not ask that.
        """
        ...

    def holds(self, node: str) -> bool:
        """Whether something is known of this node."""
        ...

    def find(self, kind: str, node: str, request: str) -> Completion | RLMError | None:
        """The reply, or the failure, of a node that is about to make a request; None: send it."""
        ...

    def result(self, node: str) -> str | ToolFailed | None:
        """What the tool called at this node returned, as JSON, or how it failed; None: call it."""
        ...

    def sending(self, node: str, request: Request) -> None:
        """Called before a request goes out that `find` did not know.

        Raises:
            Divergence: it must not go out.
        """
        ...

    def keep(self, node: str, request: Request, completion: Completion) -> None:
        """Called with the reply to such a request, unless it is empty; returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply as a store keeps it.

    Attributes:
        key: names what was asked; model: that it was asked of.
        asked: the beginning of the last message, for people.
        parts: a name for each message, in order.
        version: of the program that asked.
    """

    key: str
    model: str
    asked: str
    parts: tuple[str, ...]
    completion: Completion
    version: str


class ReplyStore(Protocol):
    """Keeps replies from one run to the next. What goes wrong with it costs a reply, never the run."""

    @property
    def name(self) -> str:
        """What it is called in an error."""
        ...

    def get(self, key: str) -> Completion | None:
        """The reply with this key; at once, as the engine's thread waits."""
        ...

    def put(self, kept: Kept) -> None:
        """Keep a reply; returns at once."""
        ...

    def nearest(self, parts: Sequence[str]) -> Kept | None:
        """A reply to a request that begins with as many of these messages as any; None if nothing is kept."""
        ...


class Tools(Protocol):
    """The user's functions that the model's code may call."""

    @property
    def cards(self) -> Mapping[str, str]:
        """By name: what a root reads of each, one line of at most 500 characters, its signature first."""
        ...

    async def call(self, name: str, arguments: Arguments) -> str:
        """Call one of `cards`; what it returns is JSON text of at most 1,000,000 bytes. Cancelling ends the call.

        Raises:
            ToolFailed: there is none of this name, it takes other arguments, it did not return, or what it returned
                cannot be handed over.
        """
        ...


class Clock(Protocol):
    """Monotonic seconds."""

    def __call__(self) -> float: ...


class Journal(Protocol):
    """The record of a run. A failure stops the run."""

    def append(self, event: Event) -> None:
        """Take an event; returns at once."""
        ...

    async def written(self) -> None:
        """Wait until every event taken so far is written: before a paid call is sent, before its reply is used.

        Raises:
            JournalError: the record could not be written.
        """
        ...


class Observer(Protocol):
    """Watches a run: called with each event, on the engine's thread. What it raises cannot break the run."""

    def __call__(self, event: Event, /) -> None: ...
