"""The arguments of a tool, which come from the model's code: untrusted JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from .errors import ToolFailed
from .types import Json

MAX_CHARS = 1_000_000
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a tool is called with; ``str`` of it is as Python would write it."""

    args: tuple[Json, ...]
    kwargs: dict[str, Json]

    def __str__(self) -> str:
        named = (f"{name}={_short(value)}" for name, value in self.kwargs.items())
        return ", ".join([*map(_short, self.args), *named])


def arguments_of(text: str) -> Arguments:
    """Read a JSON object {args: list, kwargs: object}.

    Raises:
        ToolFailed: it is none, longer than `MAX_CHARS`, or nested more than `MAX_DEPTH` deep.
    """
    if len(text) > MAX_CHARS:
        raise ToolFailed(f"the arguments have {len(text):,} characters as JSON; at most {MAX_CHARS:,} are handed over")
    try:
        given = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ToolFailed(f"the arguments are not JSON: {error}") from None
    fields = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    args, kwargs = fields.get("args"), fields.get("kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise ToolFailed("the arguments are not an object of args and kwargs")
    if not (nested_within(args, MAX_DEPTH) and nested_within(kwargs, MAX_DEPTH)):
        raise ToolFailed(f"the arguments are nested more than {MAX_DEPTH} deep")
    return Arguments(tuple(cast("list[Json]", args)), cast("dict[str, Json]", kwargs))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def nested_within(value: Any, depth: int) -> bool:
    """Whether the lists and dicts of a JSON value are nested at most so deep."""
    level = [value]
    for _ in range(depth):
        level = [item for outer in level for item in _items(outer)]
        if not level:
            return True
    return False


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def _short(value: Json) -> str:
    return repr(value if not isinstance(value, str) else value[:60])[:60]
