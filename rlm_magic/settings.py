"""What a run is set up with, and the models that follow from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .engine.budget import LEAST_OUTPUT
from .engine.errors import InputError, hint
from .engine.ports import Model
from .engine.types import Limits
from .models import OFFLINE_POLICY, OFFLINE_READER, configured_providers, open_model, provider_of, reply_options

# Option of the magics to field of Limits.
LIMITS = {
    "turns": "turns",
    "depth": "depth",
    "calls": "calls",
    "tokens": "tokens",
    "cost": "cost",
    "timeout": "seconds",
    "cell_timeout": "cell_seconds",
    "concurrency": "concurrency",
    "memory": "memory",
}
OPTION_OF = {field: "--" + name.replace("_", "-") for name, field in LIMITS.items()}
SANDBOXES = ("auto", "bwrap", "landlock", "none")
CACHES = ("off", "on", "replay")


@dataclass(frozen=True)
class Settings:
    """Everything but the question and its variables.

    Attributes:
        model, sub_model: litellm names or objects with the `Model` port; None: the environment's RLM_MODEL and
            RLM_SUB_MODEL, then the offline policy where no provider key is set.
        api_base, api_key, api_key_env: for the root model's provider; a sub-model of another one has that one's own.
        model_options: go to litellm as they are, but for ``max_tokens``, which every reply may then have.
        kernel: a kernelspec; None: this Python.
        tools: functions that the model's code may call, by name.
        session: keeps its variables for the next question; without one they are kept for ``keep_variables`` seconds.
        out: the variable that gets the answer, for the record.
        cache, cassette: where replies are kept.
        model_notes: advice for models, by a pattern of their names.
        limit_names: what the user calls a limit, if not by its field.
        runs_dir: where the records go; None: Jupyter's data directory.

    Raises:
        InputError: an unknown sandbox or cache, or a ``max_tokens`` that is too small for an answer.
    """

    model: str | Model | None = None
    sub_model: str | Model | None = None
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    model_options: Mapping[str, Any] | None = None
    limits: Limits = field(default_factory=Limits)
    sandbox: str = "auto"
    kernel: str | None = None
    tools: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    session: str | None = None
    keep_variables: float = 0.0
    out: str | None = None
    cache: str = "off"
    cassette: str | None = None
    model_notes: Mapping[str, str] | None = None
    limit_names: Mapping[str, str] = field(default_factory=dict[str, str])
    runs_dir: str | None = None

    def __post_init__(self) -> None:
        for name, value, known in (("sandbox", self.sandbox, SANDBOXES), ("cache", self.cache, CACHES)):
            if value not in known:
                raise InputError(
                    f"{name}={value!r} is not known: {hint(str(value), known, 'give ' + ' or '.join(known))}"
                )
        if self.cassette and self.cache == "off":
            raise InputError(
                f"cassette {self.cassette} says where replies are kept, not what to do with them: "
                "add --cache on to record, or --cache replay to use them alone"
            )
        tokens: Any = self.reply_tokens
        if tokens is not None and (not isinstance(tokens, int) or tokens < LEAST_OUTPUT):
            raise InputError(
                f"model option max_tokens={tokens!r} is not a number of tokens: give {LEAST_OUTPUT} or more"
            )

    @property
    def reply_tokens(self) -> int | None:
        """Tokens that one reply may have; None: as many as usual."""
        return (self.model_options or {}).get("max_tokens")

    def models(self) -> tuple[Model, Model]:
        """The root model and the sub-model, opened.

        Raises:
            InputError: no model where one is needed, an unknown one, or a key that is not there.
        """
        root, sub = self.chosen_models()
        opened = self._open(root)
        return opened, opened if sub == root else self._open(sub)

    def chosen_models(self) -> tuple[str | Model, str | Model]:
        """The root model and the sub-model, by name if they are not open already.

        Raises:
            InputError: no model where one is needed.
        """
        root = self.model or os.environ.get("RLM_MODEL") or default_model(os.environ)
        same = OFFLINE_READER if root == OFFLINE_POLICY else root
        return root, self.sub_model or os.environ.get("RLM_SUB_MODEL") or same

    def for_model(self, model: str) -> Settings:
        """These settings; without address, key and secret options if those are for another provider."""
        root, _ = self.chosen_models()
        if root in (model, OFFLINE_POLICY) or not isinstance(root, str) or provider_of(root) == provider_of(model):
            return self
        options = reply_options(self.model_options or {})
        return replace(self, api_base=None, api_key=None, api_key_env=None, model_options=options)

    def _open(self, model: str | Model) -> Model:
        if not isinstance(model, str):
            return _checked(model)
        own = self.for_model(model)
        return open_model(
            model,
            api_base=own.api_base,
            api_key=own.api_key,
            api_key_env=own.api_key_env,
            options={k: v for k, v in (own.model_options or {}).items() if k != "max_tokens"},
            notes=self.model_notes,
        )


def _checked(model: Model) -> Model:
    missing = [name for name in ("name", "window", "price", "notes", "complete") if not hasattr(model, name)]
    if missing:
        raise InputError(
            f"a model of type {type(model).__name__} has no {', '.join(missing)}: give a litellm name such as "
            "openai/gpt-5, or an object as rlm_magic.engine.ports.Model describes it"
        )
    return model


def default_model(environ: Mapping[str, str]) -> str:
    """The offline policy, unless a provider's key says that the user has a model in mind.

    Raises:
        InputError: there is a key, so a model must be named.
    """
    providers = configured_providers(environ)
    if not providers:
        return OFFLINE_POLICY
    raise InputError(
        f"no model is named, but a key for {', '.join(providers)} is set: name one with -m, in Python with model=, "
        f"such as openai/gpt-5, or {OFFLINE_POLICY} for the offline policy"
    )
