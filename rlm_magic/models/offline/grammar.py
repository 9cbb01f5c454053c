"""From a question to a query over records, or to the words that were not understood.

A question is understood only if *every* word of it is: as a cue of `vocabulary.CUES`, a field or a value of the schema,
or a filler. One word left over, and the policy abstains; so a question that asks for more than this grammar knows is
not answered as if it asked for less. To teach it a wording, add a row to `CUES` or to a schema's names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise, zip_longest

from .cues import Cue, recognise, without_notes
from .schema import Field, Filter, NotUnderstood, Query, Schema
from .tokens import tokenize
from .vocabulary import BOUNDS, INTENTS, NEUTRAL, OPERATIONS, OPERATORS, RANKINGS, VALUES

MOST_GROUPS = 100  # beyond that a number beside "most" is rather a value, such as a status


def understand(question: str, schema: Schema) -> Query:
    """The query that a question means.

    Raises:
        NotUnderstood: a word, a value or the shape of the question is not covered.
    """
    tokens = without_notes(tokenize(question))
    if sum(t.text == "?" for t in tokens) > 1:
        raise NotUnderstood("two questions at once")
    cues = [c for c in recognise(tokens, schema) if c.kind not in ("filler", "end")]
    having = _having(cues)
    k = _take_number_of_groups(cues)
    filters = _filters(cues, schema)
    return _query(cues, schema, Query("list", filters=filters, having=having, k=k))


def _having(cues: Sequence[Cue]) -> tuple[str, int] | None:
    """A bound on the size of a group: "more than 100 requests"."""
    for op, number, row in zip(cues, cues[1:], cues[2:], strict=False):
        if op.kind in BOUNDS and number.kind == "number" and row.kind == "row":
            op.used = number.used = row.used = True
            return op.kind, int(float(number.value))
    return None


def _take_number_of_groups(cues: Sequence[Cue]) -> int:
    """How many groups are asked for: "top 5", "the 5 most frequent", "which 5 addresses"."""
    for a, b in pairwise(cues):
        number = b if b.kind == "number" and (a.text.lower() == "top" or a.kind == "list") else a
        ahead = number is b or (a.kind == "number" and b.kind in ("most", "least"))
        if ahead and number.value.isdigit() and 0 < int(number.value) <= MOST_GROUPS:
            number.used = True
            return int(number.value)
    return 1


def _filters(cues: Sequence[Cue], schema: Schema) -> tuple[Filter, ...]:
    found: list[Filter] = []
    for i, cue in enumerate(cues):
        if cue.kind in VALUES and not cue.used:
            new = _filter_at(cues, i, schema)
            joined = i > 0 and cues[i - 1].kind == "or"
            if joined and found and (found[-1].field, found[-1].operator) == (new.field, new.operator):
                cues[i - 1].used = True
                new = replace(new, values=found.pop().values + new.values)
            found.append(new)
    _refuse_contradiction(found)
    return tuple(found)


def _filter_at(cues: Sequence[Cue], i: int, schema: Schema) -> Filter:
    """The filter that the value at place ``i`` makes with the operator and the field beside it."""
    cue, at = cues[i], i
    operator = "eq"
    if i and cues[i - 1].kind in OPERATORS:
        at = i - 1
        operator = cues[at].kind
        cues[at].used = True
    elif i > 1 and cues[i - 1].kind == "field" and cues[i - 2].kind == "ne":  # "not answered with status 200"
        operator = "ne"
        cues[i - 2].used = True
    cue.used = True
    name = _field_of(cue, [*cues[max(0, at - 1) : at], *cues[i + 1 : i + 2]], schema)
    return _filter(schema.field(name), operator, cue, schema)


def _refuse_contradiction(filters: Sequence[Filter]) -> None:
    """No record has two values in one field: "404 and 500" must mean something else."""
    for a, b in combinations(filters, 2):
        if a.field == b.field and {a.operator, b.operator} <= {"eq", "starts"}:
            raise NotUnderstood(f"two values of {a.field!r} at once (say 'or')")


def _field_of(cue: Cue, beside: Sequence[Cue], schema: Schema) -> str:
    """The field that a value belongs to: the one named right before or behind it, or the only one that has it."""
    own = schema.typed.get(cue.kind) or (schema.words[cue.value][0] if cue.value in schema.words else "")
    homes = (own,) if own else schema.cells.get(cue.value, ())
    for near in beside:
        if near.kind == "field" and not near.used and _may_hold(schema.field(near.value), cue, homes):
            near.used = True
            return near.value
    if len(homes) != 1:
        raise NotUnderstood(f"which field {cue.text!r} belongs to")
    return homes[0]


def _may_hold(field: Field, cue: Cue, homes: Sequence[str]) -> bool:
    return not homes or field.name in homes or (cue.kind == "number" and field.numeric)


def _filter(field: Field, operator: str, cue: Cue, schema: Schema) -> Filter:
    value = schema.words[cue.value][1] if cue.value in schema.words else cue.value
    operator = {"before": "lt", "after": "gt"}.get(operator, operator)
    if operator in BOUNDS and not (field.numeric or cue.kind == "date"):
        raise NotUnderstood(f"a bound on {field.name!r}, which is no number")
    if operator in ("eq", "ne") and field.long:
        raise NotUnderstood(f"whether {cue.text!r} is all of {field.name!r}: say 'containing'")
    if operator == "eq" and schema.surveyed and field.name not in schema.cells.get(value, ()):
        raise NotUnderstood(f"{value!r}: no record has that as {field.name!r}")
    if cue.kind != "class":
        return Filter(field.name, operator, (value,))
    if operator not in ("eq", "ne"):
        raise NotUnderstood(f"{operator} {cue.text}")
    return Filter(field.name, "starts" if operator == "eq" else "not_starts", (value[0],))


def _query(cues: Sequence[Cue], schema: Schema, query: Query) -> Query:
    """Complete a query from the cues that no filter took; each of them must have a place."""
    free = [c for c in cues if not c.used]
    rest = _without_free_by(free, schema)
    strange = [c.text for c in rest if c.kind not in (*INTENTS, *NEUTRAL)]
    if strange:
        raise NotUnderstood(", ".join(repr(s) for s in strange))
    operation = _operation([c.kind for c in rest if c.kind in INTENTS])
    _check_count(rest, operation)
    _check_measure(free, schema, operation)
    kinds = {c.kind for c in rest}
    if query.k > 1 and operation not in RANKINGS:
        raise NotUnderstood(f"{query.k} of them, without an order")
    named = list({c.value: schema.field(c.value) for c in rest if c.kind == "field"}.values())
    filled = replace(query, operation=operation, with_count="with_count" in kinds, multi="multi" in kinds)
    return SHAPES[operation](filled, named)


def _operation(intents: Sequence[str]) -> str:
    operation = OPERATIONS.get(frozenset(intents))
    if operation is None or len(set(intents)) < len(intents):
        raise NotUnderstood(f"{' and '.join(intents)} in one question")
    return operation


def _check_count(rest: Sequence[Cue], operation: str) -> None:
    """ "and how many" asks for the size of the groups ranked, and for nothing that is named behind it."""
    at = next((i for i, c in enumerate(rest) if c.kind == "with_count"), None)
    if at is not None and (operation not in RANKINGS or any(c.kind == "field" for c in rest[at:])):
        raise NotUnderstood(f"{rest[at].text!r} here")


def _check_measure(free: Sequence[Cue], schema: Schema, operation: str) -> None:
    """Groups are ranked by a measure only where it is named right behind "most" or "by"."""
    for before, cue in pairwise(free):
        unit = cue.kind == "field" and schema.field(cue.value).unit
        if unit and operation in RANKINGS and before.kind not in ("most", "least", "per"):
            raise NotUnderstood(f"{cue.text!r} here")


def _without_free_by(cues: Sequence[Cue], schema: Schema) -> list[Cue]:
    """Without each "by" that asks for no groups: one that stands before no field, or before a measure."""

    def is_free(cue: Cue, after: Cue | None) -> bool:
        groups = after is not None and after.kind == "field" and not schema.field(after.value).unit
        return cue.text == "by" and not groups

    return [c for c, after in zip_longest(cues, cues[1:]) if not is_free(c, after)]


def _counted(query: Query, fields: list[Field]) -> Query:
    if not fields and query.having is None:
        return query
    (target,) = _exactly(fields, 1)
    if target.key and query.having is None:
        return query
    if target.unit and query.having is None:
        return replace(query, operation="sum", target=target.name)
    if not (target.entity or query.having):
        raise NotUnderstood(f"whether {target.name!r} is counted once for each value: say 'different'")
    return replace(query, operation="distinct", target=target.name)


def _targeted(query: Query, fields: list[Field]) -> Query:
    partial = [f.field for f in query.filters if f.operator in ("contains", "starts", "ends", "not_starts")]
    if not fields and len(partial) == 1:  # "which paths contain ..." names the field once
        return replace(query, target=partial[0])
    (target,) = _exactly(_beside_keys(fields), 1)
    return replace(query, target=target.name)


def _measured(query: Query, fields: list[Field]) -> Query:
    if query.operation == "sum" and not fields:
        return replace(query, operation="count")
    (target,) = _exactly(fields, 1)
    if not target.numeric:
        raise NotUnderstood(f"{query.operation} of {target.name!r}, which is not a number")
    if query.having is not None:
        raise NotUnderstood(f"{query.operation} over groups")
    return replace(query, target=target.name)


def _ranked(query: Query, fields: list[Field]) -> Query:
    if query.having is not None:
        raise NotUnderstood("a bound on the groups of a ranking")
    measures = [f for f in fields if f.unit]
    (target,) = _exactly(_beside_keys([f for f in fields if not f.unit]), 1)
    if len(measures) > 1:
        raise NotUnderstood("two measures")
    return replace(query, target=target.name, measure=measures[0].name if measures else None)


def _beside_keys(fields: list[Field]) -> list[Field]:
    """Without keys where another field is named: there they only stand for the records."""
    others = [f for f in fields if not f.key]
    return others or fields


def _exactly(fields: Sequence[Field], count: int) -> Sequence[Field]:
    if len(fields) != count:
        named = ", ".join(f.name for f in fields) or "none"
        raise NotUnderstood(f"the field asked for (fields named: {named})")
    return fields


SHAPES = {
    "list": _targeted, "count": _counted, "distinct": _targeted, "sum": _measured, "mean": _measured,
    "max": _measured, "min": _measured, "top": _ranked, "bottom": _ranked, "groups": _ranked,
}  # fmt: skip
