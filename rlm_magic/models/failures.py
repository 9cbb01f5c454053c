"""What litellm raises, as our errors: typed, one redacted line each, with a verdict on trying again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..engine.errors import AuthError, ModelError, WindowError
from .listing import Listing
from .redact import redact
from .route import OLLAMA, Route

ATTEMPTS = 6
TIMEOUT_ATTEMPTS = 2  # each may have waited for minutes, and may be paid for
UNREACHED_ATTEMPTS = 2  # nobody listens there: a mistyped address, or a server that was not started
LONGEST = 300  # characters of a provider's own message
MOST_NAMES = 8  # of the models that a server has
STARTS = {
    "ollama": "ollama serve",
    "ollama_chat": "ollama serve",
    "lm_studio": "lms server start",
    "hosted_vllm": "vllm serve NAME",
    "llamafile": "llama-server -m FILE",
}

_OVERLOADED = {429, 503, 529}
_PASSING = _OVERLOADED | {500, 502}
_TIMEOUTS = {408, 504}
_DISCONNECTS = {"httpx", "httpcore", "aiohttp"}  # packages whose exceptions mean that no response came
_NO_ROOM = re.compile(r"context the overflows|greater than the context length")  # as LM Studio says it
_LABELS = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Timeout)(?: Error)?: |\w+Exception - |APITimeoutError - )+")
_HEADING = re.compile(r"<(title|h1)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """What an attempt was about, for its error message: characters of prompt, seconds."""

    route: Route
    listing: Listing
    chars: int
    timeout: float
    attempt: int

    def error(self, line: str, status: int | None = None) -> ModelError:
        tries = f" (after {self.attempt} attempts)" if self.attempt > 1 else ""
        return ModelError(f"{self.route.name}: {line}{tries}", status=status)


@dataclass(frozen=True)
class Failure:
    """One failed attempt.

    Attributes:
        error: what to raise if there is no further attempt.
        line: what happened, for the record.
        attempts: how many attempts in all this kind of failure is worth.
        overloaded: the server gets too much at once.
        wait: seconds that the server asked to wait; None if it did not say.
    """

    error: ModelError
    line: str
    attempts: int = 1
    overloaded: bool = False
    wait: float | None = None


def classify(error: Exception, asked: Asked, now: float) -> Failure:
    """Judge an exception of one attempt; ``now`` is seconds since the epoch."""
    return _lasting(error, asked) or _passing(error, asked, now) or _other(error, asked)


def _lasting(error: Exception, asked: Asked) -> Failure | None:
    route, text, status, kind = asked.route, describe(error), _status(error), type(error).__name__
    if kind == "ContextWindowExceededError" or _NO_ROOM.search(text):
        size = f"{asked.chars:,} characters of prompt do not fit the window (taken as {asked.listing.window:,} tokens)"
        return Failure(WindowError(f"{route.name}: {size}: {text}", status=status), text)
    if kind == "AuthenticationError" or status in (401, 403):
        message = f"{route.name}: the key was refused ({status}): {text}; {route.key_hint}"
        return Failure(AuthError(message, status=status), text)
    return None


def _passing(error: Exception, asked: Asked, now: float) -> Failure | None:
    route, status, answered = asked.route, _status(error), _answered(error)
    line = f"{status}: {describe(error)}"
    if isinstance(error, TimeoutError) or status in _TIMEOUTS:
        line = line if answered else f"no reply within {asked.timeout:g} s"
        # A server of one's own does not refuse what is too much for it: it lets it wait.
        return Failure(asked.error(line, status), line, TIMEOUT_ATTEMPTS, overloaded=route.local)
    if answered and status in _PASSING:
        wait = retry_after(_headers(error), now)
        return Failure(asked.error(line, status), line, ATTEMPTS, status in _OVERLOADED, wait)
    if not answered and _disconnected(error):
        unreached = _unreached(error)
        line = _silence(route, error) if unreached else _disconnection(route, error)
        return Failure(asked.error(line), line, UNREACHED_ATTEMPTS if unreached else ATTEMPTS)
    return None


def _silence(route: Route, error: Exception) -> str:
    if not route.local:
        return f"{_disconnection(route, error).rstrip('.')}; check the address and the network"
    start = STARTS.get(route.provider, "such as llama-server -m FILE")
    return f"no server answers at {redact(route.server)}: start it ({start}), or give its address with --api-base"


def _disconnection(route: Route, error: Exception) -> str:
    return f"the connection to {redact(_way(route))} failed: {describe(error)}"


def _way(route: Route) -> str:
    server, name = urlsplit(route.server), route.server or route.provider
    proxy = getproxies().get(server.scheme or "https")
    return f"{name} through the proxy {proxy}" if proxy and not proxy_bypass(server.netloc) else name


def _other(error: Exception, asked: Asked) -> Failure:
    status = _status(error) if _answered(error) else None
    refused = status is not None and status >= 400
    line = f"{status if refused else 'no usable reply'}: {describe(error)}"
    if status == 404 and (hint := _next_step(asked)):
        line = f"{line}; {hint}"
    return Failure(asked.error(line, status if refused else None), line)


def _next_step(asked: Asked) -> str:
    """What to do where a server does not know the model, or is not there; empty if that is not known."""
    route = asked.route
    if asked.listing.served:
        return _choice(asked)
    if route.provider in OLLAMA:
        return f"`ollama pull {route.model}` gets it"
    whole = not route.server or route.server.rstrip("/").endswith("/v1")
    return "" if whole else f"check that {redact(route.server)} is the server's whole address: most end in /v1"


def _choice(asked: Asked) -> str:
    """The models that the server has, and how it gets another."""
    names = asked.listing.served
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    listed = _line(", ".join(names[:MOST_NAMES])) + more
    pull = f"; `ollama pull {asked.route.model}` gets this one" if asked.route.provider in OLLAMA else ""
    return f"{redact(asked.route.server)} has {listed}{pull}"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a response asks to wait (RFC 9110, 10.2.3: seconds or a date); None if it does not say."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def describe(error: Exception) -> str:
    """The provider's own message on one line, redacted, then cut."""
    text = _message(_LABELS.sub("", str(error))) or type(error).__name__
    return _line(text)


