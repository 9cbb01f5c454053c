"""The names that the model's code finds in a `FakeSandbox`, and the running of one cell."""

from __future__ import annotations

import ast
import builtins
import io
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

from .engine.errors import BindingError
from .engine.events import digest
from .engine.types import CellError, CellResult, Change, Finish, Json, SubCall, SubReply, ValueFile, Variable
from .guest.crossing import carry, cross
from .guest.names import RESERVED
from .guest.search import Search
from .guest.texts import text_size

FILE = "<cell>"


class SubCallError(Exception):
    """A single sub-call failed."""


class FailedCall(str):
    """A failed item of a batch."""

    ok = False
    error = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A `Source` that holds its value."""

    value: object
    directory: Path

    def file(self) -> ValueFile:
        if isinstance(self.value, Path):
            return ValueFile(str(self.value), "path", 0)
        if not isinstance(self.value, (str, bytes)):
            raise BindingError(f"{type(self.value).__name__} values are not written by this source: give str or bytes")
        text = isinstance(self.value, str)
        data = self.value.encode("utf-8", "surrogatepass") if isinstance(self.value, str) else self.value
        with tempfile.NamedTemporaryFile(prefix="held-", dir=self.directory, delete=False) as file:
            file.write(data)
        return ValueFile(file.name, "text" if text else "bytes", len(data))


class FakeGuest:
    """One session. ``call`` makes a sub-call and waits; the rest is as in `FakeSandbox`.

    Set ``interrupted`` to raise KeyboardInterrupt at the next line of the cell.
    """

    def __init__(
        self,
        call: Callable[[SubCall], list[SubReply]],
        bound: dict[str, object],
        *,
        recursive: bool,
        window: int,
        tools: Sequence[str] = (),
    ) -> None:
        self._call = call
        self._tools: dict[str, object] = {name: partial(self._tool, name) for name in tools}
        self._recursive = recursive
        self._window = window
        self.interrupted = False
        self._finish: Finish | None = None
        self._answer: dict[str, Any] = {"content": "", "ready": False}
        self._history: list[str] = []
        self._output = io.StringIO()
        self._context = bound.get("context", next(iter(bound.values())) if len(bound) == 1 else dict(bound) or None)
        self._search = Search(lambda: self._context)
        names = {**vars(builtins), "SubCallError": SubCallError, "print": self._print, "input": _no_input}
        self.names: dict[str, Any] = {"__builtins__": names, "__name__": "__main__", **bound}

    def run(self, code: str) -> CellResult:
        """Run one cell on this thread; what the code raises is in the result."""
        self._restore()
        before = {name: (id(value), _size(value)) for name, value in self.names.items()}
        error = None
        try:
            self._execute(code)
        except BaseException as raised:
            error = _cell_error(raised)
        output = self._output.getvalue()
        self._history.append(output)
        finish, partial = self._finished()
        status = "ok" if error is None else "error"
        changes = self._changes(before)
        return CellResult(status, output, len(output), error, changes, finish, partial)

    def timed_out(self, result: CellResult, why: str) -> CellResult:
        """The result of a cell that was interrupted; the session goes on."""
        return replace(result, status="timeout", error=CellError("TimeoutError", why, ""))

    def _restore(self) -> None:
        self.interrupted = False
        self._output = io.StringIO()
        self._finish = None
        self._answer["ready"] = False
        for name in ("llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched"):
            self.names[name] = getattr(self, name)
        self.names.update(
            context=self._context,
            answer=self._answer,
            history=list(self._history),
            FINAL=self._final,
            FINAL_VAR=self._final_var,
            SHOW_VARS=self._show_vars,
            search=self._search.search,
            **self._tools,
        )

    def _execute(self, code: str) -> None:
        module = ast.parse(code, FILE)
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            self._evaluate(module)
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        """Interrupts the model's own lines, and no others."""
        if frame.f_code.co_filename != FILE:
            return None
        if self.interrupted:
            raise KeyboardInterrupt
        return self._trace

    def _evaluate(self, module: ast.Module) -> None:
        last = module.body.pop() if module.body and isinstance(module.body[-1], ast.Expr) else None
        exec(compile(module, FILE, "exec"), self.names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), FILE, "eval"), self.names)
            if value is not None:
                self._print(repr(value))

    def _print(self, *values: object, sep: str = " ", end: str = "\n", file: Any = None, flush: bool = False) -> None:
        print(*values, sep=sep, end=end, file=file or self._output)

    def _finished(self) -> tuple[Finish | None, Json]:
        answer: Any = self.names.get("answer")
        if isinstance(answer, dict) and answer is not self._answer:
            self._answer.update(cast("dict[str, Any]", answer))
        if self._finish is None and self._answer["ready"]:
            self._finish = _finish(self._answer["content"], "answer")
        if self._finish is None and "Final" in self.names:
            self._finish = _finish(self.names.pop("Final"), "Final")
        content = self._answer["content"]
        return self._finish, None if content == "" else cross(content, sys.maxsize)[0]

    def _changes(self, before: dict[str, tuple[int, str]]) -> tuple[Change, ...]:
        return tuple(
            Change(name, type(value).__name__, _size(value), name not in before)
            for name, value in self.names.items()
            if name not in (*RESERVED, *self._tools)
            and not name.startswith("_")
            and before.get(name) != (id(value), _size(value))
        )

    def _final(self, value: object) -> None:
        if self._finish is None:
            self._finish = _finish(value, "FINAL")

    def _final_var(self, name: str) -> None:
        if name not in self.names:
            raise NameError(f"FINAL_VAR: there is no variable {name!r}")
        if self._finish is None:
            self._finish = _finish(self.names[name], "FINAL_VAR")

    def _show_vars(self) -> str:
        own = {k: v for k, v in self.names.items() if k not in (*RESERVED, *self._tools) and not k.startswith("_")}
        return "\n".join(f"{name}: {type(value).__name__} ({_size(value)})" for name, value in own.items())

    def llm_query(self, prompt: str, model: str | None = None) -> str:
        return _one(self._ask("llm", [prompt], [None], model, batch=False))

    def llm_query_batched(self, prompts: Sequence[str], model: str | None = None) -> list[str]:
        return _all(self._ask("llm", prompts, [None] * len(prompts), model, batch=True))

    def rlm_query(self, prompt: str, model: str | None = None, *, context: object = None) -> str:
        return _one(self._ask("rlm", [prompt], [context], model, batch=False))

    def rlm_query_batched(
        self, prompts: Sequence[str], model: str | None = None, *, contexts: Sequence[object] | None = None
    ) -> list[str]:
        if contexts is not None and len(contexts) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts but {len(contexts)} contexts: give one context for each prompt")
        return _all(self._ask("rlm", prompts, contexts or [None] * len(prompts), model, batch=True))

    def _tool(self, name: str, *args: object, **kwargs: object) -> Any:
        try:
            arguments = carry({"args": args, "kwargs": kwargs})
        except ValueError as error:
            raise SubCallError(f"{name} cannot be called with this: {error}") from None
        return json.loads(_one(self._replies(SubCall("tool", (arguments,), (None,), tool=name))))

    def _ask(
        self, op: Any, prompts: Sequence[str], contexts: Sequence[object], model: str | None, *, batch: bool
    ) -> list[SubReply]:
        if isinstance(prompts, str):
            raise TypeError("a batch takes a list of prompts, not one str")
        pairs = [self._with_context(str(p), c) for p, c in zip(prompts, contexts, strict=True)]
        return self._replies(SubCall(op, tuple(p for p, _ in pairs), tuple(c for _, c in pairs), model, batch))

    def _replies(self, call: SubCall) -> list[SubReply]:
        try:
            return self._call(call)
        except CancelledError:
            raise KeyboardInterrupt from None

    def _with_context(self, prompt: str, context: object) -> tuple[str, Variable | None]:
        if context is None:
            return prompt, None
        if self._recursive:
            return prompt, _child_context(context)
        both = f"{prompt}\n\n{context}"
        if len(both) > self._window:
            raise SubCallError(f"prompt and context have {len(both):,} characters; a sub-model takes {self._window:,}")
        return both, None


