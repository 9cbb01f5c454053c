"""The view goes on: a page reloaded in mid-run, a kernel restarted, a notebook reopened; stopping without subshells."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.server import OpenAIServer, Reply, Request, route

from .notebook import Notebook, Person, Trace
from .test_steering import LOAD, code, looking

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# the tree follows the run, so that an older row may be out of sight by now
SHOWS_A_LOOK_FROM = r"""number => [...document.querySelectorAll('[role=treeitem]')]
    .some(row => Number(/look (\d+)/.exec(row.textContent)?.[1]) >= number)"""


def finishing(request: Request) -> str:
    fan_out = "replies = llm_query_batched([f'say {i}' for i in range(5)])\nprint(replies)\n"
    return code(fan_out + "FINAL(len(context.split()))")


def ask(server: OpenAIServer, options: str = "") -> str:
    return f"%%rlm text -m openai/root -s openai/sub --api-base {server.url} -o out {options}\nhow many words?"


def reload_in_mid_run(page: Any, lab: Any, server: OpenAIServer, options: str) -> Notebook:
    notebook = Notebook(page, lab, "reload.ipynb", LOAD, ask(server, options))
    notebook.run(0)
    notebook.start(1)
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    notebook.save()
    page.reload()
    return notebook


def test_a_page_reloaded_in_mid_run_shows_the_whole_run_and_steers_it(page: Any, either: Any) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        reload_in_mid_run(page, either, server, "--bg --turns 500")
        page.get_by_role("button", name="Open the recursion tree").click()
        person = Person(page)
        person.tree.get_by_role("treeitem").filter(has_text="look 1").first.wait_for()
        person.press("Pause")
        person.paused.wait_for()
        person.press("Stop")
        page.get_by_text("stopped").first.wait_for()
    assert Trace(either).result.status == "stopped"


def test_a_page_reloaded_during_a_blocking_cell_shows_the_whole_run_when_it_ends(page: Any, lab: Any) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        notebook = reload_in_mid_run(page, lab, server, "--turns 12")
        page.get_by_text("turns=12 is used up").first.wait_for()
        notebook.wait_idle()
        page.get_by_role("button", name="Open the recursion tree").click()
        rows = page.get_by_role("treeitem")
        rows.filter(has_text="look 1").first.click()
        page.keyboard.press("End")
        rows.filter(has_text="look 12").first.wait_for()
    trace = Trace(lab)
    assert trace.result.status == "forced"
    assert trace.nodes["0.12.1"].output == "look 12\n"


def open_finished(page: Any, lab: Any, name: str) -> Notebook:
    """A notebook with a run that has ended, saved."""
    with OpenAIServer(route({"root": finishing, "sub": lambda request: Reply("hi", delay=0.2)})) as server:
        notebook = Notebook(page, lab, name, LOAD, ask(server))
        notebook.run(0)
        notebook.run(1)
        page.get_by_text("answered").first.wait_for()
        notebook.save()
    return notebook


def look_around(page: Any) -> None:
    """Open the tree, then the output of the first cell of the model's code."""
    page.get_by_role("button", name="Open the recursion tree").click()
    row = page.get_by_role("treeitem").filter(has_text="replies =").first
    row.click()
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Output").click()
    page.get_by_role("tabpanel").get_by_text("['hi', 'hi', 'hi', 'hi', 'hi']").wait_for()


def test_the_saved_run_works_after_a_restart_and_without_a_kernel(page: Any, either: Any) -> None:
    notebook = open_finished(page, either, "finished.ipynb")
    look_around(page)
    notebook.ask("restart()")
    notebook.wait_idle()
    page.get_by_role("treeitem").first.click()
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.route("**/api/sessions**", lambda route: route.abort() if route.request.method == "POST" else route.fallback())
    page.goto(either.page_url("finished.ipynb"))
    page.get_by_role("dialog").get_by_role("button", name="Ok").click()  # no kernel can be started
    page.get_by_role("dialog").get_by_role("button", name="No Kernel").click()
    look_around(page)


def printing(request: Request) -> str:
    return code("for i in range(9_000): print('line', i)\nFINAL('printed')")


