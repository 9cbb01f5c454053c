from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_magic.binding import ValueStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ValueStore]:
    """A store whose files lie below ``tmp_path / "values"``."""
    (tmp_path / "values").mkdir()
    store = ValueStore(tmp_path / "values")
    yield store
    store.close()
