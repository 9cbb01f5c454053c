"""Most tests of a module share one subkernel, in the strongest tier; the other tiers are slow tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from rlm_magic.subkernel import Tier
from rlm_magic.subkernel.tiers import TIERS

from ...subkernels import Session, opened, tiers


@pytest.fixture(scope="module", params=[*tiers(sampled=True), pytest.param("none", marks=pytest.mark.slow)])
def tier(request: pytest.FixtureRequest) -> Tier:
    return TIERS[request.param]


@pytest.fixture(scope="module")
def session(tier: Tier) -> Iterator[Session]:
    with opened(tier=tier) as session:
        yield session


@pytest.fixture
def open_session() -> Callable[..., AbstractContextManager[Session]]:
    return opened
