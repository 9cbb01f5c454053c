"""The database's file: made, opened, locked, moved aside."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

FORMAT = 1
READ_SECONDS = 0.05  # a reader waits for nobody but a process that repairs the file after a crash
WRITE_SECONDS = 10.0
LOCK_SECONDS = 0.01  # between two attempts

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, model TEXT, version TEXT, asked TEXT, parts TEXT, completion TEXT, used INTEGER
);
CREATE INDEX IF NOT EXISTS by_parts ON replies (parts);
CREATE INDEX IF NOT EXISTS by_use ON replies (used);
CREATE TABLE IF NOT EXISTS models (key TEXT PRIMARY KEY, model TEXT);
PRAGMA user_version = {FORMAT};
COMMIT;
"""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def prepare(path: Path) -> str:
    """Make the database if it is not there; one that is damaged is moved aside first. Returns what is to be said.

    Raises:
        OSError, sqlite3.Error: it cannot be made or read, or is of a newer version.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _is_ready(path):
        return ""
    with locked(path):
        try:
            _open(path)
        except sqlite3.Error as error:
            if code_of(error) not in DAMAGE:
                raise
            said = move_aside(path)
            _open(path)
            return f"the database of kept replies begins anew: {said}"
    return ""


def _is_ready(path: Path) -> bool:
    """Whether it can be used as it is; if not, another look under the lock tells why."""
    try:
        with closing(connect(path, READ_SECONDS)) as connection:
            return connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT
    except sqlite3.Error:
        return False


def _open(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(connect(path, WRITE_SECONDS)) as connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT:
            raise sqlite3.NotSupportedError("it was made by a newer rlm_magic: update rlm_magic")
        if found < FORMAT:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)


def connect(path: Path, seconds: float) -> sqlite3.Connection:
    """Open a database that is there; `transaction` begins transactions."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, timeout=seconds, isolation_level=None, check_same_thread=False, uri=True)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield


@contextmanager
def locked(path: Path) -> Generator[None]:
    """One process at a time makes the database or moves it aside.

    Raises:
        OSError: another did not come to its end with that.
    """
    end = time.monotonic() + WRITE_SECONDS
    with open(os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb") as file:
        while not _lock(file.fileno(), last=time.monotonic() > end):
            time.sleep(LOCK_SECONDS)
        yield


def _lock(fd: int, *, last: bool) -> bool:
    """Try to lock; the last attempt raises."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if last:
            raise
        return False
    return True


def move_aside(path: Path) -> str:
    """Give the file another name; says so."""
    aside = next(name for n in count(1) if not (name := path.with_name(f"{path.name}.damaged-{n}")).exists())
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    return f"it was damaged, and is now {aside}"


def code_of(error: sqlite3.Error | OSError) -> int:
    """The primary result code of an error of SQLite, else 0."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
