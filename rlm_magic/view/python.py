"""Python code as HTML, coloured by Pygments through a few classes of our own."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from pygments.lexers.python import PythonLexer  # pyright: ignore[reportMissingTypeStubs]
from pygments.token import Comment, Keyword, Name, Number, Operator, String

LONGEST = 20_000  # characters; longer code is shown without colours
CLASSES = ((Keyword, "k"), (String, "s"), (Number, "m"), (Comment, "c"), (Name.Builtin, "nb"), (Operator.Word, "ow"))


def highlighted(code: str) -> str:
    """The code, escaped, its tokens in ``<span class="run-…">``."""
    return escape(code) if len(code) > LONGEST else "".join(_spans(code))


def _spans(code: str) -> Iterator[str]:
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code):
        name = next((name for parent, name in CLASSES if kind in parent), None)
        yield f'<span class="run-{name}">{escape(text)}</span>' if name else escape(text)
