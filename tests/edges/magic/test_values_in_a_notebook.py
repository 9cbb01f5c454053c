"""Each kind of value, asked about in a real notebook: made in a cell, bound by `%%rlm`, computed with below."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.edges.conftest import PROVIDER_KEYS
from tests.server import OpenAIServer, Request

# how a cell makes `value`, the model's program, and the answer
KINDS: dict[str, tuple[str, str, object]] = {
    "str": ("value = 'one two three'", "len(context.split())", 3),
    "bytes": ("value = b'\\x00\\xff' * 4", "len(context)", 8),
    "list": ("value = ['a', 'b', 'a']", "context.count('a')", 2),
    "nested": ("value = {'when': __import__('datetime').date(2026, 11, 21), 'tags': {'a'}}", "context['when'].day", 21),
    "pandas": (
        "import pandas as pd\nvalue = pd.DataFrame({'user': [1, 2, 1], 'text': ['x', 'y', 'z']})",
        "(context['user'] == 1).sum()",
        2,
    ),
    "series": ("import pandas as pd\nvalue = pd.Series([0.5, 1.5], name='x')", "context.sum()", 2.0),
    "polars": ("import polars as pl\nvalue = pl.DataFrame({'n': [1, None, 3]})", "context['n'].null_count()", 1),
    "arrow": ("import pyarrow as pa\nvalue = pa.table({'n': [1, 2]})", "context.num_rows", 2),
    "numpy": ("import numpy as np\nvalue = np.arange(6.0).reshape(2, 3)", "context.mean(axis=0)", [1.5, 2.5, 3.5]),
    "frames": (
        "import pandas as pd\nvalue = {m: pd.DataFrame({'n': range(3)}) for m in 'ab'}",
        "{name: len(frame) for name, frame in context.items()}",
        {"a": 3, "b": 3},
    ),
    "dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int\n    def twice(self): return 2 * self.x\n"
        "value = [Point(1), Point(4)]",
        "sum(p.twice() for p in context)",
        10,
    ),
    "pydantic": (
        "from pydantic import BaseModel\nclass Ticket(BaseModel):\n    id: int\n    tags: list[str] = []\n"
        "value = Ticket(id=7, tags=['a'])",
        "context.model_dump()",
        {"id": 7, "tags": ["a"]},
    ),
    "sqlite": (
        "import sqlite3, pathlib\nvalue = pathlib.Path('t.db')\ndb = sqlite3.connect(value)\n"
        "db.execute('CREATE TABLE t (n)')\ndb.execute('INSERT INTO t VALUES (5)')\ndb.commit()\ndb.close()",
        "__import__('sqlite3').connect(f'file:{context}?mode=ro', uri=True).execute('SELECT n FROM t').fetchone()[0]",
        5,
    ),
    "folder": (
        "import pathlib\nvalue = pathlib.Path('documents')\nvalue.mkdir()\n"
        "for n in range(3): (value / f'{n}.txt').write_text('word ' * n)",
        "sum(len(path.read_text().split()) for path in context.glob('*.txt'))",
        3,
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    """The root model submits what the question says."""

    def root(request: Request) -> str:
        question = request["messages"][1]["content"]
        return f"```repl\nFINAL({question[question.index('<<') + 2 : question.index('>>')]})\n```"

    with OpenAIServer(root) as running:
        yield running


def execute(cells: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook to its end in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    for name in PROVIDER_KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in ["%load_ext rlm_magic", *cells]])
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}}).execute()


@pytest.mark.timeout(300)
def test_every_kind_is_answered_about(server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = []
    for kind, (made, program, answer) in KINDS.items():
        ask = f"%%rlm value -m openai/root --api-base {server.url} -o out\nFor {kind}: <<{program}>>"
        cells += [made, ask, f"assert out == {answer!r}, ({kind!r}, out)"]
    execute(cells, tmp_path, monkeypatch)


@pytest.mark.timeout(300)
def test_several_values_of_different_kinds_at_once(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = "import pandas as pd, numpy as np\nframe = pd.DataFrame({'n': [1, 2]})\narray = np.ones(3)\ntext = 'four'"
    ask = (
        f"%%rlm frame array text -m openai/root --api-base {server.url} -o out\n"
        "<<[sorted(context), frame['n'].sum() + array.sum() + len(text)]>>"
    )
    execute([made, ask, "assert out == [['array', 'frame', 'text'], 10.0], out"], tmp_path, monkeypatch)


LOG = [
    f'10.0.0.{n % 3} - - [17/May/2015:10:05:03 +0000] "GET /{n % 2} HTTP/1.1" {404 if n % 4 else 200} 7'
    for n in range(40)
]


@pytest.mark.timeout(300)
def test_the_offline_policy_answers_about_texts_a_file_and_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "access.log").write_text("\n".join(LOG), encoding="utf-8")
    made = "import pathlib\nfile = pathlib.Path('access.log')\ntext = file.read_text()\nlines = text.splitlines()"
    tables = (
        "import pandas as pd, polars as pl, pyarrow as pa\nframe = pd.DataFrame({'status': [404] * 30 + [200] * 10})\n"
        "table = pa.Table.from_pandas(frame)\npolar = pl.from_arrow(table)"
    )
    cells = [made, tables]
    for name in ("text", "lines", "file", "frame", "polar", "table"):
        cells += [
            f"%%rlm {name} -o out\nHow many requests were answered with status 404?",
            f"assert str(out) == '30', ({name!r}, out)",
        ]
    execute(cells, tmp_path, monkeypatch)
