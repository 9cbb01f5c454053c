"""The versions that are stated are the versions that are tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = PROJECT["dependencies"]
EVERYTHING = [
    *PROJECT["dependencies"],
    *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
]
PIN = re.compile(r"[a-z0-9-]+==[A-Za-z0-9.!+]+")


def pins(name: str) -> dict[str, Version]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    assert all(PIN.fullmatch(line) for line in lines)
    return {package: Version(version) for package, version in (line.split("==") for line in lines)}


def lowest(requirement: Requirement) -> Version:
    return next(Version(part.version) for part in requirement.specifier if part.operator == ">=")


def test_the_oldest_tested_versions_are_the_lower_bounds() -> None:
    oldest = pins("constraints-oldest.txt")
    bounds = {canonicalize_name(each.name): lowest(each) for each in map(Requirement, RUNTIME)}
    assert {name: oldest[name] for name in bounds} == bounds


def test_the_current_versions_are_allowed() -> None:
    current = pins("constraints.txt")
    for requirement in map(Requirement, EVERYTHING):
        assert current[canonicalize_name(requirement.name)] in requirement.specifier
