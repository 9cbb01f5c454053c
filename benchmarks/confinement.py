"""What confinement costs: a subkernel from its start until it is ready, and a cell's round trip, for each tier.

Tiers take turns within each round, so that a busy moment of the machine falls on all of them alike.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

from rlm_magic.engine.types import SubCall, SubReply
from rlm_magic.subkernel import Subkernels
from rlm_magic.subkernel.tiers import TIERS, failure

ROUNDS = 10
CELLS = 50


async def no_calls(call: SubCall) -> list[SubReply]:
    raise AssertionError


async def measure(name: str) -> tuple[float, float]:
    """Milliseconds until the first cell can be sent, and of a cell that does nothing."""
    start = time.perf_counter()
    async with Subkernels(tier=TIERS[name])("0", recursive=False, window=1_000) as sandbox:
        await sandbox.bind([])
        ready = time.perf_counter() - start
        await sandbox.run("1", no_calls, seconds=10)
        start = time.perf_counter()
        for _ in range(CELLS):
            await sandbox.run("1", no_calls, seconds=10)
        return 1e3 * ready, 1e3 * (time.perf_counter() - start) / CELLS


def main() -> None:
    names = [name for name in TIERS if name == "none" or not failure(name)]
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    load = os.getloadavg()[0]
    for _ in range(ROUNDS):
        for name in names:
            figures[name].append(asyncio.run(measure(name)))
    print(f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after; medians of {ROUNDS}")
    print(f"{'tier':<10} {'ready':>10} {'cell':>10}")
    for name, pairs in figures.items():
        ready, cell = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{name:<10} {ready:>7.0f} ms {cell:>7.2f} ms")


if __name__ == "__main__":
    main()
