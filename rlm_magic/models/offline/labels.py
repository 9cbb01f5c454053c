"""Questions about categories that the data does not state: sub-calls give every record one, Python counts.

The question lists the categories behind a colon ("... one of these categories: A, B, C."). What remains of it is
understood like any question over records, with ``category`` as one more field; two shapes are known besides: which of
two categories has more, and pairs of owners that both have at least so many of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import cells
from .formats import Format, loader
from .grammar import understand
from .schema import Field, NotUnderstood, Query, Schema
from .words import spaced, stem, words

LEGEND = re.compile(
    r"[^.?!]*\b(?:categories|category|classes|labels|topics|kinds)\b[^.:?!]*:\s*(?P<list>[^.?!]+)[.]\s*", re.IGNORECASE
)
COMPARE = re.compile(
    r"are there more,? (?:or )?fewer,?(?: or equally many)? (?P<a>'[^']+') \w+ "
    r"(?:compared (?:with|to)|than) (?P<b>'[^']+') \w+\?",
    re.IGNORECASE,
)
PAIRS = re.compile(
    r"list all pairs of (?P<owner>[\w ]+?)s?(?: \([^)]*\))? where both (?P<noun>\w+) wrote (?P<needs>.+?)\.?$",
    re.IGNORECASE,
)
NEED = re.compile(r"at least (?P<n>\w+) (?P<category>'[^']+') \w+")
NUMBERS = {word: n for n, word in enumerate(spaced("one two three four five six seven eight nine ten"), 1)}
LINES_A_CALL = 400
CHARS_A_CALL = 80_000
LABELLED = Format("pairs")


def split(question: str) -> tuple[list[str], str] | None:
    """The categories that a question lists, and the question without that list; None if it lists none."""
    legend = LEGEND.search(question)
    if legend is None:
        return None
    categories = items(legend["list"])
    return (categories, question[legend.end() :].strip()) if len(categories) > 1 else None


def items(listed: str) -> list[str]:
    """The items of a list in a sentence.

    Quotes or semicolons decide. Between commas, "or" and "and" belong to an item unless they stand before the last
    one; three single words like "lost, stolen or compromised" inside a list are one item.
    """
    quoted = re.findall(r"'([^']+)'|\"([^\"]+)\"", listed)
    if quoted:
        return [a or b for a, b in quoted]
    if ";" in listed:
        return [p.strip() for p in listed.split(";") if p.strip()]
    parts = [p.strip() for p in listed.split(",") if p.strip()]
    last = re.sub(r"^(?:and|or) ", "", parts.pop()) if parts else ""
    merged: list[str] = []
    for part in parts:
        if merged and re.fullmatch(r"\w+ (?:or|and) \w+", part) and re.fullmatch(r"[a-z]+", merged[-1]):
            merged[-1] = f"{merged[-1]}, {part}"
        else:
            merged.append(part)
    return [*merged, *(re.split(r" (?:and|or) ", last) if len(merged) == 1 else [last])]


def schema(base: Schema, categories: Sequence[str]) -> Schema:
    """The schema of the records once each has a ``category``."""
    cells_ = dict(base.cells) | {c: ("category",) for c in categories}
    fields = tuple(replace(f, names=(*f.names, f"{f.name} id")) for f in base.fields)
    rows = (*base.rows, "query", "support query", "message", "ticket", "question", "comment", "review")
    return replace(base, fields=(*fields, Field("category", ("label", "class", "topic"))), rows=rows, cells=cells_)


def text_field(survey: Mapping[str, Any]) -> str:
    """The field to classify: the one with the longest texts."""
    return max(survey["columns"], key=lambda c: c["length"])["name"]


def classify(format: Format, field: str, categories: Sequence[str]) -> str:
    """The cell that gives every record a ``category`` by sub-calls, and asks once more for what did not come back."""
    return (
        f"{loader(format)}\n\ncategories = {list(categories)!r}\n"
        f"texts = [\" \".join(str(r.get({field!r}) or '').split()) for r in records]\n"
        + CLASSIFY.format(lines=LINES_A_CALL, chars=CHARS_A_CALL)
        + cells.report(
            "classify", records="len(records)", unread="len(unread)", missing="len(missing)", calls="calls",
            labels="Counter(labels.values())",
        )
    )  # fmt: skip


CLASSIFY = """\
head = "Give each numbered line one of the categories. Answer with 'number: category', one line for each.\\n"
head += "Categories: " + "; ".join(categories) + "\\nLines:\\n"
labels, calls = {{}}, 0
missing = list(range(len(texts)))
for _ in range(2):
    batches, size = [], 0
    for i in missing:
        if not batches or len(batches[-1]) == {lines} or size + len(texts[i]) > {chars}:
            batches.append([])
            size = 0
        batches[-1].append(i)
        size += len(texts[i])
    prompts = [head + "\\n".join(f"{{i}}: {{texts[i]}}" for i in batch) for batch in batches]
    calls += len(prompts)
    for batch, reply in zip(batches, llm_query_batched(prompts)):
        for line in reply.splitlines():
            number, _, category = line.partition(":")
            if number.strip().isdigit() and int(number) in batch and category.strip() in categories:
                labels[int(number)] = category.strip()
    missing = [i for i in missing if i not in labels]
    if not missing:
        break
