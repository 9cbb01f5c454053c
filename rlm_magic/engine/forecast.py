"""What a run may use, before it starts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .budget import LEAST_OUTPUT, ROOT_OUTPUT, SUB_OUTPUT
from .ports import Model
from .types import Limits


@dataclass(frozen=True, slots=True)
class Forecast:
    """From least to most, each a pair; costs are US dollars, None where a price is unknown.

    The least is one turn that reads the first prompt and has a short reply. The most is what the limits allow:
    ``root_calls`` requests to the root model and ``sub_calls`` to the sub-model, each with its window full.
    """

    tokens: tuple[int, int]
    cost: tuple[float, float] | None
    root_calls: int
    sub_calls: int


def forecast(
    model: Model, sub_model: Model, limits: Limits, *, first: int, reply_tokens: int | None = None
) -> Forecast:
    """The range for a run whose first request has ``first`` tokens; ``reply_tokens`` is as in `Harness`."""
    root_calls = min(limits.calls, limits.turns + 1)
    sub_calls = limits.calls - root_calls
    tokens = root_calls * model.window + sub_calls * sub_model.window
    cost = _cost(model, sub_model, limits, first, reply_tokens, (root_calls, sub_calls))
    return Forecast((first + LEAST_OUTPUT, min(tokens, limits.tokens or tokens)), cost, root_calls, sub_calls)


def _cost(
    model: Model, sub_model: Model, limits: Limits, first: int, reply_tokens: int | None, calls: tuple[int, int]
) -> tuple[float, float] | None:
    if model.price is None or sub_model.price is None:
        return None
    sub_output = SUB_OUTPUT if limits.depth == 1 else ROOT_OUTPUT
    most = calls[0] * _dearest(model, reply_tokens or ROOT_OUTPUT)
    most += calls[1] * _dearest(sub_model, reply_tokens or sub_output)
    if limits.tokens is not None:
        prices = (model.price.input, model.price.output, sub_model.price.input, sub_model.price.output)
        most = min(most, limits.tokens * max(prices))
    return model.price.of(first, LEAST_OUTPUT), most if limits.cost is None else min(most, limits.cost)


def _dearest(model: Model, output: int) -> float:
    """US dollars of a request that fills the window and has the longest reply."""
    assert model.price is not None
    output = min(output, model.window)
    return model.price.of(model.window - output, output)
