"""Formats of records: how to tell one from a sample of lines, how to read it, what a question may call its fields."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from .schema import Field, Schema
from .tokens import tokenize
from .vocabulary import CUES
from .words import spaced, stem

ACCESS_LINE = re.compile(r'\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:[^\]]+\] "[^"]*" \d{3} ')
HEADER_BLOCK = re.compile(r"(?:[A-Z][\w-]*: .*\n){2,}")
PAIR = re.compile(r"[A-Za-z][\w -]*: ")
DELIMITERS = (",", ";", "\t", "|")
PAIR_SEPARATORS = (" || ", " | ", "; ")
MOSTLY = 0.9
TEXT_CHARS = 20  # mean length from which on the longest column is the text of a record, and names it

ACCESS_LOG = Schema(
    fields=(
        Field("client", ("client address", "address", "ip", "ip address", "client ip", "host", "visitor"),
              entity=True),
        Field("path", ("request path", "url", "page", "resource", "request url", "requested path")),
        Field("status", ("http status", "status code", "http status code", "response code", "response status",
                         "http code", "error", "http error")),
        Field("bytes", ("byte", "bytes of response"), numeric=True, unit=True),
        Field("method", ("http method", "request method", "verb")),
        Field("referer", ("referrer", "referring page"), long=True),
        Field("agent", ("user agent", "user-agent", "client software"), entity=True, long=True),
        Field("day", ("date", "calendar day")),
        Field("hour", ("hour of the day",), numeric=True),
        Field("protocol", ("http version", "http protocol")),
    ),
    rows=("request", "hit", "response", "line", "entry", "record", "requested", "access log", "log", "log line",
          "web server", "server log", "time"),
    typed={"address": "client", "path": "path", "class": "status", "date": "day"},
    cells={str(code.value): ("status",) for code in HTTPStatus},
    words={m: ("method", m) for m in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")},
)  # fmt: skip
TABLE_ROWS = tuple(spaced("row record line item entry document query ticket message request log time"))
PLAIN_LINES = Schema(fields=(Field("text", (), long=True),), rows=("line", "log line", "row"), typed={"quoted": "text"})


@dataclass(frozen=True, slots=True)
class Format:
    """``kind`` is a key of `LOADERS`; ``detail`` its parameter: delimiter, separator, or the key of headed texts."""

    kind: str
    detail: str = ""


def detect(probe: Mapping[str, Any]) -> Format:
    """The format of a context, from the report of the probing cell."""
    if probe.get("records"):
        return Format("records")
    sample: list[str] = probe.get("sample") or []
    if _most(ACCESS_LINE.match(line) for line in sample):
        return Format("access log")
    if sample and probe.get("objects") and probe.get("json_share", 0) >= MOSTLY:
        return Format("JSON lines", _headed(probe["objects"]))
    for separator in PAIR_SEPARATORS:
        if _most(_is_pairs(line, separator) for line in sample):
            return Format("pairs", separator)
    return _delimited(probe.get("head", ""), sample) or Format("text")


def _most(hits: Any) -> bool:
    found = [bool(h) for h in hits]
    return bool(found) and sum(found) / len(found) >= MOSTLY


def _is_pairs(line: str, separator: str) -> bool:
    parts = line.split(separator)
    return len(parts) > 1 and all(PAIR.match(p) for p in parts[:2])


def _headed(objects: Sequence[Mapping[str, str]]) -> str:
    """The key whose texts open with a block of "Name: value" lines; "" if there is none."""
    keys = [k for k in objects[0] if all(HEADER_BLOCK.match(o.get(k, "")) for o in objects)]
    return keys[0] if keys else ""


def _delimited(head: str, sample: Sequence[str]) -> Format | None:
    for delimiter in DELIMITERS:
        names, *rows = csv.reader([head, *sample], delimiter=delimiter)
        widths = [len(row) for row in rows]
        if len(names) > 1 and _are_names(names) and _most(w == len(names) for w in widths):
            return Format("delimited", delimiter)
    return None


def _are_names(header: Sequence[str]) -> bool:
    names = header if header[0] else header[1:]  # pandas gives its index no name
    plain = all(re.fullmatch(r"[^\W\d][\w .()/%#-]{0,40}", n.strip().replace("\ufffd", "x")) for n in names)
    return plain and len(set(names)) == len(names)


def schema_of(survey: Mapping[str, Any]) -> Schema:
    """The schema of a table, from the report of the surveying cell."""
    columns: list[dict[str, Any]] = survey["columns"]
    parts = Counter(part for c in columns for part in set(_parts(c["name"])))
    taken = {t.value for wordings in CUES.values() for w in wordings for t in tokenize(w)}
    texts = [c for c in columns if c["length"] >= TEXT_CHARS]
    stand_in = max(texts, key=lambda c: c["length"], default=None)
    fields = tuple(
        _column(c, [p for p in _parts(c["name"]) if parts[p] == 1 and stem(p) not in taken], c is stand_in)
        for c in columns
    )
    dates = [c["name"] for c in columns if c["iso_dates"]]
    cells = {term: tuple(homes) for term, homes in survey["cells"].items()}
    typed = {"date": dates[0]} if len(dates) == 1 else {}
    fields = tuple(
        replace(f, names=(*f.names, f"{f.name} date", "date")) if f.name in typed.values() else f for f in fields
    )
    return Schema(fields, TABLE_ROWS, typed, cells, surveyed=True)


def _column(column: Mapping[str, Any], alone: Sequence[str], stand_in: bool) -> Field:
    key = bool(column["unique"]) or stand_in
    names = (" ".join(_parts(column["name"])), *alone)
    return Field(column["name"], names, numeric=bool(column["numeric"]), entity=key, key=key)


def _parts(name: str) -> list[str]:
    """The words of a column's name: "Raw_Guest_List", "guestName"."""
    opened = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [p for p in re.split(r"[\W_]+", opened.lower()) if p]


