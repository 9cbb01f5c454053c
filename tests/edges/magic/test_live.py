"""`%%rlm` in a real notebook kernel without a browser: what it shows to whom, and runs in the background."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.server import OpenAIServer, Reply, Request, code, route

pytestmark = pytest.mark.timeout(120)

RECORD = "application/vnd.rlm-magic.run+json"
WIDGET = "application/vnd.jupyter.widget-view+json"


def looking(request: Request) -> Reply:
    return Reply(code("print(len(context))"), delay=0.1)


class Kernel:
    """A kernel and what came of each request to it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.messages: list[dict[str, Any]] = []

    def start(self, cell: str, *, frontend: bool = True) -> str:
        return self.client.execute(cell, allow_stdin=frontend)

    def until(self, condition: Callable[[], Any]) -> Any:
        """Read messages until the condition gives something."""
        while not (found := condition()):
            self.messages.append(self.client.get_iopub_msg(timeout=60))
        return found

    def ended(self, request: str) -> bool:
        return any(m["msg_type"] == "status" and m["content"]["execution_state"] == "idle" for m in self._of(request))

    def run(self, cell: str, *, frontend: bool = True) -> str:
        request = self.start(cell, frontend=frontend)
        self.until(lambda: self.ended(request))
        return request

    def outputs(self, request: str) -> list[dict[str, Any]]:
        """MIME bundles below a cell, the updated ones as updated."""
        shown: dict[str, dict[str, Any]] = {}
        for number, message in enumerate(self.messages):
            content = message["content"]
            name = content.get("transient", {}).get("display_id", str(number))
            new = message in self._of(request) and message["msg_type"] in ("display_data", "execute_result")
            if new or (message["msg_type"] == "update_display_data" and name in shown):
                shown[name] = content["data"]
        return list(shown.values())

    def text(self, request: str) -> str:
        streams = [m["content"]["text"] for m in self._of(request) if m["msg_type"] == "stream"]
        errors = [m["content"]["evalue"] for m in self._of(request) if m["msg_type"] == "error"]
        plain = [str(bundle.get("text/plain")) for bundle in self.outputs(request)]
        return "\n".join(plain + streams + errors)

    def comms(self) -> list[str]:
        return [m["content"]["target_name"] for m in self.messages if m["msg_type"] == "comm_open"]

    def _of(self, request: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["parent_header"].get("msg_id") == request]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    manager = KernelManager()
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("RLM_")}
    manager.start_kernel(env={**environ, "JUPYTER_DATA_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")})
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    kernel = Kernel(manager, client)
    kernel.run("%load_ext rlm_magic\ntext = 'one two three'")
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def ask(server: OpenAIServer, options: str = "") -> str:
    return f"%%rlm text -m openai/root -s openai/root --api-base {server.url} {options}\nhow many words?"


def test_a_headless_run_opens_no_widget(kernel: Kernel) -> None:
    slow = Reply(code("FINAL(3)"), delay=1.5)
    with OpenAIServer(route({"root": lambda request: slow})) as server:
        request = kernel.run(ask(server), frontend=False)
    assert kernel.comms() == []
    assert [RECORD in bundle for bundle in kernel.outputs(request)] == [True, False]


def test_stepping_needs_somebody_who_can_step(kernel: Kernel) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        request = kernel.run(ask(server, "--step"), frontend=False)
        assert server.requests == []
    assert "--bg" in kernel.text(request)


def test_a_run_of_a_moment_opens_no_widget(kernel: Kernel) -> None:
    kernel.run("import rlm_magic.display\nrlm_magic.display.OPEN_SECONDS = 60  # how long a moment is here")
    request = kernel.run("%%rlm text\nHow many characters are there?")
    assert kernel.comms() == []
    assert RECORD in kernel.outputs(request)[0]


def test_a_view_that_does_not_answer_is_reported_and_an_interrupt_stops_the_run(kernel: Kernel) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        request = kernel.start(ask(server, "--turns 500"))
        kernel.until(lambda: "does not answer" in kernel.text(request))
        assert "interrupt" in kernel.text(request)
        assert "--bg" in kernel.text(request)
        kernel.manager.interrupt_kernel()
        kernel.until(lambda: kernel.ended(request))
    widget, record = kernel.outputs(request)
    assert WIDGET in widget
    assert RECORD in record
    assert "stopped" in kernel.text(request)


def test_two_runs_in_the_background_answer_in_their_own_cells(kernel: Kernel) -> None:
    def root(request: Request) -> Reply:
        number = "1" if "alpha" in str(request["messages"]) else "2"
        return Reply(code(f"FINAL('answer {number}')"), delay=1.0)

    with OpenAIServer(route({"root": root})) as server:
        first = kernel.run(ask(server, "--bg -o one").replace("how many", "alpha"))
        kernel.run("a = _")
        second = kernel.run(ask(server, "--bg -o two").replace("how many", "beta"))
        kernel.run("b = _")
        kernel.run("text = 'something else'")
        assert "in the background" in kernel.text(first)
        awaited = kernel.run("[str(await a), str(await b), one, two]")
    assert "['answer 1', 'answer 2', 'answer 1', 'answer 2']" in kernel.text(awaited)
    for request, answer in ((first, "answer 1"), (second, "answer 2")):
        kernel.until(lambda request=request: any(RECORD in bundle for bundle in kernel.outputs(request)))
        assert answer in kernel.text(request)


def test_a_handle_steps_and_stops(kernel: Kernel) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        kernel.run(ask(server, "--bg --step -o out"))
        kernel.run("run = _")
        kernel.until(lambda: "paused" in kernel.text(kernel.run("run")))
        assert ".step()" in kernel.text(kernel.run("run"))
        kernel.run("run.step()")
        server.wait(lambda s: len(s.requests) == 2)
        kernel.run("run.stop()")
        ended = kernel.run("(await run).status, 'out' in globals()")
    assert "('stopped', False)" in kernel.text(ended)


def test_variables_stay_for_a_look_where_somebody_sits(kernel: Kernel) -> None:
    question = "%%rlm text\nHow many characters are there?"
    kernel.run(question, frontend=False)
    assert "no variables are kept" in kernel.text(kernel.run("%rlm vars"))
    kernel.run(question)
    assert "text" in kernel.text(kernel.run("%rlm vars")).splitlines()[0]
