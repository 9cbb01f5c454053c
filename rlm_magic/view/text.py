"""A run as plain text: its answer, one line on how it went, the recursion tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from wcwidth import wcswidth

from ..engine.tree import Node, Tree
from .words import OFFLINE, Row, clean, cost_of, count, duration, one_line, plural, row_of, shorten, text_of

WIDTH = 100  # columns
ROWS = 200  # rows of the tree
FEW = 5  # sub-calls shown of many
LONGEST_ANSWER = 20_000  # characters


def status_line(tree: Tree, *, alive: bool = True) -> str:
    """How a run goes or went, in one line. ``alive``: a run without an end is under way, not interrupted."""
    root = tree.root
    if root is None:
        return "starting" if alive else "no events are recorded"
    parts = [
        _state(tree, root, alive),
        plural(sum(tree.nodes[child].kind == "turn" for child in tuple(root.children)), "turn"),
        _calls(root),
        f"{count(root.sums.input)}→{count(root.sums.output)} tokens",
        cost_of(root.sums),
        duration((tree.time if root.closed is None else root.closed) - root.opened),
        one_line(str(root.fields.get("confinement", "")), 60),
        OFFLINE if is_offline(root) else "",
    ]
    return " · ".join(part for part in parts if part)


def _state(tree: Tree, root: Node, alive: bool) -> str:
    if root.closed is not None:
        return one_line(str(root.fields.get("outcome", root.status)), 20)
    if not alive:
        return "interrupted"
    phase = next((node.phase for node in _latest(tree, root) if node.phase), "")
    waits = phase == "waiting" and root.sums.running
    return f"running, waiting for {plural(root.sums.running, 'call')}" if waits else f"running, {phase}".rstrip(", ")


def _latest(tree: Tree, root: Node) -> Iterator[Node]:
    """The last turn's last cell, that turn, the run."""
    turns = root.children[-1:]
    cells = tree.nodes[turns[0]].children[-1:] if turns else []
    return (tree.nodes[name] for name in (*cells, *turns, root.id))


def _calls(root: Node) -> str:
    failed = f" ({root.sums.failed:,} failed)" if root.sums.failed else ""
    cached = f", {root.fields['cached_calls']} cached" if "cached_calls" in root.fields else ""
    return f"{plural(root.sums.calls, 'call')}{failed}{cached}"


def is_offline(root: Node) -> bool:
    models = root.fields.get("models")
    named = cast("Mapping[str, Any]", models).values() if isinstance(models, dict) else [models]
    return any(str(name).startswith("rlm-offline/") for name in named)


def text(tree: Tree, *, alive: bool = False) -> str:
    """The whole record; long lists of sub-calls are cut, and the cuts are stated."""
    parts = [answer_text(tree), reason(tree), status_line(tree, alive=alive), "\n".join(outline(tree, alive=alive))]
    return "\n\n".join(part for part in parts if part)


def answer_text(tree: Tree) -> str:
    """The answer of the run, fit for display; empty if there is none."""
    found = text_of(tree, tree.root, "answer") if tree.root else None
    return clean(shorten(found or "", LONGEST_ANSWER)).strip("\n")


def reason(tree: Tree) -> str:
    """Why there is no answer of the model's own will; empty if there is one."""
    return one_line(str(tree.root.fields.get("reason") or ""), 500) if tree.root else ""


def outline(tree: Tree, *, alive: bool = False) -> list[str]:
    """The recursion tree in aligned lines."""
    if tree.root is None:
        return []
    rows = list(_rows(tree, tree.root, "", "", alive))
    lines = _aligned(rows[:ROWS])
    return lines if len(rows) <= ROWS else [*lines, f"… {len(rows) - ROWS:,} more rows"]


def chosen(tree: Tree, children: Sequence[str]) -> tuple[list[str], int]:
    """The children to show and how many are left out: all but calls, and few of these, failed ones first."""
    calls = [name for name in children if tree.nodes[name].kind in ("llm", "rlm", "tool")]
    if len(calls) <= FEW:
        return list(children), 0
    ranked = sorted(calls, key=lambda name: tree.nodes[name].status not in ("error", "limit"))
    dropped = set(ranked[FEW - 1 :])
    return [name for name in children if name not in dropped], len(dropped)


def _rows(tree: Tree, node: Node, branch: str, below: str, alive: bool) -> Iterator[tuple[str, Row | None]]:
    row = row_of(tree, node, alive)
    yield f"{branch}{row.kind} {row.title}", row
    shown, left = chosen(tree, node.children)
    human = [f"H {one_line(' '.join(_human(each)), 80)}" for each in node.human]
    last = len(shown) + len(human) + (left > 0) - 1
    marks = [("├ ", "│ ")] * last + [("└ ", "  ")]
    for line, (mark, _) in zip(human, marks, strict=False):
        yield f"{below}{mark}{line}", None
    for name, (mark, deeper) in zip(shown, marks[len(human) :], strict=False):
        yield from _rows(tree, tree.nodes[name], below + mark, below + deeper, alive)
    if left:
        yield f"{below}└ … {left:,} more", None


def _human(entry: Mapping[str, Any]) -> Iterator[str]:
    yield str(entry.get("action", ""))
    if entry.get("text"):
        yield str(entry["text"])


def _aligned(rows: Sequence[tuple[str, Row | None]]) -> list[str]:
    figures = [(r.status, r.tokens, r.cost, r.time) if r else ("",) * 4 for _, r in rows]
    status, *widths = (max(map(len, column)) for column in zip(*figures, strict=True))
    room = WIDTH - status - sum(widths) - 10
    names = [_fitted(name, room) for name, _ in rows]
    most = max(map(_columns, names))
    lines: list[str] = []
    for (_, row), name, (word, *numbers) in zip(rows, names, figures, strict=True):
        pad = " " * (most - _columns(name))
        right = "  ".join(number.rjust(width) for number, width in zip(numbers, widths, strict=True))
        lines.append(f"{row.glyph if row else ' '} {name}{pad}  {word.ljust(status)}  {right}".rstrip())
    return lines


def _columns(text: str) -> int:
    return max(0, wcswidth(text))


def _fitted(name: str, room: int) -> str:
    if _columns(name) <= room:
        return name
    while name and _columns(name) > room - 1:
        name = name[:-1]
    return f"{name.rstrip()}…"
