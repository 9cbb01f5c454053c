"""Run the first notebook with no key, and print its questions, answers and recursion trees."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "01_first_question.ipynb"
EXECUTED = ROOT / "build" / "notebooks"
CELL_SECONDS = 180
OFFLINE = {"RLM_MODEL": "rlm-offline/policy", "RLM_SUB_MODEL": "rlm-offline/reader"}


def execute(source: Path, target: Path) -> nbformat.NotebookNode:
    """Run every cell in the notebook's own folder, and keep the outcome, also of a notebook that failed."""
    notebook = nbformat.read(source, as_version=4)
    resources = {"metadata": {"path": str(source.parent)}}
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources=resources,
        extra_arguments=["--log-level=ERROR"],  # the kernel's word on its transport would stand above the question
    )
    try:
        client.execute(env=os.environ | OFFLINE)
    finally:
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    return notebook


def texts(cell: nbformat.NotebookNode) -> Iterator[str]:
    """What a cell showed, as text; its result is left out, as the record begins with it."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "display_data":
            yield output.data.get("text/plain", "")


def report(cell: nbformat.NotebookNode) -> str:
    """One `%%rlm` cell: the question, and what it showed."""
    line, _, question = cell.source.partition("\n")
    shown = "\n\n".join(text.rstrip() for text in texts(cell))
    return f"{line}\n{question.strip()}\n\n{shown}\n"


def main(source: Path = NOTEBOOK) -> None:
    target = EXECUTED / source.name
    try:
        notebook = execute(source, target)
    except CellExecutionError as error:
        sys.exit(f"{error.ename}: {error.evalue}\n{target} shows how far it came")
    except (CellTimeoutError, DeadKernelError) as error:
        sys.exit(f"{error}\n{target} shows how far it came")
    asked = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("%%rlm")]
    print("\n".join(report(cell) for cell in asked))
    print(f"The executed notebook: {os.path.relpath(target)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
