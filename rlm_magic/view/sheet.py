"""Facts and texts on one page, such as what a run would send: as text, and as HTML without a script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from .html import style
from .words import clean, plural


def sheet(title: str, facts: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """A MIME bundle. All of it may be of a model's or a file's making: it is shown as text, never as markup."""
    table = _table(facts)
    texts = {name: clean(text) for name, text in texts.items()}
    return {
        "text/plain": "\n\n".join([title, table, *(f"--- {name}\n{text}" for name, text in texts.items())]),
        "text/html": _html(title, table, texts),
    }


def _table(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {clean(fact)}" for name, fact in facts.items())


def _html(title: str, table: str, texts: Mapping[str, str]) -> str:
    return "".join(
        (
            f'<div class="rlm-record tex2jax_ignore mathjax_ignore"><style>{style()}</style>',
            f"<p>{escape(title)}</p>{_pre(table)}",
            *(_folded(name, text) for name, text in texts.items()),
            "</div>",
        )
    )


def _folded(name: str, text: str) -> str:
    summary = f"{escape(name)} · {plural(len(text), 'character')}"
    return f"<details><summary>{summary}</summary>{_pre(text)}</details>"


def _pre(text: str) -> str:
    return f'<pre style="word-break: normal">{escape(text)}</pre>'
