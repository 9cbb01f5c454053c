"""How a subkernel is confined: bubblewrap and seccomp, Landlock and seccomp, or not at all.

Each tier is tried for real before it counts: a program is started under its profile and tries what must not be. The
mounts or the allow-list decide about files, the seccomp filter (`rlm_magic.guest.seccomp`) about everything else.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ..engine.errors import InputError
from ..guest import seccomp
from ..guest.names import PARENT_VARIABLE, PLAN_VARIABLE
from .rundir import Place
from .specs import GUEST

MIB = 1024**2
LIMITS = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 1024 * MIB, "RLIMIT_NOFILE": 1024}
PROBE_SECONDS = 20

# What programs need, of the system and of each folder that a Python is installed in; what does not exist is left out.
# Not the folders as a whole: a pip.conf there may hold the password of a package index.
SYSTEM = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives", "/nix/store")
INFORMATION = ("/proc/cpuinfo", "/proc/meminfo")
ROOTS = ("/lib", "/lib32", "/lib64", "/bin")
PARTS = ("bin", "lib", "lib32", "lib64", "libexec", "share", "include", "ssl", "etc/fonts", "pyvenv.cfg")
DEVICES = ("/dev/null", "/dev/urandom", "/dev/random")


RULES = (
    "The session has no network and starts no processes (no `!command`, subprocess, multiprocessing, pip install); "
    "threads work."
)


@dataclass(frozen=True)
class Room:
    """What one subkernel may touch: its place, the Python that it runs, the files and folders that the user bound."""

    place: Place
    python: tuple[str, ...]
    bound: tuple[str, ...] = ()

    @property
    def readable(self) -> tuple[str, ...]:
        return (*self.python, str(GUEST), *self.bound, str(self.place.directory))

    @property
    def writable(self) -> tuple[str, ...]:
        return tuple(map(str, self.place.writable))


class Tier(Protocol):
    """One way to confine a subkernel. ``words`` are for the user, ``rules`` for the model."""

    @property
    def words(self) -> str: ...
    @property
    def rules(self) -> str: ...

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        """The command that runs another one confined."""
        ...

    def plan(self, room: Room) -> dict[str, Any] | None:
        """What the guest does to itself; see `rlm_magic.guest.confine`. None: nothing."""
        ...


class Unconfined:
    words = "not confined"
    rules = ""

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        return list(command)

    def plan(self, room: Room) -> dict[str, Any] | None:
        return None


class Bubblewrap:
    """Namespaces and mounts of its own, from the system's bubblewrap.

    There is no /proc: through it the code could write to the memory of bubblewrap's own process, which no filter binds.
    Nor is there any file system in memory, whose size and number of files would have to be watched from inside.
    """

    words = "confined by bubblewrap and seccomp"
    rules = RULES

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        program = shutil.which("bwrap") or "bwrap"
        return [program, *_namespaces(), *_mounts(room), "--remount-ro", "/", "--", *command]

    def plan(self, room: Room) -> dict[str, Any] | None:
        return {"limits": LIMITS, "landlock": None, "door": True}


class Landlock:
    """Where namespaces are refused: an allow-list of files, from the kernel."""

    words = "confined by Landlock and seccomp"
    rules = RULES

    def wrap(self, command: Sequence[str], room: Room) -> list[str]:
        return list(command)

    def plan(self, room: Room) -> dict[str, Any] | None:
        access = {
            "readable": [*SYSTEM, *INFORMATION, *ROOTS, *_control_groups(), *room.readable],
            "writable": list(room.writable),
            "files": list(DEVICES),
        }
        return {"limits": LIMITS, "landlock": access, "door": True}


def _control_groups() -> list[str]:
    """Files that say how much processor and memory this process and what it starts may have; see cgroups(7).

    Landlock hides no file's existence, and DuckDB aborts the process where one of these is there and cannot be read.
    """
    names = ("cpu.max", "memory.max", "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes")
    own, top = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
    files = [own]
    for line in own.read_text().splitlines() if os.access(own, os.R_OK) else ():
        _, controllers, path = line.split(":", 2)
        group = top / controllers / path.lstrip("/")
        files += [folder / name for folder in (group, *group.parents) if folder.is_relative_to(top) for name in names]
    return [str(file) for file in files if os.access(file, os.R_OK)]  # asking by exists() raises below a closed folder


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
    raise InputError(
        f"the model's code cannot be confined here ({reasons}): --sandbox none, in Python sandbox='none', "
        "runs it with your rights"
    )


def failure(name: str) -> str:
    """Why a tier does not work here; empty if it does. Tried until it works once; about a tenth of a second."""
    if name not in _works:
        reason = _failure(name)
        if reason:
            return reason
        _works.add(name)
    return ""


_works: set[str] = set()


def _failure(name: str) -> str:
    if not seccomp.supported():
        return f"not on {platform.system()} {platform.machine()}"
    if name == "bwrap" and shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    with tempfile.TemporaryDirectory(prefix="rlmp-") as folder:
        place = Place(Path(os.path.realpath(folder), "1"))
        place.make()
        canary = Path(folder, "canary")
        canary.touch()
        return _try(TIERS[name], Room(place, installation(sys.executable)), canary)


def _try(tier: Tier, room: Room, canary: Path) -> str:
    command = tier.wrap([sys.executable, "-I", str(GUEST), "--probe", str(canary)], room)
    environment = {"PATH": os.environ.get("PATH", os.defpath), PLAN_VARIABLE: json.dumps(tier.plan(room))}
    try:
        done = subprocess.run(
            command, env=environment, cwd=room.place.work, capture_output=True, text=True, timeout=PROBE_SECONDS
        )
        through = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return str(error)
    if through is None:
        return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
    return f"it could {', '.join(through)}" if through else ""


@cache
def installation(python: str) -> tuple[str, ...]:
    """The files and folders that a Python needs of where it is installed.

    Raises:
        InputError: it cannot be run.
    """
    code = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix]))"
    try:
        done = subprocess.run([python, "-Ic", code], capture_output=True, text=True, check=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"the Python {python} cannot be run: {error}") from None
    prefixes = {form for path in json.loads(done.stdout) for form in (path, os.path.realpath(path))}
    found = [os.path.join(prefix, part) for prefix in ("/usr", "/usr/local", *sorted(prefixes)) for part in PARTS]
    if python == sys.executable and site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    program = shutil.which(python) or python
    if not any(Path(program).is_relative_to(path) for path in found):
        found.append(program)  # a link or a script that starts it
    return tuple(path for path in dict.fromkeys(found) if os.path.exists(path))


def _namespaces() -> list[str]:
    own = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    # the parent's number means nothing in there; bubblewrap itself ends the kernel with its parent
    return [*own, "--cap-drop", "ALL", "--hostname", "rlm", "--unsetenv", PARENT_VARIABLE]


def _mounts(room: Room) -> list[str]:
    options = [option for path in (*SYSTEM, *INFORMATION) for option in ("--ro-bind-try", path, path)]
    for path in DEVICES:
        options += ["--dev-bind", path, path]
    for root in filter(os.path.exists, ROOTS):
        options += ["--symlink", os.readlink(root), root] if os.path.islink(root) else ["--ro-bind", root, root]
    for path in room.readable:
        options += ["--ro-bind", path, path]
    for path in room.writable:
        options += ["--bind", path, path]
    return [*options, "--chdir", str(room.place.work)]
