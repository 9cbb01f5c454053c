"""`%%rlm` under pressure: deep recursion, limits that hold, Ctrl-C with a thousand calls pending."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic.result import Result
from rlm_magic.trace import Runs
from tests.server import OpenAIServer, Reply, Request, code, route

SUBMIT = "answer['content'] = {}; answer['ready'] = True"


def ask(shell: InteractiveShell, server: OpenAIServer, options: str, question: str = "go") -> Result:
    models = f"-m openai/root -s openai/sub --api-base {server.url}"
    return shell.run_cell_magic("rlm", f"{models} {options}", question)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_hundred_sub_rlms_at_depth_three_share_four_connections(shell: InteractiveShell) -> None:
    """20 sub-RLMs with 9 each below them; a connection is held around a request only, or this would never end."""

    def root(request: Request) -> str:
        fan_out = "parts = rlm_query_batched([f'branch {i}' for i in range(20)])\n"
        return code(fan_out + SUBMIT.format("sum(map(int, parts))"))

    def sub(request: Request) -> str:
        if "leaf" in str(request["messages"]):
            return code(SUBMIT.format("len([context])"))
        fan_out = "parts = rlm_query_batched([f'leaf {i}' for i in range(9)])\n"
        return code(fan_out + "context\n" + SUBMIT.format("1 + sum(map(int, parts))"))

    with OpenAIServer(route({"root": root, "sub": sub})) as server:
        result = ask(shell, server, "--depth 3 --concurrency 4 --timeout 280")
    assert result.answer == 200
    assert server.max_in_flight <= 4
    assert sum(node.kind == "rlm" for node in result.nodes) == 200


@pytest.mark.slow
def test_ten_thousand_attempts_with_fifty_calls_let_exactly_fifty_through(shell: InteractiveShell) -> None:
    attempts = "print(len(llm_query_batched([f'{i}' for i in range(10_000)])))"

    def root(request: Request) -> str:
        last = request["messages"][-1]["content"]
        return "47" if "Reply with the answer alone" in last else code(attempts)

    with OpenAIServer(route({"root": root, "sub": lambda request: "ok"})) as server:
        result = ask(shell, server, "--calls 50")
        assert len(server.requests) == 50
    assert result.status == "forced"
    assert "calls=50" in result.reason


SESSION = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "rlm_magic")
shell.run_line_magic("config", f"RLMMagic.runs_dir = {sys.argv[1]!r}")
shell.user_ns["out"] = "before"
error = shell.run_cell(sys.stdin.read()).error_in_exec
print("back:", type(error).__name__, error, flush=True)
shell.run_cell("x = 1 + 1")
print("then:", shell.user_ns["x"], "out" in shell.user_ns, flush=True)
"""


def interrupted(cell: str, runs: Path, ready: Callable[[], bool]) -> tuple[str, float]:
    """Run a cell in an IPython of its own and press Ctrl-C once ``ready``; what it printed, seconds to the prompt."""
    command = [sys.executable, "-c", SESSION, str(runs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(cell)
        session.stdin.close()
        while not ready():
            assert session.poll() is None
            time.sleep(0.01)
        pressed = time.monotonic()
        session.send_signal(signal.SIGINT)
        printed = []
        for line in session.stdout:
            printed.append(line)
            if line.startswith("back:"):
                back = time.monotonic() - pressed
    return "".join(printed), back


def test_ctrl_c_with_a_thousand_pending_calls_sends_nothing_more(tmp_path: Path) -> None:
    pending = "llm_query_batched([f'{i}' for i in range(1000)])"
    scripts = {"root": lambda request: code(pending), "sub": lambda request: Reply("late", hang=True)}
    with OpenAIServer(route(scripts)) as server:
        line = f"%%rlm -m openai/root -s openai/sub --api-base {server.url} --concurrency 1000"
        printed, back = interrupted(f"{line}\ngo", tmp_path, lambda: server.in_flight >= 4)
        sent = len(server.requests)
        server.wait(lambda s: s.in_flight == 0)
        server.release()
        assert len(server.requests) == sent
    assert "RunEnded stopped" in printed
    assert back < 30
    print(f"the prompt was back after {back:.2f} s")
    tree = Result.load(Runs(tmp_path).find("last")).tree
    assert tree.root is not None
    assert tree.root.status == "stopped"
    assert all(node.closed is not None for node in tree.nodes.values())
    assert sum(node.kind == "llm" for node in tree.nodes.values()) > 900


def test_ctrl_c_in_endless_code_gives_the_prompt_back_and_the_session_goes_on(tmp_path: Path) -> None:
    with OpenAIServer(route({"root": lambda request: code("print('in')\nwhile True: pass")})) as server:
        cell = f"%%rlm -o out -m openai/root --api-base {server.url}\ngo"
        printed, back = interrupted(cell, tmp_path, lambda: len(server.requests) == 1)
    assert "%rlm show" in printed
    assert "then: 2 False" in printed
    assert back < 30
