"""A card never raises, never runs long, never exceeds its limit, and runs no code of the value's class."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.guest.card import LIMIT, card


class Raises:
    def __repr__(self) -> NoReturn:
        raise RuntimeError("repr")

    __str__ = __len__ = __iter__ = __bool__ = __hash__ = __repr__  # type: ignore[assignment]

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(name)


class Prints:
    def __repr__(self) -> str:
        print("x" * 1_000_000)
        return "printed"


class Large:
    def __repr__(self) -> str:
        return "x" * 10_000_000


class Endless:
    def __repr__(self) -> NoReturn:
        while True:
            time.sleep(1)


class Liar(list[object]):
    def __len__(self) -> int:
        return 10**12

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("iter")


class Mask:
    @property
    def __class__(self) -> type:  # type: ignore[override]
        return list


class LyingDict(dict[str, int]):
    def __len__(self) -> int:
        return -1

    def items(self) -> NoReturn:
        raise RuntimeError("items")


class Slots:
    __slots__ = ("a",)


class NoDict:
    @property
    def __dict__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("dict")


class FakeFrame:
    shape = property(lambda self: 1 / 0)


FakeFrame.__module__, FakeFrame.__qualname__ = "pandas.core", "DataFrame"
LongName = type("N" * 100_000 + "\n", (), {})


def cyclic_list() -> list[object]:
    value: list[object] = [1]
    value.append(value)
    return value


def cyclic_dict() -> dict[str, object]:
    value: dict[str, object] = {}
    value.update(me=value, again=[value, value])
    return value


def deep() -> object:
    value: object = []
    for _ in range(100_000):
        value = [value]
    return value


HOSTILE: list[Any] = [
    Raises(), Prints(), Large(), Endless(), Liar([1, 2]), Mask(), LyingDict(a=1), Slots(), NoDict(), FakeFrame(),
    LongName(), cyclic_list(), cyclic_dict(), deep(),
    10**100_000, float("nan"), "\x00\x1b[31m\r\x07" * 100, "\ud800" * 1000,
    "\u202e\u2028\u2066" * 500, {"\x00" * 500: 1}, {Raises: Raises}, "[" * 500_000, "{" * 2_000_000, '{"a":' * 300_000,
    {i: {f"key {j}" * 20: j for j in range(300)} for i in range(300)}, b"\xff" * 10_000, object(), type, len, Path,
]  # fmt: skip


def checked(value: object) -> str:
    text = card("value", value)
    assert len(text) <= LIMIT == 1000
    assert all(c.isprintable() or c == "\n" for c in text)
    return text


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"k": v}, lambda v: ({"k": [v]},)])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: type(v).__name__[:20])
def test_hostile_values(value: Any, wrap: Any, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.process_time()
    assert checked(wrap(value)).startswith("value: ")
    assert time.process_time() - start < 2
    assert capsys.readouterr().out == ""


def test_a_lying_class_is_not_believed() -> None:
    assert ".Mask\nValue: <" in checked(Mask())


def test_a_broken_item_costs_itself_only() -> None:
    broken = object.__new__(PurePosixPath)
    assert ", 2 items: 1 pathlib.PurePosixPath, 1 int" in checked([broken, 1])


def test_a_huge_number_is_described_by_its_size() -> None:
    assert checked(10**100_000) == "value: int\nValue: <int of 332,193 bits>"


def test_a_lying_length_is_not_believed() -> None:
    assert checked(Liar([1, 2])).startswith("value: " + Liar.__module__ + ".Liar, 2 items: all int")
    assert ", 1 key: all int" in checked(LyingDict(a=1))


def test_control_characters_are_escaped() -> None:
    assert r"'\x1b[31m red \x00 \ud800 \u202e'" in checked("\x1b[31m red \x00 \ud800 \u202e")


@pytest.mark.parametrize("name", ["x" * 5000, "a\nb", "\ud800"])
def test_any_name_fits(name: str) -> None:
    text = card(name, "y" * 5000)
    assert len(text) <= LIMIT
    assert text.replace("\n", "").isprintable()
    assert "5,000 characters" in text


def test_attributes_stand_in_for_a_repr() -> None:
    class Ticket:
        def __init__(self) -> None:
            self.id, self.text = 5, "hello"

    assert checked(Ticket()).endswith("Ticket, an object with 2 attributes\nid: 5\ntext: 'hello'")
    assert "Ticket id=5 text='hello'>" in checked([Ticket()])


_scalars = st.text(st.characters(categories=None)) | st.binary() | st.floats() | st.integers() | st.none()


def _containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner) | st.dictionaries(st.text(), inner) | st.sets(st.text()) | st.tuples(inner)


@given(value=st.recursive(_scalars, _containers))
def test_any_value_fits(value: object) -> None:
    checked(value)


TOKENS = [
    "a",
    "<a",
    "<",
    " ",
    "\t",
    "\n",
    "=",
    ":",
    "|",
    ",",
    ". ",
    "# ",
    "1:00:00",
    "{",
    "[",
    '"',
    "\\",
    "(",
    "def ",
    "é",
    "----",
]


@given(unit=st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4).map("".join))
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    start = time.process_time()
    checked(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "value", [[1] * 1_000_000, dict.fromkeys(range(1_000_000), "x"), set(range(1_000_000)), ("x",) * 10**6]
)
def test_a_million_items_take_no_time(value: object) -> None:
    start = time.process_time()
    assert "1,000,000" in checked(value)
    assert time.process_time() - start < 0.2


def test_a_directory_that_is_too_large_is_left_early(tmp_path: Path) -> None:
    for i in range(10_050):
        (tmp_path / f"{i}.txt").touch()
    start = time.process_time()
    assert ", at least " in checked(tmp_path)
    assert time.process_time() - start < 2


def test_a_file_that_cannot_be_read_is_described_all_the_same(tmp_path: Path) -> None:
    assert checked(tmp_path / "missing").endswith("Path, which cannot be looked into")


@pytest.mark.slow
@pytest.mark.parametrize("line", ["x" * 999 + "\n", "x"], ids=["lines", "one line"])
def test_a_gigabyte_takes_a_moment(line: str) -> None:
    text = line * (2**30 // len(line))
    start = time.process_time()
    checked(text)
    assert time.process_time() - start < 1


# --- tables --------------------------------------------------------------------------------------


def frames(columns: dict[str, Any]) -> list[Any]:
    return [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)]


@pytest.mark.parametrize("place", range(3))
def test_a_table_of_two_million_rows_takes_a_moment(place: int) -> None:
    number = 2_000_000
    table = frames({"n": np.arange(number), "x": np.random.rand(number), "t": pa.array(["a text"] * number)})[place]
    start = time.process_time()
    checked(table)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("place", range(3))
def test_ten_thousand_columns_take_a_moment(place: int) -> None:
    table = frames({f"c{i}": np.zeros(20) for i in range(10_000)})[place]
    start = time.process_time()
    assert ", 10,000 columns" in checked(table)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("place", range(3))
def test_long_cells_are_not_read_by_the_thousand(place: int) -> None:
    table = frames({"t": ["x" * 1_000_000] * 200})[place]
    start = time.process_time()
    text = checked(table)
    assert "(in a sample of 15 rows)" in text or "(in a sample of 16 rows)" in text
    assert "1,000,000 characters" in text or "about 1,000,000" in text
    assert time.process_time() - start < 1


def test_no_code_of_the_users_runs_for_a_table() -> None:
    class Frame(pd.DataFrame):
        @property
        def iloc(self) -> NoReturn:  # type: ignore[override]
            raise RuntimeError("iloc")

    class Dtype(pd.api.extensions.ExtensionDtype):
        name = "users"
        type = object
        __str__ = __repr__ = Raises.__repr__  # type: ignore[assignment]

    class Array(pd.arrays.NumpyExtensionArray):
        dtype = Dtype()  # type: ignore[assignment]

        def tolist(self) -> NoReturn:
            raise RuntimeError("tolist")

    objects = pd.DataFrame({"o": [Raises(), Raises()], "mixed": [1, "a"]})
    assert "2 rows, 2 columns" in checked(objects)
    assert "2 rows, 2 columns" in checked(Frame(objects))
    assert "users" not in checked(pd.DataFrame({"u": Array(np.array([1, 2]))}))
    array = np.empty(1, dtype=object)
    array[0] = Raises()
    assert "numpy array, shape (1,), object" in checked(array)


# --- SQLite files --------------------------------------------------------------------------------


def database(path: Path, *statements: str) -> bytes:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path.read_bytes()


ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) INSERT INTO t SELECT i, hex(i) FROM n"


def test_damaged_files_are_described_all_the_same(tmp_path: Path) -> None:
    whole = database(tmp_path / "whole.db", "CREATE TABLE t (id, text)", ROWS.format(5000))
    path = tmp_path / "damaged.db"
    chance = random.Random(1)
    for _ in range(200):
        content = bytearray(whole[: chance.choice([100, 4096, len(whole)])])
        for _ in range(chance.randrange(40)):
            content[chance.randrange(16, len(content))] = chance.randrange(256)
        path.write_bytes(content)
        assert "SQLite database" in checked(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["damaged.db", "whole.db"]


def test_a_view_that_never_ends_is_not_run(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    database(tmp_path / "v.db", "CREATE TABLE t (id)", f"CREATE VIEW endless AS {endless}")
    start = time.process_time()
    assert "endless (view)" in checked(tmp_path / "v.db")
    assert time.process_time() - start < 0.5


def test_virtual_tables_are_named_and_not_opened(tmp_path: Path) -> None:
    database(
        tmp_path / "v.db",
        "CREATE TABLE t (id)",
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_master VALUES ('table', 'evil', 'evil', 0, 'CREATE VIRTUAL TABLE evil USING nobodys(x)')",
    )
    text = checked(tmp_path / "v.db")
    assert "- t, 0 rows: id" in text
    assert "evil (virtual table)" in text


def test_many_rows_and_tables_are_counted_up_to_a_bound(tmp_path: Path) -> None:
    tables = [f"CREATE TABLE t{i} (a, b)" for i in range(300)]
    database(tmp_path / "large.db", "CREATE TABLE t (id, text)", ROWS.format(1_000_100), *tables)
    start = time.process_time()
    text = checked(tmp_path / "large.db")
    assert time.process_time() - start < 1
    assert "- t, at least 1,000,000 rows" in text or "- t, rows not counted" in text
    assert "Further tables: " in text


def test_names_of_tables_and_columns_do_no_harm(tmp_path: Path) -> None:
    database(tmp_path / "n.db", 'CREATE TABLE "a""; DROP TABLE x; --" ("c\x1b[31m" TEXT, "\u202e" INT)')
    assert "SQLite database" in checked(tmp_path / "n.db")
