from __future__ import annotations

import pytest

from rlm_magic.engine.errors import InputError, LimitReached, ModelError, RLMError, RunError, hint
from rlm_magic.engine.types import GIB, Limits, Price, Usage


def test_default_limits() -> None:
    limits = Limits()
    assert (limits.turns, limits.depth, limits.calls, limits.tokens, limits.cost) == (30, 1, 1000, None, None)
    assert (limits.seconds, limits.cell_seconds, limits.concurrency, limits.memory) == (1800, 120, 64, 4 * GIB)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("turns", 0, "turns=0 is too small: give at least 1"),
        ("depth", -1, "at least 1"),
        ("calls", 2.5, "calls=2.5 is not a whole number: give one such as 1000"),
        ("calls", True, "not a whole number"),
        ("tokens", "many", "tokens='many' is not a whole number: give one such as 500000"),
        ("cost", 0, "cost=0 is too small: give more than 0"),
        ("cost", float("nan"), "not a number: give one such as 0.5"),
        ("seconds", float("inf"), "not a number"),
        ("seconds", None, "not a number"),
        ("cell_seconds", -1, "more than 0"),
        ("memory", 1, "memory=1 is too small"),
        ("calls", 10**400, "calls is too large: give at most 9007199254740992"),
        ("seconds", -(10**400), "seconds is too large"),
    ],
)
def test_a_limit_that_makes_no_sense_is_named(name: str, value: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_limits_may_be_absent_where_they_are_optional() -> None:
    assert Limits(tokens=None, cost=None, seconds=0.5).seconds == 0.5


def test_usage_adds_up() -> None:
    total = Usage(1, 2, 3, 4, 0.5) + Usage(10, 20, 30, 40, 0.25)
    assert total == Usage(11, 22, 33, 44, 0.75)
    assert total.tokens == 33


def test_an_unknown_cost_makes_a_sum_unknown() -> None:
    assert (Usage(cost=None) + Usage(cost=1.0)).cost is None
    assert (Usage(cost=1.0) + Usage(cost=None)).cost is None


def test_a_price_is_for_one_token() -> None:
    assert Price(1e-6, 1e-5).of(1_000, 100) == pytest.approx(0.002)


def test_errors_are_one_tree() -> None:
    assert LimitReached("calls", "x").limit == "calls"
    assert ModelError("x", status=429).status == 429
    assert issubclass(ModelError, RunError)
    assert issubclass(RunError, RLMError)
    assert issubclass(InputError, ValueError)


def test_a_hint_names_what_is_near() -> None:
    known = ["tickets", "ticket", "log"]
    assert hint("tickts", known, "set it first") == "did you mean tickets or ticket?"
    assert hint("answers", known, "set it first") == "set it first"
