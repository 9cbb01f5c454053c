"""A run as HTML without a script: nested ``<details>``, legible without its style, everything escaped.

The tags are those of `TAGS`, the only attributes ``class`` and ``open``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files

from ..engine.tree import Node, Tree
from .fit import by_importance, fitting, rooted, size_of
from .parts import Part, parts_of
from .python import highlighted
from .text import answer_text, reason, status_line
from .words import Row, clean, plural, row_of, shorten

TAGS = ("div", "details", "summary", "ul", "li", "span", "b", "p", "pre", "code", "style")
ROW_SHARE = 0.5  # of the room, for rows; the rest is for what they open
AROUND = 180  # bytes of a row's list, and of what stands there for what is left out
MARGIN = 2048  # bytes for what is around the tree
NOT_EMBEDDED = '<p class="run-note">Not embedded: the record has a size limit.</p>'
SEPARATOR = '<span class="run-sep"> · </span>'  # for readers without the style
OPEN_STATUSES = ("answered", "forced")


def html(tree: Tree, *, room: int, body: int, alive: bool = False) -> str:
    """The record in at most ``room`` bytes, each text in at most ``body`` characters."""
    head = "".join(_head(tree))
    # front ends typeset "$…$" in HTML outputs unless one of these classes is around it
    start = f'<div class="rlm-record tex2jax_ignore mathjax_ignore"><style>{style()}</style>{head}'
    room -= size_of(start) + MARGIN
    return f"{start}{_Tree(tree, alive, room, body).html()}</div>"


@cache
def style() -> str:
    """Its class names are not the live view's (``rlm-…``): in a plain JupyterLab both stand in one page."""
    return (files("rlm_magic.view") / "record.css").read_text("utf-8")


def _head(tree: Tree) -> Iterator[str]:
    answer, why = answer_text(tree), reason(tree)
    if answer:
        yield f'<pre class="run-answer">{escape(answer)}</pre>'
    if why:
        yield f'<p class="run-why">{escape(why)}</p>'


class _Tree:
    def __init__(self, tree: Tree, alive: bool, room: int, body: int) -> None:
        self._tree = tree
        self._alive = alive
        self._body = body
        rows = fitting(((n.id, self._row(n)) for n in by_importance(tree)), int(room * ROW_SHARE), _row_size)
        kept = rooted(tree, rows)
        self._rows = {name: row for name, row in rows.items() if name in kept}
        room -= sum(map(_row_size, self._rows.values()))
        self._inner = fitting(self._inners(), room)

    def html(self) -> str:
        root = self._tree.root
        line = f'<span class="run-row">{escape(status_line(self._tree, alive=self._alive))}</span>'
        if root is None or root.id not in self._rows:
            return f"<p>{line}</p>"
        ended_well = root.fields.get("outcome") in OPEN_STATUSES
        inner = "".join(self._node(root))
        return f"<details{'' if ended_well else ' open'}><summary>{line}</summary>{inner}</details>"

    def _node(self, node: Node) -> Iterator[str]:
        yield f"<details{' open' if node.parent is None else ''}>{self._rows[node.id]}<ul>"
        inner = self._inner.get(node.id, NOT_EMBEDDED)
        yield f"<li>{inner}</li>" if inner else ""
        left = 0
        for name in node.children:
            if name in self._rows:
                yield from ("<li>", *self._node(self._tree.nodes[name]), "</li>")
            else:
                left += 1
        if left:
            yield f'<li class="run-note">… {left:,} more, not embedded</li>'
        yield "</ul></details>"

    def _row(self, node: Node) -> str:
        return f"<summary>{_row(row_of(self._tree, node, self._alive))}</summary>"

    def _inners(self) -> Iterator[tuple[str, str]]:
        seen: set[str] = set()
        shown = (node for node in self._tree.walk() if node.id in self._rows)
        listed = {node.id: list(parts_of(self._tree, node, seen)) for node in shown}
        for name in self._rows:
            yield name, "".join(map(self._part, listed[name]))

    def _part(self, part: Part) -> str:
        if part.text is None:
            return f'<p class="run-part">{escape(part.title)}</p>'
        text = shorten(clean(shorten(part.text, 8 * self._body)), self._body).strip("\n")
        shown = highlighted(text) if part.python else escape(text)
        pre = f"<pre><code>{shown}</code></pre>"
        title = escape(part.title)
        if part.folded:
            size = plural(len(part.text), "character")
            return f"<details><summary>{title} · {size}</summary>{pre}</details>"
        return f'<p class="run-part">{title}</p>{pre}'


def _row_size(row: str) -> int:
    return size_of(row) + AROUND


def _row(row: Row) -> str:
    word = "" if row.status == "ok" else f' <span class="run-word run-{row.status}">{row.status}</span>'
    figures = ((f"{row.tokens} tokens" if row.tokens else ""), row.cost, row.time)
    numbers = "".join(f'<span class="run-n">{SEPARATOR if text else ""}{escape(text)}</span>' for text in figures)
    return (
        f'<span class="run-row"><span class="run-glyph run-{row.status}">{row.glyph}</span> '
        f'<span class="run-name"><b>{escape(row.kind)}</b> {escape(row.title)}</span>{word}{numbers}</span>'
    )
