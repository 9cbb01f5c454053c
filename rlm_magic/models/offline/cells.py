"""The cells that the policy writes: each a piece of plain Python that ends by printing one marked report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .formats import TEXT, Format, loader
from .schema import Filter, Query, Schema

MARK = "RLM-OFFLINE"
PREFIX = "offline policy"
IMPORTS = {
    "import csv": "csv.",
    "import io": "io.",
    "import json": "json.",
    "import math": "math.",
    "import re": "re.",
    "from collections import Counter": "Counter(",
    "from datetime import datetime": "datetime.",
    "from itertools import combinations": "combinations(",
    "from pathlib import Path": "Path)",
}
SAMPLE_LINES, SAMPLE_CHARS = 12, 300
MISSING = ("", "-", "NA", "N/A", "nan", "NaN", "None", "null")
TERMS = 120
PASSAGE_LINES = 200_000
EXACT = ("access log", "text")


def report(stage: str, **fields: str) -> str:
    """Source that prints a report; each field is an expression."""
    body = "".join(f', "{name}": {expression}' for name, expression in fields.items())
    return f'print("{MARK}", json.dumps({{"stage": "{stage}"{body}}}, default=str))\n'


RESULT = report(
    "compute", records="len(records)", unread="len(unread)", chosen="len(chosen)", absent="absent", rivals="rivals",
    spellings="spellings", result="result[:1500]",
)  # fmt: skip


def cell(stage: str, body: str) -> str:
    """A whole cell: a comment by which its stage is known again, the imports that it needs, and its body."""
    used = [line for line, use in IMPORTS.items() if re.search(rf"(?<![\w.]){re.escape(use)}", body)]
    head = "\n".join([f"# {PREFIX}: {stage}", *used])
    return f"{head}\n\n{body}" if used else f"{head}\n{body}"


def probe() -> str:
    """What is the context: its type, size, and lines spread over all of it."""
    return (
        TEXT.split("\n\nlines")[0]
        + f"""

tabular = hasattr(context, "columns") or (isinstance(context, list) and context and isinstance(context[0], dict))
known = isinstance(context, (str, bytes, list, tuple)) or (isinstance(context, Path) and context.is_file())
lines = [line for line in text_of(context).split("\\n") if line.strip()] if known and not tabular else []
if any("\\0" in line for line in lines[:100]):      # a binary file
    lines = []
