"""litellm's response to a `Completion`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine.errors import EmptyReply, ModelError
from ..engine.parse import split_thought
from ..engine.types import Completion, Message, Usage

CHARS_PER_TOKEN = 4  # for a server that counts nothing
MOST_COUNTED = 10**9  # tokens of one call; a server that says more has not counted


def read_reply(response: Any, name: str, messages: Sequence[Message], max_tokens: int) -> Completion:
    """The reply's text, reasoning and usage; the cost is left unknown.

    Raises:
        EmptyReply: it holds no text.
        ModelError: it is no chat completion.
    """
    choices = getattr(response, "choices", None) or [None]
    message = getattr(choices[0], "message", None)
    content = getattr(message, "content", None) or ""
    if message is None or not isinstance(content, str):
        raise ModelError(f"{name}: the reply holds no message")
    finish_reason = getattr(choices[0], "finish_reason", None) or "stop"
    thought, text = split_thought(content)
    reasoning = getattr(message, "reasoning_content", None) or thought
    usage = _usage(response.usage) if is_counted(response) else _estimate(messages, content, reasoning)
    if not text.strip():
        raise EmptyReply(_why_empty(name, finish_reason, reasoning, max_tokens), usage=usage)
    return Completion(text, usage, name, finish_reason, reasoning)


def _why_empty(name: str, finish_reason: str, reasoning: str, max_tokens: int) -> str:
    if finish_reason != "length":
        return f"{name}: the reply is empty (finish_reason={finish_reason})"
    spent = "went into thinking" if reasoning else "ran out before any text"
    more = f"--model-options '{{\"max_tokens\": {4 * max_tokens}}}'"
    return (
        f"{name}: the reply is empty (finish_reason=length): all of its {max_tokens:,} output tokens {spent}: "
        f"raise them with {more}, or lower reasoning_effort"
    )


def is_counted(response: Any) -> bool:
    """Whether the server counted tokens, and the count can be."""
    usage = getattr(response, "usage", None)
    return _count(usage, "prompt_tokens") > 0 and _count(usage, "completion_tokens") > 0


def _usage(counted: Any) -> Usage:
    cached = _count(getattr(counted, "prompt_tokens_details", None), "cached_tokens")
    reasoning = _count(getattr(counted, "completion_tokens_details", None), "reasoning_tokens")
    return Usage(counted.prompt_tokens, counted.completion_tokens, cached, reasoning, None)


def _count(holder: Any, field: str) -> int:
    value = getattr(holder, field, None)
    return value if isinstance(value, int) and 0 < value <= MOST_COUNTED else 0


def _estimate(messages: Sequence[Message], content: str, reasoning: str) -> Usage:
    sent = sum(len(message.content) for message in messages)
    written = len(content) if reasoning in content else len(content) + len(reasoning)
    return Usage(_tokens(sent), _tokens(written), reasoning_tokens=_tokens(len(reasoning)), cost=None, estimated=True)


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)
