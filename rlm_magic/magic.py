"""`%%rlm` and `%rlm`: parse the line, run, bind the answer."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

import argparse
import keyword
import os
import shlex
import sys
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import cell_magic, line_magic, magics_class, no_var_expand

from . import commands
from .advice import direct_call
from .answers import AnswerType
from .completer import function_names, install_completer, variable_names
from .display import has_audience, has_live_view, screen_of
from .dryrun import DryRun, dry_run
from .engine.errors import BindingError, InputError, RLMError, hint
from .engine.ports import Model
from .engine.types import Limits
from .handle import Handle
from .models import configured_providers, preload
from .options import Options, explain, with_options
from .result import Result
from .resuming import Recording
from .run import Run, attended
from .settings import LIMITS, OPTION_OF, Settings
from .templating import fill
from .trace import Runs
from .view import serve_bodies

ANSWERED = ("answered", "forced")
NOBODY_STEPS = (
    "--step waits for you in the live view, and none can be shown here: add --bg and use the handle's .step(), "
    "or leave --step out"
)


class RunEnded(RLMError):
    """A run ended without an answer; a notebook shows one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


@magics_class
class RLMMagic(Options):
    """Options of `%%rlm`; ``%config RLMMagic.model = "openai/gpt-5"`` sets one for the whole notebook."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._advised: set[tuple[str, ...]] = set()

    @no_var_expand
    @with_options
    @cell_magic
    def rlm(self, line: str, cell: str) -> Result | Handle | DryRun | None:
        """Ask a question of variables of the notebook: %%rlm NAME [options], the question below.

        `{name}` in the question is filled in from the notebook; a closing `;` keeps the answer out of the output.
        """
        try:
            args = self._parse(line)
            question, quiet = _split_semicolon(fill(cell, self._namespace))
            shown = self._start(args, question)
        except (InputError, BindingError) as error:
            raise UsageError(str(error)) from None
        return None if quiet else shown

    @no_var_expand
    @line_magic("rlm")
    def command(self, line: str) -> Result | Handle | None:
        """Look after runs and sessions: %rlm status, runs, show, stop, resume, export, vars, pull, sessions, help …"""
        try:
            with _in_one_line():
                return commands.run(_words(line), self)
        except (InputError, BindingError) as error:
            raise UsageError(str(error)) from None

    @property
    def runs(self) -> Runs:
        """The recorded runs."""
        return Runs(self.runs_dir or None)

    def full_name(self, model: str) -> str | None:
        """The model that a name or an alias stands for; None: no model is named."""
        return self.aliases.get(model, model) or None

    def bodies(self, run_id: str) -> Mapping[str, str] | None:
        """The texts of a recorded run by their hash; None if there is no such run."""
        try:
            return Result.load(self.runs.find(run_id)).tree.bodies
        except InputError:
            return None

    @property
    def _namespace(self) -> dict[str, Any]:
        return self.shell.user_ns  # pyright: ignore[reportOptionalMemberAccess]

    def _start(self, args: argparse.Namespace, question: str) -> Result | Handle | DryRun:
        _check_out(args.out, args.names)
        named, answer_type = self._variables(args.names), self._answer_type(args)
        if args.dry_run:
            return dry_run(question, named, self._settings(args), answer_type=answer_type)

        def start(settings: Settings, step: bool) -> Run:
            run = Run(question, named, settings, answer_type=answer_type, step=step)
            self._advise(named, run.model)
            return run

        return self._show(args, start)

    def _advise(self, named: Mapping[str, object], model: Model) -> None:
        """Say where a single call would do; once for the same variables."""
        names = tuple(named)
        if self.advice and names not in self._advised and (line := direct_call(named, model)):
            self._advised.add(names)
            print(line)

    def resume(self, line: str) -> Result | Handle:
        """Go on with a recorded run: its ID, then options of `%%rlm` that are to be other than they were.

        Raises:
            InputError: it cannot be resumed as asked; nothing was sent.
        """
        args = self._parse(line)
        if args.dry_run:
            raise InputError("--dry-run is for a new question: %rlm show says what the recorded one sent")
        if len(args.names) != 1:
            raise InputError("give the one run to resume: %rlm runs lists them")
        recording = Recording.load(self.runs, args.names[0])
        _check_out(args.out, recording.names)
        for name, value in recording.options.items():
            if getattr(args, name, None) is None:
                setattr(args, name, value)
        named, answer_type = self._variables(recording.names), self._answer_type(args)
        return self._show(
            args,
            lambda settings, step: Run(
                recording.query, named, settings, answer_type=answer_type, step=step, resumed=recording
            ),
        )

    def _show(self, args: argparse.Namespace, start: Callable[[Settings, bool], Run]) -> Result | Handle:
        step, bg = self._option(args, "step"), self._option(args, "bg")
        live = has_live_view(self.shell, self.view)
        if step and not (live or bg):
            raise InputError(NOBODY_STEPS)
        with _in_one_line(), attended():
            run = start(self._settings(args), step)
            self._namespace.pop(args.out, None)
            screen = screen_of(self.shell, run, live=live, step=step)
            if bg:
                run.hand_over()
                return Handle(run, screen, self.shell, lambda result: self._bind(run, result, args.out))
            result = screen.watch()
        self._bind(run, result, args.out)
        if result.status not in ANSWERED:
            raise RunEnded(f"{result.reason}; %rlm show {result.run_id} has what there is")
        return result

    def _parse(self, line: str) -> argparse.Namespace:
        try:
            return self.rlm.parser.parse_args(_words(line))  # type: ignore[attr-defined]
        except UsageError as error:
            raise InputError(explain(str(error))) from None

    def _answer_type(self, args: argparse.Namespace) -> AnswerType | None:
        return AnswerType.named(args.as_type, self._namespace) if args.as_type else None

    def _variables(self, names: list[str]) -> dict[str, Any]:
        for name in names:
            if name not in self._namespace:
                raise InputError(self._unknown(name))
        return {name: self._namespace[name] for name in names}

    def _tools(self, names: list[str]) -> dict[str, Callable[..., Any]]:
        for name in names:
            if not callable(self._namespace.get(name)):
                near = hint(name, function_names(self._namespace), "define it with def first")
                raise InputError(f"--tool {name}: there is no function {name!r} in this notebook: {near}")
        return {name: self._namespace[name] for name in names}

    def _unknown(self, name: str) -> str:
        if "/" in name:
            return f"{name!r} is not a variable: name a model with -m {name}"
        near = hint(name, variable_names(self._namespace), "set it in a cell first")
        return f"no variable named {name!r} in this notebook: {near}"

    def _settings(self, args: argparse.Namespace) -> Settings:
        return Settings(
            model=self.full_name(self._option(args, "model")),
            sub_model=self.full_name(self._option(args, "sub_model")),
            api_base=self._option(args, "api_base") or None,
            api_key_env=self._option(args, "api_key_env") or None,
            model_options=self._option(args, "model_options") or None,
            limits=self._limits(args),
            sandbox=self._option(args, "sandbox"),
            kernel=self._option(args, "kernel") or None,
            tools=self._tools(args.tools or []),
            session=args.session,
            keep_variables=self.keep_variables if has_audience(self.shell) else 0.0,
            out=args.out,
            cache=self._option(args, "cache"),
            cassette=args.cassette,
            model_notes=self._option(args, "model_notes"),
            limit_names=OPTION_OF,
            runs_dir=self.runs_dir or None,
        )

    def _limits(self, args: argparse.Namespace) -> Limits:
        try:
            return Limits(**{field: self._option(args, name) for name, field in LIMITS.items()})
        except InputError as error:
            field, _, refusal = str(error).partition("=")
            raise InputError(f"{OPTION_OF[field]}={refusal}") from None

    def _option(self, args: argparse.Namespace, name: str) -> Any:
        given = getattr(args, name, None)
        return getattr(self, name) if given is None else given

    def _bind(self, run: Run, result: Result, out: str | None) -> None:
        """Bind the answer, if there is one, and say what the user should know of it."""
        if run.notice:
            print(run.notice, file=sys.stderr)
        if result.status == "forced":
            print(f"forced answer: {result.reason}; check it before you rely on it", file=sys.stderr)
        if out is not None and result.status in ANSWERED:
            self._namespace[out] = result.answer


@contextmanager
def _in_one_line() -> Generator[None]:
    """Ctrl-C beside a run, too, ends the cell in one line; IPython would take seconds to show where."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunEnded("stopped by the user; %rlm runs lists what was begun") from None


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InputError(f"the line cannot be read ({error}): close every quote; an apostrophe is \\'") from None


