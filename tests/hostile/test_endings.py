"""Code that does not end, floods, deaths: bounded in time and in the notebook's memory, told, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..subkernels import Session

MIB = 1024**2
LIMIT = 1.0
# seconds beyond the limit: two interrupts, a kill and a new session, on a busy machine
SLACK = 30.0

# name: what it does, its status, and a pattern of what is said of it: error, output and what was lost
ENDLESS = {
    "a loop": ("while True: pass", "timeout", "was interrupted"),
    "a loop that ignores the interrupt": (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "timeout",
        "could not be interrupted",
    ),
    "a loop that swallows it": (
        "import time\nwhile True:\n    try: time.sleep(0.01)\n    except BaseException: pass",
        "timeout",
        "could not be interrupted",
    ),
    "a regular expression": ("import re; re.match(r'(a+)+b', 'a' * 40)", "timeout", "interrupted"),
    "a power": ("9 ** 9 ** 9", "timeout", "interrupted"),
    "C code": ("sum(range(10**13))", "timeout", "could not be interrupted"),
    "an infinite repr": (
        "class R:\n    def __repr__(self):\n        while True: pass\nR()",
        "timeout",
        "interrupted",
    ),
    "stopping itself": ("import os; os.kill(os.getpid(), 19)", "timeout", "could not be interrupted"),
    "printing": ("while True: print('x' * 5_000)", "timeout", r"characters left out"),
    "writing from C": ("import os\nwhile True: os.write(1, b'x' * 5_000)", "timeout", r"characters left out"),
    "a daemon thread": (
        "import threading\n"
        "def spin():\n    while True: pass\n"
        "threading.Thread(target=spin, daemon=True).start()\nprint('on')",
        "ok",
        "on",
    ),
    "a message on the way out": (
        "import atexit\ndef spin():\n    while True: pass\natexit.register(spin); raise SystemExit",
        "error",
        "SystemExit",
    ),
}
REPLY = (
    "k = get_ipython().kernel\n"
    "to = k._parent_ident['shell']\n"
    "def reply(parts): k.shell_stream.socket.send_multipart([*to, *parts])"
)
FLOODS = {
    "a long line": ("print('x' * 300_000_000)", "ok", r"299,000,\d{3} characters left out"),
    "a long last value": ("'x' * 300_000_000", "ok", r"characters left out"),
    "a long exception": ("raise ValueError('x' * 300_000_000)", "error", r"299,998,000 characters left out"),
    "many displays": (
        "from IPython.display import display\nfor _ in range(200): display({'text/html': 'x' * 5_000_000}, raw=True)",
        "ok",
        "too many or too large",
    ),
    "Jupyter's own channel": (
        "k = get_ipython().kernel\n"
        "for _ in range(60): k.send_response(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 'x' * 5_000_000})",
        "ok",
        "",
    ),
    "a reply of many parts": (
        f"{REPLY}\nreply([b'x' * 15_000_000] * 40)\nwhile True: pass",
        "died",
        "Jupyter's channel",
    ),
    "many replies": (f"{REPLY}\nwhile True: reply([b'x' * 100_000])", "died", "broke the protocol"),
}
DEATHS = {
    "exit": ("import os; os._exit(3)", "died", "status 3"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", "died", "SIGSEGV"),
    "killing itself": ("import os; os.kill(os.getpid(), 9)", "died", "SIGKILL"),
    "closed descriptors": ("import os; os.closerange(3, 4000)", "died", "exited|killed"),
    "deep recursion in C": (
        "import sys; sys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
        "died|error",
        "SIGSEGV|RecursionError",
    ),
}
ODD = {
    "deep recursion": ("def f(): f()\nf()", "error", "RecursionError"),
    "no stdout": ("import sys; sys.stdout = sys.stderr = None", "ok", ""),
    "a closed stdout": ("import sys; sys.stdout.close(); print('still')", "ok", "still"),
    "no print": ("import builtins; kept = builtins.print; del builtins.print", "ok", ""),
    "input": ("input()", "error", "StdinNotImplementedError"),
    "surrogates": ("print(chr(0xd800) + chr(0) + chr(0x202e))", "ok", "\ud800\0\u202e"),
    "exit()": ("exit()", "error", "SystemExit"),
}
PROGRAMS = {**ENDLESS, **DEATHS, **ODD}


def words(result: object) -> str:
    return "\n".join(str(getattr(result, name)) for name in ("error", "lost", "output"))


@pytest.mark.parametrize(("code", "status", "said"), PROGRAMS.values(), ids=PROGRAMS)
def test_every_program_ends_and_the_next_cell_runs(session: Session, code: str, status: str, said: str) -> None:
    start = time.monotonic()
    result = session.run(code, seconds=LIMIT if status == "timeout" else 20)
    assert re.fullmatch(status, result.status), result
    assert re.search(said, words(result)), result
    after = session.run("import builtins\nif not hasattr(builtins, 'print'): builtins.print = kept\nprint(42)")
    assert after.output == "42\n"
    if status == "timeout":
        assert time.monotonic() - start < LIMIT + SLACK


@pytest.mark.parametrize(("code", "status", "said"), FLOODS.values(), ids=FLOODS)
def test_a_flood_stays_below(session: Session, code: str, status: str, said: str) -> None:
    session.run("1")
    with peak_below(64 * MIB):
        result = session.run(code)
    assert result.status == status
    assert re.search(said, words(result)[:3_000_000])
    assert session.run("print(42)").output == "42\n"


def test_a_flood_between_two_cells_stays_below(session: Session) -> None:
    code = (
        f"{REPLY}\nimport threading, time\n"
        "def flood():\n"
        "    time.sleep(0.3)\n"
        "    while True: reply([b'x' * 15_000_000])\n"
        "threading.Thread(target=flood, daemon=True).start()"
    )
    with peak_below(64 * MIB):
        result = session.run(code)
        while result.status == "ok" and session.subkernel.alive:
            session.do(lambda _: asyncio.sleep(0.01))
    assert "Jupyter's channel" in (result.lost or session.run("1").lost)
    assert session.run("print(42)").output == "42\n"


@contextlib.contextmanager
def peak_below(limit: int) -> Iterator[None]:
    """This process's memory grows by less than ``limit`` bytes meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    yield
    assert peak() - before < limit


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
