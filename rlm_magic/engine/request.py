"""One model request, from its reservation to its record; and the nodes of the record as spans of code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from traceback import format_exception_only
from typing import Any, TypeAlias, TypeVar

from .budget import Reservation, estimate, text_tokens
from .errors import EmptyReply, LimitReached, ModelError, RLMError
from .events import digest, usage_field
from .harness import Harness
from .parse import split_thought
from .ports import Model
from .recorder import Recorder
from .types import Completion, Decision, Message, Usage

T = TypeVar("T")

ERROR_CHARS = 500
RETURNS = "give a rlm_magic.engine.types.Completion(text, usage, model), its text a str and its usage a Usage"

# A request that may be sent, the reply that is known already, or how it is known to fail.
Ticket: TypeAlias = Reservation | Completion | RLMError


@dataclass(slots=True)
class Span:
    """An open node; `end` says how it closes when its block is left without an exception."""

    node: str
    status: str = "ok"
    fields: dict[str, Any] = field(default_factory=dict[str, Any])

    def end(self, status: str, **fields: Any) -> None:
        self.status = status
        self.fields.update(fields)


@contextmanager
def opened(
    recorder: Recorder, parent: str | None, kind: str, *, depth: int, label: str = "", **fields: Any
) -> Generator[Span]:
    """Open a node for the length of a block; it closes exactly once, whatever happens."""
    span = Span(recorder.open(parent, kind, depth=depth, label=" ".join(label[:500].split()), **fields))
    try:
        yield span
    except asyncio.CancelledError:
        span.end("stopped")
        raise
    except LimitReached as limit:
        span.end("limit", reason=str(limit))
        raise
    except BaseException as error:
        span.end("error", error={"name": type(error).__name__, "message": str(error)})
        raise
    finally:
        recorder.close(span.node, span.status, **span.fields)


def digest_of(*asked: str) -> str:
    """The name of what was asked, in as many parts."""
    return digest("".join(f"{len(part)}:{part}" for part in asked))[:32]


@dataclass(frozen=True)
class Request:
    """What a model is asked."""

    model: Model
    messages: Sequence[Message]

    @cached_property
    def digest(self) -> str:
        """Names it in a record: the same model and messages have the same."""
        return digest_of(self.model.name, *(text for m in self.messages for text in (m.role, m.content)))

    @cached_property
    def tokens(self) -> int:
        """Estimated tokens of the messages."""
        return estimate(self.messages)


async def reserve(
    harness: Harness, kind: str, node: str, request: Request, max_tokens: int, *, final: bool = False
) -> Ticket:
    """Set a request aside in the ledger, unless what comes of it is known. ``node`` may be about to be opened.

    Raises:
        LimitReached: see `Budget.reserve`.
    """
    known = harness.replies.find(kind, node, request.digest)
    if known is not None:
        return known
    return await harness.budget.reserve(request.tokens, max_tokens, request.model.price, final=final)


async def send(harness: Harness, node: str, request: Request, ticket: Ticket) -> Completion:
    """Make a request at an open node, unless its reply is known; only a paid reply waits for the record.

    A thought at the reply's beginning moves to its ``reasoning``.

    Raises:
        ModelError: the model did not answer. JournalError: the record could not be written.
    """
    recorder = harness.recorder
    if paid := isinstance(ticket, Reservation):
        completion = _without_thought(await _request(harness, node, request, ticket))
    else:
        completion = _known(recorder, node, request, ticket)
    recorder.patch(node, **_reply_fields(recorder, node, completion))
    if paid:
        await recorder.written()
    if not completion.text.strip():
        why = f"{request.model.name} answered nothing ({completion.finish_reason})"
        raise EmptyReply(why, usage=completion.usage)
    if paid:
        harness.replies.keep(node, request, completion)
    return completion


def _known(recorder: Recorder, node: str, request: Request, ticket: Completion | RLMError) -> Completion:
    recorder.patch(node, **_asked(recorder, node, request), cached=True)
    if isinstance(ticket, RLMError):
        raise ticket
    return ticket


async def _request(harness: Harness, node: str, request: Request, reservation: Reservation) -> Completion:
    """Record what is asked, send it, settle. A request that still waits for its turn counts as not sent."""
    recorder = harness.recorder
    sent, usage, written = False, None, 0
    try:
        async with harness.requests:
            recorder.patch(node, **_asked(recorder, node, request))
            harness.replies.sending(node, request)
            await recorder.written()
            sent = True
            completion = await _complete(harness, request, reservation.max_tokens)
        usage, written = completion.usage, text_tokens(completion.text + completion.reasoning)
    except EmptyReply as empty:
        usage = empty.usage
        if usage is not None:
            nothing = Completion("", usage, request.model.name, "empty")
            recorder.patch(node, **_reply_fields(recorder, node, nothing))
        raise
    finally:
        if sent:
            harness.budget.settle(reservation, usage, written)
        else:
            harness.budget.release(reservation)
    return completion


async def _complete(harness: Harness, request: Request, max_tokens: int) -> Completion:
    """What the model says; it may be one that the user wrote.

    Raises:
        ModelError: it raised, or returned something else than a `Completion`.
    """
    try:
        completion: object = await request.model.complete(request.messages, max_tokens=max_tokens)
    except ModelError:
        raise
    except Exception as error:
        said = "".join(format_exception_only(error))
        why = f"{request.model.name} raised {' '.join(harness.redact(said).split())}"
        raise ModelError(why[:ERROR_CHARS]) from error
    match completion:
        case Completion(text=str(), reasoning=str(), usage=Usage()):
            return completion
        case _:
            raise ModelError(f"{request.model.name} returned {type(completion).__name__}: {RETURNS}")


def _asked(recorder: Recorder, node: str, request: Request) -> dict[str, Any]:
    prompt = recorder.prompt(node, request.messages)
    return {"model": request.model.name, "prompt": prompt, "request": request.digest}


def _without_thought(completion: Completion) -> Completion:
    thought, text = split_thought(completion.text)
    return replace(completion, text=text, reasoning=completion.reasoning or thought)


def _reply_fields(recorder: Recorder, node: str, completion: Completion) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "reply": recorder.body(node, completion.text),
        "model": completion.model,
        "finish_reason": completion.finish_reason,
    }
    if completion.saved is None:
        fields["usage"] = usage_field(completion.usage)
    else:
        fields["saved"] = usage_field(completion.saved)
    if completion.reasoning:
        fields["reasoning"] = recorder.body(node, completion.reasoning)
    if completion.usage.estimated:
        fields["estimated"] = True
    if completion.retries:
        fields["retries"] = list(completion.retries)
    return fields


async def beside(
    work: Coroutine[Any, Any, T], watched: asyncio.Future[Any], at_end: Callable[[], None] = lambda: None
) -> T:
    """Do the work, unless ``watched`` fails meanwhile: then end the work and raise that.

    ``at_end`` is called as soon as the work is over or to be ended, before it is waited for.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, watched}, return_when=asyncio.FIRST_COMPLETED)
        if watched.done():
            watched.result()
        return await task
    finally:
        at_end()
        await end(task)


def cancel_once(task: asyncio.Task[Any]) -> None:
    """Cancel a task, unless that was done before: a second time would interrupt its cleaning up."""
    if not task.cancelling():
        task.cancel()


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task if it is not done, and wait for its end; how it ended is of no interest any more."""
    cancel_once(task)
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """Do the work in the background of a block, which ends it."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await end(task)


async def consult(harness: Harness, node: str, asking: Coroutine[Any, Any, Decision]) -> Decision:
    """What the gate says of a node; the clock stops while it waits for a person."""
    async with running(asking) as asked:
        await asyncio.sleep(0)
        if not asked.done():
            harness.recorder.phase(node, "paused")
        with harness.budget.deadline.paused():
            return await asked
