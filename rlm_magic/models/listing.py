"""What is known of a model without asking it: its window and its price."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.types import Price
from .route import NO_KEY, OLLAMA, Route

WINDOW = 128_000  # tokens, where nothing says otherwise
LOCAL_WINDOW = 32_768
PATIENCE = 1.0  # seconds for a local server to list its models
_LISTED_AS = (
    "max_model_len",
    "loaded_context_length",
    "context_length",
    "max_context_length",
    "context_window",
    "n_ctx",
)
_ASKS_A_SERVER = OLLAMA | {"lemonade"}  # litellm's look-up would send a request


@dataclass(frozen=True)
class Listing:
    """``window`` in tokens; ``price`` None where it is unknown."""

    window: int
    price: Price | None


def find_listing(library: Any, route: Route, options: Mapping[str, Any]) -> Listing:
    """Look a model up in litellm's map, and its window at a local server, which knows better."""
    entry = _entry(library, route)
    return Listing(_window(entry, route, options), _price(entry))


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


def _window(entry: Mapping[str, Any], route: Route, options: Mapping[str, Any]) -> int:
    if route.provider in OLLAMA:
        return int(options["num_ctx"])
    served = _served_window(route) if route.local else None
    default = LOCAL_WINDOW if route.local else WINDOW
    return served or entry.get("max_input_tokens") or entry.get("max_tokens") or default


def _served_window(route: Route) -> int | None:
    """What an OpenAI-style server says of the model's window, if it says anything."""
    headers = {} if route.api_key in (None, NO_KEY) else {"Authorization": f"Bearer {route.api_key}"}
    request = urllib.request.Request(f"{route.server.rstrip('/')}/models", headers=headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=PATIENCE) as response:
            listed = json.loads(response.read(2**20))["data"]
        return next((_size(model) for model in listed if model["id"] == route.model), None)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return None


def _size(model: Mapping[str, Any]) -> int | None:
    """vLLM, LM Studio, gateways and llama.cpp (under "meta") each have their own field."""
    fields: dict[str, Any] = {**(model.get("meta") or {}), **model}
    sizes = (fields.get(name) for name in _LISTED_AS)
    return next((size for size in sizes if isinstance(size, int) and size > 0), None)
