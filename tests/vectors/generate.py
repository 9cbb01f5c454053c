"""Write the fold's test vectors: ``NAME.jsonl`` (events) and ``NAME.tree.json`` (the tree after all of them).

Python (test_vectors.py here) and TypeScript (labextension/tests) check the same files, which keeps the two
folds equal. Run ``python -m tests.vectors.generate`` after a change here, and read the difference before committing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlm_magic.engine.events import Event, reference
from rlm_magic.engine.tree import Tree

HERE = Path(__file__).parent


class Script:
    """Events written by hand: each call adds one, ``after`` seconds after the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._t = 0.0
        self._bodies: set[str] = set()

    def __call__(self, after: float, type_: str, node: str, /, **data: Any) -> None:
        self._t = round(self._t + after, 6)
        self.events.append(Event(len(self.events), self._t, type_, node, data))

    def text(self, node: str, text: str) -> dict[str, Any]:
        """Keep a text as a body and return its reference."""
        ref = reference(text)
        if ref["sha256"] not in self._bodies:
            self._bodies.add(ref["sha256"])
            self(0, "body", node, sha256=ref["sha256"], text=text)
        return ref

    def prompt(self, node: str, **messages: str) -> list[dict[str, Any]]:
        return [{"role": role, **self.text(node, text)} for role, text in messages.items()]

    def opened(self, after: float, node: str, kind: str, depth: int = 0, /, **fields: Any) -> None:
        parent = node.rpartition(".")[0] or None
        self(after, "open", node, kind=kind, parent=parent, depth=depth, **fields)


def used(input: int, output: int, cost: float | None, cached: int = 0) -> dict[str, Any]:
    return {"input": input, "output": output, "cached": cached, "reasoning": 0, "cost": cost}


def success() -> list[Event]:
    """One turn, one cell, one sub-call, an answer."""
    add = Script()
    add.opened(0, "0", "run", label="Who betrays whom?", models={"root": "big", "sub": "small"}, confinement="bwrap")
    add.opened(0.01, "0.1", "turn", label="", number=1)
    add(0, "patch", "0.1", prompt=add.prompt("0.1", system="You write code.", user="Who betrays whom?"))
    add(0, "await", "0.1", phase="thinking")
    add(1.25, "patch", "0.1", reply=add.text("0.1", "```repl\nFINAL(llm_query(context))\n```"), model="big-2")
    add(0, "patch", "0.1", usage=used(1200, 40, 0.0031), finish_reason="stop", retries=[])
    add.opened(0, "0.1.1", "exec", label="FINAL(llm_query(context))")
    add(0, "patch", "0.1.1", code=add.text("0.1.1", "FINAL(llm_query(context))"))
    add(0, "await", "0.1.1", phase="executing")
    add.opened(0.02, "0.1.1.1", "llm", label="Chapter 1 …", prompt=add.prompt("0.1.1.1", user="Chapter 1 …"))
    add(0.4, "patch", "0.1.1.1", reply=add.text("0.1.1.1", "Brutus betrays Caesar."), usage=used(300, 6, 0.0004))
    add(0, "close", "0.1.1.1", status="ok", model="small")
    add(
        0.003, "close", "0.1.1", status="ok", output=add.text("0.1.1", ""), output_chars=0, shown_chars=0, seconds=0.423
    )
    add(0, "close", "0.1", status="ok")
    add.opened(0, "0.2", "answer", label="Brutus betrays Caesar.", via="FINAL")
    add(0, "close", "0.2", status="ok", answer=add.text("0.2", "Brutus betrays Caesar."))
    add(0.001, "close", "0", status="ok", outcome="answered", answer=add.text("0", "Brutus betrays Caesar."), reason="")
    return add.events


