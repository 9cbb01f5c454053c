"""Subkernels that outlive their run: those of sessions, and for some minutes that of the last run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .engine.errors import InputError, hint
from .engine.prompt import EXCHANGES, as_text
from .engine.types import Answer, Change, Earlier, Task, Variable
from .settings import Settings
from .subkernel import Subkernel, Subkernels

MOST = 8
KEPT_CHARS = 10_000  # of a question or an answer, which a prompt shortens further
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")


@dataclass(eq=False)
class Session:
    """A subkernel, and what was asked in it. Without a name it is that of one run.

    Attributes:
        setup: what its process was started with, by option.
        holder: the run that uses it; empty: none.
        runs: the runs so far.
        bound: the values of the last question.
        variables: those of the model's code, after the last question.
    """

    name: str
    subkernel: Subkernel
    setup: Mapping[str, str]
    holder: str = ""
    runs: list[str] = field(default_factory=list[str])
    bound: tuple[Variable, ...] = ()
    variables: tuple[Change, ...] = ()
    exchanges: tuple[tuple[str, str], ...] = ()
    opened: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        return self.subkernel.alive

    @property
    def last(self) -> str:
        """The run that uses it, or the last that did."""
        return self.holder or (self.runs[-1] if self.runs else "")

    @property
    def state(self) -> str:
        """In words."""
        if self.holder:
            return f"in use by run {self.holder}"
        return "idle" if self.alive else f"dead: it {self.subkernel.cause_of_death}"


_sessions: dict[str, Session] = {}
_guard = threading.Lock()
_last: Session | None = None
_ending: asyncio.TimerHandle | None = None


class Lease:
    """What one run has of its root's subkernel beyond the run itself; nothing where there is no ``session``.

    Args:
        seconds: that a session without a name is kept once its run has ended.

    Attributes:
        task: what is asked, with what the session adds.
        notice: what the user should know, one line; empty if nothing.
    """

    def __init__(self, task: Task, run: str, session: Session | None = None, seconds: float = 0.0) -> None:
        self.task = task
        self.notice = ""
        self._run = run
        self._session = session
        self._seconds = seconds
        if session is not None and session.runs:
            self.task = replace(task, variables=task.variables or session.bound, earlier=_earlier(session, task))
            if not session.alive:
                self.notice = (
                    f"session {session.name!r} is fresh: its subkernel {session.subkernel.cause_of_death}, "
                    "and the variables from before are gone"
                )

    @property
    def header(self) -> dict[str, Any]:
        """What the record says of it."""
        session = self._session
        return {"session": session.name, "question": len(session.runs) + 1} if session and session.name else {}

    async def end(self, answer: Answer) -> None:
        """The run has ended; on the engine's thread."""
        session = self._session
        if session is None:
            return
        if not session.name and answer.outcome == "stopped":
            await session.subkernel.close()
            return
        try:
            await session.subkernel.settled()
            with contextlib.suppress(InputError):
                session.variables = ()
                session.variables = await session.subkernel.variables()
        finally:
            self._note(session, answer)
            session.holder = ""
        if not session.name:
            await _keep(session, self._seconds)

    def _note(self, session: Session, answer: Answer) -> None:
        session.runs.append(self._run)
        session.bound = self.task.variables
        if answer.outcome in ("answered", "forced"):
            exchange = (self.task.query[:KEPT_CHARS], as_text(answer.value)[:KEPT_CHARS])
            session.exchanges = (*session.exchanges, exchange)[-EXCHANGES:]


def lease(settings: Settings, run: str, subkernels: Subkernels, task: Task, *, resumed: bool = False) -> Lease:
    """Take the session that a run asks for, for its length.

    Raises:
        InputError: it is in use, was opened with other options, or one more is too many.
    """
    name = settings.session
    if name is None:
        kept = _new("", settings, subkernels) if settings.keep_variables else None
        return Lease(task, run, kept, settings.keep_variables)
    with _guard:
        session = _sessions.get(name)
        if session is None:
            _check_new(name)
            session = _sessions[name] = _new(name, settings, subkernels)
        else:
            _check(session, settings, subkernels, resumed)
            subkernels.keep(session.subkernel)
        session.holder = run
    return Lease(task, run, session)


