"""Questions about categories that the data does not state: sub-calls to the reader, counted in Python."""

from __future__ import annotations

from collections import Counter

import pytest

from rlm_magic.models.offline.labels import items
from rlm_magic.testing import ScriptedModel

from .generators import CATEGORIES, Tickets, most_common, tickets
from .helpers import ask

LEGEND = (
    "Every line is one support query (date || user || query). Each query belongs to exactly one of these categories, "
    f"which must be inferred from its meaning: {', '.join(CATEGORIES)}. "
)
SHARES = {"parcel delivery": 60, "password reset": 25, "refund": 15}


@pytest.fixture(params=[1, 2])
def set_(request: pytest.FixtureRequest) -> Tickets:
    return tickets(request.param, SHARES)


def test_a_count_says_that_it_is_an_estimate(set_: Tickets) -> None:
    outcome = ask(f"{LEGEND}How many queries belong to the category 'refund'?", set_.text)
    assert outcome.text.startswith("Estimate:")
    assert abs(int(outcome.last_line) - SHARES["refund"]) <= 3
    assert len(outcome.nodes("llm")) >= 1


def test_most_and_least(set_: Tickets) -> None:
    assert ask(f"{LEGEND}Which category is the most frequent?", set_.text).last_line == "parcel delivery"
    asked = f"{LEGEND}Are there more, fewer or equally many 'refund' queries compared with 'parcel delivery' queries?"
    assert ask(asked, set_.text).last_line == "fewer"


def test_pairs(set_: Tickets) -> None:
    by = Counter(zip(set_.users, set_.labels, strict=True))
    good = sorted(u for u in set(set_.users) if by[u, "parcel delivery"] >= 5)
    asked = (
        "List all pairs of user ids (lower id first) where both users wrote at least five 'parcel delivery' queries."
    )
    found = ask(LEGEND + asked, set_.text).text.splitlines()[1:]
    gold = [f"({a}, {b})" for i, a in enumerate(good) for b in good[i + 1 :]]
    assert len(set(found) & set(gold)) >= 0.7 * max(len(gold), len(found))


def test_too_close_to_call_is_not_answered() -> None:
    even = tickets(3, dict.fromkeys(CATEGORIES, 30))
    assert ask(f"{LEGEND}Which category is the most frequent?", even.text).abstained


def test_a_question_without_categories_needs_no_sub_call(set_: Tickets) -> None:
    outcome = ask("Which user wrote the most queries, and how many?", set_.text)
    assert outcome.text.startswith(" ".join(map(str, most_common(set_.users))) if _clear(set_) else "")
    assert not outcome.nodes("llm")


def _clear(set_: Tickets) -> bool:
    first, second = Counter(set_.users).most_common(2)
    return first[1] > second[1]


def test_ids_that_do_not_come_back_are_asked_for_once_more_and_then_given_up(set_: Tickets) -> None:
    forgetful = ScriptedModel(lambda messages: "0: refund\n99999: refund\nnonsense")
    outcome = ask(f"{LEGEND}How many queries belong to the category 'refund'?", set_.text, sub_model=forgetful)
    assert outcome.abstained
    assert "99 records did not get a category" in outcome.text
    assert len(forgetful.requests) == 2


def test_lists_in_a_sentence() -> None:
    assert items("a b, lost, stolen or gone, refund") == ["a b", "lost, stolen or gone", "refund"]
    assert items("card delivery, PIN or passcode, refund") == ["card delivery", "PIN or passcode", "refund"]
    assert items("spam, order, or other") == ["spam", "order", "other"]
    assert items("spam; ham, eggs; other") == ["spam", "ham, eggs", "other"]
    assert items("'a, b', 'c'") == ["a, b", "c"]
    assert items("spam, order or other") == ["spam", "order", "other"]
