"""What can happen in a run: the record's wire format, on one screen.

One event is one JSON object ``{v, run, seq, t, type, node, data}``:

    seq   0, 1, 2 ... without a gap, within a run
    t     seconds since the run opened (monotonic, microseconds kept)
    node  path of the node: "0" is the run, "0.2" its second child, "0.2.1" that one's first child

    type    data
    open    kind, parent (null for "0"), depth, label; and any field
    patch   any field
    body    sha256, text: a text, once for each hash; node is the first that refers to it
    await   phase: what the node is doing now ("thinking", "executing", "waiting", "paused")
    human   action, text: what a person did at this node
    close   status (one of STATUSES); and any field

    kind    its children             fields beside label
    run     turn, answer             query, variables, models, limits, confinement, versions, hash_seed;
                                     outcome, answer, answer_json (the answer's text is JSON), reason; resumed (id of an
                                     earlier run), cached_calls (replies kept from others); session (its name),
                                     question (its number there, from 1)
    rlm     turn, answer             as run; prompt, request
    turn    exec                     number; and as llm
    exec    llm, batch, rlm, tool    code, code_proposed, output, output_chars, shown_chars, error,
                                     changes, rich, seconds, calls, lost
    batch   llm, rlm                 n, chars, cost_estimate, request, failed; the items are numbered by their
                                     place in it, from 1
    llm     -                        prompt, request, reply, reasoning, model, finish_reason, usage, estimated, retries,
                                     cached, saved
    tool    -                        name, arguments, request, result, cached
    answer  -                        via, answer; and as llm for an extract call

A *body field* (`BODY_FIELDS`) holds a reference, ``{sha256, chars, preview}``; a prompt holds the list of its messages,
``[{role, sha256, chars, preview}]``, and ``rich`` what a cell displayed, ``[{MIME type: reference}]``. ``usage`` is
``{input, output, cached, reasoning, cost}``, tokens and US dollars, cost null where unknown; ``estimated``: the tokens
are a guess. ``request`` is a digest of what was asked; ``cached``: the reply was known, nothing was sent; ``saved``
stands for ``usage`` where that was not paid, now or in a run that this one resumes. Unknown types, kinds and fields are
kept and ignored, so that an older reader opens a newer record of the same ``v``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .types import Usage

VERSION = 1
PREVIEW = 200

EventType = Literal["open", "patch", "body", "await", "human", "close"]
STATUSES = ("ok", "partial", "error", "stopped", "limit", "skipped")
BODY_FIELDS = (
    *("prompt", "reply", "reasoning", "code", "code_proposed", "output", "answer"),
    *("arguments", "result"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; see the module's table."""

    seq: int
    t: float
    type: EventType
    node: str
    data: Mapping[str, Any]

    def as_json(self, run: str) -> dict[str, Any]:
        return {
            "v": VERSION,
            "run": run,
            "seq": self.seq,
            "t": self.t,
            "type": self.type,
            "node": self.node,
            "data": dict(self.data),
        }


def above(node: str) -> Iterator[str]:
    """The paths of the nodes above one, the nearest first."""
    while node := node.rpartition(".")[0]:
        yield node


def digest(text: str) -> str:
    """The name of a body: SHA-256 of its UTF-8, lone surrogates kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def reference(text: str) -> dict[str, Any]:
    """What a body field holds of a text."""
    return {"sha256": digest(text), "chars": len(text), "preview": text[:PREVIEW]}


def usage_field(usage: Usage) -> dict[str, Any]:
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cached": usage.cached_tokens,
        "reasoning": usage.reasoning_tokens,
        "cost": usage.cost,
    }
