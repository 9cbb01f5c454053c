"""Forged files in place of a variable that the notebook fetches: each is refused in one line, and none runs."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pyarrow.ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.engine.errors import InputError
from rlm_magic.guest.exports import NotExportable, export
from rlm_magic.subkernel import pulls
from rlm_magic.subkernel.pulls import pulled

from ..edges.subkernel.test_sessions import session

MIB = 1024**2
TABLE = {"form": "arrow", "kind": "pyarrow.Table", "labels": ["a"], "index": 0}


class Runs:
    """Pickles to a call that leaves a mark."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("import os; os.environ['RLM_TEST_MARK'] = 'it ran'",)


@pytest.fixture(autouse=True)
def nothing_ran(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("RLM_TEST_MARK", raising=False)
    yield
    assert "RLM_TEST_MARK" not in os.environ


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    def check(content: bytes, **fields: Any) -> str:
        path = tmp_path / "value"
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            pulled(path, fields)
        said = str(caught.value)
        assert "\n" not in said
        assert said.isprintable()
        return said

    return check


def stream(table: pyarrow.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema, options=pyarrow.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def plain(descr: str, shape: str, data: bytes = b"") -> bytes:
    return npy(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}", data)


OBJECTS = io.BytesIO()
numpy.save(OBJECTS, numpy.array([Runs()], dtype=object), allow_pickle=True)
ARRAYS = {
    "objects": OBJECTS.getvalue(),
    "a pickle": pickle.dumps(Runs()),
    "an expression for a header": npy("__import__('os').environ.__setitem__('RLM_TEST_MARK', 'it ran')"),
    "a record type": npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }", bytes(8)),
    "a huge shape": plain("<f8", "(99999999999, 99999999999)", bytes(8)),
    "a huge shape of nothing": plain("|S0", "(999999999999,)"),
    "a shape that is too small": plain("<f8", "(1,)", bytes(800)),
    "too many dimensions": plain("<f8", "(" + "1, " * 60 + ")", bytes(8)),
    "a negative shape": plain("<f8", "(-1,)", bytes(8)),
    "no character": plain("<U1", "(1,)", b"\xff\xff\xff\x7f"),
    "neither true nor false": plain("|b1", "(1,)", b"\x07"),
    "a long header": npy("{" + " " * 50_000 + "}"),
    "a header that is cut": b"\x93NUMPY\x01\x00\xff\xff{",
    "no version": b"\x93NUMPY",
    "nothing": b"",
}


@pytest.mark.parametrize("content", ARRAYS.values(), ids=ARRAYS)
def test_a_forged_array(refused: Callable[..., str], content: bytes) -> None:
    refused(content, form="npy")


DEEP = {"closed": b"[" * 100_000 + b"]" * 100_000, "open": b'{"a":' * 50_000, "100 levels": b"[" * 101 + b"]" * 101}


@pytest.mark.parametrize("content", [*DEEP.values(), b"", b"{", b"\xff", b"1" * 5_000, pickle.dumps(Runs())])
def test_forged_json(refused: Callable[..., str], content: bytes) -> None:
    refused(content, form="json")


def test_json_that_would_take_much_more_memory_than_its_file(refused: Callable[..., str]) -> None:
    assert "at most" in refused(b"[" + b"[]," * (12 * MIB) + b"[]]", form="json")


class OfTheUser(pyarrow.ExtensionType):
    """Its author had it rebuild from what is sent along, by pickle."""

    def __init__(self) -> None:
        super().__init__(pyarrow.int64(), "test.of_the_user")

    def __arrow_ext_serialize__(self) -> bytes:
        return pickle.dumps(Runs())

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, serialized: bytes) -> Any:
        pickle.loads(serialized)
        return cls()


