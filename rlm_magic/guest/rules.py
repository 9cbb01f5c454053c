"""Says what is refused before the kernel refuses it, so that the model's code reads a rule and not an error number.

Refuses nothing that would have worked: what comes past this meets the seccomp filter.
"""

from __future__ import annotations

import errno
import importlib
import socket
import sys
from typing import Any, Tuple

NO_PROCESSES = "no processes in the sandbox: use threads, or Python libraries instead of commands"
NO_NETWORK = "no network in the sandbox: there is only what was bound; ask models by llm_query"

# names of https://docs.python.org/3/library/audit_events.html
RULES = {
    **dict.fromkeys(
        ("subprocess.Popen", "os.fork", "os.forkpty", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
        NO_PROCESSES,
    ),
    **dict.fromkeys(
        ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.connect", "socket.bind"),
        NO_NETWORK,
    ),
}


def explain() -> None:
    """From now on each refusal names its rule. It cannot be taken back."""
    sys.addaudithook(_refuse)
    _refuse_locks()


def no_processes(*arguments: Any, **options: Any) -> None:
    raise PermissionError(errno.EPERM, NO_PROCESSES)


def _refuse(event: str, arguments: Tuple[Any, ...]) -> None:
    if event in RULES:
        raise PermissionError(errno.EPERM, RULES[event])
    if event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6):
        raise PermissionError(errno.EPERM, NO_NETWORK)


def _refuse_locks() -> None:
    """Multiprocessing starts with a lock between processes, of which there is no audit event."""
    try:
        module: Any = importlib.import_module("_multiprocessing")
    except ImportError:  # Python can be built without
        return

    class SemLock:
        SEM_VALUE_MAX = 2**31 - 1

        def __init__(self, *arguments: Any, **options: Any) -> None:
            no_processes()

    module.SemLock = SemLock
