"""How long `search` takes to index a text and then to answer, and how much memory that adds.

    python -m benchmarks.search [MEGABYTES]

Beside it the floor of anything written in Python, which is to find the words of each passage and no more, and, where it
is installed, bm25s over the same passages. Each runs in a process of its own; memory is its peak beyond the text.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rlm_magic.guest.passages import passages
from rlm_magic.guest.search import Search

MB = 1_000_000
VOCABULARY = 200_000
WORD = re.compile(r"\w+")
QUERIES = {
    "rare words": "w150000 w190001",
    "a question": "w0 w1 w3 w12 w90 w801 w4007 w60001",
    "30 words": " ".join(f"w{int(1.45**n)}" for n in range(30)),
}


def text_of(size: int) -> str:
    """Lines of words as frequent as in a language, ``size`` characters; the same every time."""
    draw = random.Random(1).random
    block = "".join(
        " ".join(f"w{int(VOCABULARY ** draw())}" for _ in range(15)) + "\n" for _ in range(min(size, 10 * MB) // 75)
    )
    return (block * (size // len(block) + 1))[:size]


def words(text: str) -> Iterator[list[str]]:
    return (WORD.findall(text[start:end].lower()) for start, end in passages(text))


def floor(text: str) -> Callable[[str], Any]:
    for _ in words(text):
        pass
    return lambda query: None


def ours(text: str) -> Callable[[str], Any]:
    find = Search(lambda: text)
    find.search("nothing")
    return find.search


def bm25s(text: str) -> Callable[[str], Any]:
    import bm25s

    known: dict[str, int] = {}
    numbers = [[known.setdefault(word, len(known)) for word in passage] for passage in words(text)]
    index = bm25s.BM25()
    index.index((numbers, known), show_progress=False)
    return lambda query: index.retrieve([query.split()], k=10, show_progress=False)


WAYS: dict[str, Callable[[str], Callable[[str], Any]]] = {"floor": floor, "search": ours, "bm25s": bm25s}


def peak() -> int:
    """Bytes of memory that this process has had at most since the last `forget_peak`."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(way: str, size: int) -> dict[str, float]:
    text = text_of(size)
    forget_peak()
    before = peak()
    built, ask = timed(lambda: WAYS[way](text))
    asked = {name: timed(lambda query=query: ask(query))[0] for name, query in QUERIES.items()}
    return {"built": built, "memory": peak() - before, **asked}


def main(megabytes: int = 100) -> None:
    print(f"{megabytes} MB of text\n\n{'':8}{'index':>10}{'memory':>12}" + "".join(f"{name:>14}" for name in QUERIES))
    for way in (name for name in WAYS if name != "bm25s" or find_spec(name)):
        command = [sys.executable, "-m", "benchmarks.search", str(megabytes), way]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        asked = "".join(f"{found[name] * 1e3:>11.1f} ms" for name in QUERIES)
        print(f"{way:8}{found['built']:>8.1f} s{found['memory'] / MB:>9.0f} MB{asked}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[1]) * MB)))
    else:
        main(*map(int, sys.argv[1:]))
