"""Replies that are kept from one run to the next, as the `Replies` of a run.

A reply is kept under what was asked: the setting of the models, the sub-RLM that asks, the messages, and how often it
asked the same before. So a question that is asked again goes the same way, and one that was changed goes the same way
up to the change. Code that asks the same twice gets both replies, in their order. Where in the tree a request stands
and which of several calls is done first do not matter.

A failure is not kept, nor is an empty reply. A kept reply costs nothing, but it uses up one of the limit's calls: a
root is told how many are left, and must read the same when it is asked again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from textwrap import shorten

from .budget import Budget
from .errors import Divergence, RLMError, ToolFailed
from .events import Event, above, digest
from .ports import Kept, Replies, ReplyStore
from .request import Request, digest_of
from .types import Completion, Message, Usage

SHOWN = 80  # characters of a message in a kept reply and in an error
NEXT = "--cache on asks for it and keeps it"


class CachedReplies:
    """The replies that ``known`` has, then those of a store. Also an `Observer` of the run that it serves.

    Args:
        setting: what else a reply depends on, such as the model's temperature.
        version: that of the program, kept with a reply.
        replay: a request that no reply is kept for ends the run, and is not sent.
    """

    def __init__(
        self, store: ReplyStore, budget: Budget, known: Replies, *, setting: str, version: str, replay: bool
    ) -> None:
        self._store = store
        self._budget = budget
        self._known = known
        self._setting = setting
        self._version = version
        self._replay = replay
        self._highest = Counter[str]()
        self._asked = Counter[str]()
        self._scopes: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def number(self, parent: str, kind: str, request: str, *, index: int | None, label: str) -> int | None:
        """See `Replies.number`; a node that waits to be opened has its number for itself."""
        number = self._known.number(parent, kind, request, index=index, label=label)
        if number is None:
            self._highest[parent] += 1
            number = self._highest[parent]
        return number

    def holds(self, node: str) -> bool:
        """See `Replies.holds`."""
        return self._known.holds(node)

    def result(self, node: str) -> str | ToolFailed | None:
        """See `Replies.result`; what tools return is not kept."""
        return self._known.result(node)

    def find(self, kind: str, node: str, request: str) -> Completion | RLMError | None:
        """See `Replies.find`."""
        key = self._key(node, request)
        known = self._known.find(kind, node, request)
        if known is not None:
            return known
        kept = self._store.get(key)
        if kept is None:
            self._keys[node] = key
            return None
        self._budget.known += 1
        return replace(kept, usage=Usage(), saved=kept.usage)

    def sending(self, node: str, request: Request) -> None:
        """See `Replies.sending`."""
        self._known.sending(node, request)
        if self._replay:
            raise Divergence(self._missing(node, request))

    def keep(self, node: str, request: Request, completion: Completion) -> None:
        """See `Replies.keep`."""
        self._known.keep(node, request, completion)
        messages = request.messages
        kept = Kept(
            self._keys.pop(node), request.model.name, _last(messages), _parts(messages), completion, self._version
        )
        self._store.put(kept)

    def __call__(self, event: Event) -> None:
        """Notice a sub-RLM: what it asks is counted apart from what others ask at the same time."""
        if event.type == "open" and event.data["kind"] == "rlm":
            self._scopes[event.node] = self._key(event.node, event.data["request"])

    def _key(self, node: str, request: str) -> str:
        """The key of what is asked now; asking the same again gives another."""
        scope = next((self._scopes[each] for each in above(node) if each in self._scopes), "")
        asked = digest_of(self._setting, scope, request)
        self._asked[asked] += 1
        return digest_of(asked, str(self._asked[asked]))

    def _missing(self, node: str, request: Request) -> str:
        why = self._why(request.model.name, _parts(request.messages))
        asked = f"{request.model.name} is asked {_last(request.messages)!r}"
        return f"at {node} {asked}, and {self._store.name} has no reply to that: {why}; {NEXT}"

    def _why(self, model: str, parts: tuple[str, ...]) -> str:
        nearest = self._store.nearest(parts)
        if nearest is None:
            return "nothing like it was asked"
        same = same_beginning(parts, nearest.parts)
        if same == len(parts):
            if nearest.model != model:
                return f"it was asked of {nearest.model}"
            return "it was asked less often, or with other model options"
        if same == 0:
            return f"it was asked with other instructions, by rlm_magic {nearest.version} (this is {self._version})"
        return f"the nearest that was asked is {nearest.asked!r}"


def same_beginning(parts: Sequence[str], others: Sequence[str]) -> int:
    """How many parts are the same before the first that is not."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, others, strict=False)))


def _parts(messages: Iterable[Message]) -> tuple[str, ...]:
    return tuple(digest(f"{message.role}:{message.content}")[:12] for message in messages)


def _last(messages: Sequence[Message]) -> str:
    return shorten(messages[-1].content[: 10 * SHOWN], SHOWN, placeholder="…")
