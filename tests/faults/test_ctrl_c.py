"""Ctrl-C at random moments of a run with sub-calls and a sub-RLM: the prompt is back soon, and nothing is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest

from rlm_magic.engine.tree import Tree
from rlm_magic.trace import read_events
from tests.server import OpenAIServer, Reply, Request

from . import program

DELAY = 0.05  # seconds of each reply, so that there is a moment in every part of the run
SOON = 10.0  # on a busy machine; the worst of a hundred is printed


def slowly(request: Request) -> Reply:
    return replace(program.script(request), delay=DELAY)


@dataclass
class Session:
    """See `tests.faults.session`."""

    process: subprocess.Popen[str]
    input: IO[str]
    output: IO[str]

    def start(self) -> None:
        self.input.write("\n")
        self.input.flush()
        self.until("started")

    def until(self, word: str) -> str:
        for line in self.output:
            if line.startswith(word):
                return line
        raise AssertionError(f"the session ended before it said {word!r}: {self.process.poll()}")

    def interrupt(self) -> float:
        """Seconds until the prompt is back; 0 if it was before."""
        pressed = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.until("back")
        return time.monotonic() - pressed


@contextmanager
def session(url: str, runs: Path) -> Iterator[Session]:
    command = [sys.executable, "-m", "tests.faults.session", url, str(runs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Session(process, process.stdin, process.stdout)
        finally:
            process.kill()


def press(count: int, runs: Path) -> list[float]:
    """Press Ctrl-C in so many runs, each at a random moment of its life; the seconds until the prompt was back."""
    moments = random.Random(31)
    back: list[float] = []
    with OpenAIServer(slowly) as server, session(server.url, runs) as ipython:
        ipython.start()
        ipython.until("back")  # the first run imports litellm
        assert json.loads(ipython.until("{")) == {"processes": 0, "runs": 0}
        ipython.start()
        begun = time.monotonic()
        ipython.until("back")
        whole = time.monotonic() - begun
        ipython.until("{")
        for _ in range(count):
            ipython.start()
            time.sleep(moments.uniform(0, 0.95 * whole))
            back.append(ipython.interrupt())
            sent = len(server.requests)
            assert json.loads(ipython.until("{")) == {"processes": 0, "runs": 0}
            assert len(server.requests) == sent
    print(f"{count} times, worst {max(back):.2f} s, median {sorted(back)[count // 2]:.2f} s; a whole run {whole:.2f} s")
    return back


def check_records(runs: Path) -> None:
    for path in runs.glob("*.rlm.jsonl"):
        reading = read_events(path)
        tree = Tree(reading.events)
        assert reading.notice in ("", "the record is empty: the run ended before its first event was written")
        assert all(node.closed is not None for node in tree.nodes.values())


@pytest.mark.timeout(180)
def test_ctrl_c_at_eight_moments(tmp_path: Path) -> None:
    assert max(press(8, tmp_path)) < SOON
    check_records(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    "RLM_FUZZ" not in os.environ, reason="a hundred interrupts want a quiet machine: make fuzz has them"
)
@pytest.mark.timeout(1200)
def test_ctrl_c_at_a_hundred_moments(tmp_path: Path) -> None:
    assert max(press(100, tmp_path)) < SOON
    check_records(tmp_path)
