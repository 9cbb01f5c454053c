"""How much a database holds, and how it forgets."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..engine.errors import InputError
from .sqlite import WRITE_SECONDS, connect, prepare, transaction


def database_path(directory: Path) -> Path:
    return directory / "replies.sqlite"


@dataclass(frozen=True)
class Contents:
    """How many replies a database holds, and the bytes of its files."""

    replies: int
    size: int


def contents(path: Path) -> Contents:
    """What a database holds; nothing if there is none.

    Raises:
        InputError: it cannot be read.
    """
    if not path.exists():
        return Contents(0, 0)
    with _managed(path) as connection:
        return Contents(_count(connection), _size(path))


def trim(path: Path, size: int) -> Contents:
    """Forget the replies that were not used for longest, until the database takes at most ``size`` bytes.

    Raises:
        InputError: it cannot be read or written.
    """
    if path.exists():
        with _managed(path) as connection:
            trim_rows(connection, size)
            if not _count(connection):
                connection.execute("DELETE FROM models")
            connection.executescript("PRAGMA incremental_vacuum")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return contents(path)


@contextmanager
def _managed(path: Path) -> Generator[sqlite3.Connection]:
    try:
        prepare(path)
        with closing(connect(path, WRITE_SECONDS)) as connection:
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"the kept replies in {path} cannot be read: {error}") from None


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())


def used(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def trim_rows(connection: sqlite3.Connection, size: int) -> None:
    """Forget a tenth at a time."""
    oldest = "SELECT rowid FROM replies ORDER BY used LIMIT ?"
    while used(connection) > size and (left := _count(connection)):
        with transaction(connection):
            connection.execute(f"DELETE FROM replies WHERE rowid IN ({oldest})", (left // 10 + 1,))
