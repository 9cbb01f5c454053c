"""Small texts with known answers; a seed names one text."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

DEPOTS = ["Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Maple", "Oak", "Rowan", "Spruce", "Willow"]
STATIONS = ["Kestrel", "Merlin", "Osprey", "Plover"]
AGENTS = ["Marlow", "Quint", "Farrow", "Bexley"]
FILLER = ["The clerk copied the maps.", "A ferryman mended the ropes at low tide.", "The tailor weighed the lanterns."]
CATEGORIES = {
    "parcel delivery": [
        "When will my parcel arrive?",
        "My parcel was not delivered yet.",
        "How long does delivery take?",
    ],
    "password reset": ["I forgot my password.", "How do I reset my password?", "My password does not work any more."],
    "refund": ["I want a refund.", "When do I get the refund for my order?", "Please refund me the money."],
}


@dataclass(frozen=True)
class Needles:
    text: str
    codes: dict[str, str]
    corrected: str
    delivered: list[str]
    returned: list[str]
    lockers: dict[str, str]
    posts: dict[str, str]
    red: int


def needles(seed: int, lines: int = 300) -> Needles:
    r = random.Random(seed)
    codes = {d: f"{r.randrange(1000, 9999)}-{r.choice('ABCDEF')}{r.randrange(10, 99)}" for d in DEPOTS}
    lockers = {s: str(r.randrange(100, 999)) for s in STATIONS}
    posts = {a: r.choice(STATIONS) for a in AGENTS}
    numbers = [str(n) for n in r.sample(range(1000, 9999), 9)]
    red = r.randrange(5, 15)
    told = [
        *(f"The access code of the {d} depot is {c}." for d, c in codes.items()),
        *(f"Parcel number {n} was delivered to the Tamarack annex." for n in numbers[:5]),
        *(f"Parcel number {n} was returned from the Tamarack annex." for n in numbers[5:]),
        *(f"Agent {a} is posted to station {s}." for a, s in posts.items()),
        *(f"Station {s} keeps its spare key in locker {n}." for s, n in lockers.items()),
        *(f"ALERT level red was raised by watchman {r.randrange(50)}." for _ in range(red)),
        *(f"ALERT level amber was raised by watchman {r.randrange(50)}." for _ in range(7)),
        "The last bell of the season was rung by Ottoline Pragg.",
        *(r.choice(FILLER) for _ in range(lines)),
    ]
    r.shuffle(told)
    new = "4711-Z99"
    told.append(f"Correction: the access code of the Rowan depot was changed and is now {new}.")
    return Needles("\n".join(told), codes, new, numbers[:5], numbers[5:], lockers, posts, red)


@dataclass(frozen=True)
class Tickets:
    text: str
    labels: list[str]
    users: list[str]


def tickets(seed: int, shares: dict[str, int]) -> Tickets:
    """Lines without their category; ``shares`` says how many lines each category has."""
    r = random.Random(seed)
    labels = [c for c, n in shares.items() for _ in range(n)]
    r.shuffle(labels)
    users = [str(r.randrange(100, 110)) for _ in labels]
    lines = [
        f"Date: 2025-{1 + i % 12:02d}-01 || User: {u} || Query: {r.choice(CATEGORIES[c])}"
        for i, (c, u) in enumerate(zip(labels, users, strict=True))
    ]
    return Tickets("\n".join(lines), labels, users)


def access_log(seed: int, lines: int = 400) -> tuple[str, list[dict[str, str]]]:
    """A log in Combined Log Format and its fields."""
    r = random.Random(seed)
    rows = [
        {
            "client": f"10.0.0.{r.randrange(1, 20)}",
            "day": r.choice(["17", "18", "19"]),
            "path": r.choice(["/", "/a", "/b/c.html", "/d%20e", "/f.txt"]),
            "status": r.choice(["200", "200", "200", "301", "404", "500", "503"]),
            "bytes": r.choice(["-", "0", "17", "20480"]),
        }
        for _ in range(lines)
    ]
    line = '{client} - - [{day}/May/2015:10:00:00 +0000] "GET {path} HTTP/1.1" {status} {bytes} "-" "curl/7"'
    return "\n".join(line.format(**row) for row in rows), rows


def most_common(values: list[str]) -> tuple[str, int]:
    """The most common value; a tie is an error of the test."""
    (first, n), (_, second) = Counter(values).most_common(2)
    assert n > second
    return first, n
