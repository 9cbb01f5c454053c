"""Extractive summary: TextRank (Mihalcea and Tarau 2004), sentences that share many words support each other."""

from __future__ import annotations

import math

from .words import content, sentences

DAMPING = 0.85
ROUNDS = 30
MOST_SENTENCES = 300  # the similarity matrix is quadratic


def summarise(text: str, count: int = 3) -> str:
    """The ``count`` most central sentences of the first `MOST_SENTENCES`, in the order of the text."""
    pool = sentences(text)[:MOST_SENTENCES]
    ranks = _ranks([set(content(s)) for s in pool])
    best = sorted(range(len(pool)), key=lambda i: (-ranks[i], i))[:count]
    return " ".join(pool[i] for i in sorted(best))


def _ranks(bags: list[set[str]]) -> list[float]:
    links = [[_similarity(a, b) if i != j else 0.0 for j, b in enumerate(bags)] for i, a in enumerate(bags)]
    out = [sum(row) or 1.0 for row in links]
    ranks = [1.0] * len(bags)
    for _ in range(ROUNDS):
        share = [r / o for r, o in zip(ranks, out, strict=True)]
        ranks = [1 - DAMPING + DAMPING * sum(x * s for x, s in zip(row, share, strict=True)) for row in links]
    return ranks


def _similarity(a: set[str], b: set[str]) -> float:
    size = math.log(len(a) + 1) + math.log(len(b) + 1)
    return len(a & b) / size if size else 0.0
