"""Events to the tree of nodes: a fold with no input but the events (`labextension/src/view/tree.ts` is its twin)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .events import STATUSES, Event

STRUCTURE = ("kind", "parent", "depth")


@dataclass(slots=True)
class Sums:
    """Roll-up of a node and all below it. ``cost`` adds the known prices; ``unpriced`` counts calls without one."""

    calls: int = 0
    running: int = 0
    failed: int = 0
    input: int = 0
    output: int = 0
    cost: float = 0.0
    unpriced: int = 0


@dataclass(slots=True)
class Node:
    """One row of the tree. ``status`` is "running" until the node closes; times are seconds since the run opened."""

    id: str
    kind: str
    parent: str | None
    depth: int
    opened: float
    closed: float | None = None
    status: str = "running"
    phase: str = ""
    children: list[str] = field(default_factory=list[str])
    human: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    sums: Sums = field(default_factory=Sums)

    @property
    def label(self) -> str:
        return str(self.fields.get("label", ""))


class Tree:
    """The state of a run after some of its events. ``nodes`` is in order of opening; ``bodies`` maps hash to text."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.nodes: dict[str, Node] = {}
        self.bodies: dict[str, str] = {}
        self.time = 0.0
        for event in events:
            self.apply(event)

    @property
    def root(self) -> Node | None:
        return self.nodes.get("0")

    def apply(self, event: Event) -> None:
        """Take the next event. Events of unknown type, or for a node that was never opened, change nothing."""
        self.time = max(self.time, event.t)
        if event.type == "body":
            self.bodies[event.data["sha256"]] = event.data["text"]
        elif event.type == "open":
            self._open(event)
        elif event.node in self.nodes:
            self._change(self.nodes[event.node], event)

    def _open(self, event: Event) -> None:
        data = event.data
        node = Node(event.node, data["kind"], data.get("parent"), data.get("depth", 0), event.t)
        self.nodes[event.node] = node
        if node.parent in self.nodes:
            self.nodes[node.parent].children.append(node.id)
        self._merge(node, event)
        if node.kind == "llm":
            self._add(node, running=1)

    def _change(self, node: Node, event: Event) -> None:
        if event.type == "patch":
            self._merge(node, event)
        elif event.type == "await":
            node.phase = str(event.data.get("phase", ""))
        elif event.type == "human":
            node.human.append(dict(event.data))
        elif event.type == "close" and node.closed is None:
            self._close(node, event)

    def _close(self, node: Node, event: Event) -> None:
        node.closed, node.phase = event.t, ""
        status = event.data.get("status")
        node.status = status if status in STATUSES else "error"
        self._merge(node, event)
        if node.kind == "llm":
            self._add(node, running=-1, failed=int(node.status == "error"))

    def _merge(self, node: Node, event: Event) -> None:
        new = {k: v for k, v in event.data.items() if k not in STRUCTURE and k != "status"}
        first_usage = "usage" in new and "usage" not in node.fields
        node.fields.update(new)
        if first_usage:
            self._add_usage(node, new["usage"])

    def _add_usage(self, node: Node, usage: dict[str, Any]) -> None:
        cost = usage.get("cost")
        self._add(
            node,
            calls=1,
            input=usage.get("input", 0),
            output=usage.get("output", 0),
            cost=cost or 0.0,
            unpriced=int(cost is None),
        )

    def _add(self, node: Node | None, **amounts: float) -> None:
        while node is not None:
            for name, amount in amounts.items():
                setattr(node.sums, name, getattr(node.sums, name) + amount)
            node = self.nodes.get(node.parent) if node.parent is not None else None

    def walk(self, start: str = "0") -> Iterator[Node]:
        """A node and all below it, parents first."""
        stack = [start] if start in self.nodes else []
        while stack:
            node = self.nodes[stack.pop()]
            yield node
            stack.extend(reversed(node.children))

    def body(self, reference: dict[str, Any] | None) -> str | None:
        """The text that a body field refers to; None if there is no field or the body was not kept."""
        return None if reference is None else self.bodies.get(reference["sha256"])
