"""Every `OpenSandbox` that the contract holds for: the fake, and a subkernel in each tier that works here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from rlm_magic.engine.ports import OpenSandbox
from rlm_magic.subkernel import Subkernels
from rlm_magic.subkernel.tiers import TIERS, failure
from rlm_magic.testing import fake_open_sandbox

IMPLEMENTATIONS: dict[str, Callable[..., OpenSandbox]] = {
    "fake": fake_open_sandbox,
    **{name: partial(Subkernels, tier=tier) for name, tier in TIERS.items()},
}


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Callable[..., OpenSandbox]:
    name: str = request.param
    if name in ("bwrap", "landlock") and failure(name):
        pytest.skip(failure(name))
    return IMPLEMENTATIONS[name]


@pytest.fixture
def open_sandbox(implementation: Callable[..., OpenSandbox]) -> OpenSandbox:
    return implementation()


@pytest.fixture
def open_with_tools(implementation: Callable[..., OpenSandbox]) -> OpenSandbox:
    """One whose code may call the functions ``tool`` and ``bad``."""
    return implementation(tools=("tool", "bad"))
