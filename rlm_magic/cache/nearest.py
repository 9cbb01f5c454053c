"""Which kept reply is nearest to a request that has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from ..engine.ports import Kept


def nearest_of(parts: Sequence[str], kept: Iterable[Kept]) -> Kept | None:
    """That with the longest common beginning, and among these the one with as many messages; None if there is none."""
    return max(kept, key=lambda each: (_same(parts, each.parts), len(parts) == len(each.parts)), default=None)


def _same(parts: Sequence[str], others: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, others, strict=False)))