def release(run: str) -> None:
    """Let go of the session of a run that could not start."""
    with _guard:
        for session in [each for each in _sessions.values() if each.holder == run]:
            session.holder = ""
            if not session.runs:
                del _sessions[session.name]


def earlier_of(name: str | None, task: Task) -> Task:
    """A task with what a session would add."""
    session = _sessions.get(name or "")
    return task if session is None else Lease(task, "", session).task


def _new(name: str, settings: Settings, subkernels: Subkernels) -> Session:
    return Session(name, subkernels.keep(None), _setup(settings, subkernels))


def _setup(settings: Settings, subkernels: Subkernels) -> dict[str, str]:
    return {
        "--kernel": settings.kernel or "of this Python",
        "--sandbox": subkernels.tier,
        "--memory": str(settings.limits.memory),
    }


def _check_new(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"--session {name!r} is not a name: give letters, digits, '-', '_' and '.', such as docs")
    living = [each for each in _sessions.values() if each.alive or each.holder]
    if len(living) >= MOST:
        names = ", ".join(each.name for each in living)
        raise InputError(f"{MOST} sessions are open ({names}): end one with %rlm close NAME")


def _check(session: Session, settings: Settings, subkernels: Subkernels, resumed: bool) -> None:
    name, setup = session.name, _setup(settings, subkernels)
    if session.holder:
        run = session.holder
        raise InputError(f"session {name!r} is in use by run {run}: wait for it, or end it with %rlm stop {run}")
    way_out = f"name another session, or end this one with %rlm close {name}"
    for option, value in session.setup.items():
        if setup[option] != value:
            raise InputError(f"session {name!r} was opened with {option} {value}, not {setup[option]}: {way_out}")
    if resumed:
        raise InputError(f"a resumed run begins afresh, and session {name!r} has variables already: {way_out}")
    for path in subkernels.paths:
        if not session.subkernel.sees(path):
            raise InputError(f"session {name!r} cannot see {path}, which was not bound when it was opened: {way_out}")


def _earlier(session: Session, task: Task) -> Earlier:
    bound = {variable.name for variable in task.variables or session.bound}
    variables = session.variables if session.alive else ()
    return Earlier(tuple(each for each in variables if each.name not in bound), session.exchanges)


async def _keep(session: Session, seconds: float) -> None:
    """Keep the last run's subkernel for so long, and let go of the one before."""
    global _last, _ending
    if not session.alive:
        await session.subkernel.close()
        return
    before, _last = _last, session
    if _ending is not None:
        _ending.cancel()
    loop = asyncio.get_running_loop()
    _ending = loop.call_later(seconds, lambda: loop.create_task(_let_go(session)))
    if before is not None:
        await before.subkernel.close()


async def _let_go(session: Session) -> None:
    global _last
    if _last is session:
        _last = None
    await session.subkernel.close()


def kept() -> list[Session]:
    """The sessions, and last the subkernel of the last run if it is kept."""
    with _guard:
        return [*_sessions.values(), *([_last] if _last is not None else [])]


def remove(name: str) -> Session:
    """Take a session out of those that there are; its subkernel is still to be closed.

    Raises:
        InputError: there is no such session, or it is in use.
    """
    with _guard:
        session = _sessions.get(name)
        if session is None:
            raise InputError(f"there is no session {name!r}: {hint(name, _sessions, '%rlm sessions lists them')}")
        if session.holder:
            raise InputError(f"session {name!r} is in use by run {session.holder}: %rlm stop {session.holder} first")
        return _sessions.pop(name)


def _forget() -> None:
    """A forked child has none of them."""
    global _last, _ending, _guard
    _sessions.clear()
    _last, _ending, _guard = None, None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
