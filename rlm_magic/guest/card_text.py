"""The card of a text: its size, its form, its first and last line. Reads a sample of a long text, and copies none."""

from __future__ import annotations

from typing import Any, List, NamedTuple

from .form import Form, Sample, form
from .show import CHUNK, show

# A text up to this length is read whole; a longer one in this many windows, evenly spaced.
WHOLE = 1 << 20
_WINDOWS = 64
_WINDOW = WHOLE // _WINDOWS
_LONGEST_LINE = 8 * _WINDOW
_HEAD = 1 << 16
# Up to this length line feeds are counted (0.3 ns a character), beyond it their number is estimated.
_COUNTED = 1 << 26
_SHORT = 300
_RECORD = 150


class _Lines(NamedTuple):
    number: int
    exact: bool
    sample: List[str]
    whole: bool


def text_card(text: Any) -> List[str]:
    """Lines that describe a `str`."""
    text = text if type(text) is str else str.__getitem__(text, slice(None))
    lines = _lines(text)
    if len(text) <= _SHORT:
        return [_size(text, lines), f"Text: {show(text, 2 * _SHORT)}"]
    sample = Sample(text if lines.whole else text[:_HEAD], text[-_HEAD:], _filled(lines.sample), lines.whole)
    found = form(sample)
    records = "" if found.records is None else f", {found.records:,} records"
    return [
        _size(text, lines) + records,
        f"Format: {found.words}",
        *_repeats(lines, found),
        *_ends(sample, found),
        *_chunks(text, lines),
    ]


def text_form(head: str, tail: str, whole: bool) -> str:
    """The form of a text of which only the head and tail are known."""
    lines = head.split("\n")
    return form(Sample(head, tail, _filled(lines if whole else lines[:-1]), whole)).words


def _size(text: str, lines: _Lines) -> str:
    count = f"{lines.number:,}" if lines.exact else f"about {_rounded(lines.number):,}"
    alphabet = "ASCII" if text.isascii() else "not only ASCII"
    return f"str, {len(text):,} characters, {count} line{'' if lines.number == 1 else 's'}, {alphabet}"


def _rounded(number: int) -> int:
    """Two significant digits."""
    unit = 10 ** max(len(str(number)) - 2, 0)
    return number // unit * unit


def _filled(lines: List[str]) -> List[str]:
    return [line for line in lines if line and not line.isspace()]


def _lines(text: str) -> _Lines:
    if len(text) <= WHOLE:
        lines = text.split("\n")
        lines = lines if lines[-1] else lines[:-1]
        return _Lines(len(lines), True, lines, True)
    step = (len(text) - _WINDOW) / (_WINDOWS - 1)
    starts = [int(i * step) for i in range(_WINDOWS)]
    sample = [line for start in starts for line in _whole_lines(text, start)]
    feeds = sum(text.count("\n", start, start + _WINDOW) for start in starts)
    if len(text) <= _COUNTED or (not feeds and "\n" not in text):
        return _Lines((text.count("\n") if feeds else 0) + (text[-1] != "\n"), True, sample, False)
    return _Lines(1 + feeds * len(text) // WHOLE, False, sample, False)


def _whole_lines(text: str, start: int) -> List[str]:
    """The lines in a window; at least one, unless it is too long."""
    first = text.find("\n", start, start + _LONGEST_LINE) + 1 if start else 0
    if start and not first:
        return []
    last = text.find("\n", min(first + _WINDOW, len(text) - 1), first + _LONGEST_LINE)
    if last < 0:
        last = text.rfind("\n", first, first + _WINDOW)
    return text[first:last].split("\n") if last > first else []


def _repeats(lines: _Lines, found: Form) -> List[str]:
    filled = _filled(lines.sample)
    if len(filled) < 2 or (found.first is None and found.words.startswith("one JSON")):
        return []
    repeated = len(filled) - len(set(filled))
    repeats = f"{repeated:,} lines repeat another" if repeated else "no line repeats another"
    where = "" if lines.whole else f" (in a sample of {len(filled):,})"
    return [f"Longest line {max(map(len, filled)):,} characters; {repeats}{where}"]


def _ends(sample: Sample, found: Form) -> List[str]:
    if found.first is None or len(sample.lines) < 2:
        return [
            f"Starts: {show(sample.head[:_RECORD], _RECORD)}",
            f"Ends: {show(sample.tail[20 - _RECORD :], _RECORD)}",
        ]
    last = sample.tail.rstrip().rpartition("\n")[2]
    first = "First line below the header" if found.first else "First line"
    return [f"{first}: {show(sample.lines[found.first], _RECORD)}", f"Last line: {show(last, _RECORD)}"]


def _chunks(text: str, lines: _Lines) -> List[str]:
    if len(text) <= CHUNK:
        return []
    chunks = -(-len(text) // CHUNK)
    each = f", about {_rounded(lines.number // chunks):,} lines each" if lines.number > 2 * chunks else ""
    return [f"Suggested chunks: {chunks:,} of {CHUNK:,} characters{each}"]
