"""Language models: whatever litellm reaches, and the offline policy that needs no key.

Importing this package imports neither litellm nor the offline policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.errors import InputError
from ..engine.ports import Model
from .catalog import OFFLINE_POLICY, OFFLINE_READER, configured_providers, is_offline, known_models
from .library import close_connections, litellm, preload
from .notes import find_notes
from .redact import conceal, concealing, redact, reply_options
from .route import OLLAMA, server_of

__all__ = [
    "OFFLINE_POLICY",
    "OFFLINE_READER",
    "close_connections",
    "conceal",
    "concealing",
    "configured_providers",
    "find_notes",
    "is_offline",
    "known_models",
    "local_models",
    "open_model",
    "preload",
    "provider_of",
    "redact",
    "reply_options",
    "server_of",
]


def open_model(
    name: str,
    *,
    api_base: str | None = None,
    api_key: str | None = None,
    api_key_env: str | None = None,
    options: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    notes: Mapping[str, str] | None = None,
) -> Model:
    """Open a model by its litellm name, or ``rlm-offline/policy`` and ``rlm-offline/reader``.

    Blocks while litellm is imported, about 2 s the first time (see `preload`). Nothing is sent, except that a server
    on this machine or its network is asked for its window, for five seconds at most.

    Args:
        api_base: the server's address; one on this network gets no key but one that is given here.
        api_key_env: the environment variable that holds the key; None: the provider's own.
        options: passed to litellm as they are, such as temperature or reasoning_effort.
        timeout: seconds for one reply.
        notes: the user's own advice for models; see `find_notes`.

    Raises:
        InputError: an unknown name, an option that is not the user's to set, or no key where one is needed.
    """
    if is_offline(name):
        return _open_offline(name)
    from .litellm_model import TIMEOUT, LiteLLMModel, checked_options
    from .route import find_route

    library = litellm()
    route = find_route(library, name, api_base, api_key, api_key_env)
    given, advice = checked_options(options, route), "\n".join(find_notes(name, notes).values())
    return LiteLLMModel(library, route, options=given, timeout=timeout or TIMEOUT, notes=advice)


def provider_of(name: str) -> str:
    """The provider whose address and key a model takes; a name without one is looked up by litellm."""
    provider, slash, _ = name.partition("/")
    if not slash:
        try:
            return str(litellm().get_llm_provider(name)[1])
        except Exception:  # litellm's way to say that it does not know a bare name
            return name
    return "ollama" if provider in OLLAMA else provider


def _open_offline(name: str) -> Model:
    from .offline.model import policy, reader

    models = {OFFLINE_POLICY: policy, OFFLINE_READER: reader}
    if name not in models:
        raise InputError(f"model {name!r} is not known: the offline ones are {' and '.join(models)}")
    return models[name]()


def local_models() -> list[str]:
    """The models of the servers that answer on this network, as `open_model` takes them; within five seconds."""
    from .served import local_models

    return local_models()
