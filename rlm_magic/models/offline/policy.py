"""The offline root model: a state machine over the messages.

    probe -> (access log)        compute                    -> submit
          -> (tables, JSON ...)  survey -> compute          -> submit
          -> (categories)        survey -> classify -> compute -> submit
          -> (text)              find (-> inner -> outer | joined) -> extract -> submit

Each arrow is one reply with one cell, chosen from the question and what the earlier cells reported; a cell that made no
report is sent once more. Where the question is not understood, or what was found does not settle it, the policy
abstains: it submits a sentence that says so, and the closest lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_magic.engine.types import Message

from . import cells, labels, lookup
from .formats import ACCESS_LOG, PLAIN_LINES, Format, detect, schema_of
from .grammar import understand
from .messages import Conversation, read
from .schema import NotUnderstood, Query, Schema
from .tokens import tokenize
from .words import content, ordered

LABEL = "offline policy, no language model"
CANNOT = f"The offline policy ({LABEL.partition(', ')[2]}) cannot answer this"
ESTIMATE = (
    "Estimate: the categories were given by sub-calls, with the offline reader by word statistics, and some are wrong."
)
MOST_UNREAD = 0.01
MOST_FAILURES = 2
CLEAR_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """One reply: a sentence for the reader of the trace, and a cell."""

    says: str
    stage: str
    code: str


class Abstain(Exception):
    """The question is not understood or not settled; the message says why."""


def reply(messages: Sequence[Message]) -> str:
    """The root's next reply. Deterministic: the same messages give the same reply."""
    conversation = read(messages)
    if conversation.forced:
        return f"{CANNOT} within the limits of this run."
    step = _step(conversation)
    return f"{step.says}\n\n```repl\n{cells.cell(step.stage, step.code)}```\n"


def _step(conversation: Conversation) -> Step:
    try:
        return _next(conversation)
    except NotUnderstood as reason:
        return _abstention(conversation, f"it does not understand {reason}")
    except Abstain as reason:
        return _abstention(conversation, str(reason))


def _abstention(conversation: Conversation, reason: str) -> Step:
    terms = ordered(content(conversation.question))[:30]
    lines = conversation.reports.get("probe", {}).get("lines", 0)
    readable = bool(lines) and conversation.failures <= MOST_FAILURES
    sentence = f"{CANNOT}: {reason}."
    closest = " Closest lines:" if readable else ""
    says = f"This is the {LABEL}. It cannot answer this question: {reason}. It answers nothing rather than guess."
    return Step(says, "abstain", cells.abstain(sentence + closest, terms, passages=readable))


def _next(conversation: Conversation) -> Step:
    if not conversation.has_context:
        raise Abstain("there is no context, and it knows nothing by itself")
    if conversation.failures >= MOST_FAILURES:
        raise Abstain("its code failed twice")
    if "probe" not in conversation.reports:
        return Step(f"This is the {LABEL}. First, what the context looks like.", "probe", cells.probe())
    probe = conversation.reports["probe"]
    if not probe["lines"] and not probe["records"]:
        raise Abstain(
            f"the context is of type {probe['type']} or empty; it reads text, lists of lines, tables and JSON lines"
        )
    return _family(conversation, detect(probe))


def _family(conversation: Conversation, format: Format) -> Step:
    """The plan for this question and format."""
    if labels.split(conversation.question):
        return _labelled(conversation, format)
    if format.kind == "access log":
        return _computed(conversation, format, ACCESS_LOG)
    if format.kind != "text":
        survey = conversation.reports.get("survey")
        return _computed(conversation, format, schema_of(survey)) if survey else _survey(conversation, format)
    try:
        understand(conversation.question, PLAIN_LINES)
    except NotUnderstood:
        return _looked_up(conversation)
    return _computed(conversation, format, PLAIN_LINES)


def _survey(conversation: Conversation, format: Format) -> Step:
    says = f"The context holds records ({format.kind}). Which fields are there, and which hold words of the question?"
    return Step(says, "survey", cells.survey(format, _phrases(conversation.question)))


