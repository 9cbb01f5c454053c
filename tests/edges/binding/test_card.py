"""What a model reads of a variable before it looks at it."""

# ruff: noqa: E501 - a card is shown as it is
from __future__ import annotations

import collections
import datetime
import enum
import json
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from inline_snapshot import snapshot

from rlm_magic.guest.card import card

LOG = "".join(
    f'10.0.0.{i % 7} - - [17/May/2015:10:05:{i % 60:02} +0000] "GET /page/{i} HTTP/1.1" 200 {i}\n' for i in range(1000)
)
APPLICATION_LOG = "".join(f"2026-11-21 10:00:{i % 60:02},123 INFO worker {i}: done\n" for i in range(100))
JSON_LINES = "".join(
    json.dumps({"id": i, "text": "word " * (i % 90), **({"tag": "x"} if i % 2 else {})}) + "\n" for i in range(500)
)
CSV = "id,name,note\n" + "".join(f'{i},user {i},"a, b\nc"\n' for i in range(50))
MARKDOWN = "# Guide\n\nSome words.\n\n## Install\n\nRun this.\n\n## Use\n\nThen that.\n" * 10
PROSE = "It was late. The harbour lay in fog, and nobody had seen the ferry.\nWe waited for it all night. " * 10
CODE = '"""Doc."""\nimport os\n\n# Says hello.\nclass A:\n    def run(self, x):\n        return x + 1\n' * 10
LABELLED = "".join(f"Date: 2026-01-{i:02} || User: {i} || Query: where is it\n" for i in range(1, 30))
HTML = "<!DOCTYPE html><html><body>" + '<p class="a">One</p><br/>' * 30 + "</body></html>"


def form_line(text: str) -> str:
    return next(line for line in card("x", text).split("\n") if line.startswith("Format: "))


def test_log() -> None:
    assert card("log", LOG) == snapshot("""\
log: str, 74,780 characters, 1,000 lines, ASCII
Format: log lines
Longest line 74 characters; no line repeats another
First line: '10.0.0.0 - - [17/May/2015:10:05:00 +0000] "GET /page/0 HTTP/1.1" 200 0'
Last line: '10.0.0.5 - - [17/May/2015:10:05:39 +0000] "GET /page/999 HTTP/1.1" 200 999'
Suggested chunks: 2 of 50,000 characters, about 500 lines each\
""")


def test_json_lines() -> None:
    assert card("rows", JSON_LINES) == snapshot("""\
rows: str, 121,140 characters, 500 lines, ASCII
Format: JSON lines; keys: id int, text str up to 430 characters, tag str (in 9 of 20)
Longest line 480 characters; no line repeats another
First line: '{"id": 0, "text": ""}'
Last line: '{"id": 499, "text": "word word word word word word word word word word word word word word word word word word word word word word word word word wo…
Suggested chunks: 3 of 50,000 characters, about 160 lines each\
""")


def test_csv() -> None:
    assert card("table", CSV) == snapshot("""\
table: str, 993 characters, 101 lines, ASCII, 50 records
Format: CSV, 3 columns: id, name, note
Longest line 16 characters; 49 lines repeat another
First line below the header: '0,user 0,"a, b'
Last line: 'c"'\
""")


def test_markdown() -> None:
    assert card("guide", MARKDOWN) == snapshot("""\
guide: str, 640 characters, 110 lines, ASCII
Format: Markdown; 30 headings, such as 'Guide', 'Install', 'Use'
Longest line 11 characters; 54 lines repeat another
Starts: '# Guide\\n\\nSome words.\\n\\n## Install\\n\\nRun this.\\n\\n## Use\\n\\nThen that.\\n# Guide\\n\\nSome words.\\n\\n## Install\\n\\nRun this.\\n\\n## Use\\n\\nThen that.…
Ends: '.\\n# Guide\\n\\nSome words.\\n\\n## Install\\n\\nRun this.\\n\\n## Use\\n\\nThen that.\\n# Guide\\n\\nSome words.\\n\\n## Install\\n\\nRun this.\\n\\n## Use\\n\\nThen th…\
""")


def test_prose() -> None:
    assert card("novel", PROSE * 60) == snapshot("""\
novel: str, 57,600 characters, 601 lines, ASCII
Format: prose
Longest line 95 characters; 598 lines repeat another
Starts: 'It was late. The harbour lay in fog, and nobody had seen the ferry.\\nWe waited for it all night. It was late. The harbour lay in fog, and nobody had…
Ends: 'erry.\\nWe waited for it all night. It was late. The harbour lay in fog, and nobody had seen the ferry.\\nWe waited for it all night. '
Suggested chunks: 2 of 50,000 characters, about 300 lines each\
""")


