"""The locked door: a seccomp filter over every thread of this process. Linux on x86_64.

Installed after the kernel has bound its sockets and before the first line of the model's code. What it leaves out is
decided by system call: no new sockets, no processes, no tracing, no namespaces or mounts, no anonymous files that
memory limits would miss. See seccomp(2) and the kernel's ``include/uapi/linux/{seccomp,filter}.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# numbers of arch/x86/entry/syscalls/syscall_64.tbl
REFUSED = {
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "pidfd_send_signal": 424,
    "tkill": 200,
    "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297,
    "kcmp": 312,
    "unshare": 272,
    "setns": 308,
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "chroot": 161,
    "move_mount": 429,
    "open_tree": 428,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "keyctl": 250,
    "add_key": 248,
    "request_key": 249,
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "memfd_create": 319,
    "memfd_secret": 447,
    "shmget": 29,
    "msgget": 68,
    "semget": 64,
    "mq_open": 240,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "kexec_load": 246,
    "init_module": 175,
    "finit_module": 313,
    "delete_module": 176,
    "quotactl": 179,
    "acct": 163,
    "personality": 135,
    "truncate": 76,
    "socket": 41,
    "connect": 42,
    "bind": 49,
    "listen": 50,
    "fork": 57,
    "vfork": 58,
    "execve": 59,
    "execveat": 322,
    "setpriority": 141,
    "sched_setaffinity": 203,
    "sched_setattr": 314,
    "ioprio_set": 251,
    "migrate_pages": 256,
    "move_pages": 279,
}
# allowed for one first argument only; sched_setscheduler stays allowed: libzmq aborts without it
CLONE, CLONE3, KILL, TGKILL, PRLIMIT, PRCTL = 56, 435, 62, 234, 302, 157
CLONE_THREAD = 0x10000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 317, 1, 1

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ARCH_X86_64, _X32_BIT = 0xC000003E, 0x40000000
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16


def supported() -> bool:
    """Whether this machine's system calls are the ones above."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def lock_door() -> None:
    """Install the filter on all threads; it cannot be taken back.

    Raises:
        OSError: the kernel refused it, or the machine is not Linux on x86_64.
    """
    if not supported():
        raise OSError(errno.ENOSYS, "the filter is for Linux on x86_64")
    program = _program(os.getpid())
    text = ctypes.create_string_buffer(program, len(program))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    filters = Filter(len(program) // 8, ctypes.addressof(text))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(filters)
    ):
        number = ctypes.get_errno()
        raise OSError(number, "seccomp: " + os.strerror(number))


def _program(pid: int) -> bytes:
    lines = [
        _line(_LOAD, _ARCH),
        _line(_EQUAL, _ARCH_X86_64, 1, 0),
        _line(_RETURN, _KILL),
        _line(_LOAD, _NUMBER),
        _line(_AT_LEAST, _X32_BIT, 0, 1),
        _line(_RETURN, _KILL),
    ]
    for number in REFUSED.values():
        lines += _refuse(number, errno.EPERM)
    lines += _refuse(CLONE3, errno.ENOSYS)  # glibc then uses clone, whose flags a filter can read
    lines += _unless(CLONE, _line(_ANY_BIT, CLONE_THREAD, 1, 0))
    lines += _unless(PRLIMIT, _line(_EQUAL, 0, 1, 0))
    lines += _unless(KILL, _line(_EQUAL, pid, 1, 0))
    lines += _unless(TGKILL, _line(_EQUAL, pid, 1, 0))
    lines += _unless(PRCTL, _line(_EQUAL, PR_SET_PDEATHSIG, 0, 1))
    lines.append(_line(_RETURN, _ALLOW))
    return b"".join(lines)


def _refuse(number: int, error: int) -> list[bytes]:
    return [_line(_EQUAL, number, 0, 1), _line(_RETURN, _ERRNO | error)]


def _unless(number: int, test: bytes) -> list[bytes]:
    """Refuse a call unless ``test`` of its first argument jumps over the refusal."""
    refusal = _line(_RETURN, _ERRNO | errno.EPERM)
    return [_line(_EQUAL, number, 0, 4), _line(_LOAD, _FIRST_ARGUMENT), test, refusal, _line(_LOAD, _NUMBER)]


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
