"""Code that does not end, processes that die, and what must be gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rlm_magic.engine.errors import InputError, SandboxError
from rlm_magic.engine.types import SubCall, SubReply
from rlm_magic.subkernel import Subkernels, close_all
from rlm_magic.subkernel.rundir import RunDirectory, sweep

from ...subkernels import WINDOW, Never, Session, echo, opened
from .test_sessions import pid

# Seconds within which something must happen on a busy machine; what goes wrong here would take a minute or for ever.
PATIENCE = 30.0


def gone(pid: int, within: float = PATIENCE) -> bool:
    """No process, or a dead one that nobody has waited for."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
                continue
        return True
    return False


def removed(folder: Path) -> bool:
    """Files are removed in the background."""
    deadline = time.monotonic() + PATIENCE
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not folder.exists()


def number(session: Session, code: str) -> int:
    return int(session.run(code).output)


OBEYS = {
    "sleep": "import time; time.sleep(60)",
    "spin": "while True: pass",
    "regex": "import re; re.match(r'(a+)+b', 'a' * 40)",
    "await": "import asyncio; await asyncio.sleep(60)",
    "asyncio.run": "import asyncio; asyncio.run(asyncio.sleep(60))",
    "print": "while True: print('x' * 50)",
    "message": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E()",
    "repr": "class R:\n    def __repr__(self):\n        while True: pass\nR()",
    "event": "import threading; threading.Event().wait()",
    "power": "9 ** 9 ** 9",
}
IGNORES = {
    "SIGINT": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "catch-all": "import time\nwhile True:\n    try: time.sleep(0.01)\n    except BaseException: pass",
    "C": "sum(range(10**13))",
    "stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("code", OBEYS.values(), ids=OBEYS)
def test_code_that_can_be_interrupted_keeps_its_session(
    session: Session, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_magic.subkernel.sandbox.GRACE", PATIENCE / 3)
    session.run("kept = 1")
    start = time.monotonic()
    result = session.run(code, seconds=0.5)
    assert time.monotonic() - start < PATIENCE
    assert result.status == "timeout"
    assert result.error is not None
    assert result.error.name == "TimeoutError"
    assert "0.5 seconds" in result.error.message
    assert result.lost == ""
    assert session.run("print(kept)").output == "1\n"


@pytest.mark.parametrize("code", IGNORES.values(), ids=IGNORES)
def test_code_that_cannot_be_interrupted_is_killed_and_its_session_replaced(session: Session, code: str) -> None:
    session.run("mine = 1")
    start = time.monotonic()
    result = session.run(code, seconds=0.5)
    assert time.monotonic() - start < PATIENCE
    assert result.status == "timeout"
    assert "could not be interrupted" in result.lost
    assert "variables that you made are gone" in result.lost
    assert session.run("print('mine' in globals())").output == "False\n"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import os; os._exit(3)", "status 3"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import threading, os; threading.Thread(target=os._exit, args=(4,)).start()\nwhile True: pass", "status 4"),
        ("import os; os.closerange(3, 4000)", "exited|killed"),
    ],
)
def test_a_death_is_noticed_and_a_new_session_is_there(session: Session, code: str, cause: str) -> None:
    start = time.monotonic()
    result = session.run(code, seconds=60)
    assert time.monotonic() - start < PATIENCE
    assert result.status == "died"
    assert any(word in result.lost for word in cause.split("|"))
    assert session.run("print(6 * 7)").output == "42\n"


def test_a_death_between_two_cells_is_noticed_by_the_next(session: Session) -> None:
    session.run("1")
    os.kill(pid(session.subkernel), signal.SIGKILL)
    assert session.run("1").status == "died"
    assert session.run("1").status == "ok"


def test_sub_calls_of_a_dead_session_are_ended(session: Session) -> None:
    never = Never()
    code = "import threading, os\nthreading.Thread(target=llm_query, args=('a',)).start()\nllm_query('go'); os._exit(1)"
    assert session.run(code, never).status == "died"
    assert (never.asked.is_set(), never.cancelled) == (True, 1)


@pytest.mark.parametrize("code", [OBEYS["sleep"], IGNORES["catch-all"]], ids=["obeys", "ignores"])
def test_cancelling_returns_at_once_and_leaves_nothing_pending(session: Session, code: str) -> None:
    async def cancelled() -> tuple[float, int]:
        started = asyncio.Event()

        async def mark(call: SubCall) -> list[SubReply]:
            started.set()
            return await echo(call)

        before = asyncio.all_tasks()
        cell = asyncio.create_task(session.subkernel.run("llm_query('go')\n" + code, mark, seconds=60))
        await asyncio.wait_for(started.wait(), PATIENCE)
        await asyncio.sleep(0.1)
        start = time.monotonic()
        cell.cancel()
        await asyncio.wait({cell})
        assert cell.cancelled()
        return time.monotonic() - start, len(asyncio.all_tasks() - before)

    session.run("1")
    took, left = session.runner.run(cancelled())
    assert took < PATIENCE
    assert left == 0
    assert session.run("print(6 * 7)").output == "42\n"


def test_closing_leaves_no_process_and_no_file() -> None:
    with opened() as session:
        code = (
            "import os, subprocess, sys\n"
            "loop = 'import time; time.sleep(600)'\n"
            "own = subprocess.Popen([sys.executable, '-c', loop])\n"
            "group = subprocess.Popen([sys.executable, '-c', loop], preexec_fn=os.setpgrp)\n"
            "print(os.getpid(), own.pid, group.pid, os.getcwd())"
        )
        *pids, work = session.run(code).output.split()
        assert Path(work).is_dir()
        start = time.monotonic()
    assert time.monotonic() - start < PATIENCE
    assert all(gone(int(pid)) for pid in pids)
    assert removed(Path(work).parent)


