"""Where our renderer is not: the live widget and the HTML record in a plain JupyterLab, and in a converted notebook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.server import OpenAIServer, Reply, Request, route

from .notebook import Notebook, Person, Trace
from .test_persistence import ask
from .test_steering import LOAD, code

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TOLD = [
    "how many words?",  # the question
    "print(replies)",  # what the model wrote
    "['three', 'three']",  # what it saw of it
    "say it again",  # a sub-call's prompt
    "run(s) and words: 3",  # the answer
]
STRIPPED = re.compile(r"<(script|style)\b.*?</\1>|<link[^>]*>|\s(?:style|class|id)=(?:\"[^\"]*\"|'[^']*')", re.S)


def counting(request: Request) -> Reply:
    fan_out = "replies = llm_query_batched(['say it', 'say it again'])\nprint(replies)\n"
    return Reply(code(fan_out + "FINAL('run(s) and words: 3')"), delay=1.0)


def answered(page: Any, lab: Any, name: str) -> Notebook:
    """A notebook with a run that was stepped through and has ended, saved."""
    with OpenAIServer(route({"root": counting, "sub": lambda request: "three"})) as server:
        notebook = Notebook(page, lab, name, LOAD, ask(server, "--step"), "'the cell above has ended'")
        notebook.run(0)
        notebook.start(1)
        person = Person(page)
        person.wait_before("0.1.1")
        person.press("Run")
        person.wait_before_batch("0.1.1.1")
        person.press("Run")
        notebook.run(2)
        notebook.save()
    return notebook


def look_through(record: Any) -> None:
    """Unfold all that can be unfolded, by its HTML alone, and read it."""
    record.locator("details").first.wait_for()
    record.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    shown = record.inner_text()
    assert [text for text in TOLD if text not in shown] == []


def left_of(page: Any, part: str) -> float:
    return page.locator(part).first.bounding_box()["x"]


def html_outputs(path: Path) -> list[str]:
    outputs = nbformat.read(path, as_version=4).cells[1].outputs
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]


def test_a_plain_lab_shows_the_live_view_and_keeps_a_record_without_script(page: Any, plain_lab: Any) -> None:
    notebook = answered(page, plain_lab, "plain.ipynb")
    assert page.evaluate("window.jupyterapp.hasPlugin('rlm-magic:lab')") is False
    Person(page).tree.get_by_role("treeitem").filter(has_text="say it again").wait_for()
    assert left_of(page, ".rlm-row .rlm-time") == left_of(page, ".rlm-columns .rlm-time"), "styles do not mix"
    assert Trace(plain_lab).paused() == ["0.1.1", "0.1.1.1"]
    look_through(page.locator(".jp-RenderedHTMLCommon"))
    [html] = html_outputs(notebook.path)
    assert re.findall(r"<script|\son\w+=|javascript:|src=", html) == []
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    notebook.open()
    look_through(page.locator(".jp-RenderedHTMLCommon"))


@pytest.mark.parametrize("strip", [False, True], ids=["as it is", "styles and scripts stripped"])
def test_a_converted_notebook_tells_the_whole_run(page: Any, lab: Any, tmp_path: Path, strip: bool) -> None:
    notebook = answered(page, lab, "converted.ipynb")
    body, _ = HTMLExporter().from_filename(str(notebook.path))
    converted = tmp_path / "converted.html"
    converted.write_text(STRIPPED.sub("", body) if strip else body)
    page.goto(converted.as_uri())
    assert (page.locator("style, script, [class]").count() == 0) is strip
    look_through(page.locator("body"))