def batch() -> list[Event]:
    """Five calls at once: a failure, a retry, a reply from the cache, one without a price, out of order."""
    add = Script()
    add.opened(0, "0", "run", label="Classify")
    add.opened(0, "0.1", "turn", number=1, label="map")
    add.opened(0.1, "0.1.1", "exec", label="llm_query_batched(parts)")
    add.opened(0, "0.1.1.1", "batch", n=5, chars=500, label="5 prompts")
    for i in range(1, 6):
        add.opened(0.001, f"0.1.1.1.{i}", "llm", label=f"part {i}")
    add(0, "await", "0.1.1.1.3", phase="waiting")
    add(0.2, "close", "0.1.1.1.4", status="ok", usage=used(100, 2, 0.1, cached=64))
    add(0, "close", "0.1.1.1.1", status="ok", usage=used(100, 2, 0.2), retries=["429 rate limited"])
    add(0, "close", "0.1.1.1.5", status="ok", usage=used(0, 0, 0.0), cached=True)
    add(0.3, "close", "0.1.1.1.2", status="error", error="the model answered nothing", usage=used(100, 0, 0.3))
    add(0.1, "close", "0.1.1.1.3", status="ok", usage=used(100, 3, None))
    add(0, "close", "0.1.1.1", status="partial")
    add(0.01, "close", "0.1.1", status="ok")
    return add.events


def nested() -> list[Event]:
    """A sub-RLM with a turn, a cell and a call of its own; sums reach the root through every level."""
    add = Script()
    add.opened(0, "0", "run", label="Compare the chapters")
    add.opened(0, "0.1", "turn", number=1, label="recurse", usage=used(10, 1, 0.5))
    add.opened(0, "0.1.1", "exec", label="rlm_query(...)")
    add.opened(0.2, "0.1.1.1", "rlm", 1, label="chapter 9", query="What happens?")
    add.opened(0, "0.1.1.1.1", "turn", 1, number=1, label="look")
    add(0.5, "patch", "0.1.1.1.1", usage=used(20, 2, 0.25))
    add.opened(0, "0.1.1.1.1.1", "exec", 1, label="llm_query(context)")
    add.opened(0, "0.1.1.1.1.1.1", "llm", 2, label="summarise")
    add(0.5, "close", "0.1.1.1.1.1.1", status="ok", usage=used(40, 4, 0.125))
    add(0, "close", "0.1.1.1.1.1", status="ok")
    add(0, "close", "0.1.1.1.1", status="ok")
    add.opened(0, "0.1.1.1.2", "answer", 1, via="FINAL", label="a storm")
    add(0, "close", "0.1.1.1.2", status="ok")
    add(0, "close", "0.1.1.1", status="ok", outcome="answered")
    add(0, "close", "0.1.1", status="ok")
    return add.events


def tools() -> list[Event]:
    """Two calls of a function of the user's, the second one fails."""
    add = Script()
    add.opened(0, "0", "run", label="Who is 7?", tools=["lookup"])
    add.opened(0.5, "0.1", "turn", label="turn 1", number=1)
    add.opened(0.5, "0.1.1", "exec", label="lookup(7)")
    for number, arguments in ((1, '{"args": [7], "kwargs": {}}'), (2, '{"args": [8], "kwargs": {}}')):
        add.opened(0.1, f"0.1.1.{number}", "tool", label=f"lookup({6 + number})", name="lookup")
        add(0, "patch", f"0.1.1.{number}", arguments=add.text(f"0.1.1.{number}", arguments))
    add(0, "patch", "0.1.1.1", result=add.text("0.1.1.1", '{"name": "Ada"}'))
    add(0.25, "close", "0.1.1.1", status="ok")
    error = {"name": "ToolFailed", "message": "lookup raised KeyError: 8"}
    add(0.25, "close", "0.1.1.2", status="error", error=error)
    add(0.1, "close", "0.1.1", status="ok", calls=2, output=add.text("0.1.1", "Ada\n"))
    add(0, "close", "0.1", status="ok")
    add(0, "close", "0", status="ok", outcome="answered", answer=add.text("0", "Ada"))
    return add.events


