"""Nothing of the user's can be read, changed, signalled or reached. Each program is told where to find it."""

from __future__ import annotations

import re

import pytest

from rlm_magic.guest.seccomp import METADATA, NEWEST, REFUSED
from rlm_magic.subkernel import Tier

from ..subkernels import Session, opened
from .world import CANARY, World

HIDDEN = "PermissionError|FileNotFoundError"
UNWRITABLE = "PermissionError|FileNotFoundError|Read-only file system"
REFUSAL = "PermissionError"
NO_NETWORK = "no network in the sandbox"
NO_PROCESSES = "no processes in the sandbox"

# name: what it does, and how that ends: a pattern of the error, or of the output of what gets that far
FILES = {
    "a private key": ("open(secret).read()", HIDDEN),
    "its folder": ("os.listdir(home)", HIDDEN),
    "the user's accounts": ("open('/etc/passwd').read()", HIDDEN),
    "a symbolic link to it": ("os.symlink(secret, 'link'); open('link').read()", HIDDEN),
    "a hard link to it": ("os.link(secret, 'hard'); open('hard').read()", HIDDEN + "|Invalid cross-device link"),
    "the roots of all processes": (
        "import glob\nprint([open(p + secret).read() for p in glob.glob('/proc/*/root')])",
        rf"^\[\]$|{HIDDEN}",
    ),
    "inherited descriptors": (
        "import stat\n"
        "for n in range(3, 1024):\n"
        "    try: kind = os.fstat(n).st_mode\n"
        "    except OSError: continue\n"
        "    if stat.S_ISREG(kind): print(os.pread(n, 100, 0))\n"
        "print('end')",
        "^end$",
    ),
    "a new file beside it": ("open(home + '/.bashrc', 'w')", UNWRITABLE),
    "the file itself, written": ("open(secret, 'w')", UNWRITABLE),
    "the file itself, removed": ("os.unlink(secret)", UNWRITABLE),
    "site-packages": ("import numpy; open(numpy.__file__, 'a')", UNWRITABLE),
    "the Python's own library": ("open(os.__file__, 'a')", UNWRITABLE),
    "/tmp": ("open('/tmp/left-behind', 'w')", UNWRITABLE),
    "/dev/shm": ("open('/dev/shm/left-behind', 'w')", UNWRITABLE),
    "its own connection file": ("open('../c.json', 'w')", UNWRITABLE),
    "its own start-up log": ("open('../log', 'a')", UNWRITABLE),
    "its mode": ("os.chmod(secret, 0o666); print('done')", "^done$|" + UNWRITABLE),
    "its times": ("os.utime(secret); print('done')", "^done$|" + UNWRITABLE),
    "its attributes": ("os.setxattr(secret, 'user.x', b'x'); print('done')", "^done$|" + UNWRITABLE),
    "its attributes, read": ("print(os.getxattr(secret, 'user.origin'))", HIDDEN + "|not supported"),
    "changes in its folder": ("print(libc.inotify_init1(0))", "^-1$"),
    "its length": ("os.truncate(secret, 0)", UNWRITABLE),
    "a device": ("os.mknod('disk', 0o60600, os.makedev(8, 0))", REFUSAL),
    "the kernel's settings": ("open('/proc/sys/vm/swappiness', 'a')", UNWRITABLE),
}
SECRETS = {
    "its own environment": ("print(dict(os.environ))", "RLM_SUBKERNEL"),
    "the notebook's environment": ("open(f'/proc/{notebook}/environ').read()", HIDDEN),
    "the parent's environment": ("open(f'/proc/{os.getppid()}/environ').read()", HIDDEN),
    "the memory of any process": ("[open(f'/proc/{n}/mem', 'rb') for n in (1, notebook, victim)]", HIDDEN),
    "the notebook's memory, by system call": (
        "print(libc.process_vm_readv(notebook, ctypes.create_string_buffer(64), 1, None, 0, 0))",
        "^-1$",
    ),
    "shared memory": ("libc.shmat.restype = ctypes.c_long; print(libc.shmat(shared_memory, None, 0))", "^-1$"),
    "shared memory, removed": ("print(libc.shmctl(shared_memory, 0, None))", "^-1$"),
}
PROCESSES = {
    "kill": ("os.kill(victim, 9)", REFUSAL),
    "kill all": ("os.kill(-1, 9)", REFUSAL),
    "kill the group": ("os.killpg(os.getpgrp(), 9)", REFUSAL),
    "a signal by descriptor": ("os.pidfd_open(victim)", REFUSAL),
    "a signal sent by the kernel": (
        "import fcntl\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, victim)",
        REFUSAL,
    ),
    "a signal sent by the kernel, by ioctl": (
        "import array, fcntl\na, b = socket.socketpair()\nfcntl.ioctl(a, 0x8901, array.array('i', [victim]))",
        REFUSAL,
    ),
    "ptrace": ("print(libc.ptrace(16, victim, 0, 0))", "^-1$"),
    "renice": ("os.setpriority(os.PRIO_PROCESS, victim, 19)", REFUSAL),
    "limits": ("import resource; resource.prlimit(victim, resource.RLIMIT_NOFILE, (0, 0))", REFUSAL),
    "affinity": ("os.sched_setaffinity(victim, {0})", REFUSAL),
    "scheduling": ("os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0))", REFUSAL),
    "outliving the notebook": ("print(libc.prctl(1, 0, 0, 0, 0))", "^-1$"),
    "hiding from the watch": ("print(libc.prctl(4, 0, 0, 0, 0))", "^-1$"),
    "fork": ("os.fork()", NO_PROCESSES),
    "fork, by system call": ("print(libc.fork())", "^-1$"),
    "a command": ("!ls", NO_PROCESSES),
    "subprocess": ("import subprocess; subprocess.run(['ls'])", NO_PROCESSES),
    "os.system": ("os.system('ls')", NO_PROCESSES),
    "pip": ("%pip install six", NO_PROCESSES),
    "a pool": ("import multiprocessing; multiprocessing.Pool(2)", NO_PROCESSES),
    "a process pool": (
        "from concurrent.futures import *\nProcessPoolExecutor(2).submit(abs, 1).result()",
        NO_PROCESSES,
    ),
    "another program in its place": ("os.execv('/bin/true', ['true'])", NO_PROCESSES),
    "the clock": ("import time; time.clock_settime(time.CLOCK_REALTIME, time.time())", REFUSAL),
    "root's capabilities": (
        "import struct\n"
        "data = ctypes.create_string_buffer(24)\n"
        "print(libc.capget(struct.pack('Ii', 0x20080522, 0), data), any(data.raw))",
        "^0 False$",
    ),
    "the host's name": ("socket.sethostname('mine')", REFUSAL),
}
NETWORK = {
    "TCP": ("socket.create_connection(('127.0.0.1', tcp))", NO_NETWORK),
    "TCP, by system call": ("print(libc.socket(2, 1, 0))", "^-1$"),
    "UDP": ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', udp))", NO_NETWORK),
    "DNS": ("socket.getaddrinfo('example.com', 443)", NO_NETWORK),
    "HTTP": ("import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{tcp}')", NO_NETWORK),
    "vsock": ("socket.socket(40, socket.SOCK_STREAM)", REFUSAL),
    "netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", REFUSAL),
    "a Unix socket by path": ("socket.socket(socket.AF_UNIX).connect(path)", REFUSAL),
    "an abstract Unix socket": ("socket.socket(socket.AF_UNIX).connect(abstract)", REFUSAL),
    "a datagram by path": (
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\na.sendto(b'x', path_datagram)",
        REFUSAL,
    ),
    "listening": ("socket.create_server(('127.0.0.1', 0))", NO_NETWORK),
}
PROGRAMS = {**FILES, **SECRETS, **PROCESSES, **NETWORK}


