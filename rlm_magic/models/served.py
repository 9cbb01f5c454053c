"""What a server on this network says of its models: which it has, and how large the asked one's window is.

Each kind of server has its own way: vLLM and gateways say it in OpenAI's list of models, llama.cpp there or in
``/props``, LM Studio in ``/api/v1/models`` (before 0.4 in ``/api/v0/models``), Ollama in ``/api/show``.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from .route import NO_KEY, OLLAMA, Route, local_routes

PATIENCE = 5.0  # seconds for all that is asked
SILENCE = 2.0  # seconds without a byte
_SIZES = ("max_model_len", "loaded_context_length", "context_length", "context_window", "n_ctx")
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Served:
    """What a server said, as far as it did.

    Attributes:
        names: the models that it has.
        window: tokens that one request to the model may have.
        largest: tokens that the model was trained for, which the server may be set to.
    """

    names: tuple[str, ...] = ()
    window: int | None = None
    largest: int | None = None


def ask_server(route: Route) -> Served | None:
    """Ask a local server; None if it lists no models, or not in time."""
    ask = _ask_ollama if route.provider in OLLAMA else _ask_openai
    answers: list[Served | None] = []
    # A thread, as nothing else ends a look-up of the name, or an answer that comes byte by byte.
    thread = threading.Thread(target=lambda: answers.append(ask(route)), name="rlm-ask-server", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answers[0] if answers else None


def local_models() -> list[str]:
    """The models of the servers that answer on this network, as `open_model` takes them."""
    routes = local_routes()
    with ThreadPoolExecutor(len(routes) or 1) as asking:
        served = asking.map(ask_server, routes)
    return [
        f"{route.provider}/{name}" for route, each in zip(routes, served, strict=True) if each for name in each.names
    ]


def _ask_openai(route: Route) -> Served | None:
    models = _entries(_get(route, f"{route.server.rstrip('/')}/models"), "data")
    if models is None:
        return None
    names = tuple(str(model.get("id")) for model in models)
    model = _entry(models, route.model)
    window, largest = _size(model), _number(model.get("max_context_length"))
    if window is None and model.get("owned_by") == "llamacpp":
        window = _size(_object(_get(route, f"{route.root}/props").get("default_generation_settings")))
    elif window is None:
        window, largest = _ask_lm_studio(route)
    return Served(names, window, largest)


def _ask_lm_studio(route: Route) -> tuple[int | None, int | None]:
    """The window as the model is loaded, and the largest that it can have; LM Studio 0.4 has a form of its own."""
    for model in _entries(_get(route, f"{route.root}/api/v1/models"), "models") or []:
        loaded = _entries(model, "loaded_instances") or []
        if route.model in (model.get("key"), *(instance.get("id") for instance in loaded)):
            window = next((_size(_object(instance.get("config"))) for instance in loaded), None)
            return window, _number(model.get("max_context_length"))
    model = _entry(_entries(_get(route, f"{route.root}/api/v0/models"), "data") or [], route.model)
    return _size(model), _number(model.get("max_context_length"))


def _entry(models: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The model's entry; llama.cpp serves its only model under any name."""
    if len(models) == 1 and models[0].get("owned_by") == "llamacpp":
        return models[0]
    return next((model for model in models if model.get("id") == name), _object(None))


def _size(model: Mapping[str, Any]) -> int | None:
    fields = {**_object(model.get("meta")), **model}
    return next((size for name in _SIZES if (size := _number(fields.get(name)))), None)


def _ask_ollama(route: Route) -> Served | None:
    listed = _entries(_get(route, f"{route.root}/api/tags"), "models")
    if listed is None:
        return None
    shown = _get(route, f"{route.root}/api/show", {"model": route.model})
    info = _object(shown.get("model_info"))
    trained = next((size for name, size in info.items() if name.endswith(".context_length")), None)
    given = _NUM_CTX.search(str(shown.get("parameters")))
    names = tuple(str(model.get("name")) for model in listed)
    return Served(names, int(given[1]) if given else None, _number(trained))


def _get(route: Route, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON object that the server answers with; empty if it does not."""
    headers = {} if route.api_key in (None, NO_KEY) else {"Authorization": f"Bearer {route.api_key}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=SILENCE) as response:
            return _object(json.loads(response.read(2**22)))
    except (OSError, http.client.HTTPException, ValueError):
        return {}


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _entries(answer: Mapping[str, Any], field: str) -> list[dict[str, Any]] | None:
    """The objects of a list; None if there is no list."""
    listed = answer.get(field)
    return [_object(each) for each in cast("list[object]", listed)] if isinstance(listed, list) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
