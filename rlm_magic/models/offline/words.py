"""Words, stems and sentences of English text, with the standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*", re.UNICODE)
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def spaced(listed: str) -> list[str]:
    """The items of a list written with blanks."""
    return listed.split()


# Words that carry no content of their own: never demanded of a passage.
STOP = frozenset(
    spaced("""a about all am an and any are as at be been being both but by can could did do does each for from had has
           have he her here his how i if in into is it its me my of on or our she should so some such than that the
           their them then there these they this those to us was we were what when where which who whom whose why will
           with would you your please tell give say just get got many much""")
)  # fmt: skip

# Forms that no suffix rule joins.
IRREGULAR = {
    form: forms.split()[0]
    for forms in (
        "steal stole stolen", "lose lost losing", "ring rang rung", "pay paid", "send sent", "get got gotten",
        "find found", "forget forgot forgotten", "buy bought", "write wrote written", "keep kept",
        "take took taken", "give gave given", "make made", "know knew known", "see saw seen", "break broke broken",
        "hold held", "leave left", "sell sold", "build built", "begin began begun", "choose chose chosen",
        "speak spoke spoken", "tell told", "win won", "withdraw withdrew withdrawn withdrawal",
        "identify identity identification", "verify verification", "deliver delivery", "arrive arrival",
        "receive receipt", "drive drove driven", "fall fell fallen",
    )
    for form in forms.split()
}  # fmt: skip

# Longest first; a stem keeps at least three letters.
SUFFIXES = ("ications", "ication", "ations", "ation", "ements", "ement", "ions", "ings", "ies", "ied", "ion", "ing",
            "ers", "ed", "es", "er", "al", "ly", "s", "y", "e")  # fmt: skip


def words(text: str) -> list[str]:
    """The words of a text, as written, in order."""
    return WORD.findall(text)


def stem(word: str) -> str:
    """The form under which inflections of a word meet: "delivered" and "delivery", "stole" and "stolen"."""
    low = word.lower().removesuffix("'s").removesuffix("’s")
    low = IRREGULAR.get(low, low)
    if any(c.isdigit() for c in low):
        return low
    for suffix in SUFFIXES:
        if low.endswith(suffix) and len(low) - len(suffix) >= 3 and not low.endswith("ss"):
            return _undouble(low.removesuffix(suffix))
    return low


def _undouble(root: str) -> str:
    doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiosl"
    return root[:-1] if doubled else root


def content(text: str) -> list[str]:
    """The stems of a text's content words, in order, hyphens opened."""
    parts = re.split(r"[\s-]+", text.replace("'s", ""))
    return [stem(w) for part in parts for w in words(part) if w.lower() not in STOP]


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line end also ends one."""
    return [s.strip() for s in SENTENCE.split(text) if s.strip()]


def ordered(items: Iterable[str]) -> list[str]:
    """Without repetitions, first occurrence first."""
    return list(dict.fromkeys(items))
