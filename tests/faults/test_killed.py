"""A run that is killed, or whose disk fails, at any step: resumed, it answers the same and pays for nothing twice."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.tree import Tree
from rlm_magic.trace import read_events
from tests.server import OpenAIServer

from . import program

SAMPLE = (1, 9, 23)


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(program.script) as served:
        yield served


def killed_at(step: int, server: OpenAIServer, runs: Path) -> bool:
    """Run the program; whether it was killed, which it is unless it has fewer steps."""
    command = [sys.executable, "-m", "tests.faults.program", server.url, str(runs), str(step)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    if ended.returncode == 0:
        assert ended.stdout.strip() == program.ANSWER
    else:
        assert ended.returncode == -9, ended.stderr
    return ended.returncode == -9


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
    step = 1
    while kill_and_resume(step, server, tmp_path / str(step)):
        step += 1
    print(f"killed at each of {step - 1} steps")
    assert step > 25


def fail_from(write: int, code: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the record's writes fail from this number on; gives the numbers of all."""
    real, writes = os.write, []

    def failing(fd: int, data: Any) -> int:
        if threading.current_thread().name != "rlm-journal":
            return real(fd, data)
        writes.append(len(writes) + 1)
        if len(writes) >= write:
            raise OSError(code, os.strerror(code))
        return real(fd, data)

    monkeypatch.setattr(os, "write", failing)
    return writes


def fail_and_resume(write: int, code: int, server: OpenAIServer, runs: Path) -> bool:
    """Whether the run had so many writes; then it stopped, said why, and went on when resumed."""
    with pytest.MonkeyPatch.context() as patch:
        fail_from(write, code, patch)
        result = program.start(server.url, str(runs)).wait()
    if result.status == "answered":
        return False
    assert result.status == "failed"
    assert os.strerror(code) in result.reason
    assert "events are kept in" in result.reason
    if not is_empty(runs):
        check_resumed(server, runs)
    return True


@pytest.mark.parametrize(("write", "code"), [(1, errno.EROFS), (6, errno.EIO), (14, errno.ENOSPC)])
def test_a_write_fails(write: int, code: int, server: OpenAIServer, tmp_path: Path) -> None:
    assert fail_and_resume(write, code, server, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_each_write_fails(code: int, server: OpenAIServer, tmp_path: Path) -> None:
    write = 1
    while fail_and_resume(write, code, server, tmp_path / str(write)):
        write += 1
    print(f"{os.strerror(code)} at each of {write - 1} writes")
    assert write > 15


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
