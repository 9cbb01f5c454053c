"""Where the records of runs live: one file each, ``ID.rlm.jsonl``, in one directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from ..engine.errors import InputError
from ..guest.show import printable
from .reader import is_event, open_record, parse_line

SUFFIX = ".rlm.jsonl"
TIMESTAMP = "%Y%m%d-%H%M%S"
HEAD = 1024**2  # bytes; the first line holds the question and the cards of the variables
TAIL = 64 * 1024  # bytes; the last line is short
SHOWN_QUERY = 60  # characters
SHOWN_IDS = 3


@dataclass(frozen=True)
class RecordedRun:
    """One record, as its first and last line tell.

    Attributes:
        query: the question; empty if the record is damaged at its beginning.
        status: answered, forced, stopped, limit or failed; "running", or "interrupted" if its process is gone.
        when: start of the run, local time.
    """

    id: str
    path: Path
    query: str
    status: str
    when: datetime

    @cached_property
    def cost(self) -> float | None:
        """US dollars; None if a price is unknown. Reads through the record, without its bodies."""
        return _cost(self.path)

    def __str__(self) -> str:
        cost = "—" if self.cost is None else f"${self.cost:.2f}"
        query = printable(" ".join(self.query.split()))
        query = query if len(query) <= SHOWN_QUERY else f"{query[: SHOWN_QUERY - 1]}…"
        return f"{self.id}  {self.status:<11}  {cost:>7}  {query}"


class Runs:
    """The recorded runs of a directory; None: ``rlm_magic/runs`` in Jupyter's data directory."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self.directory = Path(directory).expanduser() if directory else Path(jupyter_data_dir(), "rlm_magic", "runs")

    def new_id(self) -> str:
        """A name for a run that starts now, such as "20261121-091502-a3f2"; names sort by time.

        The last four digits are the fraction of the second.
        """
        while True:
            now = time.time()
            run_id = f"{time.strftime(TIMESTAMP, time.localtime(now))}-{int(now % 1 * 16**4):04x}"
            if not self.path(run_id).exists():
                return run_id

    def path(self, run_id: str) -> Path:
        return self.directory / f"{run_id}{SUFFIX}"

    def list(self) -> list[RecordedRun]:
        """Newest first; empty if there is no directory yet."""
        return [_recorded(path) for path in self._paths()]

    def find(self, name: str = "last") -> Path:
        """The record of the run whose id is, or begins with, ``name``; "last" is the newest.

        Raises:
            InputError: there is none, or more than one.
        """
        paths = self._paths()
        ids = {_id(path): path for path in paths}
        if not ids:
            raise InputError(f"no runs are recorded in {self.directory}")
        if name in ids:
            return ids[name]
        found = paths[:1] if name == "last" else [path for id_, path in ids.items() if id_.startswith(name)]
        if len(found) != 1:
            raise InputError(_not_one(name, list(ids), [_id(path) for path in found]))
        return found[0]

    def forget(self, name: str) -> dict[str, int]:
        """Delete the record that `find` gives, or with "all" every one but those of runs under way.

        Returns:
            the bytes that each took, by ID.

        Raises:
            InputError: there is no such record, its run is under way, or some cannot be deleted; the others are.
        """
        paths = [path for path in self._paths() if not is_live(path)] if name == "all" else [self._ended(name)]
        sizes: dict[str, int] = {}
        left: dict[str, str] = {}
        for path in paths:
            try:
                sizes[_id(path)] = _delete(path)
            except OSError as error:
                left[_id(path)] = str(error.strerror)
        if left:
            raise InputError(_undeleted(self.directory, left, len(sizes)))
        return sizes

    def _ended(self, name: str) -> Path:
        path = self.find(name)
        if is_live(path):
            raise InputError(f"run {_id(path)} is under way: %rlm stop {_id(path)} ends it")
        return path

    def _paths(self) -> list[Path]:
        try:
            names = [name for name in os.listdir(self.directory) if name.endswith(SUFFIX)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"the recorded runs in {self.directory} cannot be listed: {error.strerror}") from None
        return [self.directory / name for name in sorted(names, reverse=True)]


def _not_one(name: str, ids: list[str], found: list[str]) -> str:
    if found:
        return f"{name!r} begins the names of {len(found)} runs ({', '.join(found[:3])}): give more of it"
    near = get_close_matches(name, ids, n=3, cutoff=0) or ids[:1]
    return f"no recorded run is named {name!r}; the nearest are {', '.join(near)}"


def _id(path: Path) -> str:
    return path.name.removesuffix(SUFFIX)


def _delete(path: Path) -> int:
    size = path.stat().st_size
    path.unlink()
    return size


def _undeleted(directory: Path, left: Mapping[str, str], deleted: int) -> str:
    """Why some records are ``left``, by ID, and what became of the others."""
    more = f" and {len(left) - SHOWN_IDS:,} more" if len(left) > SHOWN_IDS else ""
    named, why = ", ".join(list(left)[:SHOWN_IDS]) + more, " or ".join(sorted(set(left.values())))
    others = f"; {deleted:,} others are deleted" if deleted else ""
    return f"{named} cannot be deleted from {directory}: {why}{others}"


def _recorded(path: Path) -> RecordedRun:
    first, last = _ends(path)
    header: dict[str, Any] = first["data"] if first.get("type") == "open" else {}
    return RecordedRun(_id(path), path, str(header.get("query", "")), _status(path, last), _when(path))


def _ends(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first and the last event; empty where there is none to read."""
    try:
        with open_record(path) as file:
            first = parse_line(file.readline(HEAD))
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            last = parse_line(file.readlines()[-1:][0]) if first else None
    except OSError:
        return {}, {}
    return _event(first), _event(last)


def _event(wire: dict[str, Any] | None) -> dict[str, Any]:
    return wire if wire is not None and is_event(wire) else {}


def _status(path: Path, last: dict[str, Any]) -> str:
    if last.get("node") == "0" and last.get("type") == "close":
        return str(last["data"].get("outcome", last["data"].get("status", "failed")))
    return "running" if is_live(path) else "interrupted"


def is_live(path: str | os.PathLike[str]) -> bool:
    """Whether the process that writes this record is there: it holds the file's lock."""
    try:
        with open_record(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _when(path: Path) -> datetime:
    stamp = "-".join(_id(path).split("-")[:2])
    try:
        return datetime.strptime(stamp, TIMESTAMP)
    except ValueError:
        return datetime.fromtimestamp(path.stat().st_mtime)


def _cost(path: Path) -> float | None:
    total = 0.0
    try:
        with open_record(path) as file:
            for line in file:
                if b'"usage":{' in line and b'"type":"body"' not in line[:160]:
                    cost = _priced(_event(parse_line(line)))
                    if cost is None:
                        return None
                    total += cost
    except OSError:
        return None
    return total


def _priced(wire: dict[str, Any]) -> float | None:
    cost = wire.get("data", {}).get("usage", {}).get("cost", 0.0)
    return float(cost) if isinstance(cost, int | float) else None