def test_code() -> None:
    assert card("module", CODE) == snapshot('''\
module: str, 880 characters, 70 lines, ASCII
Format: program code
Longest line 21 characters; 54 lines repeat another
Starts: '"""Doc."""\\nimport os\\n\\n# Says hello.\\nclass A:\\n    def run(self, x):\\n        return x + 1\\n"""Doc."""\\nimport os\\n\\n# Says hello.\\nclass A:\\n   …
Ends: '   def run(self, x):\\n        return x + 1\\n"""Doc."""\\nimport os\\n\\n# Says hello.\\nclass A:\\n    def run(self, x):\\n        return x + 1\\n\'\
''')


def test_list() -> None:
    assert card("docs", [f"document {i}: " + "word " * i for i in range(300)]) == snapshot("""\
docs: list, 300 items: all str
Texts: 228,340 characters in all; shortest 12, longest 1,509; none repeats another; suggested batches: 5 of 65
First item: 'document 0: '
Last item: 'document 299: word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word…\
""")


def test_list_of_records() -> None:
    assert card("rows", [{"id": i, "body": "x" * i, "tags": ["a"]} for i in range(400)]) == snapshot("""\
rows: list, 400 items: all dict
Keys of the items: id int, body str up to 399 characters, tags list
First item: {'id': 0, 'body': '', 'tags': ['a']}
Last item: {'id': 399, 'body': 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…, 'tags': ['a']}\
""")


def test_a_large_text_on_disk_says_how_to_read_it_in_parts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some words\n" * 20_000)
    assert card("v", tmp_path / "a.txt").endswith("First line: 'some words'\nSuggested chunks: 5 of 50,000 bytes")


def test_a_set_is_described_alike_in_every_process() -> None:
    """Whatever else is in a prompt, kept replies are found by it."""
    code = "from rlm_magic.guest.card import card; print(card('v', {'tags': set('abcdefgh')}), card('v', set('xyz')))"
    cards = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert cards == {
        "v: dict, 1 key: all set\n'tags': {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'} v: set, 3 items: all str\n"
        "Texts: 3 characters in all; shortest 1, longest 1; none repeats another\nItems: {'x', 'y', 'z'}\n"
    }


def test_dict() -> None:
    assert card("config", {"name": "a", "sizes": [1, 2, 3], "inner": {"deep": {"er": 1}}, 5: None}) == snapshot("""\
config: dict, 4 keys: 1 str, 1 list, 1 dict, 1 NoneType
'name': 'a'
'sizes': [1, 2, 3]
'inner': {'deep': {'er': 1}}
5: None\
""")


def test_large_dict() -> None:
    assert card("pages", {f"page{i}": "text " * i for i in range(5000)}) == snapshot("""\
pages: dict, 5,000 keys: all str (in a sample of 2,000)
Texts: about 24,987,500 characters in all; shortest 0, longest 9,995; none repeats another (in a sample of 2,000); suggested batches: 500 of 10
First keys: 'page0', 'page1', 'page2', 'page3', 'page4', 'page5', 'page6', 'page7'
First value: ''\
""")


def test_file_and_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"docs/rows.csv": CSV, "docs/notes/a.md": MARKDOWN, "docs/notes/b.md": PROSE}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    assert card("rows", Path("docs/rows.csv")) == snapshot("""\
rows: file 'docs/rows.csv', 993 bytes, UTF-8 text: CSV, 3 columns: id, name, note
First line: 'id,name,note'\
""")
    assert card("docs", Path("docs")) == snapshot("""\
docs: directory 'docs', 3 files, 2,593 bytes
Extensions: .md 2, .csv 1
Files: 'notes/a.md', 'notes/b.md', 'rows.csv'\
""")


