"""File access by allow-list, through Landlock (kernel 5.13 and later; see landlock(7)).

Restricts the calling thread and what it starts, so it comes before the kernel starts threads of its own. What an older
ABI cannot refuse (sockets, signals, truncation by path) the seccomp filter refuses.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

LOWEST_ABI = 3  # the first that governs truncation; below it this tier does not count as confined

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
ALL_ACCESS = {3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
READ = READ_FILE | READ_DIR | EXECUTE
DEVICES = {6, 10, 11}  # MAKE_CHAR, MAKE_FIFO, MAKE_BLOCK: of no use to the model's code
WRITE = (READ | sum(1 << bit for bit in range(1, 15) if bit not in DEVICES)) & ~EXECUTE
ALL_TCP = 0b11
ALL_SCOPES = 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    return max(_libc.syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION), 0)


def restrict(readable: Iterable[str], writable: Iterable[str], files: Iterable[str] = ()) -> None:
    """Allow reading below ``readable``, reading and writing below ``writable`` and the single ``files``; nothing else.

    Paths that do not exist are passed over.

    Raises:
        OSError: no Landlock, or an ABI below `LOWEST_ABI`.
    """
    version = abi()
    if version < LOWEST_ABI:
        raise OSError("Landlock ABI {} is below {}".format(version, LOWEST_ABI))
    handled = ALL_ACCESS[min(version, 5)]
    ruleset = _create(version, handled)
    try:
        for path in readable:
            _allow(ruleset, path, READ & handled)
        for path in writable:
            _allow(ruleset, path, (READ | WRITE) & handled & ~EXECUTE)
        for path in files:
            _allow(ruleset, path, READ_FILE | WRITE_FILE)
        _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _check(_libc.syscall(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _create(version: int, handled: int) -> int:
    tcp = ALL_TCP if version >= 4 else 0
    scopes = ALL_SCOPES if version >= 6 else 0
    attributes = struct.pack("QQQ", handled, tcp, scopes)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    return _check(_libc.syscall(CREATE_RULESET, attributes, size, 0))


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            access &= READ_FILE | WRITE_FILE | EXECUTE | TRUNCATE
        rule = struct.pack("=Qi", access, descriptor)
        _check(_libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "landlock: " + os.strerror(number))
    return result
