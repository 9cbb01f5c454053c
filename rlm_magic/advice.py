"""Where a single call to the model would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from .engine.budget import text_tokens
from .engine.ports import Model
from .models import is_offline
from .view import dollars

SHORT = 16_000  # tokens: up to about here a direct call answers as well (arXiv 2512.24601, the figure on scaling)
MOST_CHARS = 8 * SHORT
MOST_ITEMS = 1_000


def direct_call(named: Mapping[str, object], model: Model) -> str:
    """One line for the user where the values are texts that a single call could read; else empty."""
    texts = [text for value in named.values() for text in _texts(value)]
    if not texts or is_offline(model.name) or not all(map(_texts, named.values())):
        return ""
    tokens = sum(map(text_tokens, texts))
    if tokens > min(SHORT, model.window // 2):
        return ""
    price = f", {dollars(model.price.of(tokens, 0))} to read" if model.price and model.price.input else ""
    return (
        f"{' and '.join(named)} {'is' if len(named) == 1 else 'are'} short (about {tokens:,} tokens{price}): "
        f"a single call to {model.name} may do, for less than a run"
    )


def _texts(value: object) -> Sequence[str]:
    """A text, or those of a list; none of what is something else, or too long for a call whatever the model."""
    items = cast("Sequence[Any]", value if isinstance(value, list | tuple) else [value])
    if len(items) > MOST_ITEMS or not all(isinstance(item, str) for item in items):
        return ()
    return items if sum(map(len, items)) <= MOST_CHARS else ()
