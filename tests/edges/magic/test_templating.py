from __future__ import annotations

import pytest

from rlm_magic.engine.errors import InputError
from rlm_magic.templating import fill


@pytest.mark.parametrize(
    ("question", "filled"),
    [
        ("about {topic}?", "about refunds?"),
        ("more than {n}, {ratio}, {flag}", "more than 3, 0.5, True"),
        ('{"json": 1} {} {0} {n!r} {n:>3} {missing} {{n', '{"json": 1} {} {0} {n!r} {n:>3} {missing} {{n'),
        ("{items} {none}", "{items} {none}"),
        ("$n {{n}}", "$n {3}"),
    ],
)
def test_only_simple_values_of_the_notebook_are_filled_in(question: str, filled: str) -> None:
    names = {"topic": "refunds", "n": 3, "ratio": 0.5, "flag": True, "items": [1], "none": None}
    assert fill(question, names) == filled


def test_a_value_of_a_thousand_characters_fits_and_one_more_does_not() -> None:
    assert fill("{x}", {"x": "a" * 1000}) == "a" * 1000
    with pytest.raises(InputError, match="1,001 characters"):
        fill("{x}", {"x": "a" * 1001})
    with pytest.raises(InputError, match=r"\{x\} holds .* characters"):
        fill("{x}", {"x": 10**5000})
