"""Shuts this process in, by a plan: `enter` before the kernel starts, `lock` before the first line of the model's.

A plan is a JSON object: ``limits`` maps names of `resource` to numbers; ``landlock`` holds ``readable``, ``writable``
and ``files`` or is null; ``door`` says whether the seccomp filter is installed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import struct
from typing import Any, Callable, Dict, List

from . import landlock, seccomp
from .rules import explain

Plan = Dict[str, Any]

CAPABILITY_VERSION = 0x20080522


def enter(plan: Plan) -> None:
    """Set the limits and the file access; call it while this process has one thread.

    Raises:
        OSError: the kernel refused.
    """
    for name, value in plan["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if plan["landlock"] is not None:
        landlock.restrict(**plan["landlock"])
    _drop_capabilities()


def lock(plan: Plan) -> None:
    """Install the filter; call it once everything is open that the kernel needs.

    Raises:
        OSError: the kernel refused.
    """
    if plan["door"]:
        seccomp.lock_door(metadata=plan["landlock"] is None)
        explain()


def probe(plan: Plan, canary: str) -> List[str]:
    """Enter and lock, then try what must not be: the names of what could be done all the same."""
    parent = os.getppid()
    enter(plan)
    lock(plan)
    attempts: Dict[str, Callable[[], object]] = {
        "read a file of the user": lambda: open(canary, encoding="utf-8").close(),
        "open a socket": socket.socket,
        "start a process": _fork,
        "signal another process": lambda: os.kill(parent, 0),
    }
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _drop_capabilities() -> None:
    """Root without its powers: to set the clock, for one, is not a matter of files."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24)):
        number = ctypes.get_errno()
        raise OSError(number, "capset: " + os.strerror(number))
