"""Questions about CSV, JSON lines, headed documents, lists of dicts."""

from __future__ import annotations

import json

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from .helpers import ask

ROWS = [
    {"Name": "Ann Lee", "Group": "Media", "Score": "3.5", "Signed": "2020-01-05"},
    {"Name": "Bob Ray", "Group": "media", "Score": "7", "Signed": "2021-03-09"},
    {"Name": "Cid Fox", "Group": "Acting", "Score": "1", "Signed": "2021-07-01"},
    {"Name": "Dee Poe", "Group": "Acting", "Score": "9.25", "Signed": "2022-02-02"},
    {"Name": "Eve Roy", "Group": "Acting", "Score": "NA", "Signed": "2022-12-30"},
]
CSV = "Name,Group,Score,Signed\n" + "".join(",".join(row.values()) + "\n" for row in ROWS)
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
ASKED = {
    "How many rows belong to the group Media? Treat different spellings by case as one group.": "2",
    "Which Group is the most frequent, and how many times? Answer 'NAME COUNT'.": "Acting 3",
    "How many different groups (Group) are there?": "3",
    "How many rows have a Signed date before 2022-01-01?": "3",
    "How many rows are there?": "5",
}


@pytest.mark.parametrize("question", [q for q in ASKED if "different groups" not in q])
@pytest.mark.parametrize(
    "value",
    [CSV, CSV.replace(",", ";"), JSONL, ROWS, CSV.splitlines(), pd.DataFrame(ROWS).to_csv(),
     pd.DataFrame(ROWS), pl.DataFrame(ROWS), pa.Table.from_pylist(ROWS)],
    ids=["csv", "semicolons", "json lines", "list of dicts", "list of lines", "csv of pandas",
         "pandas", "polars", "pyarrow"],
)  # fmt: skip
def test_formats(value: object, question: str) -> None:
    assert ask(question, value).last_line == ASKED[question]


def test_a_table_that_is_not_utf_8_is_one_all_the_same() -> None:
    table = "größe,n\nklein,1\nmittel,2\ngroß,3\n".encode("latin-1")
    assert ask("How many rows are there?", table).last_line == "3"


def test_spellings_taken_as_one_are_told() -> None:
    assert "'Media' (1), 'media' (1)" in ask("How many rows belong to the group Media?", CSV).text


AUTHORS = [
    (1, "Ann Lee", "Final"),
    (2, "Bob Ray,\n  Ann Lee <a@b.c>", "Draft"),
    (3, "Cid Fox", "Final"),
    (4, "Cid Fox", "Draft"),
    (5, "Ann Lee", "Draft"),
]


def test_headed_documents() -> None:
    documents = [
        {"id": f"doc-{n}", "text": f"Doc: {n}\nTitle: T{n}\nAuthor: {who}\nStatus: {status}\n\nBody, Status: Final.\n"}
        for n, who, status in AUTHORS
    ]
    text = "".join(json.dumps(d) + "\n" for d in documents)
    assert ask("How many of these docs have the status Final?", text).text == "2"
    assert ask("List the numbers of the docs here that are Final.", text).text == "1\n3"
    who = "Who is author or co-author of the largest number of these docs, and of how many? Answer 'NAME COUNT'."
    assert ask(who, text).text == "Ann Lee 3"


@pytest.mark.parametrize(
    "question",
    [
        "How many rows belong to the group Politics?",
        "Who was the oldest?",
        "Which names are female?",
        "What is the average Group?",
        "How many rows have the group Media and Acting?",
    ],
)
def test_what_the_columns_do_not_say_is_not_answered(question: str) -> None:
    assert ask(question, CSV).abstained


@pytest.mark.parametrize(
    "value",
    [{"a": "x", "b": "y"}, 17, "", None, b"PAR1\0\n1\n"],
    ids=["dict", "int", "empty", "None", "binary"],
)
def test_a_context_that_it_cannot_read(value: object) -> None:
    assert ask("How many lines are there?", value).abstained


def test_no_context() -> None:
    assert ask("How many lines are there?").abstained
