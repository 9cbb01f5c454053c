"""What a run leaves: its answer, what it used, and its record."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any, cast

from .engine.errors import InputError, hint
from .engine.events import BODY_FIELDS
from .engine.prompt import as_text
from .engine.replay import recorded_usage
from .engine.tree import Node, Tree
from .engine.types import Answer, Json, Message, Outcome, Usage
from .models import conceal
from .trace import is_live, read_events
from .view import clean, document, page

INTERRUPTED = "interrupted: its process ended before the run did"
UNDER_WAY = "the run is still under way"
SHOWN_ANSWER = 60  # characters
PAGE = 20_000  # characters
AS_SUBMITTED = object()


class NodeView:
    """One node of the recursion tree; its fields are attributes (see `rlm_magic.engine.events`).

    A field that refers to a text (``code``, ``output``, ``reply``, ``reasoning``, ``answer``) gives the text,
    ``prompt`` a list of messages; None if the node has none or the record did not keep it.

    Attributes:
        id, kind, parent, depth, status, label, children, human: as folded; ``children`` and ``parent`` are node ids.
        opened, closed: seconds since the run opened; ``closed`` is None if the node never ended.
        sums: roll-up of the node and all below it.
    """

    def __init__(self, tree: Tree, node: Node) -> None:
        self._tree = tree
        self._node = node

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in BODY_FIELDS:
            return self._text(self._node.fields.get(name))
        if name in self._node.fields:
            return self._node.fields[name]
        try:
            return getattr(self._node, name)
        except AttributeError:
            raise AttributeError(f"node {self._node.id} ({self._node.kind}) has no field {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*Node.__slots__, "label", *BODY_FIELDS, *self._node.fields})

    def __repr__(self) -> str:
        return f"<{self._node.kind} {self._node.id} {self._node.status}: {self._node.label!r}>"

    def _text(self, value: Any) -> str | list[Message] | None:
        if not isinstance(value, list):
            return self._tree.body(value)
        messages = cast("list[dict[str, Any]]", value)
        return [Message(each["role"], self._tree.body(each) or each["preview"]) for each in messages]

    def as_json(self) -> dict[str, Any]:
        """The node with its texts in place of the references to them."""
        fields = {name: getattr(self, name) for name in self._node.fields}
        if isinstance(fields.get("prompt"), list):
            fields["prompt"] = [asdict(message) for message in fields["prompt"]]
        return {**asdict(self._node), "fields": fields}


class Result:
    """How a run ended; ``str`` of it is the answer, with keys masked.

    Attributes:
        answer: the value as it was submitted, JSON-able; of the type that was asked for, if one was.
        status: answered, forced (by a limit), stopped, limit or failed.
        reason: one line for every status but "answered".
        run_id: names the run's record, as in ``%rlm show RUN_ID``.
        trace: the record's file.
        tree: the folded record.
    """

    def __init__(self, answer: Answer, tree: Tree, run_id: str, path: Path, *, typed: object = AS_SUBMITTED) -> None:
        self.answer: Any = answer.value if typed is AS_SUBMITTED else typed
        self._text = "" if answer.value is None else conceal(as_text(answer.value))
        self.status: Outcome = answer.outcome
        self.reason = conceal(answer.reason)
        self.usage = answer.usage
        self.tree = tree
        self.run_id = run_id
        self.trace = path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Read a recorded run; needs no kernel and no model. What of the record is damaged is said in `reason`.

        Raises:
            InputError: the file is not there, is no record, or was written by a newer version.
        """
        reading = read_events(path)
        tree = Tree(reading.events)
        return cls(_answer(tree, reading.notice, Path(path)), tree, reading.run_id, Path(path))

    @property
    def cost(self) -> float | None:
        """US dollars; None where a price is unknown."""
        return self.usage.cost

    @property
    def nodes(self) -> list[NodeView]:
        """The nodes of the recursion tree, in order of opening."""
        return [NodeView(self.tree, node) for node in self.tree.nodes.values()]

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to a file: .jsonl the record itself, .html a page, .md a report, .json nodes with their texts.

        Raises:
            InputError: another suffix, or the file cannot be written.
        """
        target = Path(path).expanduser()
        if target.suffix not in _EXPORTS:
            raise InputError(_unknown_suffix(target))
        try:
            _EXPORTS[target.suffix](self, target)
        except (OSError, shutil.SameFileError) as error:
            raise InputError(f"{target} cannot be written: {getattr(error, 'strerror', None) or error}") from None
        return target

    def __str__(self) -> str:
        return self._text

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What a notebook shows of it: the answer in full, as far as a page can hold it."""
        text = clean(str(self))
        shown = text if len(text) <= PAGE else f"{text[:PAGE]}\n… {len(text) - PAGE:,} more characters"
        printer.text(shown or repr(self))

    def __repr__(self) -> str:
        text = str(self)
        text = text if len(text) <= SHOWN_ANSWER else f"{text[: SHOWN_ANSWER - 1]}…"
        return f"<Result {self.status}: {text or self.reason!r}>"


def _answer(tree: Tree, notice: str, path: Path) -> Answer:
    fields = tree.root.fields if tree.root else {}
    if tree.root is None or tree.root.closed is None:
        reason = UNDER_WAY if is_live(path) else INTERRUPTED
        return Answer("stopped", None, _usage(tree), f"{reason}; {notice}" if notice else reason)
    reason = "; ".join(part for part in (str(fields.get("reason") or ""), notice) if part)
    return Answer(fields.get("outcome", "failed"), _value(tree, fields), _usage(tree), reason)


def _value(tree: Tree, fields: dict[str, Any]) -> Json:
    text = tree.body(fields.get("answer"))
    return json.loads(text) if text is not None and fields.get("answer_json") else text


def _usage(tree: Tree) -> Usage:
    used = (recorded_usage(node) for node in tree.nodes.values())
    return reduce(Usage.__add__, (usage for usage in used if usage is not None), Usage())


def _unknown_suffix(target: Path) -> str:
    near = hint(target.suffix, _EXPORTS, "give the file one of these endings")
    return f"{target.name} does not end in {', '.join(_EXPORTS)}: {near}"


def _copy(result: Result, target: Path) -> None:
    shutil.copyfile(result.trace, target)


def _html(result: Result, target: Path) -> None:
    label = result.tree.root.label if result.tree.root else result.run_id
    target.write_text(page(result.tree, label), encoding="utf-8")


def _markdown(result: Result, target: Path) -> None:
    target.write_text(document(result.tree), encoding="utf-8")


def _json(result: Result, target: Path) -> None:
    whole = {
        "run": result.run_id,
        "status": result.status,
        "reason": result.reason,
        "answer": _value(result.tree, result.tree.root.fields) if result.tree.root else None,
        "usage": asdict(result.usage),
        "nodes": [node.as_json() for node in result.nodes],
    }
    target.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


_EXPORTS: dict[str, Callable[[Result, Path], None]] = {
    ".jsonl": _copy,
    ".html": _html,
    ".md": _markdown,
    ".json": _json,
}
