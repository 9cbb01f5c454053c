"""A cassette: a file of replies that can be read, compared, edited and shared."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.cache import Cassette, KeptModel
from rlm_magic.engine.errors import InputError
from rlm_magic.engine.types import Price

from .test_database import kept

MODEL = KeptModel("k", "m", 128_000, Price(0.1, 0.2), "notes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lesson.jsonl"


def record(path: Path, *keys: str, text: str = "a reply") -> Cassette:
    cassette = Cassette(path, str, replay=False)
    cassette.put_model(MODEL)
    for key in keys:
        cassette.put(kept(key, text))
    asyncio.run(cassette.close())
    return cassette


def replayed(path: Path) -> Cassette:
    return Cassette(path, str, replay=True)


def test_what_was_recorded_is_there(path: Path) -> None:
    record(path, "k1", "k2", text="caf\u00e9 \ud800\n\u2028")
    cassette = replayed(path)
    assert cassette.get("k2") == kept("", "caf\u00e9 \ud800\n\u2028").completion
    assert cassette.get("k3") is None
    assert cassette.model("k") == MODEL
    assert cassette.model_names() == ["m"]
    assert cassette.notice == ""


def test_it_is_lines_of_json_for_people(path: Path) -> None:
    record(path, "k1", text="caf\u00e9")
    assert path.read_text().splitlines() == [
        '{"cassette": 1}',
        '{"model": "m", "window": 128000, "price": [0.1, 0.2], "notes": "notes", "key": "k"}',
        '{"asked": "asked", "reply": "café", "usage": {"input_tokens": 10, "output_tokens": 2, "cached_tokens": 4, '
        '"reasoning_tokens": 1, "cost": 0.25}, "finish_reason": "length", "reasoning": "a thought", '
        '"model": "openai/gpt-5", "version": "1", "parts": ["s", "u"], "key": "k1"}',
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_recording_again_adds_only_what_is_new(path: Path) -> None:
    record(path, "k1", "k2")
    before = path.read_bytes()
    record(path, "k1", "k2", text="another")
    assert path.read_bytes() == before
    record(path, "k3")
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == before.count(b"\n") + 1


def test_a_reply_can_be_edited(path: Path) -> None:
    record(path, "k1")
    path.write_text(path.read_text().replace("a reply", "a better reply"))
    reply = replayed(path).get("k1")
    assert reply is not None
    assert reply.text == "a better reply"


def test_two_notebooks_record_into_one(path: Path) -> None:
    one, two = Cassette(path, str, replay=False), Cassette(path, str, replay=False)
    for i in range(50):
        one.put(kept(f"one {i}", "1" * 5000))
        two.put(kept(f"two {i}", "2" * 5000))
    for cassette in (one, two):
        asyncio.run(cassette.close())
    both = replayed(path)
    assert all(both.get(f"{name} {i}") for name in ("one", "two") for i in range(50))


@pytest.mark.parametrize("left", [1, 40, -2])
def test_a_line_that_was_cut_is_left_out_and_said(path: Path, left: int) -> None:
    record(path, "k1")
    whole = path.read_bytes()
    record(path, "k2", text="caf\u00e9")
    torn = path.read_bytes()[: len(whole) + left if left > 0 else left]
    path.write_bytes(torn)
    cassette = replayed(path)
    assert cassette.notice == f"the cassette {path} ends within a line, which is left out"
    assert cassette.get("k1") is not None
    assert cassette.get("k2") is None
    assert path.read_bytes() == torn
    assert record(path, "k3").notice == cassette.notice
    assert path.read_bytes().startswith(whole)
    assert replayed(path).get("k3") is not None
    assert replayed(path).notice == ""


def test_a_long_line_that_was_cut_goes_whole(path: Path) -> None:
    record(path, "k1")
    whole = path.read_bytes()
    record(path, "k2", text="long" * 100_000)
    path.write_bytes(path.read_bytes()[:-1])
    record(path, "k3")
    assert path.read_bytes().startswith(whole)
    assert path.read_bytes().count(b"\n") == whole.count(b"\n") + 1


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not count what a process reads")
def test_to_keep_a_reply_does_not_take_reading_the_others(path: Path) -> None:
    record(path, "k1", text="x" * 10_000_000)
    cassette = Cassette(path, str, replay=False)
    before = bytes_read()
    cassette.put(kept("k2"))
    asyncio.run(cassette.close())
    assert bytes_read() - before < 1_000_000


def bytes_read() -> int:
    """By this process, so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


REFUSED: list[tuple[bytes, str]] = [
    (b"hello\n", '{} is not a cassette: its first line is not {{"cassette": 1}}'),
    (b'{"cells": []}\n', "{} is not a cassette"),
    (b"[]\n", "{} is not a cassette"),
    (b'{"cassette": 9}\n', "the cassette {} was made by a newer rlm_magic (format 9): update rlm_magic"),
    (b'{"cassette": 1}\n{"key": "k"}\n', "line 2 of the cassette {} cannot be read: put the file back as it was"),
    (b'{"cassette": 1}\n\xff\n', "line 2 of the cassette {} cannot be read"),
]


@pytest.mark.parametrize(
    ("content", "replay", "message"),
    [
        (b"", True, "{} is not a cassette"),
        *((content, replay, message) for content, message in REFUSED for replay in (True, False)),
    ],
)
def test_what_is_no_cassette_is_refused_in_one_line(path: Path, content: bytes, replay: bool, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Cassette(path, str, replay=replay)
    assert message.format(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_cassette_that_is_not_there_is_recorded_first(path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no cassette .*: --cache on records one"):
        replayed(path)
    assert not path.exists()


def test_a_file_that_is_no_cassette_is_not_cut(path: Path) -> None:
    path.write_text("my notes, without a line end")
    with pytest.raises(InputError, match="is not a cassette"):
        Cassette(path, str, replay=False)
    assert path.read_text() == "my notes, without a line end"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"the cassette .*/file/lesson.jsonl cannot be written: "):
        Cassette(tmp_path / "file" / "lesson.jsonl", str, replay=False)
    with pytest.raises(InputError, match=r"the cassette .* cannot be read: Is a directory"):
        Cassette(tmp_path, str, replay=True)


def test_a_full_disk_costs_replies_and_leaves_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(path, "k1")
    before, real = path.read_bytes(), os.write

    def full(fd: int, data: Any) -> int:
        if real(fd, bytes(data)[:10]) < 10:
            return 0
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cassette = Cassette(path, str, replay=False)
    monkeypatch.setattr("rlm_magic.cache.cassette.os.write", full)
    cassette.put(kept("k2"))
    asyncio.run(cassette.close())
    monkeypatch.undo()
    assert cassette.notice.startswith("not all replies are kept: ")
    assert cassette.notice.endswith("No space left on device")
    assert path.read_bytes() == before


def test_the_nearest_shares_the_most_messages(path: Path) -> None:
    record(path, "k1")
    nearest = replayed(path).nearest(["s", "other"])
    assert nearest is not None
    assert nearest.key == "k1"
    path.write_text('{"cassette": 1}\n')
    assert replayed(path).nearest(["s"]) is None
