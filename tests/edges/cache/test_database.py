"""The database of kept replies: shared by processes, bounded, and never a reason for a run to fail."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlm_magic.cache import Database, KeptModel, contents, trim
from rlm_magic.cache.sqlite import locked
from rlm_magic.engine.errors import InputError
from rlm_magic.engine.ports import Kept
from rlm_magic.engine.types import Completion, Price, Usage

PROCESSES, EACH = 4, 200


def kept(key: str, text: str = "a reply", parts: tuple[str, ...] = ("s", "u")) -> Kept:
    usage = Usage(10, 2, 4, 1, cost=0.25)
    return Kept(
        key, "openai/gpt-5", "asked", parts, Completion(text, usage, "openai/gpt-5", "length", "a thought"), "1"
    )


def opened(path: Path, *, replay: bool = False, bound: int = 10**9, redact: Callable[[str], str] = str) -> Database:
    return Database(path, redact, replay=replay, bound=bound)


def keep(database: Database, *replies: Kept) -> None:
    for reply in replies:
        database.put(reply)
    asyncio.run(database.close())


def look_up(path: Path, key: str) -> Completion | None:
    database = opened(path)
    try:
        return database.get(key)
    finally:
        asyncio.run(database.close())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "replies.sqlite"


def test_a_reply_comes_back_as_it_was(path: Path) -> None:
    reply = kept("k", "caf\u00e9 \ud800\n\u2028")
    keep(opened(path), reply)
    assert look_up(path, "k") == reply.completion
    assert look_up(path, "other") is None


def test_only_its_owner_can_read_it(path: Path) -> None:
    database = opened(path)
    database.put(kept("k"))
    assert database.get("k") is None or True
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    asyncio.run(database.close())
    assert set(modes.values()) == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_secret_is_not_written(path: Path) -> None:
    keep(opened(path, redact=lambda text: text.replace("hunter22", "[redacted]")), kept("k", "it is hunter22"))
    reply = look_up(path, "k")
    assert reply is not None
    assert reply.text == "it is [redacted]"
    assert all(b"hunter22" not in file.read_bytes() for file in path.parent.iterdir())


def test_a_model_comes_back_as_it_was(path: Path) -> None:
    models = [KeptModel("k", "m", 128_000, Price(0.1, 0.2), "notes"), KeptModel("l", "n", 1, None, "")]
    database = opened(path)
    for model in models:
        database.put_model(model)
    keep(database, kept("r"))
    assert [opened(path).model(key) for key in ("k", "l", "none")] == [*models, None]
    assert opened(path).model_names() == ["openai/gpt-5"]


def test_the_nearest_begins_with_as_many_messages(path: Path) -> None:
    replies = [kept("1", parts=("s", "u")), kept("2", parts=("s", "u", "a", "o")), kept("3", parts=("t", "u"))]
    database = opened(path)
    keep(database, *replies)
    found = [opened(path).nearest(parts) for parts in (["s", "v"], ["s", "u", "a", "p"], ["t", "x", "y"], ["u", "u"])]
    assert [each and each.key for each in found[:3]] == ["1", "2", "3"]
    assert found[3] is not None


STRESS = """
import asyncio, sys
from pathlib import Path
from tests.edges.cache.test_database import EACH, kept, opened

number = int(sys.argv[2])
database = opened(Path(sys.argv[1]))
sys.stdin.readline()
for i in range(EACH):
    database.put(kept(f"{number}-{i}", f"reply {number}-{i}"))
    database.put(kept(f"shared-{i}", f"shared {i}"))
    for key in (f"{(number + 1) % 4}-{i}", f"shared-{i}"):
        found = database.get(key)
        assert found is None or found.text == f"reply {key}".replace("reply shared-", "shared "), (key, found)
