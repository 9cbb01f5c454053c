"""A text as passages: windows of about a paragraph, as positions in it."""

from __future__ import annotations

import mmap
from typing import Any, Iterator, Tuple, Union

# Ten of them fit into what a model is shown of one block's output.
SIZE = 600

Content = Union[str, bytes, mmap.mmap]


def passages(text: Content, size: int = SIZE) -> Iterator[Tuple[int, int]]:
    """Start and end of each passage, in order: all of the text but the white space between them.

    A passage ends with a paragraph, else with a line, else with a word, as far as it then has a quarter of ``size``
    or more; of bytes none ends within a character of UTF-8.
    """
    if isinstance(text, str):
        breaks: Any = ("\n\n", "\n", " ")
    else:
        breaks = (b"\n\n", b"\n", b" ")
    start = 0
    while start < len(text):
        end = _end(text, start, size, breaks)
        piece = text[start:end]
        kept = piece.strip()
        if kept:
            first = start + len(piece) - len(piece.lstrip())
            yield first, first + len(kept)
        start = end


def _end(text: Any, start: int, size: int, breaks: Any) -> int:
    limit = start + size
    if limit >= len(text):
        return len(text)
    for mark in breaks:
        found = text.rfind(mark, start + size // 4, limit)
        if found >= 0:
            return found + len(mark)
    return limit if isinstance(text, str) else _whole(text, limit, start)


def _whole(text: Any, limit: int, start: int) -> int:
    """The last position up to ``limit`` where a character of UTF-8 begins; ``limit`` if there is none near."""
    for end in range(limit, max(limit - 4, start), -1):
        if text[end] & 0xC0 != 0x80:
            return end
    return limit
