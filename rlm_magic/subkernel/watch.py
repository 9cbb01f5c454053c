"""What no limit of the system's own covers: the memory in use, the threads, and what is written to disk. Linux."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .threads import in_thread

MIB = 1024**2
MEMORY_SECONDS = 0.1
DISK_SECONDS = 0.5
DISK_BYTES = 1024 * MIB
DISK_FILES = 20_000
THREADS = 500
# page tables are memory too: reading a huge empty mapping makes nothing else
MEMORY = ("RssAnon", "RssShmem", "VmPTE")
LOOK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_NOATIME", 0)


@dataclass(frozen=True, slots=True)
class Used:
    """Bytes of a process: resident and its own; counted for RLIMIT_DATA."""

    resident: int
    data: int

    def __sub__(self, other: Used) -> Used:
        return Used(self.resident - other.resident, self.data - other.data)


class Memory:
    """The memory of one process: what is bound into it is free, what its code takes besides is limited."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._mapped = 0
        self._base: Used | None = None
        self._taken = Used(0, 0)

    @property
    def resident(self) -> int:
        """Bytes of memory that is this process's own; 0 once it is gone."""
        return _memory(self._pid)[0]

    def mark(self) -> None:
        """Note what the code has taken so far: values are about to be bound."""
        if self._base is not None:
            self._taken = _used(self._pid) - self._base

    def allow(self, memory: int, mapped: int = 0) -> int:
        """Let the code have ``memory`` bytes in all, what was bound since `mark` left out.

        ``mapped``: bytes of it that may become private as they are changed; RLIMIT_DATA has counted them already.
        Returns the resident bytes that the process may have.
        """
        self._mapped += mapped
        now = _used(self._pid)
        self._base = now - self._taken
        if now.data:
            self._limit_data(self._base.data + memory)
        return self._base.resident + memory + self._mapped

    def _limit_data(self, size: int) -> None:
        """The hard limit stays, as no process of the user's can raise it again; the filter keeps the code from both."""
        with contextlib.suppress(OSError):
            hard = resource.prlimit(self._pid, resource.RLIMIT_DATA)[1]
            soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
            resource.prlimit(self._pid, resource.RLIMIT_DATA, (soft, hard))


async def overrun(pid: int, memory: int, limit: int, folders: Sequence[Path]) -> str:
    """Wait until a process uses more than it may, and say of what.

    Looks at its memory every 0.1 s and at the disk every 0.5 s: it can go over by what is made in that time.

    Args:
        memory: bytes that its code may take, for the message.
        limit: resident bytes that the process may have.
        folders: where it can write; together, and with files that it has open or mapped but removed, at most 1 GiB in
            20,000 files.
    """
    since_disk = 0.0
    while True:
        await asyncio.sleep(MEMORY_SECONDS)
        used, threads = _memory(pid)
        if used > limit:
            return f"used more than {memory / MIB:,.0f} MiB of memory"
        if threads > THREADS:
            return f"had more than {THREADS} threads"
        since_disk += MEMORY_SECONDS
        if since_disk >= DISK_SECONDS:
            since_disk = 0.0
            if reason := await in_thread(_disk, pid, folders):
                return reason


def _used(pid: int) -> Used:
    return Used(_memory(pid)[0], _data_size(pid))


def _data_size(pid: int) -> int:
    """Bytes that count for RLIMIT_DATA."""
    with contextlib.suppress(OSError):
        return int(_told(pid)[1]["VmData"].split()[0]) * 1024
    return 0


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of memory that is this process's own, and threads; zeros once it is gone."""
    with contextlib.suppress(OSError):
        status = _told(pid)[1]
        return sum(int(status[name].split()[0]) for name in MEMORY) * 1024, int(status["Threads"])
    return 0, 0


def _told(pid: int) -> tuple[Path, dict[str, str]]:
    """Where /proc tells of a process, and its status: at its main thread, or at another one once that has ended.

    Raises:
        OSError: it is gone.
    """
    for folder in _threads(Path(f"/proc/{pid}")):
        lines = (folder / "status").read_text(errors="replace").splitlines()
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "RssAnon" in status:
            return folder, status
    raise ProcessLookupError(f"process {pid} is gone")


def _threads(process: Path) -> Iterator[Path]:
    yield process
    yield from (process / "task").iterdir()


def _disk(pid: int, folders: Sequence[Path]) -> str:
    """What it has on the disk that it may not; empty if nothing. No more is counted than decides."""
    size, files = sum(_open_but_removed(pid)) + sum(_mapped_but_removed(pid)), 0
    try:
        for status in _below(folders):
            size, files = size + status.st_blocks * 512, files + 1
            if size > DISK_BYTES or files > DISK_FILES:
                break
    except OSError as error:
        return f"made a folder that cannot be looked into ({error.strerror})"
    over = size > DISK_BYTES or files > DISK_FILES
    return f"wrote more than {DISK_BYTES / MIB:,.0f} MiB or {DISK_FILES:,} files" if over else ""


def _below(folders: Sequence[Path]) -> Iterator[os.stat_result]:
    """Everything in these folders.

    Raises:
        OSError: one of them is too deep to be named, or of a mode that keeps its owner out.
    """
    waiting = list(map(os.fspath, folders))
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it was moved or removed meanwhile
            for name, status in _entries(folder):
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(os.path.join(folder, name))
                yield status


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """What is in a folder; no time of it tells the code below that it was looked at."""
    descriptor = os.open(folder, LOOK)
    try:
        with os.scandir(descriptor) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):
                    yield entry.name, entry.stat(follow_symlinks=False)
    finally:
        os.close(descriptor)


def _open_but_removed(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        folder = _told(pid)[0] / "fd"
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                status = os.stat(folder / name)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    yield status.st_blocks * 512


def _mapped_but_removed(pid: int) -> Iterator[int]:
    """The span of each mapping of such a file: what is behind it cannot be asked for."""
    with contextlib.suppress(OSError):
        for line in (_told(pid)[0] / "maps").read_text(errors="replace").splitlines():
            if line.endswith(" (deleted)"):
                start, end = line.partition(" ")[0].split("-")
                yield int(end, 16) - int(start, 16)