def _child_context(value: object) -> Variable:
    card = f"{type(value).__name__} ({_size(value)})"
    name = digest(repr(value))
    return Variable("context", card, Held(value, Path()), trusted=False, text_size=text_size(value), digest=name)


def _no_input(prompt: object = "") -> str:
    raise RuntimeError("input() is not available: nobody is there to answer")


def _one(replies: list[SubReply]) -> str:
    if replies[0].error is not None:
        raise SubCallError(replies[0].error)
    return replies[0].text or ""


def _all(replies: list[SubReply]) -> list[str]:
    return [_failed(r.error) if r.error is not None else r.text or "" for r in replies]


def _failed(error: str) -> FailedCall:
    item = FailedCall(f"Error: {error}")
    item.error = error
    return item


def _size(value: object) -> str:
    try:
        return f"{len(value):,} items"  # type: ignore[arg-type]
    except Exception:
        return repr(value)[:40] if isinstance(value, (int, float, bool)) else ""


def _cell_error(raised: BaseException) -> CellError:
    frames = [f for f in traceback.extract_tb(raised.__traceback__) if f.filename == FILE]
    lines = "".join(traceback.format_list(frames))
    last = "".join(traceback.format_exception_only(raised))
    return CellError(type(raised).__name__, str(raised), f"{lines}{last}")


def _finish(value: object, via: Any) -> Finish:
    crossed, notice = cross(value, sys.maxsize)
    return Finish(crossed, via, notice)