TEXT = """\
def text_of(value):
    if isinstance(value, Path):
        value = value.read_bytes()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else "\\n".join(map(str, value))


lines = [line.rstrip("\\r") for line in text_of(context).split("\\n") if line.strip()]
"""

ACCESS_LOADER = """\
# host, two names, time, request, status, size; then referer and agent, which a line that was cut short may lack.
LINE = re.compile(
    r'(\\S+) \\S+ \\S+ \\[([^\\]]+)\\] "((?:[^"\\\\]|\\\\.)*)" (\\d{3}) (\\d+|-)'
    r'(?: "((?:[^"\\\\]|\\\\.)*)"(?: "((?:[^"\\\\]|\\\\.)*)"?)?)?'
)


def parse(line):
    client, time, request, status, size, referer, agent = LINE.match(line).groups()
    when = datetime.strptime(time.split()[0], "%d/%b/%Y:%H:%M:%S")
    method, path, protocol = (request.split() + ["", "", ""])[:3]
    return {"client": client, "day": str(when.date()), "hour": when.hour, "method": method, "path": path,
            "protocol": protocol, "status": status, "bytes": 0 if size == "-" else int(size),
            "referer": referer or "", "agent": agent or ""}
"""

JSON_LOADER = """\
def parse(line):
    return {key: plain(value) for key, value in json.loads(line).items()}


def plain(value):
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
"""

HEADED_LOADER = """\
def parse(line):
    document = json.loads(line)
    record, name = {{key: str(value) for key, value in document.items() if key != {detail!r}}}, ""
    for row in document[{detail!r}].split("\\n\\n", 1)[0].split("\\n"):
        if row[:1] in (" ", "\\t") and name:          # a long value goes on in the next row
            record[name] += " " + row.strip()
        elif ":" in row:
            name, _, value = row.partition(":")
            record[name] = value.strip()
    return record
"""

PAIRS_LOADER = """\
def parse(line):
    return dict(pair.split(": ", 1) for pair in line.split({detail!r}))
"""

LINE_LOADER = """\
def parse(line):
    return {"text": line}
"""

EACH_LINE = """\
records, unread = [], []
for line in lines:
    try:
        records.append(parse(line))
    except (ValueError, KeyError, AttributeError):
        unread.append(line)
"""

TABLE_LOADER = """\
table = csv.reader(io.StringIO(text_of(context), newline=""), delimiter={detail!r})
names = [name or "index" for name in next(table)]
rows = [row for row in table if row]
records = [dict(zip(names, row)) for row in rows if len(row) == len(names)]
unread = [row for row in rows if len(row) != len(names)]
"""

RECORDS_LOADER = """\
def plain(value):
    return "" if value is None or value != value else str(value)


if hasattr(context, "to_dicts"):      # polars
    items = context.to_dicts()
elif hasattr(context, "to_pylist"):      # pyarrow
    items = context.to_pylist()
else:
    items = context.to_dict("records") if hasattr(context, "columns") else context
records = [{str(key): plain(value) for key, value in item.items()} for item in items]
unread = []
"""

LOADERS: Mapping[str, tuple[str, ...]] = {
    "access log": (TEXT, ACCESS_LOADER, EACH_LINE),
    "JSON lines": (TEXT, JSON_LOADER, EACH_LINE),
    "headed JSON lines": (TEXT, HEADED_LOADER, EACH_LINE),
    "pairs": (TEXT, PAIRS_LOADER, EACH_LINE),
    "delimited": (TEXT, TABLE_LOADER),
    "text": (TEXT, LINE_LOADER, EACH_LINE),
    "records": (RECORDS_LOADER,),
}


def loader(format: Format) -> str:
    """Source that sets ``records``, dicts of str (size and hour of an access log are int), and ``unread``, the rest."""
    headed = format.kind == "JSON lines" and format.detail
    parts = LOADERS["headed JSON lines" if headed else format.kind]
    own = {HEADED_LOADER, PAIRS_LOADER, TABLE_LOADER}
    return "\n\n".join(p.format(detail=format.detail) if p in own else p for p in parts)
