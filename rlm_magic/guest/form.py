"""What form a text has, from a sample of it: JSON lines, a table, a log, Markdown, code, prose and the like.

Patterns see short pieces only and have no nested repetition: a text made to slow them down does not.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from typing import Any, Callable, Counter, List, NamedTuple, Optional, Tuple

from .show import cut, fields, is_a, listed, printable, show, word


class Sample(NamedTuple):
    """Parts of a text: its first and last characters, and whole lines from all over it, blank ones left out."""

    head: str
    tail: str
    lines: List[str]
    whole: bool


class Form(NamedTuple):
    """``words`` for the model; ``first``: the line of the first record, None for a document that has no records.

    ``records``: how many there are; None if each line is one, or they were not counted.
    """

    words: str
    first: Optional[int] = None
    records: Optional[int] = None


_MOST = 0.9
_RECORDS = 20
_LINES = 200
_WIDTH = 200
_ROWS = 50
_DELIMITERS = {",": "CSV", "\t": "tab-separated table", ";": "table separated by ';'", "|": "table separated by '|'"}
_LOG = re.compile(
    r".{0,60}?\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d| [+-]\d{4})?([\s\]|>)]|$)"
    r"|\[?(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)\b"
)
_LABEL = re.compile(r"(?:^|[|;\t,]| - ) ?([A-Za-z][A-Za-z_ -]{0,29})(?:: |=)")
_TAG = re.compile(r"<([A-Za-z][\w:.-]{0,40})(?:\s[^<>]{0,500})?/?>")
_DEFINITION = re.compile(
    r"\s*(?:export |pub |public |private |static |async )*(?:def|class|function|func|fn|struct|interface|impl) \w"
)
_CODE = re.compile(
    r"\s*(?:import |from \w[\w.]* import |return\b|#include\b|(?:public|private|static|const|let|var|val) \w|@\w"
    r"|(?:if|elif|for|while|with|switch|catch|except|else|try)\b.*[:{]$|[}\])]+[;,]?$"
    r"|[\w.]+ ?[-+*/|]?= ?\S|(?:#|//|/\*) |.*[;{]$|.*\)[;,]?$)"
)
_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_UNDERLINE = re.compile(r'[=~^"+-]{4,}\s*$')
_SENTENCE = re.compile(r"(?<=[^\W\d_])[.!?…。！？][\"')\]”]?(?:\s|$)")
_NUMBER = re.compile(r"\s*[-+]?[\d.,]*\d%?\s*$")


def form(sample: Sample) -> Form:
    """The form of a text; "plain text" where none is recognized."""
    if not sample.lines:
        return _json(sample) or _prose(sample) or Form("plain text")
    return next(filter(None, (detect(sample) for detect in _DETECTORS)), Form("plain text", first=0))


def _json_lines(sample: Sample) -> Optional[Form]:
    lines = _spread(sample.lines, _RECORDS)
    if len(lines) < 2 or not lines[0].lstrip().startswith(("{", "[")):
        return None
    values = [value for found, value in map(_parsed, lines) if found]
    if len(values) < _MOST * len(lines):
        return None
    records = [value for value in values if is_a(value, dict)]
    return Form(f"JSON lines; keys: {fields(records)}" if records else "JSON lines, each a list", first=0)


def _json(sample: Sample) -> Optional[Form]:
    ends = sample.head.lstrip("\ufeff \t\r\n")[:1] + sample.tail.rstrip()[-1:]
    if ends not in ("{}", "[]"):
        return None
    found, value = _parsed(sample.head if sample.whole else "")
    if not found:
        return _json_by_its_start(sample.head)
    if is_a(value, dict):
        return Form(f"one JSON object; keys: {fields([value])}")
    records = [item for item in value[:1000] if is_a(item, dict)]
    keys = f"; keys of the items: {fields(records)}" if records else ""
    return Form(f"one JSON list{keys}", records=len(value))


def _json_by_its_start(head: str) -> Optional[Form]:
    start = re.match(r"[\ufeff\s]*\[\s*(?=[\[{\"\d-])", head)
    if start is None:
        key = re.match(r'[\ufeff\s]*\{\s*("[^"\\]{0,80}")\s*:', head)
        return Form(f"one JSON object by its start and end; first key {cut(printable(key[1]), 60)}") if key else None
    try:
        item, _ = json.JSONDecoder().raw_decode(head, start.end())
    except (ValueError, RecursionError):
        item = None
    keys = f"; keys of the first item: {fields([item])}" if is_a(item, dict) else ""
    return Form(f"one JSON list by its start and end{keys}")


def _parsed(text: str) -> Tuple[bool, Any]:
    try:
        return True, json.loads(text)
    except (ValueError, RecursionError):
        return False, None


def _log(sample: Sample) -> Optional[Form]:
    lines = [line[:_WIDTH] for line in _spread(sample.lines, _LINES)]
    hits = sum(_LOG.match(line) is not None for line in lines)
    return (
        Form("log lines", first=0) if len(lines) > 1 and hits >= _MOST * len(lines) and _LOG.match(lines[0]) else None
    )


def _labelled(sample: Sample) -> Optional[Form]:
    lines = _spread(sample.lines, _LINES)
    labels = Counter[Tuple[str, ...]](tuple(_LABEL.findall(line[: 2 * _WIDTH])) for line in lines)
    common, hits = labels.most_common(1)[0]
    if len(lines) < 3 or len(common) < 2 or hits < 0.8 * len(lines):
        return None
    return Form(f"lines of labelled fields: {listed([*common])}", first=0)


def _table(sample: Sample) -> Optional[Form]:
    for delimiter, name in _DELIMITERS.items():
        rows = _rows(sample, delimiter)
        width = len(rows[0]) if rows else 0
        if width < 2 or sum(len(row) == width for row in rows) < _MOST * len(rows):
            continue
        if len(rows) > 2 and _is_header(rows):
            columns = listed([*map(word, rows[0])])
            return Form(f"{name}, {width} columns: {columns}", first=1, records=_count_rows(sample, delimiter, 1))
        if len(rows) > 4 and any(map(_NUMBER.match, itertools.chain.from_iterable(rows))):
            words = f"{name}, {width} columns, no header line"
            return Form(words, first=0, records=_count_rows(sample, delimiter, 0))
    return None


def _rows(sample: Sample, delimiter: str) -> List[List[str]]:
    """The first rows; not the last of the sample, which may be cut."""
    rows: List[List[str]] = []
    text = io.StringIO(sample.head[: 1 << 16].lstrip("\ufeff"), newline="")
    try:
        rows.extend(itertools.islice(csv.reader(text, delimiter=delimiter), _ROWS + 1))
    except csv.Error:
        return []
    complete = rows if sample.whole and len(rows) <= _ROWS else rows[:-1]
    return [row for row in complete if row]


def _count_rows(sample: Sample, delimiter: str, header: int) -> Optional[int]:
    if not sample.whole:
        return None
    try:
        return sum(map(bool, csv.reader(io.StringIO(sample.head, newline=""), delimiter=delimiter))) - header
    except csv.Error:
        return None


def _is_header(rows: List[List[str]]) -> bool:
    cells = [cell.strip() for cell in rows[0]]
    names = cells if cells[0] else cells[1:]  # pandas gives its index no name
    named = all(0 < len(name) <= 60 and not _NUMBER.match(name) and name[-1] not in ".!?:;" for name in names)
    return named and len(set(names)) == len(names) and rows[0] not in rows[1:]


def _markup(sample: Sample) -> Optional[Form]:
    start = sample.head[: 1 << 16].lstrip("\ufeff \t\r\n")
    tags = Counter[str](_TAG.findall(start)) if start.startswith("<") else Counter[str]()
    if sum(tags.values()) < 3:
        return None
    name = "HTML" if re.match(r"(?i)<!doctype html|<html", start) else "XML or HTML"
    return Form(f"{name}; commonest tags: {listed([tag for tag, _ in tags.most_common(8)])}")


def _code(sample: Sample) -> Optional[Form]:
    lines = [line[:_WIDTH] for line in _spread(sample.lines, 5 * _LINES)]
    defined = sum(_DEFINITION.match(line) is not None for line in lines)
    hits = defined + sum(_CODE.match(line) is not None for line in lines)
    return Form("program code") if len(lines) > 2 and defined and hits >= 0.5 * len(lines) else None


def _headings(sample: Sample) -> Optional[Form]:
    lines = [line[:_WIDTH].rstrip() for line in sample.lines]
    marked = [match[1].rstrip("# ") for match in map(_HEADING.match, lines) if match]
    underlined = [
        lines[i - 1].strip()
        for i in range(1, len(lines))
        if _UNDERLINE.match(lines[i]) and not _UNDERLINE.match(lines[i - 1]) and len(lines[i - 1]) <= len(lines[i]) + 2
    ]
    name, found = (
        ("Markdown", marked) if len(marked) >= len(underlined) else ("text with underlined titles", underlined)
    )
    if len(found) < 2:
        return None
    count = f"{len(found):,} headings" if sample.whole else "headings"
    return Form(
        f"{name}; {count}, such as {listed([show(heading, 40) for heading in _spread([*dict.fromkeys(found)], 6)])}"
    )


def _prose(sample: Sample) -> Optional[Form]:
    text = sample.head[:20_000]
    letters = sum(c.isalpha() or c.isspace() for c in text)
    sentences = sum(1 for _ in _SENTENCE.finditer(text))
    return Form("prose") if letters >= 0.8 * len(text) and sentences >= max(1, len(text) / 600) else None


def _spread(items: List[Any], count: int) -> List[Any]:
    """At most ``count`` items, evenly spaced, the first and last among them."""
    if len(items) <= count:
        return items
    return [items[i * (len(items) - 1) // (count - 1)] for i in range(count)]


_DETECTORS: Tuple[Callable[[Sample], Optional[Form]], ...] = (
    _json_lines,
    _json,
    _log,
    _labelled,
    _table,
    _markup,
    _code,
    _headings,
    _prose,
)
