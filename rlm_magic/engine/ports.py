"""What the engine needs from outside, one Protocol each. `rlm_magic.testing` has fakes of the first three."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from .errors import RLMError
from .events import Event
from .types import CellResult, Completion, Decision, Message, Price, SubCall, SubReply, Variable

Handle: TypeAlias = Callable[[SubCall], Awaitable[list[SubReply]]]


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
            ModelError: no usable reply; the message is redacted and fit for display. Cancelling closes the connection.
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

    async def run(self, code: str, handle: Handle, *, seconds: float) -> CellResult:
        """Run one cell; its sub-calls go to ``handle``, and none outlives the cell.

        Never raises for what the code does: a timeout or a death is a status, after which the session is usable
        again (restarted if need be, ``lost`` saying so). Cancelling interrupts the code.

        Raises:
            SandboxError: the session is gone and cannot be restarted.
        """
        ...


class OpenSandbox(Protocol):
    """Opens a sandbox for one RLM of the tree; leaving the context ends every process of it."""

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