asyncio.run(database.close())
print(database.notice or "fine")
"""


def test_processes_share_it(path: Path) -> None:
    """They begin with no database: which of them makes it is part of the race."""
    command = [sys.executable, "-c", STRESS, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, str(n)], **pipes) for n in range(PROCESSES)]  # type: ignore[call-overload]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[0].strip() for process in processes] == ["fine"] * PROCESSES
    assert contents(path).replies == (PROCESSES + 1) * EACH
    for number in range(PROCESSES):
        reply = look_up(path, f"{number}-{EACH - 1}")
        assert reply is not None
        assert reply.text == f"reply {number}-{EACH - 1}"


def test_a_database_that_is_none_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    database = opened(path)
    assert database.notice == (f"the database of kept replies begins anew: it was damaged, and is now {path}.damaged-1")
    keep(database, kept("k"))
    assert look_up(path, "k") is not None
    assert Path(f"{path}.damaged-1").read_bytes() == b"rubbish" * 1000


def test_a_database_that_is_damaged_within_is_moved_aside_by_the_run_that_finds_out(path: Path) -> None:
    keep(opened(path), *(kept(f"k{i}", "x" * 3000) for i in range(50)))
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    database = opened(path)
    assert database.get("k1") is None
    keep(database, kept("new"))
    assert "it was damaged, and is now" in database.notice
    assert "\n" not in database.notice
    keep(opened(path), kept("new"))
    assert look_up(path, "new") is not None


def test_a_database_that_another_process_replaced_is_left_alone(path: Path) -> None:
    keep(opened(path), *(kept(f"k{i}", "x" * 3000) for i in range(50)))
    damaged = path.read_bytes()[:4096] + b"\xff" * 100_000
    path.write_bytes(damaged)
    database = opened(path)
    os.rename(path, path.with_name("aside"))
    keep(opened(path), kept("good"))
    database._failed(_corrupt())
    asyncio.run(database.close())
    assert look_up(path, "good") is not None


def _corrupt() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def test_a_disk_that_is_full_costs_replies_and_is_said_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect

    def full(*args: object, **options: object) -> sqlite3.Connection:
        connection = real(*args, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    keep(opened(path), kept("before"))
    database = opened(path)
    monkeypatch.setattr(sqlite3, "connect", full)
    keep(database, *(kept(f"k{i}", "x" * 100_000) for i in range(3)))
    assert database.notice == f"not all replies of this run are kept in {path}: database or disk is full"
    monkeypatch.undo()
    assert look_up(path, "before") is not None


def test_a_database_that_another_process_does_not_let_go_costs_replies(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(opened(path), kept("before"))
    database = opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("rlm_magic.cache.database.WRITE_SECONDS", 0.01)
    database.put(kept("k"))
    assert database.get("before") is not None
    asyncio.run(database.close())
    other.close()
    assert database.notice == f"not all replies of this run are kept in {path}: database is locked"


def test_a_process_that_hangs_while_it_makes_the_database_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    monkeypatch.setattr("rlm_magic.cache.sqlite.WRITE_SECONDS", 0.01)
    with locked(path):
        database = opened(path)
    keep(database, kept("k"))
    assert "Resource temporarily unavailable" in database.notice
    assert opened(path).notice == ""


def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    keep(opened(path), kept("k"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    database = opened(path)
    assert database.notice.endswith("it was made by a newer rlm_magic: update rlm_magic")
    keep(database, kept("l"))
    assert database.get("k") is None
    with pytest.raises(InputError, match="newer rlm_magic"):
        opened(path, replay=True)
    with pytest.raises(InputError, match="newer rlm_magic"):
        contents(path)


def test_a_directory_that_cannot_be_written_costs_replies_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = opened(tmp_path / "file" / "replies.sqlite")
    keep(database, kept("k"))
    assert database.get("k") is None
    assert "not all replies of this run are kept" in database.notice


def test_replay_needs_a_database(path: Path) -> None:
    with pytest.raises(InputError, match=r"no replies are kept in .*: --cache on keeps those of a run"):
        opened(path, replay=True)
    assert not path.exists()


def test_beyond_the_bound_the_oldest_go(path: Path) -> None:
    for i in range(30):
        keep(opened(path, bound=300_000), *(kept(f"{i}-{j}", "x" * 5_000) for j in range(5)))
    held = contents(path)
    assert 20 < held.replies < 70
    assert look_up(path, "29-4") is not None
    assert look_up(path, "0-0") is None


def test_a_reply_that_was_used_stays_longer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(day: int) -> None:
        monkeypatch.setattr("rlm_magic.cache.database.time.time", lambda: day * 86_401.0)

    for day in range(3):
        at(day)
        keep(opened(path), *(kept(f"{day}-{i}", "x" * 20_000) for i in range(3)))
    at(4)
    assert look_up(path, "0-1") is not None
    trim(path, 120_000)
    assert look_up(path, "0-1") is not None
    assert look_up(path, "0-0") is None
    assert look_up(path, "2-2") is not None


def test_trimming_frees_the_disk(path: Path) -> None:
    keep(opened(path), *(kept(f"k{i}", "x" * 10_000) for i in range(100)))
    assert contents(path).size > 1_000_000
    held = trim(path, 500_000)
    assert 0 < held.replies < 100
    assert held.size <= 500_000
    assert trim(path, 0).replies == 0
    assert sum(file.stat().st_size for file in path.parent.iterdir()) < 100_000


def test_what_is_not_there_holds_nothing(path: Path) -> None:
    assert contents(path).replies == trim(path, 0).replies == 0
    assert not path.exists()
