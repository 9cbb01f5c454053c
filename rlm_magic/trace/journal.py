"""The record of a run, written as it happens.

A record is a file of JSON lines, one event each, in order and without a gap:

    {"crc":"0a1b2c3d","v":1,"run":"…","seq":0,"t":0.0,"type":"open","node":"0","data":{…}}

``crc`` is the CRC-32, in eight hexadecimal digits, of the line's bytes without ``"crc":"0a1b2c3d",`` and without the
newline; the rest of the line is the event as `Event.as_json` gives it. Everything is ASCII: other characters, lone
surrogates too, are ``\\u`` escapes. Only the file's owner can read it. While the run lives, its process holds the
file's lock (flock); an unfinished record that nobody locks was interrupted.
"""

from __future__ import annotations

import asyncio
import atexit
import errno
import fcntl
import json
import os
import threading
import time
import zlib
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from ..engine.errors import InputError, JournalError
from ..engine.events import Event

SYNC_SECONDS = 0.05
EXIT_SECONDS = 5.0

Done: TypeAlias = "Future[None]"


class FileJournal:
    """A `Journal` in a new file. Its own thread writes, in groups; neither an event loop nor an executor waits.

    Raises:
        InputError: the file or its directory cannot be made; nothing was run.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.path = path
        self._run = run_id
        self._queue: SimpleQueue[bytes | Done | None] = SimpleQueue()
        self._writer = _Writer(path, _create(path), self._queue)
        self._writer.start()
        atexit.register(self._at_exit)

    def append(self, event: Event) -> None:
        """Take an event; returns at once.

        Raises:
            TypeError, ValueError: a value that JSON cannot hold, which is a mistake of the caller's.
        """
        self._queue.put(line_of(event, self._run))

    async def written(self) -> None:
        """Wait until every event taken so far is with the operating system; the disk has it 50 ms later.

        Raises:
            JournalError: the record could not be written; says what of it is safe.
        """
        done: Done = Future()
        self._queue.put(done)
        await asyncio.wrap_future(done)

    async def close(self) -> None:
        """Write and sync what is left, and end the thread. No event is taken afterwards.

        Raises:
            JournalError: the record could not be written, and no `written` has told so.
        """
        self._queue.put(None)
        atexit.unregister(self._at_exit)
        await asyncio.wrap_future(self._writer.ended)
        self._writer.join()

    def _at_exit(self) -> None:
        self._queue.put(None)
        self._writer.join(EXIT_SECONDS)


def line_of(event: Event, run_id: str) -> bytes:
    """One line of a record."""
    body = json.dumps(event.as_json(run_id), separators=(",", ":"), allow_nan=False).encode("ascii")
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body[1:])


def _create(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InputError(
            f"the record of the run cannot be written to {path.parent} ({why}): "
            "set RLMMagic.runs_dir to a directory that you can write to"
        ) from None
    with suppress(OSError):  # some network filesystems have no locks; a live run then shows as interrupted
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


class _Writer(threading.Thread):
    """Writes what comes through the queue: lines, futures to resolve once the lines before them are written, None."""

    def __init__(self, path: Path, fd: int, queue: SimpleQueue[bytes | Done | None]) -> None:
        super().__init__(name="rlm-journal", daemon=True)
        self.ended: Done = Future()
        self._path = path
        self._fd = fd
        self._queue = queue
        self._events = 0
        self._bytes = 0
        self._sync_at: float | None = None
        self._error: JournalError | None = None
        self._told = False

    def run(self) -> None:
        going = True
        while going:
            group = self._next_group()
            going = None not in group
            self._write([item for item in group if isinstance(item, bytes)])
            for item in group:
                if isinstance(item, Future):
                    self._tell(item)
        self._sync()
        os.close(self._fd)
        self.ended.set_result(None) if self._told else self._tell(self.ended)

    def _next_group(self) -> list[bytes | Done | None]:
        """What is queued now; waits for something unless a sync is due first."""
        wait = None if self._sync_at is None else max(0.0, self._sync_at - time.monotonic())
        try:
            group = [self._queue.get(timeout=wait)]
        except Empty:
            self._sync()
            return []
        while not self._queue.empty():
            group.append(self._queue.get())
        return group

    def _write(self, lines: list[bytes]) -> None:
        if not lines or self._error:
            return
        left = memoryview(b"".join(lines))
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self._fail(error, lines, len(left))
            return
        self._events += len(lines)
        self._bytes += sum(map(len, lines))
        self._sync_at = self._sync_at or time.monotonic() + SYNC_SECONDS

    def _sync(self) -> None:
        self._sync_at = None
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a filesystem that cannot sync
                self._error = self._error or JournalError(self._sentence(error))

    def _fail(self, error: OSError, lines: list[bytes], missing: int) -> None:
        """Keep the whole lines of the group that did get written, cut the torn one."""
        room = sum(map(len, lines)) - missing
        for line in lines:
            if len(line) > room:
                break
            room -= len(line)
            self._events += 1
            self._bytes += len(line)
        with suppress(OSError):
            os.ftruncate(self._fd, self._bytes)
        self._error = JournalError(self._sentence(error))

    def _sentence(self, error: OSError) -> str:
        return (
            f"the record of the run cannot be written ({error.strerror or type(error).__name__}): "
            f"its first {self._events:,} events are kept in {self._path}"
        )

    def _tell(self, waiter: Done) -> None:
        if not waiter.set_running_or_notify_cancel():
            return
        if self._error is None:
            waiter.set_result(None)
        else:
            self._told = True
            waiter.set_exception(self._error)
