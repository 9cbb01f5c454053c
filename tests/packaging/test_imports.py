"""What import-linter cannot say: the engine and the guest stand on the standard library alone."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

import rlm_magic

PACKAGE = Path(rlm_magic.__file__).parent
KERNEL = {"guest/kernel.py": {"ipykernel", "IPython", "traitlets"}}  # the guest's kernel is an ipykernel
OLDEST_GUEST = (3, 9)


def sources(*parts: str) -> list[str]:
    return [str(path.relative_to(PACKAGE)) for part in parts for path in sorted((PACKAGE / part).rglob("*.py"))]


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("name", sources("engine", "guest"))
def test_engine_and_guest_import_the_standard_library_only(name: str) -> None:
    outside = set(imported(ast.parse((PACKAGE / name).read_text()))) - sys.stdlib_module_names
    assert outside <= KERNEL.get(name, set())


@pytest.mark.parametrize("name", sources("guest"))
def test_the_guest_is_valid_python_3_9(name: str) -> None:
    ast.parse((PACKAGE / name).read_text(), feature_version=OLDEST_GUEST)


def test_every_package_that_is_imported_is_declared() -> None:
    declared = {canonicalize_name(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in requires("rlm_magic") or ()}
    trees = (ast.parse((PACKAGE / name).read_text()) for name in sources("."))
    outside = {name for tree in trees for name in imported(tree)} - sys.stdlib_module_names - {"rlm_magic"}
    distributions = packages_distributions()
    found = {name for name in outside if declared.isdisjoint(map(canonicalize_name, distributions.get(name, [name])))}
    assert found == set()
