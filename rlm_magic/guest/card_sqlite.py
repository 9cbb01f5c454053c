"""The card of an SQLite file: its tables and their columns. Reads no rows but to count them; writes nothing.

The file may be hostile. It is opened read-only and never locked, its schema is not trusted (no function or virtual
table that it names is run), and each statement is ended when the time is over.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import sqlite3
import time
from typing import Any, Generator, List, Tuple
from urllib.parse import quote

from .show import listed, show, word

_SECONDS = 0.5
# Instructions of SQLite's machine between two looks at the clock.
_STEPS = 1000
_COUNTED = 1_000_000
_TABLES = 200
_SHOWN = 12
_LENGTH = 100_000
_OPEN = "Open with: sqlite3.connect(f'file:{path}?mode=ro&immutable=1', uri=True)"


def sqlite_lines(path: pathlib.Path) -> List[str]:
    """Lines that describe the content of an SQLite file, damaged or not."""
    try:
        with _opened(path) as database:
            return [*_tables(database), _OPEN, *_pending(path)]
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        return [f"It cannot be read as a database: {show(str(error), 150)}"]


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Generator[sqlite3.Connection, None, None]:
    # immutable: neither locked nor recovered, so that no file appears beside it
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"
    database = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        deadline = time.monotonic() + _SECONDS
        database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        database.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        if hasattr(database, "setlimit"):  # Python 3.11
            database.setlimit(0, _LENGTH)  # SQLITE_LIMIT_LENGTH: of any text, the definition of a table among them
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "query_only = ON"):
            database.execute(f"PRAGMA {pragma}")
        yield database
    finally:
        database.close()


def _tables(database: sqlite3.Connection) -> List[str]:
    query = "SELECT type, name, sql LIKE 'CREATE VIRTUAL%' FROM sqlite_master WHERE type IN ('table', 'view') LIMIT ?"
    found: List[Tuple[Any, Any, Any]] = database.execute(query, (_TABLES,)).fetchall()
    plain = [name for kind, name, virtual in found if kind == "table" and not virtual and not _internal(name)]
    others = [f"{word(name)} ({'virtual table' if virtual else kind})" for kind, name, virtual in found
              if virtual or kind == "view"]  # fmt: skip
    shown = [_table(database, name, 600 // max(min(len(plain), _SHOWN), 1)) for name in plain[:_SHOWN]]
    lines = [f"{len(plain):,} table{'' if len(plain) == 1 else 's'}{':' if plain else ''}", *shown]
    if len(plain) > _SHOWN:
        lines.append(f"Further tables: {listed([word(name) for name in plain[_SHOWN:]], 200)}")
    return [*lines, *([f"Also: {listed(others, 150)}"] if others else [])]


def _internal(name: Any) -> bool:
    return str(name).startswith("sqlite_")


def _table(database: sqlite3.Connection, name: Any, room: int) -> str:
    quoted = '"' + str(name).replace('"', '""') + '"'
    columns = [
        f"{word(column)} {show(kind, 20)[1:-1]}".strip()
        for _, column, kind, *_ in database.execute(f"PRAGMA table_info({quoted})")
    ]
    return f"- {word(name)}, {_rows(database, quoted)}: {listed(columns, max(room, 40))}"


def _rows(database: sqlite3.Connection, quoted: str) -> str:
    try:
        # row by row: SQLite's own way to count is not ended by the progress handler
        query = f"SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT ?)"
        (number,) = database.execute(query, (_COUNTED,)).fetchone()
    except sqlite3.Error:  # damaged, or too large to be counted in time
        return "rows not counted"
    return f"{'at least ' if number == _COUNTED else ''}{number:,} row{'' if number == 1 else 's'}"


def _pending(path: pathlib.Path) -> List[str]:
    """A log beside the file holds writes that are not in it yet, and is not handed over."""
    log = f"{path}-wal"
    size = os.path.getsize(log) if os.path.exists(log) else 0
    return [f"{size:,} bytes of its write-ahead log are not seen: run PRAGMA wal_checkpoint first"] if size else []
