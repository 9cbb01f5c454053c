"""The guest's pure parts: answers as JSON, outputs in bounded memory, directories, environment."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import site
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_magic.guest.changes import size
from rlm_magic.guest.crossing import MAX_BYTES, MAX_DEPTH, cross
from rlm_magic.guest.output import HeadTail, Stream
from rlm_magic.subkernel.environment import environment
from rlm_magic.subkernel.rundir import Place


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    pass


@dataclass
class Point:
    x: int
    when: datetime.date


@pytest.mark.parametrize(
    ("value", "crossed"),
    [
        (None, None),
        (True, True),
        (Level.HIGH, 3),
        (Word("w"), "w"),
        (1.5, 1.5),
        (math.nan, None),
        (-math.inf, None),
        ((1, (2,)), [1, [2]]),
        (frozenset({1}), [1]),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}),
        (datetime.datetime(2026, 5, 4, 1, 2, 3), "2026-05-04T01:02:03"),
        (datetime.time(1, 2), "01:02:00"),
        (Point(1, datetime.date(2026, 5, 4)), {"x": 1, "when": "2026-05-04"}),
    ],
)
def test_values_that_cross_without_a_notice(value: object, crossed: object) -> None:
    assert cross(value) == (crossed, "")


@pytest.mark.parametrize(
    ("value", "crossed", "notice"),
    [
        (1 + 2j, "(1+2j)", "a complex was turned into text"),
        (decimal.Decimal("1.10"), "1.10", "a Decimal was turned into text"),
        ([Colour.RED, Colour.RED], ["Colour.RED", "Colour.RED"], "a Colour was turned into text"),
        (b"\xff", "b'\\xff'", "a bytes was turned into text"),
    ],
)
def test_values_that_become_text_say_so_once(value: object, crossed: object, notice: str) -> None:
    assert cross(value) == (crossed, notice)


def test_an_integer_too_long_for_json_becomes_hexadecimal() -> None:
    crossed, notice = cross(2**20_000)
    assert crossed == hex(2**20_000)
    assert "over 4,300 digits" in notice


def test_numpy_and_pandas_values() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    value = {"n": numpy.int64(3), "f": numpy.float32("nan"), "a": numpy.arange(3), "t": pandas.Timestamp("2026-05-04")}
    assert cross(value) == ({"n": 3, "f": None, "a": [0, 1, 2], "t": "2026-05-04T00:00:00"}, "")
    assert cross([pandas.NaT, pandas.NA]) == ([None, None], "")
    assert cross(pandas.Series([1, 2])) == ([1, 2], "")
    assert cross(pandas.DataFrame({"x": [1, 2], "y": ["a", None]}))[0] == [{"x": 1, "y": "a"}, {"x": 2, "y": None}]


def test_a_long_table_is_cut_with_a_notice() -> None:
    pandas = pytest.importorskip("pandas")
    crossed, notice = cross(pandas.DataFrame({"x": range(20_000)}))
    assert len(crossed) == 10_000
    assert notice == "only the first 10,000 of 20,000 rows were kept"


def test_an_answer_over_the_limit_names_both_sizes() -> None:
    with pytest.raises(ValueError, match=rf"7,000,002 bytes as JSON; at most {MAX_BYTES:,}"):
        cross("x" * 7_000_000)


def test_a_value_that_holds_itself_ends() -> None:
    value: list[Any] = []
    value.append(value)
    crossed, notice = cross(value)
    assert json.dumps(crossed).count("[") < MAX_DEPTH + 5
    assert notice == "a list was turned into text"


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_json_is_its_own_crossing(value: object) -> None:
    assert cross(value) == (json.loads(json.dumps(value)), "") or math.inf in _flat(value) or -math.inf in _flat(value)


def _flat(value: object) -> list[object]:
    return [item for part in value for item in _flat(part)] if isinstance(value, list) else [value]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=30))
def test_an_output_keeps_its_head_its_tail_and_its_length(parts: list[str]) -> None:
    kept = HeadTail(half=20)
    for part in parts:
        kept.write(part)
    whole = "".join(parts)
    assert kept.chars == len(whole)
    if len(whole) <= 40:
        assert kept.text() == whole
    else:
        assert kept.text().startswith(whole[:20])
        assert kept.text().endswith(whole[-20:])
        assert f"{len(whole) - 40:,} characters left out" in kept.text()


def test_a_stream_takes_text_only_and_stays_open() -> None:
    stream = Stream()
    stream.close()
    print("x", file=stream)
    with pytest.raises(TypeError):
        stream.write(b"bytes")  # type: ignore[arg-type]
    assert stream.target.text() == "x\n"


class Liar(list[int]):
    def __len__(self) -> int:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x" * 1204, "1,204 characters"),
        (b"abc", "3 bytes"),
        ({1: 2}, "1 items"),
        (Liar([1, 2]), "2 items"),
        (3.5, "3.5"),
        (10**4000, "13,288 bits"),
        (print, ""),
        (object(), ""),
    ],
)
def test_sizes_in_words(value: object, words: str) -> None:
    assert size(value) == words


def test_the_environment_is_made_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("PYTHONSTARTUP", "canary")
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    variables = environment(Place(tmp_path), "/opt/python/bin/python")
    assert "canary" not in variables.values()
    assert variables["HOME"] == variables["TMPDIR"] == str(tmp_path / "work")
    assert variables["PYTHONHASHSEED"].isdigit()
    assert variables["PATH"].startswith("/opt/python/bin:")
