"""Facts of a text: find the sentences that hold every word of the question, then the value in them.

    find      the lines that hold all words; then, if there is none, one of
    inner     "the station to which agent Farrow is posted": the fact behind the relative clause first, then
    outer     the rest of the question with the value found
    joined    sentences over line ends, for text with hard line breaks
    extract   the value in each sentence found, by a pattern read off the sentences

An answer needs every word of the question in one sentence, and one value, or one that a later sentence corrects; a list
only where the question asks for several. Where a name of the question occurs nowhere, that is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import cells
from .extract import CODE, NAME, NOT_FOUND, names_in, value_in
from .words import IRREGULAR, content, ordered, spaced, stem, words

CURRENT = frozenset(spaced("current currently now latest"))
CORRECTED = r"\b(?:correct(?:ion|ed)|chang\w+|updat\w+|now|replac\w+|instead|no longer)\b"
DOUBT = (
    r"\b(?:not|never|no|none|nobody|cannot|\w+n't|false\w*|wrong\w*|incorrect\w*|might|may|rumou?r\w*|allegedly|"
    r"perhaps|probably|almost|nearly|should have|supposed\w*)\b"
)
AUXILIARY = frozenset(spaced("is are was were do does did has have had can could will would"))
COUNTS = ("how many times", "how often")
RELATIVE = re.compile(
    r"^(?P<outer>.*\b(?P<link>\w+)) "
    r"(?:(?:to|in|at|by|from|for|on|of|with) (?:which|whom)|that|where|who) (?P<inner>.+)$",
    re.DOTALL,
)
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Fact:
    """What a question about a text asks for.

    Attributes:
        terms: stems that a sentence must hold.
        names: those of them that name a particular thing.
        without: stems that it must not hold.
        noun: "locker" of "which locker", the word beside which the value stands; "" if there is none.
        many: several values are asked for.
        count: not a value but how often it is said.
        current: the last of several values is asked for.
        may_be_absent: the question says to answer NOT FOUND.
    """

    question: str
    terms: tuple[str, ...]
    names: tuple[str, ...]
    without: tuple[str, ...]
    noun: str
    many: bool
    count: bool
    current: bool
    may_be_absent: bool


def parse(question: str) -> Fact | None:
    """The fact that a question asks for; None if it does not open as such a question does."""
    absent = NOT_FOUND in question
    asked = " ".join(
        s for s in re.split(r"(?<=[.?!])\s+", question) if NOT_FOUND not in s and not s.startswith("Answer")
    )
    aside = re.search(r"\(not ([^)]*)\)", asked)
    bare = re.sub(r"\([^)]*\)", "", asked).strip()
    if not re.match(
        r"(?:(?:in|at|on|to|from|by|for|with) )?(?:who|whom|what|which|when|where|how (?:many times|often))\b",
        bare,
        re.I,
    ):
        return None
    low = [w.lower() for w in words(bare)]
    terms = ordered(t for t in content(_after_how(bare)) if t not in CURRENT)
    return Fact(
        question=bare,
        terms=tuple(terms),
        names=tuple(ordered(t for name in names_in(bare) for t in content(name))),
        without=tuple(t for t in content(aside[1]) if t not in terms) if aside else (),
        noun=_noun(low),
        many=_noun(low).endswith("s") and not _noun(low).endswith("ss"),
        count=" ".join(low[:3]) == COUNTS[0] or " ".join(low[:2]) == COUNTS[1],
        current=bool(CURRENT & set(low)),
        may_be_absent=absent,
    )


def _after_how(question: str) -> str:
    return re.sub(r"^how (?:many times|often)", "", question, flags=re.I)


def _noun(low: Sequence[str]) -> str:
    """The last word before the verb, behind "which" or "what"."""
    start = next((i for i, w in enumerate(low[:2]) if w in ("which", "what")), None)
    if start is None:
        return ""
    end = next((i for i in range(start + 1, len(low)) if low[i] in AUXILIARY), start + 1)
    return low[end - 1] if end > start + 1 else ""


def spelled(fact: Fact, terms: Sequence[str]) -> str:
    """Stems as the question writes them, for reading."""
    return ", ".join(w for w in ordered(words(fact.question)) if set(content(w)) & set(terms))


def pattern(term: str) -> str:
    """A regular expression for the words with this stem."""
    forms = sorted({form for form, root in IRREGULAR.items() if stem(root) == term})
    roots = "|".join(map(re.escape, ordered([term, *forms])))
    return rf"\b{term}\b" if any(c.isdigit() for c in term) else rf"\b(?:{roots})\w*"


def find(fact: Fact, stage: str, terms: Sequence[str], *, joined: bool = False) -> str:
    """The cell that looks for sentences with all ``terms``."""
    needed = {term: pattern(term) for term in terms}
    rest = [t for t in terms if t not in fact.names]
    unit = (
        're.split(r"(?<=[.!?])\\s+", " ".join(lines))'
        if joined
        else ('[s for line in lines for s in re.split(r"(?<=[.!?])\\s+", line)]')
    )
    return (
        f"{cells.TEXT}\nneeded = {needed!r}\nunwanted = {[pattern(t) for t in fact.without]!r}\n"
        f"sentences = {unit}\n"
        + FIND.format(rest=rest, doubt=DOUBT, half=SHOWN // 2)
        + cells.report(
            stage, count="len(found)", found="shown", doubtful="len(doubtful)", missing="missing", alike="alike",
        )
    )  # fmt: skip


FIND = """\
found = sentences
for expression in needed.values():
    found = [s for s in found if re.search(expression, s, re.IGNORECASE)]
