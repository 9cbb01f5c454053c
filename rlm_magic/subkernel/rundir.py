"""Directories of subkernels: short, private, and swept up after a process that was killed.

A session may have left so many files that their removal takes a minute: nobody waits for it but the end of the process.

<temporary directory>/rlmk-xxxxxxxx/    one for each process, 0700, locked for its life
    1/                                  one for each subkernel
        c.json                          connection file
        s/k-1 ... s/k-5                 the kernel's sockets
        r-1                             the first of them as the notebook sees it, see `relay`
        log                             what it wrote while starting
        work/                           its home and working directory
        in/  out/                       values bound; contexts for sub-RLMs
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import itertools
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from ..engine.errors import SandboxError
from ..guest.names import INBOX, OUTBOX
from .removal import remove

PREFIX = "rlmk-"
LOCK = "lock"
# A Unix socket's path holds 107 bytes on Linux, 103 on macOS; the names above take up to 20.
MAX_ROOT = 80


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of one subkernel; see the module."""

    directory: Path

    @property
    def connection_file(self) -> Path:
        return self.directory / "c.json"

    @property
    def sockets(self) -> Path:
        """What the names of the sockets start with."""
        return self.directory / "s" / "k"

    @property
    def relayed(self) -> Path:
        """What the names of the sockets start with that the notebook connects to."""
        return self.directory / "r"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def work(self) -> Path:
        return self.directory / "work"

    @property
    def inbox(self) -> Path:
        return self.directory / INBOX

    @property
    def outbox(self) -> Path:
        return self.directory / OUTBOX

    @property
    def writable(self) -> tuple[Path, ...]:
        """Where the model's code may write."""
        return (self.sockets.parent, self.work, self.outbox)

    def make(self) -> None:
        for directory in (self.directory, self.sockets.parent, self.work, self.inbox, self.outbox):
            directory.mkdir(mode=0o700)

    def remove(self) -> None:
        """Have it removed; returns at once."""
        _behind(remove, self.directory)


class RunDirectory:
    """The places of this process, made at first use and removed at exit. A forked child gets its own."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._root: Path | None = None
        self._owner = -1
        self._lock = -1

    def place(self) -> Place:
        """A new place.

        Raises:
            SandboxError: the temporary directory cannot be used.
        """
        try:
            place = Place(self._own_root() / str(next(self._numbers)))
            place.make()
        except OSError as error:
            raise SandboxError(
                f"no directory for a subkernel: {error}; set TMPDIR to one that can be written"
            ) from error
        return place

    def _own_root(self) -> Path:
        with self._guard:
            if self._root is None or self._owner != os.getpid() or not self._root.exists():
                self._root, self._lock = _make(_parent())
                self._owner = os.getpid()
                atexit.register(self.close)
            return self._root

    def close(self) -> None:
        """Remove everything. It can be used again."""
        with self._guard:
            root, self._root = self._root, None
            if root is not None and self._owner == os.getpid():
                _remove(root)
                os.close(self._lock)
                atexit.unregister(self.close)


def _parent() -> Path:
    """The temporary directory; a disk-backed and short one where the user chose none."""
    chosen = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    candidates = [Path(tempfile.gettempdir())] if chosen else [Path("/var/tmp"), Path(tempfile.gettempdir())]
    candidates.append(Path("/tmp"))
    for directory in map(Path.resolve, candidates):  # what is mounted there is named without links
        if len(os.fsencode(directory)) <= MAX_ROOT and os.access(directory, os.W_OK | os.X_OK):
            return directory
    raise SandboxError(
        f"the temporary directory {candidates[0]} is too long or not writable: set TMPDIR to a short one"
    )


def _make(parent: Path) -> tuple[Path, int]:
    _behind(sweep, parent)
    root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.fstat(lock).st_nlink:
        return root, lock
    os.close(lock)  # another process took it for a stale one before it was locked
    return _make(parent)


def _behind(work: Callable[..., None], *args: object) -> None:
    """Do it on a thread that ends with the process; the next process sweeps up what is left."""
    threading.Thread(target=work, args=args, name="rlm-files", daemon=True).start()


def sweep(parent: Path) -> None:
    """Remove the directories of this user whose process is gone: nobody holds their lock."""
    for root in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if _is_own_directory(root):
                with _locked(root / LOCK):
                    _remove(root)


def _remove(root: Path) -> None:
    """The lock goes last: without it nobody would sweep up what is left if this process dies meanwhile."""
    with contextlib.suppress(OSError):
        for entry in root.iterdir():
            if entry.name != LOCK:
                remove(entry)
    remove(root)


def _is_own_directory(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold a lock that nobody holds. Without the file its process is about to make it.

    Raises:
        OSError: somebody holds it, or it is not there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


run_directory = RunDirectory()
