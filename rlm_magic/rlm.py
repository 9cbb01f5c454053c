"""`RLM`: the engine from Python, in scripts and notebooks alike."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .answers import AnswerType
from .dryrun import DryRun, dry_run
from .engine.errors import InputError
from .engine.events import Event
from .engine.types import Limits
from .inspecting import close
from .result import Result
from .resuming import Recording
from .run import Run, attended
from .settings import Settings
from .subkernel import in_thread
from .tools import named as named_tools
from .trace import Runs

log = logging.getLogger("rlm_magic")


class RLM:
    """A Recursive Language Model (Zhang, Kraska, Khattab, arXiv 2512.24601).

    Args:
        model: root model, a litellm name such as "openai/gpt-5" or an object with the `Model` port; None: RLM_MODEL,
            or the offline policy where no provider's key is set.
        sub_model: the model of sub-calls; None: RLM_SUB_MODEL, or the root model.
        api_base: address of a server that speaks the provider's protocol.
        api_key: the key; None: the provider's environment variable. Address and key are for the root model's provider;
            a sub-model of another provider uses that one's own.
        limits: what one run may use.
        sandbox: how the model's code is confined; "none": not at all.
        kernel: the kernelspec of the subkernels; None: this Python.
        cache: "on" uses and keeps the models' replies, "replay" uses kept ones alone. Models that are objects are told
            apart by their names.
        cassette: a file that keeps the replies; None: what all notebooks share.
        tools: functions of yours that the model's code may call.
        model_options: passed to litellm as they are, such as {"temperature": 0}; "max_tokens" is what each reply may
            have.
        model_notes: advice for models by a pattern of their names, such as {"*qwen*": "Be brief."}.

    Raises:
        InputError: an unknown sandbox or cache, or a cassette and nothing to do with it.

    Example:
        >>> rlm = RLM(model="openai/gpt-5", sub_model="openai/gpt-5-mini", limits=Limits(depth=2, cost=1.0))
        >>> print(rlm.completion(query="Summarize all revenue and risk mentions", context=report))
    """

    def __init__(
        self,
        model: str | Any | None = None,
        sub_model: str | Any | None = None,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        sandbox: str = "auto",
        kernel: str | None = None,
        cache: str = "off",
        cassette: str | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        model_options: Mapping[str, Any] | None = None,
        model_notes: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = Settings(
            model=model,
            sub_model=sub_model,
            api_base=api_base,
            api_key=api_key,
            limits=limits or Limits(),
            sandbox=sandbox,
            kernel=kernel,
            cache=cache,
            cassette=cassette,
            tools=named_tools(tools),
            model_options=model_options,
            model_notes=model_notes,
        )

    def completion(
        self,
        query: str,
        context: object = None,
        *,
        variables: Mapping[str, object] | None = None,
        output_type: object = None,
        session: str | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """Ask a question of a context, or of several ``variables`` by name, and wait for the answer.

        ``session`` names a session: the variables of the model's code stay for its next question, until `close`, and
        so does the context where that question gives none. ``output_type`` is what the answer must be: anything that
        pydantic validates, such as ``list[str]`` or a model; None: as it was submitted. ``on_event`` is called with
        each event of the run on the engine's thread. Ctrl-C stops the run and keeps its record, then raises
        KeyboardInterrupt.

        Raises:
            InputError: the run cannot start as asked; nothing was sent.
            RunError: the record cannot be written.
        """
        return _wait(lambda: self._start(query, _named(context, variables), output_type, on_event, session=session))

    async def acompletion(
        self,
        query: str,
        context: object = None,
        *,
        variables: Mapping[str, object] | None = None,
        output_type: object = None,
        session: str | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """`completion` under a running event loop; cancelling the wait stops the run."""
        named = _named(context, variables)
        run = await _started(lambda: self._start(query, named, output_type, on_event, session=session))
        result = await run.result()
        _log_notice(run)
        return result

    def close(self, session: str) -> None:
        """End a session, of this `RLM` or of a cell.

        Raises:
            InputError: there is none of this name, or a run uses it.
        """
        close(session)

    def dry_run(
        self,
        query: str,
        context: object = None,
        *,
        variables: Mapping[str, object] | None = None,
        output_type: object = None,
    ) -> DryRun:
        """What `completion` would send first and may cost; nothing is sent, started or recorded.

        Raises:
            InputError: the run could not start as asked.
        """
        return dry_run(query, _named(context, variables), self.settings, answer_type=_typed(output_type))

    def resume(
        self,
        run_id: str,
        context: object = None,
        *,
        variables: Mapping[str, object] | None = None,
        output_type: object = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """Go on with a recorded run that was stopped, killed, or ended by a limit, and wait for the answer.

        ``run_id`` may be cut short. The context, the models and the type must be those of then. The cells run anew;
        replies that were recorded are not asked again, and count with what they used.

        Raises:
            InputError: the run cannot be resumed as asked; nothing was sent.
            RunError: the record cannot be written.
        """
        recording = Recording.load(Runs(self.settings.runs_dir), run_id)
        return _wait(lambda: self._start(recording.query, _named(context, variables), output_type, on_event, recording))

    def _start(
        self,
        query: str,
        named: Mapping[str, object],
        output_type: object,
        on_event: Callable[[Event], None] | None,
        resumed: Recording | None = None,
        session: str | None = None,
    ) -> Run:
        observers = [on_event] if on_event else []
        settings = replace(self.settings, session=session)
        return Run(query, named, settings, observers, answer_type=_typed(output_type), resumed=resumed)


def _wait(start: Callable[[], Run]) -> Result:
    with attended():
        run = start()
        result = run.wait()
    _log_notice(run)
    if result.status == "stopped":
        raise KeyboardInterrupt(f"run {result.run_id} was stopped")
    return result


async def _started(start: Callable[[], Run]) -> Run:
    """Start a run on another thread: it may ask a server for its window. A cancelled wait stops it."""
    starting = asyncio.ensure_future(in_thread(start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(lambda done: done.cancelled() or done.exception() or done.result().stop())
        raise


def _log_notice(run: Run) -> None:
    if run.notice:
        log.warning("%s", run.notice)


def _typed(output_type: object) -> AnswerType | None:
    return None if output_type is None else AnswerType(output_type)


def _named(context: object, variables: Mapping[str, object] | None) -> dict[str, object]:
    if context is not None and variables:
        raise InputError("both context= and variables= are given: put the context into variables under a name")
    return dict(variables or {}) if context is None else {"context": context}
