"""A kept reply, and a kept model, as JSON; the same in a database and in a cassette."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..engine.errors import ModelError
from ..engine.ports import Model
from ..engine.types import Completion, Message, Price, Usage

Redact: TypeAlias = Callable[[str], str]
COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A `Model` as it was recorded: what prompts depend on. ``key`` names it with its setting."""

    key: str
    name: str
    window: int
    price: Price | None
    notes: str

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        """See `Model.complete`; it never answers."""
        raise ModelError(f"{self.name} was recorded: nothing is sent to it")

    @classmethod
    def of(cls, key: str, model: Model) -> KeptModel:
        return cls(key, model.name, model.window, model.price, model.notes)


def completion_fields(completion: Completion, redact: Redact) -> dict[str, Any]:
    """The fields of a reply, without those that are as usual."""
    used = completion.usage
    usage = {name: getattr(used, name) for name in COUNTS if getattr(used, name)}
    fields: dict[str, Any] = {"reply": redact(completion.text), "usage": {**usage, "cost": used.cost}}
    if used.estimated:
        fields["usage"]["estimated"] = True
    if completion.finish_reason != "stop":
        fields["finish_reason"] = completion.finish_reason
    if completion.reasoning:
        fields["reasoning"] = redact(completion.reasoning)
    return fields


def completion_of(model: str, fields: Mapping[str, Any]) -> Completion:
    """A reply from its fields.

    Raises:
        KeyError, TypeError, ValueError: they are not those of a reply.
    """
    return Completion(
        str(fields["reply"]),
        Usage(**fields["usage"]),
        model,
        str(fields.get("finish_reason", "stop")),
        str(fields.get("reasoning", "")),
    )


def model_fields(model: KeptModel) -> dict[str, Any]:
    price = None if model.price is None else [model.price.input, model.price.output]
    return {"model": model.name, "window": model.window, "price": price, "notes": model.notes, "key": model.key}


def model_of(fields: Mapping[str, Any]) -> KeptModel:
    """A model from its fields; raises as `completion_of`."""
    price = fields["price"]
    return KeptModel(
        str(fields["key"]),
        str(fields["model"]),
        int(fields["window"]),
        None if price is None else Price(*map(float, price)),
        str(fields["notes"]),
    )


def dump(fields: Mapping[str, Any]) -> str:
    """One line of JSON, characters as they are but for lone surrogates and line ends."""
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(fields, allow_nan=False)
    return text
