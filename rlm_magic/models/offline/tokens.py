"""A question as typed tokens: dates, addresses, paths, numbers, quoted phrases, words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .words import stem


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is a name of `KINDS`; ``value`` is normalised (dates ISO 8601, words stemmed), ``text`` as written."""

    kind: str
    text: str
    value: str


MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
DATE_FORMATS = ("%Y-%m-%d", "%d %b %Y", "%d/%b/%Y", "%b %d %Y", "%d-%b-%Y")


def iso_date(text: str) -> str:
    """A date in one of `DATE_FORMATS` as ISO 8601; "" if it is none."""
    short = re.sub(rf"({MONTH})", lambda m: m[0][:3], text.replace(",", ""))
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(short, form).date().isoformat()
        except ValueError:
            continue
    return ""


def _unquoted(text: str) -> str:
    return text[1:-1]


def _plain_number(text: str) -> str:
    return text.replace(",", "")


# In order: the first kind that matches at a place is the token's.
KINDS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("quoted", r"(?<!\w)'[^'\n]+'(?!\w)|\"[^\"\n]+\"|“[^”\n]+”|`[^`\n]+`", _unquoted),
    ("date", rf"\d{{4}}-\d\d-\d\d|\d{{1,2}}[ /-]{MONTH}[ /-]\d{{4}}|{MONTH} \d{{1,2}},? \d{{4}}", iso_date),
    ("address", r"\d{1,3}(?:\.\d{1,3}){3}(?![\w.])", str),
    ("class", r"[1-5][xX]{2}\b", str.lower),
    ("path", r"(?<!\w)/[\w./%~+-]*(?<![.])", str),
    ("number", r"-?\d{1,3}(?:,\d{3})+\b(?!\.\d)|-?\d+(?:\.\d+)?(?![\w.]*\w)", _plain_number),
    ("open", r"\(", str),
    ("close", r"\)", str),
    ("end", r"[.?!;:](?=\s|$)", str),
    ("word", r"[^\W_]+(?:[_'’-][^\W_]+)*", stem),
)  # fmt: skip
TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern, _ in KINDS))
NORMAL = {kind: normal for kind, _, normal in KINDS}


def tokenize(question: str) -> list[Token]:
    """The tokens of a question; other punctuation is left out."""
    found = ((m.lastgroup or "", m[0]) for m in TOKEN.finditer(question))
    return [Token(kind, text, NORMAL[kind](text)) for kind, text in found]
