"""Find the sentence that answers a question, and the value in it; or say that the text does not.

Sentences are ranked by BM25 (Robertson and Zaragoza 2009) over stems. The best one counts only if it holds every name
and number of the question and most of its other words; otherwise the answer is `NOT_FOUND`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from .tokens import MONTH
from .words import STOP, content, ordered, sentences, stem, words

NOT_FOUND = "NOT FOUND"
K1, B = 1.2, 0.75
LEAST_COVERAGE = 0.75

NAME = re.compile(r"[A-Z][\w'’-]*(?: (?:(?:of|de|van|von|la) )?[A-Z][\w'’-]*)*")
CODE = re.compile(r"(?<![\w-])(?=[\w./:-]*\d)[\w#$€£][\w./:,-]*\w%?|(?<![\w-])\d\b")
TIME = re.compile(
    rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[ /-]{MONTH}(?:[ /-]\d{{4}})?|{MONTH} \d{{1,2}}(?:, \d{{4}})?|{MONTH} \d{{4}}"
    rf"|(?:1\d|20)\d\d|\d{{1,2}}:\d\d|\w+day)\b"
)
ASKS_FOR_NAME = ("who", "whom", "whose")
ASKS_FOR_NUMBER = (("how", "many"), ("how", "much"), ("how", "old"), ("how", "long"))
COPULA = re.compile(r"\b(?:is|are|was|were|be|equals?)(?: (?:now|currently|then))?\b|[:=]", re.IGNORECASE)


def bm25(query: Sequence[str], documents: Sequence[Sequence[str]]) -> list[float]:
    """The BM25 score of each document (its stems) for a query (stems)."""
    bags = [Counter(d) for d in documents]
    mean = sum(map(len, documents)) / (len(documents) or 1) or 1.0
    seen = Counter(w for bag in bags for w in bag)
    rarity = {w: math.log(1 + (len(bags) - seen[w] + 0.5) / (seen[w] + 0.5)) for w in query}
    return [
        sum(rarity[w] * _saturated(bag[w], len(d) / mean) for w in query)
        for bag, d in zip(bags, documents, strict=True)
    ]


def _saturated(count: int, relative_length: float) -> float:
    return count * (K1 + 1) / (count + K1 * (1 - B + B * relative_length)) if count else 0.0


def names_in(question: str) -> list[str]:
    """What a passage must hold to be about the question at all: its quoted phrases, capitalised words and numbers."""
    quoted = re.findall(r"[\"“]([^\"”]+)[\"”]|(?<!\w)'([^']+)'(?!\w)", question)
    found = [a or b for a, b in quoted]
    for position, word in enumerate(words(question)):
        capital = word[0].isupper() and position > 0 and word.lower() not in STOP
        if capital or any(c.isdigit() for c in word):
            found.append(word)
    return ordered(found)


def extract(question: str, text: str) -> str:
    """The value in ``text`` that answers ``question``, the whole sentence where no value stands out, or `NOT_FOUND`."""
    pool = sentences(text)
    query = ordered(content(question))
    scores = bm25(query, [content(s) for s in pool])
    ranked = sorted(range(len(pool)), key=lambda i: (-scores[i], i))
    if not ranked or not _covers(pool[ranked[0]], question, query):
        return NOT_FOUND
    best = pool[ranked[0]]
    return value_in(best, question) or best


def _covers(sentence: str, question: str, query: Sequence[str]) -> bool:
    held = set(content(sentence))
    named = {w for name in names_in(question) for w in content(name)}
    share = sum(w in held for w in query) / (len(query) or 1)
    return named <= held and share >= LEAST_COVERAGE


def value_in(sentence: str, question: str) -> str:
    """What a question asks for in a sentence: a name, a number or code, or what follows "is"; "" if unclear."""
    asked = [w.lower() for w in words(question)]
    known = {stem(w) for w in words(question)}
    if asked and asked[0] in ASKS_FOR_NAME:
        return _only(_unknown(NAME.findall(sentence), known))
    if asked and asked[0] == "when":
        return _only(ordered(TIME.findall(sentence)))
    codes = _only(_unknown(CODE.findall(sentence), known))
    if codes or tuple(asked[:2]) in ASKS_FOR_NUMBER:
        return codes
    return _only(_unknown(NAME.findall(sentence), known)) or _after_copula(sentence, known)


def _unknown(candidates: list[str], known: set[str]) -> list[str]:
    """Candidates that the question does not hold already; a word that only opens the sentence is no name."""
    fresh = [[w for w in c.split() if stem(w) not in known and w.lower() not in STOP] for c in candidates]
    return ordered(" ".join(c) for c in fresh if c)


def _only(candidates: list[str]) -> str:
    return candidates[0] if len(candidates) == 1 else ""


def _after_copula(sentence: str, known: set[str]) -> str:
    parts = COPULA.split(sentence)
    tail = parts[-1].strip(" .") if len(parts) > 1 else ""
    return "" if {stem(w) for w in words(tail)} & known else tail