found = [s for s in found if not any(re.search(expression, s, re.IGNORECASE) for expression in unwanted)]
doubtful = [s for s in found if re.search({doubt!r}, s, re.IGNORECASE)]
whole = "\\n".join(lines)
missing = [term for term, expression in needed.items() if not re.search(expression, whole, re.IGNORECASE)]
# Sentences that say the same of something else: they show that the text speaks of such things at all.
alike = sum(all(re.search(needed[term], s, re.IGNORECASE) for term in {rest!r}) for s in sentences)
shown = [s[:300] for s in (found if len(found) <= 2 * {half} else found[:{half}] + found[-{half}:])]
"""


def value(fact: Fact, sentence: str, noun: str | None = None) -> str:
    """The value in one sentence: beside the noun asked for, or the only one that stands out; "" if unclear."""
    noun = fact.noun if noun is None else noun
    if not noun:
        return value_in(sentence, fact.question)
    named = rf"\b(?i:{re.escape(stem(noun))}\w*)"
    for beside in (rf"{named}\s+({CODE.pattern}|{NAME.pattern})", rf"({NAME.pattern})\s+{named}"):
        found = re.search(beside, sentence)
        if found and not set(content(found[1])) & set(fact.terms):
            return found[1]
    return ""


def split(fact: Fact) -> tuple[Fact, str, Fact] | None:
    """The outer fact, the noun that links, and the inner fact; None if the question has no relative clause."""
    parts = RELATIVE.match(fact.question)
    if parts is None:
        return None
    inner = tuple(ordered([*content(parts["inner"]), stem(parts["link"])]))
    outer = tuple(ordered(content(parts["outer"])))
    return _narrow(fact, parts["outer"], outer), parts["link"], _narrow(fact, parts["inner"], inner)


def _narrow(fact: Fact, question: str, terms: tuple[str, ...]) -> Fact:
    return replace(fact, question=question, terms=terms, names=tuple(t for t in fact.names if t in terms))


def shapes(fact: Fact, found: Sequence[str]) -> list[str] | None:
    """Regular expressions with one group, read off the sentences shown; None if one of them has no clear value."""
    made: list[str] = []
    for sentence in found:
        this = value(fact, sentence)
        if not this or sentence.count(this) != 1:
            return None
        before, after = map(re.escape, sentence.split(this))
        made.append(f"{before}({_kind(this)}){after}")
    return ordered(made)


def _kind(value: str) -> str:
    if any(c.isdigit() for c in value):
        return r"[\w.:/-]*\d[\w.:/-]*?"
    return r"\S+(?: \S+)*?"


def extract(made: Sequence[str]) -> str:
    """The cell that takes the value out of every sentence found."""
    return (
        f"shapes = {list(made)!r}\nvalues, odd = [], []\n"
        + EXTRACT.format(corrected=CORRECTED)
        + cells.report("extract", values="values[:50]", distinct="len(values)", odd="len(odd)", corrected="corrected")
    )


EXTRACT = """\
for sentence in found:
    match = next(filter(None, (re.fullmatch(shape, sentence) for shape in shapes)), None)
    values.append(match[1]) if match else odd.append(sentence)
# A correction counts only among sentences on the same thing: they hold the same names.
same = len({{frozenset(re.findall(r"(?<=[a-z,] )[A-Z]\\w+", sentence)) for sentence in found}}) == 1
corrected = values[-1] if values and same and re.search({corrected!r}, found[-1], re.IGNORECASE) else ""
values = list(dict.fromkeys(values))
result = "\\n".join(values)
"""
