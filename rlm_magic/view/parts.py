"""What a node of the record opens to: its texts, in the order in which they came about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from ..engine.tree import Node, Tree
from .words import error_of, is_reference, one_line, plural, text_of


@dataclass(frozen=True, slots=True)
class Part:
    """A titled text; without ``text`` the title says it all. ``folded``: of interest on request."""

    title: str
    text: str | None = None
    python: bool = False
    folded: bool = False


def parts_of(tree: Tree, node: Node, seen: set[str]) -> Iterator[Part]:
    """The parts of a node. ``seen``, the hashes of messages in the nodes before it, is kept from node to node."""
    yield from _question(node)
    yield from _prompt(tree, node, seen)
    yield from _text(tree, node, "arguments", "Arguments")
    yield from _text(tree, node, "result", "Result")
    yield from _text(tree, node, "reasoning", "Reasoning", folded=True)
    yield from _text(tree, node, "reply", "Reply", folded=node.kind == "turn")
    yield from _text(tree, node, "code_proposed", "Code as the model wrote it", python=True, folded=True)
    yield from _text(tree, node, "code", "Code", python=True)
    yield from (Part(_human(entry)) for entry in node.human)
    yield from _output(tree, node)
    yield from _changes(node)
    if node.kind != "run":  # the run's answer stands above its tree
        yield from _text(tree, node, "answer", "Answer")
    error = error_of(node)
    if error:
        yield Part("Error" if node.fields.get("error") else "Reason", error)
    yield from (Part(f"Retried: {one_line(str(retry), 200)}") for retry in _list(node, "retries"))


def _question(node: Node) -> Iterator[Part]:
    if node.fields.get("query"):
        yield Part("Question", str(node.fields["query"]), folded=True)
    for variable in _list(node, "variables"):
        if isinstance(variable, dict):
            card = cast("dict[str, Any]", variable)
            yield Part(f"Variable {one_line(str(card.get('name')), 60)}", str(card.get("card", "")), folded=True)


def _prompt(tree: Tree, node: Node, seen: set[str]) -> Iterator[Part]:
    """The messages of a prompt that no node before it had."""
    messages = [message for message in _list(node, "prompt") if is_reference(message)]
    new = [message for message in messages if message["sha256"] not in seen]
    if len(new) < len(messages):
        yield Part(f"Prompt: {plural(len(messages) - len(new), 'message')} as further up")
    for message in new:
        seen.add(message["sha256"])
        text = tree.body(message)
        role = one_line(str(message.get("role", "")), 20)
        yield Part(f"Prompt, {role}", str(message.get("preview", "")) if text is None else text, folded=True)


def _text(
    tree: Tree, node: Node, field: str, title: str, *, python: bool = False, folded: bool = False
) -> Iterator[Part]:
    text = text_of(tree, node, field)
    if text:
        yield Part(title, text, python, folded)


def _human(entry: dict[str, Any]) -> str:
    said = one_line(str(entry.get("text") or ""), 500)
    return f"A person: {one_line(str(entry.get('action', '')), 40)}{f' — {said}' if said else ''}"


def _output(tree: Tree, node: Node) -> Iterator[Part]:
    chars, shown = node.fields.get("output_chars"), node.fields.get("shown_chars")
    cut = isinstance(chars, int) and isinstance(shown, int) and shown < chars
    yield from _text(
        tree, node, "output", f"Output, the model saw {shown:,} of {chars:,} characters" if cut else "Output"
    )


def _changes(node: Node) -> Iterator[Part]:
    changes = [cast("dict[str, Any]", each) for each in _list(node, "changes") if isinstance(each, dict)]
    words = [f"{change.get('name')}: {change.get('type')}, {change.get('size')}" for change in changes]
    if words:
        yield Part(f"Variables: {one_line('; '.join(words), 500)}")


def _list(node: Node, field: str) -> list[Any]:
    value = node.fields.get(field)
    return cast("list[Any]", value) if isinstance(value, list) else []
