"""`search` by itself: what it finds in each kind of value, where it says that is, and what it refuses."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.binding import ValueStore, bind
from rlm_magic.guest import search as module
from rlm_magic.guest.contexts import Outbox
from rlm_magic.guest.passages import SIZE, passages
from rlm_magic.guest.search import Search
from rlm_magic.guest.texts import text_size

NOTES = ["the invoice was paid twice", "a card was lost", None, "the invoices of March are missing"]
REPORT = "\n\n".join(f"Section {n}. " + f"Nothing to report on pump {n}. " * 15 for n in range(50)).replace(
    "report on pump 31. ", "report but a cracked valve. ", 1
)


def search(query: str, value: Any, k: int = 10, **options: Any) -> list[dict[str, Any]]:
    return Search(lambda: value).search(query, k, **options)


def where(query: str, value: Any, **options: Any) -> list[Any]:
    return [found["where"] for found in search(query, value, **options)]


@pytest.mark.parametrize("text", [REPORT, REPORT.encode()], ids=["str", "bytes"])
def test_a_passage_of_a_text_is_what_lies_between_its_positions(text: Any) -> None:
    best = search("cracked valve", text)[0]
    piece = text[best["start"] : best["end"]]
    assert (piece if isinstance(piece, str) else piece.decode()) == best["text"]
    assert "cracked valve" in best["text"]
    assert best["where"] is None


def test_the_positions_in_a_text_beyond_ascii_are_characters_and_in_a_file_bytes(tmp_path: Path) -> None:
    text = "Über Öl 😀. " * 200 + "\nDie Straße nach Köln.\n" + "Ende \ud800 ü. " * 200
    in_text = search("straße", text)[0]
    assert text[in_text["start"] : in_text["end"]] == in_text["text"]
    path = tmp_path / "text"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    in_file = search("straße", path)[0]
    assert path.read_bytes()[in_file["start"] : in_file["end"]].decode("utf-8", "replace") == in_file["text"]
    assert "Straße nach Köln" in in_text["text"]
    assert "Straße nach Köln" in in_file["text"]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (NOTES, 1),
        (tuple(NOTES), 1),
        ({"a": "the invoice", "b": "a card was lost"}, "b"),
        ([{"id": "x1", "text": note} for note in NOTES], (1, "text")),
        (pd.DataFrame({"id": list("wxyz"), "note": NOTES}), (1, "note")),
        (pd.Series(NOTES), 1),
        (pl.DataFrame({"id": list("wxyz"), "note": NOTES}), (1, "note")),
        (pl.Series(NOTES), 1),
        (pa.table({"id": list("wxyz"), "note": NOTES}), (1, "note")),
        (pa.chunked_array([NOTES]), 1),
    ],
    ids=lambda value: type(value).__module__.partition(".")[0] + " " + type(value).__name__,
)
def test_each_kind_of_value_says_where_in_its_own_terms(value: Any, place: Any) -> None:
    [found] = search("lost cards", value)
    assert (found["where"], found["text"]) == (place, "a card was lost")


def test_files_of_a_folder_are_named_by_their_path_and_binary_ones_left_out(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.txt").write_text("the lost card")
    (tmp_path / "a.txt").write_text("nothing")
    (tmp_path / "c.bin").write_bytes(b"lost card \x00")
    (tmp_path / "empty").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert where("lost card", tmp_path) == ["deep/b.txt"]
    assert where("lost card", tmp_path / "deep" / "b.txt") == [None]
    assert where("lost card", tmp_path / "empty") == []


def test_case_accents_and_english_endings_do_not_matter() -> None:
    assert where("INVOICE", NOTES) == [0, 3]
    assert where("cafe", ["Café au lait", "thé"]) == [0]
    assert where("ответ", ["Какой ОТВЕТ?", "вопрос"]) == [0]


def test_scripts_without_spaces_are_searched_too() -> None:
    documents = ["我们讨论什么是人工智能的问题", "今天天气很好", "東京の天気"]
    assert where("人工智能", documents) == [0]
    assert where("天气", documents) == [1]


def test_what_is_written_as_one_ranks_before_its_parts() -> None:
    documents = [
        "7 7 10 10 0",
        "the client 10.0.0.7 was refused at the gate",
        "nothing at all",
        "nor here",
        "nor there",
    ]
    assert where("10.0.0.7", documents) == [1, 0]


def test_equal_passages_come_in_their_order_and_twice_the_same() -> None:
    documents = ["alpha beta"] * 50 + ["gamma"] * 60
    assert where("beta", documents, k=20) == list(range(20))
    assert search("alpha gamma", documents) == search("alpha gamma", documents)


def test_a_word_that_is_everywhere_still_finds_and_does_not_hide_a_rare_one() -> None:
    documents = [f"the report number {n}" for n in range(200)]
    assert where("the", documents, k=3) == [0, 1, 2]
    assert where("the report 123", documents, k=1) == [123]


@pytest.mark.parametrize("query", ["zyzzyva", "", " ", "\"' -- * ( NEAR", "½", "\ud800", "\x00", "OR AND NOT"])
def test_what_does_not_occur_finds_nothing(query: str) -> None:
    assert search(query, NOTES) == []


@pytest.mark.parametrize("value", ["", " \n ", [], [None], {}, b""])
def test_nothing_is_found_in_nothing(value: Any) -> None:
    assert search("word", value) == []


def test_a_query_may_be_a_whole_text() -> None:
    assert search(REPORT, REPORT, k=1)[0]["text"].startswith("Section")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search(3, "x"), "a query is a text, not a int"),  # type: ignore[arg-type]
        (lambda: search("x", "x", k=0), "k=0: ask for 1 passage or more"),
        (lambda: search("x", None), "the value is a NoneType: over= takes a text"),
        (lambda: search("x", {"log": "x", "rows": [1]}), "item 'rows' is a list: over= takes a text"),
        (lambda: search("x", pd.DataFrame({"n": [1]})), "there is no column with text"),
        (lambda: search("x", [{"a": "x", "b": 1}], column="b"), "column='b': the columns with text are 'a'"),
        (lambda: search("x", "x", column="b"), "column='b': a str has no columns"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_without_a_column_the_one_with_the_most_text_is_searched() -> None:
    table = pd.DataFrame({"kind": ["card", "card"], "body": ["a long story about a card", "nothing of that sort"]})
    assert where("card", table) == [(0, "body")]
    assert where("card", table, column="kind") == [(0, "kind"), (1, "kind")]


def test_of_columns_with_one_name_that_with_text_is_searched() -> None:
    table = pd.DataFrame([[1, "a tank", 2.5], [2, "a pump", 3.5]], columns=["x", "x", "x"])
    assert where("pump", table) == where("pump", table, column="x") == [(1, "x")]


def test_another_value_is_indexed_anew_and_so_is_a_list_that_was_changed() -> None:
    notes = ["one"]
    value: Any = notes
    find = Search(lambda: value)
    assert len(find.search("one")) == 1
    notes[0] = "two"
    assert find.search("one") == []
    notes.append("one")
    assert len(find.search("one")) == 1
    value = "no such word"
    assert find.search("one") == []
    assert len(find.search("one", over=notes)) == 1


class Counting(dict[str, Any]):
    """A record that counts how often it is read."""

    reads = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.reads += 1
        return super().get(key, default)


def test_an_unchanged_value_is_indexed_once() -> None:
    record = Counting(text="some words")
    find = Search(lambda: None)
    records = [record]
    assert find.search("words", over=records)
    reads = record.reads
    assert find.search("absent", over=records) == []
    assert find.search("absent", over=[*records]) == []
    assert record.reads == reads
    assert find.search("absent", over=[*records, record]) == []
    assert record.reads > reads


def test_threads_may_search_at_once_and_share_the_index() -> None:
    records = [Counting(text=f"number {n} of many") for n in range(5_000)]
    find, together, found = Search(lambda: records), threading.Barrier(8), list[Any]()

    def ask() -> None:
        together.wait()
        found.append(find.search("4999", 1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [hits[0]["where"] for hits in found] == [(4999, "text")] * 8
    assert records[3000].reads == 1


def test_a_value_that_is_too_large_for_an_index_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BYTES", 100_000)
    with pytest.raises(
        ValueError, match=r"an index was full after [\d,]+ passages .*: search a part of this at a time"
    ):
        search("x", "\n".join(f"word{n} other{n}" for n in range(100_000)))


@pytest.fixture
def without_fts5(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("fts5", "fts0"), *args)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options, factory=Bare))


@pytest.mark.usefixtures("without_fts5")
def test_a_python_without_the_index_says_so_in_one_line() -> None:
    with pytest.raises(RuntimeError, match=r"^search needs SQLite with FTS5, .*re$"):
        search("x", "x")


@pytest.mark.usefixtures("without_fts5")
def test_a_python_without_the_index_has_nothing_to_search(tmp_path: Path) -> None:
    assert bind("text", REPORT, store=ValueStore(tmp_path)).text_size == 0
    assert Outbox(str(tmp_path)).put("0", REPORT)["text_size"] == 0


@given(st.text(alphabet="ab \n😀é", max_size=300), st.integers(4, 40))
def test_passages_leave_nothing_out_but_white_space(text: str, size: int) -> None:
    spans = list(passages(text, size))
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(0 < end - start <= size for start, end in spans)


@given(st.text(alphabet="aé😀 \n", max_size=300), st.integers(4, 40))
def test_passages_of_bytes_cut_no_character(text: str, size: int) -> None:
    data = text.encode()
    pieces = [data[start:end].decode() for start, end in passages(data, size)]
    assert "".join("".join(piece.split()) for piece in pieces) == "".join(text.split())


def test_passages_end_where_a_paragraph_or_line_does() -> None:
    pieces = [REPORT[start:end] for start, end in passages(REPORT)]
    assert all(piece.startswith("Section") for piece in pieces)
    heading = "Pumps\n\n" + "a word " * 200
    assert heading[slice(*next(passages(heading)))].startswith("Pumps\n\na word")
    line = "x" * 250
    assert [end - start for start, end in passages("\n".join([line] * 4))] == [501, 501]
    assert [end - start for start, end in passages("y" * (SIZE + 1))] == [SIZE, 1]


@pytest.mark.parametrize(
    ("value", "size"),
    [("abc", 3), (b"abc", 3), (["ab", None, "c"], 3), ({"a": "abc"}, 3), ([{"n": 1, "t": "abc"}] * 5_000, 15_000)],
)
def test_how_much_text_there_is_is_known(value: Any, size: int) -> None:
    assert text_size(value) == size


def test_what_is_no_text_does_not_count(tmp_path: Path) -> None:
    assert text_size(b"PAR1\x00" * 200) == 0
    (tmp_path / "a.parquet").write_bytes(b"PAR1\x00" * 200)
    assert text_size(tmp_path / "a.parquet") == 0
    assert text_size(tmp_path) == 0
    (tmp_path / "b.txt").write_text("x" * 3_000)
    assert text_size(tmp_path) == 3_000


def test_how_much_text_there_is_never_raises_and_runs_no_method_of_the_user_s(tmp_path: Path) -> None:
    class Hostile(list[Any]):
        def __getitem__(self, key: Any) -> Any:
            raise SystemExit

    (tmp_path / "a").write_text("abc")
    assert [text_size(value) for value in (3, None, [1], {"a": 1}, Hostile("a"), tmp_path, tmp_path / "a")] == (
        [0, 0, 0, 0, 0, 3, 3]
    )
