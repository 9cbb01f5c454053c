"""The composition root: wires the engine to its edges and runs a question. `%%rlm` and `RLM` both come here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .answers import AnswerType
from .background import engine
from .caching import Cache
from .engine.budget import Budget
from .engine.events import Event
from .engine.harness import NoReplies
from .engine.loop import Harness, solve
from .engine.recorder import Recorder
from .engine.replay import RecordedGate
from .engine.tree import Tree
from .engine.types import Answer, Json
from .models import close_connections, concealing, redact
from .preparing import refuse_inside_subkernel, subkernels_of, task_of, versions
from .result import AS_SUBMITTED, Result
from .resuming import Recording, kept_options
from .sessions import lease, release
from .settings import Settings
from .steering import Steering
from .subkernel import HASH_SEED
from .tools import Toolbox
from .trace import FileJournal, Runs
from .view import Feed
from .workplace import Workplace

SLICE = 0.05
STOP_SECONDS = 3.0
live: dict[str, Run] = {}


class Run:
    """A run under way. Its methods may be called from any thread.

    Attributes:
        id: names the run's record, as in ``%rlm show ID``.
        tree: the nodes so far; it changes on the engine's thread.
        feed: what a live view of it is told; used on the engine's thread.
        workplace: where its tools are called.
        future: ends with how the run ended.
        model: the root model.
        thread: the identity of the thread that started it.

    Args:
        answer_type: what the answer must be; None: as the model likes.
        step: wait for the user before the first cell of the model's code.
        resumed: the recorded run that this one resumes, asking the same of the same.

    Raises:
        InputError: the run cannot start as it is set up; nothing was sent.
        JournalError: the record cannot be written.
    """

    def __init__(
        self,
        query: str,
        named: Mapping[str, object],
        settings: Settings,
        observers: Sequence[Callable[[Event], None]] = (),
        *,
        answer_type: AnswerType | None = None,
        step: bool = False,
        resumed: Recording | None = None,
    ) -> None:
        refuse_inside_subkernel()
        self._answer_type = answer_type
        self._settings = settings
        self._task = task_of(query, named, answer_type.words if answer_type else "")
        self._resumed = resumed
        self._cache = Cache(settings)
        self.model, self._sub_model = self._cache.models()
        self._budget = self._ledger()
        runs = Runs(settings.runs_dir)
        self.id = runs.new_id()
        self.path = runs.path(self.id)
        self.tree = Tree()
        self._steering = Steering(step=step)
        self._conducting: asyncio.Task[Any] | None = None
        self._stopped_at = float("inf")
        self._cancelled = False
        self._subkernels = subkernels_of(settings, named, self.model.name)
        self.workplace = Workplace(self._cancel)
        try:
            self._lease = lease(settings, self.id, self._subkernels, self._task, resumed=resumed is not None)
            self._begin(observers)
        except BaseException:
            if self.id not in live:
                release(self.id)
            raise

    def _begin(self, watching: Sequence[Callable[[Event], None]]) -> None:
        """Open the record and hand the run to the engine."""
        self._task = self._lease.task
        self._journal = FileJournal(self.path, self.id)
        started = time.monotonic()
        self.feed = Feed(self.id, self._carry_out, self.tree.bodies.get, lambda: time.monotonic() - started)
        harness = self._harness(watching)
        engine().before_close(close_connections)
        self.thread = threading.get_ident()
        live[self.id] = self
        self.future = engine().submit(self._conduct(harness))

    def _harness(self, watching: Sequence[Callable[[Event], None]]) -> Harness:
        settings, models = self._settings, (self.model, self._sub_model)
        known = self._resumed.replies if self._resumed else None
        replies = self._cache.replies(known or NoReplies(), self._budget, models)
        observers = [self.tree.apply, self.feed, *([known] if known else []), *self._cache.observers, *watching]
        return Harness(
            *models,
            open_sandbox=self._subkernels,
            recorder=Recorder(self._journal, observers, time.monotonic, concealing()),
            budget=self._budget,
            reply_tokens=settings.reply_tokens,
            gate=RecordedGate(known, self._steering) if known else self._steering,
            replies=replies,
            tools=Toolbox(settings.tools, self.workplace, settings.limits.cell_seconds),
            check=self._check,
            header=self._header(),
            redact=redact,
            limit_names=settings.limit_names,
        )

    def _ledger(self) -> Budget:
        """What the run may use, where it resumes another less what that has used."""
        models = self.model, self._sub_model
        budget = Budget(self._settings.limits, time.monotonic)
        budget.check(*models)
        if self._resumed is not None:
            self._resumed.check(self._task.variables, *models, self._settings.tools)
            self._resumed.charge(budget, *models)
        return budget

    def _header(self) -> dict[str, Any]:
        """What the record says of the run's setting."""
        settings = self._settings
        options = {**vars(settings), "as_type": self._answer_type.name if self._answer_type else None}
        return {
            "limits": asdict(settings.limits),
            "options": kept_options(options),
            "confinement": self._subkernels.confinement,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "tools": list(settings.tools),
            "versions": versions(),
            "hash_seed": HASH_SEED,
            **({"resumed": self._resumed.id} if self._resumed else {}),
            **self._lease.header,
        }

    @property
    def notice(self) -> str:
        """What the user should know of the run's session, record and kept replies, one line; empty if nothing."""
        resumed = self._resumed
        said = [resumed.notice, resumed.replies.notice] if resumed else []
        return "; ".join(filter(None, [*said, self._lease.notice, self._cache.notice]))

    def hand_over(self) -> None:
        """Write the values of the run; afterwards the notebook may change its own.

        Raises:
            BindingError: a value cannot be written.
        """
        for variable in self._task.variables:
            variable.source.file()

    def pause(self) -> None:
        """Wait for the user before the next cell of the model's code."""
        engine().call(self._steering.pause)

    def step(self) -> None:
        """Let the cells run that wait, and wait before the next."""
        engine().call(self._steering.step)

    def resume(self) -> None:
        """Go on without waiting."""
        engine().call(self._steering.resume)

    def stop(self) -> None:
        """End every pending call; what there is stays."""
        self._stopped_at = min(self._stopped_at, time.monotonic())
        engine().call(self._cancel)

    def kill(self) -> None:
        """End the subkernels now, without waiting for the engine."""
        self.stop()
        self._subkernels.kill()

    def wait(self, tick: Callable[[], None] = lambda: None) -> Result:
        """Wait for the end on this thread. Ctrl-C stops the run, a second one kills its subkernels.

        On the main thread tools are called meanwhile. ``tick`` is called about twenty times a second otherwise.
        """
        interrupted = 0
        pause = self._pause()
        while not self.future.done():
            try:
                pause()
                tick()
            except KeyboardInterrupt:
                interrupted += 1
                self.stop()
            if interrupted > 1 or time.monotonic() - self._stopped_at > STOP_SECONDS:
                return self._abandoned()
        return self._result(self.future.result())

    def _pause(self) -> Callable[[], object]:
        """Waits for a slice, or for the end."""
        if threading.current_thread() is not threading.main_thread():
            self.workplace.attend_by_threads()
            return lambda: concurrent.futures.wait([self.future], timeout=SLICE)
        self.future.add_done_callback(lambda _: self.workplace.wake())
        return lambda: self.workplace.wait(SLICE)

    def call_tools(self) -> None:
        """Call the tools that wait for it, on this thread. Ctrl-C then stops the run."""
        try:
            self.workplace.work_off()
        except KeyboardInterrupt:
            self.stop()

    def _abandoned(self) -> Result:
        self.kill()
        return self._result(Answer("stopped", reason="killed before it could stop by itself"))

    def _result(self, answer: Answer) -> Result:
        value: object = AS_SUBMITTED
        if self._answer_type is not None and answer.outcome in ("answered", "forced"):
            value = self._answer_type.convert(answer.value)
        return Result(answer, self.tree, self.id, self.path, typed=value)

    async def _check(self, value: Json) -> str:
        return await self._answer_type.check(value, self._settings.limits.cell_seconds) if self._answer_type else ""

    def _cancel(self) -> None:
        """Once only: a second time would interrupt the cleaning up."""
        if self._conducting is not None and not self._cancelled:
            self._conducting.cancel()
        self._cancelled = True

    def _carry_out(self, message: Mapping[str, Any]) -> None:
        command = message["cmd"]
        if command == "stop":
            self.stop()
        elif command == "kill":
            self.kill()
        else:
            self._steering.take(message)

    async def _conduct(self, harness: Harness) -> Answer:
        self._conducting = asyncio.current_task()
        if self._cancelled and self._conducting is not None:
            self._conducting.cancel()
        answer = Answer("stopped", reason="stopped by the user")
        async with contextlib.AsyncExitStack() as ending:
            ending.push_async_callback(self._cache.close)
            ending.callback(live.pop, self.id, None)
            ending.push_async_callback(lambda: self._lease.end(answer))
            ending.push_async_callback(self._journal.close)
            ending.callback(self._no_more_stops)
            with contextlib.suppress(asyncio.CancelledError):
                answer = await solve(self._task, harness)
        return answer

    def _no_more_stops(self) -> None:
        """A stop comes too late from now on: it would cut off the closing of the record."""
        self._cancelled = True

    async def result(self) -> Result:
        """Wait for the end under any event loop; cancelling the wait stops the run. Tools are called in the loop."""
        call, context = asyncio.get_running_loop().call_soon_threadsafe, contextvars.copy_context()
        self.workplace.attend(lambda: call(self.call_tools, context=context))
        try:
            return self._result(await asyncio.shield(asyncio.wrap_future(self.future)))
        except asyncio.CancelledError:
            self.stop()
            raise


@contextlib.contextmanager
def attended() -> Generator[None]:
    """A block that starts a run and waits for it. What ends the block ends the run: nobody waits any more."""
    before = set(live)
    try:
        yield
    except BaseException:
        for id, run in list(live.items()):
            if id not in before and run.thread == threading.get_ident():
                run.stop()
        raise
