"""Tools: functions of the notebook that the model's code may call, with arguments that the model chose."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from .engine.arguments import Arguments
from .engine.errors import InputError, ToolFailed
from .guest.crossing import carry
from .models import redact
from .subkernel import RESERVED
from .workplace import Workplace

MOST = 20
SIGNATURE_CHARS = 200
DOC_CHARS = 250
ERROR_CHARS = 1_000

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # another one in each process, and so another prompt

Function: TypeAlias = Callable[..., Any]


class Toolbox:
    """The tools of one run, as `Tools` of the engine.

    Args:
        functions: by name.
        workplace: where they are called.
        seconds: that one call may take.

    Attributes:
        cards: see `Tools.cards`.
    """

    def __init__(self, functions: Mapping[str, Function], workplace: Workplace, seconds: float) -> None:
        self.cards = {name: card(name, function) for name, function in functions.items()}
        self._functions = functions
        self._workplace = workplace
        self._seconds = seconds

    async def call(self, name: str, arguments: Arguments) -> str:
        """See `Tools.call`."""
        function = self._functions.get(name)
        if function is None:
            raise ToolFailed(f"there is no tool {name!r}: there is {' and '.join(self._functions) or 'none'}")
        try:
            return await self._workplace.run(lambda: perform(name, function, arguments), self._seconds)
        except TimeoutError as error:
            raise ToolFailed(f"{name} {error}") from None


def perform(name: str, function: Function, arguments: Arguments) -> str:
    """Call a function; what it returns, as JSON text.

    Raises:
        ToolFailed: it takes other arguments, it raised, or what it returned cannot be handed over.
    """
    signature = _signature(function)
    try:
        if signature is not None:
            signature.bind(*arguments.args, **arguments.kwargs)
    except TypeError as error:
        raise ToolFailed(f"{name}{_shown(signature)} cannot be called so: {error}") from None
    try:
        result = function(*arguments.args, **arguments.kwargs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and CancelledError too: they are the function's, not the run's
        raise ToolFailed(_told(f"{name} raised {type(error).__name__}", error)) from None
    try:
        return carry(result)
    except Exception as error:
        raise ToolFailed(_told(f"what {name} returned cannot be handed over", error)) from None


def card(name: str, function: Function) -> str:
    """What a model reads of a function, on one line: its signature, and its docstring's first paragraph."""
    doc = (inspect.getdoc(getattr(function, "func", function)) or "").partition("\n\n")[0]
    about = _cut(doc, DOC_CHARS)
    text = f"`{name}{_shown(_signature(function))}`" + (f": {about}" if about else "")
    return redact(_ADDRESS.sub("", text))


def named(functions: Sequence[Function]) -> dict[str, Function]:
    """Functions by the names that they were defined with.

    Raises:
        InputError: one of them has no name, or the name of another.
    """
    found: dict[str, Function] = {}
    for function in functions:
        name = getattr(function, "__name__", "")
        if not callable(function) or not name.isidentifier():
            raise InputError(f"tools={function!r} has no name or is no function: define it with def")
        if name in found:
            raise InputError(f"two of the tools are named {name!r}: rename one")
        found[name] = function
    return found


def check(functions: Mapping[str, Function], variables: Mapping[str, object]) -> None:
    """Refuse what cannot be a tool beside these variables.

    Raises:
        InputError: one line that says why.
    """
    if len(functions) > MOST:
        raise InputError(f"{len(functions)} tools are more than a model keeps in mind: give at most {MOST}")
    for name, function in functions.items():
        if name in RESERVED:
            raise InputError(f"the model's code has its own {name}: give the tool another name")
        if name in variables:
            raise InputError(f"{name} is a variable of the question already: give the tool another name")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise InputError(f"the tool {name} is a coroutine function: give a plain one")


def _signature(function: Function) -> inspect.Signature | None:
    for evaluated in (True, False):  # annotations that are texts, if they can be
        try:
            return inspect.signature(function, eval_str=evaluated)
        except Exception:
            continue
    return None  # as of some builtins


def _shown(signature: inspect.Signature | None) -> str:
    return "(...)" if signature is None else _cut(str(signature), SIGNATURE_CHARS)


def _told(what: str, error: BaseException) -> str:
    try:
        said = str(error)
    except Exception:
        said = ""
    return _cut(redact(f"{what}: {said}" if said else what), ERROR_CHARS)


def _cut(text: str, most: int) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
