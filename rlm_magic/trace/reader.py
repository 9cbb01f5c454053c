"""Reading a record back. What is damaged is left out and said; an event is whole, or it is not given."""

from __future__ import annotations

import errno
import json
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..engine.errors import InputError
from ..engine.events import BODY_FIELDS, VERSION, Event

HEAD = len(b'{"crc":"0a1b2c3d",')
LONGEST = 256 * 1024**2  # bytes of a line; a body is far smaller
MAX_NUMBER = 2**53
DEEPEST = 200  # levels of the tree; a real run has a few dozen


@dataclass(frozen=True, slots=True)
class Reading:
    """``notice`` is one line on what is missing; empty if nothing is."""

    run_id: str
    events: list[Event]
    notice: str = ""


def read_events(path: str | os.PathLike[str]) -> Reading:
    """Read a record up to its first damaged line.

    Raises:
        InputError: the file cannot be opened, is no record, or was written by a newer version.
    """
    try:
        with open_record(path) as file:
            return _read(Path(path), file)
    except OSError as error:
        raise InputError(f"the record {path} cannot be opened: {error.strerror or type(error).__name__}") from None


def open_record(path: str | os.PathLike[str]) -> IO[bytes]:
    """A record's file. What is no plain file is refused: opening or reading it may take for ever.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Is a directory" if stat.S_ISDIR(mode) else "Not a plain file")
    return open(descriptor, "rb")


def _read(path: Path, file: IO[bytes]) -> Reading:
    order = _Order()
    events: list[Event] = []
    whole, damage = 0, ""
    while not damage and (line := file.readline(LONGEST)):
        wire = parse_line(line)
        if wire is None:
            damage = "is damaged" if line.endswith(b"\n") else "is torn"
            continue
        _refuse_newer(path, wire)
        damage = order.breach(wire)
        if not damage:
            events.append(Event(wire["seq"], wire["t"], wire["type"], wire["node"], wire["data"]))
            whole += len(line)
    left = os.fstat(file.fileno()).st_size - whole
    return Reading(order.run_id, events, _notice(len(events), damage, left))


def _notice(kept: int, damage: str, left: int) -> str:
    if damage:
        return f"the record {damage} after {kept:,} events: its last {left:,} bytes are left out"
    return "" if kept else "the record is empty: the run ended before its first event was written"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The event of one line; None unless the line is whole and its checksum right."""
    if not line.startswith(b'{"crc":"') or not line.endswith(b"\n") or len(line) <= HEAD:
        return None
    body = memoryview(line)[HEAD:-1]
    if line[:HEAD] != b'{"crc":"%08x",' % zlib.crc32(body, zlib.crc32(b"{")):
        return None
    try:
        wire = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", wire) if isinstance(wire, dict) else None


def _refuse_newer(path: Path, wire: Mapping[str, Any]) -> None:
    version = wire.get("v")
    if isinstance(version, int) and version > VERSION:
        raise InputError(
            f"{path} was written by a newer rlm_magic (record version {version}; "
            f"this one reads up to {VERSION}): update rlm_magic"
        )


class _Order:
    """What must hold between the events of a record, so that folding them is safe and gives one tree."""

    def __init__(self) -> None:
        self.run_id = ""
        self._seq = 0
        self._nodes: set[str] = set()

    def breach(self, wire: Mapping[str, Any]) -> str:
        """What is wrong with a line that was written whole; empty if nothing is."""
        if not is_event(wire):
            return "holds something that is no event"
        if self._seq and wire["run"] != self.run_id:
            return "goes over to another run"
        if wire["seq"] != self._seq:
            return f"lacks event {self._seq:,}"
        if wire["type"] == "open" and wire["node"] in self._nodes:
            return "opens a node twice"
        self.run_id = wire["run"]
        self._seq += 1
        if wire["type"] == "open":
            self._nodes.add(wire["node"])
        return ""


def is_event(wire: Mapping[str, Any]) -> bool:
    """Whether a line that was written whole holds an event that can be folded and shown."""
    data = wire.get("data")
    return (
        type(wire.get("seq")) is int
        and _is_number(wire.get("t"))
        and all(isinstance(wire.get(name), str) for name in ("run", "type", "node"))
        and isinstance(data, dict)
        and _is_foldable(wire["type"], wire["node"], cast("dict[str, Any]", data))
    )


def _is_number(value: object) -> bool:
    """A number whose sums can be shown: no infinity, and none that JavaScript would round."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def _is_foldable(type_: str, node: str, data: Mapping[str, Any]) -> bool:
    """An opened node is named below its parent, so that the tree has no cycle."""
    if type_ == "body":
        return isinstance(data.get("sha256"), str) and isinstance(data.get("text"), str)
    if type_ == "open":
        above = node.rpartition(".")[0] or None
        numbered = all(part.isascii() and part.isdecimal() for part in node.split("."))
        placed = data.get("parent") == above and numbered and node.count(".") < DEEPEST
        return placed and isinstance(data.get("kind"), str) and type(data.get("depth", 0)) is int and _has_fields(data)
    return _has_fields(data)


def _has_fields(data: Mapping[str, Any]) -> bool:
    """Whether usage and body fields, where there are any, have their shape."""
    return _is_usage(data) and all(_is_body(data[name]) for name in BODY_FIELDS if name in data)


def _is_body(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_reference(each, "sha256", "preview", "role") for each in cast("list[object]", value))
    return value is None or _is_reference(value, "sha256", "preview")


def _is_reference(value: object, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(cast("dict[str, Any]", value).get(name), str) for name in names)


def _is_usage(data: Mapping[str, Any]) -> bool:
    usage = data.get("usage", {})
    if not isinstance(usage, dict):
        return False
    amounts = cast("dict[str, Any]", usage)
    return all(_is_number(v) or (k == "cost" and v is None) for k, v in amounts.items())
