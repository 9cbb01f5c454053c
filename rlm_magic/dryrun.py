"""What a question would send and may cost, with nothing sent, started or recorded: `--dry-run`, `RLM.dry_run`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .advice import direct_call
from .answers import AnswerType
from .background import engine
from .caching import Cache
from .engine.budget import Budget
from .engine.errors import JournalError
from .engine.events import Event
from .engine.forecast import Forecast, forecast
from .engine.loop import Harness, first_request
from .engine.ports import Model
from .engine.recorder import Recorder
from .engine.types import GIB, Limits, Message, Variable
from .models import find_notes, is_offline
from .preparing import refuse_inside_subkernel, subkernels_of, task_of
from .sessions import earlier_of
from .settings import LIMITS, Settings
from .tools import Toolbox
from .view import count, dollars, duration, sheet
from .workplace import Workplace

TITLE = "dry run: nothing was sent"
MILLION = 1_000_000


class NoJournal:
    """A run that is not recorded sends nothing."""

    def append(self, event: Event) -> None:
        raise JournalError("a dry run has no record")

    async def written(self) -> None:
        raise JournalError("a dry run has no record")


@dataclass(frozen=True)
class DryRun:
    """What a run would begin with; shown in a notebook, and as its ``str``.

    Attributes:
        messages: its first request.
        variables: the values, with the cards that stand for them.
        forecast: what it may use.
        facts: what it would be set up with, in words.
    """

    messages: tuple[Message, ...]
    variables: tuple[Variable, ...]
    forecast: Forecast
    facts: Mapping[str, str]

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        cards = {f"card of {variable.name}": variable.card for variable in self.variables}
        prompt = {f"first prompt: {message.role}": message.content for message in self.messages}
        return sheet(TITLE, self.facts, {**cards, **prompt})


def dry_run(
    query: str, named: Mapping[str, object], settings: Settings, *, answer_type: AnswerType | None = None
) -> DryRun:
    """Set a run up as far as its first request.

    Raises:
        InputError: the run could not start as it is set up.
    """
    refuse_inside_subkernel()
    task = task_of(query, named, answer_type.words if answer_type else "")
    task = earlier_of(settings.session, task)
    models = _models(settings)
    budget = Budget(settings.limits, time.monotonic)
    budget.check(*models)
    subkernels = subkernels_of(settings, named, models[0].name)
    recorder, tools = Recorder(NoJournal(), (), time.monotonic), Toolbox(settings.tools, Workplace(lambda: None), 0)
    first = first_request(task, Harness(*models, subkernels, recorder, budget, tools=tools), subkernels.rules)
    range_ = forecast(*models, settings.limits, first=first.tokens, reply_tokens=settings.reply_tokens)
    facts = {
        **_models_facts(models, settings),
        "confinement": subkernels.confinement,
        "limits": _limits(settings.limits),
        "first prompt": f"about {first.tokens:,} tokens",
        **_range(range_, settings, models),
        "advice": direct_call(named, models[0]),
    }
    shown = {name: fact for name, fact in facts.items() if fact}
    return DryRun(tuple(first.messages), task.variables, range_, shown)


def _models(settings: Settings) -> tuple[Model, Model]:
    """Those of the run; to replay, what was kept of them."""
    if settings.cache != "replay":
        return settings.models()
    cache = Cache(settings)
    try:
        return cache.models()
    finally:
        engine().submit(cache.close()).result()


def _models_facts(models: tuple[Model, Model], settings: Settings) -> dict[str, str]:
    model, sub_model = models
    return {
        "model": _described(model),
        "sub-model": "the same" if sub_model is model else _described(sub_model),
        "notes": _notes(model, settings),
    }


def _described(model: Model) -> str:
    if is_offline(model.name):
        return f"{model.name} · offline policy, no language model"
    listing = getattr(model, "listing", None)
    source = f" ({listing.source})" if listing else ""
    return f"{model.name} · window {model.window:,} tokens{source} · {_price(model)}"


def _price(model: Model) -> str:
    if model.price is None:
        return "price unknown"
    sent, written = model.price.input * MILLION, model.price.output * MILLION
    return f"${sent:,.2f} in and ${written:,.2f} out for a million tokens" if sent or written else "free"


def _notes(model: Model, settings: Settings) -> str:
    """Which entries of the table of notes fit the model; one of the user's own making brings its notes itself."""
    if not model.notes:
        return "none"
    return ", ".join(find_notes(model.name, settings.model_notes)) or "the model's own"


def _limits(limits: Limits) -> str:
    options = {field: option.replace("_", " ") for option, field in LIMITS.items()}
    return " · ".join(
        f"{options[spec.name]} {_limit(spec.name, getattr(limits, spec.name))}" for spec in fields(limits)
    )


def _limit(name: str, value: float | None) -> str:
    if value is None:
        return "unlimited"
    if name == "memory":
        return f"{value / GIB:g} GiB"
    return dollars(value) if name == "cost" else duration(value) if "seconds" in name else f"{value:,}"


def _range(range_: Forecast, settings: Settings, models: tuple[Model, Model]) -> dict[str, str]:
    least, most = range_.tokens
    how = (
        f"at least one turn with a short reply, at most {range_.root_calls:,} requests to the root model and "
        f"{range_.sub_calls:,} to the sub-model with full windows, within the limits"
    )
    return {"tokens": f"{count(least)} to {count(most)}: {how}", "cost": _cost(range_, settings, models)}


def _cost(range_: Forecast, settings: Settings, models: tuple[Model, Model]) -> str:
    if settings.cache == "replay":
        return "$0, as every reply is a kept one"
    if range_.cost is None:
        unknown = dict.fromkeys(model.name for model in models if model.price is None)
        return f"unknown, as the price of {' and '.join(unknown)} is"
    least, most = range_.cost
    if most == 0:
        return "$0"
    return f"{dollars(least)} to {dollars(most)}{'' if settings.limits.cost else '; a limit on cost lowers the most'}"
