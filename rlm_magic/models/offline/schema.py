"""What a question may speak of, and what it was understood to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the records.

    Attributes:
        entity: "how many NAMEs" means different ones.
        unit: "how many NAMEs" means their sum.
        key: no value occurs twice, or it is the record's text: its name also is a noun for a record.
        long: nobody writes a value out, a phrase is only part of it.
    """

    name: str
    names: tuple[str, ...]
    numeric: bool = False
    entity: bool = False
    unit: bool = False
    key: bool = False
    long: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """What a question may speak of.

    Attributes:
        rows: nouns for one record.
        typed: kind of token to the field that such a value belongs to without being named.
        cells: value as written in the question to the fields that hold it.
        surveyed: ``cells`` is complete: a value that is not in it occurs nowhere.
        words: further words that mean a value of one field, as (field, value).
    """

    fields: tuple[Field, ...]
    rows: tuple[str, ...] = ("row", "record", "line", "item", "entry")
    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    surveyed: bool = False
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def field(self, name: str) -> Field:
        return next(f for f in self.fields if f.name == name)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one field; one of its values must fit.

    ``operator`` is "eq", "ne", one of `vocabulary.BOUNDS`, "contains", "starts", "not_starts" or "ends".
    """

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """``operation`` is a value of `OPERATIONS`; ``having`` bounds the number of records in a group."""

    operation: str
    target: str | None = None
    measure: str | None = None
    filters: tuple[Filter, ...] = ()
    k: int = 1
    with_count: bool = False
    having: tuple[str, int] | None = None
    multi: bool = False


class NotUnderstood(Exception):
    """The grammar does not cover this question; the message says which part."""
