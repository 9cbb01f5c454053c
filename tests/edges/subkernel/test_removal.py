"""Whatever the model's code leaves on the disk is removed: deep folders, closed ones; what links point to stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlm_magic.subkernel.removal import remove

DEPTH = 1_500


def nested(folder: Path) -> None:
    """Folders so deep that no path names the last one."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.close(here)


def test_folders_of_any_depth(tmp_path: Path) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    nested(folder)
    remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500])
def test_folders_of_any_mode(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "left"
    for path in (folder / "a" / "b", folder / "c"):
        path.mkdir(parents=True)
        (path / "file").touch()
    for path in (folder / "a" / "b", folder / "a", folder / "c", folder):
        path.chmod(mode)
    remove(folder)
    assert not folder.exists()


def test_what_links_point_to_stays(tmp_path: Path) -> None:
    folder, other = tmp_path / "left", tmp_path / "other"
    (folder / "a").mkdir(parents=True)
    other.mkdir(mode=0o500)
    (folder / "a" / "link").symlink_to(other)
    (folder / "link").symlink_to(other)
    remove(folder)
    remove(tmp_path / "nothing")
    assert not folder.exists()
    assert other.stat().st_mode & 0o777 == 0o500