def test_a_registered_extension_type_is_not_rebuilt(refused: Callable[..., str]) -> None:
    content = stream(pyarrow.table({"a": pyarrow.ExtensionArray.from_storage(OfTheUser(), pyarrow.array([1]))}))
    pyarrow.register_extension_type(OfTheUser())
    try:
        assert "extension type" in refused(content, **TABLE)
        nested = pyarrow.schema([pyarrow.field("a", pyarrow.list_(_field_of_the_user()))])
        assert "extension type" in refused(stream(nested.empty_table()), **TABLE)
    finally:
        pyarrow.unregister_extension_type("test.of_the_user")


def _field_of_the_user() -> pyarrow.Field:
    hidden = {"ARROW:extension:name": "test.of_the_user", "ARROW:extension:metadata": pickle.dumps(Runs(), 0)}
    return pyarrow.field("item", pyarrow.int64(), metadata=hidden)


def test_the_metadata_that_pandas_would_follow_is_left_out(tmp_path: Path) -> None:
    forged = {"index_columns": ["a"], "columns": [], "column_indexes": [{"name": "__import__('os')"}]}
    metadata = {b"pandas": json.dumps(forged).encode(), b"other": pickle.dumps(Runs())}
    table = pyarrow.table({"a": [1]}).replace_schema_metadata(metadata)
    (tmp_path / "value").write_bytes(stream(table))
    frame = pulled(tmp_path / "value", {**TABLE, "kind": "pandas.DataFrame"})
    assert isinstance(frame, pandas.DataFrame)
    assert (frame.columns.tolist(), frame.index.tolist()) == (["a"], [0])


def of_rows(rows: int) -> pyarrow.Table:
    return pyarrow.table({"a": pyarrow.nulls(rows)})


def nested(depth: int) -> pyarrow.Table:
    kind = pyarrow.int64()
    for _ in range(depth):
        kind = pyarrow.list_(kind)
    return pyarrow.table({"a": pyarrow.array([], kind)})


def not_text() -> pyarrow.Table:
    buffers = [None, pyarrow.py_buffer(struct.pack("<ii", 0, 2)), pyarrow.py_buffer(b"\xff\xfe")]
    return pyarrow.table({"a": pyarrow.Array.from_buffers(pyarrow.string(), 1, buffers)})


def out_of_bounds() -> bytes:
    content = stream(pyarrow.table({"a": [b"abcdefgh"]}))
    offsets = struct.pack("<ii", 0, 8) + b"abcdefgh"
    assert content.count(offsets) == 1
    return content.replace(offsets, struct.pack("<ii", 0, 2**30) + b"abcdefgh")


def beyond_its_words() -> pyarrow.Table:
    indices = pyarrow.array([1000], pyarrow.int32())
    return pyarrow.table({"a": pyarrow.DictionaryArray.from_arrays(indices, ["x"], safe=False)})


TABLES: dict[str, Callable[[], bytes]] = {
    "compressed": lambda: stream(pyarrow.table({"a": [0] * 10**6}), compression="zstd"),
    "a compressed dictionary": lambda: stream(
        pyarrow.table({"a": pyarrow.array(["x" * 10**6] * 9).dictionary_encode()}), compression="lz4"
    ),
    "rows of nothing": lambda: stream(of_rows(2**31 - 1)),
    "runs": lambda: stream(pyarrow.table({"a": pyarrow.RunEndEncodedArray.from_arrays([2**30], [1])})),
    "views": lambda: stream(pyarrow.table({"a": pyarrow.array(["x" * 1000] * 3, pyarrow.string_view())})),
    "nested too deeply": lambda: stream(nested(40)),
    "text that is none": lambda: stream(not_text()),
    "an offset out of bounds": out_of_bounds,
    "an index out of bounds": lambda: stream(beyond_its_words()),
    "a path for a time zone": lambda: stream(
        pyarrow.table({"a": pyarrow.array([0], pyarrow.timestamp("s", "../../etc/passwd"))})
    ),
    "cut short": lambda: stream(pyarrow.table({"a": list(range(1000))}))[:-500],
    "no schema": lambda: stream(pyarrow.table({"a": [1]}))[200:],
    "a pickle": lambda: pickle.dumps(Runs()),
    "nothing": lambda: b"",
    "a length of 4 GiB": lambda: b"\xff\xff\xff\xff\xf8\xff\xff\xff" + bytes(64),
}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("kind", ["pandas.DataFrame", "polars.DataFrame"])
def test_a_forged_table(refused: Callable[..., str], make: Callable[[], bytes], kind: str) -> None:
    refused(make(), **{**TABLE, "kind": kind})


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "os.system"},
        {"kind": "pandas.read_pickle"},
        {"kind": None},
        {"labels": None},
        {"labels": []},
        {"labels": [{"a": 1}]},
        {"labels": [[[]]]},
        {"index": 2},
        {"index": True},
        {"index": -1},
    ],
)
def test_what_is_said_beside_a_table_is_checked(refused: Callable[..., str], fields: dict[str, Any]) -> None:
    refused(stream(pyarrow.table({"a": [1]})), **{**TABLE, **fields})


