from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from math import inf

import pytest

from rlm_magic.models.throttle import Throttle, throttle_of


def test_without_a_limit_nothing_waits():
    async def enter() -> int:
        throttle = Throttle()
        async with throttle.slot(), throttle.slot(), throttle.slot():
            return throttle.in_flight

    assert asyncio.run(enter()) == 3


def test_first_come_first_served():
    async def scenario() -> list[int]:
        throttle, order, gate = Throttle(1), [], asyncio.Event()

        async def call(number: int) -> None:
            async with throttle.slot():
                order.append(number)
                await gate.wait()

        tasks = [asyncio.create_task(call(number)) for number in range(4)]
        await asyncio.sleep(0)
        assert order == [0]
        gate.set()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(scenario()) == [0, 1, 2, 3]


def test_a_refusal_halves_once_for_the_requests_that_were_in_flight_together():
    async def scenario() -> list[float]:
        throttle, limits = Throttle(), []
        async with throttle.slot() as first, throttle.slot() as second, throttle.slot(), throttle.slot():
            throttle.refused(first)
            limits.append(throttle.limit)
            throttle.refused(second)
            limits.append(throttle.limit)
        async with throttle.slot() as later:
            throttle.refused(later)
            limits.append(throttle.limit)
        return limits

    assert asyncio.run(scenario()) == [2, 2, 1]


def test_the_limit_rises_fast_before_a_refusal_and_slowly_after_it():
    async def rise(throttle: Throttle) -> float:
        before = throttle.limit
        async with throttle.slot():
            throttle.replied()
        return throttle.limit - before

    async def scenario() -> tuple[float, float]:
        throttle = Throttle(1)
        fast = await rise(throttle)
        async with throttle.slot() as round_:
            throttle.refused(round_)
        return fast, await rise(throttle)

    assert asyncio.run(scenario()) == (2, 1)


def test_the_limit_stays_where_it_holds_nothing_back():
    async def scenario() -> float:
        throttle = Throttle(4)
        async with throttle.slot():
            throttle.replied()
        return throttle.limit

    assert asyncio.run(scenario()) == 4


def test_a_place_given_to_a_cancelled_call_goes_on_to_the_next():
    async def scenario() -> int:
        throttle = Throttle(1)

        async def call() -> None:
            async with throttle.slot():
                pass

        async with throttle.slot():
            given, waiting = asyncio.create_task(call()), asyncio.create_task(call())
            await asyncio.sleep(0)
        given.cancel()  # it was just woken with the place
        await asyncio.gather(given, waiting, return_exceptions=True)
        assert given.cancelled()
        assert not waiting.cancelled()
        return throttle.in_flight

    assert asyncio.run(scenario()) == 0


FORKED = """
import asyncio, os
import pytest

from rlm_magic.models.throttle import throttle_of

async def main():
    throttle = throttle_of("openai", "here", local=True)
    async with throttle.slot():
        child = os.fork()
        if not child:
            os._exit(throttle_of("openai", "here", local=True).in_flight)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), throttle.in_flight)

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_starts_afresh():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 1\n", "")


def test_one_throttle_for_each_server():
    local = throttle_of("openai", "http://127.0.0.1:1/v1", local=True)
    assert throttle_of("openai", "http://127.0.0.1:1/v1", local=True) is local
    assert throttle_of("openai", "http://127.0.0.1:2/v1", local=True) is not local
    assert local.limit == 4
    assert throttle_of("openai", "", local=False).limit == inf