sample = [line.rstrip("\\r") for line in lines[1 :: max(1, len(lines) // {SAMPLE_LINES})][:{SAMPLE_LINES}]] or lines
objects, sound = [], 0
for line in sample:
    try:
        parsed = json.loads(line)
    except ValueError:
        continue
    if isinstance(parsed, dict):
        sound += 1
        objects.append({{key: str(value)[:200] for key, value in parsed.items()}})
"""
        + report(
            "probe", type="type(context).__name__", records="bool(tabular)", lines="len(lines)",
            head="lines[0][:1000] if lines else ''", sample=f"[line[:{SAMPLE_CHARS}] for line in sample]",
            objects="objects[:2]", json_share="sound / max(1, len(sample))",
        )
    )  # fmt: skip


def survey(format: Format, terms: Sequence[str]) -> str:
    """What the records hold: their fields, and which fields hold a phrase of the question as a whole value."""
    return (
        f"{loader(format)}"
        + f"""
names = list(dict.fromkeys(name for record in records for name in record))
terms = {list(terms)[:TERMS]!r}
wanted = {{term.casefold(): term for term in terms}}
columns, cells = [], {{}}
for name in names:
    values = [str(record.get(name) or "").strip() for record in records]
    filled = [value for value in values if value]
    present = {{value.casefold() for value in filled}}
    columns.append({{
        "name": name,
        "unique": len(set(values)) == len(records) > 1,
        "numeric": bool(filled) and all(re.fullmatch(r"-?\\d+(\\.\\d+)?", value) for value in filled),
        "iso_dates": bool(filled) and all(re.match(r"\\d{{4}}-\\d\\d-\\d\\d", value) for value in filled),
        "length": sum(map(len, filled)) // max(1, len(filled)),
    }})
    for term in wanted.keys() & present:
        cells.setdefault(wanted[term], []).append(name)
columns = columns[:40]
"""
        + report("survey", records="len(records)", unread="len(unread)", columns="columns", cells="cells")
    )


def compute(format: Format, schema: Schema, query: Query) -> str:
    """The result of a query as ``result``, a text. Tables are compared without regard to case and outer blanks."""
    return f"{loader(format)}\n\n{evaluate(format, schema, query)}"


def evaluate(format: Format, schema: Schema, query: Query) -> str:
    """As `compute`, for ``records`` and ``unread`` that the session holds already."""
    exact = format.kind in EXACT
    return f"{select(format, schema, query)}{OPERATIONS[query.operation](query, exact)}{RESULT}"


def select(format: Format, schema: Schema, query: Query) -> str:
    """Source that sets ``chosen``, the records that pass the filters, and what `RESULT` reports of them."""
    exact = format.kind in EXACT
    conditions = " and ".join(_condition(f, schema, exact) for f in query.filters)
    compared = [] if exact else [f.field for f in query.filters if f.operator == "eq"]
    spellings = ", ".join(f"Counter({_value(name)}.strip() for r in chosen).most_common(5)" for name in compared)
    return (
        f"{'' if exact else NUMBER}chosen = {f'[r for r in records if {conditions}]' if conditions else 'records'}\n"
        f"absent, rivals, spellings = 0, [], [{spellings}]\n"
    )


NUMBER = """\
def number(text):
    try:
        return float(text)
    except ValueError:
        return float("nan")      # compares as false


"""


SEVERAL = '''\
def several(names):
    """The names of a list with commas, each once, mail addresses left out."""
    return sorted({re.sub(r"<[^>]*>", "", name).strip() for name in names.split(",")} - {""})


'''


def _value(name: str) -> str:
    return f'str(r.get({name!r}) or "")'


def _condition(f: Filter, schema: Schema, exact: bool) -> str:
    """A filter as a Python expression."""
    text = f"r[{f.field!r}]" if exact else f"{_value(f.field)}.strip().casefold()"
    values = f.values if exact else tuple(v.strip().casefold() for v in f.values)
    if schema.field(f.field).numeric and f.operator in SYMBOLS:
        text, values = text if exact else f"number({text})", tuple(map(_literal, f.values))
    else:
        values = tuple(map(repr, values))
    one = values[0] if len(values) == 1 else f"({', '.join(values)})"
    if f.operator in SYMBOLS:
        return f"{text} {SYMBOLS[f.operator] if len(values) == 1 else 'in'} {one}"
    if f.operator == "contains":
        return f"any(v in {text} for v in {one})" if len(values) > 1 else f"{one} in {text}"
    method = "endswith" if f.operator == "ends" else "startswith"
    return f"{'not ' if f.operator == 'not_starts' else ''}{text}.{method}({one})"


def _literal(number: str) -> str:
    return f"{float(number):g}" if "." in number else str(int(number))


def _values(query: Query, exact: bool) -> str:
    """Source that sets ``values``, the target's values of the chosen records, and ``absent``, how many have none."""
    value = f"r[{query.target!r}]" if exact else f"{_value(query.target or '')}.strip()"
    each = f"name for r in chosen for name in several({value})" if query.multi else f"{value} for r in chosen"
    return (
        f"{SEVERAL if query.multi else ''}values = [{each}]\n"
        f"absent = sum(value in {MISSING!r} for value in values)\n"
        f"values = [value for value in values if value not in {MISSING!r}]\n"
    )


def _count(query: Query, exact: bool) -> str:
    return "result = str(len(chosen))\n"


def _grouped(query: Query, exact: bool) -> str:
    if query.measure:
        name, measure = f"r[{query.target!r}]", f"r[{query.measure!r}]"
        return f"counts = Counter()\nfor r in chosen:\n    counts[{name}] += {measure}\n"
    return _values(query, exact) + "counts = Counter(values)\n"


def _having(query: Query) -> str:
    if query.having is None:
        return ""
    symbol = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}[query.having[0]]
    return f"counts = {{name: n for name, n in counts.items() if n {symbol} {query.having[1]}}}\n"


def _distinct(query: Query, exact: bool) -> str:
    return f"{_grouped(query, exact)}{_having(query)}result = str(len(counts))\n"


def _list(query: Query, exact: bool) -> str:
    return f'{_grouped(query, exact)}{_having(query)}result = "\\n".join(map(str, sorted(counts)))\n'


def _number(query: Query, exact: bool) -> str:
    held = f"r[{query.target!r}] for r in chosen"
    amounts = f"[{held}]" if exact else f"[number(r[{query.target!r}]) for r in chosen if r.get({query.target!r})]"
    figure = {
        "sum": "sum(amounts)",
        "mean": "sum(amounts) / len(amounts)",
        "max": "max(amounts)",
        "min": "min(amounts)",
    }
    return (
        f"amounts = {amounts}\nfigure = {figure[query.operation]}\n"
        'result = f"{figure:.12g}" if figure % 1 else str(int(figure))\n'
    )


def _top(query: Query, exact: bool) -> str:
    """The first ``k`` groups, and those that tie with the last of them."""
    down = query.operation != "bottom"
    size = "-item[1]" if down else "item[1]"
    lines = [
        f"ranked = sorted(counts.items(), key=lambda item: ({size}, item[0]))",
        "rivals = [n for _, n in ranked[:2]]",
    ]
    if query.operation == "groups":
        lines.append("top = ranked")
    else:
        lines.append(f"last = ranked[:{query.k}][-1][1] if ranked else 0      # who ties with the last is shown too")
        lines.append(f"top = [(name, n) for name, n in ranked if n {'>=' if down else '<='} last]")
        lines.append("absent = absent if absent >= last else 0")
    counted = query.with_count or query.k > 1 or query.operation == "groups"
    lines.append(f"""result = "\\n".join({'f"{name} {n}"' if counted else "str(name)"} for name, n in top)\n""")
    return _grouped(query, exact) + "\n".join(lines)


SYMBOLS = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
OPERATIONS = {
    "count": _count, "distinct": _distinct, "list": _list, "sum": _number, "mean": _number, "max": _number,
    "min": _number, "top": _top, "bottom": _top, "groups": _top,
}  # fmt: skip


def submit(expression: str = "result") -> str:
    """Submit an answer, by default the last result."""
    return f'answer["content"] = {expression}\nanswer["ready"] = True\n'


def abstain(sentence: str, terms: Sequence[str], *, passages: bool) -> str:
    """Submit a sentence, and the lines that hold most of the question's words, rare words counting more."""
    if not passages:
        return submit(repr(sentence))
    return (
        f"{TEXT}\nlines = lines[:{PASSAGE_LINES}]\nterms = {list(terms)!r}\n"
        + PASSAGES
        + submit(f'"\\n".join([{sentence!r}, *closest])')
    )


PASSAGES = """\
low = [line.casefold() for line in lines]
weight = {term: math.log((len(low) + 1) / (1 + sum(term in line for line in low))) for term in terms}
score = [sum(weight[term] for term in terms if term in line) for line in low]
best = sorted(range(len(lines)), key=lambda i: (-score[i], i))[:3]
closest = [f"- {lines[i][:200]}" for i in best if score[i] > 0]
print("\\n".join(closest))
"""
