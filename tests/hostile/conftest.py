"""Hostile code in each tier that works here. Whatever it does, nothing of it is left afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from rlm_magic.subkernel import Tier
from rlm_magic.subkernel.rundir import run_directory
from rlm_magic.subkernel.tiers import TIERS

from ..subkernels import Session, opened, tiers
from .world import CANARY, World, world

PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    """No process and no directory of a subkernel outlives the tests of a module."""
    before = set(psutil.Process().children(recursive=True))
    yield
    deadline = time.monotonic() + PATIENCE
    while (processes_since(before) or folders()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_since(before)
    assert folders() == []


def processes_since(before: set[psutil.Process]) -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True)) - before


def folders() -> list[str]:
    """Those of sessions that nobody removes: 150,000 files take a busy machine minutes, in the background."""
    if any(thread.name == "rlm-files" for thread in threading.enumerate()):
        return []
    root = run_directory._root
    return [] if root is None else [path.name for path in root.iterdir() if path.name != "lock"]


@pytest.fixture(scope="module", params=tiers(sampled=False))
def tier(request: pytest.FixtureRequest) -> Tier:
    return TIERS[request.param]


@pytest.fixture(scope="module")
def target(nothing_left: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, world(tmp_path_factory.mktemp("home")) as made:
        patch.setenv("OPENAI_API_KEY", CANARY)
        yield made


@pytest.fixture(scope="module")
def session(nothing_left: None, tier: Tier) -> Iterator[Session]:
    with opened(tier=tier) as session:
        yield session
