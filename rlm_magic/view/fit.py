"""What of a run fits into a record of limited size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..engine.tree import Node, Tree

K = TypeVar("K")
LEAST = 1024  # bytes; with less room than this nothing more is tried


def size_of(text: str) -> int:
    """Bytes of a text in UTF-8, quoted as a JSON string: what it takes in a notebook file."""
    return len(text.encode()) + text.count('"') + text.count("\n") + text.count("\\")


def fitting(pieces: Iterable[tuple[K, str]], room: int, size: Callable[[str], int] = size_of) -> dict[K, str]:
    """The pieces that fit into ``room`` bytes, taken in order; one that is too large is left out."""
    kept: dict[K, str] = {}
    for key, piece in pieces:
        taken = size(piece)
        if taken <= room:
            kept[key] = piece
            room -= taken
        if room < LEAST:
            break
    return kept


def by_importance(tree: Tree) -> Iterator[Node]:
    """The tree's nodes, what gives it its shape first: level by level, then failed calls, then the others.

    A parent comes before its children.
    """
    return iter(sorted(tree.walk(), key=_rank))


def _rank(node: Node) -> tuple[bool, int, bool]:
    call = node.kind in ("llm", "tool")
    return call, 0 if call else node.depth, call and node.status != "error"


def rooted(tree: Tree, names: Iterable[str]) -> set[str]:
    """Those of the nodes whose ancestors are all among them; ``names`` has parents first."""
    kept: set[str] = set()
    for name in names:
        parent = tree.nodes[name].parent
        if parent in kept or parent not in tree.nodes:
            kept.add(name)
    return kept
