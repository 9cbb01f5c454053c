"""Print the versions of everything that this project's extras pull in, as installed here, for constraints.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

PROJECT = "rlm_magic"
EXTRAS = ("lab", "arrow", "test", "dev")
BUILD = ("hatchling", "editables")


def needed(name: str, extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The packages that one package asks for here, each with the extras it asks for."""
    for text in requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement.name, tuple(sorted(requirement.extras))


def closure() -> set[str]:
    """The names of everything that is needed, directly or not."""
    todo = [(PROJECT, EXTRAS), *((name, ()) for name in BUILD)]
    seen = set(todo)
    while todo:
        for found in needed(*todo.pop()):
            if found not in seen and is_installed(found[0]):
                seen.add(found)
                todo.append(found)
    return {normal(name) for name, _ in seen} - {normal(PROJECT)}


def is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    print("# Versions that are tested together. Made by scripts/constraints.py; do not edit.")
    for name in sorted(closure()):
        print(f"{name}=={version(name)}")


if __name__ == "__main__":
    main()
