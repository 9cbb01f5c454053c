"""What the model's code is used to works in each tier, with the messages of the rules where something cannot."""

from __future__ import annotations

import pytest

from ..subkernels import Session

# what a cell does, and what it prints
WORKS = {
    "numpy": ("import numpy as np; a = np.ones((300, 300)); print(int((a @ a).sum()))", "27000000"),
    "pandas": (
        "import pandas as pd\n"
        "frame = pd.DataFrame({'kind': ['a', 'b', 'a'], 'x': [1, 2, 3]})\n"
        "frame.to_csv('x.csv', index=False)\n"
        "print(pd.read_csv('x.csv').groupby('kind').x.sum().to_dict())",
        "{'a': 4, 'b': 2}",
    ),
    "polars": (
        "import polars as pl\n"
        "pl.DataFrame({'kind': ['a', 'b', 'a'], 'x': [1, 2, 3]}).write_parquet('x.parquet')\n"
        "print(pl.scan_parquet('x.parquet').filter(pl.col('kind') == 'a').select(pl.col('x').sum()).collect().item())",
        "4",
    ),
    "pyarrow": (
        "import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq\n"
        "pq.write_table(pa.table({'x': list(range(1000))}), 'y.parquet')\n"
        "print(pc.sum(pq.read_table('y.parquet')['x']))",
        "499500",
    ),
    "duckdb": ("import duckdb; print(duckdb.sql('SELECT sum(i) FROM range(1000) t(i)').fetchall()[0][0])", "499500"),
    "matplotlib": (
        "import os, matplotlib.pyplot as plt\n"
        "plt.plot([1, 2]); plt.savefig('x.png'); plt.close()\n"
        "print(os.path.getsize('x.png') > 1000)",
        "True",
    ),
    "scikit-learn": (
        "from sklearn.linear_model import LogisticRegression\n"
        "print(LogisticRegression().fit([[0], [1], [2], [3]], [0, 0, 1, 1]).predict([[0], [3]]).tolist())",
        "[0, 1]",
    ),
    "scikit-learn that is asked for two processes": (
        "from sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.model_selection import cross_val_score\n"
        "x, y = [[i] for i in range(20)], [i // 10 for i in range(20)]\n"
        "forest = RandomForestClassifier(5, n_jobs=2, random_state=0)\n"
        "print(len(cross_val_score(forest, x, y, cv=2, n_jobs=2)))",
        "2",
    ),
    "sqlite3": (
        "import sqlite3\n"
        "with sqlite3.connect('x.db') as db: db.execute('CREATE TABLE t(x)'); db.execute('INSERT INTO t VALUES (7)')\n"
        "print(sqlite3.connect('x.db').execute('SELECT x FROM t').fetchone()[0])",
        "7",
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(16) as pool: print(sum(pool.map(len, ['ab'] * 100)))",
        "200",
    ),
}

# what a cell tries that needs processes; each answer names the rule
REFUSED = {
    "a shell line": "!ls",
    "a shell line that is kept": "files = !ls",
    "a pool": "import multiprocessing; multiprocessing.Pool(2)",
    "an executor": (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(2) as pool: print(list(pool.map(len, ['ab'])))"
    ),
    "a command": "import subprocess; subprocess.run(['ls'])",
}


@pytest.mark.parametrize("library", WORKS)
def test_it_works(session: Session, library: str) -> None:
    code, printed = WORKS[library]
    result = session.run(code, seconds=100)
    assert (result.status, result.output.strip().splitlines()[-1:]) == ("ok", [printed]), result


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_needs_processes_names_the_rule(session: Session, attempt: str) -> None:
    result = session.run(REFUSED[attempt])
    assert result.error is not None
    assert "no processes in the sandbox" in result.error.message
