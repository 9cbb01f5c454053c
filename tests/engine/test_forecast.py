from __future__ import annotations

from typing import Any

import pytest

from rlm_magic.engine.forecast import Forecast, forecast
from rlm_magic.engine.loop import first_request
from rlm_magic.engine.types import Limits, Price, Task
from rlm_magic.testing import ScriptedModel, fake_harness

from .support import DOCS, code, run

DEAR = Price(0.000_010, 0.000_100)
CHEAP = Price(0.000_001, 0.000_010)


def predicted(price: Price | None = DEAR, sub_price: Price | None = CHEAP, **limits: Any) -> Forecast:
    root, sub = ScriptedModel(window=20_000, price=price), ScriptedModel(window=10_000, price=sub_price)
    reply_tokens = limits.pop("reply_tokens", None)
    given = Limits(**{"turns": 3, "calls": 10, **limits})
    return forecast(root, sub, given, first=1_000, reply_tokens=reply_tokens)


def test_from_one_turn_to_what_the_limits_allow() -> None:
    range_ = predicted()
    assert range_.tokens == (1_256, 4 * 20_000 + 6 * 10_000)
    assert (range_.root_calls, range_.sub_calls) == (4, 6)
    least = 1_000 * 0.000_010 + 256 * 0.000_100
    most = 4 * (4_000 * 0.000_010 + 16_000 * 0.000_100) + 6 * (6_000 * 0.000_001 + 4_000 * 0.000_010)
    assert range_.cost == pytest.approx((least, most))


def test_a_few_calls_are_all_the_roots() -> None:
    range_ = predicted(calls=2)
    assert (range_.root_calls, range_.sub_calls) == (2, 0)
    assert range_.tokens[1] == 40_000


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"cost": 0.5}, 0.5),
        ({"cost": 500.0}, 6.836),
        ({"tokens": 3_000}, 0.3),
        ({"tokens": 3_000, "cost": 0.1}, 0.1),
        ({"depth": 2}, 4 * 1.64 + 6 * 0.1),
        ({"reply_tokens": 1_000}, 4 * 0.29 + 6 * 0.019),
    ],
)
def test_limits_bound_the_cost(limits: dict[str, Any], most: float) -> None:
    cost = predicted(**limits).cost
    assert cost is not None
    assert cost[1] == pytest.approx(most)


def test_a_limit_on_tokens_bounds_them() -> None:
    assert predicted(tokens=3_000).tokens == (1_256, 3_000)


@pytest.mark.parametrize("prices", [(None, CHEAP), (DEAR, None)])
def test_an_unknown_price_leaves_the_cost_unknown(prices: tuple[Price | None, Price | None]) -> None:
    assert predicted(*prices).cost is None


def test_no_run_uses_more_than_was_forecast() -> None:
    many = ScriptedModel(lambda messages: code("[llm_query(docs * 300) for _ in range(9)]"), window=9_000, price=DEAR)
    ran = run(many, limits={"turns": 3, "calls": 10})
    cost = forecast(many, many, Limits(turns=3, calls=10), first=0).cost
    assert cost is not None
    assert 0 < (ran.answer.usage.cost or 0) <= cost[1]


def test_the_first_request_is_the_one_that_a_run_makes() -> None:
    model = ScriptedModel([code("FINAL(docs)")], notes="Be brief.")
    first = first_request(Task("How many?", (DOCS,)), fake_harness(model), "")
    run(model)
    assert tuple(first.messages) == model.requests[0]
