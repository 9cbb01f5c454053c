"""A run that is killed, or whose disk fails, at any step: resumed, it answers the same and pays for nothing twice."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.tree import Tree
from rlm_magic.trace import read_events
from tests.server import OpenAIServer

from . import program

SAMPLE = (1, 9, 23)
CODES = (errno.EIO, errno.ENOSPC, errno.EROFS)
AT_ONCE = 3

processes = multiprocessing.get_context("forkserver")  # one that has imported everything starts the others
processes.set_forkserver_preload(["tests.faults.program"])


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(program.script) as served:
        yield served


def killed_at(step: int, server: OpenAIServer, runs: Path) -> bool:
    """Run the program; whether it was killed, which it is unless it has fewer steps."""
    process = processes.Process(target=program.until_killed, args=(server.url, str(runs), step))
    process.start()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


def each(check: Callable[[int], bool]) -> int:
    """Check 1, 2, 3 and so on, some at once, until one is past the last; how many there were."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in itertools.count(1, AT_ONCE):
            checked = list(pool.map(check, range(first, first + AT_ONCE)))
            if not all(checked):
                return first - 1 + sum(checked)
    raise AssertionError


def recorded_prompts(runs: Path) -> list[str]:
    """What was asked of a model and answered, in the one record there is."""
    (record,) = runs.glob("*.rlm.jsonl")
    tree = Tree(read_events(record).events)
    replied = [node for node in tree.nodes.values() if "reply" in node.fields]
    return [str([tree.body(message) for message in node.fields["prompt"]]) for node in replied]


def asked(server: OpenAIServer, user: str) -> list[str]:
    """What the server was asked in a user's name: a killed process may be heard after its end."""
    sent = [request for request in list(server.requests) if request["user"] == user]
    return [str([message["content"] for message in request["messages"]]) for request in sent]


def check_resumed(server: OpenAIServer, runs: Path) -> None:
    """The resumed run answers, and asks just what the record does not know."""
    known = recorded_prompts(runs)
    result = program.resume(server.url, str(runs))
    assert (result.status, str(result)) == ("answered", program.ANSWER)
    sent = asked(server, program.resumed_by(str(runs)))
    assert len(sent) == program.REQUESTS - len(known)
    assert not set(known) & set(sent)
    assert result.usage.cost is not None


def kill_and_resume(step: int, server: OpenAIServer, runs: Path) -> bool:
    killed = killed_at(step, server, runs)
    if killed and not is_empty(runs):
        check_resumed(server, runs)
    elif killed:
        with pytest.raises(InputError, match="cannot be resumed"):
            program.resume(server.url, str(runs))
    return killed


def is_empty(runs: Path) -> bool:
    (record,) = runs.glob("*.rlm.jsonl")
    return not read_events(record).events


@pytest.mark.parametrize("step", SAMPLE)
def test_killed_at_a_step(step: int, server: OpenAIServer, tmp_path: Path) -> None:
    assert kill_and_resume(step, server, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_step(server: OpenAIServer, tmp_path: Path) -> None:
    steps = each(lambda step: kill_and_resume(step, server, tmp_path / str(step)))
    print(f"killed at each of {steps} steps")
    assert steps > 25


class Disk:
    """Lets the writes of the records in a folder fail, from a number on."""

    def __init__(self) -> None:
        self._write = os.write
        self._plan: dict[Path, tuple[int, int]] = {}
        self._writes: Counter[Path] = Counter()

    def fails(self, folder: Path, write: int, code: int) -> None:
        self._plan[folder] = (write, code)

    def works(self, folder: Path) -> None:
        del self._plan[folder]

    def write(self, fd: int, data: Any) -> int:
        if threading.current_thread().name == "rlm-journal":
            folder = Path(os.readlink(f"/proc/self/fd/{fd}")).parent
            self._writes[folder] += 1
            write, code = self._plan.get(folder, (0, 0))
            if code and self._writes[folder] >= write:
                raise OSError(code, os.strerror(code))
        return self._write(fd, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "write", disk.write)
    return disk


def fail_and_resume(write: int, code: int, disk: Disk, server: OpenAIServer, runs: Path) -> bool:
    """Whether the run had so many writes; then it stopped, said why, and went on when resumed."""
    disk.fails(runs, write, code)
    result = program.start(server.url, str(runs)).wait()
    disk.works(runs)
    if result.status == "answered":
        return False
    assert result.status == "failed"
    assert os.strerror(code) in result.reason
    assert "events are kept in" in result.reason
    if not is_empty(runs):
        check_resumed(server, runs)
    return True


@pytest.mark.parametrize(("write", "code"), [*zip((1, 6, 14), CODES, strict=True)])
def test_a_write_fails(write: int, code: int, disk: Disk, server: OpenAIServer, tmp_path: Path) -> None:
    assert fail_and_resume(write, code, disk, server, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_each_write_fails(disk: Disk, server: OpenAIServer, tmp_path: Path) -> None:
    """For one reason or another: which one makes no difference but in what is said."""
    writes = each(lambda n: fail_and_resume(n, CODES[n % len(CODES)], disk, server, tmp_path / str(n)))
    print(f"failed at each of {writes} writes")
    assert writes > 15


@pytest.mark.parametrize("damage", ["tear", "flip", "empty", "garbage"])
def test_a_damaged_record_is_resumed_from_what_is_whole_or_refused(
    damage: str, server: OpenAIServer, tmp_path: Path
) -> None:
    program.start(server.url, str(tmp_path)).wait()
    (record,) = tmp_path.glob("*.rlm.jsonl")
    whole = record.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "tear": whole[:middle],
        "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty": b"",
        "garbage": os.urandom(1000),
    }
    record.write_bytes(damaged[damage])
    if damage in ("empty", "garbage"):
        with pytest.raises(InputError, match="cannot be resumed"):
            program.resume(server.url, str(tmp_path))
    else:
        check_resumed(server, tmp_path)
