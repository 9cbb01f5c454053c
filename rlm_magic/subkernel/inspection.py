"""What a subkernel holds between two questions: its variables listed, or one of them fetched."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any, cast

from ..engine.errors import InputError, hint
from ..engine.types import Change
from ..guest.frames import Frame
from ..guest.show import cut, printable
from .kernel import Dead, Kernel
from .pulls import line, pulled
from .threads import in_thread

LIST_SECONDS = 5.0
PULL_SECONDS = 60.0
MAX_LISTED = 500
_numbers = itertools.count(1)


async def variables(kernel: Kernel) -> tuple[Change, ...]:
    """The variables of the model's code. Their names and types are the model's, in printable characters.

    Raises:
        InputError: it does not answer.
    """
    answer = await _answer(kernel, LIST_SECONDS, "list", "listed")
    items = answer.get("variables")
    found = cast("list[Any]", items) if isinstance(items, list) else []
    described = [cast("dict[str, Any]", item) for item in found[:MAX_LISTED] if isinstance(item, dict)]
    return tuple(_described(item) for item in described if str(item.get("name", "")).isidentifier())


async def pull(kernel: Kernel, name: str) -> object:
    """The value of a variable, rebuilt from data.

    Raises:
        InputError: there is none, or it cannot be pulled; the message is one line.
    """
    number = str(next(_numbers))
    path = kernel.place.outbox / f"pull-{number}"
    answer: Frame = {}
    try:
        answer = await _answer(kernel, PULL_SECONDS, "pull", "pulled", of=number, name=name, path=str(path))
        if answer.get("missing"):
            raise InputError(await _missing(kernel, name))
        return await in_thread(pulled, path, answer)
    except InputError as error:
        was = f" ({line(answer['was'])})" if "was" in answer else ""
        raise InputError(f"{name}{was} cannot be pulled: {error}") from None
    finally:
        with contextlib.suppress(OSError):  # the model's code may have put there what it likes
            path.unlink()


async def _missing(kernel: Kernel, name: str) -> str:
    names = [variable.name for variable in await variables(kernel)]
    return f"there is no such variable: {hint(name, names, 'see %rlm vars')}"


async def _answer(kernel: Kernel, seconds: float, kind: str, answer: str, **fields: Any) -> Frame:
    try:
        async with asyncio.timeout(seconds):
            return await kernel.request(kind, answer, **fields)
    except TimeoutError:
        raise InputError(
            f"its subkernel gave no answer in {seconds:g} seconds: the model's code keeps it busy"
        ) from None
    except Dead:
        raise InputError(f"its subkernel {kernel.cause_of_death}") from None


def _described(item: Mapping[str, Any]) -> Change:
    name, kind, size = (cut(printable(str(item.get(field, ""))), 80) for field in ("name", "type", "size"))
    return Change(name, kind, size, new=False)
