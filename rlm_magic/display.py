"""What a cell shows of its run: the live tree where a frontend can show it, else a line; at the end the record."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display, update_display

from .background import engine
from .engine.errors import InputError
from .result import Result
from .run import Run
from .view import record, status_line

if TYPE_CHECKING:
    from .view.widget import RunView

VIEWS = ("auto", "live", "record")
QUIET_SECONDS = 2.0  # before a line shows
LINE_SECONDS = 0.5  # between two lines
OPEN_SECONDS = 0.5  # before the live view opens: a run of a moment needs none
HELLO_SECONDS = 2.0  # for the live view to answer
SLICE = 0.02
KEPT = 4  # views of runs that have ended
NO_ANSWER = (
    "The live view does not answer while the cell runs: interrupt the kernel to stop the run (twice: at once), "
    "or start it with --bg."
)

_kept: deque[Live] = deque()


class Screen(ABC):
    """Watches a run from the cell that started it."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def watch(self) -> Result:
        """Wait for the run, showing how it goes; see `Run.wait` for what Ctrl-C does."""
        result = self._run.wait(self.tick)
        try:
            self.finish()
        except Exception as error:  # whatever the display meets, the answer is there
            print(f"the run cannot be shown ({error}): %rlm export {result.run_id} FILE writes it", file=sys.stderr)
        return result

    @abstractmethod
    def begin(self) -> None:
        """Show at once what can be shown: the run goes on when the cell has ended."""

    @abstractmethod
    def tick(self) -> None:
        """Called again and again while the run lives."""

    @abstractmethod
    def finish(self) -> None:
        """Show the record."""


class Terminal(Screen):
    """IPython without a frontend: one line after two seconds, at the end the tree as text."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._next = time.monotonic() + QUIET_SECONDS
        self._shown = False

    def begin(self) -> None:
        self._next = float("inf")  # the line would run into what the user types

    def tick(self) -> None:
        now = time.monotonic()
        if now >= self._next and sys.stderr.isatty():
            self._next = now + LINE_SECONDS
            self._shown = True
            print(f"\r\033[K{status_line(self._run.tree)}", end="", file=sys.stderr, flush=True)

    def finish(self) -> None:
        print("\r\033[K" if self._shown else "", end="", file=sys.stderr, flush=True)
        print(record(self._run.tree)["text/plain"])


class Output:
    """An output of a cell that can be changed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.shown = False

    def show(self, bundle: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        change = update_display if self.shown else display
        self.shown = True
        change(bundle, metadata=metadata or {}, raw=True, display_id=self._name)


class Page(Screen):
    """A frontend without the live view: one line after two seconds, which the record replaces."""

    def __init__(self, run: Run, output: Output | None = None) -> None:
        super().__init__(run)
        self._output = output or Output(run.id)
        self._next = time.monotonic() + QUIET_SECONDS
        self._before = ""

    def begin(self) -> None:
        self._show_line()

    def blank(self) -> None:
        self._output.show({"text/plain": ""})

    def say(self, sentence: str) -> None:
        """Put a sentence before the line."""
        self._before = f"{sentence}\n"
        self._show_line()

    def tick(self) -> None:
        if time.monotonic() >= self._next:
            self._show_line()

    def finish(self) -> None:
        self._output.show(record(self._run.tree, run=self._run.id))

    def _show_line(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS
        self._output.show({"text/plain": self._before + status_line(self._run.tree)})


class Live(Screen):
    """The live view. Where JupyterLab has our extension the record replaces it, elsewhere it stands below."""

    def __init__(self, run: Run, *, step: bool = False) -> None:
        super().__init__(run)
        self._output = Output(run.id)
        self._below = Page(run, Output(f"{run.id} below"))
        self._view: RunView | None = None
        self._open_at = time.monotonic() + (0 if step else OPEN_SECONDS)
        self._answer_by = float("inf")
        self._mute = False
        self._below_is_record = False

    def begin(self) -> None:
        self._open()

    def tick(self) -> None:
        now = time.monotonic()
        if self._view is None and now >= self._open_at:
            self._open()
        if self._mute and self._run.feed.answered:
            self._mute = False
            self._below.blank()
        elif self._mute:
            self._below.tick()
        elif now >= self._answer_by and not self._run.feed.answered:
            self._mute = True
            self._below.say(NO_ANSWER)

    def finish(self) -> None:
        feed = self._run.feed
        while not feed.answered and not self._mute and time.monotonic() < self._answer_by < float("inf"):
            time.sleep(SLICE)  # the view of a short run is about to say what it is
        if self._view is None or feed.renderer:
            self._output.show(record(self._run.tree, run=self._run.id))
            _keep(self)
        else:
            self._below.finish()
            self._below_is_record = True

    def close(self) -> None:
        """Let go of the view, which its output does not need any more."""
        engine().call(self._run.feed.close)
        if self._view is not None:
            self._view.close()

    def _open(self) -> None:
        from .view.widget import RunView

        feed = self._run.feed
        self._view = view = RunView(self._receive)
        engine().call(lambda: feed.connect(view.send))
        self._output.show(*view.bundle(f"the run {self._run.id}, in a live view that has ended"))
        self._answer_by = time.monotonic() + HELLO_SECONDS

    def _receive(self, message: Mapping[str, Any]) -> None:
        engine().call(lambda: self._run.feed.receive(message))
        if self._below_is_record and message.get("cmd") == "hello" and message.get("renderer"):
            self._output.show({"text/plain": ""})  # the view was held up to the end of the cell: one record is enough


def _keep(screen: Live) -> None:
    """A page that was loaded again during the run shows the view, not the output that took its place."""
    _kept.append(screen)
    if len(_kept) > KEPT:
        _kept.popleft().close()


def has_live_view(shell: InteractiveShell | None, view: str) -> bool:
    """Whether a run of this cell shows live; headless runs, terminals and Colab show the record alone.

    Raises:
        InputError: ``view`` is "live" and it cannot be.
    """
    if not _has_frontend(shell) or view == "record":
        return False
    missing = _missing()
    if view == "live" and missing:
        raise InputError(f"RLMMagic.view = 'live' cannot be: {missing}")
    return not missing and (view == "live" or "google.colab" not in sys.modules)


def screen_of(shell: InteractiveShell | None, run: Run, *, live: bool, step: bool = False) -> Screen:
    """What shows a run in the cell that runs now."""
    if not hasattr(shell, "kernel"):
        return Terminal(run)
    return Live(run, step=step) if live else Page(run)


def has_audience(shell: InteractiveShell | None) -> bool:
    """Whether somebody may look at what a run leaves: at a frontend, or at a terminal."""
    return _has_frontend(shell) or (not hasattr(shell, "kernel") and sys.stdin.isatty())


def _has_frontend(shell: InteractiveShell | None) -> bool:
    """Whether somebody sits before it: those who run notebooks without a person allow no input."""
    get_parent = getattr(shell, "get_parent", None)
    parent: Any = get_parent() if get_parent else {}
    return bool(parent.get("content", {}).get("allow_stdin"))


def _missing() -> str:
    if find_spec("anywidget") is None:
        return "anywidget is not installed: pip install 'rlm_magic[lab]'"
    if not Path(__file__).with_name("static").joinpath("view.js").exists():
        return "this installation is without the built view: make lab, in the clone, builds it"
    return ""
