"""Questions about access logs: the real one, altered copies of it, and logs with drawn contents."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from .generators import access_log
from .helpers import DATA, ask

LOG = (DATA / "apache_access.log").read_text(encoding="utf-8")

# Computed from the log (Elastic N.V., Apache License 2.0, elastic/examples) by an independent program.
REAL = {
    "How many requests in this access log were answered with HTTP status 404?": "213",
    "Which client address sent the most requests, and how many? Answer 'ADDRESS COUNT'.": "66.249.73.135 482",
    "How many different client addresses appear in this log?": "1753",
    "How many bytes in total were sent in responses on 18 May 2015 (a '-' counts as zero)?": "788636158",
    "Which request paths were answered with a 5xx status? List each path once.": (
        "/misc/Title.php.txt\n/projects/xdotool/"
    ),
    "Which request path got status 404 most often, and how many times? Answer 'PATH COUNT'.": (
        "/files/logstash/logstash-1.3.2-monolithic.jar 61"
    ),
}


@pytest.mark.parametrize("question", REAL)
def test_the_real_log(question: str) -> None:
    outcome = ask(question, LOG)
    assert outcome.answer.outcome == "answered"
    assert outcome.text == REAL[question]


def fields(line: str) -> tuple[str, str, str, int]:
    """Client, path, status, bytes, without a regular expression over the line."""
    client, rest = line.split(" ", 1)
    request, after = rest.split('"', 2)[1:]
    status, size = after.split()[:2]
    return client, request.split()[1], status, int(size) if size.isdigit() else 0


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_follow_the_data(seed: int) -> None:
    r = random.Random(seed)
    lines = [line for line in LOG.splitlines() if r.random() < 0.3]
    lines = [line.replace('" 200 ', '" 404 ') if r.random() < 0.1 else line for line in lines]
    text = "\n".join(lines)
    rows = [fields(line) for line in lines]
    assert ask("How many requests were answered with status 404?", text).text == str(sum(x[2] == "404" for x in rows))
    assert ask("How many different client addresses are there?", text).text == str(len({x[0] for x in rows}))
    assert ask("How many bytes were sent in total?", text).text == str(sum(x[3] for x in rows))
    best = Counter(x[1] for x in rows).most_common(1)[0]
    assert ask("Which path was requested most often, and how many times?", text).text == f"{best[0]} {best[1]}"


TEXT, ROWS = access_log(5)


def counted(**wanted: str) -> str:
    return str(sum(all(row[k] == v for k, v in wanted.items()) for row in ROWS))


@pytest.mark.parametrize(
    ("question", "gold"),
    [
        ("How many 404 responses are there?", counted(status="404")),
        ("How many requests were answered with status 404 or 500?",
         str(sum(row["status"] in ("404", "500") for row in ROWS))),
        ("How many requests were not answered with status 200?", str(sum(row["status"] != "200" for row in ROWS))),
        ("How many requests got a 5xx status?", str(sum(row["status"][0] == "5" for row in ROWS))),
        ("How many requests to /b/c.html were made on 2015-05-18?", counted(path="/b/c.html", day="18")),
        ("How many requests did 10.0.0.7 make before 19 May 2015?",
         str(sum(row["client"] == "10.0.0.7" and row["day"] < "19" for row in ROWS))),
        ("How many GET requests were made?", str(len(ROWS))),
        ("How many POST requests were made?", "0"),
        ("How many requests are there per day?",
         "\n".join(f"2015-05-{d} {n}" for d, n in Counter(r["day"] for r in ROWS).most_common())),
        ("How many clients sent more than 20 requests?",
         str(sum(n > 20 for n in Counter(row["client"] for row in ROWS).values()))),
        ("What is the average number of bytes per response?",
         f"{sum(int(r['bytes']) for r in ROWS if r['bytes'] != '-') / len(ROWS):.12g}"),
        ("Which paths start with '/b'?", "/b/c.html"),
    ],
)  # fmt: skip
def test_wordings(question: str, gold: str) -> None:
    assert ask(question, TEXT).text == gold


def test_top_k_shows_counts_and_ties() -> None:
    line = '{} - - [17/May/2015:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"'
    text = "\n".join(line.format(c) for c in ["10.0.0.1"] * 3 + ["10.0.0.2"] * 2 + ["10.0.0.3"] * 2 + ["10.0.0.4"])
    top = ask("What are the top 2 client addresses?", text).text
    assert top == "10.0.0.1 3\n10.0.0.2 2\n10.0.0.3 2"


@pytest.mark.parametrize(
    "question",
    [
        "How many requests came at night?",
        "How many requests came from Googlebot?",
        "What percentage of requests failed?",
        "How many requests were answered with 404 and 500?",
        "How many requests were there, and how many bytes were sent?",
        "How many requests were there? How many client addresses?",
        "Which client address sent the most requests, and how many bytes?",
        "How many requests were made with the user agent 'Googlebot'?",
        "Which client address was the first?",
        "Is there anything suspicious in this log?",
        "How many requests had errors on weekends?",
        "How many paths were requested?",
        "What is the capital of France?",
    ],
)
def test_what_is_not_wholly_understood_is_not_answered(question: str) -> None:
    outcome = ask(question, TEXT)
    assert outcome.answer.outcome == "answered"
    assert outcome.abstained


def test_an_abstention_names_the_reason_and_shows_the_closest_lines() -> None:
    outcome = ask("How many requests came from Mordor?", f'{TEXT}\n10.9.9.9 - - [17/May/2015:10:00:00 +0000] "GET '
                  '/mordor HTTP/1.1" 200 5 "-" "-"')  # fmt: skip
    assert "'Mordor'" in outcome.text
    assert "GET /mordor" in outcome.text


def test_lines_that_cannot_be_read() -> None:
    broken = f"{TEXT}\nnot a line of a log\n"
    assert ask("How many requests got status 404?", broken).last_line == counted(status="404")
    assert "1 lines could not be read" in ask("How many requests got status 404?", broken).text
    hopeless = "\n".join(x if i % 20 else "garbage" for i, x in enumerate(TEXT.splitlines()))
    assert ask("How many requests got status 404?", hopeless).abstained


def test_a_line_cut_short_still_counts() -> None:
    cut = f'{TEXT}\n10.0.0.1 - - [18/May/2015:10:00:00 +0000] "GET / HTTP/1.1" 404 12 "-" "Mozilla/5.0 (compat'
    assert ask("How many requests got status 404?", cut).text == str(int(counted(status="404")) + 1)


def test_the_code_is_real_and_looks_first() -> None:
    outcome = ask("How many requests got status 404?", TEXT)
    first, second, last = outcome.code()
    assert re.search(r"\bcontext\b", first)
    assert "r['status'] == '404'" in second
    assert 'answer["ready"] = True' in last