@pytest.fixture(scope="module")
def prepared(session: Session, target: World) -> Session:
    session.run(target.names())
    return session


def tried(session: Session, code: str) -> str:
    """The error of a cell, or what it wrote."""
    result = session.run(code)
    assert result.status in ("ok", "error")
    assert CANARY not in result.output
    return f"{result.error.name}: {result.error.message}" if result.error else result.output.strip()


@pytest.mark.parametrize(("code", "outcome"), PROGRAMS.values(), ids=PROGRAMS)
def test_what_is_out_of_reach(prepared: Session, target: World, code: str, outcome: str) -> None:
    said = tried(prepared, code)
    assert re.search(outcome, said), said
    assert target.untouched()


def calling(numbers: list[int]) -> str:
    return (
        "def error(number):\n"
        "    ctypes.set_errno(0)\n"
        "    return libc.syscall(number, 0, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno()\n"
        f"print(sorted({{error(number) for number in {numbers}}}))"
    )


def test_every_refused_system_call_is_refused(prepared: Session) -> None:
    assert tried(prepared, calling(list(REFUSED.values()))) == "[1]"


def test_system_calls_younger_than_the_list_do_not_exist(prepared: Session) -> None:
    assert tried(prepared, calling([NEWEST, NEWEST + 1, 500, 1000])) == "[38]"


