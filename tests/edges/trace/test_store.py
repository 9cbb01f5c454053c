"""The directory of records: names, listing, finding."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import zlib
from datetime import datetime
from pathlib import Path

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.events import Event
from rlm_magic.trace import FileJournal, RecordedRun, Runs
from rlm_magic.trace.journal import line_of


def usage(cost: float | None) -> dict[str, object]:
    return {"input": 10, "output": 1, "cached": 0, "reasoning": 0, "cost": cost}


def put(runs: Runs, run_id: str, *costs: float | None, query: str = "Why?", outcome: str | None = "answered") -> None:
    events = [Event(0, 0.0, "open", "0", {"kind": "run", "parent": None, "query": query})]
    for i, cost in enumerate(costs, 1):
        events.append(Event(i, 0.1, "patch", "0", {"usage": usage(cost)}))
    if outcome:
        events.append(Event(len(events), 1.0, "close", "0", {"status": "ok", "outcome": outcome}))
    runs.directory.mkdir(exist_ok=True)
    runs.path(run_id).write_bytes(b"".join(line_of(e, run_id) for e in events))


def test_new_names_are_short_unique_and_sort_by_time(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    first = runs.new_id()
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", first)
    runs.path(first).touch()
    assert runs.new_id() != first
    assert first[:8] == time.strftime("%Y%m%d")


def test_the_default_is_jupyters_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert Runs().directory == tmp_path / "rlm_magic" / "runs"
    assert Runs().list() == []


def test_list_is_newest_first_and_tells_each_run(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    put(runs, "20261120-090000-aaaa", 0.1, 0.25, query="What\nis   this?")
    put(runs, "20261121-090000-bbbb", 0.1, None, outcome="forced")
    put(runs, "20261119-090000-cccc", outcome=None)
    (tmp_path / "other.txt").write_text("")
    listed = runs.list()
    assert [r.id[-4:] for r in listed] == ["bbbb", "aaaa", "cccc"]
    assert [r.status for r in listed] == ["forced", "answered", "interrupted"]
    assert [r.cost for r in listed] == [None, pytest.approx(0.35), 0.0]
    assert str(listed[1]) == "20261120-090000-aaaa  answered       $0.35  What is this?"
    assert "—" in str(listed[0])
    assert listed[1].when.isoformat() == "2026-11-20T09:00:00"


def test_a_run_under_way_shows_as_running(tmp_path: Path) -> None:
    async def go() -> list[str]:
        journal = FileJournal(Runs(tmp_path).path("20261121-090000-aaaa"), "r")
        journal.append(Event(0, 0.0, "open", "0", {"kind": "run", "parent": None, "query": "q"}))
        await journal.written()
        during = Runs(tmp_path).list()[0].status
        await journal.close()
        return [during, Runs(tmp_path).list()[0].status]

    assert asyncio.run(go()) == ["running", "interrupted"]


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\n\n", b'{"crc":"00000000",}\n', b"\xff" * 10_000])
def test_a_damaged_record_is_listed_without_a_crash(content: bytes, tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    put(runs, "20261121-090000-aaaa", 0.5)
    runs.path("broken").write_bytes(content)
    broken = runs.list()[0]
    assert (broken.id, broken.query, broken.status) == ("broken", "", "interrupted")
    assert "broken" in str(broken)


@pytest.mark.parametrize("last", [{"data": 5}, {"data": {"usage": {"cost": 10**400}}}, {"data": {"usage": "x"}}])
def test_a_record_that_was_changed_is_listed_without_a_crash(last: dict[str, object], tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    wire = {
        "v": 1,
        "run": "r",
        "seq": 0,
        "t": 0.0,
        "type": "open",
        "node": "0",
        "data": {"kind": "run", "parent": None},
    }
    changed = b"".join(_sealed({**wire, **fields}) for fields in ({}, {"type": "close", **last}))
    runs.path("changed").write_bytes(changed)
    (run,) = runs.list()
    assert (run.status, run.cost) == ("interrupted", 0.0)


def _sealed(wire: dict[str, object]) -> bytes:
    body = json.dumps(wire, separators=(",", ":")).encode()
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body[1:])


def test_what_is_no_plain_file_is_listed_and_not_waited_for(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    os.mkfifo(runs.path("pipe"))
    runs.path("endless").symlink_to("/dev/zero")
    runs.path("folder").mkdir()
    assert [(run.id, run.query, run.status, run.cost) for run in runs.list()] == [
        (name, "", "interrupted", None) for name in ("pipe", "folder", "endless")
    ]


def test_a_question_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    run = RecordedRun("id", tmp_path, "\x1b]0;title\x07a\tquestion\u202e", "answered", datetime.now())
    assert str(run).endswith(r"\x1b]0;title\x07a question\u202e")


def test_listing_does_not_read_through_large_records(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    put(runs, "20261121-090000-aaaa", outcome=None)
    with runs.path("20261121-090000-aaaa").open("r+b") as file:
        file.seek(500 * 1024**3)  # a sparse file of 500 GiB
        file.write(b"x\n")
    started = time.perf_counter()
    assert runs.list()[0].query == "Why?"
    assert time.perf_counter() - started < 30  # reading it takes more on any machine


def test_find(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with pytest.raises(InputError, match=f"no runs are recorded in {re.escape(str(tmp_path))}"):
        runs.find("last")
    put(runs, "20261120-090000-aaaa")
    put(runs, "20261121-090000-abcd")
    assert runs.find() == runs.find("last") == runs.find("20261121") == runs.path("20261121-090000-abcd")
    assert runs.find("20261120-090000-aaaa") == runs.path("20261120-090000-aaaa")
    with pytest.raises(InputError, match=r"'202611' begins the names of 2 runs \(.*\): give more of it"):
        runs.find("202611")
    with pytest.raises(
        InputError, match="no recorded run is named '20261121-090000-abce'; the nearest are 20261121-09"
    ):
        runs.find("20261121-090000-abce")
    with pytest.raises(InputError, match=r"no recorded run is named '\.\./\.\./etc/passwd'"):
        runs.find("../../etc/passwd")


def test_forgetting_says_what_was_deleted_and_what_cannot_be(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for run_id in ("20261119-090000-aaaa", "20261120-090000-bbbb", "20261121-090000-cccc"):
        put(runs, run_id)
    size = runs.path("20261120-090000-bbbb").stat().st_size
    assert runs.forget("20261120") == {"20261120-090000-bbbb": size}
    assert runs.forget("all").keys() == {"20261119-090000-aaaa", "20261121-090000-cccc"}
    assert runs.list() == []
    runs.path("20261121-090000-dddd").mkdir()
    with pytest.raises(InputError, match=r"20261121-090000-dddd cannot be deleted from .*: Is a directory$"):
        runs.forget("last")


def test_forgetting_all_goes_on_after_what_cannot_be_deleted_and_names_that(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for second in range(5):
        runs.path(f"20261121-09000{second}-dddd").mkdir()
    for second in (0, 9):
        put(runs, f"20261120-09000{second}-aaaa")
    with pytest.raises(InputError) as caught:
        runs.forget("all")
    assert str(caught.value) == (
        "20261121-090004-dddd, 20261121-090003-dddd, 20261121-090002-dddd and 2 more cannot be deleted "
        f"from {tmp_path}: Is a directory; 2 others are deleted"
    )
    assert [run.id[-4:] for run in runs.list()] == ["dddd"] * 5


def test_names_of_runs_sort_by_time_within_a_second_too(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    names = []
    for _ in range(50):
        names.append(runs.new_id())
        runs.path(names[-1]).touch()
    assert names == sorted(set(names))
