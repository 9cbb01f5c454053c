"""Writing a record: what was acknowledged is in the file, whatever fails."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.errors import InputError, JournalError
from rlm_magic.engine.events import Event
from rlm_magic.trace import FileJournal, is_live, read_events

PATIENCE = 60.0  # seconds, far more than anything here takes


def event(seq: int, text: str = "", **data: Any) -> Event:
    return Event(seq, seq / 10, "patch", "0", {"text": text, **data})


def write(path: Path, *texts: str) -> None:
    async def go() -> None:
        journal = FileJournal(path, "r1")
        for seq, text in enumerate(texts):
            journal.append(event(seq, text))
        await journal.close()

    asyncio.run(go())


def texts(path: Path) -> list[str]:
    return [e.data["text"] for e in read_events(path).events]


def test_what_was_taken_is_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.rlm.jsonl"
    said = ["", "plain", "two\nlines\r\n", "ünïcode 🐍", "lone \ud800 and \udfff", "\x00\x1b[31m\u2028", '"},{"crc":"']
    write(path, *said)
    reading = read_events(path)
    assert texts(path) == said
    assert (reading.run_id, reading.notice, [e.t for e in reading.events[:3]]) == ("r1", "", [0.0, 0.1, 0.2])
    assert all(json.loads(line)["v"] == 1 for line in path.read_text("ascii").splitlines())


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        write(tmp_path / "runs" / "a.rlm.jsonl", "x")
    finally:
        os.umask(previous)
    assert (tmp_path / "runs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "runs" / "a.rlm.jsonl").stat().st_mode & 0o777 == 0o600


def test_written_means_in_the_file(tmp_path: Path) -> None:
    async def go() -> None:
        journal = FileJournal(tmp_path / "a", "r1")
        for seq in range(50):
            journal.append(event(seq, "x" * 1000))
            if seq % 7 == 0:
                await journal.written()
                assert len(read_events(tmp_path / "a").events) == seq + 1
        await journal.close()

    asyncio.run(go())


def test_many_can_wait_at_once_and_one_may_give_up(tmp_path: Path) -> None:
    async def go() -> None:
        journal = FileJournal(tmp_path / "a", "r1")
        journal.append(event(0))
        waits = [asyncio.ensure_future(journal.written()) for _ in range(1000)]
        await asyncio.sleep(0)
        waits[3].cancel()
        ended = await asyncio.gather(*waits, return_exceptions=True)
        assert [i for i, e in enumerate(ended) if e is not None] == [3]
        await journal.close()

    asyncio.run(go())


def test_a_slow_disk_does_not_block_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(os, "write", held(release, os.write))

    async def go() -> None:
        journal = FileJournal(tmp_path / "a", "r1")
        journal.append(event(0))
        waiting = asyncio.ensure_future(journal.written())
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, lambda: None), PATIENCE)
        assert not waiting.done()
        release.set()
        await asyncio.wait_for(waiting, PATIENCE)
        await journal.close()

    asyncio.run(go())


def held(release: threading.Event, write: Callable[..., int]) -> Callable[..., int]:
    def slow(fd: int, data: Any) -> int:
        if threading.current_thread().name == "rlm-journal":
            release.wait(PATIENCE)
        return write(fd, data)

    return slow


def test_a_burst_is_one_write_and_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    release = threading.Event()
    real_write, real_sync = held(release, os.write), os.fdatasync

    def counted(fd: int, data: Any) -> int:
        if threading.current_thread().name == "rlm-journal":
            calls.append("write")
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    monkeypatch.setattr(os, "fdatasync", lambda fd: (calls.append("sync"), real_sync(fd))[1])

    async def go() -> None:
        journal = FileJournal(tmp_path / "a", "r1")
        for seq in range(500):
            journal.append(event(seq))
        release.set()
        await journal.close()

    asyncio.run(go())
    assert calls.count("write") <= 2
    assert 1 <= calls.count("sync") <= 2
    assert len(read_events(tmp_path / "a").events) == 500


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_stops_the_run_and_keeps_what_is_whole(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def failing(fd: int, data: Any) -> int:
        if threading.current_thread().name != "rlm-journal":
            return real(fd, data)
        left = 700 - os.fstat(fd).st_size
        if left <= 0:
            raise OSError(code, os.strerror(code))
        return real(fd, data[:left])

    monkeypatch.setattr(os, "write", failing)

    async def go() -> str:
        journal = FileJournal(tmp_path / "a", "r1")
        for seq in range(20):
            journal.append(event(seq, "x" * 100))
        with pytest.raises(JournalError) as raised:
            await journal.written()
        journal.append(event(20))
        with pytest.raises(JournalError):
            await journal.written()
        await journal.close()
        return str(raised.value)

    message = asyncio.run(go())
    kept = read_events(tmp_path / "a")
    assert kept.notice == ""
    assert 0 < len(kept.events) < 6
    assert message == (
        f"the record of the run cannot be written ({os.strerror(code)}): "
        f"its first {len(kept.events)} events are kept in {tmp_path / 'a'}"
    )


def test_a_full_disk_for_real(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes the kernel refuse the write, in a process of its own."""
    script = (
        "import asyncio, sys, resource\n"
        "from pathlib import Path\n"
        "from rlm_magic.engine.events import Event\n"
        "from rlm_magic.trace import FileJournal\n"
        "async def go():\n"
        "    journal = FileJournal(Path(sys.argv[1]), 'r1')\n"
        "    for seq in range(100): journal.append(Event(seq, 0.0, 'patch', '0', {'x': 'y' * 100}))\n"
        "    try: await journal.written()\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "    await journal.close()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "asyncio.run(go())\n"
    )
    path = tmp_path / "a"
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    kept = read_events(path)
    assert done.stdout.startswith("JournalError the record of the run cannot be written (File too large)")
    assert f"its first {len(kept.events)} events are kept in {path}" in done.stdout
    assert kept.notice == ""
    assert len(kept.events) == 5000 // (path.stat().st_size // len(kept.events))


