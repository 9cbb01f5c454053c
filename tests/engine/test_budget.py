from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.engine.budget import Budget, Deadline, Reservation, estimate
from rlm_magic.engine.errors import InputError, LimitReached
from rlm_magic.engine.types import Limits, Message, Price, Usage
from rlm_magic.testing import ScriptedModel

PRICE = Price(1e-6, 1e-5)


def ledger(**limits: Any) -> Budget:
    return Budget(Limits(**limits), time.monotonic)


def refused(budget: Budget, input_tokens: int = 100, max_tokens: int = 1_000, price: Price | None = None) -> str:
    with pytest.raises(LimitReached) as caught:
        asyncio.run(budget.reserve(input_tokens, max_tokens, price))
    return f"{caught.value.limit}: {caught.value}"


def taken(budget: Budget, input_tokens: int, max_tokens: int, price: Price | None = None) -> Reservation:
    return asyncio.run(budget.reserve(input_tokens, max_tokens, price))


def test_an_estimate_counts_bytes_so_that_it_holds_for_any_script() -> None:
    assert estimate([Message("user", "a" * 3_500)]) == 1_005
    assert estimate([Message("user", "漢" * 1_000)]) == 862
    assert estimate([]) == 0
    assert estimate([Message("user", "\ud800")]) > 0


def test_calls_are_exact_and_one_is_held_back() -> None:
    budget = ledger(calls=3)
    for _ in range(2):
        budget.settle(taken(budget, 10, 10), Usage(10, 10))
    assert budget.calls_left == 0
    assert refused(budget) == "calls: calls=3 is used up"
    with pytest.raises(LimitReached):
        budget.require_call()
    budget.settle(asyncio.run(budget.reserve(10, 10, None, final=True)), Usage(1, 1))
    with pytest.raises(LimitReached):
        asyncio.run(budget.reserve(10, 10, None, final=True))
    assert budget.calls == 3


def test_a_single_call_is_not_held_back() -> None:
    budget = ledger(calls=1)
    budget.require_call()
    assert taken(budget, 10, 10).max_tokens == 10


def test_a_released_call_was_never_made() -> None:
    budget = ledger(calls=2, tokens=10_000)
    budget.release(taken(budget, 4_000, 4_000))
    assert (budget.calls, budget.usage, budget.calls_left) == (0, Usage(), 1)
    assert taken(budget, 4_000, 4_000).tokens == 8_000


def test_output_is_cut_to_what_is_left() -> None:
    budget = ledger(tokens=10_000)
    assert taken(budget, 5_000, 8_000).max_tokens == 4_000


def test_too_little_output_is_refused() -> None:
    budget = ledger(tokens=10_000)
    assert refused(budget, 8_800) == "tokens: tokens=10000 is used up"
    assert taken(budget, 8_800, 100).max_tokens == 100


def test_cost_clamps_and_refuses() -> None:
    budget = ledger(cost=0.1)
    assert taken(budget, 50_000, 16_000, PRICE).max_tokens == 4_000
    assert refused(ledger(cost=0.01), 9_000, 1_000, PRICE).startswith("cost: cost=0.01 is used up")


def test_free_output_still_needs_money_for_its_input() -> None:
    free_output = Price(1e-6, 0.0)
    assert taken(ledger(cost=0.01), 1_000, 500, free_output).max_tokens == 500
    assert refused(ledger(cost=0.01), 20_000, 500, free_output).startswith("cost")
    assert taken(ledger(cost=0.01), 20_000, 500, Price(0.0, 0.0)).max_tokens == 500


def test_an_unknown_price_under_a_cost_limit_is_refused_at_the_start() -> None:
    model = ScriptedModel(name="local/llama", price=None)
    ledger().check(model)
    with pytest.raises(
        InputError, match=r"price of local/llama is unknown, so a cost limit of \$1 .*: leave it out, or limit tokens"
    ):
        ledger(cost=1.0).check(ScriptedModel(), model)


def test_unknown_usage_counts_the_input() -> None:
    budget = ledger(tokens=10_000)
    budget.settle(taken(budget, 6_000, 1_000), None)
    assert budget.calls == 1
    assert budget.usage == Usage()
    assert refused(budget, 2_900).startswith("tokens")


def test_unpriced_usage_is_priced_where_the_price_is_known() -> None:
    budget = ledger(cost=0.1)
    budget.settle(taken(budget, 40_000, 4_000, PRICE), Usage(40_000, 4_000, cost=None))
    assert budget.usage.cost is None
    assert refused(budget, 9_000, 1_000, PRICE).startswith("cost")


def test_what_the_final_call_may_send() -> None:
    assert ledger().input_room(PRICE) is None
    assert ledger(tokens=1_000).input_room(None) == 744
    assert ledger(tokens=100).input_room(None) == 0
    assert ledger(cost=0.01).input_room(PRICE) == pytest.approx(7_440, abs=1)
    assert ledger(cost=0.01).input_room(Price(0.0, 0.0)) is None
    assert ledger(cost=0.01).input_room(None) is None


def test_a_tenth_of_tokens_and_cost_is_for_the_final_call() -> None:
    budget = ledger(tokens=10_000)
    budget.settle(taken(budget, 8_000, 1_000), Usage(8_000, 1_000))
    assert refused(budget, 10).startswith("tokens")
    assert asyncio.run(budget.reserve(500, 16_000, None, final=True)).max_tokens == 500


