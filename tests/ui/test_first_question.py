"""Notebook 01 in a real JupyterLab, driven by a real browser, with no key."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN_ALL = "window.jupyterapp.commands.execute('notebook:run-all-cells')"


def test_the_first_notebook_shows_answers_and_trees(lab, page, tmp_path: Path) -> None:
    page.goto(lab.page_url("01_first_question.ipynb"))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.wait_for_function("window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
    page.evaluate(RUN_ALL)
    notebook = page.locator(".jp-Notebook")
    tree = notebook.get_by_text("no language model").first
    tree.wait_for()
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    assert "213" in notebook.inner_text()
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    page.screenshot(path=str(tmp_path / "first_question.png"), full_page=True)
