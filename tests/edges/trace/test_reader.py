"""Reading a record back: torn, damaged, empty, foreign or newer, it never gives an event that was not written."""

from __future__ import annotations

import os
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.engine.errors import InputError
from rlm_magic.engine.events import Event
from rlm_magic.engine.tree import Tree
from rlm_magic.trace import read_events
from rlm_magic.trace.journal import line_of
from tests.vectors.generate import VECTORS, as_json

EVENTS = VECTORS["batch"]()
LINES = [line_of(e, "r1") for e in EVENTS]
WHOLE = b"".join(LINES)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records") / "a.rlm.jsonl"


def lines(*wires: dict[str, Any]) -> bytes:
    return b"".join(line_of(_Wire(wire), "") for wire in wires)  # type: ignore[arg-type]


class _Wire:
    def __init__(self, wire: dict[str, Any]) -> None:
        self.wire = wire

    def as_json(self, run: str) -> dict[str, Any]:
        return self.wire


def wire(seq: int = 0, type_: str = "open", node: str = "0", **change: Any) -> dict[str, Any]:
    data = change.pop("data", {"kind": "run", "parent": None})
    return {"v": 1, "run": "r1", "seq": seq, "t": 0.0, "type": type_, "node": node, "data": data, **change}


@pytest.mark.parametrize("name", VECTORS)
def test_every_vector_comes_back(name: str, file: Path) -> None:
    events = VECTORS[name]()
    file.write_bytes(b"".join(line_of(e, name) for e in events))
    reading = read_events(file)
    assert as_json(Tree(reading.events)) == as_json(Tree(events))
    assert (reading.run_id, reading.notice) == (name, "")


def test_cut_at_every_byte(file: Path) -> None:
    for whole, line in enumerate(LINES[:6]):
        for torn in range(len(line)):
            file.write_bytes(b"".join(LINES[:whole]) + line[:torn])
            reading = read_events(file)
            assert reading.events == EVENTS[:whole]
            assert (f"is torn after {whole} events: its last {torn:,} bytes" in reading.notice) == bool(torn)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(0, 40))
def test_flipped_bits_never_give_a_wrong_event(file: Path, at: int, mask: int, more: int) -> None:
    damaged = bytearray(WHOLE)
    for i in range(at, min(at + more + 1, len(WHOLE))):
        damaged[i] ^= mask
    file.write_bytes(damaged)
    hit = next(i for i in range(len(LINES)) if at < sum(map(len, LINES[: i + 1])))
    reading = read_events(file)
    assert reading.events == EVENTS[:hit]
    assert f"after {hit} events" in reading.notice


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_crash(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    reading = read_events(file)
    assert reading.events == []
    assert reading.notice


def test_an_empty_record_is_said(file: Path) -> None:
    file.write_bytes(b"")
    assert read_events(file).notice == "the record is empty: the run ended before its first event was written"


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (wire(2, "patch", data={}), "lacks event 1"),
        (wire(0, "patch", data={}), "lacks event 1"),
        (wire(1, "patch", data={}, run="r2"), "goes over to another run"),
        (wire(1, "open"), "opens a node twice"),
        (wire(1, "open", "0.1", data={"kind": "turn", "parent": "0.2"}), "no event"),
        (wire(1, "open", "0.1.1", data={"kind": "turn", "parent": "0.1.1"}), "no event"),
        (wire(1, "open", "0.1", data={"kind": 3, "parent": "0"}), "no event"),
        (wire(1, "open", "0" + ".1" * 200, data={"kind": "llm", "parent": "0" + ".1" * 199}), "no event"),
        (wire(1, "patch", data=[]), "no event"),
        (wire(1, "patch", data={"usage": None}), "no event"),
        (wire(1, "patch", data={"usage": {"input": "9"}}), "no event"),
        (wire(1, "body", data={"sha256": "00"}), "no event"),
        (wire(1, "patch", data={"code": "x"}), "no event"),
        (wire(1, "patch", data={"prompt": [{"sha256": "00", "preview": ""}]}), "no event"),
        (wire(1, "patch", data={"answer": {"sha256": 5, "preview": ""}}), "no event"),
        (wire(1, "patch", data={}, t="now"), "no event"),
        (wire(1, "patch", data={}, t=1e300), "no event"),
        (wire(1, "patch", data={"usage": {"input": 10**400}}), "no event"),
        (wire(1, "patch", data={}, node=None), "no event"),
        ({"v": 1}, "no event"),
    ],
)
def test_reading_ends_where_the_order_breaks(second: dict[str, Any], said: str, file: Path) -> None:
    file.write_bytes(lines(wire(), second, wire(2, "patch", data={})))
    reading = read_events(file)
    assert len(reading.events) == 1
    assert said in reading.notice
    Tree(reading.events)


def test_a_newer_version_is_refused(file: Path) -> None:
    file.write_bytes(lines(wire(v=2)))
    with pytest.raises(InputError, match=r"a newer rlm_magic \(record version 2; this one reads up to 1\): update"):
        read_events(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened: No such file"):
        read_events(tmp_path / "none")


def test_a_directory_is_not_a_record(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened: Is a directory"):
        read_events(tmp_path)


def test_a_pipe_is_not_a_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be opened: Not a plain file"):
        read_events(tmp_path / "pipe")


def test_deep_json_with_a_right_checksum(file: Path) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    body = b'{"v":1,"run":"r1","seq":1,"t":0.0,"type":"patch","node":"0","data":{"x":%b}}' % deep
    file.write_bytes(lines(wire()) + b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body[1:]))
    assert len(read_events(file).events) == 1


def test_the_file_is_not_held_in_memory_beside_its_events(file: Path) -> None:
    text = "x" * 1_000_000
    with file.open("wb") as out:
        for seq in range(20):
            out.write(line_of(Event(seq, 0.0, "patch", "0", {"text": text}), "r1"))
    tracemalloc.start()
    reading = read_events(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(reading.events) == 20
    assert peak < 26_000_000
