"""A run as JSON for our own renderer: events whose fold is the run's tree, as many and with as many texts as fit.

    {v, run, events: [{seq, t, type, node, data}], cut: null | {nodes, bodies, sums}}

``cut`` counts the nodes and the texts that are not embedded; ``sums`` is the roll-up of the nodes left out. Times of
patches are gone: a node opens with what was known before it ran, and closes with the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, cast

from ..engine.events import BODY_FIELDS, VERSION, Event
from ..engine.tree import Node, Sums, Tree
from .fit import by_importance, fitting, rooted
from .words import clean, is_reference, shorten

NODE_SHARE = 0.8  # of the room, for nodes; the rest is for texts
MARGIN = 1024  # bytes for what is around the events
SEQ = '"seq": 1000000, '  # what numbering adds to an event
PREVIEW = 40  # characters
LONGEST_FIELD = 4_000  # characters of a text that stands in a field itself, such as the question
RESULTS = {
    *("reply", "reasoning", "finish_reason", "usage", "retries", "cached", "saved"),
    *("output", "output_chars", "shown_chars", "error", "changes", "rich", "seconds", "calls", "lost", "failed"),
    *("outcome", "answer", "reason", "notice", "result", "cached_calls"),
}


def payload(tree: Tree, *, room: int, body: int, run: str = "") -> dict[str, Any]:
    """The record in at most ``room`` bytes of JSON, each text in at most ``body`` characters."""
    room -= MARGIN
    kept = fitting(((node.id, _dump(_events(node))) for node in by_importance(tree)), int(room * NODE_SHARE), _bytes)
    names = rooted(tree, kept)
    nodes = [node for name, node in tree.nodes.items() if name in names]
    room -= sum(_bytes(kept[node.id]) for node in nodes)
    bodies = fitting(_bodies(tree, nodes, body), room, _bytes)
    events = sorted(
        (e for node in nodes for e in json.loads(kept[node.id])), key=lambda e: (e["t"], e["type"] == "close")
    )
    for each in bodies.values():
        events += json.loads(each)
    numbered = [{"seq": seq, **event} for seq, event in enumerate(events)]
    missing = len({key for node in nodes for key in (*_texts(node), *_displayed(node))} - bodies.keys())
    return {"v": VERSION, "run": run, "events": numbered, "cut": _cut(tree, numbered, missing)}


def _cut(tree: Tree, events: list[dict[str, Any]], bodies: int) -> dict[str, Any] | None:
    kept = Tree(Event(e["seq"], e["t"], e["type"], e["node"], e["data"]) for e in events)
    left = len(tree.nodes) - len(kept.nodes)
    if not left and not bodies:
        return None
    whole, part = (asdict(each.root.sums if each.root else Sums()) for each in (tree, kept))
    return {"nodes": left, "bodies": bodies, "sums": {name: round(whole[name] - part[name], 9) for name in whole}}


def _events(node: Node) -> Iterator[dict[str, Any]]:
    fields: dict[str, Any] = {name: _slim(value) for name, value in node.fields.items()}
    results = {name: fields.pop(name) for name in RESULTS if name in fields}
    ended = node.opened if node.closed is None else node.closed

    def event(t: float, type_: str, **data: Any) -> dict[str, Any]:
        return {"t": t, "type": type_, "node": node.id, "data": data}

    yield event(node.opened, "open", **fields, kind=node.kind, parent=node.parent, depth=node.depth)
    yield from (event(node.opened, "human", **_slim(entry)) for entry in node.human)
    if node.closed is not None:
        yield event(ended, "close", **results, status=node.status)
    elif results:
        yield event(ended, "patch", **results)
    if node.phase:
        yield event(ended, "await", phase=clean(node.phase))


def _bodies(tree: Tree, nodes: Iterable[Node], most: int) -> Iterator[tuple[str, str]]:
    """Hash and event of each text that the nodes refer to, the more important nodes' first.

    What cells displayed comes last, and whole: half an image is none.
    """
    kept = {node.id for node in nodes}
    ordered = [node for node in by_importance(tree) if node.id in kept]
    wanted = [(key, node, most) for node in ordered for key in _texts(node)]
    wanted += [(key, node, None) for node in ordered for key in _displayed(node)]
    seen: set[str] = set()
    for key, node, longest in wanted:
        if key in tree.bodies and key not in seen:
            seen.add(key)
            text = tree.bodies[key] if longest is None else shorten(tree.bodies[key], longest)
            data = {"sha256": key, "text": clean(text)}
            yield key, _dump([{"t": tree.time, "type": "body", "node": node.id, "data": data}])


def _texts(node: Node) -> Iterator[str]:
    """Hashes of the node's body fields."""
    for field in BODY_FIELDS:
        value = node.fields.get(field)
        references = cast("list[Any]", value) if isinstance(value, list) else [value]
        yield from (reference["sha256"] for reference in references if is_reference(reference))


def _displayed(node: Node) -> Iterator[str]:
    """Hashes of all forms of the cell's rich outputs."""
    outputs = node.fields.get("rich")
    for output in cast("list[Any]", outputs) if isinstance(outputs, list) else ():
        forms = cast("dict[str, Any]", output) if isinstance(output, dict) else {}
        yield from (reference["sha256"] for reference in forms.values() if is_reference(reference))


def _bytes(text: str) -> int:
    return len(text.encode())


def _dump(events: Iterable[dict[str, Any]]) -> str:
    listed = list(events)
    return json.dumps(listed, ensure_ascii=False) + " " * len(SEQ) * len(listed)


def _slim(value: Any) -> Any:
    """A value without control characters, long texts and previews cut."""
    if isinstance(value, str):
        return clean(shorten(value, LONGEST_FIELD))
    if isinstance(value, list):
        return [_slim(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        slim = {clean(str(name)): _slim(each) for name, each in cast("dict[Any, Any]", value).items()}
        return {**slim, "preview": str(slim["preview"])[:PREVIEW]} if "preview" in slim else slim
    return value
