"""A model's reply to what is in it: code blocks, an answer in prose. Pure."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from .types import Finish

LANGUAGES = frozenset({"repl", "python", "py", "python3"})
CALLS = frozenset(f"{a}{op}_query{batched}" for a in ("", "a") for op in ("llm", "rlm") for batched in ("", "_batched"))
LAST_FENCES = 30
CLOSINGS = 30

_THOUGHT = re.compile(r"\s*<(think|thinking)>(?P<thought>.*?)(?:</\1>\s*|\Z)", re.DOTALL)
_TEMPLATED = re.compile(r"(?P<thought>(?:(?!<think>|```).)*?)</think>\s*", re.DOTALL)  # the chat template opened it
_CHANNEL = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>(\w+)[^<]*<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call)\|>\s*\Z")
_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<tag>[\w+-]*)(?P<rest>[^`\n]*)$")
_FINAL = re.compile(r"^[ \t]*FINAL\(", re.MULTILINE)
_PARENTHESIS = re.compile(r"\(|\)(?P<line_end>[ \t]*$)?", re.MULTILINE)
_FINAL_VAR = re.compile(r"^[ \t]*FINAL_VAR\([ \t]*[\"']?(\w+)[\"']?[ \t]*\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """Code to run. ``closed`` is False if the reply ended before the fence did."""

    code: str
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply asks for.

    ``blocks`` are its ```repl and ```python blocks in order; ``finish`` is ``FINAL(...)`` at the start of a line of
    prose, in a reply without blocks.
    """

    blocks: tuple[Block, ...]
    finish: Finish | None = None


def split_thought(reply: str) -> tuple[str, str]:
    """The thought at a reply's beginning, and the rest.

    It stands between <think> tags, of which the first or the last may be missing, or in any channel but "final" of
    the format of gpt-oss, where a server passes that on as it is.
    """
    if _CHANNEL.match(reply.lstrip()):
        return _split_channels(reply)
    thought = _THOUGHT.match(reply) or (_TEMPLATED.match(reply) if "</think>" in reply else None)
    return (thought["thought"].strip(), reply[thought.end() :]) if thought else ("", reply)


def _split_channels(reply: str) -> tuple[str, str]:
    _, *parts = _CHANNEL.split(reply)
    messages = [(name, _CHANNEL_END.sub("", text)) for name, text in zip(parts[::2], parts[1::2], strict=True)]
    thoughts = (text.strip() for name, text in messages if name != "final")
    return "\n".join(thoughts), "".join(text for name, text in messages if name == "final")


def parse(text: str) -> Reply:
    """Take a reply apart. ``FINAL_VAR(name)`` in prose becomes the block that submits it."""
    blocks, prose = _split(text)
    return Reply(blocks) if blocks else _prose_finish(prose)


def is_blind(code: str, names: Collection[str]) -> bool:
    """Whether the code neither names one of ``names`` (bare or as a string) nor searches nor makes a sub-call."""
    wanted = {*names, "search", *CALLS}
    tree = _tree(code)
    if tree is None:
        return not wanted & set(re.findall(r"\w+", code))
    return not wanted & set(_mentioned(tree))


def _mentioned(tree: ast.AST) -> Iterator[Any]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _split(text: str) -> tuple[tuple[Block, ...], str]:
    """The runnable blocks, and all text outside of any fence."""
    lines = text.replace("\r\n", "\n").split("\n")
    blocks: list[Block] = []
    prose: list[str] = []
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            prose.append(lines[at])
            at += 1
            continue
        block, at = _block(lines, at + 1, fence)
        if fence["tag"].lower() in LANGUAGES and block.code.strip():
            blocks.append(block)
    return tuple(blocks), "\n".join(prose)


def _block(lines: list[str], start: int, fence: re.Match[str]) -> tuple[Block, int]:
    """The block that opens before line ``start``, and the number of the line after it.

    A string of the code may hold a fence itself: the block ends at the first fence that leaves complete Python, or at
    the first one if none does.
    """
    ends = [at for at in range(start, len(lines)) if _closes(lines[at], fence["mark"])]
    if not ends:
        return Block(_code(lines[start:], fence["indent"]), closed=False), len(lines)
    complete = (at for at in ends[:LAST_FENCES] if _tree(_code(lines[start:at], fence["indent"])) is not None)
    end = next(complete, ends[0]) if fence["tag"].lower() in LANGUAGES else ends[0]
    return Block(_code(lines[start:end], fence["indent"])), end + 1


def _closes(line: str, mark: str) -> bool:
    line = line.strip()
    return len(line) >= len(mark) and not line.strip(mark[0])


def _code(lines: list[str], indent: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in lines)


def _tree(code: str) -> ast.AST | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in the model's code is no concern of ours
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _prose_finish(prose: str) -> Reply:
    variable = _FINAL_VAR.search(prose)
    if variable:
        return Reply((Block(f"FINAL_VAR({variable[1]!r})"),))
    arguments = (_argument(rest) for rest in _FINAL.split(prose)[1:])
    finishes = (Finish(argument, "prose") for argument in arguments if argument is not None)
    return Reply((), next(finishes, None))


def _argument(text: str) -> str | None:
    """What stands before the parenthesis that closes the call, on a line that ends in one; None if no line does.

    A literal may hold any parenthesis. In other text the call ends with the first line that closes all that was opened,
    else with the first line that ends in a parenthesis.
    """
    closings = [found.start() for found in _PARENTHESIS.finditer(text) if found["line_end"] is not None]
    for end in closings[:CLOSINGS]:
        value = _literal(text[:end].strip())
        if value is not None:
            return value if isinstance(value, str) else text[:end].strip()
    return text[: _balanced(text, closings[0])].strip() if closings else None


def _balanced(text: str, default: int) -> int:
    """Where the call is closed: of that line's parentheses, the one that closes most, as in `1) this 2) that)`."""
    depth, least, at = 1, 1, default
    for found in _PARENTHESIS.finditer(text):
        depth += 1 if found[0] == "(" else -1
        if depth < least:
            least, at = depth, found.start()
        if found["line_end"] is not None and depth <= 0:
            return at
    return default


def _literal(text: str) -> Any:
    """The value of a Python literal; None if it is none."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