def _line(text: str) -> str:
    text = redact("".join(c if c.isprintable() else " " for c in text))
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _message(text: str) -> str:
    if "<html" in text.lower():
        heading = _HEADING.search(text)
        return f"an HTML page ({heading[2]})" if heading else "an HTML page"
    try:
        body = json.loads(text)
    except ValueError:
        return text.partition("Traceback (most recent call last)")[0]
    return _json_message(body) or text


def _json_message(body: Any) -> str:
    """Providers put it at error.message, error or message."""
    error = _field(body, "error") or body
    message = _field(error, "message") or error
    return message if isinstance(message, str) else ""


def _field(body: Any, name: str) -> Any:
    return cast("dict[str, Any]", body).get(name) if isinstance(body, dict) else None


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _headers(error: Exception) -> Mapping[str, str]:
    return getattr(error, "litellm_response_headers", None) or {}


def _answered(error: Exception) -> bool:
    """Whether there was an HTTP response: litellm gives status 500 to whatever has none."""
    return bool(_headers(error)) or any(type(e).__name__ == "HTTPStatusError" for e in _chain(error))


def _disconnected(error: Exception) -> bool:
    return any(isinstance(e, OSError) or type(e).__module__.split(".")[0] in _DISCONNECTS for e in _chain(error))


def _unreached(error: Exception) -> bool:
    """Whether no connection was made, as aiohttp and httpx tell it."""
    return any(
        type(e).__name__ in ("ClientConnectorError", "ClientConnectorDNSError", "ConnectError") for e in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