@given(st.data())
def test_a_table_with_damaged_bytes_is_read_or_refused(tmp_path_factory: Any, data: st.DataObject) -> None:
    content = bytearray(stream(pyarrow.table({"a": [1, None], "b": ["x", "yz"], "c": [[1], [2, 3]]})))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        pulled(path, {**TABLE, "kind": "pandas.DataFrame", "labels": ["a", "b", "c"]})


@pytest.mark.parametrize("form", [None, "pickle", "path", "exec", ["text"]])
def test_an_unknown_form(refused: Callable[..., str], form: object) -> None:
    assert "unknown" in refused(pickle.dumps(Runs()), form=form)


def test_what_the_other_side_says_is_shown_as_one_printable_line(refused: Callable[..., str]) -> None:
    assert len(refused(b"", error="\x1b[31mred\n<script>" + "x" * 10_000)) < 500


def test_a_link_or_a_pipe_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing"):
        with pytest.raises(InputError):
            pulled(tmp_path / name, {"form": "text"})
    monkeypatch.setattr(pulls, "MAX_BYTES", 3)
    with pytest.raises(InputError, match="6 bytes; at most 3"):
        pulled(tmp_path / "secret", {"form": "text"})


def test_a_subkernel_that_forges_its_answers(tier: Any) -> None:
    """It has the channel in its hands: it may answer at any time, and put any file where one is expected."""
    forge = (
        "import json, os, struct, threading, time\n"
        "sock = rlm_query.__self__._send.__self__._socket\n"
        "def tell(**frame):\n"
        "    body = json.dumps(frame).encode(); sock.sendall(struct.pack('!I', len(body)) + body)\n"
        "def serve():\n"
        "    while True:\n"
        "        for name in os.listdir('../out'):\n"
        "            number = name.split('-')[1]\n"
        "            tell(type='pulled', of=number, form='text', file='/etc/passwd', path='/etc/passwd')\n"
        "        tell(type='pulled', of=['1'], form='text'); tell(type='listed', variables=[5, {'name': 'a b'}, {}])\n"
        "        time.sleep(0.001)\n"
        "class Slow(list):\n"
        "    def __iter__(self): time.sleep(1); raise ValueError('\\x1b[31m slow')\n"
        "value, text = Slow(), 'mine'\n"
        "threading.Thread(target=serve, daemon=True).start()"
    )
    with session(tier=tier) as kept:
        kept.ask(forge)
        assert all(name.isidentifier() for name, _, _ in kept.names())
        for name in ("value", "text", "../c.json", "nothing"):
            with contextlib.suppress(InputError):
                assert kept.pull(name) in ("mine", "")


def test_folders_where_values_would_be_handed_over(tier: Any) -> None:
    with session(tier=tier) as kept:
        kept.ask("import os\nvalue = 'mine'\nfor n in range(1_000): os.mkdir(f'../out/pull-{n}')")
        with pytest.raises(InputError, match="cannot be pulled"):
            kept.pull("value")


