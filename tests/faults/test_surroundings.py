"""What the machine does to a run: a clock that is set back, a context of a gigabyte, no memory, files without end."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.types import Limits
from rlm_magic.result import Result
from rlm_magic.resuming import Recording
from rlm_magic.run import Run
from rlm_magic.settings import Settings
from rlm_magic.subkernel.rundir import PREFIX, RunDirectory, run_directory
from rlm_magic.trace import Runs
from tests.server import OpenAIServer, Reply, Request

from .program import HttpModel

DAY = 86_400.0


def ask(server: OpenAIServer, runs: Path, limits: Limits, docs: str) -> Result:
    settings = Settings(model=HttpModel(server.url), limits=limits, sandbox="none", runs_dir=str(runs))
    return Run("go", {"docs": docs}, settings).wait()


def look(request: Request) -> Reply:
    time.sleep(0.02)
    return Reply("```repl\nprint(context[:10])\n```")


def test_a_clock_set_back_a_day_neither_hangs_a_run_nor_gives_it_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_time, back = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: true_time() - back[0])

    def set_back(request: Request) -> Reply:
        back[0] = DAY
        return look(request)

    begun = time.monotonic()
    with OpenAIServer(set_back) as server:
        result = ask(server, tmp_path, Limits(seconds=2, turns=10_000), "a text")
    assert result.status in ("forced", "limit")
    assert "seconds=2 is used up" in result.reason
    assert time.monotonic() - begun < 30
    times = [node.opened for node in result.nodes]
    assert times == sorted(times)
    assert 0 <= times[-1] < 30


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_line_of_a_gigabyte_is_copied_into_no_message(tmp_path: Path) -> None:
    def reply(request: Request) -> Reply:
        first = len(request["messages"]) == 2
        code = "print(context)\ncontext" if first else "FINAL(len(context))"
        return Reply(f"```repl\n{code}\n```")

    with OpenAIServer(reply) as server:
        result = ask(server, tmp_path, Limits(), "x" * 2**30)
        sizes = [len(request.raw) for request in server.requests]
    assert result.answer == 2**30
    assert max(sizes) < 50_000
    assert result.trace.stat().st_size < 2_000_000


# Page tables count as memory and are not refused; the thread waits until the second sub-call is under way.
HOG = """\
import mmap, threading, time
def hog():
    while not (context / 'sent').exists(): time.sleep(0.01)
    kept = [mmap.mmap(-1, 1 << 40, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ) for _ in range(2)]
    for at in range(0, 1 << 40, 1 << 21): kept[0][at]; kept[1][at]
threading.Thread(target=hog, daemon=True).start()
llm_query('one'); llm_query('two')"""


def test_a_session_that_is_killed_for_its_memory_in_a_sub_call_loses_no_reply(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()

    def reply(request: Request) -> Reply:
        if request.prompt == "two":
            (data / "sent").touch()
            return Reply(hang=True)
        last = request["messages"][-1]["content"]
        code = "FINAL([path.name for path in context.iterdir()])" if "MiB of memory" in last else HOG
        return Reply("1" if request.prompt == "one" else f"```repl\n{code}\n```")

    with OpenAIServer(reply) as server:

        def start(resumed: Recording | None, calls: int) -> Result:
            limits = Limits(memory=200 * 1024**2, calls=calls)
            settings = Settings(model=HttpModel(server.url), limits=limits, runs_dir=str(tmp_path / "runs"))
            return Run("go", {"data": data}, settings, resumed=resumed).wait()

        stopped = start(None, 4)
        (cell,) = (node for node in stopped.nodes if node.kind == "exec")
        assert "used more than 200 MiB of memory" in cell.lost
        assert [node.reply for node in stopped.nodes if node.kind == "llm"] == ["1", None]
        (data / "sent").unlink()
        result = start(Recording.load(Runs(str(tmp_path / "runs")), "last"), 100)
        assert (result.status, result.answer) == ("answered", ["sent"])
        assert [request.prompt for request in server.requests].count("one") == 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Removing the files of a session takes until this is set."""
    remove, released = shutil.rmtree, threading.Event()

    def slowly(path: Any, *args: Any, **options: Any) -> None:
        if PREFIX in str(path):
            assert released.wait(60)
        remove(path, *args, **options)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    yield released
    released.set()


def wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + 60
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not path.exists()


def test_a_run_ends_while_its_files_are_being_removed(tmp_path: Path, held: threading.Event) -> None:
    code = "import os\nfor n in range(100): open(str(n), 'w').close()\nFINAL(os.getcwd())"
    with OpenAIServer(lambda request: f"```repl\n{code}\n```") as server:
        work = Path(str(ask(server, tmp_path, Limits(), "a text").answer))
    assert len(list(work.iterdir())) >= 100
    another = run_directory.place()
    held.set()
    wait_until_gone(work.parent)
    another.remove()
    wait_until_gone(another.directory)


def test_a_session_starts_while_those_of_a_killed_notebook_are_being_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: threading.Event
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("rlm_magic.subkernel.rundir.MAX_ROOT", 200)
    dead = tmp_path / f"{PREFIX}dead"
    (dead / "1" / "work").mkdir(parents=True)
    (dead / "lock").touch()
    directory = RunDirectory()
    place = directory.place()
    assert (dead / "1").is_dir()
    held.set()
    wait_until_gone(dead)
    assert place.work.is_dir()
    directory.close()
    assert list(tmp_path.iterdir()) == []
