"""Every `OpenSandbox` that the contract holds for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rlm_magic.engine.ports import OpenSandbox
from rlm_magic.subkernel import Subkernels
from rlm_magic.testing import fake_open_sandbox

IMPLEMENTATIONS: dict[str, Callable[[], OpenSandbox]] = {"fake": fake_open_sandbox, "subkernel": Subkernels}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def open_sandbox(request: pytest.FixtureRequest) -> OpenSandbox:
    return IMPLEMENTATIONS[request.param]()
