"""Every button of the live view, pressed while the cell blocks and with --bg, at depth 0 and inside a sub-RLM."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server import OpenAIServer, Reply, Request, route

from .notebook import Notebook, Person, Trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LOAD = "%load_ext rlm_magic\ntext = 'one two three'"
SUB_RLM = "0.1.1.1"


def code(text: str) -> str:
    return f"```repl\n{text}\n```"


def looking(request: Request) -> Reply:
    """A model that only ever looks, until it is asked for the answer."""
    if "Reply with the answer alone" in request.prompt:
        return Reply("three")
    turn = sum(message["role"] == "assistant" for message in request["messages"]) + 1
    return Reply(code(f"print('look {turn}')"), delay=0.2)


def delegating(request: Request) -> str:
    return code("FINAL(rlm_query('how many words?', context=context))")


def told(server: OpenAIServer, text: str) -> bool:
    return any(text in str(request["messages"]) for request in server.requests)


@pytest.fixture(params=["depth 0", "sub-RLM"])
def top(request: pytest.FixtureRequest) -> str:
    """The node whose turns are steered."""
    return "0" if request.param == "depth 0" else SUB_RLM


@pytest.fixture
def server(top: str) -> Iterator[OpenAIServer]:
    with OpenAIServer(route({"root": looking if top == "0" else delegating, "sub": looking})) as running:
        yield running


@pytest.fixture(params=["", "--bg"], ids=["blocking", "bg"])
def notebook(request: pytest.FixtureRequest, page: Any, lab: Any, server: OpenAIServer) -> Notebook:
    models = f"-m openai/root -s openai/sub --api-base {server.url} --depth 2 -o out {request.param}"
    steered = f"%%rlm text {models}\nhow many words?"
    book = Notebook(page, lab, "steering.ipynb", LOAD, steered, steered.replace("\n", " --step\n"), "1 + 1")
    book.run(0)
    return book


def test_each_decision_has_its_effect_and_stands_in_the_trace(
    notebook: Notebook, server: OpenAIServer, page: Any, lab: Any, top: str
) -> None:
    person = Person(page)
    notebook.start(2)
    if top != "0":
        person.wait_before("0.1.1")
        person.press("Run")
    person.wait_before(f"{top}.1.1")
    assert page.get_by_role("textbox", name="Code to run").input_value() == "print('look 1')"
    person.press("Run")
    person.wait_before(f"{top}.2.1")
    person.edit("print('edited')")
    person.press("Run edited")
    person.wait_before(f"{top}.3.1")
    person.note("seen that already")
    person.press("Skip")
    person.wait_before(f"{top}.4.1")
    person.note("count the spaces")
    person.press("Hint")
    person.wait_before(f"{top}.5.1")
    person.press("Step")
    person.wait_before(f"{top}.6.1")
    person.press("Answer now")
    page.get_by_text("answered" if top != "0" else "forced").first.wait_for()
    notebook.wait_idle()
    trace = Trace(lab)
    assert trace.humans(f"{top}.1.1") == []
    assert trace.nodes[f"{top}.1.1"].output == "look 1\n"
    assert trace.humans(f"{top}.2.1") == [("edit", "")]
    assert trace.nodes[f"{top}.2.1"].code_proposed == "print('look 2')"
    assert trace.nodes[f"{top}.2.1"].code == "print('edited')"
    assert trace.nodes[f"{top}.2.1"].output == "edited\n"
    assert trace.humans(f"{top}.3.1") == [("skip", "seen that already")]
    assert trace.nodes[f"{top}.3.1"].status == "skipped"
    assert trace.humans(f"{top}.4.1") == [("hint", "count the spaces")]
    assert trace.nodes[f"{top}.4.1"].output == "look 4\n"
    assert trace.humans(f"{top}.5.1") == []
    assert trace.humans(f"{top}.6.1") == [("answer", "")]
    assert trace.nodes[top].fields["outcome"] == "forced"
    assert str(trace.result) == "three"
    assert told(server, "The user edited this code before it ran")
    assert told(server, "seen that already")
    assert told(server, "count the spaces")


def test_pause_resume_step_and_stop_while_it_runs(
    notebook: Notebook, server: OpenAIServer, page: Any, lab: Any, top: str
) -> None:
    person = Person(page)
    notebook.start(1)
    server.wait(lambda s: s.requests[-1:] and s.requests[-1].model == ("root" if top == "0" else "sub"), 60)
    person.press("Pause")
    turn = int(person.waiting_node().split(".")[-2])
    sent = len(server.requests)
    person.press("Step")
    person.wait_before(f"{top}.{turn + 1}.1")
    assert len(server.requests) == sent + 1
    person.press("Resume")
    server.wait(lambda s: len(s.requests) >= sent + 4)
    person.press("Stop")
    pressed = time.monotonic()
    page.get_by_role("button", name="Stop", exact=True).wait_for(state="hidden")
    print(f"stopped {time.monotonic() - pressed:.2f} s after the click")
    notebook.wait_idle()
    notebook.run(3)
    assert "2" in notebook.text(3)
    trace = Trace(lab)
    assert trace.result.status == "stopped"
    assert trace.paused() == [f"{top}.{turn}.1", f"{top}.{turn + 1}.1"]
    assert all(node.closed is not None for node in trace.result.nodes)
    assert server.in_flight == 0


def test_notebook_7_pauses_steps_edits_and_stops_a_blocking_cell(page: Any, notebook7: Any) -> None:
    with OpenAIServer(route({"root": looking})) as server:
        ask = f"%%rlm text -m openai/root -s openai/sub --api-base {server.url} -o out\nhow many words?"
        notebook = Notebook(page, notebook7, "seven.ipynb", LOAD, ask, "1 + 1")
        notebook.run(0)
        person = Person(page)
        notebook.start(1)
        person.press("Pause")
        turn = int(person.waiting_node().split(".")[1])
        person.press("Step")
        person.wait_before(f"0.{turn + 1}.1")
        person.edit("print('edited')")
        person.press("Run edited")
        person.wait_before(f"0.{turn + 2}.1")
        person.press("Stop")
        notebook.below(1).get_by_text("RunEnded").first.wait_for()
        notebook.wait_idle()
        notebook.run(2)
        assert "2" in notebook.text(2)
        assert server.in_flight == 0
    trace = Trace(notebook7)
    assert trace.result.status == "stopped"
    assert trace.paused() == [f"0.{turn + ahead}.1" for ahead in range(3)]
    assert trace.nodes[f"0.{turn + 1}.1"].output == "edited\n"


STUBBORN = """while True:
    try:
        while True: pass
    except BaseException: print("not now")"""


@pytest.mark.parametrize(
    ("way", "phase", "status"),
    [("Answer now", "thinking", "forced"), ("Stop", "thinking", "stopped"), ("Kill", "executing", "stopped")],
)
def test_each_way_to_stop_ends_a_blocking_cell(page: Any, lab: Any, way: str, phase: str, status: str) -> None:
    model = looking if way != "Kill" else lambda request: code(STUBBORN)
    with OpenAIServer(route({"root": model})) as server:
        ask = f"%%rlm text -m openai/root -s openai/sub --api-base {server.url} -o out\nhow many words?"
        left = "import psutil\nprint(len(psutil.Process().children(recursive=True)), 'left')"
        notebook = Notebook(page, lab, "ways.ipynb", f"{LOAD}\n%config RLMMagic.keep_variables = 0.0", ask, left)
        notebook.run(0)
        notebook.start(1)
        page.get_by_text(phase).first.wait_for()
        page.get_by_role("button", name="Other ways to stop").click()
        page.locator(".rlm-menu").get_by_role("button", name=way).click()
        notebook.below(1).get_by_text("forced" if status == "forced" else "RunEnded").first.wait_for()
        notebook.start(2)
        notebook.below(2).get_by_text("0 left").wait_for()
        assert server.in_flight == 0
    trace = Trace(lab)
    assert trace.result.status == status
    assert all(node.closed is not None for node in trace.result.nodes)


def batching(request: Request) -> str:
    asked = "llm_query_batched(['how', 'many'])"
    return code(asked) if len(request["messages"]) == 2 else code(f"print({asked})\nFINAL(len(context.split()))")


def test_a_batch_shows_what_it_sends_before_it_is_sent(page: Any, lab: Any) -> None:
    with OpenAIServer(route({"root": batching, "gpt-5-mini": lambda request: "three"})) as server:
        ask = f"%%rlm text -m openai/root -s openai/gpt-5-mini --api-base {server.url} --step\nhow many words?"
        notebook = Notebook(page, lab, "batch.ipynb", LOAD, ask)
        notebook.run(0)
        person = Person(page)
        notebook.start(1)
        person.wait_before("0.1.1")
        person.press("Run")
        person.wait_before_batch("0.1.1.1")
        sentence = person.paused.get_by_text("will send 2 prompts, 7 characters").inner_text()
        assert "$" in sentence
        assert [request.model for request in server.requests] == ["root"]
        person.note("ask once")
        person.press("Skip")
        person.wait_before("0.2.1")
        person.press("Run")
        person.wait_before_batch("0.2.1.1")
        person.press("Run")
        page.get_by_text("answered").first.wait_for()
        notebook.wait_idle()
        assert told(server, "ask once")
    trace = Trace(lab)
    assert trace.humans("0.1.1.1") == [("skip", "ask once")]
    assert trace.nodes["0.1.1.1"].status == "skipped"
    assert trace.nodes["0.2.1.1"].status == "ok"
    assert [node.parent for node in trace.result.nodes if node.kind == "llm"] == ["0.2.1.1"] * 2
