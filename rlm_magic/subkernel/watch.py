"""What no limit of the system's own covers: the memory in use, the threads, and what is written to disk. Linux."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
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


async def overrun(pid: int, memory: int, mapped: int, folders: Sequence[Path]) -> str:
    """Wait until a process uses more than it may, and say of what.

    Looks at its memory every 0.1 s and at the disk every 0.5 s: it can go over by what is made in that time.

    Args:
        memory: bytes of private memory beyond what it has now.
        mapped: bytes that may become private besides, as bound values are changed.
        folders: where it can write; together, and with files that it has open or mapped but removed, at most 1 GiB in
            20,000 files.
    """
    limit = _memory(pid)[0] + memory + mapped
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
            size, files = await in_thread(_disk, pid, folders)
            if size > DISK_BYTES or files > DISK_FILES:
                return f"wrote more than {DISK_BYTES / MIB:,.0f} MiB or {DISK_FILES:,} files"


def data_size(pid: int) -> int | None:
    """Bytes that count for RLIMIT_DATA; None where that is not known."""
    with contextlib.suppress(OSError, KeyError):
        return int(_status(pid)["VmData"].split()[0]) * 1024
    return None


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of memory that is this process's own, and threads; zeros once it is gone."""
    with contextlib.suppress(OSError, KeyError):
        status = _status(pid)
        return sum(int(status[name].split()[0]) for name in MEMORY) * 1024, int(status["Threads"])
    return 0, 0


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _disk(pid: int, folders: Sequence[Path]) -> tuple[int, int]:
    """Bytes and files; no more is counted than decides."""
    size = sum(_open_but_removed(pid)) + sum(_mapped_but_removed(pid))
    files = 0
    for folder in folders:
        for directory, names, leaves in os.walk(folder):
            files += len(names) + len(leaves)
            for leaf in leaves:
                with contextlib.suppress(OSError):
                    size += os.lstat(os.path.join(directory, leaf)).st_blocks * 512
            if files > DISK_FILES:
                return size, files
    return size, files


def _open_but_removed(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                status = os.stat(f"/proc/{pid}/fd/{name}")
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    yield status.st_blocks * 512


def _mapped_but_removed(pid: int) -> Iterator[int]:
    """The span of each mapping of such a file: what is behind it cannot be asked for."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
            if line.endswith(" (deleted)"):
                start, end = line.partition(" ")[0].split("-")
                yield int(end, 16) - int(start, 16)