@pytest.mark.parametrize(
    "value",
    [[1, {"a": None}], "text\udc80", b"\x00\xff", {"k": [1.5, True]}, numpy.arange(6).reshape(2, 3), None],
    ids=repr,
)
def test_what_is_not_forged_arrives(value: Any, tmp_path: Path) -> None:
    fields = export(value, str(tmp_path / "value"))
    found = pulled(tmp_path / "value", fields)
    assert numpy.array_equal(found, value) if isinstance(value, numpy.ndarray) else found == value


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = export(polars.DataFrame({"a": [1]}), str(tmp_path / "value"))
    for name in ("polars", "pyarrow"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(InputError, match=f"needs {name} here, which is not installed: .*list of dicts"):
                pulled(tmp_path / "value", fields)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NotExportable, match="needs pyarrow in the subkernel's Python"):
        export(pandas.DataFrame({"a": [1]}), str(tmp_path / "other"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "turned into text"),
        ([{"a": Runs()}], "Runs was turned into text"),
        (numpy.array([Runs()], dtype=object), "array of object"),
        (pandas.DataFrame({"a": [1, "x"]}), "column 'a'"),
        (pandas.DataFrame({"a": [2**70, 1]}), "column 'a': .*: make its values of one type"),
        (pandas.period_range("2020", periods=2).to_series(), "extension<pandas.period"),
        (pandas.DataFrame([range(20_000)]), "20,000 columns"),
        (10**5_000, "hexadecimal"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_is_refused_below(value: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotExportable, match=why):
        export(value, str(tmp_path / "value"))


def frames() -> dict[str, Any]:
    day = datetime.date(2020, 1, 1)
    frame = pandas.DataFrame(
        {
            "n": [1, 2, None],
            "s": ["x", None, "z"],
            "c": pandas.Categorical(["a", "b", "a"]),
            "t": pandas.date_range("2020", periods=3, tz="Europe/Berlin"),
            "o": [{"a": 1}, None, {"a": 2}],
            "i": pandas.array([1, None, 3], dtype="Int64"),
            "b": pandas.array([True, None, False], dtype="boolean"),
            "d": [day] * 3,
        }
    )
    columns = pandas.MultiIndex.from_tuples([("a", "x"), ("b", "y")])
    return {
        "plain": frame,
        "an index": frame.set_index("s"),
        "two of them": frame.set_index(["c", "n"]),
        "columns twice": pandas.DataFrame([[1, 2]], columns=["q", "q"]),
        "columns of two levels": pandas.DataFrame([[1, 2], [3, 4]], columns=columns),
        "numbers for columns": pandas.DataFrame({0: [1], 5: ["x"]}),
        "a series": frame.groupby("c", observed=True)["n"].sum(),
        "polars": polars.DataFrame({"s": ["x", None], "l": [[1], [2, 3]], "d": [day, None]}),
        "polars' series": polars.Series("n", [1.5, None]),
        "arrow": pyarrow.table({"a": [1], "s": ["x"]}),
        "a batch": pyarrow.record_batch({"a": [1, None]}),
    }


def test_a_type_that_arrow_does_not_read_is_no_forgery(tmp_path: Path) -> None:
    wide = polars.DataFrame({"i": polars.Series([2**100], dtype=polars.Int128)})
    fields = export(wide, str(tmp_path / "value"))
    with pytest.raises(InputError, match=r"^its library cannot read that here \(Integers with more than 64 bits"):
        pulled(tmp_path / "value", fields)


def test_an_array_mapped_from_a_file_arrives_as_an_array(tmp_path: Path) -> None:
    mapped = numpy.memmap(tmp_path / "array", dtype="f8", mode="w+", shape=(2, 3))
    found = pulled(tmp_path / "value", export(mapped, str(tmp_path / "value")))
    assert type(found) is numpy.ndarray
    assert found.shape == (2, 3)


@pytest.mark.parametrize("name", frames())
def test_a_table_arrives_as_it_was(name: str, tmp_path: Path) -> None:
    table = frames()[name]
    found = pulled(tmp_path / "value", export(table, str(tmp_path / "value")))
    assert type(found) is type(table)
    if isinstance(table, pandas.DataFrame):
        pandas.testing.assert_frame_equal(found, table, check_freq=False)
    else:
        assert found.equals(table)
