"""`%rlm`: looks after runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from IPython.display import display  # pyright: ignore[reportUnknownVariableType]

from .caching import upkeep
from .doctor import report
from .engine.errors import InputError, hint
from .inspecting import bring, close, find, overview, table
from .result import Result
from .run import live
from .settings import Settings
from .view import record, status_line

if TYPE_CHECKING:
    from .handle import Handle
    from .magic import RLMMagic

NEWEST = 20  # runs that are listed unasked
HELP = """\
%%rlm NAME [options]      ask about a variable; the question goes below (%%rlm? lists the options)
%rlm status               the runs under way
%rlm runs [N]             the newest recorded runs, 20 or N
%rlm show [ID]            one run's tree and answer; ID may be cut short, none: the last run
%rlm stop [ID]            stop a run, or all
%rlm resume ID [options]  go on with a run that was stopped or killed; with more --calls, with one that a limit ended
%rlm export ID FILE       write a run to FILE: .jsonl, .html, .md or .json
%rlm forget ID|all        delete a run's record, or those of all runs that have ended; does not ask
%rlm sessions             the sessions that --session opened: questions, age, memory, state
%rlm close SESSION        end one
%rlm vars [WHICH]         the variables of the model's code, of a session or of the last run (for some minutes)
%rlm pull [WHICH] NAME    bring one into the notebook; -o OTHER gives it that name
%rlm cache                the replies that --cache on has kept
%rlm cache trim [SIZE]    forget those not used for longest: down to SIZE, such as 200MB; the older half; or all
%rlm doctor               what works on this machine
%rlm help                 this"""


class Command(NamedTuple):
    """What carries out a command, and the words it takes, ``[WORD]`` for one that may be left out; None: it looks."""

    carry_out: Callable[[Sequence[str], RLMMagic], Result | Handle | None]
    takes: str | None = None


def run(words: Sequence[str], magic: RLMMagic) -> Result | Handle | None:
    """Carry out one `%rlm` line.

    Raises:
        InputError: an unknown command or run, or words that the command does not take.
    """
    name, *rest = words or ["help"]
    if name not in COMMANDS:
        raise InputError(_unknown(name))
    command = COMMANDS[name]
    if command.takes is not None:
        _check(name, rest, command.takes)
    return command.carry_out(rest, magic)


def _check(name: str, rest: Sequence[str], takes: str) -> None:
    most = takes.split()
    least = [word for word in most if not word.startswith("[")]
    if not len(least) <= len(rest) <= len(most):
        amount = "few" if len(rest) < len(least) else "many"
        given, usage = " ".join([name, *rest]), " ".join([name, *most])
        raise InputError(f"too {amount} words in %rlm {given}: give %rlm {usage}; %rlm help says more")


def _unknown(name: str) -> str:
    otherwise = f"to ask a question type %%rlm {name}; %rlm help lists the commands"
    return f"{name!r} is not a command of %rlm: {hint(name, COMMANDS, otherwise)}"


def _status(rest: Sequence[str], magic: RLMMagic) -> None:
    under_way = [f"{id}  {status_line(run.tree)}" for id, run in list(live.items())]
    print("\n".join(under_way) or "no run is under way")


def _runs(rest: Sequence[str], magic: RLMMagic) -> None:
    most, every = _number(rest[0]) if rest else NEWEST, magic.runs.list()
    rows = [str(entry) for entry in every[:most]]
    if len(every) > most:
        rows.append(f"and {len(every) - most:,} more: %rlm runs {len(every)} lists all")
    print("\n".join(rows) or f"no runs are recorded in {magic.runs.directory}")


def _number(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise InputError(f"{word!r} is not a number of runs: give one such as %rlm runs 50")
    return int(word)


def _show(rest: Sequence[str], magic: RLMMagic) -> Result:
    result = Result.load(magic.runs.find(rest[0] if rest else "last"))
    display(record(result.tree, run=result.run_id), raw=True)
    return result


def _stop(rest: Sequence[str], magic: RLMMagic) -> None:
    under_way = dict(live)
    chosen = [under_way[_one(rest[0], list(under_way))]] if rest else list(under_way.values())
    for each in chosen:
        each.stop()
    print(f"stopped {len(chosen)}" if chosen else "no run is under way")


def _one(name: str, under_way: Sequence[str]) -> str:
    found = [id for id in under_way if id.startswith(name)]
    if not found:
        raise InputError(f"no run under way is named {name!r}: %rlm status lists them")
    if len(found) > 1:
        raise InputError(f"{name!r} begins the IDs of {len(found)} runs ({', '.join(found)}): give more of one")
    return found[0]


def _resume(rest: Sequence[str], magic: RLMMagic) -> Result | Handle:
    return magic.resume(shlex.join(rest))


def _export(rest: Sequence[str], magic: RLMMagic) -> None:
    path = Result.load(magic.runs.find(rest[0])).export(rest[1])
    print(f"wrote {path}")


def _forget(rest: Sequence[str], magic: RLMMagic) -> None:
    runs = magic.runs
    sizes = runs.forget(rest[0])
    what = next(iter(sizes)) if len(sizes) == 1 else f"{len(sizes):,} runs"
    stay = len(runs.list()) if rest[0] == "all" else 0
    left = f"; {stay} {'is' if stay == 1 else 'are'} under way and {'stays' if stay == 1 else 'stay'}" if stay else ""
    print(f"forgot {what}, {sum(sizes.values()) / 1000:,.1f} kB{left}")


def _doctor(rest: Sequence[str], magic: RLMMagic) -> None:
    models = magic.full_name(magic.model), magic.full_name(magic.sub_model)
    print(report(Settings(*models, runs_dir=magic.runs_dir or None)))


def _cache(rest: Sequence[str], magic: RLMMagic) -> None:
    print(upkeep(rest, magic.runs_dir or None))


def _sessions(rest: Sequence[str], magic: RLMMagic) -> None:
    print(overview())


def _close(rest: Sequence[str], magic: RLMMagic) -> None:
    close(rest[0])
    print(f"closed {rest[0]}")


def _vars(rest: Sequence[str], magic: RLMMagic) -> None:
    print(table(find(rest[0] if rest else None)))


def _pull(rest: Sequence[str], magic: RLMMagic) -> None:
    words, out = (rest[:-2], rest[-1]) if rest[-2:-1] == ["-o"] else (rest, None)
    if len(words) not in (1, 2):
        raise InputError("give a variable: %rlm pull NAME, or %rlm pull SESSION NAME -o OTHER")
    session = find(words[0] if len(words) == 2 else None)
    print(bring(session, words[-1], magic.shell.user_ns, out))  # pyright: ignore


def _help(rest: Sequence[str], magic: RLMMagic) -> None:
    print(HELP)


COMMANDS = {
    "status": Command(_status, ""),
    "runs": Command(_runs, "[N]"),
    "show": Command(_show, "[ID]"),
    "stop": Command(_stop, "[ID]"),
    "resume": Command(_resume),
    "export": Command(_export, "ID FILE"),
    "forget": Command(_forget, "ID|all"),
    "sessions": Command(_sessions, ""),
    "close": Command(_close, "SESSION"),
    "vars": Command(_vars, "[WHICH]"),
    "pull": Command(_pull),
    "cache": Command(_cache),
    "doctor": Command(_doctor, ""),
    "help": Command(_help, ""),
}
