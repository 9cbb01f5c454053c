"""The RLM: `solve` runs the conversation of a root model with its session, until there is an answer or a limit.

Recursion is `solve` again, one level down, for a sub-call of the model's code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from . import prompt
from .budget import BYTES_PER_TOKEN, ROOT_OUTPUT
from .conversation import Conversation
from .errors import AuthError, Divergence, JournalError, LimitReached, ModelError, RunError
from .harness import Harness, PassGate, Place
from .parse import parse
from .request import Request, opened, reserve, send
from .types import Answer, Finish, Json, Outcome, Task, Usage

__all__ = ["Harness", "PassGate", "Place", "first_request", "solve"]

LATE_SHARE = 0.1
LATE_SECONDS = 60.0
STATUS = {"answered": "ok", "forced": "partial", "stopped": "stopped", "limit": "limit", "failed": "error"}


async def solve(task: Task, harness: Harness, place: Place | None = None) -> Answer:
    """Answer a question. Without a ``place`` this is the run itself: it returns however it ends, even if cancelled.

    Raises:
        InputError: a limit cannot be kept with these models; nothing was run.
        AuthError, JournalError, Divergence: from a sub-RLM only; they end the whole run.
    """
    if place is None:
        harness.budget.check(harness.model, harness.sub_model)
        return await _recorded(harness, _Rlm(task, harness, Place(harness.model)).solve())
    return await _Rlm(task, harness, place).solve()


async def _recorded(harness: Harness, answering: Coroutine[Any, Any, Answer]) -> Answer:
    answer = await answering
    try:
        await harness.recorder.written()
    except JournalError as error:
        return replace(answer, outcome="failed", reason=str(error))
    except asyncio.CancelledError:
        _forget_cancellation()
    return answer


def _forget_cancellation() -> None:
    """The cancellation was obeyed: the task goes on, to return what there is."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()


def first_request(task: Task, harness: Harness, rules: str) -> Request:
    """What the root of a run would be asked first, in a session with these `Sandbox.rules`."""
    return Request(harness.model, Conversation(task, harness, Place(harness.model), solve).opening(rules))


class _Rlm:
    """One RLM of the tree, and every way in which it can end."""

    def __init__(self, task: Task, harness: Harness, place: Place) -> None:
        self.task = task
        self.harness = harness
        self.place = place
        self.node = ""
        self.talk = Conversation(task, harness, place, solve)

    @property
    def is_run(self) -> bool:
        return self.place.parent is None

    async def solve(self) -> Answer:
        recorder, place = self.harness.recorder, self.place
        kind = "run" if self.is_run else "rlm"
        with opened(
            recorder, place.parent, kind, depth=place.depth, label=self.task.query, child=place.number, **self._header()
        ) as span:
            self.node = self.talk.node = span.node
            if place.prompt:
                recorder.patch(span.node, prompt=recorder.prompt(span.node, [prompt.say("user", place.prompt)]))
            answer = await (self._run() if self.is_run else self._answer())
            span.end(STATUS[answer.outcome], outcome=answer.outcome, reason=answer.reason)
            if self.is_run and self.harness.budget.known:
                span.fields["cached_calls"] = self.harness.budget.known
            if answer.value is not None:
                span.fields["answer"] = recorder.body(span.node, prompt.as_text(answer.value))
                span.fields["answer_json"] = not isinstance(answer.value, str)
        return answer

    def _header(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "query": self.task.query,
            "variables": [{"name": v.name, "card": v.card} for v in self.task.variables],
            "models": {"root": self.place.model.name, "sub": self.harness.sub_model.name},
        }
        return {**fields, **self.harness.header} if self.is_run else {**fields, "request": self.place.request}

    async def _run(self) -> Answer:
        try:
            return await self._in_time()
        except asyncio.CancelledError:
            _forget_cancellation()
            return self._ended("stopped", "stopped by the user")
        except RunError as error:
            return self._ended("failed", str(error))

    async def _in_time(self) -> Answer:
        deadline = self.harness.budget.deadline
        try:
            async with deadline:
                return await self._answer()
        except TimeoutError:
            if not deadline.passed:
                raise
        return await self._late(self.harness.limits.seconds)

    async def _late(self, seconds: float) -> Answer:
        limit = LimitReached("seconds", f"seconds={seconds:g} is used up")
        try:
            async with asyncio.timeout(min(LATE_SECONDS, seconds * LATE_SHARE)):
                return await self._forced(str(limit), limit)
        except TimeoutError:
            return self._ended("limit", self._reason(f"{limit}, and the time for a last answer too", limit))

    async def _answer(self) -> Answer:
        try:
            ended = await self.talk.run()
        except LimitReached as limit:
            return await self._forced(str(limit), limit)
        except RunError as error:
            if self.is_run or isinstance(error, (AuthError, JournalError, Divergence)):
                raise
            return self._ended("failed", str(error))
        return await self._forced(ended) if isinstance(ended, str) else self._submitted(ended)

    def _submitted(self, finish: Finish) -> Answer:
        recorder = self.harness.recorder
        with opened(recorder, self.node, "answer", depth=self.place.depth, label=finish.via, via=finish.via) as span:
            span.end("ok", answer=recorder.body(span.node, prompt.as_text(finish.value)), notice=finish.notice)
        return Answer("answered", finish.value, self._usage())

    async def _forced(self, why: str, limit: LimitReached | None = None) -> Answer:
        """One last call for an answer from what the conversation shows."""
        try:
            value = await self._extract(why)
            complaint = await self.harness.check(value) if self.is_run else ""
            if complaint:
                return self._ended("limit", self._reason(f"{why}; the last answer is not as asked: {complaint}", limit))
            return Answer("forced", value, self._usage(), self._reason(why, limit))
        except AuthError:
            raise
        except (LimitReached, ModelError) as error:
            both = why if str(error) == why else f"{why}; no last answer: {error}"
            return self._ended("limit", self._reason(both, limit))

    def _reason(self, why: str, limit: LimitReached | None) -> str:
        """The reason for the user, who can raise a limit; for the code above a sub-RLM, which cannot, without that."""
        if limit is None or not self.is_run:
            return why
        return f"{why}: raise {self.harness.limit_names.get(limit.limit, limit.limit)} to go further"

    async def _extract(self, reason: str) -> Json:
        budget, model, recorder = self.harness.budget, self.place.model, self.harness.recorder
        room = budget.input_room(model.price) if self.is_run else None
        limit = prompt.history_limit(model.window)
        limit = limit if room is None else min(limit, int(room * BYTES_PER_TOKEN))
        messages = prompt.extract(self.talk.messages(), reason, self.talk.partial, limit=limit)
        most = self.harness.output(min(ROOT_OUTPUT, model.window // 4), model.window // 2)
        request, node = Request(model, messages), recorder.upcoming(self.node)
        ticket = await reserve(self.harness, "answer", node, request, most, final=self.is_run)
        with opened(recorder, self.node, "answer", depth=self.place.depth, label="extract", via="extract") as span:
            completion = await send(self.harness, span.node, request, ticket)
            finish = parse(completion.text).finish
            value = finish.value if finish else completion.text.strip()
            span.end("ok", answer=recorder.body(span.node, prompt.as_text(value)))
        return value

    def _ended(self, outcome: Outcome, reason: str) -> Answer:
        return Answer(outcome, self.talk.partial, self._usage(), reason)

    def _usage(self) -> Usage:
        return self.harness.budget.usage if self.is_run else Usage()
