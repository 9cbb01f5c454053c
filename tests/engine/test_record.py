from __future__ import annotations

import asyncio
import itertools
import json
import logging

import pytest

from rlm_magic.engine.errors import JournalError, LimitReached
from rlm_magic.engine.events import Event, digest, reference, usage_field
from rlm_magic.engine.recorder import Recorder
from rlm_magic.engine.request import opened
from rlm_magic.engine.tree import Tree
from rlm_magic.engine.types import Message, Usage
from rlm_magic.testing import MemoryJournal


def recorder(*observers: object) -> tuple[Recorder, MemoryJournal]:
    journal = MemoryJournal()
    ticks = itertools.count(100.0)
    return Recorder(journal, observers, lambda: next(ticks)), journal  # type: ignore[arg-type]


def test_events_are_numbered_and_timed_from_the_start() -> None:
    rec, journal = recorder()
    root = rec.open(None, "run", depth=0, label="x" * 500)
    child = rec.open(root, "turn", depth=0)
    rec.phase(child, "thinking")
    rec.close(child, "ok")
    assert [(e.seq, e.t, e.type, e.node) for e in journal.events] == [
        (0, 1.0, "open", "0"),
        (1, 2.0, "open", "0.1"),
        (2, 3.0, "await", "0.1"),
        (3, 4.0, "close", "0.1"),
    ]
    assert len(journal.events[0].data["label"]) == 120


def test_children_are_numbered_in_order() -> None:
    rec, _ = recorder()
    root = rec.open(None, "run", depth=0)
    assert [rec.open(root, "turn", depth=0) for _ in range(11)][-1] == "0.11"


def test_a_text_is_stored_once() -> None:
    rec, journal = recorder()
    root = rec.open(None, "run", depth=0)
    messages = [Message("system", "same"), Message("user", "same")]
    refs = rec.prompt(root, messages)
    assert [e.type for e in journal.events] == ["open", "body"]
    assert [(r["role"], r["sha256"]) for r in refs] == [("system", digest("same")), ("user", digest("same"))]
    assert Tree(journal.events).body(refs[0]) == "same"


def test_references_of_any_text() -> None:
    assert reference("a\ud800" + "b" * 500) == {
        "sha256": digest("a\ud800" + "b" * 500),
        "chars": 502,
        "preview": "a\ud800" + "b" * 198,
    }


def test_an_event_as_json() -> None:
    event = Event(3, 1.5, "patch", "0.1", {"usage": usage_field(Usage(1, 2, cost=None))})
    assert json.loads(json.dumps(event.as_json("r1"))) == {
        "v": 1,
        "run": "r1",
        "seq": 3,
        "t": 1.5,
        "type": "patch",
        "node": "0.1",
        "data": {"usage": {"input": 1, "output": 2, "cached": 0, "reasoning": 0, "cost": None}},
    }


def test_an_observer_that_fails_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        seen.append(event)
        raise ValueError("no view")

    rec, journal = recorder(broken)
    with caplog.at_level(logging.CRITICAL, "rlm_magic"):
        rec.open(None, "run", depth=0)
        rec.close("0", "ok")
    assert len(seen) == 1
    assert len(journal.events) == 2


def test_a_journal_that_cannot_be_written_is_an_error() -> None:
    rec, journal = recorder()
    asyncio.run(rec.written())
    journal.fail_at = 0
    rec.open(None, "run", depth=0)
    with pytest.raises(JournalError, match="no space"):
        asyncio.run(rec.written())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (asyncio.CancelledError(), "stopped"),
        (LimitReached("calls", "calls=1 is used up"), "limit"),
        (ValueError("odd"), "error"),
        (KeyboardInterrupt(), "error"),
    ],
)
def test_a_span_closes_by_what_ended_it(error: BaseException, status: str) -> None:
    rec, journal = recorder()
    with pytest.raises(type(error)), opened(rec, None, "run", depth=0, label="two\n lines"):
        raise error
    assert [e.type for e in journal.events] == ["open", "close"]
    assert journal.events[0].data["label"] == "two lines"
    assert journal.events[1].data["status"] == status


# --- the fold


