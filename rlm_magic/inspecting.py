"""A look at what finished runs left: the sessions, their variables, one of these brought into the notebook."""

from __future__ import annotations

import keyword
import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from .background import engine
from .engine.errors import InputError, hint
from .engine.types import Change
from .guest.show import type_name
from .sessions import Session, kept, remove
from .view import duration

T = TypeVar("T")

MIB = 1024**2
NONE_KEPT = "no variables are kept: those of a session are, and for some minutes those of the last run"


def overview() -> str:
    """The sessions, a line for each."""
    rows = [_row(session) for session in kept() if session.name]
    return "\n".join(rows) or "no session is open: %%rlm NAME --session docs opens one"


def _row(session: Session) -> str:
    asked = len(session.runs)
    age = duration(time.monotonic() - session.opened)
    parts = [
        f"{asked} question{'' if asked == 1 else 's'}",
        f"opened {age} ago",
        f"{session.subkernel.memory // MIB:,} MiB",
    ]
    return f"{session.name}  {' · '.join(parts)} · {session.state}"


def table(session: Session) -> str:
    """The variables of the model's code, a line for each."""
    found = variables(session)
    width = max((len(each.name) for each in found), default=0)
    return "\n".join(f"{each.name:<{width}}  {each.type}  {each.size}".rstrip() for each in found) or "no variables"


def find(name: str | None) -> Session:
    """The kept subkernel of a session, or of a run by its ID, which may be cut short; None: where was asked last.

    Raises:
        InputError: there is none, or a run is using it.
    """
    every = [session for session in kept() if session.last]
    if name is None:
        found = max((each for each in every if not each.holder), key=lambda each: each.last, default=None)
    else:
        named = [each for each in every if each.name == name]
        found = next(iter(named or [each for each in every if each.last.startswith(name)]), None)
    if found is None:
        raise InputError(NONE_KEPT if name is None else f"nothing is kept of {name!r}: {_known(name, every)}")
    if found.holder:
        raise InputError(f"session {found.name!r} is in use by run {found.holder}: wait for it")
    return found


def _known(name: str, every: Sequence[Session]) -> str:
    names = [session.name or session.last for session in every]
    return hint(name, names, f"there is {', '.join(names)}" if names else NONE_KEPT)


def variables(session: Session) -> tuple[Change, ...]:
    """The variables of the model's code; waits for them.

    Raises:
        InputError: the subkernel is gone, or does not answer.
    """
    return _wait(session.subkernel.variables())


def pull(session: Session, name: str) -> object:
    """The value of a variable; waits for it.

    Raises:
        InputError: there is none, or it cannot be pulled.
    """
    return _wait(session.subkernel.pull(name))


def bring(session: Session, name: str, namespace: dict[str, Any], out: str | None) -> str:
    """Bind a variable of the model's code in the notebook's ``namespace``; says what it is, in one line.

    Raises:
        InputError: it cannot be had, or a variable would be replaced without being named as ``out``.
    """
    target = out or name
    if not target.isidentifier() or keyword.iskeyword(target):
        raise InputError(f"{target!r} is not a variable name: give one such as -o found")
    if out is None and name in namespace:
        raise InputError(f"{name} is a variable of this notebook: -o {name} replaces it, -o OTHER leaves it")
    namespace[target] = value = pull(session, name)
    return f"{target}: {type_name(value)}"


def close(name: str) -> None:
    """End a session.

    Raises:
        InputError: there is no such session, or a run uses it.
    """
    _wait(remove(name).subkernel.close())


def _wait(work: Coroutine[Any, Any, T]) -> T:
    future = engine().submit(work)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise
