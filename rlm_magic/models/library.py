"""litellm, imported once and quietly: no network, no file of the user's, nothing on the event loop."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from .redact import RedactingFilter

_CONNECTIONS = "4000"  # more than a run has in flight; 0 would mean litellm's own limit

_WHILE_IMPORTING = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the price map is fetched
    "LITELLM_MODE": "PRODUCTION",  # else a .env file is read into the environment
    "AIOHTTP_CONNECTOR_LIMIT": _CONNECTIONS,
    "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": _CONNECTIONS,
}
_importing = threading.Lock()


def preload() -> None:
    """Start to import litellm (about 2 s) on a thread of its own; returns at once."""
    if not (loaded() or _importing.locked()):
        # No daemon: an interpreter that ends with an import half done waits for that import's lock for ever.
        threading.Thread(target=_warm_up, name="rlm-import-litellm").start()


def _warm_up() -> None:
    # An import that the interpreter's end interrupts fails; any other failure is met again where the library is used.
    with suppress(Exception):
        litellm()
        importlib.import_module("openai.resources")  # 0.3 s that the first call would spend on the event loop


def loaded() -> bool:
    """Whether litellm is there without waiting."""
    return "litellm" in sys.modules and not _importing.locked()


def litellm() -> Any:
    """The library, set up. Blocks while it is imported for the first time."""
    with _importing:
        if "litellm" not in sys.modules:
            with _environment(_WHILE_IMPORTING):
                importlib.import_module("litellm")
        return _set_up(sys.modules["litellm"])


def _set_up(library: Any) -> Any:
    library.suppress_debug_info = True
    library.disable_hf_tokenizer_download = True
    library.telemetry = False
    warnings.filterwarnings("ignore", r"Item '.*' on TypedDict class", UserWarning)  # of litellm's types, to no one
    warnings.filterwarnings("ignore", r"coroutine '\w+\.acompletion\w*' was never awaited", RuntimeWarning)  # cancelled
    logger = logging.getLogger("LiteLLM")
    if not any(isinstance(present, RedactingFilter) for present in logger.filters):
        logger.addFilter(RedactingFilter())
    return library


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None]:
    """Environment variables for a while, where the user has not set them; the user's own litellm code sees none."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


async def close_connections() -> None:
    """Close the connections that are kept open for later calls; call it before their event loop ends."""
    if loaded():
        await litellm().close_litellm_async_clients()
