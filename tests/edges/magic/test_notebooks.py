"""The notebooks run from top to bottom, as they are shipped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest

from rlm_magic.models.catalog import KEY_VARIABLES
from tests.edges.conftest import PROVIDER_KEYS
from tests.server import OpenAIServer

ROOT = Path(__file__).parents[3]
NOTEBOOKS = ROOT / "notebooks"
COUNT = "```repl\nFINAL(sum('\" 500 ' in line for line in log.splitlines()))\n```"


@pytest.fixture(autouse=True)
def _nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEY_VARIABLES.values(), *PROVIDER_KEYS):
        monkeypatch.delenv(name, raising=False)
    for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def executed(name: str) -> Iterator[str]:
    """What each cell showed, as text.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    client = nbclient.NotebookClient(notebook, timeout=100, kernel_name="python3", resources=resources)
    client.execute(env=dict(os.environ))
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield output["text"] if output.output_type == "stream" else output.data["text/plain"]


@pytest.mark.parametrize(
    ("name", "answers"), [("01_first_question.ipynb", ["213"]), ("02_your_model.ipynb", ["3"])], ids=["first", "model"]
)
def test_it_runs_with_no_model(name: str, answers: list[str]) -> None:
    shown = list(executed(name))
    assert set(answers) <= set(shown)
    assert any("offline policy, no language model" in text for text in shown)


def test_the_demo_prints_questions_answers_trees_and_where_the_notebook_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-not-a-key")
    done = subprocess.run(
        [sys.executable, "scripts/demo.py"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stderr == ""
    assert "answered with HTTP status 404?\n\n213\n\nanswered · 3 turns" in done.stdout
    assert "✓ └ A answer: 213 " in done.stdout
    assert done.stdout.count("no language model\n") == 3
    executed = ROOT / done.stdout.splitlines()[-1].removeprefix("The executed notebook: ")
    assert nbformat.read(executed, as_version=4).cells[-2].outputs


def test_every_notebook_is_among_them() -> None:
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == {"01_first_question.ipynb", "02_your_model.ipynb"}


def test_a_model_of_ones_own_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(lambda _: COUNT, models=[{"id": "mine", "max_model_len": 24_000}]) as server:
        monkeypatch.setenv("RLM_MODEL", "openai/mine")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        shown = list(executed("02_your_model.ipynb"))
    assert [request.model for request in server.requests] == ["mine"], "the dry run sent nothing"
    assert any("openai/mine · window 24,000 tokens (its server)" in text for text in shown)
    assert "3" in shown
