# jupyter_client is typed in part only
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""How a subkernel is launched and ended: the seam where confinement, and later remote kernels, come in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..guest.names import CHANNEL_VARIABLE, PLAN_VARIABLE
from .tiers import Room, Tier

# What a shell, and bubblewrap, add to the number of the signal that killed a program.
SIGNALLED = 128


class SubkernelProvisioner(LocalProvisioner):
    """Launches one ipykernel in its ``room``, confined by a ``tier``, and ends it with everything that it started.

    ``channel`` is the notebook's end of a socketpair, there after the launch. Launch from a thread that lives as
    long as the kernel: the kernel is killed when that thread ends.
    """

    room: Room
    tier: Tier
    channel: socket.socket
    kernel_pid: int
    _kernel_fd = -1

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        self.channel, theirs = socket.socketpair()
        place = self.room.place
        with theirs, place.log.open("wb") as log:
            kwargs["env"][CHANNEL_VARIABLE] = str(theirs.fileno())
            kwargs["env"][PLAN_VARIABLE] = json.dumps(self.tier.plan(self.room))
            kwargs.update(
                cwd=str(place.work),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            return await super().launch_kernel(self.tier.wrap(cmd, self.room), **kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Close the channel too, which nobody has opened if the start was cut off."""
        await super().cleanup(restart)
        if hasattr(self, "channel"):
            self.channel.close()

    def started(self) -> None:
        """Take note of the kernel's own process, which a tier's program may have started; it has no children yet."""
        assert self.process is not None
        self.kernel_pid = _innermost(self.process.pid)
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):
                self._kernel_fd = os.pidfd_open(self.kernel_pid)

    async def send_signal(self, signum: int) -> None:
        """An interrupt is for the kernel alone; what ends it is for its whole group."""
        if signum == signal.SIGINT:
            self.interrupt()
        else:
            self.end(signum)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the kernel's main thread, once that runs Python again."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.kernel_pid, signal.SIGINT)

    def cpu_seconds(self) -> float:
        """Processor time of the main thread so far; 0 where that is not known."""
        if self.process is None or sys.platform != "linux":
            return 0.0
        pid = self.kernel_pid
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def end(self, signum: int = signal.SIGKILL) -> None:
        """Signal the kernel's whole session; from any thread. Nothing happens once it was waited for."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        for pid in _session(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    async def wait(self) -> int | None:
        """Wait for the kernel to die; then what it left behind dies too, before its number can be used again."""
        if self.process is not None and hasattr(os, "pidfd_open"):
            await _readable(os.pidfd_open(self.process.pid))
            self.end()
            if self._kernel_fd >= 0:  # its parent, a tier's program, may die before it
                kernel, self._kernel_fd = self._kernel_fd, -1
                await _readable(kernel)
        return await super().wait()


def end_of(status: int) -> str:
    """How a process with this exit status ended, in words."""
    number = -status if status < 0 else status - SIGNALLED
    if number in set(signal.Signals):
        return f"was killed by {signal.Signals(number).name}"
    return f"exited with status {status}"


def _innermost(pid: int) -> int:
    """The last of a chain of processes of which each started the next."""
    for child in _children(pid):
        return _innermost(child)
    return pid


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:  # not every Linux is built with it
        return [child for child, parent, _ in _processes() if parent == pid]


async def _readable(pidfd: int) -> None:
    """Wait until the process of ``pidfd`` is dead, not yet reaped."""
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.add_reader(pidfd, lambda: gone.done() or gone.set_result(None))
    try:
        await gone
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _session(leader: int) -> list[int]:
    """The processes of a session, where /proc tells: they may have left the leader's group."""
    return [pid for pid, _, session in _processes() if session == leader]


def _processes() -> Iterator[tuple[int, int, int]]:
    """The number, parent and session of each process."""
    if sys.platform != "linux":
        return
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # pid (name) state ppid pgrp session ...; the name may hold anything
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            yield int(entry.name), int(fields[1]), int(fields[3])
