"""The sub-calls of one cell: plain model calls, and sub-RLMs one level down."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from . import prompt as prompts
from .arguments import arguments_of
from .budget import LEAST_OUTPUT, SUB_OUTPUT, estimate
from .errors import AuthError, Divergence, JournalError, LimitReached, RunError, SubCallFailed, ToolFailed
from .harness import LIVE_SANDBOXES, Harness, Place
from .ports import Model
from .request import Request, Span, beside, cancel_once, consult, digest_of, opened, reserve, send
from .types import Answer, SubCall, SubReply, Task, ValueFile, Variable

T = TypeVar("T")
Solve: TypeAlias = Callable[[Task, Harness, Place], Awaitable[Answer]]

OVER = "the cell has ended: make sub-calls inside a cell and wait for them there"
EXPECTED_OUTPUT = 300  # tokens of a reply, to say beforehand what a batch may cost
HELD_BACK = "the user did not let this batch go out"
AGGREGATE = "make no more sub-calls: aggregate in Python what you have, and submit"


class CellCalls:
    """Answers what one cell asks for; leaving it ends every call that is still under way.

    ``handle`` never raises for a failed item. What must end the run instead (a refused key, a record that cannot be
    written) comes out of `guard`.
    """

    def __init__(self, harness: Harness, node: str, place: Place, solve: Solve) -> None:
        self.count = 0
        self.cut = 0
        self.answer_now = False
        self.hints: list[str] = []
        self._harness = harness
        self._node = node
        self._place = place
        self._solve = solve
        self._open = True
        self._pending: set[asyncio.Task[list[SubReply]]] = set()
        self._fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> CellCalls:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stop()
        await asyncio.gather(*self._pending, return_exceptions=True)

    def _stop(self) -> None:
        self._open = False
        self._fatal.cancel()
        for task in self._pending:
            cancel_once(task)

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Await the cell, and end it when a sub-call fails in a way that ends the run."""
        return await beside(work, self._fatal, self._stop)

    async def handle(self, call: SubCall) -> list[SubReply]:
        """Answer a call of the cell's code: one reply for each prompt, in order."""
        if not self._open:
            return [SubReply(error=OVER)] * len(call.prompts)
        task = asyncio.create_task(self._answer(call))
        self._pending.add(task)
        task.add_done_callback(self._answered)
        if len(self._pending) == 1:
            self._harness.recorder.phase(self._node, "waiting")
        try:
            return await asyncio.shield(task)
        finally:
            cancel_once(task)

    def _answered(self, task: asyncio.Task[list[SubReply]]) -> None:
        self._pending.discard(task)
        if not self._pending and self._open:
            self._harness.recorder.phase(self._node, "executing")

    async def _answer(self, call: SubCall) -> list[SubReply]:
        if not call.batch:
            return [await self._item(self._node, call, i) for i in range(len(call.prompts))]
        try:
            return await self._batch(call)
        except Divergence as error:
            return [self._end_run(error)] * len(call.prompts)

    async def _batch(self, call: SubCall) -> list[SubReply]:
        fields: dict[str, Any] = {
            "label": f"{call.op} × {len(call.prompts)}",
            "request": _batch_digest(call),
        }
        number = self._harness.replies.number(self._node, "batch", index=None, **fields)
        size = {"n": len(call.prompts), "chars": sum(map(len, call.prompts)), "cost_estimate": self._estimate(call)}
        fields.update(size, child=number)
        with opened(self._harness.recorder, self._node, "batch", depth=self._place.depth, **fields) as span:
            if not await self._may_send(span):
                return [SubReply(error=HELD_BACK)] * len(call.prompts)
            replies = await _each(len(call.prompts), self._workers(call), lambda i: self._item(span.node, call, i))
            failed = sum(reply.error is not None for reply in replies)
            span.end("ok" if not failed else "error" if failed == len(replies) else "partial", failed=failed)
        return replies

    async def _may_send(self, span: Span) -> bool:
        """Whether the gate lets a batch go out; what the user says of it goes to the model with the cell's output."""
        recorder = self._harness.recorder
        decision = await consult(self._harness, span.node, self._harness.gate.batch(span.node))
        recorder.phase(span.node, "waiting")
        send_it = decision.action == "run"
        if decision.note:
            self.hints.append(f"The user says: {decision.note}")
        if decision.note or not send_it:
            recorder.human(span.node, "hint" if send_it else decision.action, decision.note)
        if not send_it:
            self.answer_now = decision.action == "answer"
            span.end("skipped")
        return send_it

    def _estimate(self, call: SubCall) -> float | None:
        """What a batch may cost, in US dollars; None where that is not known."""
        try:
            price = self._model(call.model).price
        except SubCallFailed:
            return None
        if price is None or self._recursive(call):
            return None
        tokens = sum(estimate(prompts.sub_call(prompt)) for prompt in call.prompts)
        return price.of(tokens, EXPECTED_OUTPUT * len(call.prompts))

    def _workers(self, call: SubCall) -> int:
        return LIVE_SANDBOXES if self._recursive(call) else self._harness.limits.concurrency

    def _recursive(self, call: SubCall) -> bool:
        return call.op == "rlm" and self._place.depth + 1 < self._harness.limits.depth

    async def _item(self, parent: str, call: SubCall, index: int) -> SubReply:
        self.count += 1
        try:
            return SubReply(text=await self._text(parent, call, index))
        except LimitReached as limit:
            return SubReply(error=f"{limit}; {AGGREGATE}")
        except (AuthError, JournalError, Divergence) as error:
            return self._end_run(error)
        except (SubCallFailed, RunError) as error:
            return SubReply(error=str(error))
        except Exception as error:
            return self._end_run(error)

    def _end_run(self, error: Exception) -> SubReply:
        if not self._fatal.done():
            self._fatal.set_exception(error)
        return SubReply(error="the run is ending")

    async def _text(self, parent: str, call: SubCall, index: int) -> str:
        if self._fatal.done():
            raise SubCallFailed("the run is ending")
        if call.op == "tool":
            return await self._tool(parent, call.tool, call.prompts[index])
        model = self._model(call.model)
        prompt, context = call.prompts[index], call.contexts[index]
        if self._recursive(call):
            return await self._rlm(parent, prompt, context, model, index if call.batch else None)
        if context is not None:
            raise SubCallFailed("this is the last depth: put the context into the prompt")
        return await self._llm(parent, prompt, model, index if call.batch else None)

    async def _tool(self, parent: str, name: str, text: str) -> str:
        harness, recorder = self._harness, self._harness.recorder
        harness.budget.count_tool_call()
        arguments = arguments_of(text)
        label, request = f"{name}({arguments})", digest_of(name, text)
        number = harness.replies.number(parent, "tool", request, index=None, label=label)
        fields: dict[str, Any] = {"label": label, "child": number, "request": request, "name": name}
        with opened(recorder, parent, "tool", depth=self._place.depth, **fields) as span:
            recorder.patch(span.node, arguments=recorder.body(span.node, text))
            result = harness.replies.result(span.node)
            if result is None:
                await recorder.written()
                result = await harness.tools.call(name, arguments)
            else:
                recorder.patch(span.node, cached=True)
            if isinstance(result, ToolFailed):
                raise result
            recorder.patch(span.node, result=recorder.body(span.node, result))
            await recorder.written()
        return result

    def _model(self, name: str | None) -> Model:
        models = (self._harness.sub_model, self._harness.model)
        for model in models:
            if name in (None, model.name):
                return model
        names = " or ".join(dict.fromkeys(f"{model.name!r}" for model in models))
        raise SubCallFailed(f"model={name!r} is not part of this run: give {names}, or none")

    async def _llm(self, parent: str, prompt: str, model: Model, index: int | None) -> str:
        request = Request(model, prompts.sub_call(prompt))
        room = model.window - request.tokens
        if room < LEAST_OUTPUT:
            takes = prompts.sub_call_capacity(model.window)
            raise SubCallFailed(
                f"the prompt has {len(prompt):,} characters, {model.name} takes about {takes:,}: split it"
            )
        harness, recorder = self._harness, self._harness.recorder
        number = harness.replies.number(parent, "llm", request.digest, index=index, label=prompt)
        node = recorder.upcoming(parent, number)
        ticket = await reserve(harness, "llm", node, request, harness.output(SUB_OUTPUT, room))
        fields: dict[str, Any] = {"label": prompt, "child": number, "request": request.digest}
        with opened(recorder, parent, "llm", depth=self._place.depth + 1, **fields) as span:
            completion = await send(harness, span.node, request, ticket)
        self.cut += completion.finish_reason == "length"
        return completion.text

    async def _rlm(self, parent: str, prompt: str, context: Variable | None, model: Model, index: int | None) -> str:
        harness, depth = self._harness, self._place.depth + 1
        request = digest_of(model.name, prompt, *_identity(context))
        number = harness.replies.number(parent, "rlm", request, index=index, label=prompt)
        if number is None or not harness.replies.holds(f"{parent}.{number}"):
            harness.budget.require_call()
        async with harness.sandboxes[depth]:
            with _child_task(prompt, context) as task:
                answer = await self._solve(task, harness, Place(model, parent, depth, prompt, request, number))
        if answer.outcome == "limit":
            raise SubCallFailed(f"{answer.reason}; {AGGREGATE}")
        if answer.outcome == "failed":
            raise SubCallFailed(answer.reason)
        return prompts.as_text(answer.value)