def test_tables_and_arrays() -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "name": ["a", None, "c"], "x": [0.5, 1.5, 2.5]})
    assert card("f", frame) == snapshot("""\
f: pandas DataFrame, 3 rows, 3 columns, index int64
Columns:
- id int64: 1 to 3, all distinct
- name str: all distinct, 1 null
- x float64: 0.5 to 2.5
First: [1, 'a', 0.5]
Second: [2, nan, 1.5]
Last: [3, 'c', 2.5]\
""")
    assert card("s", frame["x"]) == snapshot("""\
s: pandas Series x, 3 float64, index int64
Values: 0.5 to 2.5
First: 0.5
Second: 1.5
Last: 2.5\
""")
    assert card("p", pl.DataFrame({"id": [1, 2], "name": ["a", None]})) == snapshot("""\
p: polars DataFrame, 2 rows, 2 columns
Columns:
- id Int64: 1 to 2, all distinct
- name String: always 'a', 1 null
First: [1, 'a']
Last: [2, None]\
""")
    assert card("t", pa.table({"id": [1, 2], "name": ["a", None]})) == snapshot("""\
t: pyarrow Table, 2 rows, 2 columns
Columns:
- id int64: 1 to 2, all distinct
- name string: always 'a', 1 null
First: [1, 'a']
Last: [2, None]\
""")
    assert card("a", np.arange(12.0).reshape(3, 4)) == snapshot("""\
a: numpy array, shape (3, 4), float64, 96 bytes
Values: 0 to 11
First: 0.0
Second: 1.0
Last: 11.0\
""")
    assert card("d", {"a": np.zeros((2, 3)), "f": frame, "n": np.int64(3)}) == snapshot("""\
d: dict, 3 keys: 1 numpy.ndarray, 1 pandas.DataFrame, 1 numpy.int64
'a': numpy array, shape (2, 3), float64, 48 bytes
'f': pandas DataFrame, 3 rows, 3 columns, index int64: id int64, name str, x float64
'n': 3\
""")


def test_small_values() -> None:
    assert [card("v", value) for value in (None, True, 42, 2.5, "", "hi\nyou", [], {}, set(), b"", b"abc")] == snapshot(
        [
            """\
v: NoneType
Value: None\
""",
            """\
v: bool
Value: True\
""",
            """\
v: int
Value: 42\
""",
            """\
v: float
Value: 2.5\
""",
            """\
v: str, 0 characters, 0 lines, ASCII
Text: ''\
""",
            """\
v: str, 6 characters, 2 lines, ASCII
Text: 'hi\\nyou'\
""",
            "v: list, 0 items",
            "v: dict, 0 keys",
            "v: set, 0 items",
            "v: bytes, 0 bytes, empty",
            """\
v: bytes, 3 bytes, UTF-8 text: plain text
First: b'abc'\
""",
        ]
    )


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (APPLICATION_LOG, "log lines"),
        (LABELLED, "lines of labelled fields: Date, User, Query"),
        (HTML, "HTML; commonest tags: p, br, html, body"),
        (json.dumps([{"a": 1, "b": "x"}] * 100), "one JSON list; keys of the items: a int, b str"),
        (json.dumps({"a": 1, "b": ["x"] * 100}), "one JSON object; keys: a int, b list"),
        (
            json.dumps([{"a": 1, "b": "x"}] * 100_000),
            "one JSON list by its start and end; keys of the first item: a int, b str",
        ),
        (json.dumps({"rows": [1] * 1_000_000}), 'one JSON object by its start and end; first key "rows"'),
        ("id\tname\n" + "1\ta\n" * 200, "tab-separated table, 2 columns: id, name"),
        (pd.DataFrame({"id": range(99), "name": "x"}).to_csv(), "CSV, 3 columns: '', id, name"),
        ("1;2;x\n" * 200, "table separated by ';', 3 columns, no header line"),
        (
            "Title\n=====\n\nWords here.\n\nMore\n----\n\nWords there.\n" * 9,
            "text with underlined titles; 18 headings, such as 'Title', 'More'",
        ),
        ("".join(f"def f{i}(a, b):\n    return a\n\n\n" for i in range(50)), "program code"),
        ("int main(void) {\n  int x = 1;\n  return x;\n}\nstruct a { int b; };\n" * 20, "program code"),
        ("быстрая лиса прыгает. Через ленивую собаку! " * 30, "prose"),
        ("7f3a 9c1e 0b2d\n" * 100, "plain text"),
        ("x" * 5000, "plain text"),
        ("red, green, blue\n" * 100, "plain text"),
        ("".join(f"key{i} = value {i}\n" for i in range(100)), "plain text"),
    ],
)
def test_form(text: str, form: str) -> None:
    assert form_line(text) == f"Format: {form}"


