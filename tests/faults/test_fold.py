"""The fold of events to a tree, for events in any order that a record can hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.engine.events import STATUSES, Event
from rlm_magic.engine.replay import RecordedReplies, sent
from rlm_magic.engine.tree import Tree

KINDS = ("turn", "exec", "batch", "llm", "rlm", "answer", "strange")
USAGE = st.fixed_dictionaries(
    {"input": st.integers(0, 9), "output": st.integers(0, 9), "cost": st.none() | st.floats(0, 1)}
)
CHANGES = st.fixed_dictionaries(
    {}, optional={"usage": USAGE, "label": st.text(max_size=3), "status": st.text(max_size=3)}
)


@st.composite
def records(draw: st.DrawFn) -> list[Event]:
    """A run, nodes below nodes that were opened, and anything that may be said of them; also of unknown ones."""
    nodes, events = ["0"], [Event(0, 0.0, "open", "0", {"kind": "run", "parent": None, "depth": 0})]

    def say(type_: Any, node: str, **data: Any) -> None:
        events.append(Event(len(events), float(len(events)), type_, node, data))

    for _ in range(draw(st.integers(0, 30))):
        type_ = draw(st.sampled_from(("open", "patch", "close", "await", "human", "body", "dance")))
        node = draw(st.sampled_from([*nodes, "7.7"]))
        if type_ == "open" and node in nodes:
            child = f"{node}.{sum(name.rpartition('.')[0] == node for name in nodes) + 1}"
            say("open", child, kind=draw(st.sampled_from(KINDS)), parent=node, depth=0)
            nodes.append(child)
        elif type_ == "close":
            say("close", node, **{**draw(CHANGES), "status": draw(st.sampled_from((*STATUSES, "odd")))})
        elif type_ != "open":
            say(type_, node, **draw(CHANGES), sha256="", text="", phase="thinking")
    return events


def first_usages(events: list[Event], tree: Tree) -> dict[str, dict[str, Any]]:
    """What each node used, as it was first told; a second close tells nothing."""
    told: dict[str, dict[str, Any]] = {}
    closed: set[str] = set()
    for event in events:
        counts = event.type == "patch" or (event.type == "close" and event.node not in closed)
        if counts and event.node in tree.nodes and "usage" in event.data:
            told.setdefault(event.node, event.data["usage"])
        if event.type == "close":
            closed.add(event.node)
    return told


@given(records())
def test_the_root_sums_up_what_each_node_used(events: list[Event]) -> None:
    tree = Tree(events)
    used = list(first_usages(events, tree).values())
    assert tree.root is not None
    sums = tree.root.sums
    assert sums.calls == len(used)
    assert (sums.input, sums.output) == (sum(u["input"] for u in used), sum(u["output"] for u in used))
    assert sums.unpriced == sum(u["cost"] is None for u in used)
    calls = [node for node in tree.nodes.values() if node.kind == "llm"]
    assert sums.running == sum(node.closed is None for node in calls)
    assert sums.failed == sum(node.status == "error" for node in calls)


@given(records())
def test_every_node_is_reached_once_from_the_root(events: list[Event]) -> None:
    tree = Tree(events)
    assert sorted(node.id for node in tree.walk()) == sorted(tree.nodes)


@given(records(), st.data())
def test_a_tree_that_goes_on_is_the_tree_of_all_events(events: list[Event], data: st.DataObject) -> None:
    half = data.draw(st.integers(0, len(events)))
    tree = Tree(events[:half])
    for event in events[half:]:
        tree.apply(event)
    assert tree.nodes == Tree(events).nodes


@given(records())
def test_any_record_can_be_looked_up_for_replies(events: list[Event]) -> None:
    """What the fold allows, a resumed run must survive."""
    tree = Tree(events)
    replies = RecordedReplies([tree, tree])
    assert all(replies.holds(name) for name in tree.nodes)
    assert list(sent([tree])) == []
