"""`llm_query`, `rlm_query` and their kin, and the user's tools: sub-calls from any thread of the model's code."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from concurrent.futures import Future
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .contexts import Outbox, as_text
from .crossing import carry
from .frames import MAX_FRAME, Frame, FrameError, encode

MAX_BATCH = 256 * 1024**2
MAX_ITEMS = 100_000
# room for a frame's other fields, a card among them
MARGIN = 16 * 1024

Item = Tuple[str, Optional[Frame]]


class SubCallError(Exception):
    """A sub-call failed; the message says why."""


class FailedCall(str):
    """The item of a batch whose call failed; ``error`` says why. Items that succeeded are plain strings."""

    ok = False
    error: str

    def __new__(cls, error: str) -> "FailedCall":
        item = super().__new__(cls, "Error: " + error)
        item.error = error
        return item


class Tool:
    """A function of the user's, which runs in the notebook. A failure raises SubCallError."""

    def __init__(self, name: str, call: Callable[[str, str], str]) -> None:
        self.__name__ = name
        self._call = call

    def __call__(self, *args: object, **kwargs: object) -> Any:
        try:
            arguments = carry({"args": args, "kwargs": kwargs})
        except ValueError as error:
            raise SubCallError(f"{self.__name__} cannot be called with this: {error}") from None
        return json.loads(self._call(self.__name__, arguments))

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"


class _Asked(NamedTuple):
    """What a call asks; ``contexts`` is as long as ``prompts``."""

    op: str
    prompts: Sequence[str]
    contexts: Sequence[object]
    model: Optional[str] = None
    batch: bool = False
    tool: str = ""


class _Pending:
    """A call under way: its replies by index, and the future of all of them."""

    def __init__(self, count: int, cell: Optional[str]) -> None:
        self.cell = cell
        self.future: Future[List[Frame]] = Future()
        self._replies: Dict[int, Frame] = {}
        self._count = count

    def reply(self, frame: Frame) -> None:
        self._replies[frame["index"]] = frame
        if len(self._replies) == self._count and not self.future.done():
            self.future.set_result([self._replies[index] for index in range(self._count)])


