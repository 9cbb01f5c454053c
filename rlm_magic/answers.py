"""What an answer must be: `--as` and ``output_type=``, validated by pydantic."""

from __future__ import annotations

import asyncio
import builtins
import datetime
import decimal
import json
import typing
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .engine.errors import InputError, hint
from .engine.prompt import as_text
from .engine.types import Json
from .subkernel import in_thread

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SHOWN_PROBLEMS = 5
SHOWN_VALUE = 60  # characters
SCHEMA_CHARS = 4_000
QUOTE = """what has quotes goes in quotes itself, such as --as 'Literal["yes", "no"]'"""
WORDS: Mapping[str, str] = {
    "str": "a text (str)",
    "int": "an integer (int)",
    "float": "a number (float)",
    "bool": "True or False (bool)",
    "list": "a list",
    "dict": "a dict",
    "json": "a JSON value: dicts, lists, texts, numbers, booleans or None",
}


class AnswerType:
    """A type that answers are validated against.

    Args:
        kind: what a pydantic `TypeAdapter` takes: a builtin, a generic of builtins, a dataclass, a pydantic model.
        name: how the user calls it; empty: as Python writes it.

    Raises:
        InputError: pydantic cannot validate it.
    """

    def __init__(self, kind: object, name: str = "") -> None:
        self.name = name or (kind.__name__ if isinstance(kind, type) and typing.get_origin(kind) is None else str(kind))
        self._kind = kind
        self._adapter: TypeAdapter[Any] = _adapter(kind, self.name)

    @classmethod
    def named(cls, text: str, namespace: Mapping[str, Any]) -> AnswerType:
        """The type that an expression stands for, such as ``list[str]``; its names are of the notebook.

        Raises:
            InputError: the expression cannot be read, names something unknown, or is not a type.
        """
        return cls(_evaluated(text, namespace), text)

    @cached_property
    def words(self) -> str:
        """What the model is told, as `Task.form`."""
        if self.name in WORDS:
            return WORDS[self.name]
        schema = json.dumps(self._adapter.json_schema(), ensure_ascii=False)
        if len(schema) > SCHEMA_CHARS:
            raise InputError(
                f"the JSON schema of {self.name} has {len(schema):,} characters, the model is told {SCHEMA_CHARS:,} "
                "at most: ask for a smaller type"
            )
        return f"a value of this JSON schema: {schema}"

    async def check(self, value: Json, seconds: float) -> str:
        """`complaint` on a thread of its own: the type's validators are the user's code."""
        try:
            return await asyncio.wait_for(in_thread(self.complaint, value), seconds)
        except TimeoutError:
            return f"{self.name} could not check it within {seconds:g} seconds"

    def complaint(self, value: Json) -> str:
        """What is wrong with a value, in words for the model; empty if nothing is."""
        try:
            self.convert(value)
        except Exception as error:
            return f"it is not {self.name}: {_problems(error)}"
        return ""

    def convert(self, value: Json) -> Any:
        """A value as the type. A text of JSON counts as what it says; not for a text, or a Decimal with its digits.

        Raises:
            ValueError: it is none; whatever else the type's own validators raise.
        """
        if self._kind is str:
            return as_text(value)
        if isinstance(value, str) and self._kind is not decimal.Decimal and (inner := _json_in(value)):
            return self._one_of(inner, json.dumps(value))
        return self._adapter.validate_json(json.dumps(value))

    def _one_of(self, first: str, second: str) -> Any:
        """The first that validates; raises what is wrong with ``first``."""
        try:
            return self._adapter.validate_json(first)
        except ValueError as error:
            try:
                return self._adapter.validate_json(second)
            except ValueError:
                raise error from None


def _adapter(kind: Any, name: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        adapter.json_schema()
    except Exception as error:  # a type has hooks of its own
        line = str(error).partition("\n")[0].partition(". Set ")[0]
        raise InputError(
            f"{name!r} is no type that an answer can have ({line}): give str, int, float, bool, list, dict, json, "
            "a generic such as list[str], or a pydantic model"
        ) from None
    return adapter


def _evaluated(text: str, namespace: Mapping[str, Any]) -> object:
    from pydantic import JsonValue

    known = {"json": JsonValue, "datetime": datetime, **vars(typing), **vars(builtins)}
    try:
        kind = eval(text, {**known, **namespace, "json": JsonValue})
    except NameError as error:
        types = [name for name, value in {**vars(builtins), **namespace}.items() if isinstance(value, type)]
        other = "define it in a cell above, or give int, list[str], json"
        near = QUOTE if "Literal[" in text else hint(str(error.name), [*types, "json"], other)
        raise InputError(f"--as {text}: there is no type {error.name!r}: {near}") from None
    except Exception as error:
        raise InputError(f"--as {text} is not a type ({error}): give one such as int, list[str] or json") from None
    return kind


def _json_in(text: str) -> str:
    """The JSON that a text is, in a Markdown fence or not; empty if it is none."""
    inner = text.strip()
    if inner.startswith("```") and inner.endswith("```") and "\n" in inner:
        inner = inner.partition("\n")[2].removesuffix("```")
    try:
        json.loads(inner)
    except ValueError:
        return ""
    return inner


def _problems(error: Exception) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    found = error.errors(include_url=False)
    more = len(found) - SHOWN_PROBLEMS
    return "; ".join([*map(_problem, found[:SHOWN_PROBLEMS]), *([f"and {more} more"] if more > 0 else [])])


def _problem(problem: Mapping[str, Any]) -> str:
    where = f"at {'.'.join(map(str, problem['loc']))}: " if problem["loc"] else ""
    said = f"{where}{problem['msg'][:1].lower()}{problem['msg'][1:]}"
    if problem["type"] == "missing":
        return said
    shown = repr(problem["input"])
    return f"{said}, got {shown if len(shown) <= SHOWN_VALUE else f'{shown[:SHOWN_VALUE]}…'}"
