"""A record as the `Replies` and the `Gate` of a run that resumes it: what was paid for, and decided, comes from there.

The cells run anew. A turn's reply is found by its place. A sub-call is found by what it asks within its cell, as
threads may ask in any order, and takes the number that it has in the record; so paths are the same in both runs.

A cell is *settled* if the record goes on after it: what it asked is known in full, failures and refusals included, and
anything else is a divergence. In the last cell of the record, what failed or was refused is asked anew.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from .budget import BYTES_PER_TOKEN
from .errors import Divergence, EmptyReply, LimitReached, ModelError, RLMError, SubCallFailed, ToolFailed, WindowError
from .events import Event, above
from .harness import NoReplies
from .ports import Gate
from .tree import Node, Tree
from .types import Completion, Decision, Usage

REFUSED = "a limit refused this call when the run was recorded"
FAILURES: dict[str, type[ModelError]] = {"EmptyReply": EmptyReply, "WindowError": WindowError}
GO_ON = "nothing was sent; ask the question anew with %%rlm, which pays for all of it again"
_ENDINGS: tuple[Literal["skip", "answer"], ...] = ("skip", "answer")
SHOWN = 60  # characters of code or prompt in a message


class RecordedReplies(NoReplies):
    """The replies of a recorded run; see the module. Also an `Observer` of the run that resumes it.

    ``records`` are that run's and those of the runs that it resumed itself, newest first.

    Attributes:
        notice: one line once a cell's output differs from the recorded one; empty until then.
    """

    def __init__(self, records: Sequence[Tree]) -> None:
        self.notice = ""
        self._tree = tree = _merged(records)
        self._settled = _settled(tree)
        self._left: dict[tuple[str, str, str], deque[int]] = defaultdict(deque)
        self._refused: dict[str, int] = {}
        self._highest: dict[str, int] = {}
        for cell in tree.nodes.values():
            if cell.kind == "exec":
                self._index(cell)

    def _index(self, cell: Node) -> None:
        children = [self._tree.nodes[name] for name in cell.children]
        for child in sorted(children, key=_number):
            self._left[cell.id, child.kind, str(child.fields.get("request"))].append(_number(child))
        self._highest[cell.id] = max(map(_number, children), default=0)
        known = sum(len(child.children) if child.kind == "batch" else 1 for child in children)
        self._refused[cell.id] = int(cell.fields.get("calls") or 0) - known

    def number(self, parent: str, kind: str, request: str, *, index: int | None, label: str) -> int | None:
        """See `Replies.number`."""
        if index is not None:
            if parent in self._settled and f"{parent}.{index + 1}" not in self._tree.nodes:
                raise SubCallFailed(REFUSED)
            return index + 1
        left = self._left.get((parent, kind, request))
        if left:
            return left.popleft()
        if parent in self._settled:
            raise self._unknown(parent, kind, label)
        self._highest[parent] = self._highest.get(parent, 0) + 1
        return self._highest[parent]

    def _unknown(self, cell: str, kind: str, label: str) -> SubCallFailed | Divergence:
        if kind != "batch" and self._refused[cell] > 0:
            self._refused[cell] -= 1
            return SubCallFailed(REFUSED)
        unasked = sorted(n for (at, _, _), numbers in self._left.items() if at == cell for n in numbers)
        expected = self._tree.nodes[f"{cell}.{unasked[0]}"] if unasked else None
        return _divergence(
            cell, f"{expected.kind} {expected.label}" if expected else "no further call", f"{kind} {label}"
        )

    def holds(self, node: str) -> bool:
        """See `Replies.holds`."""
        return node in self._tree.nodes

    def find(self, kind: str, node: str, request: str) -> Completion | RLMError | None:
        """See `Replies.find`."""
        recorded = self._tree.nodes.get(node)
        settled = any(each in self._settled for each in above(node))
        if recorded is None or recorded.kind != kind:
            return LimitReached("calls", REFUSED) if settled else None
        reply = self._tree.body(recorded.fields.get("reply"))
        if reply is not None:
            return self._completion(recorded, reply)
        return self._failure(recorded) if settled else None

    def result(self, node: str) -> str | ToolFailed | None:
        """See `Replies.result`."""
        recorded = self._tree.nodes.get(node)
        if recorded is None:
            return None
        result = self._tree.body(recorded.fields.get("result"))
        error: dict[str, str] = recorded.fields.get("error") or {}
        if result is None and error and recorded.parent in self._settled:
            return ToolFailed(error.get("message", ""))
        return result

    def _failure(self, node: Node) -> RLMError | None:
        if node.status == "limit":
            return LimitReached("calls", str(node.fields.get("reason")))
        if node.status != "error":
            return None
        error: dict[str, str] = node.fields.get("error") or {}
        return FAILURES.get(error.get("name", ""), ModelError)(error.get("message", "it failed when it was recorded"))

    def _completion(self, node: Node, reply: str) -> Completion:
        fields = node.fields
        reasoning = self._tree.body(fields.get("reasoning")) or ""
        finish_reason = str(fields.get("finish_reason", "stop"))
        retries = tuple(fields.get("retries", ()))
        return Completion(
            reply, recorded_usage(node) or Usage(), str(fields.get("model")), finish_reason, reasoning, retries
        )

    def decision(self, node: str, code: str) -> Decision | None:
        """What was decided of a cell; None if nothing was.

        Raises:
            Divergence: the record has other code there.
        """
        cell = self._tree.nodes.get(node)
        ran = self._tree.body(cell.fields.get("code")) if cell else None
        if cell is None or ran is None:
            return None
        edited_from = self._tree.body(cell.fields.get("code_proposed"))
        if code != (edited_from or ran):
            raise _divergence(node, edited_from or ran, code)
        said = _said(cell)
        if (ending := _ending(said)) is not None:
            return ending
        if edited_from is None and ("edit" in said or not (said or "output" in cell.fields)):
            return None
        return Decision("run", ran, said.get("hint", ""))

    def batch_decision(self, node: str) -> Decision | None:
        """What was decided of a batch; None if nothing was."""
        batch = self._tree.nodes.get(node)
        if batch is None or not (batch.human or batch.children):
            return None
        said = _said(batch)
        return _ending(said) or Decision("run", note=said.get("hint", ""))

    def __call__(self, event: Event) -> None:
        """Compare what a cell printed with the record."""
        recorded = self._tree.nodes.get(event.node)
        if event.type != "close" or recorded is None or self.notice or "output" not in event.data:
            return
        before = recorded.fields.get("output")
        if before is not None and before["sha256"] != event.data["output"]["sha256"]:
            self.notice = (
                f"cell {event.node} printed something else than when it was recorded; the recorded replies stand"
            )


class RecordedGate:
    """What people decided when the run was recorded, then the gate of now."""

    def __init__(self, replies: RecordedReplies, gate: Gate) -> None:
        self._replies = replies
        self._gate = gate

    async def cell(self, node: str, code: str) -> Decision:
        return self._replies.decision(node, code) or await self._gate.cell(node, code)

    async def batch(self, node: str) -> Decision:
        return self._replies.batch_decision(node) or await self._gate.batch(node)


def sent(records: Iterable[Tree]) -> Iterator[tuple[str, Usage, Usage | None]]:
    """Every request that the records of a run show as sent: model's name, estimated usage, reported usage if known.

    What one record repeats from another counts once.
    """
    paid: set[tuple[str, str]] = set()
    for node in (node for tree in records for node in tree.nodes.values() if _is_request(node)):
        usage = recorded_usage(node)
        again = node.fields.get("cached") if usage is None else (node.id, node.kind) in paid
        if not again:
            paid.add((node.id, node.kind))
            yield str(node.fields.get("model")), _estimated(node), usage


def _estimated(node: Node) -> Usage:
    asked = sum(message.get("chars", 0) for message in node.fields["prompt"])
    reply: dict[str, Any] = node.fields.get("reply") or {}
    return Usage(int(asked / BYTES_PER_TOKEN), int(reply.get("chars", 0) / BYTES_PER_TOKEN), cost=None)


def _is_request(node: Node) -> bool:
    return node.kind != "rlm" and bool(node.fields.get("prompt"))


def recorded_usage(node: Node) -> Usage | None:
    """What a node's request used; None where the record does not know."""
    used: dict[str, Any] | None = node.fields.get("usage")
    if used is None:
        return None
    counts = (int(used.get(name, 0)) for name in ("input", "output", "cached", "reasoning"))
    return Usage(*counts, cost=used.get("cost"), estimated=bool(node.fields.get("estimated")))


