"""Which kept reply is nearest to a request that has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..engine.cached import same_beginning
from ..engine.ports import Kept


def nearest_of(parts: Sequence[str], kept: Iterable[Kept]) -> Kept | None:
    """That with the longest common beginning, and among these the one with as many messages; None if there is none."""
    return max(kept, key=lambda each: (same_beginning(parts, each.parts), len(parts) == len(each.parts)), default=None)
