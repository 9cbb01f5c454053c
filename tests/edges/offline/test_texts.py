"""Facts of a text: found, listed, corrected, over two hops, counted, absent."""

from __future__ import annotations

import pytest

from .generators import Needles, needles
from .helpers import ask

SEEDS = [1, 2, 3]


@pytest.fixture(params=SEEDS)
def hay(request: pytest.FixtureRequest) -> Needles:
    return needles(request.param)


def test_one_among_look_alikes(hay: Needles) -> None:
    assert ask("What is the access code of the Juniper depot?", hay.text).text == hay.codes["Juniper"]


def test_a_list_without_its_counterpart(hay: Needles) -> None:
    question = "Which parcel numbers were delivered to the Tamarack annex? (not those returned from it)"
    assert sorted(ask(question, hay.text).text.splitlines()) == sorted(hay.delivered)


def test_a_later_correction(hay: Needles) -> None:
    assert ask("What is the current access code of the Rowan depot?", hay.text).text == hay.corrected


def test_two_hops(hay: Needles) -> None:
    question = "In which locker is the spare key of the station to which agent Farrow is posted?"
    assert ask(question, hay.text).text == hay.lockers[hay.posts["Farrow"]]


def test_a_count(hay: Needles) -> None:
    assert ask("How many times was ALERT level red raised?", hay.text).text == str(hay.red)


def test_backwards(hay: Needles) -> None:
    assert ask(f"Which depot has the access code {hay.codes['Elm']}?", hay.text).text == "Elm"
    assert ask("What is the access code?", hay.text).abstained


def test_who(hay: Needles) -> None:
    assert ask("Who rang the last bell of the season?", hay.text).text == "Ottoline Pragg"


def test_absent(hay: Needles) -> None:
    asked = "What is the access code of the Sycamore depot?"
    assert ask(f"{asked} If the text does not say, answer NOT FOUND.", hay.text).text == "NOT FOUND"
    assert ask(asked, hay.text).text == "Not found: the text does not mention Sycamore."
    assert ask("Which depot has the access code 1-X1?", hay.text).text == "Not found: the text does not mention 1-X1."


def test_lines_with_a_phrase(hay: Needles) -> None:
    assert ask("How many lines contain 'ALERT level amber'?", hay.text).text == "7"


def test_a_fact_over_a_line_end() -> None:
    filler = "The clerk copied the maps near the harbour and went home.\n" * 30
    text = f"{filler}The access code of the\nJuniper depot is 1234-A56.\n{filler}"
    assert ask("What is the access code of the Juniper depot?", text).text == "1234-A56"


@pytest.mark.parametrize(
    "said",
    [
        "The access code of the Oak depot is not 1111-A11.",
        "The access code of the Oak depot is 1111-A11.\nThe access code of the Oak depot is 2222-B22.",
        "The access code of the Oak depot is probably 1111-A11.",
        "The access code of the Oak depot is the one of the Elm depot or of the Ash depot.",
    ],
)
def test_what_the_text_does_not_settle_is_not_answered(said: str) -> None:
    text = "\n".join(["The clerk copied the maps."] * 20 + [said] + ["The tailor weighed the lanterns."] * 20)
    assert ask("What is the access code of the Oak depot?", text).abstained


@pytest.mark.parametrize(
    "question",
    [
        "Who is the mayor?",
        "When was the last bell of the season rung?",
        "Is agent Quint posted to station Osprey?",
        "Which depot has an access code?",
        "Who did not ring the last bell of the season?",
        "What is the meaning of the story?",
        "Why did the clerk copy the maps?",
        "Write a poem.",
    ],
)
def test_other_questions(question: str) -> None:
    assert ask(question, needles(1).text).abstained
