"""Every `OpenSandbox` that the contract holds for: the fake, and a subkernel in each tier that works here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from rlm_magic.engine.ports import OpenSandbox
from rlm_magic.subkernel import Subkernels
from rlm_magic.subkernel.tiers import TIERS, failure
from rlm_magic.testing import fake_open_sandbox

IMPLEMENTATIONS: dict[str, Callable[[], OpenSandbox]] = {
    "fake": fake_open_sandbox,
    **{name: partial(Subkernels, tier=tier) for name, tier in TIERS.items()},
}


@pytest.fixture(params=IMPLEMENTATIONS)
def open_sandbox(request: pytest.FixtureRequest) -> OpenSandbox:
    name: str = request.param
    if name in ("bwrap", "landlock") and failure(name):
        pytest.skip(failure(name))
    return IMPLEMENTATIONS[name]()
