"""A plain IPython with the extension loaded, whose records go to a directory of the test."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

PROVIDER_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "RLM_MODEL", "RLM_SUB_MODEL")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    for name in PROVIDER_KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    atexit.unregister(shell.atexit_operations)
    shell.run_line_magic("load_ext", "rlm_magic")
    shell.run_line_magic("config", f"RLMMagic.runs_dir = {str(tmp_path / 'runs')!r}")
    yield shell
    InteractiveShell.clear_instance()
