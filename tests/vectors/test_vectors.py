"""The fold against the vectors that its TypeScript twin runs too."""

from __future__ import annotations

import json

import pytest

from rlm_magic.engine.events import Event
from rlm_magic.engine.tree import Tree

from .generate import HERE, VECTORS, as_json, files


@pytest.mark.parametrize("name", VECTORS)
def test_fold_reaches_the_expected_state(name: str) -> None:
    lines = (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    wire = [json.loads(line) for line in lines]
    tree = Tree(Event(e["seq"], e["t"], e["type"], e["node"], e["data"]) for e in wire)
    assert as_json(tree) == json.loads((HERE / f"{name}.tree.json").read_text(encoding="utf-8"))


def test_the_files_are_what_the_script_writes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path, _ in files()} == {p.name: t for p, t in files()}
    assert {path.stem for path in HERE.glob("*.jsonl")} == set(VECTORS)


def test_sums_by_hand() -> None:
    """The expected state comes from the fold itself; these figures do not."""
    root = Tree(VECTORS["batch"]()).nodes["0"].sums
    assert (root.calls, root.running, root.failed, root.input, root.output, root.unpriced) == (5, 0, 1, 400, 7, 1)
    assert root.cost == pytest.approx(0.6)
    nested = Tree(VECTORS["nested"]()).nodes
    assert nested["0"].sums.cost == 0.875
    assert nested["0.1.1.1"].sums.input == 60
    stopped = Tree(VECTORS["stopped"]()).nodes
    assert (stopped["0"].sums.running, stopped["0.1.1"].phase, stopped["0.1.1.2"].status) == (1, "", "running")
