"""A function of the notebook that the model's code calls, in a real JupyterLab: its row, its texts, its output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server import OpenAIServer, route

from .notebook import Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DEFINE = """%load_ext rlm_magic
def lookup(id: int) -> dict:
    '''The customer of this number.'''
    print('looking up', id)
    return {7: {'name': 'Ada', 'since': '1843'}}[id]"""
LOOK = """```repl
import time
time.sleep(2)
found = lookup(7)
try: lookup(id=8)
except SubCallError as error: print(error)
FINAL(found["name"])
```"""


@pytest.mark.parametrize("options", ["", "--bg"])
def test_a_call_of_a_tool_can_be_inspected(page: Any, lab: Any, tmp_path: Path, options: str) -> None:
    with OpenAIServer(route({"root": lambda request: LOOK})) as server:
        question = f"%%rlm -m openai/root --api-base {server.url} --tool lookup {options}\nWho is customer 7?"
        book = Notebook(page, lab, "tools.ipynb", DEFINE, question)
        book.run(0)
        book.start(1)
        page.get_by_text("answered").first.wait_for()
        book.wait_idle()
    assert "looking up 7\nlooking up 8" in book.text(1)
    tree = page.get_by_role("tree", name="Recursion tree")
    if not tree.is_visible():
        page.get_by_role("button", name="Open").first.click()
    failed = tree.get_by_text("lookup(id=8)")
    failed.click()
    page.get_by_role("tab", name="Output").click()
    assert "lookup raised KeyError: 8" in page.locator(".rlm").inner_text()
    tree.get_by_text("lookup(7)").click()
    page.get_by_role("tab", name="Result").click()
    page.get_by_text('{"name": "Ada", "since": "1843"}', exact=True).wait_for()
    page.get_by_role("tab", name="Arguments").click()
    page.get_by_text('{"args": [7], "kwargs": {}}', exact=True).wait_for()
    page.screenshot(path=str(tmp_path / "tools.png"), full_page=True)
