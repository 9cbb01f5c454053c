"""A notebook in JupyterLab, as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

from rlm_magic.result import NodeView, Result

KERNEL = "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
RUNNING = "[...document.querySelectorAll('.jp-InputPrompt')].some(prompt => prompt.textContent.includes('*'))"
RUN_CELL = """cell => {
    const { shell, commands } = window.jupyterapp;
    shell.currentWidget.content.activeCellIndex = cell;
    return commands.execute('notebook:run-cell');
}"""


class Notebook:
    """Written into the server's folder from the sources of its code cells, and opened on a page."""

    def __init__(self, page: Any, lab: Any, name: str, *cells: str) -> None:
        self.page = page
        self.lab = lab
        self.path = Path(lab.root, name)
        if cells:
            document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
            document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(document, self.path)
        self.open()

    def open(self) -> None:
        """Open it, or load the page again."""
        self.page.goto(self.lab.page_url(self.path.name))
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.page.wait_for_function(f"{KERNEL}?.connectionStatus === 'connected'")

    def wait_idle(self) -> None:
        """Wait until no cell runs. What a view says makes a kernel idle for a moment, while its cell still runs."""
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle' && !({RUNNING})")

    def start(self, cell: int) -> None:
        """Run a cell, 0 being the first; returns at once."""
        self.page.evaluate(f"cell => void ({RUN_CELL})(cell)", cell)

    def run(self, cell: int) -> None:
        """Run a cell and wait until it has ended."""
        self.page.evaluate(RUN_CELL, cell)

    def ask(self, kernel: str) -> None:
        """Do something with the kernel, such as "interrupt()"."""
        self.page.evaluate(f"{KERNEL}.{kernel}")

    def below(self, cell: int) -> Any:
        """The outputs of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea-output")

    def text(self, cell: int) -> str:
        """What stands below a cell."""
        return "\n".join(self.below(cell).all_inner_texts())

    def save(self) -> Any:
        """Save it and read the file."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        return nbformat.read(self.path, as_version=4)


class Person:
    """Works the live view of the one run on a page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.paused = page.get_by_role("region", name="Paused")
        self.tree = page.get_by_role("tree", name="Recursion tree")

    def wait_before(self, node: str) -> None:
        """Wait until the run waits before a node, with its code in the editor."""
        self.paused.get_by_text(f"before execution {node}", exact=False).wait_for()
        self.page.wait_for_function("document.querySelector('.rlm-editor')?.value !== ''")

    def wait_before_batch(self, node: str) -> None:
        """Wait until the run waits before it sends a batch."""
        self.paused.get_by_text(f"before batch {node}", exact=False).wait_for()

    def waiting_node(self) -> str:
        """The node before which the run waits, once it does."""
        return self.paused.locator("b").inner_text().split()[-1]

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).first.click()

    def edit(self, code: str) -> None:
        self.paused.get_by_role("textbox", name="Code to run").fill(code)

    def note(self, text: str) -> None:
        self.paused.get_by_role("textbox", name="Note to the model").fill(text)


class Trace:
    """The record of the newest run of a server's kernels."""

    def __init__(self, lab: Any) -> None:
        self.result = Result.load(lab.runs.find("last"))
        self.nodes: dict[str, NodeView] = {node.id: node for node in self.result.nodes}

    def humans(self, node: str) -> list[tuple[str, str]]:
        """What a person did at a node, with the text."""
        return [(entry["action"], entry["text"]) for entry in self.nodes[node].human]

    def paused(self) -> list[str]:
        """The nodes before which the run waited, in order."""
        lines = [json.loads(line) for line in self.result.trace.read_text().splitlines()]
        return [line["node"] for line in lines if line["type"] == "await" and line["data"]["phase"] == "paused"]