def test_a_call_that_does_not_fit_waits_for_one_in_flight() -> None:
    async def run() -> tuple[bool, int]:
        budget = ledger(tokens=10_000)
        first = await budget.reserve(1_000, 7_000, None)
        second = asyncio.ensure_future(budget.reserve(1_000, 4_000, None))
        await asyncio.sleep(0.01)
        waiting = not second.done()
        budget.settle(first, Usage(1_000, 10))
        return waiting, (await second).max_tokens

    assert asyncio.run(run()) == (True, 4_000)


def test_a_wait_that_is_cancelled_holds_nothing() -> None:
    async def run() -> int:
        budget = ledger(tokens=10_000)
        first = await budget.reserve(1_000, 7_000, None)
        second = asyncio.ensure_future(budget.reserve(1_000, 4_000, None))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait({second})
        budget.release(first)
        return (await budget.reserve(1_000, 8_000, None)).max_tokens

    assert asyncio.run(run()) == 8_000


def hammer(budget: Budget, attempts: int, used: Callable[[int], Usage]) -> tuple[int, int]:
    """So many calls at once: how many were granted, how many refused. ``used`` gets the output that a call took."""
    outcomes: list[bool] = []

    async def attempt(number: int) -> None:
        try:
            reservation = await budget.reserve(10, 1_000, PRICE)
        except LimitReached:
            outcomes.append(False)
            return
        await asyncio.sleep(0)
        if number % 7 == 0:
            budget.release(reservation)
        else:
            budget.settle(reservation, used(min(number % 1_001, reservation.max_tokens)))
        outcomes.append(True)

    async def run() -> None:
        await asyncio.gather(*(attempt(n) for n in range(attempts)))

    asyncio.run(run())
    return outcomes.count(True), outcomes.count(False)


def test_ten_thousand_attempts_never_exceed_the_calls() -> None:
    budget = ledger(calls=500)
    granted, refusals = hammer(budget, 10_000, lambda _: Usage(10, 5))
    assert granted + refusals == 10_000
    assert budget.calls <= 499
    assert budget.calls_left == 499 - budget.calls
    assert budget.usage.tokens == 15 * budget.calls


def test_ten_thousand_attempts_never_exceed_tokens_or_cost() -> None:
    tokens = ledger(calls=100_000, tokens=50_000)
    granted, refusals = hammer(tokens, 10_000, lambda output: Usage(10, output))
    assert granted
    assert refusals
    assert tokens.usage.tokens <= 45_000
    cost = ledger(calls=100_000, cost=0.5)
    hammer(cost, 10_000, lambda output: Usage(10, output, cost=PRICE.of(10, output)))
    assert 0.4 < (cost.usage.cost or 0) <= 0.45


@given(
    st.integers(1, 5),
    st.integers(500, 5_000),
    st.lists(st.tuples(st.integers(0, 1_500), st.integers(1, 2_000), st.floats(0, 1))),
)
def test_a_ledger_is_never_overdrawn(calls: int, tokens: int, wanted: list[tuple[int, int, float]]) -> None:
    budget = ledger(calls=calls, tokens=tokens)
    for input_tokens, max_tokens, share in wanted:
        try:
            reservation = taken(budget, input_tokens, max_tokens)
        except LimitReached:
            continue
        assert reservation.max_tokens <= max_tokens
        budget.settle(reservation, Usage(input_tokens, int(reservation.max_tokens * share)))
    assert budget.calls <= calls
    assert budget.usage.tokens <= tokens


def within(seconds: float, work: Callable[[Deadline], Coroutine[Any, Any, None]]) -> bool:
    """Whether the work was ended by the deadline."""

    async def run() -> bool:
        deadline = Deadline(seconds, time.monotonic)
        try:
            async with deadline:
                await work(deadline)
        except TimeoutError:
            assert deadline.passed
            return True
        assert not deadline.passed
        return False

    return asyncio.run(run())


def test_a_deadline_ends_its_block() -> None:
    assert within(0.02, lambda _: asyncio.sleep(10))
    assert not within(10, lambda _: asyncio.sleep(0.01))


def test_time_does_not_pass_in_a_pause() -> None:
    async def two_pauses(deadline: Deadline) -> None:
        with deadline.paused():
            with deadline.paused():
                await asyncio.sleep(0.6)
            await asyncio.sleep(0.6)

    assert not within(1, two_pauses)


def test_time_goes_on_after_a_pause() -> None:
    async def work(deadline: Deadline) -> None:
        with deadline.paused():
            await asyncio.sleep(0.01)
        await asyncio.sleep(10)

    assert within(0.05, work)


def test_a_pause_after_the_end_changes_nothing() -> None:
    async def work(deadline: Deadline) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            with deadline.paused():
                pass

    assert within(0.02, work)


def test_a_count_far_below_what_the_texts_suggest_is_replaced_by_an_estimate() -> None:
    believed, doubted = ledger(tokens=100_000), ledger(tokens=100_000)
    believed.settle(taken(believed, 10_000, 4_000), Usage(5_000, 500), output_tokens=1_000)
    doubted.settle(taken(doubted, 10_000, 4_000), Usage(1, 1), output_tokens=1_000)
    assert believed.input_room(None) == 100_000 - 5_500 - 256
    assert doubted.input_room(None) == 100_000 - 11_000 - 256
    assert doubted.usage == Usage(1, 1)


def test_a_doubted_count_costs_what_the_estimate_costs() -> None:
    budget = ledger(cost=1.0)
    budget.settle(taken(budget, 10_000, 4_000, PRICE), Usage(1, 1, cost=0.0), output_tokens=1_000)
    assert budget.input_room(PRICE) == int((1.0 - 0.02 - 256 * PRICE.output) / PRICE.input)