def event(number: int, type_: str, node: str, **data: object) -> Event:
    return Event(number, float(number), type_, node, data)  # type: ignore[arg-type]


def opening(number: int, node: str, kind: str, **data: object) -> Event:
    parent = node.rpartition(".")[0] or None
    return event(number, "open", node, kind=kind, parent=parent, depth=0, **data)


RUN = [opening(0, "0", "run", label="q"), opening(1, "0.1", "turn"), opening(2, "0.1.1", "llm")]


def test_the_fold_adds_usage_up_the_tree_once() -> None:
    usage = {"input": 10, "output": 5, "cost": 0.5}
    tree = Tree([*RUN, event(3, "patch", "0.1.1", usage=usage), event(4, "patch", "0.1.1", usage=usage)])
    for node in ("0", "0.1", "0.1.1"):
        sums = tree.nodes[node].sums
        assert (sums.calls, sums.running, sums.input, sums.output, sums.cost, sums.unpriced) == (1, 1, 10, 5, 0.5, 0)


def test_an_unknown_cost_is_counted() -> None:
    tree = Tree([*RUN, event(3, "close", "0.1.1", status="ok", usage={"input": 1, "cost": None})])
    assert (tree.nodes["0"].sums.unpriced, tree.nodes["0"].sums.cost) == (1, 0.0)


def test_running_and_failed_calls() -> None:
    tree = Tree(RUN)
    assert tree.nodes["0"].sums.running == 1
    tree.apply(event(3, "close", "0.1.1", status="error"))
    assert (tree.nodes["0"].sums.running, tree.nodes["0"].sums.failed) == (0, 1)
    tree.apply(event(4, "close", "0.1.1", status="ok"))
    assert tree.nodes["0.1.1"].status == "error"


def test_nodes_have_times_phases_and_what_people_did() -> None:
    tree = Tree([*RUN, event(3, "await", "0.1", phase="paused"), event(4, "human", "0.1", action="skip", text="no")])
    turn = tree.nodes["0.1"]
    assert (turn.phase, turn.human, turn.status, turn.opened) == (
        "paused",
        [{"action": "skip", "text": "no"}],
        "running",
        1.0,
    )
    tree.apply(event(5, "close", "0.1", status="partial", reason="x"))
    assert (turn.phase, turn.status, turn.closed, turn.fields["reason"]) == ("", "partial", 5.0, "x")
    assert tree.time == 5.0
    assert tree.root is tree.nodes["0"]
    assert tree.root.label == "q"


def test_the_unknown_changes_nothing() -> None:
    tree = Tree([*RUN, event(3, "patch", "9", a=1), event(4, "dance", "0.1"), event(5, "close", "0.1", status="odd")])
    assert list(tree.nodes) == ["0", "0.1", "0.1.1"]
    assert tree.nodes["0.1"].status == "error"
    assert Tree().root is None


def test_a_node_without_its_parent_is_kept() -> None:
    tree = Tree([opening(0, "0.5", "turn")])
    assert tree.nodes["0.5"].parent == "0"


def test_walking_goes_parents_first() -> None:
    tree = Tree([*RUN, opening(3, "0.2", "turn"), opening(4, "0.1.2", "llm")])
    assert [n.id for n in tree.walk()] == ["0", "0.1", "0.1.1", "0.1.2", "0.2"]
    assert [n.id for n in tree.walk("0.1")] == ["0.1", "0.1.1", "0.1.2"]
    assert list(tree.walk("nowhere")) == []


def test_a_body_that_was_not_kept() -> None:
    assert Tree().body(None) is None
    assert Tree().body(reference("x")) is None


def test_secrets_are_taken_out_of_every_text() -> None:
    journal, seen = MemoryJournal(), []
    recorder = Recorder(journal, [seen.append], lambda: 0.0, lambda text: text.replace("hunter2", "***"))
    node = recorder.open(None, "run", depth=0, label="hunter2", models={"root": "hunter2", "n": 3})
    recorder.patch(node, reply=recorder.body(node, "it is hunter2"), changes=[("hunter2",)])
    recorder.human(node, "hint", "hunter2")
    assert "hunter2" not in str(seen)
    assert "it is ***" in str(seen)
    assert [event.data for event in journal.events] == [event.data for event in seen]
