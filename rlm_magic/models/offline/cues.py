"""The cues of a question: each stretch of it is a known wording, a field or value of the schema, or a bare token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .schema import Schema
from .tokens import Token, tokenize
from .vocabulary import ANSWER_FORMATS, CUES, NOTE_STEMS
from .words import stem

IDENTIFIERS = ("id", "ids", "number", "numbers", "name", "names")  # behind a field's name they add nothing


@dataclass(slots=True)
class Cue:
    """A recognised stretch of the question. ``used`` once a rule has taken it."""

    kind: str
    value: str
    text: str
    used: bool = False


def without_notes(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without sentences and parentheses that only say how to answer."""
    kept: list[Token] = []
    start = 0
    for i, token in enumerate(tokens):
        if token.kind in ("end", "open", "close"):
            kept += _unless_note(tokens[start : i + 1])
            start = i + 1
    return kept + _unless_note(tokens[start:])


def _unless_note(part: Sequence[Token]) -> list[Token]:
    stems = {t.value for t in part if t.kind == "word"}
    if any(len(keys & stems) == len(keys) and stems <= allowed for keys, allowed in NOTE_STEMS) or _is_format(part):
        return [t for t in part if t.kind == "open"]
    return list(part)


def _is_format(part: Sequence[Token]) -> bool:
    """Like: Answer 'PATH COUNT'."""
    quoted = [t.value.split() for t in part if t.kind == "quoted"]
    opens = bool(part) and part[0].value == stem("answer")
    return opens and len(quoted) == 1 and len(quoted[0]) == 2 and quoted[0][-1] in ANSWER_FORMATS


def _lexicon(schema: Schema) -> dict[tuple[str, ...], tuple[str, str]]:
    """Every known wording, as written and as stems, to (kind, value). Fields of the schema come before general cues."""
    lexicon: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(wording: str, kind: str, value: str) -> None:
        tokens = tokenize(wording)
        lexicon.setdefault(_as_written(tokens), (kind, value))
        lexicon.setdefault(_stems(tokens), (kind, value))

    for f in schema.fields:
        for name in (f.name, *f.names):
            add(name, "field", f.name)
    for wording in schema.rows:
        add(wording, "row", wording)
    for kind, wordings in CUES.items():
        for wording in wordings:
            add(wording, kind, wording)
    return lexicon


def _as_written(tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple("=" + t.text.lower() for t in tokens)


def _stems(tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(t.value for t in tokens)


def recognise(tokens: Sequence[Token], schema: Schema) -> list[Cue]:
    lexicon = _lexicon(schema)
    cues: list[Cue] = []
    i = 0
    while i < len(tokens):
        cue, length = _cue_at(tokens, i, lexicon, schema, cues)
        cues.append(cue)
        i += length
    return _named_by_aside([c for c in cues if c.kind != "close"])


def _cue_at(
    tokens: Sequence[Token],
    i: int,
    lexicon: Mapping[tuple[str, ...], tuple[str, str]],
    schema: Schema,
    before: Sequence[Cue],
) -> tuple[Cue, int]:
    after_field = any(c.kind == "field" for c in [c for c in before if c.kind != "filler"][-1:])
    if after_field and (cell := _cell_at(tokens, i, schema)):
        return cell
    if tokens[i].text in schema.words:
        return Cue("cell", tokens[i].text, tokens[i].text), 1
    for length in range(min(5, len(tokens) - i), 0, -1):
        part = tokens[i : i + length]
        known = lexicon.get(_as_written(part)) or lexicon.get(_stems(part))
        if known is not None:
            return Cue(*known, " ".join(t.text for t in part)), length
    token = tokens[i]
    if token.kind == "word" and (cell := _cell_at(tokens, i, schema)):
        return cell
    return Cue(token.kind, token.value, token.text), 1


def _cell_at(tokens: Sequence[Token], i: int, schema: Schema) -> tuple[Cue, int] | None:
    """The longest run of tokens that some field holds as a whole value."""
    for length in range(min(5, len(tokens) - i), 0, -1):
        text = " ".join(t.text.strip("'\"“”`") for t in tokens[i : i + length])
        if text in schema.cells:
            return Cue("cell", text, text), length
    return None


def _named_by_aside(cues: Sequence[Cue]) -> list[Cue]:
    """An unknown noun with a field in brackets behind it, "members (bioguide ids)", means that field."""
    kept: list[Cue] = []
    for i, cue in enumerate(cues):
        aside = [c.kind for c in cues[i + 1 : i + 3]] == ["open", "field"]
        if not (cue.kind == "word" and aside) and cue.kind != "open":
            kept.append(cue)
    for i, cue in enumerate(kept):
        if cue.kind == "word" and i > 0 and kept[i - 1].kind == "field" and cue.text.lower() in IDENTIFIERS:
            cue.kind = "filler"
    return kept