def _phrases(question: str) -> list[str]:
    """Runs of up to three tokens of the question: what could be a value of a field."""
    texts = [
        t.value if t.kind == "quoted" else t.text for t in tokenize(question) if t.kind not in ("end", "open", "close")
    ]
    return ordered(" ".join(texts[i : i + n]) for n in (1, 2, 3) for i in range(len(texts) - n + 1))


def _computed(conversation: Conversation, format: Format, schema: Schema) -> Step:
    query = understand(conversation.question, schema)
    found = conversation.reports.get("compute")
    if found is None:
        says = f"The context holds records ({format.kind}). The question asks for: {describe(query)}."
        return Step(says, "compute", cells.compute(format, schema, query))
    return _submitted(conversation, found)


def describe(query: Query) -> str:
    """A query in words, for the trace."""
    filters = [f"{f.field} {f.operator} {' or '.join(f.values)}" for f in query.filters]
    parts = [query.operation, query.target or "", f"by {query.measure}" if query.measure else "",
             f"where {' and '.join(filters)}" if filters else ""]  # fmt: skip
    return " ".join(p for p in parts if p)


def _submitted(conversation: Conversation, found: Mapping[str, Any], *notes: str) -> Step:
    """Submit a result, after the checks that it must pass, with what a reader has to know of it on the lines before."""
    if found["unread"] > MOST_UNREAD * (found["records"] + found["unread"]):
        raise Abstain(f"{found['unread']:,} of {found['records'] + found['unread']:,} lines could not be read")
    if not found["result"]:
        raise Abstain("no record fits the question")
    says = f"The result: {found['result'][:200]}"
    if conversation.refused:  # another type is asked for: the value alone
        return Step(says, "submit", cells.submit("result.splitlines()" if "list" in conversation.refused else "result"))
    remarks = "".join(f"{remark}\n" for remark in [*notes, *_remarks(found)])
    return Step(says, "submit", cells.submit(f"{remarks!r} + result" if remarks else "result"))


def _remarks(found: Mapping[str, Any]) -> list[str]:
    remarks: list[str] = []
    if found["unread"]:
        remarks.append(f"{found['unread']:,} lines could not be read and are left out.")
    if found["absent"]:
        remarks.append(f"{found['absent']:,} records have no value there and are left out.")
    for spellings in found["spellings"]:
        if len(spellings) > 1:
            remarks.append("Spellings taken as one: " + ", ".join(f"{name!r} ({n})" for name, n in spellings) + ".")
    return remarks


def _labelled(conversation: Conversation, format: Format) -> Step:
    categories, question = labels.split(conversation.question) or ([], "")
    reports = conversation.reports
    if "survey" not in reports:
        return _survey(conversation, format)
    schema = labels.schema(schema_of(reports["survey"]), categories)
    code = labels.count(question, schema)
    if "classify" not in reports:
        field = labels.text_field(reports["survey"])
        says = f"The categories are not in the data: sub-calls give each record one, from {field!r}; Python counts."
        return Step(says, "classify", labels.classify(format, field, categories))
    if reports["classify"]["missing"]:
        raise Abstain(f"{reports['classify']['missing']:,} records did not get a category")
    if "compute" not in reports:
        return Step("Every record has a category. Now the count.", "compute", code)
    return _estimated(conversation, reports["compute"])


def _estimated(conversation: Conversation, found: Mapping[str, Any]) -> Step:
    """A comparison is settled only if the difference is well beyond what mislabelled records can make."""
    rivals = found["rivals"]
    if len(rivals) == 2 and abs(rivals[0] - rivals[1]) <= CLEAR_MARGIN * (rivals[0] + rivals[1]) ** 0.5:
        raise Abstain(f"by its rough categories the first two, {rivals[0]} and {rivals[1]}, are too close to call")
    if conversation.refused:
        raise Abstain("it has an estimate only, and the type asked for leaves no room to say so")
    return _submitted(conversation, found, ESTIMATE)


