"""What the way from a root model's reply to its next request costs, sub-calls and sub-RLMs included: make bench

The models are a server on this machine, in a process of its own, that answers by script after a stated wait. The clock
is read by the model's code, so every figure holds all that a user waits for: engine, litellm, HTTP, channel, subkernel.
Beside it stands the floor: the parts that cannot be done without, alone, in the same run.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from benchmarks.floors import http_batch, kernel_cell, kernels, litellm_call, round_trip
from rlm_magic import RLM, Limits
from tests.server import OpenAIServer, Reply, Request, Script, route

TURNS, CALLS, BATCH, CHILDREN = 50, 500, 1000, 20
CHILD_DELAY = 0.05
LIMITS = Limits(turns=TURNS + 2, depth=2, calls=10_000, concurrency=BATCH)
START = "import time; start = time.monotonic()"
LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.monotonic()
shell.run_line_magic("load_ext", "rlm_magic")
print(time.monotonic() - start)
"""


def turn_of(request: Request) -> int:
    return sum(message["role"] == "assistant" for message in request["messages"])


def code(*lines: str) -> str:
    return "```repl\n" + "\n".join(lines) + "\n```"


def many_turns(request: Request) -> str:
    turn = turn_of(request)
    if turn == 0:
        return code(START)
    return code(f"FINAL((time.monotonic() - start) / {TURNS})") if turn == TURNS else code("x = 1")


def timed(call: str, share: int) -> Script:
    """A root that times one line of code; ``share`` is what the seconds are divided by."""
    return lambda request: code(START, call, f"FINAL((time.monotonic() - start) / {share})")


def child(request: Request) -> Reply:
    return Reply(code("FINAL('done')") if turn_of(request) == 2 else code("x = 1"), delay=CHILD_DELAY)


@dataclass(frozen=True)
class Case:
    """One measurement: ``root`` and ``sub`` are the scripts of its models, ``shown`` words its seconds.

    ``kept``: it is run once before, so that every reply is known.
    """

    title: str
    root: Script
    sub: Script = lambda request: "ok"
    shown: Callable[[float], str] = lambda seconds: f"{seconds * 1000:.1f} ms"
    kept: bool = False


def seconds(value: float) -> str:
    return f"{value:.2f} s"


CASES = {
    "turns": Case(f"gap of one turn, mean of {TURNS}", many_turns),
    "calls": Case(
        f"llm_query with a 0 ms model, mean of {CALLS}", timed(f"for _ in range({CALLS}): llm_query('x')", CALLS)
    ),
    "hits": Case(
        f"llm_query with a kept reply, mean of {CALLS}",
        timed(f"for _ in range({CALLS}): llm_query('x')", CALLS),
        shown=lambda seconds: f"{seconds * 1000:.2f} ms",
        kept=True,
    ),
    "batch": Case(
        f"{BATCH:,} batched sub-calls of 200 ms",
        timed(f"llm_query_batched(['x'] * {BATCH})", 1),
        lambda request: Reply("ok", delay=0.2),
        seconds,
    ),
    "children": Case(
        f"{CHILDREN} sub-RLMs of 3 turns of 50 ms",
        timed(f"rlm_query_batched(['x'] * {CHILDREN})", 1),
        child,
        seconds,
    ),
}


def serve() -> None:
    """The server's process: prints its address, ends with its standard input."""
    scripts = {f"{name}-{role}": getattr(case, role) for name, case in CASES.items() for role in ("root", "sub")}
    with OpenAIServer(route(scripts)) as server:
        print(server.url, flush=True)
        sys.stdin.read()


@contextmanager
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.calls", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


def load_seconds() -> float:
    """`%load_ext` in a new interpreter."""
    return float(subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True).stdout)


def measured(name: str, url: str) -> float:
    """Seconds that a case took.

    Raises:
        RuntimeError: it did not come to its end.
    """
    models = f"openai/{name}-root", f"openai/{name}-sub"
    kept = CASES[name].kept
    rlm = RLM(*models, api_base=url, api_key="none", limits=LIMITS, cache="on" if kept else "off")
    if kept:
        rlm.completion("How long?", "context")
    result = rlm.completion("How long?", "context")
    if result.status != "answered":
        raise RuntimeError(f"{name}: {result.reason}")
    return float(result.answer)


async def floors(url: str) -> dict[str, float]:
    """The least seconds of each case: see `benchmarks.floors`."""
    call, cell = await litellm_call(url), await kernel_cell()
    return {
        "turns": await litellm_call(url, messages=2 + TURNS) + cell,
        "calls": call,
        "hits": round_trip(),
        "batch": await http_batch(url, BATCH),
        "children": await kernels(CHILDREN) + 3 * CHILD_DELAY,
    }


@contextmanager
def own_records() -> Iterator[None]:
    """Keep records and replies out of the user's."""
    with TemporaryDirectory() as folder:
        os.environ["JUPYTER_DATA_DIR"] = folder
        yield


def main() -> None:
    print(f"%load_ext {load_seconds() * 1000:.0f} ms\n")
    with own_records(), server() as url:
        least = asyncio.run(floors(url))
        print(f"{'':<50} {'here':>10} {'floor':>10} {'ratio':>7}")
        for name, case in CASES.items():
            here, floor = measured(name, url), least[name]
            print(f"{case.title:<50} {case.shown(here):>10} {case.shown(floor):>10} {here / floor:>7.1f}")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
