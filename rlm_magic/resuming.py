"""What a recorded run needs to go on: its question, its settings, its replies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .engine.budget import Budget
from .engine.errors import InputError
from .engine.ports import Model
from .engine.replay import RecordedReplies, sent
from .engine.tree import Tree
from .engine.types import Variable
from .models import redact
from .settings import LIMITS
from .trace import Runs, is_live, read_events

KEPT_OPTIONS = (
    *("api_base", "api_key_env", "model_options", "model_notes", "sandbox", "kernel", "as_type"),
    *("cache", "cassette", "out"),
)


@dataclass(frozen=True)
class Recording:
    """A recorded run.

    Attributes:
        records: its record and those of the runs that it resumed itself, newest first.
        notice: one line on what of them is missing; empty if nothing is.
    """

    id: str
    records: Sequence[Tree]
    notice: str = ""

    @classmethod
    def load(cls, runs: Runs, name: str) -> Recording:
        """Read a run's record.

        Raises:
            InputError: there is none, it cannot be read, it is under way, or damaged before it says what was asked.
        """
        path = runs.find(name)
        run_id = path.name.partition(".")[0]
        if is_live(path):
            raise InputError(f"run {run_id} is under way: %rlm stop {run_id} ends it")
        readings = list(_chain(runs, path))
        header = _header(readings[0][0])
        if header.get("question", 1) != 1:
            raise InputError(
                f"run {run_id} was question {header['question']} of session {header['session']!r}, and the variables "
                "from before it are not in its record: ask it anew"
            )
        if "query" not in header:
            raise InputError(f"run {run_id} cannot be resumed: {readings[0][1] or 'its record lacks the question'}")
        recording = cls(run_id, [tree for tree, _ in readings], "; ".join(notice for _, notice in readings if notice))
        recording._check_fields()
        return recording

    def _check_fields(self) -> None:
        """Refuse what no run writes: the checksums of a record do not keep anybody from changing it."""
        try:
            _ = self.names, self.options, self.replies, list(sent(self.records))
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"run {self.id} cannot be resumed: its record was changed by other hands") from None

    @property
    def header(self) -> Mapping[str, Any]:
        """The fields of the run's node."""
        return _header(self.records[0])

    @property
    def query(self) -> str:
        return str(self.header["query"])

    @property
    def names(self) -> list[str]:
        """The variables that were bound."""
        return [str(variable["name"]) for variable in self.header.get("variables", ())]

    @property
    def options(self) -> dict[str, Any]:
        """How the run was set up, by the names of the magics' options.

        A value that held a secret was not recorded as it was, and is left out.
        """
        models = self.header.get("models", {})
        kept = {name: value for name, value in self.header.get("options", {}).items() if name in KEPT_OPTIONS}
        limits = self.header.get("limits", {})
        given = {option: limits[field] for option, field in LIMITS.items() if field in limits}
        named = {"tools": list(self.header.get("tools", ())), "session": self.header.get("session")}
        return {"model": models.get("root"), "sub_model": models.get("sub"), **named, **kept, **given}

    @cached_property
    def replies(self) -> RecordedReplies:
        """The replies; made once, for one run."""
        return RecordedReplies(self.records)

    def charge(self, budget: Budget, *models: Model) -> None:
        """Book what the record shows as sent: what was paid for stays paid."""
        prices = {model.name: model.price for model in models}
        for model, estimated, usage in sent(self.records):
            budget.book(estimated, usage, prices.get(model))

    def check(self, variables: Sequence[Variable], model: Model, sub_model: Model, tools: Collection[str]) -> None:
        """Refuse what the record would not fit.

        Raises:
            InputError: another model, a variable that is not what it was, or tools that are missing.
        """
        missing = [name for name in self.header.get("tools", ()) if name not in tools]
        if missing:
            raise InputError(f"run {self.id} had the tools {', '.join(missing)} too: give it the same functions")
        recorded = self.header.get("models", {})
        for role, now in (("root", model.name), ("sub", sub_model.name)):
            if recorded.get(role) != now:
                raise InputError(
                    f"run {self.id} asked {recorded.get(role)} as its {role} model, not {now}: resume it with that one"
                )
        cards = {str(each["name"]): each["card"] for each in self.header.get("variables", ())}
        if cards.keys() != {variable.name for variable in variables}:
            raise InputError(f"run {self.id} was asked about {', '.join(cards) or 'no variable'}: bind the same names")
        for variable in variables:
            if cards[variable.name] != variable.card:
                raise InputError(
                    f"{variable.name} is not what it was when run {self.id} was recorded: "
                    "load it as it was then, or ask the question anew with %%rlm"
                )


def kept_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of a run that its record may hold: given, and without a secret."""
    return {
        name: options[name]
        for name in KEPT_OPTIONS
        if options[name] and redact(str(options[name])) == str(options[name])
    }


def _chain(runs: Runs, path: Path | None) -> Iterator[tuple[Tree, str]]:
    """The tree and the notice of a record, then of the one that it resumed, and so on."""
    seen: set[Path] = set()
    while path is not None and path not in seen:
        seen.add(path)
        reading = read_events(path)
        tree = Tree(reading.events)
        yield tree, reading.notice
        earlier = runs.path(Path(str(_header(tree).get("resumed", ""))).name)
        path = earlier if earlier.exists() else None


def _header(tree: Tree) -> Mapping[str, Any]:
    return tree.root.fields if tree.root else {}