class Calls:
    """The sub-calls of this process. ``recursive`` and ``window`` are as in `OpenSandbox`; ``tools`` are names."""

    def __init__(
        self,
        send: Callable[[Frame], None],
        outbox: Outbox,
        *,
        recursive: bool,
        window: int,
        tools: Sequence[str] = (),
    ) -> None:
        self._send = send
        self._outbox = outbox
        self.set_up(recursive=recursive, window=window, tools=tools)
        self._ids = itertools.count()
        self._pending: Dict[int, _Pending] = {}
        self._process = os.getpid()
        self.cell: Optional[str] = None

    def set_up(self, *, recursive: bool, window: int, tools: Sequence[str]) -> None:
        """Serve another question, by whatever name the model's code has kept of these functions."""
        self.tools = {name: Tool(name, self._tool) for name in tools}
        self._recursive = recursive
        self._window = window

    def reply(self, frame: Frame) -> None:
        """Take one item's reply; its caller may be gone."""
        pending = self._pending.get(frame["id"])
        if pending is not None:
            pending.reply(frame)

    def over(self, cell: str) -> None:
        """Wake the threads that wait for calls of a cell that has ended."""
        for pending in list(self._pending.values()):
            if pending.cell == cell and not pending.future.done():
                pending.future.set_exception(SubCallError("the cell has ended: wait for sub-calls inside it"))

    def names(self) -> Dict[str, object]:
        """What the model's code sees of this."""
        public = ("llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched", "allm_query", "arlm_query")
        return {
            "SubCallError": SubCallError,
            "FailedCall": FailedCall,
            **{name: getattr(self, name) for name in public},
            **self.tools,
        }

    def llm_query(self, prompt: str, model: Optional[str] = None) -> str:
        """Ask a sub-model one thing. Raises SubCallError."""
        return _one(self._wait(_Asked("llm", [prompt], [None], model)))

    def llm_query_batched(self, prompts: Sequence[str], model: Optional[str] = None) -> List[str]:
        """Ask many things at once; answers in order, a FailedCall where a call failed."""
        prompts = _batch(prompts)
        return _all(self._wait(_Asked("llm", prompts, [None] * len(prompts), model, batch=True)))

    def rlm_query(self, prompt: str, model: Optional[str] = None, *, context: object = None) -> str:
        """Ask a sub-RLM, which has ``context`` as a variable of its own. Raises SubCallError."""
        return _one(self._wait(_Asked("rlm", [prompt], [context], model)))

    def rlm_query_batched(
        self, prompts: Sequence[str], model: Optional[str] = None, *, contexts: Optional[Sequence[object]] = None
    ) -> List[str]:
        """Ask many sub-RLMs at once; answers in order, a FailedCall where a call failed."""
        prompts = _batch(prompts)
        if contexts is not None and len(contexts) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts but {len(contexts)} contexts: give one context for each prompt")
        return _all(self._wait(_Asked("rlm", prompts, contexts or [None] * len(prompts), model, batch=True)))

    async def allm_query(self, prompt: str, model: Optional[str] = None) -> str:
        """`llm_query` to await."""
        return _one(await self._await(_Asked("llm", [prompt], [None], model)))

    async def arlm_query(self, prompt: str, model: Optional[str] = None, *, context: object = None) -> str:
        """`rlm_query` to await."""
        return _one(await self._await(_Asked("rlm", [prompt], [context], model)))

    def _tool(self, name: str, arguments: str) -> str:
        return _one(self._wait(_Asked("tool", [arguments], [None], tool=name)))

    def _wait(self, asked: _Asked) -> List[Frame]:
        if not asked.prompts:
            return []
        number, pending = self._submit(asked)
        try:
            return pending.future.result()
        finally:
            self._forget(number)

    async def _await(self, asked: _Asked) -> List[Frame]:
        number, pending = self._submit(asked)
        try:
            return await asyncio.wrap_future(pending.future)
        finally:
            self._forget(number)

    def _submit(self, asked: _Asked) -> Tuple[int, _Pending]:
        if os.getpid() != self._process:
            raise SubCallError("sub-calls cannot be made from a forked process: use threads, or a batch")
        if len(asked.prompts) > MAX_ITEMS:
            raise SubCallError(f"a batch of {len(asked.prompts):,} prompts; at most {MAX_ITEMS:,} go at once: split it")
        number = next(self._ids)
        items = [self._item(f"{number}-{i}", prompt, asked.contexts[i]) for i, prompt in enumerate(asked.prompts)]
        chars = sum(len(prompt) for prompt, _ in items)
        if chars > MAX_BATCH:
            raise SubCallError(f"the prompts have {chars:,} characters; one batch takes {MAX_BATCH:,}: split it")
        pending = self._pending[number] = _Pending(len(items), self.cell)
        model = None if asked.model is None else str(asked.model)
        call = {"type": "call", "id": number, "op": asked.op, "count": len(items), "chars": chars}
        self._send({**call, "model": model, "batch": asked.batch, "tool": asked.tool})
        for index, (prompt, context) in enumerate(items):
            self._send({"type": "item", "id": number, "index": index, "prompt": prompt, "context": context})
        return number, pending

    def _item(self, name: str, prompt: str, context: object) -> Item:
        text = _prompt(prompt)
        if context is None:
            return _fitting(text), None
        if not self._recursive:
            return _fitting(self._joined(text, as_text(context))), None
        try:
            return _fitting(text), self._outbox.put(name, context)
        except Exception as error:
            raise SubCallError(f"the context cannot be handed over: {type(error).__name__}: {error}") from None

    def _joined(self, prompt: str, context: str) -> str:
        if len(prompt) + len(context) > self._window:
            raise SubCallError(
                f"the prompt has {len(prompt):,} characters and its context {len(context):,}; "
                f"one sub-call takes {self._window:,} in all: split the context"
            )
        return f"{prompt}\n\n{context}"

    def _forget(self, number: int) -> None:
        pending = self._pending.pop(number, None)
        if pending is not None and not pending.future.done():
            self._send({"type": "cancel", "id": number})
        self._outbox.drop(f"{number}-")


def _prompt(prompt: Any) -> str:
    if isinstance(prompt, str):
        return str.__str__(prompt)
    if issubclass(type(prompt), (list, tuple, dict, set)):
        raise TypeError(f"a prompt is a text, not a {type(prompt).__name__}: for several, use a _batched function")
    return str(prompt)


def _batch(prompts: Sequence[str]) -> List[str]:
    if isinstance(prompts, (str, bytes)):
        raise TypeError("a batch takes a list of prompts, not one text")
    return list(prompts)


def _fitting(prompt: str) -> str:
    # a character takes at most six bytes, as \\u0000 does
    if len(prompt) * 6 > MAX_FRAME - MARGIN:
        try:
            encode({"prompt": prompt, "margin": " " * MARGIN})
        except FrameError:
            said = f"the prompt has {len(prompt):,} characters; one sub-call carries {MAX_FRAME:,} bytes: split it"
            raise SubCallError(said) from None
    return prompt


def _one(replies: List[Frame]) -> str:
    reply = replies[0]
    if reply.get("error") is not None:
        raise SubCallError(reply["error"])
    return reply["text"]


def _all(replies: List[Frame]) -> List[str]:
    failed: Callable[[Any], str] = FailedCall
    return [r["text"] if r.get("error") is None else failed(r["error"]) for r in replies]
