"""The locked door: a seccomp filter over every thread of this process. Linux on x86_64.

Installed after the kernel has bound its sockets and before the first line of the model's code. What it leaves out is
decided by system call: no new sockets, no processes, no tracing, no namespaces or mounts, no memory that its limits
would miss. System calls newer than the list are refused too. See seccomp(2), and the Linux sources'
``include/uapi/linux/{seccomp,filter}.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import List

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
    "socket": 41,
    "connect": 42,
    "bind": 49,
    "listen": 50,
    "fork": 57,
    "vfork": 58,
    "execve": 59,
    "execveat": 322,
    "setpriority": 141,
    "setrlimit": 160,
    "sched_setaffinity": 203,
    "sched_setattr": 314,
    "ioprio_set": 251,
    "migrate_pages": 256,
    "move_pages": 279,
    "shmat": 30,
    "shmctl": 31,
    "msgsnd": 69,
    "msgrcv": 70,
    "msgctl": 71,
    "semop": 65,
    "semctl": 66,
    "semtimedop": 220,
    "mq_unlink": 241,
    "mq_notify": 244,
    "sched_setparam": 142,
    "kexec_file_load": 320,
    "swapon": 167,
    "swapoff": 168,
    "reboot": 169,
    "sethostname": 170,
    "setdomainname": 171,
    "settimeofday": 164,
    "clock_settime": 227,
    "adjtimex": 159,
    "clock_adjtime": 305,
    "syslog": 103,
    "mknod": 133,
    "mknodat": 259,
    "fanotify_init": 300,
    "process_madvise": 440,
    "process_mrelease": 448,
    "iopl": 172,
    "ioperm": 173,
    "modify_ldt": 154,
    # what would keep a removed file on the disk without being seen: descriptors under way, rules, requests
    "sendmsg": 46,
    "sendmmsg": 307,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "io_setup": 206,
    # what tells of files and mounts that cannot be opened
    "inotify_init": 253,
    "inotify_init1": 294,
    "inotify_add_watch": 254,
    "quotactl_fd": 443,
    "statmount": 457,
    "listmount": 458,
}
# Landlock does not govern these. They do nothing and say that they did, as copying a file ends with them.
METADATA = {
    "chmod": 90,
    "fchmod": 91,
    "fchmodat": 268,
    "fchmodat2": 452,
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "fchownat": 260,
    "utime": 132,
    "utimes": 235,
    "futimesat": 261,
    "utimensat": 280,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "removexattr": 197,
    "lremovexattr": 198,
    "fremovexattr": 199,
}
# Nor these, which tell what stands beside a file. They say that the file system has no attributes.
ATTRIBUTES = {
    "getxattr": 191,
    "lgetxattr": 192,
    "fgetxattr": 193,
    "listxattr": 194,
    "llistxattr": 195,
    "flistxattr": 196,
}
NEWEST = 463  # from here on system calls are younger than these lists
# decided by an argument
MMAP, IOCTL, SOCKETPAIR, CLONE, KILL, FCNTL = 9, 16, 53, 56, 62, 72
SCHED_SETSCHEDULER, PRCTL, TGKILL, PRLIMIT, CLONE3 = 144, 157, 234, 302, 435
CLONE_FILES, CLONE_THREAD, CLONE_NAMESPACES = 0x400, 0x10000, 0x7E020000
CLONE_A_THREAD = CLONE_THREAD | CLONE_FILES  # with files of its own it would hide them
SHARED_ANONYMOUS = 0x21
SOCK_STREAM, SOCK_TYPE = 1, 0xF
FCNTLS = (8, 10, 15, 1024, 1026)  # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: signals, and others kept out
# TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FICLONE; others change files that are open to read
IOCTLS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x40049409)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 317, 1, 1

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ARCH_X86_64, _X32_BIT = 0xC000003E, 0x40000000
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
LOW, HIGH = 0, 4


def supported() -> bool:
    """Whether this machine's system calls are the ones above."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def lock_door(*, metadata: bool) -> None:
    """Install the filter on all threads; it cannot be taken back.

    Args:
        metadata: modes, owners and times of files may be changed.

    Raises:
        OSError: the kernel refused it, or the machine is not Linux on x86_64.
    """
    if not supported():
        raise OSError(errno.ENOSYS, "the filter is for Linux on x86_64")
    program = b"".join(_program(metadata))
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


