"""What is known of a model without asking it: its window and its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.types import Price
from .route import OLLAMA, Route
from .served import Served, ask_server

WINDOW = 128_000  # tokens, where nothing says otherwise
LOCAL_WINDOW = 32_768  # what we ask Ollama for too: its own default is small, and it cuts longer prompts without a word
_ASKS_A_SERVER = OLLAMA | {"lemonade"}  # litellm's look-up would send a request


@dataclass(frozen=True)
class Listing:
    """What is known of a model.

    Attributes:
        window: in tokens.
        source: who says so, in words.
        price: None where it is unknown.
        served: the models that its local server has.
    """

    window: int
    source: str
    price: Price | None = None
    served: tuple[str, ...] = ()


def find_listing(library: Any, route: Route, options: Mapping[str, Any]) -> Listing:
    """Look a model up in litellm's map, and its window at a local server, which knows better."""
    entry = _entry(library, route)
    served = ask_server(route) if route.local else None
    window, source = _window(entry, route, served or Served(), options)
    if route.local and served is None:
        source = f"{source}, its server said nothing"
    return Listing(window, source, _price(entry), served.names if served else ())


def _entry(library: Any, route: Route) -> Mapping[str, Any]:
    key = f"{route.provider}/{route.model}"
    if route.provider not in _ASKS_A_SERVER:
        try:
            key = library.get_model_info(model=route.model, custom_llm_provider=route.provider)["key"]
        except Exception:  # litellm has several ways to say that it does not know a model
            return {}
    return library.model_cost.get(key, {})


def _price(entry: Mapping[str, Any]) -> Price | None:
    """litellm's own look-up fills a missing price with zero; the entry does not."""
    sent, written = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    return None if sent is None or written is None else Price(float(sent), float(written))


def _window(entry: Mapping[str, Any], route: Route, served: Served, options: Mapping[str, Any]) -> tuple[int, str]:
    if route.provider in OLLAMA:
        return _ollama_window(served, options.get("num_ctx"))
    if served.window:
        return served.window, "its server"
    if mapped := entry.get("max_input_tokens") or entry.get("max_tokens"):
        return mapped, "litellm's map"
    default = LOCAL_WINDOW if route.local else WINDOW
    return min(default, served.largest or default), "assumed"


def _ollama_window(served: Served, num_ctx: int | None) -> tuple[int, str]:
    """Ollama gives each request the window that it asks for, up to what the model was trained for."""
    window = num_ctx or served.window or LOCAL_WINDOW
    if served.largest and served.largest < window:
        return served.largest, "its server"
    return window, "its server" if served.window and not num_ctx else "asked for"
