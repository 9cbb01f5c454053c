"""The one place where secrets are taken out of text on its way to a person or a disk.

`redact` is for what libraries and servers say: it masks what is known to be secret and whatever looks like it.
`conceal` is for a model's words, in records, kept replies and on the page: what merely looks like a secret there is
the user's data, or code that a resumed run runs again, and stays. What goes to a model is never altered.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK = "[redacted]"
SHORTEST = 8  # a shorter value, such as "true" or "EMPTY", is no key and would hide ordinary words

_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|authorization", re.IGNORECASE)
_PROXY_NAME = re.compile(r"_proxy$", re.IGNORECASE)
_NAMED = r"(?:x-)?(?:goog-)?(?:api[-_]?key|auth[-_]?token|access[-_]?token|client[-_]?secret|secret|passw(?:or)?d)"

# Each keeps its first group and masks the rest.
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(://)[^/\s\"'<>]+(?=@)",  # user:password of a URL
        r"(authorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?)[^\s\"',<>]+",
        r"(\bbearer\s+)[^\s\"',<>]{6,}",
        rf"(\b{_NAMED}[\"']?\s*[:=]\s*[\"']?)[^\s\"',;<>&]+",
        r"([?&](?:key|token|sig|signature)=)[^&\s\"'<>]+",
        r"(?<![a-z0-9])()(?:sk|rk|gsk|csk|xai|hf|r8|pplx|nvapi|tgp|gh[pousr]|github_pat)[-_][\w\-*]{8,}",
        r"(?<![a-z0-9])()(?:AIza|AKIA|ASIA)[\w\-]{12,}",
        r"(?<![a-z0-9])()eyJ[\w\-]{8,}\.[\w\-]{8,}(?:\.[\w\-]*)?",  # a signed token
    )
)

_known: set[str] = set()


def remember(values: Iterable[str]) -> None:
    """Mask these values from now on; for what neither the environment nor a pattern gives away."""
    _known.update(value for value in values if len(value) >= SHORTEST)


def remember_options(options: Mapping[str, Any]) -> None:
    """Mask what looks like a secret in a model's options, and the value of every extra header."""
    for name, value in options.items():
        if name.endswith("headers") and isinstance(value, Mapping):
            remember(str(header) for header in cast("Mapping[str, Any]", value).values())
        elif _SECRET_NAME.search(name):
            remember([value] if isinstance(value, str) else [])


def reply_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a model's options that may change a reply: all but what may be a secret."""
    return {
        name: value
        for name, value in options.items()
        if not name.endswith("headers") and not (isinstance(value, str) and _SECRET_NAME.search(name))
    }


def remember_address(url: str) -> None:
    """Mask what an address holds of secrets."""
    remember(value for name, value in parse_qsl(urlsplit(url).query) if _SECRET_NAME.search(name))


def concealing() -> Callable[[str], str]:
    """Replaces every secret that is known by now, and nothing else."""
    secrets = _known | set(_environment_secrets())
    forms = sorted({form for value in secrets for form in (value, quote(value, safe=""))}, key=len, reverse=True)

    def mask(text: str) -> str:
        for form in forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    return mask


def conceal(text: str) -> str:
    """The text as `concealing` leaves it now."""
    return concealing()(text)


def redact(text: str) -> str:
    """The text with every known secret, and whatever has the form of one, replaced."""
    text = conceal(text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def _environment_secrets() -> Iterable[str]:
    for name, value in os.environ.items():
        if _PROXY_NAME.search(name):
            yield from _password(value)
        elif len(value) >= SHORTEST and _SECRET_NAME.search(name):
            yield value


def _password(url: str) -> Iterable[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return ()
    return () if not password else (password, unquote(password))


class RedactingFilter(logging.Filter):
    """For the loggers of libraries that may quote a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text, record.exc_info = redact(logging.Formatter().formatException(record.exc_info)), None
        return True