def _batch_digest(call: SubCall) -> str:
    contexts = [part for context in call.contexts for part in _identity(context)]
    return digest_of(call.op, call.model or "", *call.prompts, *contexts)


def _identity(context: Variable | None) -> tuple[str, str]:
    """What a context is known by in a record."""
    return (context.card, context.digest) if context else ("", "")


@dataclass(frozen=True, slots=True)
class _PromptSource:
    """A prompt that becomes the context of a sub-RLM."""

    prompt: str
    path: Path

    def file(self) -> ValueFile:
        data = self.prompt.encode("utf-8", "surrogatepass")
        self.path.write_bytes(data)
        return ValueFile(str(self.path), "text", len(data))


@contextmanager
def _child_task(prompt: str, context: Variable | None) -> Generator[Task]:
    if context is not None:
        yield Task(prompt, (replace(context, name="context", trusted=False),))
        return
    with tempfile.TemporaryDirectory(prefix="rlm-") as folder:
        card = f"str, {len(prompt):,} characters, {prompt.count(chr(10)) + 1:,} lines: the request itself"
        variable = Variable("context", card, _PromptSource(prompt, Path(folder, "prompt.txt")), trusted=False)
        yield Task(prompts.child_query(prompt), (variable,))


async def _each(count: int, workers: int, work: Callable[[int], Awaitable[T]]) -> list[T]:
    """The results of ``work`` for 0 to count - 1, in order, by so many workers at once."""
    results: dict[int, T] = {}
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            results[number] = await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(count, workers)):
            group.create_task(worker())
    return [results[number] for number in range(count)]