def test_a_failure_after_the_last_wait_comes_out_of_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    journal = FileJournal(tmp_path / "a", "r1")
    journal.append(event(0))
    with pytest.raises(JournalError, match="Input/output error"):
        asyncio.run(journal.close())


def test_a_read_only_directory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be written to .*Read-only file system.*set RLMMagic\.runs_dir"):
        FileJournal(tmp_path / "a", "r1")


def test_a_file_in_the_directorys_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to .*runs \(.*set RLMMagic\.runs_dir"):
        FileJournal(tmp_path / "runs" / "a", "r1")


def test_a_record_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path / "a", "first")
    with pytest.raises(InputError, match="File exists"):
        FileJournal(tmp_path / "a", "r1")
    assert texts(tmp_path / "a") == ["first"]


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"bytes"])
def test_what_json_cannot_hold_is_refused_at_once(value: object, tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "a", "r1")
    with pytest.raises((TypeError, ValueError)):
        journal.append(event(0, value=value))
    asyncio.run(journal.close())
    assert read_events(tmp_path / "a").events == []


def test_the_lock_tells_a_live_run(tmp_path: Path) -> None:
    path = tmp_path / "a"
    journal = FileJournal(path, "r1")
    assert is_live(path)
    asyncio.run(journal.close())
    assert not is_live(path)


KILLED = """
import asyncio, sys
from pathlib import Path
from rlm_magic.engine.events import Event
from rlm_magic.trace import FileJournal
async def go():
    journal = FileJournal(Path(sys.argv[1]), "r1")
    for seq in range(10**9):
        journal.append(Event(seq, 0.0, "patch", "0", {"x": "y" * (seq * 7919 % 30000)}))
        await journal.written()
        print(seq, flush=True)
asyncio.run(go())
"""


@pytest.mark.parametrize("after", [1, 17, 60])
def test_a_killed_process_loses_nothing_acknowledged(after: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    child = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        for _ in range(after):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        acknowledged = after + sum(1 for line in child.stdout if line.endswith("\n"))
    reading = read_events(path)
    assert len(reading.events) >= acknowledged
    assert [e.seq for e in reading.events] == list(range(len(reading.events)))
    assert not is_live(path)


def test_an_exit_without_close_keeps_what_was_taken(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rlm_magic.engine.events import Event\n"
        "from rlm_magic.trace import FileJournal\n"
        "journal = FileJournal(Path(sys.argv[1]), 'r1')\n"
        "for seq in range(1000): journal.append(Event(seq, 0.0, 'patch', '0', {'x': 'y' * 1000}))\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "a"], timeout=PATIENCE, check=True)
    assert len(read_events(tmp_path / "a").events) == 1000


def test_no_descriptor_or_thread_is_left(tmp_path: Path) -> None:
    write(tmp_path / "warm", "x")
    before = len(os.listdir("/proc/self/fd"))
    for i in range(20):
        write(tmp_path / str(i), "x")
    assert len(os.listdir("/proc/self/fd")) == before
    assert not [t for t in threading.enumerate() if t.name == "rlm-journal"]
