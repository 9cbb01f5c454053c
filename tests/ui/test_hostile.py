"""What a model, its code or the data says is text: nothing of it runs and no request leaves, live and reopened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server import OpenAIServer, Request, route

from .notebook import Notebook, Person, Trace
from .test_steering import code

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

BEACON = "http://beacon.invalid"
PAYLOAD = (
    f"<script>window.pwned=1;fetch('{BEACON}/script')</script>"
    f"<img src='{BEACON}/img' onerror='window.pwned=2'>"
    f"<svg onload='window.pwned=3'><image href='{BEACON}/svg'/></svg>"
    "<a href='javascript:window.pwned=4'>link</a>[md](javascript:window.pwned=5)"
    f"![md]({BEACON}/markdown)"
    f"<iframe srcdoc=\"<script>parent.pwned=6</script><img src='{BEACON}/frame'>\"></iframe>"
)
DATA = f"%load_ext rlm_magic\ntext = {PAYLOAD!r}"


def hostile(request: Request) -> str:
    turn = sum(message["role"] == "assistant" for message in request["messages"]) + 1
    cells = [
        "svg = '<svg xmlns=\"http://www.w3.org/2000/svg\">' + context + '</svg>'\n"
        "for shown in {'text/html': context}, {'image/svg+xml': svg}: display(shown, raw=True)\n"
        "print(context)",
        "print(llm_query(context))\nprint(llm_query_batched([context] * 2))",
        "raise ValueError(context)",
        "FINAL(context)",
    ]
    return PAYLOAD + "\n" + code(f"# {PAYLOAD}\n{cells[turn - 1]}")


def stopped(request: Any) -> bool:
    """Whether the browser kept a request to itself, because of the policy of the frame that asked."""
    return BEACON in request.url and request.failure == "csp"


def look_everywhere(page: Any) -> None:
    """Select each row of the open tree and open each of its tabs."""
    rows = page.get_by_role("treeitem")
    for row in range(rows.count()):
        rows.nth(row).click()
        page.keyboard.press("Enter")
        tabs = page.get_by_role("tab")
        for tab in range(tabs.count()):
            tabs.nth(tab).click()


def test_payloads_are_text_live_and_reopened(page: Any, lab: Any) -> None:
    left: list[str] = []
    page.on("request", lambda request: left.append(request.url) if BEACON in request.url else None)
    page.on("requestfailed", lambda request: left.remove(request.url) if stopped(request) else None)
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    with OpenAIServer(route({"root": hostile, "sub": lambda request: PAYLOAD})) as server:
        ask = f"%%rlm text -m openai/root -s openai/sub --api-base {server.url} --step\n{PAYLOAD}"
        notebook = Notebook(page, lab, "hostile.ipynb", DATA, ask)
        notebook.run(0)
        notebook.start(1)
        person = Person(page)
        for turn in range(1, 5):
            person.wait_before(f"0.{turn}.1")
            look_everywhere(page)
            person.press("Run")
            if turn == 2:
                person.wait_before_batch("0.2.1.2")
                person.press("Run")
        page.get_by_text("answered").first.wait_for()
        notebook.wait_idle()
        look_everywhere(page)
        notebook.save()
    assert str(Trace(lab).result) == PAYLOAD
    page.goto(lab.page_url("hostile.ipynb"))
    page.get_by_role("button", name="Open the recursion tree").click()
    look_everywhere(page)
    page.get_by_role("tree", name="Recursion tree").focus()
    for key in ("Home", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.get_by_role("tab", name="Output").click()
    frames = page.locator(".rlm-frame")
    frames.nth(1).wait_for()
    assert [frame.get_attribute("sandbox") for frame in frames.all()] == ["", ""]
    assert page.evaluate("window.pwned") is None
    assert left == []
