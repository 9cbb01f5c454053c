"""Notebook values in the question: ``{name}`` is filled in, every other brace stays as typed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .engine.errors import InputError

MAX_CHARS = 1_000

_NAME = re.compile(r"\{([^\W\d]\w*)\}")


def fill(question: str, names: Mapping[str, object]) -> str:
    """Fill ``{name}`` where the notebook holds a str, int, float or bool of that name.

    Raises:
        InputError: the value is longer than 1,000 characters.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        found = names.get(name)
        if not isinstance(found, str | int | float):
            return match[0]
        text = _text(found)
        if len(text) > MAX_CHARS:
            raise InputError(
                f"{{{name}}} holds {len(text):,} characters, more than the {MAX_CHARS:,} that fit in a question: "
                f"bind it as a context (%%rlm {name}) and ask about it"
            )
        return text

    return _NAME.sub(value, question)


def _text(value: str | int | float) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no more than 4,300 digits of an int
        return hex(int(value))
