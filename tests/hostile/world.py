"""What hostile code is after: files, a process, listeners and shared memory of the user, made for one test run."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CANARY = "canary-7c1f0b"
IPC_PRIVATE, IPC_CREAT, IPC_RMID = 0, 0o1000, 0


@dataclass
class World:
    """Addresses of what must not be reached; `untouched` says whether it was not."""

    home: Path
    notebook: int
    victim: psutil.Process
    tcp: socket.socket
    udp: socket.socket
    path: socket.socket
    path_datagram: socket.socket
    abstract: socket.socket
    shared_memory: int

    @property
    def secret(self) -> Path:
        return self.home / "id_ed25519"

    def names(self) -> str:
        """Python that gives the hostile code the addresses: it need not find them."""
        values = {
            "home": str(self.home),
            "secret": str(self.secret),
            "notebook": self.notebook,
            "victim": self.victim.pid,
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "path": self.path.getsockname(),
            "path_datagram": self.path_datagram.getsockname(),
            "abstract": self.abstract.getsockname(),
            "shared_memory": self.shared_memory,
        }
        lines = [f"{name} = {value!r}" for name, value in values.items()]
        return "\n".join([*lines, "import ctypes, os, socket", "libc = ctypes.CDLL(None, use_errno=True)"])

    def untouched(self) -> bool:
        status = self.secret.stat()
        return (
            sorted(path.name for path in self.home.iterdir()) == ["datagram", "id_ed25519", "stream"]
            and self.secret.read_text() == CANARY
            and (status.st_mode & 0o777, status.st_mtime) == (0o600, 1e9)
            and self.victim.status() == psutil.STATUS_SLEEPING
            and self.victim.nice() == psutil.Process().nice()
            and self.victim.cpu_affinity() == psutil.Process().cpu_affinity()
            and os.sched_getscheduler(self.victim.pid) == os.SCHED_OTHER
            and not any(map(_reached, (self.tcp, self.udp, self.path, self.path_datagram, self.abstract)))
        )


def _reached(listener: socket.socket) -> bool:
    try:
        listener.recv(1) if listener.type == socket.SOCK_DGRAM else listener.accept()
    except BlockingIOError:
        return False
    return True


@contextmanager
def world(home: Path) -> Iterator[World]:
    libc = ctypes.CDLL(None)
    secret = home / "id_ed25519"
    secret.write_text(CANARY)
    secret.chmod(0o600)
    with suppress(OSError):  # not every file system has them
        os.setxattr(secret, "user.origin", CANARY.encode())
    os.utime(secret, (1e9, 1e9))
    with ExitStack() as exits:
        sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        exits.enter_context(sleeper)
        exits.callback(sleeper.kill)
        segment = libc.shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0o600)
        exits.callback(libc.shmctl, segment, IPC_RMID, None)
        made = World(
            home,
            os.getpid(),
            psutil.Process(sleeper.pid),
            *(exits.enter_context(_listener(*kind)) for kind in _kinds(home)),
            shared_memory=segment,
        )
        # one that a careless launch would hand down
        left_open = os.open(secret, os.O_RDONLY)
        os.set_inheritable(left_open, True)
        exits.callback(os.close, left_open)
        while made.victim.status() != psutil.STATUS_SLEEPING:
            pass
        yield made


def _kinds(home: Path) -> list[tuple[int, int, object]]:
    stream, datagram, unix = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.AF_UNIX
    return [
        (socket.AF_INET, stream, ("127.0.0.1", 0)),
        (socket.AF_INET, datagram, ("127.0.0.1", 0)),
        (unix, stream, str(home / "stream")),
        (unix, datagram, str(home / "datagram")),
        (unix, stream, f"\0rlm-{os.getpid()}"),
    ]


def _listener(family: int, kind: int, address: object) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.bind(address)  # type: ignore[arg-type]
    listener.setblocking(False)
    if kind == socket.SOCK_STREAM:
        listener.listen()
    return listener