def _check_out(name: str | None, bound: Collection[str]) -> None:
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise InputError(f"-o {name!r} is not a variable name: give one such as answer")
    if name in bound:
        raise InputError(f"-o {name} would replace the variable that is asked about: give another name")


def _split_semicolon(question: str) -> tuple[str, bool]:
    text = question.rstrip()
    return (text[:-1].rstrip(), True) if text.endswith(";") else (text, False)


def _cell_instead_of_line(lines: list[str]) -> list[str]:
    """A question below a single `%` is not Python: keep the first line, which then says what to type."""
    first, *rest = lines or [""]
    words = first.split()
    has_question = first.rstrip().endswith("?") or any(line.strip() for line in rest)
    misread = words[:1] == ["%rlm"] and has_question and words[1:] and words[1].rstrip("?") not in commands.COMMANDS
    return [first.rstrip().rstrip("?") + "\n"] if misread else lines


def register(shell: InteractiveShell) -> None:
    """Register the magics and their completion.

    Raises:
        UsageError: another package's ``%%rlm`` is there.
    """
    cell_magics: dict[str, object] = shell.magics_manager.magics["cell"]
    owner = getattr(cell_magics.get("rlm"), "__module__", __name__)
    if owner != __name__:
        raise UsageError(f"%%rlm is taken by {owner}: unload it first, or use rlm_magic.RLM from Python")
    magics = RLMMagic(shell)
    shell.register_magics(magics)
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        serve_bodies(kernel.comm_manager, magics.bodies)
    shell.input_transformers_cleanup.append(_cell_instead_of_line)
    install_completer(shell)
    if os.environ.get("RLM_MODEL") or configured_providers(os.environ):
        preload()