def _said(node: Node) -> dict[str, str]:
    return {str(human.get("action")): str(human.get("text")) for human in node.human}


def _ending(said: Mapping[str, str]) -> Decision | None:
    """The decision not to run."""
    return next((Decision(action, note=said[action]) for action in _ENDINGS if action in said), None)


def _divergence(where: str, expected: str, got: str) -> Divergence:
    return Divergence(
        f"at {where} the run goes another way than its record: "
        f"recorded was {_short(expected)}, now comes {_short(got)}; {GO_ON}"
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else f"{line[:SHOWN]}…")


def _number(node: Node) -> int:
    return int(node.id.rpartition(".")[2])


def _merged(records: Sequence[Tree]) -> Tree:
    """One tree of what the records know; where several know a node, the newest that knows how it went."""
    nodes: dict[str, Node] = {}
    merged = Tree()
    for record in records:
        merged.bodies.update(record.bodies)
        for node in record.nodes.values():
            if node.id not in nodes or _knowledge(node) > _knowledge(nodes[node.id]):
                nodes[node.id] = node
    for name in sorted(nodes, key=lambda name: tuple(map(int, name.split(".")))):
        merged.nodes[name] = replace(nodes[name], children=[])
        parent = merged.nodes.get(str(nodes[name].parent))
        if parent is not None:
            parent.children.append(name)
    return merged


def _knowledge(node: Node) -> tuple[bool, bool]:
    return "reply" in node.fields or "result" in node.fields, node.status not in ("running", "stopped")


def _settled(tree: Tree) -> set[str]:
    """The cells after which the record goes on, with their batches; and all that they led to."""
    settled: set[str] = set()
    for node in tree.nodes.values():
        if node.kind in ("exec", "batch"):
            inherited = any(each in settled for each in above(node.id))
            if inherited or (node.kind == "exec" and _goes_on(tree, node)):
                settled.add(node.id)
    return settled


def _goes_on(tree: Tree, cell: Node) -> bool:
    turn = tree.nodes.get(str(cell.parent))
    rlm = tree.nodes.get(str(turn.parent)) if turn else None
    if turn is None or rlm is None:
        return False
    later = [tree.nodes[name] for name in rlm.children if _number(tree.nodes[name]) > _number(turn)]
    return (
        rlm.fields.get("outcome") == "answered"
        or any(_number(tree.nodes[name]) > _number(cell) for name in turn.children)
        or any(node.kind == "turn" and "reply" in node.fields for node in later)
    )
