"""A run as Markdown. An answer keeps its headings, lists and tables; images, links, HTML and formulas become text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..engine.tree import Node, Tree
from .text import answer_text, outline, reason, status_line
from .words import clean, row_of, shorten, text_of

LONGEST = 20_000  # characters of a text in the long form

_ACTIVE = {
    "&": "&amp;",
    "<": "&lt;",
    "[": "\\[",
    "]": "\\]",
    "!": "\\!",
    "$": "\\$",
    "@": "&#64;",
    "\\": "\\\\",
    "://": "&#58;//",
    "www.": "www&#46;",
}
_PATTERN = re.compile("|".join(map(re.escape, _ACTIVE)), re.IGNORECASE)


def markdown(tree: Tree, *, alive: bool = False) -> str:
    """The answer, how the run went, and its tree."""
    parts = [
        passive(answer_text(tree)),
        passive(reason(tree)),
        f"**{passive(status_line(tree, alive=alive))}**",
        fenced("\n".join(outline(tree, alive=alive))),
    ]
    return "\n\n".join(part for part in parts if part)


def document(tree: Tree) -> str:
    """The same, and what each turn said, ran and got."""
    question = clean(str(tree.root.fields.get("query") or tree.root.label)) if tree.root else ""
    return "\n\n".join(["# Question", fenced(question), "# Answer", markdown(tree), *_turns(tree), ""])


def _turns(tree: Tree) -> Iterator[str]:
    for node in tree.walk():
        if node.kind in ("turn", "exec", "llm", "rlm", "tool"):
            row = row_of(tree, node, alive=False)
            yield f"## {row.kind} {node.id} {row.glyph} {passive(row.title)}".rstrip()
            yield from _texts(tree, node)


def _texts(tree: Tree, node: Node) -> Iterator[str]:
    for field in ("reply", "code", "output", "arguments", "result"):
        text = text_of(tree, node, field)
        if text:
            yield f"{field.capitalize()}:"
            yield fenced(clean(shorten(text, LONGEST)), "python" if field == "code" else "")


def passive(text: str) -> str:
    """Markdown in which nothing loads, links or runs. Code in it would show the escapes, so it is shown as it is."""
    return fenced(text) if "`" in text or "~~~" in text else _PATTERN.sub(lambda found: _ACTIVE[found[0].lower()], text)


def fenced(text: str, language: str = "") -> str:
    """A text as a code block that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
