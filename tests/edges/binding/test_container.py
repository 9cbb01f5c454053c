"""The file format of `rlm_magic.guest.load`: what is not whole, or not ours, is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from rlm_magic.guest.load import dump, load


@pytest.mark.parametrize(
    ("value", "format_"), [("tëxt", "text"), (b"raw", "bytes"), ({"a": [1]}, "pickle"), (Path("x"), "pickle")]
)
def test_dump_chooses_the_format_and_load_reads_it(value: object, format_: str, tmp_path: Path) -> None:
    path = str(tmp_path / "v")
    assert dump(value, path) == format_
    assert load(path, format_) == value


def test_dump_writes_a_new_file_only(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("mine")
    with pytest.raises(FileExistsError):
        dump("other", str(tmp_path / "v"))
    assert (tmp_path / "v").read_text() == "mine"


def test_a_failed_dump_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        dump([1, (i for i in ())], str(tmp_path / "v"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    dump({"a": np.arange(20), "b": "text"}, str(whole))
    content = whole.read_bytes()
    for length in range(len(content)):
        part.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not a whole value file"):
            load(str(part), "pickle")


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1, 2]), b"\0" * 4096, b"\xff" * 4096])
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(ValueError, match="not a whole value file"):
        load(str(tmp_path / "v"), "pickle")


@pytest.mark.parametrize("count", [2, 2**40, 2**64 - 1])
def test_a_wrong_number_of_buffers_is_refused(count: int, tmp_path: Path) -> None:
    dump([1], str(tmp_path / "v"))
    content = (tmp_path / "v").read_bytes()
    (tmp_path / "v").write_bytes(content[:-16] + count.to_bytes(8, "little") + content[-8:])
    with pytest.raises(ValueError, match="not a whole value file"):
        load(str(tmp_path / "v"), "pickle")


def test_another_version_of_the_format_is_refused(tmp_path: Path) -> None:
    dump([1], str(tmp_path / "v"))
    content = (tmp_path / "v").read_bytes()
    (tmp_path / "v").write_bytes(content[:-8] + b"RLMPKL9\n")
    with pytest.raises(ValueError, match="of another kind"):
        load(str(tmp_path / "v"), "pickle")


def test_a_buffer_outside_the_file_is_refused(tmp_path: Path) -> None:
    dump(np.arange(20), str(tmp_path / "v"))
    content = (tmp_path / "v").read_bytes()
    (tmp_path / "v").write_bytes(content[:-32] + (2**50).to_bytes(8, "little") + content[-24:])
    with pytest.raises(ValueError, match="outside"):
        load(str(tmp_path / "v"), "pickle")


def test_bytes_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"abc\xff")
    with pytest.raises(ValueError, match=r"v is not UTF-8 text: invalid start byte at byte 3"):
        load(str(tmp_path / "v"), "text")


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'json' is unknown: it is one of text, bytes, pickle, path"):
        load(str(tmp_path), "json")