def stopped() -> list[Event]:
    """Stopped in the middle: some nodes closed as stopped, two never closed (the process was killed)."""
    add = Script()
    add.opened(0, "0", "run", label="Read everything")
    add.opened(0, "0.1", "turn", number=1, label="map")
    add.opened(0, "0.1.1", "exec", label="llm_query_batched(parts)")
    add(0, "await", "0.1.1", phase="executing")
    add.opened(0, "0.1.1.1", "llm", label="part 1")
    add.opened(0, "0.1.1.2", "llm", label="part 2")
    add(2, "await", "0.1.1", phase="waiting")
    add(1, "close", "0.1.1.1", status="stopped")
    add(0, "close", "0.1.1", status="stopped")
    return add.events


def human() -> list[Event]:
    """A person paused before a cell, edited it and gave a hint; later skipped one."""
    add = Script()
    add.opened(0, "0", "run", label="Count")
    add.opened(0, "0.1", "turn", number=1, label="count")
    add.opened(0, "0.1.1", "exec", label="print(1)")
    add(0, "patch", "0.1.1", code_proposed=add.text("0.1.1", "print(1)"))
    add(0, "await", "0.1.1", phase="paused", n=3, chars=120, cost_estimate=0.01)
    add(9.5, "human", "0.1.1", action="edit", text="print(2)")
    add(0, "human", "0.1.1", action="hint", text="mind the header")
    add(0, "patch", "0.1.1", code=add.text("0.1.1", "print(2)"))
    add(0, "await", "0.1.1", phase="executing")
    add(0.1, "close", "0.1.1", status="ok", output=add.text("0.1.1", "2\n"))
    add.opened(0, "0.1.2", "exec", label="rm()")
    add(1, "human", "0.1.2", action="skip", text="not needed")
    add(0, "close", "0.1.2", status="skipped")
    return add.events


def unknown() -> list[Event]:
    """What a later writer may add, and what a careless one may: kept, or without effect."""
    add = Script()
    add.opened(0, "0", "run", label="Ask", colour="blue", nested={"a": [1, None, True]})
    add(0.1, "tokens", "0", rate=12)
    add.opened(0, "0.1", "dream", label="a kind of the future", usage=used(1, 1, 0.5))
    add(0, "patch", "0.1", label="renamed", kind="llm", depth=7, parent="0.9", status="ok")
    add(0, "patch", "0.7", label="was never opened")
    add(0, "close", "0.7", status="ok")
    add.opened(0, "0.8.1", "llm", label="its parent was never opened")
    add(0, "close", "0.8.1", status="ok", usage=used(5, 5, 1.0))
    add.opened(0, "0.2", "llm", label="closed twice")
    add(0, "close", "0.2", status="exploded")
    add(0, "close", "0.2", status="ok", usage=used(3, 3, 1.0))
    add(0, "patch", "0.2", usage=used(2, 1, 0.25))
    add(0, "patch", "0.2", usage=used(9, 9, 9.0))
    add(0, "await", "0.2", phase="late")
    add(0, "await", "0.1")
    add.text("0", "lone \ud800 surrogate, astral \U0001f40d, \x00\x1b[31m control, </script>")
    return add.events


VECTORS = {make.__name__: make for make in (success, batch, nested, tools, stopped, human, unknown)}


def as_json(tree: Tree) -> dict[str, Any]:
    """The state that both folds must reach."""
    return {"time": tree.time, "nodes": [asdict(node) for node in tree.nodes.values()], "bodies": tree.bodies}


def files() -> Iterator[tuple[Path, str]]:
    for name, make in VECTORS.items():
        events = make()
        yield HERE / f"{name}.jsonl", "".join(json.dumps(e.as_json(name)) + "\n" for e in events)
        yield HERE / f"{name}.tree.json", json.dumps(as_json(Tree(events)), indent=1) + "\n"


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