def _program(metadata: bool) -> List[bytes]:
    lines = [
        _line(_LOAD, _ARCH),
        _line(_EQUAL, _ARCH_X86_64, 1, 0),
        _line(_RETURN, _KILL),
        _line(_LOAD, _NUMBER),
        _line(_AT_LEAST, _X32_BIT, 0, 1),
        _line(_RETURN, _KILL),
        _line(_AT_LEAST, NEWEST, 0, 1),
        _line(_RETURN, _ERRNO | errno.ENOSYS),
        *_answer(CLONE3, errno.ENOSYS),  # glibc then uses clone, whose flags a filter can read
    ]
    for number in REFUSED.values():
        lines += _answer(number, errno.EPERM)
    for number in () if metadata else METADATA.values():
        lines += _answer(number, 0)
    for number in () if metadata else ATTRIBUTES.values():
        lines += _answer(number, errno.ENOTSUP)
    return [*lines, *_by_argument(os.getpid()), _line(_RETURN, _ALLOW)]


def _by_argument(pid: int) -> List[bytes]:
    policy = os.sched_getscheduler(0)  # libzmq sets it anew for its threads, and aborts if it cannot
    return [
        *_only(CLONE, 0, CLONE_A_THREAD, mask=CLONE_A_THREAD | CLONE_NAMESPACES),
        *_only(KILL, 0, pid),
        *_only(TGKILL, 0, pid),
        *_only(PRLIMIT, 0, 0),
        *_only(PRLIMIT, 2, 0),  # limits can be read, not set: the notebook raises one when it binds more values
        *_only(PRLIMIT, 2, 0, half=HIGH),
        *_only(SCHED_SETSCHEDULER, 1, policy),
        *_only(SOCKETPAIR, 1, SOCK_STREAM, mask=SOCK_TYPE),  # from a datagram one, messages go to any path
        *_never(PRCTL, 0, PR_SET_PDEATHSIG, PR_SET_DUMPABLE),
        *_never(FCNTL, 1, *FCNTLS),
        *_only(IOCTL, 1, *IOCTLS),
        *_never(MMAP, 3, SHARED_ANONYMOUS, mask=SHARED_ANONYMOUS),  # RLIMIT_DATA does not count it
    ]


def _answer(number: int, error: int) -> List[bytes]:
    return [_line(_EQUAL, number, 0, 1), _line(_RETURN, _ERRNO | error)]


def _only(number: int, argument: int, *values: int, mask: int = 0xFFFFFFFF, half: int = LOW) -> List[bytes]:
    """Refuse a call unless this half of the argument is one of these values."""
    count = len(values)
    return _decide(number, argument, mask, [_line(_EQUAL, v, count - i, 0) for i, v in enumerate(values)], half)


def _never(number: int, argument: int, *values: int, mask: int = 0xFFFFFFFF) -> List[bytes]:
    """Refuse a call if the argument is one of these values."""
    last = len(values) - 1
    return _decide(number, argument, mask, [_line(_EQUAL, v, last - i, i == last) for i, v in enumerate(values)])


def _decide(number: int, argument: int, mask: int, tests: List[bytes], half: int = LOW) -> List[bytes]:
    """Tests of one half of an argument, the last of which goes on to the refusal or jumps over it."""
    load = _line(_LOAD, _ARGUMENTS + 8 * argument + half)
    refusal = _line(_RETURN, _ERRNO | errno.EPERM)
    body = [load, _line(_AND, mask), *tests, refusal, _line(_LOAD, _NUMBER)]
    return [_line(_EQUAL, number, 0, len(body)), *body]


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
