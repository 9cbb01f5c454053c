"""Nothing that belongs to one machine is committed: no registry's address, no path, no key."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = "notebooks/data/"  # real logs and texts of other people hold any address
REGISTRIES = [
    ".".join(parts) for parts in (("pypi", "org"), ("python" + "hosted", "org"), ("npmjs", "org"), ("yarnpkg", "com"))
]
KEYS = [
    r"\bsk-(?:ant-|proj-)?[A-Za-z0-9]{24,}",
    r"\bAKIA[0-9A-Z]{16}\b",
    r"\bAIza[0-9A-Za-z_-]{35}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    r"\bhf_[A-Za-z0-9]{30,}\b",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
]


def committed() -> Iterator[tuple[str, str]]:
    """Each committed text file: its name and what it holds."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not name.startswith(DATA):
            yield name, path.read_bytes().decode("utf-8", "ignore")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    return dict(committed())


def matches(files: dict[str, str], pattern: str) -> list[str]:
    return [f"{name}: {found.group()}" for name, text in files.items() for found in re.finditer(pattern, text)]


def test_no_file_names_a_package_registry(files: dict[str, str]) -> None:
    assert matches(files, "|".join(map(re.escape, REGISTRIES))) == []


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt", "labextension/yarn.lock"])
def test_locked_versions_have_no_addresses(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


def test_no_file_holds_a_path_of_this_machine(files: dict[str, str]) -> None:
    here = {str(ROOT), str(ROOT.parent / "shared"), sys.base_prefix} - {"/usr", "/usr/local"}
    assert matches(files, "|".join(map(re.escape, here))) == []


@pytest.mark.parametrize("pattern", KEYS)
def test_no_file_holds_a_key(files: dict[str, str], pattern: str) -> None:
    assert matches(files, pattern) == []
