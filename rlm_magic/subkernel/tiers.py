"""How a subkernel is confined: bubblewrap and seccomp, Landlock and seccomp, or not at all.

Each tier is tried for real before it counts: a program is started under its profile and tries what must not be. The
mounts or the allow-list decide about files, the seccomp filter (`rlm_magic.guest.seccomp`) about everything else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ..engine.errors import InputError
from ..guest.names import PARENT_VARIABLE, PLAN_VARIABLE
from .rundir import Place
from .specs import GUEST

MIB = 1024**2
LIMITS = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 1024 * MIB, "RLIMIT_NOFILE": 1024}
PROBE_SECONDS = 20

# What programs of the system's Python need to run, beside its prefixes; what does not exist is left out.
SYSTEM = ("/usr", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives")
ROOTS = ("lib", "lib32", "lib64", "bin", "sbin")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


@dataclass(frozen=True)
class Room:
    """What one subkernel may touch: its place, the Python that it runs, the files and folders that the user bound."""

    place: Place
    python: tuple[str, ...]
    bound: tuple[str, ...] = ()

    @property
    def readable(self) -> tuple[str, ...]:
        return (*self.python, str(GUEST), *self.bound)

    @property
    def writable(self) -> tuple[str, ...]:
        return tuple(map(str, (self.place.sockets.parent, self.place.work, self.place.outbox)))


class Tier(Protocol):
    """One way to confine a subkernel. ``words`` is for the user."""

    @property
    def words(self) -> str: ...

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        """The command that runs another one confined."""
        ...

    def plan(self, room: Room) -> dict[str, Any] | None:
        """What the guest does to itself; see `rlm_magic.guest.confine`. None: nothing."""
        ...


class Unconfined:
    words = "not confined"

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        return list(command)

    def plan(self, room: Room) -> dict[str, Any] | None:
        return None


class Bubblewrap:
    """Namespaces and mounts of its own, from the system's bubblewrap."""

    words = "confined by bubblewrap and seccomp"

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        return ["bwrap", *_namespaces(), *_system(), *_mounts(room), "--remount-ro", "/", "--", *command]

    def plan(self, room: Room) -> dict[str, Any] | None:
        return {"limits": LIMITS, "landlock": None, "door": True}


class Landlock:
    """Where namespaces are refused: an allow-list of files, from the kernel."""

    words = "confined by Landlock and seccomp"

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        return list(command)

    def plan(self, room: Room) -> dict[str, Any] | None:
        system = (*SYSTEM, *("/" + name for name in ROOTS))
        access = {
            "readable": [*system, *room.readable, str(room.place.directory)],
            "writable": list(room.writable),
            "files": list(DEVICES),
        }
        return {"limits": LIMITS, "landlock": access, "door": True}


TIERS: dict[str, Tier] = {"bwrap": Bubblewrap(), "landlock": Landlock(), "none": Unconfined()}


def choose(name: str) -> Tier:
    """The tier of this name; "auto" is the strongest that works here.

    Raises:
        InputError: it does not work here; the message says why, and what accepts that.
    """
    if name == "none":
        return TIERS["none"]
    candidates = ("bwrap", "landlock") if name == "auto" else (name,)
    for candidate in candidates:
        if not failure(candidate):
            return TIERS[candidate]
    reasons = "; ".join(f"{candidate}: {failure(candidate)}" for candidate in candidates)
    raise InputError(f"the model's code cannot be confined here ({reasons}): --sandbox none runs it with your rights")


@cache
def failure(name: str) -> str:
    """Why a tier does not work here; empty if it does. Tried once in a process, about a tenth of a second."""
    if sys.platform != "linux":
        return f"not on {sys.platform}"
    if name == "bwrap" and shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    with tempfile.TemporaryDirectory(prefix="rlmp-") as folder:
        place = Place(Path(folder, "1"))
        for directory in (place.directory, place.sockets.parent, place.work, place.inbox, place.outbox):
            directory.mkdir()
        canary = Path(folder, "canary")
        canary.touch()
        return _try(TIERS[name], Room(place, prefixes(sys.executable)), canary)


def _try(tier: Tier, room: Room, canary: Path) -> str:
    command = tier.wrap([sys.executable, "-I", str(GUEST), "--probe", str(canary)], room)
    environment = {"PATH": os.environ.get("PATH", os.defpath), PLAN_VARIABLE: json.dumps(tier.plan(room))}
    try:
        done = subprocess.run(
            command, env=environment, cwd=room.place.work, capture_output=True, text=True, timeout=PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
    through = json.loads(done.stdout)
    return f"it could {', '.join(through)}" if through else ""


@cache
def prefixes(python: str) -> tuple[str, ...]:
    """The folders that a Python is installed in.

    Raises:
        InputError: it cannot be run.
    """
    code = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix]))"
    try:
        done = subprocess.run([python, "-Ic", code], capture_output=True, text=True, check=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"the Python {python} cannot be run: {error}") from None
    found = {form for path in json.loads(done.stdout) for form in (path, os.path.realpath(path))}
    return tuple(sorted(path for path in found if not Path(path).is_relative_to("/usr")))


def _namespaces() -> list[str]:
    own = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    # the parent's number means nothing in there; bubblewrap itself ends the kernel with its parent
    return [*own, "--cap-drop", "ALL", "--hostname", "rlm", "--unsetenv", PARENT_VARIABLE]


def _system() -> list[str]:
    options = [option for path in SYSTEM for option in ("--ro-bind-try", path, path)]
    for name in ROOTS:
        root = Path("/", name)
        if root.is_symlink():
            options += ["--symlink", os.readlink(root), str(root)]
        elif root.exists():
            options += ["--ro-bind", str(root), str(root)]
    small = ["--size", str(64 * MIB), "--tmpfs"]
    return [*options, "--dev", "/dev", *small, "/dev/shm", "--remount-ro", "/dev", "--proc", "/proc", *small, "/tmp"]


def _mounts(room: Room) -> list[str]:
    options: list[str] = []
    for path in (*room.readable, str(room.place.directory)):
        options += ["--ro-bind", path, path]
    for path in room.writable:
        options += ["--bind", path, path]
    return options
