"""One session of the model's code: its names, what a cell does to them, and what is told of it."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, Callable, Dict, List, Optional, cast

from . import changes
from .calls import Calls
from .crossing import cross, is_plain
from .failures import failure
from .frames import Frame
from .output import HeadTail, Stream
from .search import Search

MAX_RICH = 16
# bytes as JSON: it shares its frame with the output
MAX_PARTIAL = 2 * 1024**2
MAX_RICH_BYTES = 2 * 1024**2
MAX_HISTORY = 32_000_000
UNTOLD = {"name": "Exception", "message": "(it cannot be shown)", "traceback": ""}


class Session:
    """The state behind the names of the model's code.

    ``names`` is the namespace of the cells; what it holds now is not the model's.
    """

    def __init__(self, names: Dict[str, Any], sources: Dict[str, List[str]], send: Callable[[Frame], None]) -> None:
        self.stream = Stream()
        self._names = names
        self._hidden = dict(names)
        self._sources = sources
        self._send = send
        self._calls: Optional[Calls] = None
        self._bound: Dict[str, object] = {}
        self._search = Search(self._context)
        self._before: Dict[str, object] = {}
        self._answer: Dict[str, Any] = {"content": "", "ready": False}
        self._history: List[str] = []
        self._cell: Optional[str] = None
        self._finish: Optional[Frame] = None
        self._rich = 0
        self._marks: changes.Marks = {}
        self._started = 0.0

    def use(self, calls: Calls) -> None:
        self._calls = calls
        self._hidden.update(calls.tools)

    def bind(self, name: str, value: object) -> None:
        """Give the model's code a variable, and the `context` that follows from all of them."""
        self._bound[name] = value
        self._names[name] = value
        self._before.pop(name, None)  # it must not take memory twice

    def ask_anew(self) -> None:
        """Another question: its answer, outputs and context begin anew, variables stay."""
        for tool in self._calls.tools if self._calls is not None else ():
            self._hidden.pop(tool, None)
            self._names.pop(tool, None)
        for name in ("Final", "context"):
            self._names.pop(name, None)
        self._answer = {"content": "", "ready": False}
        self._history = []
        self._before, self._bound = self._bound, {}

    def keep(self, name: str) -> None:
        """Bind a variable to what it was bound to in the question before."""
        self.bind(name, self._before[name])

    def variables(self) -> List[Dict[str, str]]:
        """The model's variables, each with the name of its type and its size in words; so many at most."""
        return changes.described(self._names, self._hidden)

    def value(self, name: str) -> object:
        """What a name stands for.

        Raises:
            KeyError: nothing.
        """
        return self._names[name]

    def begin(self, cell: str) -> None:
        """Start a cell: every reserved name is as it was given."""
        self._cell = cell
        if self._calls is not None:
            self._calls.cell = cell
        self._finish = None
        self._rich = 0
        self.stream.target = HeadTail()
        self._answer["ready"] = False
        for name, value in self._hidden.items():
            self._names.setdefault(name, value)  # IPython itself fails without some of them
        self._names.update(self._reserved())
        self._marks = changes.marks(self._names, self._hidden)
        self._started = time.monotonic()

    def end(self, error: Optional[BaseException]) -> None:
        """Tell the notebook what the cell did; each part stands alone, as any of them may meet hostile values."""
        frame: Frame = {"type": "result", "cell": self._cell, "seconds": time.monotonic() - self._started}
        frame["error"] = None if error is None else self._guarded(lambda: failure(error, self._sources), UNTOLD)
        try:
            self._submit_answer()
        except Exception as refused:
            frame["error"] = frame["error"] or failure(refused, self._sources)
        frame["partial"] = self._guarded(self._partial, None)
        frame["changes"] = self._guarded(lambda: changes.changes(self._marks, self._names, self._hidden), [])
        target = self.stream.target
        frame.update(output=target.text(), output_chars=target.chars)
        self._remember(frame["output"])
        if self._finish is not None:
            self._send(self._finish)
        self._send(frame)

    def abandon(self) -> None:
        """End a cell whose result could not be told in full, because it was interrupted again."""
        error = {"name": "KeyboardInterrupt", "message": "interrupted", "traceback": ""}
        self._send({"type": "result", "cell": self._cell, "error": error, "output": "", "output_chars": 0})

    def show(self, data: Dict[str, Any]) -> None:
        """Take what ``display`` or a last expression shows: the text to the output, the rest for the trace."""
        plain = data.get("text/plain")
        if isinstance(plain, str):
            self.stream.write(plain + "\n")
        rich = {kind: _mime(value) for kind, value in data.items() if kind != "text/plain"}
        if rich and self._cell is not None:
            self._keep({**rich, "text/plain": str(plain or "")[:1000]})

    def _keep(self, data: Dict[str, str]) -> None:
        self._rich += 1
        if self._rich > MAX_RICH or sum(map(len, data.values())) > MAX_RICH_BYTES:
            self.stream.write("[a display was left out: too many or too large]\n")
            return
        self._send({"type": "rich", "cell": self._cell, "data": data})

    def _reserved(self) -> Dict[str, object]:
        reserved: Dict[str, object] = {
            "answer": self._answer,
            "history": list(self._history),
            "FINAL": self._final,
            "FINAL_VAR": self._final_var,
            "SHOW_VARS": self._show_vars,
            "context": self._context(),
            "search": self._search.search,
        }
        if self._calls is not None:
            reserved.update(self._calls.names())
        return reserved

    def _context(self) -> object:
        if "context" in self._bound:
            return self._bound["context"]
        if len(self._bound) == 1:
            return next(iter(self._bound.values()))
        return dict(self._bound) or None

    def _final(self, value: object) -> None:
        """Submit the answer."""
        self._accept("FINAL", value)

    def _final_var(self, name: str) -> None:
        """Submit the variable of this name as the answer."""
        if name not in self._names:
            raise NameError(f"FINAL_VAR: there is no variable {name!r}")
        self._accept("FINAL_VAR", self._names[name])

    def _show_vars(self) -> str:
        """Your variables, each with type and size."""
        rows = [
            f"{name}: {type(value).__name__} ({changes.size(value)})"
            for name, value in changes.own(self._names, self._hidden)
        ]
        return "\n".join(rows)

    def _accept(self, via: str, value: object) -> None:
        if self._finish is None:
            crossed, notice = cross(value)
            self._finish = {"type": "finish", "cell": self._cell, "via": via, "value": crossed, "notice": notice}

    def _submit_answer(self) -> None:
        """The forms that count when the cell ends."""
        answer = self._names.get("answer")
        if isinstance(answer, dict) and answer is not self._answer:
            self._answer.update(cast(Dict[str, Any], answer))
        if self._answer.get("ready"):
            self._accept("answer", self._answer.get("content"))
        if "Final" in self._names and is_plain(self._names["Final"]):
            self._accept("Final", self._names.pop("Final"))

    def _partial(self) -> Any:
        content = self._answer.get("content")
        if content in ("", None) or self._finish is not None:
            return None
        return cross(content, MAX_PARTIAL)[0]

    def _remember(self, output: str) -> None:
        self._history.append(output)
        total = 0
        for index in range(len(self._history) - 1, -1, -1):
            total += len(self._history[index])
            if total > MAX_HISTORY:
                self._history[index] = "[an old output, not kept]"

    def _guarded(self, part: Callable[[], Any], default: Any) -> Any:
        try:
            return part()
        except Exception:
            return default


def _mime(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
