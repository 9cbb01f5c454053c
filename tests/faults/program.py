"""A run with sub-calls, a batch and a sub-RLM, which can kill its process at any numbered step.

A step is a write of the record, and the sending and the arrival of a model's reply.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from rlm_magic.engine.types import Completion, Limits, Message, Price, Usage
from rlm_magic.result import Result
from rlm_magic.resuming import Recording
from rlm_magic.run import Run
from rlm_magic.settings import Settings
from rlm_magic.trace import Runs
from tests.server import Reply, Request

DOCS = "one two three"
ANSWER = "DEEP ONE TWO THREE|A|B|C|Z"
REQUESTS = 8

ROOT = """\
parts = [rlm_query('child', context=context)]
parts += llm_query_batched(['a', 'b', 'c'])
parts += [llm_query('z')]
print(parts)"""
CHILD = "FINAL(llm_query('deep ' + context))"
SUBMIT = "FINAL('|'.join(parts))"


def script(request: Request) -> Reply:
    """Replies that depend on the request alone."""
    messages = request["messages"]
    if messages[0]["content"].startswith("You are an assistant"):
        return Reply(request.prompt.upper())
    first = CHILD if "Question:\nchild" in messages[1]["content"] else ROOT
    return Reply(f"```repl\n{first if len(messages) == 2 else SUBMIT}\n```")


def nothing() -> None:
    pass


class HttpModel:
    """A `Model` over a server of the OpenAI protocol: ``step`` is called around each request, which names ``user``."""

    name = "served"
    window = 128_000
    price = Price(1e-6, 1e-6)
    notes = ""

    def __init__(self, url: str, step: Callable[[], None] = nothing, user: str = "") -> None:
        self._url = url
        self._step = step
        self._user = user

    async def complete(self, messages: Sequence[Message], *, max_tokens: int) -> Completion:
        asked = [{"role": m.role, "content": m.content} for m in messages]
        body = {"model": self.name, "messages": asked, "max_tokens": max_tokens, "user": self._user}
        self._step()
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._url}/chat/completions", json=body) as reply,
        ):
            told: dict[str, Any] = await reply.json()
        self._step()
        usage = Usage(told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"], cost=0.001)
        return Completion(told["choices"][0]["message"]["content"], usage, self.name)


def started_by(runs: str) -> str:
    """The user that the requests of `start` name."""
    return f"started in {runs}"


def resumed_by(runs: str) -> str:
    """The user that the requests of `resume` name."""
    return f"resumed in {runs}"


def start(url: str, runs: str, *, step: Callable[[], None] = nothing, calls: int = 100) -> Run:
    return Run("go", {"docs": DOCS}, settings(HttpModel(url, step, started_by(runs)), runs, calls))


def resume(url: str, runs: str, *, calls: int = 100) -> Result:
    recording = Recording.load(Runs(runs), "last")
    model = HttpModel(url, user=resumed_by(runs))
    return Run(recording.query, {"docs": DOCS}, settings(model, runs, calls), resumed=recording).wait()


def settings(model: HttpModel, runs: str, calls: int) -> Settings:
    return Settings(model=model, limits=Limits(depth=2, calls=calls), sandbox="none", runs_dir=runs)


def kill_at(last: int) -> Callable[[], None]:
    """Count steps; the process ends at number ``last``."""
    steps = itertools.count(1)

    def step() -> None:
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def count_writes(step: Callable[[], None]) -> None:
    """Call ``step`` in the middle of each write of a record."""
    write = os.write

    def torn(fd: int, data: Any) -> int:
        if threading.current_thread().name != "rlm-journal":
            return write(fd, data)
        half = write(fd, data[: len(data) // 2])
        step()
        return half + write(fd, data[len(data) // 2 :])

    os.write = torn


def until_killed(url: str, runs: str, last: int) -> None:
    """Run in a process of its own, which kills itself at step ``last``, half of a write done."""
    step = kill_at(last)
    count_writes(step)
    assert str(start(url, runs, step=step).wait()) == ANSWER