def test_what_a_record_leaves_out_comes_from_the_kernel_while_it_lives(page: Any, lab: Any) -> None:
    with OpenAIServer(route({"root": printing})) as server:
        notebook = Notebook(page, lab, "bodies.ipynb", LOAD, ask(server))
        notebook.run(0)
        notebook.run(1)
    more = page.get_by_role("button", name="Ask the kernel for more of it")
    panel = page.locator(".rlm-panel")
    middle = panel.get_by_text("line 4500")

    def open_output() -> None:
        page.get_by_role("button", name="Open the recursion tree").click()
        page.get_by_role("treeitem").filter(has_text="for i in range").first.click()
        page.get_by_role("tab", name="Output").click()
        page.get_by_text("Here without its middle: it has 88,890 characters").wait_for()
        assert middle.count() == 0

    open_output()
    more.click()
    middle.wait_for()
    assert more.count() == 0
    notebook.save()
    notebook.ask("restart()")
    notebook.wait_idle()
    notebook.open()
    open_output()
    more.click()
    page.get_by_text("The kernel does not have it any more.").wait_for()
    assert "line 8999" in panel.inner_text()


def start_looking(page: Any, lab: Any, server: OpenAIServer, name: str, first: str = LOAD) -> Notebook:
    """A run that goes on and on in a blocking cell, its tree open."""
    notebook = Notebook(page, lab, name, first, ask(server, "--turns 500"))
    notebook.run(0)
    notebook.start(1)
    page.get_by_role("button", name="Open the recursion tree").click()
    page.get_by_role("treeitem").filter(has_text="look 1").first.wait_for()
    return notebook


def test_a_kernel_that_dies_in_mid_run_leaves_the_tree_and_says_so(page: Any, lab: Any) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        notebook = start_looking(page, lab, server, "dead.ipynb", f"import os\nprint(os.getpid())\n{LOAD}")
        os.kill(int(notebook.text(0)), signal.SIGKILL)
        page.get_by_text("The connection to the kernel is gone; what was running is marked interrupted.").wait_for()
        page.get_by_role("dialog").get_by_role("button", name="Ok").click()  # JupyterLab says that the kernel died
    root = page.get_by_role("treeitem").first
    assert "interrupted" in root.get_attribute("aria-label")
    assert page.get_by_role("button", name="Pause", exact=True).count() == 0
    root.click()
    page.locator(".rlm-inspector").get_by_text("how many words?").first.wait_for()


def test_a_connection_that_drops_says_so_and_comes_back(page: Any, lab: Any) -> None:
    ends: list[Any] = []
    down = False

    def connect(socket: Any) -> None:
        ends.append(socket)
        if down:
            socket.close()
        else:
            ends.append(socket.connect_to_server())

    page.route_web_socket("**/channels*", connect)
    silence = page.get_by_text("The kernel has said nothing for some seconds")
    with OpenAIServer(route({"root": looking})) as server:
        start_looking(page, lab, server, "dropped.ipynb")
        down = True
        for end in ends[-2:]:
            end.close()
        silence.wait_for()
        missed = len(server.requests)
        down = False
        silence.wait_for(state="hidden")
        page.wait_for_function(SHOWS_A_LOOK_FROM, arg=missed)
        Person(page).press("Stop")
        page.get_by_text("RunEnded").first.wait_for()
    assert Trace(lab).result.status == "stopped"


def test_a_journal_opens_as_a_file_and_says_what_is_wrong_with_it(page: Any, lab: Any) -> None:
    notebook = open_finished(page, lab, "journal.ipynb")
    journal = lab.runs.find("last").read_bytes()
    *_, last = journal.splitlines()
    for name, content, told in [
        ("whole", journal, "answered"),
        ("truncated", journal[: -len(last) // 2], "The record ends in the middle of line"),
        ("corrupt", journal.replace(b"print", b"paint", 1), "is damaged"),
        ("newer", b'{"v": 99}\n', "The record is of version 99, and this viewer reads up to version 1"),
        ("empty", b"", "The record is empty"),
    ]:
        notebook.path.with_name(f"{name}.rlm.jsonl").write_bytes(content)
        page.goto(lab.page_url(f"{name}.rlm.jsonl"))
        page.locator(".rlm").get_by_text(told).first.wait_for()


def test_a_run_is_stopped_by_interrupt_where_comms_have_no_subshell(page: Any, lab: Any) -> None:
    off = '{"commsOverSubshells": "disabled"}'
    with (
        lab.setting("@jupyterlab/apputils-extension/kernels-settings", off),
        OpenAIServer(route({"root": looking})) as server,
    ):
        notebook = Notebook(page, lab, "interrupt.ipynb", LOAD, ask(server, "--turns 500"), "1 + 1")
        notebook.run(0)
        notebook.start(1)
        line = notebook.below(1).get_by_text("The live view does not answer")
        line.wait_for()
        assert "--bg" in line.inner_text()
        notebook.ask("interrupt()")
        notebook.below(1).get_by_text("RunEnded").first.wait_for()
        notebook.wait_idle()
        notebook.run(2)
        assert "2" in notebook.text(2)
        assert server.in_flight == 0
    assert Trace(lab).result.status == "stopped"
