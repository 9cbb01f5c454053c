"""The record of a run that stays in a notebook when nothing lives any more: the same in four MIME types."""

from __future__ import annotations

from html import escape
from typing import Any

from ..engine.tree import Tree
from .fit import size_of
from .html import html
from .markdown import markdown
from .payload import payload
from .text import text
from .words import one_line

MIME = "application/vnd.rlm-magic.run+json"
CAP = 2_000_000  # bytes
HTML_SHARE = 0.4  # of the room; the rest is for our own renderer
MARGIN = 512  # bytes for what is around the four
PAGE_CAP = 32_000_000  # bytes
LONGEST_BODY = 20_000  # characters of one text in a notebook; what is over is cut in the middle
LONGEST_PAGE_BODY = 1_000_000  # characters of one text in a page of its own


def record(tree: Tree, *, alive: bool = False, cap: int = CAP, run: str = "") -> dict[str, Any]:
    """A run as a MIME bundle of at most ``cap`` bytes (give half a million or more), for ``display(..., raw=True)``.

    ``alive``: a run without an end is under way, not interrupted. ``run``: the id to which links in the record refer.
    """
    plain, marked = text(tree, alive=alive), markdown(tree, alive=alive)
    room = cap - size_of(plain) - size_of(marked) - MARGIN
    return {
        "text/plain": plain,
        "text/markdown": marked,
        "text/html": html(tree, alive=alive, room=int(room * HTML_SHARE), body=LONGEST_BODY),
        MIME: payload(tree, room=int(room * (1 - HTML_SHARE)), body=LONGEST_BODY, run=run),
    }


def page(tree: Tree, title: str) -> str:
    """A run as a page of its own, with no script and nothing to load."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(one_line(title, 120))}</title></head><body>"
        f"{html(tree, room=PAGE_CAP, body=LONGEST_PAGE_BODY)}</body></html>\n"
    )
