"""A private directory on disk for as long as this process lives."""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO

from ..engine.errors import BindingError

PREFIX = "rlm-values-"
# Bytes left free on the disk beside a value, for everything else that writes there.
SPARE = 64 * 1024**2
# Seconds in which a new directory may not be locked yet.
_YOUNG = 60
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP)


class PrivateFolder:
    """A directory (0700) of files (0600), made at first use and removed at exit.

    It is locked for life: cleaners of temporary files leave a locked directory alone, and a directory that is not
    locked belonged to a process that was killed, so the next one removes it. Usable from any thread. A forked child
    gets a directory of its own and leaves the parent's alone.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or _disk_backed()
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._path: Path | None = None
        self._lock = -1
        self._owner = -1

    @property
    def path(self) -> Path:
        """Where it is; made now if it is not there.

        Raises:
            OSError: it cannot be made.
        """
        with self._guard:
            if self._path is None or self._owner != os.getpid() or not self._path.exists():
                self._path, self._lock = _make(self._parent)
                self._owner = os.getpid()
                atexit.register(self.close)
            return self._path

    def write(self, fill: Callable[[BinaryIO], object], size: int = 0) -> Path:
        """Write a new file with ``fill``; it has its name only when it is whole.

        Args:
            size: bytes that ``fill`` writes at least; reserved before it starts.

        Raises:
            BindingError: the disk is full or cannot be written.
            Exception: whatever ``fill`` raises; nothing is left behind.
        """
        try:
            path = self.path / str(next(self._numbers))
            part = path.with_suffix(".part")
            with _removed_on_failure(part):
                with open(part, "xb", opener=_private) as file:
                    _reserve(file, size)
                    fill(file)
                return part.rename(path)
        except OSError as error:
            raise self._explained(error, size) from error

    def remove(self, path: Path) -> None:
        """Remove one file; no error if it is gone. A forked child removes none of its parent's."""
        if self._owner == os.getpid() and path.parent == self._path:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove it with all files. It can be used again."""
        with self._guard:
            path, self._path = self._path, None
            if path is not None and self._owner == os.getpid():
                shutil.rmtree(path, ignore_errors=True)
                os.close(self._lock)
                atexit.unregister(self.close)

    def _explained(self, error: OSError, size: int) -> BindingError:
        if error.errno not in _FULL:
            return BindingError(f"cannot write a value file below {self._parent}: {error.strerror or error}")
        return BindingError(
            f"no space for a value file below {self._parent}: it needs at least {size + SPARE:,} bytes, "
            f"{free_space(self._parent):,} are free; free some, or set TMPDIR to a directory on a larger disk"
        )


def free_space(folder: Path) -> int:
    """Bytes that this user can still write there."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _reserve(file: BinaryIO, size: int) -> None:
    if size + SPARE > free_space(Path(file.name)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if size and hasattr(os, "posix_fallocate"):  # macOS has none
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise


def _disk_backed() -> Path:
    """Where temporary files go: what the user chose, else a directory that survives a reboot, hence is no memory."""
    persistent = Path("/var/tmp")
    chosen = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return persistent if not chosen and os.access(persistent, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _make(parent: Path) -> tuple[Path, int]:
    _sweep(parent)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = _open_folder(path)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return path, lock


def _sweep(parent: Path) -> None:
    """Remove the directories of this user whose process is gone."""
    for path in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _YOUNG:
                _remove_if_unlocked(path)


def _remove_if_unlocked(path: Path) -> None:
    lock = _open_folder(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Generator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
