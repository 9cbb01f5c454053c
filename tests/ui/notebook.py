"""A notebook in JupyterLab, as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

KERNEL = "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"


class Notebook:
    """Written to ``root`` from the sources of its code cells, and open on a page."""

    def __init__(self, page: Any, lab: Any, name: str, *cells: str) -> None:
        self.page = page
        self.path = Path(lab.root, name)
        self._url = lab.page_url(name)
        if cells:
            document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
            document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(document, self.path)
        self.open()

    def open(self) -> None:
        """Open it, or again: as when the page is reloaded."""
        self.page.goto(self._url)
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.wait_idle()

    def wait_idle(self) -> None:
        """Wait until no cell runs."""
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'")

    def start(self, *cells: int) -> None:
        """Run cells, 0 being the first; returns at once."""
        for cell in cells:
            self.page.evaluate(
                """cell => {
                    window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
                    window.jupyterapp.commands.execute('notebook:run-cell');
                }""",
                cell,
            )

    def run(self, *cells: int) -> None:
        """Run cells and wait until they have ended."""
        for cell in cells:
            self.page.evaluate(
                """cell => {
                    window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
                    return window.jupyterapp.commands.execute('notebook:run-cell');
                }""",
                cell,
            )

    def command(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def interrupt(self) -> None:
        self.page.evaluate(f"{KERNEL}.interrupt()")

    def cell(self, number: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def outputs(self, number: int) -> Any:
        return self.cell(number).locator(".jp-OutputArea-output")

    def text(self, number: int) -> str:
        """What stands below a cell."""
        return "\n".join(self.outputs(number).all_inner_texts())

    def save(self) -> Any:
        """Save it and read the file."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        return nbformat.read(self.path, as_version=4)

    def close_kernel(self) -> None:
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def value(self, number: int) -> Any:
        """The JSON that a cell printed."""
        return json.loads(self.text(number).strip().strip("'"))