def test_a_start_that_is_cut_off_leaves_nothing() -> None:
    async def cut_off(steps: int) -> None:
        async with Subkernels()("0", recursive=False, window=WINDOW) as subkernel:
            start = asyncio.create_task(subkernel.bind([]))
            for _ in range(steps):
                await asyncio.sleep(0)
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)

    before = set(psutil.Process().children())
    for steps in range(20):
        asyncio.run(cut_off(steps))
    gc.collect()  # warns of what is open and forgotten
    assert set(psutil.Process().children()) <= before


def test_an_end_that_is_cut_off_leaves_nothing_either() -> None:
    async def cut_off(steps: int) -> None:
        opening = Subkernels()("0", recursive=False, window=WINDOW)
        await (await opening.__aenter__()).bind([])
        end = asyncio.create_task(opening.__aexit__(None, None, None))
        for _ in range(steps):
            await asyncio.sleep(0)
        end.cancel()
        await asyncio.gather(end, return_exceptions=True)

    before = set(psutil.Process().children())
    for steps in range(1, 31, 3):
        asyncio.run(cut_off(steps))
        assert set(psutil.Process().children()) <= before


def test_what_a_dead_session_left_running_is_killed() -> None:
    with opened() as session:
        pid = number(session, "import subprocess; p = subprocess.Popen(['sleep', '600']); print(p.pid)")
        assert session.run("import os; os._exit(1)").status == "died"
        assert gone(pid)


def test_killing_from_another_thread() -> None:
    with asyncio.Runner() as runner:
        subkernels = Subkernels()

        async def run() -> str:
            async with subkernels("0", recursive=False, window=1000) as sandbox:
                await sandbox.bind(())
                threading.Timer(0.3, subkernels.kill).start()
                return (await sandbox.run("while True: pass", echo, seconds=60)).status

        start = time.monotonic()
        assert runner.run(run()) == "died"
        assert time.monotonic() - start < PATIENCE


NOTEBOOK = """
    import asyncio, os, sys, threading
    from rlm_magic.subkernel import Subkernels

    async def echo(call):
        return []

    async def main():
        async with Subkernels()("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind(())
            result = await sandbox.run("import os; print(os.getpid(), os.getcwd())", echo, seconds=20)
            print(result.output, end="", flush=True)
            await sandbox.run({busy!r}, echo, seconds=60)

    {start}
"""


@contextlib.contextmanager
def notebook(busy: str, start: str = "asyncio.run(main())") -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """A process with a busy subkernel: it, the subkernel's pid and its working directory."""
    code = textwrap.dedent(NOTEBOOK).format(busy=busy, start=start)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        pid, work = process.stdout.readline().split()
        yield process, int(pid), Path(work)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_killed_notebook_takes_its_subkernel_with_it_and_the_next_one_sweeps() -> None:
    with notebook(IGNORES["C"]) as (process, pid, work):
        process.kill()
        process.wait()
        assert gone(pid)
        assert work.is_dir()
        sweep(work.parents[2])
        assert not work.exists()


def test_a_notebook_that_exits_leaves_nothing() -> None:
    start = "threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start(); sys.stdin.read(); sys.exit()"
    code = textwrap.dedent(NOTEBOOK).format(busy="while True: pass", start=start)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    pid, work = process.stdout.readline().split()
    process.communicate("", timeout=PATIENCE)
    assert process.returncode == 0
    assert gone(int(pid))
    assert not Path(work).exists()


def test_a_directory_in_use_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("rlm_magic.subkernel.rundir.MAX_ROOT", 200)
    directory = RunDirectory()
    place = directory.place()
    sweep(tmp_path)
    assert place.work.is_dir()
    assert place.directory.stat().st_mode & 0o777 == 0o700
    directory.close()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_leaves_its_parents_subkernel_alone() -> None:
    with opened() as session:
        pid = number(session, "import os; print(os.getpid())")
        child = os.fork()
        if child == 0:
            close_all()
            os._exit(0)
        os.waitpid(child, 0)
        assert not gone(pid, within=0.2)
        assert session.run("1").status == "ok"


def test_an_unknown_kernel_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no kernel 'pyton3'.*python3"):
        Subkernels(kernel="pyton3")


def test_a_named_kernel_runs() -> None:
    with opened(kernel="python3") as session:
        assert session.run("print(6 * 7)").output == "42\n"


def kernel_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> Callable[[], Subkernels]:
    folder = tmp_path / "kernels" / "odd"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return lambda: Subkernels(kernel="odd")


@pytest.mark.parametrize(
    "spec",
    [
        '{"argv": ["/usr/bin/R", "-f", "{connection_file}"], "display_name": "R", "language": "R"}',
        '{"argv": ["/nowhere/bin/python"], "display_name": "x", "language": "python"}',
    ],
)
def test_a_kernel_that_cannot_be_used_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    with pytest.raises(InputError, match="'odd'"):
        kernel_named(tmp_path, monkeypatch, spec)()


def test_a_python_without_ipykernel_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "bin" / "python-bare"
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    spec = f'{{"argv": ["{bare}"], "display_name": "bare", "language": "python"}}'
    subkernels = kernel_named(tmp_path, monkeypatch, spec)()

    async def start() -> None:
        async with subkernels("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind(())

    with pytest.raises(SandboxError, match="did not start: ModuleNotFoundError: No module named"):
        asyncio.run(start())