@pytest.mark.parametrize("prose", [PROSE, "First, we left, as one does.\n" * 40, "He said: yes. Then he left.\n" * 40])
def test_prose_with_commas_and_colons_is_no_table(prose: str) -> None:
    assert form_line(prose) == "Format: prose"


def test_lines_beyond_the_sample_are_counted_exactly_up_to_a_size() -> None:
    text = "one two three\n" * 200_000
    assert "200,000 lines" in card("x", text)
    assert "in a sample of" in card("x", text)


@pytest.mark.parametrize("line", ["a line of some words\n", "быстрая лиса\n", "\U0001f600 smile\n"])
def test_lines_of_a_huge_text_are_estimated_and_said_to_be(line: str) -> None:
    text = line * (80_000_000 // len(line))
    words = card("x", text).split(" lines")[0].rpartition(", ")[2]
    assert words.startswith("about ")
    assert abs(int(words[6:].replace(",", "")) / (len(text) / len(line)) - 1) < 0.1


def test_the_last_item_of_a_long_list_is_shown() -> None:
    assert card("x", [*range(10_000)]).endswith("Last item: 9999")


def test_last_line_counts_with_and_without_its_line_feed() -> None:
    assert "3 lines" in card("x", "a\nb\nc")
    assert "3 lines" in card("x", "a\nb\nc\n")
    assert "1 line," in card("x", "a")


def test_repeated_lines_are_counted() -> None:
    assert "; 99 lines repeat another" in card("x", "the very same line\n" * 100)
    assert "; no line repeats another" in card("x", "".join(f"line {i}\n" for i in range(100)))


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x00\x01\x02", "binary"),
        ("grün".encode("latin-1"), "binary"),
        (
            "größe,n\n1,2\n3,4\n".encode("latin-1"),
            "text that is not UTF-8, read here as Latin-1: CSV, 2 columns: größe, n",
        ),
        ("a,b\n1,2\n3,4\n".encode("utf-16"), "UTF-16 text: CSV, 2 columns: a, b"),
        (b"\x80\x02\x90 \n", "binary"),
        (CSV.encode(), "UTF-8 text: CSV, 3 columns: id, name, note"),
        (("a" + "é" * 100_000).encode(), "UTF-8 text: plain text"),
        (bytearray(b""), "empty"),
    ],
)
def test_content_of_bytes(value: bytes, content: str) -> None:
    assert card("b", value).split("\n")[0].endswith(f"bytes, {content}")


def test_moments_and_nulls_of_pandas_are_shown_as_it_writes_them() -> None:
    frame = pd.DataFrame(
        {
            "t": pd.to_datetime(["2026-11-21T10:00:00.000001+01:00", None], utc=False),
            "d": pd.to_timedelta([90, None], unit="s"),
            "p": pd.PeriodIndex(["2026-11", None], freq="M"),
            "i": pd.array([pd.Interval(0.0, 1.5), None]),
            "n": pd.array([1, None], dtype="Int64"),
        }
    )
    assert card("v", frame).splitlines()[2:] == [
        "- t datetime64[us, UTC+01:00]: always 2026-11-21T10:00:00.000001+01:00, 1 null",
        "- d timedelta64[us]: always 0 days 00:01:30, 1 null",
        "- p period[M]: always 2026-11, 1 null",
        "- i interval[float64, right]: always (0.0, 1.5], 1 null",
        "- n Int64: always 1, 1 null",
        "First: [2026-11-21T10:00:00.000001+01:00, 0 days 00:01:30, 2026-11, (0.0, 1.5], 1]",
        "Last: [NaT, NaT, NaT, nan, NA]",
    ]