def _looked_up(conversation: Conversation) -> Step:
    fact = lookup.parse(conversation.question)
    if fact is None or not fact.terms:
        raise Abstain("it does not know this kind of question about a text")
    if "extract" in conversation.reports:
        return _extracted(fact, conversation.reports["extract"])
    for stage in (_whole, _inner, _outer, _joined):
        step = stage(fact, conversation.reports)
        if step is not None:
            return step
    nowhere = lookup.spelled(fact, conversation.reports["find"]["missing"])
    raise Abstain(f"the text nowhere mentions {nowhere}" if nowhere else "no sentence holds all words of the question")


Reports = Mapping[str, Mapping[str, Any]]
Stage = Callable[[lookup.Fact, Reports], Step | None]


def _whole(fact: lookup.Fact, reports: Reports) -> Step | None:
    found = reports.get("find")
    if found is None:
        says = f"A text. Which sentences hold all of these words: {', '.join(fact.terms)}?"
        return Step(says, "find", lookup.find(fact, "find", fact.terms))
    nowhere = [t for t in found["missing"] if t in fact.names]
    if nowhere and (found["alike"] or fact.may_be_absent):
        return _not_found(fact, nowhere)
    return _read(fact, found)


def _not_found(fact: lookup.Fact, nowhere: Sequence[str]) -> Step:
    named = lookup.spelled(fact, nowhere)
    sentence = f"Not found: the text does not mention {named}."
    says = f"The text does not mention {named} anywhere."
    return Step(says, "submit", cells.submit(repr(lookup.NOT_FOUND if fact.may_be_absent else sentence)))


def _read(fact: lookup.Fact, found: Mapping[str, Any]) -> Step | None:
    """From sentences found to the cell that counts them or takes their values; None if there are none."""
    if found["doubtful"]:
        raise Abstain(f"{found['doubtful']} of the {found['count']} sentences found deny or doubt what they say")
    if not found["count"]:
        return None
    if fact.count:
        return Step(f"{found['count']:,} sentences say so.", "submit", cells.submit("str(len(found))"))
    shapes = lookup.shapes(fact, found["found"])
    if shapes is None:
        raise Abstain(f"it sees no single value in what it found: {found['found'][0]!r}")
    return Step(
        f"Found in {found['count']:,} sentences; the value is taken out of each.", "extract", lookup.extract(shapes)
    )


def _inner(fact: lookup.Fact, reports: Reports) -> Step | None:
    parts = lookup.split(fact)
    if parts is None or "inner" in reports:
        return None
    _, link, inner = parts
    says = f"No sentence holds all of it. First the {link} that the question describes."
    return Step(says, "inner", lookup.find(inner, "inner", inner.terms))


def _outer(fact: lookup.Fact, reports: Reports) -> Step | None:
    parts = lookup.split(fact)
    if parts is None:
        return None
    outer, link, inner = parts
    value = _bridge(inner, link, reports["inner"])
    if "outer" in reports:
        return _read(outer, reports["outer"])
    terms = ordered([*outer.terms, *content(value)])
    return Step(f"The {link} is {value}. Now the rest.", "outer", lookup.find(outer, "outer", terms))


def _bridge(inner: lookup.Fact, link: str, found: Mapping[str, Any]) -> str:
    values = ordered(lookup.value(inner, sentence, link) for sentence in found["found"])
    if len(values) != 1 or not values[0] or found["doubtful"]:
        raise Abstain(f"it cannot tell which {link} is meant")
    return values[0]


def _joined(fact: lookup.Fact, reports: Reports) -> Step | None:
    if "joined" in reports:
        return _read(fact, reports["joined"])
    says = "No line holds all of it. Once more over sentences that go on in the next line."
    return Step(says, "joined", lookup.find(fact, "joined", fact.terms, joined=True))


def _extracted(fact: lookup.Fact, found: Mapping[str, Any]) -> Step:
    if found["odd"]:
        raise Abstain(f"{found['odd']} of the sentences found are worded differently")
    if found["distinct"] == 1 or fact.many:
        return Step(f"The value: {', '.join(found['values'])[:200]}", "submit", cells.submit())
    if found["corrected"]:
        return Step(f"A later sentence corrects it: {found['corrected']}", "submit", cells.submit("corrected"))
    raise Abstain(f"the text gives several values: {', '.join(found['values'][:5])}")
