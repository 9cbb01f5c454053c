"""Ctrl-C at random moments of a run with sub-calls and a sub-RLM: the prompt is back, and nothing is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest
from aiohttp import web
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic.engine.tree import Tree
from rlm_magic.magic import RunEnded
from rlm_magic.run import live
from rlm_magic.trace import FileJournal, read_events
from tests.edges.conftest import shell  # noqa: F401
from tests.server import OpenAIServer, Reply, Request

from . import program

DELAY = 0.05  # seconds of each reply, so that there is a moment in every part of the run
NOTHING = {"processes": 0, "runs": 0}


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
        raise AssertionError(f"the session ended before it said {word!r}: {self.process.wait()}")

    def back(self) -> str:
        """Wait for the prompt; what the cell ended with."""
        return self.until("back").split()[1]

    def left(self) -> dict[str, int]:
        """What is left of the run."""
        return json.loads(self.until("{"))

    def whole(self) -> float:
        """Let a run come to its end; the seconds that it took."""
        self.start()
        begun = time.monotonic()
        assert self.back() == "NoneType"
        assert self.left() == NOTHING
        return time.monotonic() - begun

    def interrupted(self, after: float, server: OpenAIServer) -> tuple[str, float]:
        """Start a run and press Ctrl-C: what the cell ended with, and the seconds until the prompt was back."""
        self.start()
        time.sleep(after)
        pressed = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        ended = self.back()
        seconds = time.monotonic() - pressed
        sent = heard(server)
        assert self.left() == NOTHING
        assert heard(server) == sent
        return ended, seconds


def heard(server: OpenAIServer) -> int:
    """How many completions were asked for so far: whatever was sent before is heard before two other requests are."""
    for _ in range(2):
        with urllib.request.urlopen(f"{server.url}/models") as reply:
            reply.read()
    return len(server.requests)


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


def press(count: int, runs: Path) -> Counter[str]:
    """Press Ctrl-C in so many runs, each at a random moment of its life; what their cells ended with."""
    moments = random.Random(31)
    with OpenAIServer(slowly) as server, session(server.url, runs) as ipython:
        ipython.whole()  # imports litellm
        whole = ipython.whole()
        pressed = [ipython.interrupted(moments.uniform(0, 0.95 * whole), server) for _ in range(count)]
    back = sorted(seconds for _, seconds in pressed)
    print(f"{count} times, worst {back[-1]:.2f} s, median {back[count // 2]:.2f} s; a whole run {whole:.2f} s")
    return Counter(ended for ended, _ in pressed)


def check_records(runs: Path) -> None:
    """Every record is whole, up to its last node."""
    for path in runs.glob("*.rlm.jsonl"):
        reading = read_events(path)
        tree = Tree(reading.events)
        assert reading.notice in ("", "the record is empty: the run ended before its first event was written")
        assert all(node.closed is not None for node in tree.nodes.values())


class Interrupting(OpenAIServer):
    """Ctrl-C is pressed when it is first asked what it serves, which is before a run begins."""

    pressed = False

    async def _list_models(self, _: web.Request) -> web.Response:
        if not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return await super()._list_models(_)


def test_ctrl_c_before_the_run_has_begun_is_one_line(shell: InteractiveShell) -> None:  # noqa: F811
    with Interrupting(program.script) as server:
        ended = shell.run_cell(f"%%rlm -m openai/root --api-base {server.url}\ngo").error_in_exec
        assert isinstance(ended, RunEnded)
        assert ended._render_traceback_() == ["RunEnded: stopped by the user; %rlm runs lists what was begun"]
        assert (heard(server), live) == (0, {})


def test_a_stop_while_the_record_is_being_closed_comes_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = FileJournal.close

    async def stopped(journal: FileJournal) -> None:
        run.stop()
        await close(journal)

    monkeypatch.setattr(FileJournal, "close", stopped)
    with OpenAIServer(program.script) as server:
        run = program.start(server.url, str(tmp_path))
        assert str(run.wait()) == program.ANSWER
    check_records(tmp_path)


@pytest.mark.timeout(300)
def test_ctrl_c_at_eight_moments(tmp_path: Path) -> None:
    ended = press(8, tmp_path)
    assert ended.keys() <= {"RunEnded", "KeyboardInterrupt", "NoneType"}
    assert ended["RunEnded"]
    check_records(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ctrl_c_at_a_hundred_moments(tmp_path: Path) -> None:
    ended = press(100, tmp_path)
    assert ended.keys() <= {"RunEnded", "KeyboardInterrupt", "NoneType"}
    assert ended["RunEnded"] > 20
    check_records(tmp_path)
