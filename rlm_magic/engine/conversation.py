"""The conversation of one root model with its session: a reply, its cells, what they did, the next reply."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

from . import observation, prompt
from .budget import LEAST_OUTPUT, ROOT_OUTPUT
from .errors import EmptyReply, InvalidAnswer, LimitReached
from .harness import Harness, Place
from .observation import Left, Ran
from .parse import is_blind, parse
from .ports import Sandbox
from .prompt import Exchange
from .request import Request, Span, beside, consult, opened, reserve, running, send
from .subcalls import CellCalls, Solve
from .types import CellResult, Completion, Decision, Finish, Json, Message, Task, Usage


@dataclass(slots=True)
class _Turn:
    """What one reply led to; ``code`` is all that ran, ``cap`` the characters shown of a block's output."""

    node: str
    cap: int
    ran: list[Ran] = field(default_factory=list[Ran])
    notes: list[str] = field(default_factory=list[str])
    code: str = ""
    finish: Finish | None = None


class Conversation:
    """One RLM's turns.

    Attributes:
        node: the RLM's node in the record, set before `run`.
        partial: the unfinished answer that the session last held.
    """

    def __init__(self, task: Task, harness: Harness, place: Place, solve: Solve) -> None:
        self.node = ""
        self.partial: Json = None
        self._task = task
        self._harness = harness
        self._place = place
        self._solve = solve
        self._opening: tuple[Message, ...] = ()
        self._exchanges: list[Exchange] = []
        self._folded = 0
        self._cells = 0
        self._empty = 0
        self._complained = False
        self._answer_now = False

    def messages(self) -> list[Message]:
        """The messages so far, as the next request has them."""
        return prompt.conversation(self._opening, self._exchanges, self._folded)

    async def run(self) -> Finish | str:
        """Talk until an answer is accepted; else the reason why there is none.

        Raises:
            LimitReached: no turn is left, or the ledger refused it. RunError: the run cannot go on.
        """
        self._opening = self.opening("")  # for a last answer, should the session take all the time there is
        window = prompt.sub_call_capacity(self._harness.sub_model.window)
        async with (
            self._harness.open_sandbox(self.node, recursive=self._recursive, window=window) as sandbox,
            running(sandbox.bind(self._task.variables)) as binding,
        ):
            self._opening = self.opening(sandbox.rules)
            for number in range(1, self._harness.limits.turns + 1):
                finish = await self._turn(number, sandbox, binding)
                if finish is not None:
                    return finish
                if self._answer_now:
                    return "the user asked for an answer now"
        raise LimitReached("turns", f"turns={self._harness.limits.turns} is used up")

    @property
    def _recursive(self) -> bool:
        return self._place.depth + 1 < self._harness.limits.depth

    def opening(self, rules: str) -> tuple[Message, ...]:
        """The messages that it begins with, in a session with these `Sandbox.rules`."""
        model = self._place.model
        return prompt.opening(
            self._task.query,
            self._task.variables,
            self._left(1),
            form=self._task.form,
            earlier=self._task.earlier,
            root_window=model.window,
            sub_window=self._harness.sub_model.window,
            recursive=self._recursive,
            rules=rules,
            notes=model.notes,
            tools=self._harness.tools.cards,
        )

    def _left(self, turn: int) -> Left:
        # What siblings leave to a sub-RLM differs from run to run: its prompts must not.
        calls = None if self._place.depth else self._harness.budget.calls_left
        return Left(turn, self._harness.limits.turns, calls)

    def _span(self, parent: str, kind: str, **fields: Any) -> AbstractContextManager[Span]:
        return opened(self._harness.recorder, parent, kind, depth=self._place.depth, **fields)

    async def _turn(self, number: int, sandbox: Sandbox, binding: asyncio.Task[None]) -> Finish | None:
        with self._span(self.node, "turn", label=f"turn {number}", number=number) as span:
            completion = await beside(self._complete(span.node), binding)
            await binding
            turn = await self._act(span.node, completion, sandbox)
            if turn.finish is not None and await self._accepted(turn, number):
                return turn.finish
            self._remember(completion.text, turn, number)
        return None

    async def _complete(self, node: str) -> Completion:
        """The root's next reply; a single empty one passes as a reply without code."""
        harness, model = self._harness, self._place.model
        request = Request(model, self.messages())
        room = max(LEAST_OUTPUT, model.window - request.tokens)
        most = harness.output(min(ROOT_OUTPUT, model.window // 4), room)
        ticket = await reserve(harness, "turn", node, request, most)
        harness.recorder.phase(node, "thinking")
        try:
            completion = await send(harness, node, request, ticket)
        except EmptyReply:
            self._empty += 1
            if self._empty > 1:
                raise
            return Completion("", Usage(), model.name)
        self._empty = 0
        return completion

    async def _act(self, node: str, completion: Completion, sandbox: Sandbox) -> _Turn:
        """Run the reply's blocks, until one fails or submits."""
        reply = parse(completion.text)
        blocks = list(reply.blocks)
        cap = observation.block_cap(prompt.output_cap(self._place.model.window), len(blocks))
        turn = _Turn(node, cap, finish=reply.finish)
        if blocks and not blocks[-1].closed and completion.finish_reason == "length":
            blocks.pop()
            turn.notes.append(observation.CUT_REPLY)
        elif not blocks and reply.finish is None:
            turn.notes.append(observation.NO_CODE if completion.text else observation.EMPTY_REPLY)
        for block in blocks:
            ran = await self._cell(turn, block.code, sandbox)
            turn.ran.append(ran)
            turn.code += f"{ran.edited or block.code}\n"
            turn.finish = ran.result.finish
            if turn.finish is not None or self._answer_now or ran.result.status not in ("ok", "skipped"):
                break
        if len(turn.ran) < len(blocks):
            turn.notes.insert(0, observation.NOT_RUN)
        return turn

    async def _accepted(self, turn: _Turn, number: int) -> bool:
        """Whether the answer stands; else the remark that says why not is in the turn's notes."""
        assert turn.finish is not None
        known = (*self._task.variables, *self._task.earlier.variables)
        names = {"context", *(variable.name for variable in known), *self._harness.tools.cards}
        if number == 1 and self._task.variables and is_blind(turn.code, names):
            complaint = observation.BLIND
        else:
            complaint = await self._complaint(turn.finish.value)
        if complaint:
            turn.notes.append(f"Your answer was not accepted: {complaint}.")
        return not complaint

    async def _complaint(self, value: Json) -> str:
        """What is wrong with the run's answer; the second time that ends it."""
        complaint = await self._harness.check(value) if self._place.depth == 0 else ""
        if complaint and self._complained:
            self.partial = value
            raise InvalidAnswer(f"the answer was not accepted twice: {complaint}")
        self._complained = self._complained or bool(complaint)
        return complaint

    def _remember(self, text: str, turn: _Turn, number: int) -> None:
        seen = observation.observe(turn.ran, self._left(number + 1), cap=turn.cap, notes=turn.notes)
        self._exchanges.append(Exchange(text or "(no reply)", seen, observation.stub(turn.ran, number)))
        self._folded = prompt.fold(
            self._opening, self._exchanges, self._folded, prompt.history_limit(self._place.model.window)
        )

    async def _cell(self, turn: _Turn, proposed: str, sandbox: Sandbox) -> Ran:
        recorder = self._harness.recorder
        with self._span(turn.node, "exec", label=proposed.strip().split("\n", 1)[0]) as span:
            recorder.patch(span.node, code=recorder.body(span.node, proposed))
            decision = await self._decision(span.node, proposed)
            if decision.action != "run":
                self._answer_now = decision.action == "answer"
                span.end("skipped")
                return Ran(CellResult("skipped"), note=decision.note)
            edited = decision.code if decision.code != proposed else ""
            if edited:
                recorder.patch(span.node, code_proposed=recorder.body(span.node, proposed))
                recorder.patch(span.node, code=recorder.body(span.node, edited))
            result = await self._execute(span, decision.code, sandbox, turn)
            return Ran(result, self._index(result), edited, decision.note)

    async def _decision(self, node: str, code: str) -> Decision:
        decision = await consult(self._harness, node, self._harness.gate.cell(node, code))
        self._record_human(node, decision, code)
        return decision

    def _record_human(self, node: str, decision: Decision, proposed: str) -> None:
        edited = decision.action == "run" and decision.code != proposed
        if edited:
            self._harness.recorder.human(node, "edit")
        if decision.action != "run" or decision.note:
            action = "hint" if decision.action == "run" else decision.action
            self._harness.recorder.human(node, action, decision.note)

    async def _execute(self, span: Span, code: str, sandbox: Sandbox, turn: _Turn) -> CellResult:
        harness = self._harness
        harness.recorder.phase(span.node, "executing")
        async with CellCalls(harness, span.node, self._place, self._solve) as calls:
            result = await calls.guard(sandbox.run(code, calls.handle, seconds=harness.limits.cell_seconds))
        if result.partial is not None:
            self.partial = result.partial
        self._answer_now = calls.answer_now
        turn.notes += calls.hints
        if calls.cut:
            turn.notes.append(observation.CUT_REPLIES.format(calls.cut))
        fields = self._fields(span.node, result, turn.cap)
        span.end("ok" if result.status == "ok" else "error", calls=calls.count, **fields)
        return result

    def _fields(self, node: str, result: CellResult, cap: int) -> dict[str, Any]:
        recorder = self._harness.recorder
        return {
            "output": recorder.body(node, result.output),
            "output_chars": result.output_chars,
            "shown_chars": observation.shown_chars(result, cap),
            "error": asdict(result.error) if result.error else None,
            "changes": [asdict(change) for change in result.changes],
            "rich": [{mime: recorder.body(node, text) for mime, text in rich.data.items()} for rich in result.rich],
            "seconds": result.seconds,
            "lost": result.lost,
        }

    def _index(self, result: CellResult) -> int | None:
        """The cell's place in the session's `history`, which starts anew with the session: after it, or before it."""
        if result.lost:
            self._cells = 0
            if result.status in ("died", "timeout"):
                return None
        self._cells += 1
        return self._cells - 1
