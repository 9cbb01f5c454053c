"""What a root reads after its reply: what each block did, head and tail of its output, and what is left. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .types import CellResult, Change

OUTPUT_CHARS = 8_000
LEAST_OUTPUT_CHARS = 1_000
TRACEBACK_CHARS = 2_000
CODE_CHARS = 2_000
NAMES = 20

NO_CODE = "Your reply held no code, so nothing ran. Write a ```repl block; submit with FINAL(value) inside one."
CUT_REPLY = "Your reply was cut at the output limit and its unfinished code was not run. Write less in one reply."
EMPTY_REPLY = "Your reply was empty, perhaps because thinking used it up. Think less and write a ```repl block."
CUT_REPLIES = "Replies of sub-calls that were cut at the output limit: {}. Ask for less in one call."
NOT_RUN = "The blocks after it were not run."
BLIND = (
    "not accepted yet: it was submitted on the first turn by code that never looked at the context. "
    "Look at the context first; if you are certain, submit again"
)


@dataclass(frozen=True, slots=True)
class Ran:
    """One block of a reply after its turn.

    Attributes:
        result: what it did.
        index: its place in `history`; None if it is not there.
        edited: the code that ran instead, if the user changed it.
        note: what the user said.
    """

    result: CellResult
    index: int | None = None
    edited: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left: ``turn`` of ``turns`` comes next; ``calls`` is None where it is not told."""

    turn: int
    turns: int
    calls: int | None


def observe(ran: Sequence[Ran], left: Left, *, cap: int = OUTPUT_CHARS, notes: Sequence[str] = ()) -> str:
    """What the root reads after its reply: each block's effect, remarks, what is left. ``cap`` is of one block."""
    blocks = [_block(block, cap, f"Block {n} of {len(ran)}" if len(ran) > 1 else "") for n, block in enumerate(ran, 1)]
    return "\n\n".join([*blocks, *notes, left_line(left)])


def block_cap(cap: int, blocks: int) -> int:
    """Characters shown of each block's output: many blocks share what two may have."""
    return cap if blocks <= 2 else max(LEAST_OUTPUT_CHARS // 2, 2 * cap // blocks)


def shown_chars(result: CellResult, cap: int) -> int:
    """How many characters of an output an observation shows."""
    return min(len(result.output), cap)


def _block(ran: Ran, cap: int, heading: str) -> str:
    result = ran.result
    if result.status == "skipped":
        return _lines(heading, "The user skipped this code; it was not run.", _note(ran.note))
    return _lines(
        heading,
        f"The user edited this code before it ran:\n{clip(ran.edited, CODE_CHARS)}" if ran.edited else "",
        _note(ran.note),
        _output(ran, cap),
        _failure(result),
        _changes(result.changes),
        f"Lost: {result.lost}" if result.lost else "",
        f"Submitted: {result.finish.notice}" if result.finish and result.finish.notice else "",
    )


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


def _note(note: str) -> str:
    return f"The user says: {note}" if note else ""


def _output(ran: Ran, cap: int) -> str:
    result = ran.result
    if not result.output:
        silent = result.status == "ok" and not result.changes and result.finish is None
        return "No output: did you print?" if silent else "No output."
    total = max(result.output_chars, len(result.output))
    if total <= cap:
        return f"Output:\n{result.output.rstrip()}"
    where = f"; in full in history[{ran.index}]" if ran.index is not None else ""
    shown = shown_chars(result, cap)
    return f"Output ({total:,} characters, {shown:,} shown{where}):\n{clip(result.output, cap, total=total).rstrip()}"


def clip(text: str, cap: int, *, total: int | None = None) -> str:
    """Head and tail of a text, and how much is missing between them. ``total`` is its length if it was cut before."""
    missing = max(total or 0, len(text)) - min(len(text), cap)
    if not missing:
        return text
    head, tail = text[: (min(len(text), cap) + 1) // 2], text[len(text) - min(len(text), cap) // 2 :]
    return f"{head}\n... [{missing:,} characters not shown] ...\n{tail}"


_ENDED = {
    "timeout": "The code took too long and was interrupted.",
    "died": "The session ended while the code ran, and was started anew.",
    "interrupted": "The code was interrupted.",
}


def _failure(result: CellResult) -> str:
    ended = _ENDED.get(result.status, "")
    if result.error is None:
        return ended
    trace = result.error.traceback.strip("\n") or f"{result.error.name}: {result.error.message}"
    return _lines(ended, f"Error:\n{clip(trace, TRACEBACK_CHARS)}")


def _changes(changes: Sequence[Change]) -> str:
    return _lines(
        _named("New variables", [c for c in changes if c.new]),
        _named("Changed", [c for c in changes if not c.new]),
    )


def _named(title: str, changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    names = [f"{c.name} ({c.type}, {c.size})" if c.size else f"{c.name} ({c.type})" for c in changes[:NAMES]]
    more = f" and {len(changes) - NAMES} more" if len(changes) > NAMES else ""
    return f"{title}: {', '.join(names)}{more}"


def stub(ran: Sequence[Ran], turn: int) -> str:
    """What stays of an observation once it is folded."""
    chars = sum(block.result.output_chars for block in ran)
    kept = [block.index for block in ran if block.index is not None]
    where = f"; in full in history[{kept[0]}]" if len(kept) == 1 else ""
    where = f"; in full in history[{kept[0]}] to history[{kept[-1]}]" if len(kept) > 1 else where
    return f"[observation of turn {turn} folded away: {_count(chars, 'character')} of output{where}]"


def left_line(left: Left) -> str:
    """What is left, in words."""
    if left.turn > left.turns:
        return "No turn is left."
    calls = f" {_count(left.calls, 'model call')} left." if left.calls is not None else ""
    last = left.turns - left.turn
    warning = {
        0: " This is the last turn: submit the answer now.",
        1: " Only one turn comes after it: submit now if you can.",
    }
    return f"Turn {left.turn} of {left.turns}.{calls}{warning.get(last, '')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
