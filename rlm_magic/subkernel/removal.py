"""Removing what the model's code left behind, nested as deep and of whatever modes it likes."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path) -> None:
    """Remove a directory with all that is in it; what cannot be removed stays. No link is followed. Blocks."""
    if hasattr(os, "O_PATH"):
        with contextlib.suppress(OSError):
            _flatten(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _flatten(top: Path) -> None:
    """Move what is nested up, so that no path is too long and nothing recurses; make every directory readable."""
    with _opened(os.fspath(top)) as above:
        waiting = _folders(above)
        while waiting:
            with _opened(waiting.pop(), above) as below:
                for name in _folders(below):
                    with _opened(name, below):
                        waiting.append(uuid4().hex)
                        os.rename(name, waiting[-1], src_dir_fd=below, dst_dir_fd=above)


@contextlib.contextmanager
def _opened(name: str, above: int | None = None) -> Generator[int]:
    """A directory open for reading, which its owner may change from now on."""
    path = os.open(name, FOLDER | os.O_PATH, dir_fd=above)
    try:
        link = f"/proc/self/fd/{path}"
        os.chmod(link, 0o700)
        descriptor = os.open(link, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _folders(descriptor: int) -> list[str]:
    with os.scandir(descriptor) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
