"""Words and figures of a record, the same in each of its forms. An unknown price is a dash, never zero."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from ..engine.events import BODY_FIELDS
from ..engine.tree import Node, Sums, Tree

UNKNOWN = "—"
OFFLINE = "offline policy, no language model"

GLYPHS = {
    "queued": "○",
    "running": "◐",
    "paused": "⏸",
    "ok": "✓",
    "partial": "▲",
    "error": "✕",
    "stopped": "⊘",
    "skipped": "⊘",
    "limit": "◇",
    "interrupted": "?",
}
LETTERS = {
    "run": "R",
    "turn": "T",
    "exec": "X",
    "batch": "B",
    "llm": "L",
    "rlm": "S",
    "tool": "F",
    "answer": "A",
    "human": "H",
}

_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # titles, links and other strings
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b[ -/]*[0-Z\\-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """A text without terminal escapes, control characters and changes of writing direction; fit for UTF-8."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _ESCAPES.sub("", lines)))


def one_line(text: str, most: int) -> str:
    """A text on one line of at most ``most`` characters."""
    line = " ".join(clean(text[: 8 * most]).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shorten(text: str, most: int) -> str:
    """Head and tail of a long text, with the cut stated."""
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    cut = len(text) - head - tail
    return f"{text[:head]}\n[… {cut:,} characters not embedded …]\n{text[len(text) - tail :]}"


def count(n: float) -> str:
    """950, 9.5k, 182k, 4.1M"""
    if n < 1000:
        return str(round(n))
    value, unit = (n / 1000, "k") if n < 999_500 else (n / 1_000_000, "M")
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def dollars(cost: float) -> str:
    if cost == 0:
        return "$0"
    if cost < 0.0001:
        return "<$0.0001"
    return f"${cost:.{4 if cost < 0.01 else 2 if cost < 100 else 0}f}"


def cost_of(sums: Sums) -> str:
    """A sum of prices: a dash if none is known, "≥" if some are not."""
    if sums.calls and sums.unpriced >= sums.calls:
        return UNKNOWN
    return f"≥ {dollars(sums.cost)}" if sums.unpriced else dollars(sums.cost)


def duration(seconds: float) -> str:
    """45 ms, 6.2 s, 72 s, 12m04s, 1h02m"""
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def status_of(node: Node, alive: bool) -> str:
    """What a node's state is called. ``alive``: the run can still change."""
    if node.status != "running":
        return node.status
    if not alive:
        return "interrupted"
    return node.phase if node.phase in ("paused", "queued") else "running"


def error_of(node: Node) -> str:
    """What went wrong at a node, as the record says it; empty if nothing did."""
    error = node.fields.get("error")
    if isinstance(error, dict):
        parts = cast("dict[str, Any]", error)
        return f"{parts.get('name', 'error')}: {parts.get('message', '')}".rstrip(": ")
    return str(error or node.fields.get("reason") or "")


def is_reference(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get("sha256"), str)


def text_of(tree: Tree, node: Node, field: str) -> str | None:
    """The text of a body field; its preview if the body was not kept, None if there is no such field."""
    reference = node.fields.get(field)
    if field not in BODY_FIELDS or not is_reference(reference):
        return None
    text = tree.body(reference)
    return str(reference.get("preview", "")) if text is None else text


@dataclass(frozen=True, slots=True)
class Row:
    """A node in one line; ``tokens`` and ``cost`` are empty for a node without calls."""

    glyph: str
    status: str
    kind: str
    title: str
    tokens: str
    cost: str
    time: str


def row_of(tree: Tree, node: Node, alive: bool) -> Row:
    status = status_of(node, alive)
    sums = node.sums
    return Row(
        GLYPHS.get(status, "?"),
        status,
        one_line(f"{LETTERS.get(node.kind, '·')}{node.fields.get('number', '')}", 12),
        title_of(tree, node, status),
        count(sums.input + sums.output) if sums.calls else "",
        cost_of(sums) if sums.calls else "",
        duration(max(0.0, (tree.time if node.closed is None else node.closed) - node.opened)),
    )


def title_of(tree: Tree, node: Node, status: str) -> str:
    titled = _TITLES.get(node.kind)
    title = titled(tree, node) if titled else node.label
    if node.fields.get("cached") is True:
        title = f"{title} (recorded reply)"
    error = error_of(node) if status in ("error", "limit", "partial") else ""
    if error:
        return " — ".join(part for part in (one_line(title, 40), one_line(error, 120)) if part)
    return one_line(title, 120)


def _turn_title(tree: Tree, node: Node) -> str:
    if node.label and node.label != f"turn {node.fields.get('number')}":
        return node.label
    prose = (text_of(tree, node, "reply") or "").partition("```")[0].strip()
    return prose.partition("\n")[0] or next((tree.nodes[name].label for name in node.children[:1]), "")


def _exec_title(tree: Tree, node: Node) -> str:
    lines = len((text_of(tree, node, "code") or "").splitlines())
    return f"{node.label} · {lines} lines" if lines > 1 else node.label


def _batch_title(tree: Tree, node: Node) -> str:
    states = [tree.nodes[child].status for child in tuple(node.children)]
    tally = {
        "✓": sum(state in ("ok", "partial") for state in states),
        "✕": states.count("error"),
        "⊘": states.count("stopped") + states.count("limit") + states.count("skipped"),
        "◐": states.count("running"),
    }
    counts = " ".join(f"{n}{glyph}" for glyph, n in tally.items() if n)
    return f"×{node.fields.get('n', len(states))}  {counts}"


def _answer_title(tree: Tree, node: Node) -> str:
    via = str(node.fields.get("via") or node.label)
    return f"{via}: {text_of(tree, node, 'answer') or ''}".rstrip(": ")


_TITLES: dict[str, Callable[[Tree, Node], str]] = {
    "turn": _turn_title,
    "exec": _exec_title,
    "batch": _batch_title,
    "answer": _answer_title,
}
