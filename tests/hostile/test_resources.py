"""Memory, threads, descriptors and disk are bounded; the notebook says which bound it was, and goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy
import psutil
import pytest

from rlm_magic.binding import ValueStore, bind
from rlm_magic.subkernel import Tier, watch

from ..subkernels import Session, opened

MIB = 1024**2
MEMORY = 300 * MIB

# name: what it does, and how that ends: a pattern of its error, its output or what the notebook says of its death
REFUSED = {
    "a large value": ("kept = bytearray(1 << 31)", "MemoryError"),
    "a large array": ("import numpy; numpy.ones(1 << 28)", "MemoryError|ArrayMemoryError"),
    "many values": ("kept = []\nwhile True: kept.append(bytearray(1 << 24))", "MemoryError"),
    "shared memory without a file": ("import mmap; mmap.mmap(-1, 1 << 31)", "PermissionError"),
    "a file in memory": ("import os; os.memfd_create('x')", "PermissionError"),
    "System V memory": ("import ctypes; print(ctypes.CDLL(None).shmget(0, 1 << 31, 0o1600))", "^-1$"),
    "a fork bomb": ("import os\nwhile True: os.fork()", "no processes in the sandbox"),
    "descriptors": ("import os\nkept = []\nwhile True: kept.append(open(os.devnull))", "Too many open files"),
    "one huge file": ("open('big', 'wb').truncate(1 << 40)", "File too large"),
    "descriptors under way": (
        "import array, socket\n"
        "a, b = socket.socketpair()\n"
        "a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [a.fileno()]))])",
        "PermissionError",
    ),
    "rules that hold removed files": (
        "import ctypes, struct; print(ctypes.CDLL(None).syscall(444, struct.pack('Q', 4), 8, 0))",
        "^-1$",
    ),
    "a raised limit": (
        "import resource as r\n"
        "import ctypes, mmap\n"
        "for name in ('RLIMIT_DATA', 'RLIMIT_FSIZE', 'RLIMIT_NOFILE', 'RLIMIT_CORE'):\n"
        "    limit = getattr(r, name); hard = r.getrlimit(limit)[1]\n"
        "    assert r.getrlimit(limit)[0] != r.RLIM_INFINITY, name\n"
        "    try: r.setrlimit(limit, (hard, hard))\n"
        "    except (ValueError, OSError): print('refused')\n"
        # where the low half of the address is 0
        "libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p\n"
        "at = libc.mmap(ctypes.c_void_p(1 << 32), ctypes.c_size_t(4096), 3, 0x100022, -1, ctypes.c_size_t(0))\n"
        "assert at == 1 << 32, at\n"
        "print('refused' if libc.prlimit(0, r.RLIMIT_DATA, ctypes.c_void_p(at), None) else 'set')",
        r"^(refused\s*){5}$",
    ),
}
FILL = "chunk = bytes(1 << 20)\nfor n in range(10**6):\n    with open({name}, 'ab') as file: file.write(chunk)\n"
# where /proc tells nothing more of the main thread
ENDED = (
    "import ctypes, mmap, os, threading, time\n"
    "kept, go = [], threading.Event()\n"
    "def work():\n"
    "    go.wait(); time.sleep(0.2)\n"
    "{}"
    "threading.Thread(target=work).start()\n"
    "go.set(); ctypes.CDLL(None).syscall(60, 0)"
)
KILLED = {
    "threads": (
        "import threading, time\n"
        "while True:\n"
        "    try: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "    except RuntimeError: time.sleep(0.01)",
        "500 threads",
    ),
    "disk": (FILL.format(name="f'part-{n // 8}'"), "wrote more than 50 MiB"),
    "the folder of its sockets": (FILL.format(name="f'../s/part-{n // 8}'"), "wrote more than 50 MiB"),
    "the outbox": (FILL.format(name="f'../out/part-{n // 8}'"), "wrote more than 50 MiB"),
    "removed files": (
        "import os\nkept = []\n"
        "while True:\n"
        "    try: kept.append(open('part', 'wb', 0)); os.unlink('part'); kept[-1].write(bytes(1 << 20))\n"
        "    except OSError: pass  # no more files can be open: a fast disk gets there before it is noticed",
        "wrote more than 50 MiB",
    ),
    "removed files that are mapped": (
        "import ctypes, os\n"
        "map = ctypes.CDLL(None).mmap; map.argtypes = [ctypes.c_size_t] * 2 + [ctypes.c_int] * 3 + [ctypes.c_size_t]\n"
        "for n in range(2000):\n"
        "    with open('part', 'w+b') as file:\n"
        "        file.write(bytes(1 << 20)); file.flush(); os.unlink('part')\n"
        "        map(0, 1 << 20, 1, 1, file.fileno(), 0)\n"
        "while True: pass",
        "wrote more than 50 MiB",
    ),
    "a folder too deep to be named": (
        "import os\nfor _ in range(1500): os.mkdir('deep'); os.chdir('deep')\nwhile True: pass",
        "cannot be looked into",
    ),
    "a folder that is closed to its owner": (
        "import os\nos.mkdir('closed', 0o300)\n" + FILL.format(name="f'closed/part-{n // 8}'"),
        "cannot be looked into|wrote more than 50 MiB",
    ),
    "removed files once the main thread has ended": (
        ENDED.format(
            "    with open('part', 'wb', 0) as file:\n"
            "        os.unlink('part')\n"
            "        for _ in range(200): file.write(bytes(1 << 20))\n"
            "        time.sleep(60)\n"
        ),
        "wrote more than 50 MiB",
    ),
    "a growing stack once the main thread has ended": (
        ENDED.format(
            "    while True:\n"
            "        stack = mmap.mmap(-1, 1 << 26, 0x122, mmap.PROT_READ | mmap.PROT_WRITE)\n"
            "        kept.append(stack)\n"
            "        for at in range(0, 1 << 26, 4096): stack[at] = 1\n"
        ),
        "used more than 300 MiB of memory",
    ),
    "page tables": (
        "import mmap\n"
        "kept = [mmap.mmap(-1, 1 << 40, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ) for _ in range(2)]\n"
        "while True:\n"
        "    for at in range(0, 1 << 40, 1 << 21): kept[0][at]; kept[1][at]",
        "used more than 300 MiB of memory",
    ),
}
# many files take long to remove
KILLED_SLOWLY = {
    "150,000 files": ("for n in range(150_000): open(str(n), 'w').close()\nwhile True: pass", "20,000 files"),
    "150,000 folders": ("import os\nfor n in range(150_000): os.mkdir(str(n))\nwhile True: pass", "20,000 files"),
}


@pytest.fixture(scope="module")
def small(nothing_left: None, tier: Tier) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, opened(tier=tier, memory=MEMORY) as session:
        patch.setattr(watch, "DISK_BYTES", 50 * MIB)
        yield session


@pytest.mark.parametrize(("code", "outcome"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_the_session(small: Session, code: str, outcome: str) -> None:
    small.run("mine = 1")
    result = small.run(code)
    said = f"{result.error.name}: {result.error.message}" if result.error else result.output.strip()
    assert re.search(outcome, said), said
    assert small.run("kept = None; print(mine)").output == "1\n"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *(pytest.param(*program, id=name) for name, program in KILLED.items()),
        *(pytest.param(*program, id=name, marks=pytest.mark.slow) for name, program in KILLED_SLOWLY.items()),
    ],
)
@pytest.mark.timeout(300)
def test_what_is_killed_is_told(small: Session, code: str, outcome: str) -> None:
    before = psutil.virtual_memory().available
    result = small.run(code, seconds=60)
    assert re.search(outcome, result.lost or str(result.error)), (result.lost, result.error)
    assert psutil.virtual_memory().available > before - 3_000 * MIB
    assert small.run("print(6 * 7)").output == "42\n"


def test_bound_values_do_not_count(nothing_left: None, tier: Tier, tmp_path: Path) -> None:
    """A text, bytes and an array, each larger than the limit, and the array changed in place."""
    store = ValueStore(tmp_path)
    values = {"text": "x" * (100 * MIB), "data": bytes(100 * MIB), "array": numpy.zeros(100 * MIB, "u1")}
    with opened([bind(*item, store=store) for item in values.items()], tier=tier, memory=60 * MIB) as session:
        code = "import time; array += 1; time.sleep(0.5); print(len(text) + len(data) + int(array.sum()))"
        assert session.run(code).output == f"{300 * MIB}\n"
        result = session.run("more = bytearray(80 << 20)")
        assert result.error is not None
        assert result.error.name == "MemoryError"


def test_the_limit_holds_after_a_restart(nothing_left: None, tier: Tier) -> None:
    with opened(tier=tier, memory=MEMORY) as session:
        session.run("import os; os._exit(1)")
        result = session.run("kept = bytearray(1 << 31)")
        assert result.error is not None
        assert result.error.name == "MemoryError"


@pytest.mark.slow
def test_three_gigabytes_bound_under_a_limit_of_two(nothing_left: None, tier: Tier, tmp_path: Path) -> None:
    variable = bind("array", numpy.zeros(3 << 30, "u1"), store=ValueStore(tmp_path))
    with opened([variable], tier=tier, memory=2 << 30) as session:
        assert session.run("array[::4096] = 1; print(int(array[::4096].sum()))", seconds=60).output == f"{3 << 18}\n"