for i, record in enumerate(records):
    record["category"] = labels.get(i, "")
"""


def count(question: str, schema: Schema) -> str:
    """The cell that answers the rest of the question from ``records``.

    Raises:
        NotUnderstood: it is of no known shape.
    """
    compared = COMPARE.search(question)
    if compared:
        return _compare(question, compared, schema)
    pairs = PAIRS.search(question)
    if pairs:
        return _pairs(pairs, schema)
    return cells.evaluate(LABELLED, schema, understand(question, schema))


def _compare(question: str, found: re.Match[str], schema: Schema) -> str:
    """More, fewer or equally many of one category than of another."""
    clause = understand(f"how many rows {question[: found.start()]}", schema)
    a, b = (found[name].strip("'") for name in ("a", "b"))
    return (
        cells.select(LABELLED, schema, clause)
        + f"rivals = [sum(r['category'] == name for r in chosen) for name in {[a, b]!r}]\n"
        + "result = 'more' if rivals[0] > rivals[1] else 'fewer' if rivals[0] < rivals[1] else 'equally many'\n"
        + cells.RESULT
    )


def _pairs(found: re.Match[str], schema: Schema) -> str:
    """All pairs of owners that both have at least so many records of each category."""
    owner = _owner(found["owner"], schema)
    needs = [(_number(m["n"]), m["category"].strip("'")) for m in NEED.finditer(found["needs"])]
    left = NEED.sub("", found["needs"])
    if not needs or [w for w in words(left) if w != "and"]:
        raise NotUnderstood(f"the condition {found['needs']!r}")
    enough = " and ".join(f"of[{category!r}] >= {n}" for n, category in needs)
    return (
        f"{cells.select(LABELLED, schema, Query('count'))}"
        "counts = {}\nfor r in records:\n"
        f"    counts.setdefault(r[{owner!r}], Counter())[r['category']] += 1\n"
        f"owners = sorted((name for name, of in counts.items() if {enough}), key=lambda name: (len(name), name))\n"
        'result = "\\n".join(f"({a}, {b})" for a, b in combinations(owners, 2))\n' + cells.RESULT
    )


def _owner(named: str, schema: Schema) -> str:
    stems = [stem(w) for w in words(named) if stem(w) != "id"]
    homes = [f.name for f in schema.fields if [stem(w) for w in words(f.name)] == stems]
    if len(homes) != 1:
        raise NotUnderstood(f"the field {named!r}")
    return homes[0]


def _number(word: str) -> int:
    if word.isdigit():
        return int(word)
    if word.lower() not in NUMBERS:
        raise NotUnderstood(repr(word))
    return NUMBERS[word.lower()]
