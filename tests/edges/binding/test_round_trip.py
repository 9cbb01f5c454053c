"""A value that is bound and loaded again is the same value."""

from __future__ import annotations

import datetime
import pickle
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.binding import ValueStore, bind, bind_all
from rlm_magic.engine.types import ValueFile
from rlm_magic.guest.load import STEP, load

TEXTS = {
    "empty": "",
    "ascii": "one\ntwo\r\nthree\rfour",
    "latin": "größer \x80\xff",
    "cyrillic": "быстрая лиса",
    "emoji": "a \U0001f600 b",
    "lone surrogates": "\ud800 and \udfff",
    "surrogates that would pair": "\ud83d\ude00",
    "NUL": "a\0b\0",
    "byte order mark": "\ufeffa",
    "longer than one step": "x" * STEP + "é" * STEP + "\U0001f600" * 10,
}
VALUES = {
    "bytes": b"\x00\xff" * 1000,
    "no bytes": b"",
    "bytearray": bytearray(b"abc"),
    "nested": {"a": [1, {"b": (2.5, None, True)}], 3: {"x", "y"}, "t": datetime.date(2026, 11, 21)},
    "list of texts": [f"line {i}" for i in range(10_000)],
    "number": 12345678901234567890,
    "none": None,
}


def file_of(value: object, store: ValueStore) -> ValueFile:
    return bind("v", value, store=store).source.file()


def round_trip(value: object, store: ValueStore) -> object:
    source = bind("v", value, store=store).source
    file = source.file()
    return load(file.path, file.format)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_comes_back_as_a_real_str(text: str, store: ValueStore) -> None:
    file = file_of(text, store)
    loaded = load(file.path, file.format)
    assert type(loaded) is str
    assert loaded == text
    assert file.format == "text"
    assert file.size == len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_other_values_come_back_equal(value: object, store: ValueStore) -> None:
    loaded = round_trip(value, store)
    assert loaded == value
    assert type(loaded) is type(value)


def test_a_text_of_a_subclass_is_a_text(store: ValueStore) -> None:
    assert file_of(np.str_("hello"), store).format == "text"
    assert round_trip(np.str_("hello"), store) == "hello"


def test_files_are_private(store: ValueStore) -> None:
    source = bind("v", [1], store=store).source
    path = Path(source.file().path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_array_costs_no_copy_and_stays_writable(store: ValueStore) -> None:
    array = np.arange(1000.0)
    source = bind("v", {"a": array, "b": array[:10].copy()}, store=store).source
    before = Path(source.file().path).read_bytes()
    loaded = load(source.file().path, "pickle")
    assert isinstance(loaded, dict)
    assert not loaded["a"].flags.owndata
    assert loaded["a"].ctypes.data % 64 == 0
    loaded["a"][0] = -1
    assert loaded["a"][0] == -1
    assert Path(source.file().path).read_bytes() == before


def test_a_mapped_array_is_not_read_into_memory(store: ValueStore, tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "array", dtype="f8", mode="w+", shape=(4_000_000,))
    mapped[-1] = 5
    tracemalloc.start()
    try:
        loaded = round_trip({"a": mapped}, store)
        assert tracemalloc.get_traced_memory()[1] < mapped.nbytes / 10
    finally:
        tracemalloc.stop()
    assert isinstance(loaded, dict)
    assert type(loaded["a"]) is np.ndarray
    assert (loaded["a"].shape, loaded["a"][-1]) == (mapped.shape, 5)


def test_a_read_only_array_stays_read_only(store: ValueStore) -> None:
    array = np.arange(10)
    array.flags.writeable = False
    loaded = round_trip(array, store)
    assert isinstance(loaded, np.ndarray)
    assert not loaded.flags.writeable


def test_a_table_comes_back(store: ValueStore) -> None:
    frame = pd.DataFrame({"id": [1, 2], "text": ["a", None], "x": [0.5, 1.5]})
    loaded = round_trip(frame, store)
    assert isinstance(loaded, pd.DataFrame)
    pd.testing.assert_frame_equal(loaded, frame)


def test_a_cycle_comes_back(store: ValueStore) -> None:
    value: list[object] = [1]
    value.append(value)
    loaded = round_trip(value, store)
    assert isinstance(loaded, list)
    assert loaded[1] is loaded


def test_names_keep_their_order(store: ValueStore) -> None:
    variables = bind_all({"b": "x", "a": [1]}, store=store)
    assert [variable.name for variable in variables] == ["b", "a"]
    assert all(variable.card.startswith(variable.name) for variable in variables)


def test_classes_and_functions_of_the_notebook_travel_by_value(tmp_path: Path) -> None:
    notebook = (
        "import sys; from pathlib import Path\n"
        "from rlm_magic.binding import ValueStore, bind\n"
        "from rlm_magic.guest.load import load\n"
        "class Ticket:\n"
        "    def __init__(self, text): self.text = text\n"
        "    def shout(self): return self.text.upper()\n"
        "source = bind('v', [Ticket('a'), lambda x: x + 1], store=ValueStore(Path(sys.argv[1]))).source\n"
        "print(source.file().path, flush=True); sys.stdin.read()\n"
    )
    subkernel = (
        "import sys; from rlm_magic.guest.load import load\n"
        "ticket, add = load(sys.argv[1], 'pickle'); print(ticket.shout(), add(1))\n"
    )
    arguments = [sys.executable, "-c", notebook, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        seen = subprocess.run([sys.executable, "-c", subkernel, path], capture_output=True, text=True, check=True)
        process.communicate("")
    assert seen.stdout == "A 2\n"


_keys = st.text(max_size=8) | st.integers()
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary(max_size=64)
_texts = st.text(st.characters(categories=None), max_size=200)  # lone surrogates and NUL too
_values = st.recursive(
    _scalars | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> ValueStore:
    return ValueStore(tmp_path_factory.mktemp("values"))


@given(value=_values)
def test_any_value_comes_back(value: object, shared: ValueStore) -> None:
    loaded = round_trip(value, shared)
    assert loaded == value
    assert pickle.dumps(loaded, 5) is not None


@given(text=_texts)
def test_any_text_comes_back(text: str, shared: ValueStore) -> None:
    assert round_trip(text, shared) == text


@pytest.mark.slow
@pytest.mark.parametrize("line", ["x" * 999 + "\n", "x"], ids=["lines", "one line"])
def test_a_gigabyte_of_text(line: str, store: ValueStore) -> None:
    text = line * (2**30 // len(line))
    loaded = round_trip(text, store)
    assert loaded == text


@pytest.mark.slow
def test_a_million_texts(store: ValueStore) -> None:
    texts = [f"entry {i}" for i in range(1_000_000)]
    assert round_trip(texts, store) == texts