def test_calls_of_the_32_bit_interface_end_the_session(prepared: Session, target: World) -> None:
    result = prepared.run("libc.syscall(0x40000000 + 39)")
    assert result.status == "died"
    assert "SIGSYS" in result.lost
    prepared.run(target.names())


def test_modes_and_owners_are_changed_nowhere_under_landlock(prepared: Session, tier: Tier) -> None:
    if "Landlock" not in tier.words:
        pytest.skip("mounts protect them")
    assert tried(prepared, calling(list(METADATA.values()))) == "[False]"
    assert tried(prepared, "open('own', 'w'); os.chmod('own', 0); print(oct(os.stat('own').st_mode & 0o777))") != "0o0"


def test_names_sizes_and_dates_are_hidden_by_mounts_and_not_by_landlock(prepared: Session, tier: Tier) -> None:
    """What Landlock leaves open of a path that is guessed; folders cannot be listed in either."""
    outcome = f"^{len(CANARY)}$" if "Landlock" in tier.words else HIDDEN
    assert re.search(outcome, tried(prepared, "print(os.stat(secret).st_size)"))
    assert re.search(HIDDEN, tried(prepared, "os.scandir(home)"))


def test_no_namespace_comes_with_a_thread(prepared: Session) -> None:
    """clone is allowed for threads alone; a user or network namespace with one is not."""
    flags = 0x10000 | 0x800 | 0x100 | 0x50000000
    assert tried(prepared, f"print(libc.syscall(56, {flags}, 0, 0, 0, 0), ctypes.get_errno())") == "-1 1"


def test_no_thread_has_files_of_its_own(prepared: Session, target: World) -> None:
    """They would not be seen by the watch, nor count for the limit on open files."""
    code = (
        "stack = ctypes.create_string_buffer(1 << 16)\n"
        "libc.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]\n"
        "end = ctypes.addressof(stack) + (1 << 16) - 64\n"
        "print(libc.clone(ctypes.cast(libc.pause, ctypes.c_void_p), end, 0x10000 | 0x800 | 0x200 | 0x100, None))"
    )
    assert tried(prepared, code) == "-1"


def test_nobody_sees_another_subkernel(prepared: Session, tier: Tier) -> None:
    with opened(tier=tier) as other:
        work = other.run("import os; open('mine', 'w').write('x'); print(os.getcwd())").output.strip()
        assert tried(prepared, f"open({work + '/mine'!r}).read()").startswith(("PermissionError", "FileNotFoundError"))
