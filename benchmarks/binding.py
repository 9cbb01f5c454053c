"""How long a variable takes from the notebook into another process, and how much memory that costs.

    python benchmarks/binding.py [GIB [REPEATS [WORD]]]       WORD: only the values whose name has it

For each value: bound for the first time, bound again unchanged, and, beside it in the same run, pickled whole into a
file and unpickled (what most tools do; by cloudpickle, for the classes of a script). Seconds are the best and the
median of the repeats: they differ several times over on a virtual machine, where memory that was not used lately must
be fetched from the host. Memory is anonymous memory of both processes beyond the value itself, at its peak: what the
system cannot reclaim. The other process is already running.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cloudpickle
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from rlm_magic.binding import ValueStore, bind
from rlm_magic.guest.card import card

READER = """
import pickle, sys, time
from rlm_magic.guest.load import load
print("ready", flush=True)
for line in sys.stdin:
    how, path = line.split()
    if how == "plain":
        with open(path, "rb") as file:
            value = pickle.loads(file.read())
    else:
        value = load(path, how)
    print(type(value), flush=True)
    value = None
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of each repeat, and bytes."""

    seconds: list[float]
    memory: int

    def __str__(self) -> str:
        return f"{min(self.seconds):5.2f} {median(self.seconds):5.2f} s {self.memory / 2**30:5.2f} GiB"


class Reader:
    """The other process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self._answer()

    def read(self, how: str, path: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{how} {path}\n")
        self._process.stdin.flush()
        self._answer()

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise SystemExit("the reading process died")


def anonymous_memory(pid: int | str) -> int:
    """Bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def measured(work: Callable[[Reader], None]) -> tuple[float, int]:
    """Seconds of ``work`` with a fresh process to read in, and the peak of the memory of both."""
    reader = Reader()
    pids = ("self", reader.pid)
    start = sum(map(anonymous_memory, pids))
    peak, done = start, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, sum(map(anonymous_memory, pids)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    try:
        work(reader)
        return time.perf_counter() - began, peak - start
    finally:
        done.set()
        watcher.join()
        reader.close()


def hand_over(value: object, store: ValueStore, reader: Reader) -> None:
    variable = bind("value", value, store=store)
    file = variable.source.file()
    reader.read(file.format, file.path)


def hand_over_pickled(value: object, folder: Path, reader: Reader) -> None:
    path = folder / "plain"
    path.write_bytes(cloudpickle.dumps(value.to_arrow_table() if isinstance(value, duckdb.DuckDBPyRelation) else value))
    reader.read("plain", str(path))
    path.unlink()


def compare(value: object, folder: Path, repeats: int) -> dict[str, Cost]:
    found: dict[str, list[tuple[float, int]]] = {"first": [], "again": [], "plain pickle": []}
    for _ in range(repeats):
        store = ValueStore(folder)
        found["first"].append(measured(partial(hand_over, value, store)))
        found["again"].append(measured(partial(hand_over, value, store)))
        found["plain pickle"].append(measured(partial(hand_over_pickled, value, folder)))
        store.close()
    return {way: Cost([s for s, _ in pairs], max(m for _, m in pairs)) for way, pairs in found.items()}


def values(size: int) -> dict[str, Callable[[], object]]:
    """``size`` bytes each, but for the lists."""
    line = "The quick brown fox jumps over the lazy dog, and then over the next one.\n"
    cyrillic = "Быстрая лиса прыгает через ленивую собаку.\n"
    return {
        "ASCII text": lambda: line * (size // len(line)),
        "Cyrillic text": lambda: cyrillic * (size // len(cyrillic.encode())),
        "list of 1,000,000 texts": lambda: [f"{i} {line}" for i in range(1_000_000)],
        "array of float64": lambda: np.ones(size // 8),
        "pandas, 4 columns": lambda: pd.DataFrame(_columns(size)),
        "polars, 4 columns": lambda: pl.DataFrame(_columns(size)),
        "pyarrow, 4 columns": lambda: pa.table(_columns(size)),
        "DuckDB, 4 columns": lambda: duckdb.from_arrow(pa.table(_columns(size))),
        "dict of 10 pandas": lambda: {f"frame {i}": pd.DataFrame(_columns(size // 10)) for i in range(10)},
        "100,000 dataclasses": lambda: [Ticket(i, line) for i in range(100_000)],
    }


@dataclass
class Ticket:
    id: int
    text: str


def _columns(size: int) -> dict[str, Any]:
    """Three of numbers and one of texts of 40 bytes; ``size`` bytes in all."""
    rows = size // 64
    numbers = np.arange(rows)
    texts = pa.array([f"{i:>7} a text of forty characters in all" for i in range(1000)])
    return {"id": numbers, "x": numbers / 7, "flag": numbers * 3, "text": texts.take(pa.array(numbers % 1000))}


def main(gib: float = 1, repeats: float = 5, only: str = "") -> None:
    print(
        f"{gib:g} GiB each: best and median seconds of {repeats:g}, and the peak of anonymous memory beyond the value\n"
    )
    print(f"{'':24}   card{'first':>23}{'again':>23}{'plain pickle':>23}   median of pickle / first")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        chosen = {name: make for name, make in values(int(gib * 2**30)).items() if only in name}
        for name, make in chosen.items():
            value = make()
            began = time.perf_counter()
            card("value", value)
            described = time.perf_counter() - began
            costs = compare(value, Path(folder), int(repeats))
            ratio = median(costs["plain pickle"].seconds) / median(costs["first"].seconds)
            shown = "".join(f"{cost!s:>23}" for cost in costs.values())
            print(f"{name:24}{described * 1e3:4.0f} ms{shown}{ratio:7.1f}", flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:3]), *sys.argv[3:])
