"""A lesson: a notebook with its data and a cassette, recorded where there is a key and opened where there is none."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from rlm_magic.models.catalog import KEY_VARIABLES
from tests.edges.conftest import PROVIDER_KEYS
from tests.server import OpenAIServer, Reply, Request, code

HALVES = "parts = rlm_query_batched(['first half', 'second half'], contexts=[tickets[:3], tickets[3:]])"
CHILD = "names = llm_query_batched([f'Which of ours? {line}' for line in context])\nFINAL(' '.join(names))"
CELLS = [
    "%load_ext rlm_magic\n%config RLMMagic.model = 'openai/root'\n%config RLMMagic.sub_model = 'openai/sub'",
    "from pathlib import Path\ntickets = Path('tickets.txt').read_text().splitlines()",
    "%%rlm tickets --depth 2 --cache {cache} --cassette lesson.jsonl -o answer\nWhich are about billing?",
    "print(answer)",
]


class Teacher:
    """Two sub-RLMs at once ask the same things, and get replies that are numbered as they come, some of them late."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, request: Request) -> Reply | str:
        messages = request["messages"]
        turn = sum(message["role"] == "assistant" for message in messages)
        if messages[0]["content"].startswith("You are an assistant"):
            number = next(self._numbers)
            return Reply(f"{request.prompt[-1]}{number}", delay=0.1 * (number % 3))
        if "half" in messages[1]["content"][:40]:
            return code(CHILD)
        return (code(HALVES), code("FINAL(' '.join(parts))"))[turn]


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEY_VARIABLES.values(), *PROVIDER_KEYS):
        monkeypatch.delenv(name, raising=False)


def execute(folder: Path, cache: str, **environment: str) -> nbformat.NotebookNode:
    """The lesson as it looks when it ran in a folder; records and kept replies go below that too."""
    notebook = new_notebook(cells=[new_code_cell(cell.replace("{cache}", cache)) for cell in CELLS])
    client = nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}})
    own = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR")}
    client.execute(env={**os.environ, **own, **environment})
    return notebook


def text(notebook: nbformat.NotebookNode) -> str:
    return notebook.cells[-1].outputs[0].text


@pytest.mark.timeout(300)
def test_a_lesson_is_recorded_once_and_opened_without_a_key(tmp_path: Path) -> None:
    teachers, pupils = tmp_path / "teachers", tmp_path / "pupils"
    teachers.mkdir()
    (teachers / "tickets.txt").write_text("\n".join(["a", "b", "a", "a", "b", "a"]))
    with OpenAIServer(Teacher()) as server:
        recorded = execute(teachers, "on", OPENAI_BASE_URL=server.url, OPENAI_API_KEY="sk-teachers-own-key")
        asked = len(server.requests)
    cassette = (teachers / "lesson.jsonl").read_bytes()
    assert asked == 2 + 2 + 6
    assert b"sk-teachers" not in cassette
    shutil.copytree(teachers, pupils, ignore=shutil.ignore_patterns("ipythondir", "jupyter_data_dir"))
    replayed = execute(pupils, "replay")
    assert text(replayed) == text(recorded)
    assert len(set(text(recorded).split())) == 6
    assert (pupils / "lesson.jsonl").read_bytes() == cassette
    shown = str(replayed.cells[2].outputs)
    assert "0 calls, 10 cached" in shown
    assert "(recorded reply)" in shown


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_pupil_with_other_data_reads_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tickets.txt").write_text("a\nb")
    with OpenAIServer(Teacher()) as server:
        execute(tmp_path, "on", OPENAI_BASE_URL=server.url, OPENAI_API_KEY="sk-teachers-own-key")
    (tmp_path / "tickets.txt").write_text("a\nc")
    with pytest.raises(nbclient.exceptions.CellExecutionError) as caught:
        execute(tmp_path, "replay")
    assert "lesson.jsonl has no reply to that: the nearest that was asked is 'Question: Which" in str(caught.value)
