"""`%%rlm` under pressure: deep recursion, limits that hold, Ctrl-C with a thousand calls pending."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic.magic import RunEnded
from rlm_magic.result import Result
from tests.server import OpenAIServer, Reply, Request, route

SUBMIT = "answer['content'] = {}; answer['ready'] = True"


def code(text: str) -> str:
    return f"```repl\n{text}\n```"


def ask(shell: InteractiveShell, server: OpenAIServer, options: str, question: str = "go") -> Result:
    models = f"-m openai/root -s openai/sub --api-base {server.url}"
    return shell.run_cell_magic("rlm", f"{models} {options}", question)


def last_run(shell: InteractiveShell) -> Result:
    return shell.run_line_magic("rlm", "show last")


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


def interrupt_when(condition: Callable[[], bool]) -> threading.Thread:
    """Press Ctrl-C once a condition holds."""

    def press() -> None:
        while not condition():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


def test_ctrl_c_with_a_thousand_pending_calls_sends_nothing_more(shell: InteractiveShell) -> None:
    pending = "llm_query_batched([f'{i}' for i in range(1000)])"
    pressed: list[float] = []

    def some_in_flight() -> bool:
        if server.in_flight < 4:
            return False
        pressed.append(time.monotonic())
        return True

    scripts = {"root": lambda request: code(pending), "sub": lambda request: Reply("late", hang=True)}
    with OpenAIServer(route(scripts)) as server:
        interrupt_when(some_in_flight)
        with pytest.raises(RunEnded, match="stopped"):
            ask(shell, server, "--concurrency 1000")
        back = time.monotonic() - pressed[0]
        sent = len(server.requests)
        server.wait(lambda s: s.in_flight == 0)
        server.release()
        assert len(server.requests) == sent
    assert back < 5
    print(f"the prompt was back after {back:.2f} s")
    tree = last_run(shell).tree
    assert tree.root is not None
    assert tree.root.status == "stopped"
    assert all(node.closed is not None for node in tree.nodes.values())
    assert sum(node.kind == "llm" for node in tree.nodes.values()) > 900


def test_ctrl_c_in_endless_code_gives_the_prompt_back_and_the_session_goes_on(shell: InteractiveShell) -> None:
    shell.user_ns["out"] = "before"
    with OpenAIServer(route({"root": lambda request: code("print('in')\nwhile True: pass")})) as server:
        interrupt_when(lambda: len(server.requests) == 1)
        with pytest.raises(RunEnded, match=r"%rlm show"):
            ask(shell, server, "-o out")
    assert "out" not in shell.user_ns
    shell.run_cell("x = 1 + 1")
    assert shell.user_ns["x"] == 2
