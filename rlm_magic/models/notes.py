"""Advice for the prompt of a root model, by the model's name. A user's entries come on top."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from ..engine.errors import InputError

_THRIFT = (
    "Sub-calls are slow and cost money: put many items into each, as far as one takes them, rather than one item into "
    "each. A question needs tens of sub-calls, not hundreds."
)
_BRIEF = "The length of a reply is limited, and thinking uses it up too: think briefly, then write the block."

# What is known: with one prompt for all, Qwen3-Coder made hundreds to thousands of sub-calls where GPT-5 made ten, and
# thinking models ran out of output (arXiv 2512.24601, appendix on negative results).
NOTES: Mapping[str, str] = {
    "*qwen*": _THRIFT,
    "*qwq*": _BRIEF,
    "*thinking*": _BRIEF,
    "*reasoner*": _BRIEF,
    "*-r1*": _BRIEF,
    "*gpt-oss*": _BRIEF,
    "*magistral*": _BRIEF,
}


def find_notes(name: str, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """The entries whose pattern (as of a file name, case aside) fits a model's name.

    An entry of the user's ``own`` takes the place of ours with the same pattern; an empty one leaves it out.

    Raises:
        InputError: an entry that is not text.
    """
    for pattern, note in (own or {}).items():
        if not (isinstance(pattern, str) and isinstance(note, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(
                f"model_notes: {pattern!r}: {note!r} is not a pattern and a text such as '*qwen*': 'Be brief.'"
            )
    notes = {**NOTES, **(own or {})}
    return {p: note for p, note in notes.items() if note and fnmatchcase(name.lower(), p.lower())}