class Color(enum.Enum):
    RED = "r"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            np.ma.masked_array([1, 2, 999], mask=[0, 0, 1]),
            "numpy masked array, shape (3,), int64, 24 bytes\nValues: 1 to 2, all distinct, 1 null",
        ),
        (
            pd.date_range("2026-01-01", periods=3, name="day"),
            "pandas DatetimeIndex, 3 values: day datetime64[us]\nValues: 2026-01-01T00:00:00 to 2026-01-03",
        ),
        (
            pd.MultiIndex.from_product([["a"], [1, 2]]),
            "pandas MultiIndex, 2 values: object\nFirst: ('a', 1)\nLast: ('a', 2)",
        ),
        (pa.array([5, None]), "pyarrow Int64Array, 2 int64\nValues: always 5, 1 null\nFirst: 5\nLast: None"),
        (pa.chunked_array([["a"], ["b"]]), "pyarrow ChunkedArray, 2 string\nValues: all distinct"),
        (collections.deque([1, 2]), "collections.deque, 2 items: all int\nFirst item: 1\nLast item: 2"),
        (uuid.UUID(int=5), "uuid.UUID\nValue: UUID('00000000-0000-0000-0000-000000000005')"),
        (range(3), "range\nValue: range(0, 3)"),
        (datetime.timedelta(days=1, hours=2), "datetime.timedelta\nValue: 1 day 2:00:00"),
        ([Color.RED], f"list, 1 item: all {__name__}.Color\nFirst item: <{__name__}.Color.RED: 'r'>"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_single_values_and_columns_alone(value: object, shown: str) -> None:
    assert card("v", value).startswith(f"v: {shown}")


def test_columns_are_summarised() -> None:
    frame = pd.DataFrame(
        {
            "id": range(300),
            "kind": ["billing", "other", "billing"] * 100,
            "when": pd.date_range("2026-01-01", periods=300, freq="D"),
            "body": ["a long body of a ticket " * (10 + i % 30) for i in range(300)],
            "paid": [True, False, None] * 100,
            "things": [[1, 2]] * 300,
        }
    ).set_index("id")
    text = card("tickets", frame)
    assert text == snapshot("""\
tickets: pandas DataFrame, 300 rows, 5 columns, index id int64
Columns:
- kind str: 2 distinct, most often 'billing' (200)
- when datetime64[us]: 2026-01-01T00:00:00 to 2026-10-27T00:00:00, all distinct
- body str: 240 to 936 characters, 30 distinct, most often 'a long body of a ticke… (10)
- paid object: 2 distinct, most often True (100), 100 null
- things object
Texts of body: about 588 characters each; suggested batches: 4 of 85
First: ['billing', 2026-01-01T00:00:00, 'a long body of a ticket a long body of a ticket a long body of a ticket a lo…, True, [1, 2]]
Second: ['other', 2026-01-02T00:00:00, 'a long body of a ticket a long body of a ticket a long body of a ticket a lo…, False, [1, 2]]
Last: ['billing', 2026-10-27T00:00:00, 'a long body of a ticket a long body of a ticket a long body of a ticket a lo…, None, [1, 2]]\
""")
    assert len(text) <= 1000


def test_a_large_table_is_summarised_from_a_sample_that_is_stated() -> None:
    frame = pd.DataFrame({"n": np.arange(1_000_000), "x": np.arange(1_000_000) / 7, "k": np.arange(1_000_000) % 3})
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        text = card("t", table)
        assert "Columns (in a sample of 16,656 rows):" in text
        assert "- n int64: 0 to 999999, all distinct" in text.lower()
        assert "- k int64: 0 to 2, 3 distinct, most often" in text.lower()


def test_more_columns_than_fit_are_named_and_counted() -> None:
    wide = pd.DataFrame({f"column {i}": [i, 0.5][i % 2 :] * (1 + i % 2) for i in range(1000)})
    for table in (wide, pl.from_pandas(wide), pa.Table.from_pandas(wide)):
        text = card("w", table).lower()
        assert "2 rows, 1,000 columns" in text
        assert "types: 1,000 " in text or "types: 500 " in text
        assert ", … 9" in text
        assert "first (10 columns): " in text


def test_subclasses_are_described_as_their_base() -> None:
    class Frame(pd.DataFrame):
        pass

    assert card("f", Frame({"a": [1]})).startswith("f: pandas DataFrame, 1 row, 1 column, index int64\n")
    assert "numpy array, shape (1,)" in card("r", np.rec.array([(1, "a")]))


def test_sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("shop.db") as database:
        database.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, price REAL, note TEXT);"
            "CREATE TABLE people (name TEXT NOT NULL, age INTEGER);"
            "CREATE VIEW dear AS SELECT * FROM orders WHERE price > 9;"
        )
        database.executemany("INSERT INTO orders (price) VALUES (?)", [(i,) for i in range(1200)])
    database.close()
    assert card("shop", Path("shop.db")) == snapshot("""\
shop: file 'shop.db', 28,672 bytes, SQLite database
2 tables:
- orders, 1,200 rows: id INTEGER, price REAL, note TEXT
- people, 0 rows: name TEXT, age INTEGER
Also: dear (view)
Open with: sqlite3.connect(f'file:{path}?mode=ro&immutable=1', uri=True)\
""")
