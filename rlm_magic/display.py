"""What a cell shows of its run: nothing for two seconds, then one line, at the end the recursion tree."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sys
import time
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display, update_display

from .result import Result
from .run import Run
from .view import record, status_line

QUIET_SECONDS = 2.0
LINE_SECONDS = 0.5


class Screen:
    """Watches a run from the cell that started it."""

    def __init__(self, shell: InteractiveShell | None, run: Run) -> None:
        self._run = run
        self._rich = hasattr(shell, "kernel")
        self._next = time.monotonic() + QUIET_SECONDS
        self._shown = False

    def watch(self) -> Result:
        """Wait for the run, showing how it goes; see `Run.wait` for what Ctrl-C does."""
        result = self._run.wait(self._tick)
        self._finish()
        return result

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LINE_SECONDS
            self._show_line(status_line(self._run.tree))

    def _show_line(self, line: str) -> None:
        if self._rich:
            self._show({"text/plain": line})
        elif sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def _finish(self) -> None:
        bundle = record(self._run.tree, run=self._run.id)
        if self._rich:
            self._show(bundle)
        else:
            print("\r\033[K" if self._shown else "", end="", file=sys.stderr, flush=True)
            print(bundle["text/plain"])

    def _show(self, bundle: dict[str, Any]) -> None:
        if self._shown:
            update_display(bundle, raw=True, display_id=self._run.id)
        else:
            display(bundle, raw=True, display_id=self._run.id)
            self._shown = True
