"""From what the user typed to where a request goes. Everything wrong with it is found here, before anything is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ..engine.errors import InputError
from .catalog import EXAMPLES, SIGN_IN, key_variable, provider_names
from .redact import redact, remember, remember_address

DEFAULT_SERVERS = {
    "OLLAMA": "http://localhost:11434",
    "LM_STUDIO": "http://localhost:1234/v1",
    "HOSTED_VLLM": "http://localhost:8000/v1",
    "LLAMAFILE": "http://localhost:8080/v1",  # llama.cpp's port too
}
_HOME = (".localhost", ".local", ".internal", ".lan", ".home.arpa")  # names that no public server has
NO_KEY = "none"  # what is sent to a server that asks for no key
OLLAMA = {"ollama", "ollama_chat"}
_CLOUD = {"azure", "azure_ai", "bedrock", "sagemaker", "vertex_ai"}  # credentials may come from a signed-in account


@dataclass(frozen=True)
class Route:
    """Where a model is.

    Attributes:
        name: as the user typed it, such as "openai/gpt-5".
        provider, model: litellm's split of it.
        api_base: the server's address; None: litellm knows it.
        server: the address that will be used as far as it is known, else "".
        local: the server is on this machine or its network.
        key_hint: what to do when the key is refused.
    """

    name: str
    provider: str
    model: str
    api_base: str | None
    server: str
    local: bool
    api_key: str | None = field(repr=False)
    key_hint: str

    @property
    def root(self) -> str:
        """The server's address without the path of OpenAI's protocol."""
        return self.server.rstrip("/").removesuffix("/v1")


def find_route(library: Any, name: str, api_base: str | None, api_key: str | None, api_key_env: str | None) -> Route:
    """Resolve a name.

    Raises:
        InputError: no such provider, an address that is none, or a key that is not there.
    """
    provider, model = _split(library, name, api_base)
    server = _checked(api_base or _configured_base(provider))
    if provider in OLLAMA:
        server = server.rstrip("/").removesuffix("/v1")  # its OpenAI protocol cannot set the window
    local = _is_local(server)
    key = api_key or (_key_from(api_key_env) if api_key_env else None)
    remember([key or ""])
    remember_address(server)
    if not key and not local:
        _require_key(library, name, provider)
    hint = _key_hint(provider, given=bool(api_key), variable=api_key_env, local=local)
    return Route(
        name, provider, model, server if local else api_base, server, local, key or (NO_KEY if local else None), hint
    )


def local_routes() -> list[Route]:
    """To the servers on this network, each at its usual address or at that of the environment; of no model yet."""
    servers = {
        provider: _configured_base(provider) for provider in ("ollama_chat", "lm_studio", "hosted_vllm", "llamafile")
    }
    return [
        Route("", provider, "", server, server, True, None, "")
        for provider, server in servers.items()
        if _is_local(server)
    ]


def server_of(name: str, api_base: str | None) -> str:
    """The address that a model's requests go to, if it is configured; else ""."""
    return api_base or _configured_base(name.partition("/")[0])


def _key_hint(provider: str, *, given: bool, variable: str | None, local: bool) -> str:
    if given:
        return "check the key that was passed"
    if local and not variable:
        return "none was sent to this server on your network: name the variable that holds one with --api-key-env"
    return f"check the environment variable {variable or key_variable(provider)}"


def _split(library: Any, name: str, api_base: str | None) -> tuple[str, str]:
    provider, slash, model = name.partition("/")
    if provider in SIGN_IN:
        raise InputError(f"{name}: {provider} signs in through the browser, which a run cannot wait for; use a key")
    if slash and model and provider in provider_names(library):
        return provider, model
    try:
        found = library.get_llm_provider(name)[1] if name and not slash else None
    except Exception:  # litellm's way to say that it does not know a bare name
        found = None
    if found is None:
        raise InputError(_unknown(library, name, api_base))
    return found, name


def _unknown(library: Any, name: str, api_base: str | None) -> str:
    provider, slash, model = name.partition("/")
    near = get_close_matches(provider.lower(), provider_names(library), n=1)
    if api_base and not (slash and near):
        return f"model {name!r} names no provider: for a server that speaks OpenAI's protocol, write openai/{name}"
    if model and near:
        return f"model {name!r}: there is no provider {provider!r}; did you mean {near[0]}/{model}?"
    examples = ", ".join((EXAMPLES[0], EXAMPLES[2], EXAMPLES[5]))
    return f"model {name!r} is not known: write provider/name, such as {examples}"


def _checked(server: str) -> str:
    try:
        parts = urlsplit(server)
    except ValueError:
        parts = None
    if server and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
        raise InputError(f"the address {redact(server)!r} is none: write it as http://localhost:8000/v1")
    if parts and parts.password is not None:
        raise InputError(f"the address {redact(server)!r} holds a password: leave it out; a key comes by --api-key-env")
    return server


def _configured_base(provider: str) -> str:
    stem = "OLLAMA" if provider in OLLAMA else provider.upper()
    configured = os.environ.get(f"{stem}_BASE_URL") or os.environ.get(f"{stem}_API_BASE")
    return configured or DEFAULT_SERVERS.get(stem, "")


def _host(server: str) -> str:
    try:
        return urlsplit(server).hostname or ""
    except ValueError:
        return ""


def _is_local(server: str) -> bool:
    host = _host(server)
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host.endswith(_HOME) or (host != "" and "." not in host)


def _key_from(variable: str) -> str:
    if not variable.isidentifier():
        raise InputError("api_key_env takes the name of an environment variable, not the key itself")
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {variable} holds no key: set it, or name another with --api-key-env"
        )
    return key


def _require_key(library: Any, name: str, provider: str) -> None:
    missing = [v for v in library.validate_environment(name)["missing_keys"] if v.endswith("_API_KEY")]
    if missing and provider not in _CLOUD:
        variables = " or ".join(sorted(missing))
        raise InputError(
            f"{name} needs a key: set {variables}, or name another variable with --api-key-env (in Python: api_key=)"
        )
