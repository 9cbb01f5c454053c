"""The replies of all notebooks, in one SQLite database: ``replies.sqlite`` beside the records of runs.

Any number of processes read and write it at once: readers never wait for a writer (WAL), writers wait for each other on
threads of their own. A run reads on the engine's thread, as a hit takes less than handing it to another thread. What
goes wrong with the database costs replies, never a run.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ..engine.errors import InputError
from ..engine.ports import Kept
from ..engine.types import Completion
from .entry import KeptModel, Redact, completion_fields, completion_of, dump, model_fields, model_of
from .nearest import nearest_of
from .sqlite import DAMAGE, READ_SECONDS, WRITE_SECONDS, code_of, connect, locked, move_aside, prepare, transaction
from .upkeep import trim_rows, used
from .writer import Writer

BOUND = 1_000_000_000  # bytes; beyond that the replies go that were not used for longest
KEPT_SHARE = 0.9  # of the bound, once it was passed
FRESH_SECONDS = 24 * 3600  # a use is noted once a day
NEAR = 200  # replies looked at to name the nearest


class Database:
    """A `ReplyStore` in the database at ``path``.

    Attributes:
        notice: what went wrong with it, one line; empty if nothing did.

    Raises:
        InputError: with ``replay``, it is not there or cannot be read.
    """

    def __init__(self, path: Path, redact: Redact, *, replay: bool = False, bound: int = BOUND) -> None:
        self.notice = ""
        self._path = path
        self._redact = redact
        self._bound = bound
        self._reader: sqlite3.Connection | None = None
        self._usable = True
        self._inode = 0
        self._writer: Writer[Kept | KeptModel | str] = Writer(self._write)
        if replay and not path.exists():
            raise InputError(f"no replies are kept in {path}: --cache on keeps those of a run")
        try:
            self.notice = prepare(path)
            self._inode = path.stat().st_ino
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
        if replay and self.notice:
            raise InputError(self.notice)

    @property
    def name(self) -> str:
        return str(self._path)

    def get(self, key: str) -> Completion | None:
        """See `ReplyStore.get`; about 30 µs."""
        found = self._select("SELECT model, completion, used FROM replies WHERE key = ?", key)
        if not found:
            return None
        model, fields, used = found[0]
        if time.time() - used > FRESH_SECONDS:
            self._writer.put(key)
        return completion_of(model, json.loads(fields))

    def put(self, kept: Kept) -> None:
        """See `ReplyStore.put`."""
        if self._usable:
            self._writer.put(kept)

    def nearest(self, parts: Sequence[str]) -> Kept | None:
        """See `ReplyStore.nearest`."""
        columns = "SELECT key, model, asked, parts, completion, version FROM replies"
        for length in range(len(parts), -1, -1):
            begin = " ".join(parts[:length])
            if rows := self._select(f"{columns} WHERE parts GLOB ? ORDER BY used DESC LIMIT {NEAR}", f"{begin}*"):
                return nearest_of(parts, map(_kept, rows))
        return None

    def model(self, key: str) -> KeptModel | None:
        """The model that was kept under this key."""
        with closing(connect(self._path, READ_SECONDS)) as connection:
            found = connection.execute("SELECT model FROM models WHERE key = ?", (key,)).fetchone()
        return model_of(json.loads(found[0])) if found else None

    def model_names(self) -> list[str]:
        """The models whose replies are kept."""
        with closing(connect(self._path, READ_SECONDS)) as connection:
            return [row[0] for row in connection.execute("SELECT DISTINCT model FROM replies ORDER BY model")]

    def put_model(self, model: KeptModel) -> None:
        if self._usable:
            self._writer.put(model)

    async def close(self) -> None:
        """Wait until all is written."""
        await self._writer.close()
        if self._reader is not None:
            self._reader.close()

    def _select(self, query: str, value: str) -> list[Any]:
        """The rows; none if the database cannot be read."""
        if not self._usable:
            return []
        try:
            if self._reader is None:
                self._reader = connect(self._path, READ_SECONDS)
            return self._reader.execute(query, (value,)).fetchall()
        except (sqlite3.Error, OSError) as error:
            if code_of(error) != sqlite3.SQLITE_BUSY:
                self._failed(error)
            return []

    def _write(self, group: Sequence[Kept | KeptModel | str]) -> None:
        if not self._usable:
            return
        try:
            with closing(connect(self._path, WRITE_SECONDS)) as connection:
                with transaction(connection):
                    for item in group:
                        self._write_one(connection, item)
                if used(connection) > self._bound:
                    trim_rows(connection, int(self._bound * KEPT_SHARE))
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _write_one(self, connection: sqlite3.Connection, item: Kept | KeptModel | str) -> None:
        now = int(time.time())
        if isinstance(item, str):
            connection.execute("UPDATE replies SET used = ? WHERE key = ?", (now, item))
        elif isinstance(item, KeptModel):
            connection.execute("REPLACE INTO models VALUES (?, ?)", (item.key, dump(model_fields(item))))
        else:
            fields = dump(completion_fields(item.completion, self._redact))
            row = (item.key, item.model, item.version, self._redact(item.asked), " ".join(item.parts), fields, now)
            connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _failed(self, error: sqlite3.Error | OSError) -> None:
        """Go on without the database."""
        self._usable = False
        why = self._move_aside() if code_of(error) in DAMAGE else str(error)
        self.notice = self.notice or f"not all replies of this run are kept in {self._path}: {why}"

    def _move_aside(self) -> str:
        """Let the next run begin another database, unless another process did so already."""
        with suppress(OSError), locked(self._path):
            if self._path.stat().st_ino == self._inode:
                return move_aside(self._path)
        return "it was damaged"


def _kept(row: tuple[str, str, str, str, str, str]) -> Kept:
    key, model, asked, parts, completion, version = row
    return Kept(key, model, asked, tuple(parts.split()), completion_of(model, json.loads(completion)), version)
