"""Replies that were kept, as one run uses them: which store, which models, which of their options count."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from .cache import BOUND, Cassette, Database, KeptModel, contents, database_path, trim
from .engine.budget import Budget
from .engine.cached import CachedReplies
from .engine.errors import InputError
from .engine.ports import Model, Observer, Replies
from .engine.request import digest_of
from .models import conceal, reply_options, server_of
from .settings import Settings
from .trace import Runs

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]B|)")


class Cache:
    """What ``--cache`` and ``--cassette`` say of one run; with ``off`` it keeps nothing.

    Raises:
        InputError: the store cannot be used as asked.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._replay = settings.cache == "replay"
        self._store = None if settings.cache == "off" else _store(settings, replay=self._replay)
        self._replies: CachedReplies | None = None

    @property
    def notice(self) -> str:
        """What went wrong with the store, one line; empty if nothing did."""
        return self._store.notice if self._store else ""

    @property
    def observers(self) -> Sequence[Observer]:
        """What must see the run's events; see `replies`."""
        return [self._replies] if self._replies else []

    def models(self) -> tuple[Model, Model]:
        """The root model and the sub-model. To replay, they are what was recorded of them, and need no key.

        Raises:
            InputError: see `Settings.models`; or no reply of a model was kept.
        """
        if not self._replay:
            return self._settings.models()
        root, sub = self._names
        return self._recorded(root), self._recorded(sub)

    def replies(self, known: Replies, budget: Budget, models: Sequence[Model]) -> Replies:
        """``known``, and then those of the store, which also keeps what the ``models`` reply."""
        if self._store is None:
            return known
        if not self._replay:
            for model in models:
                self._store.put_model(KeptModel.of(self._key(model.name), model))
        self._replies = CachedReplies(
            self._store,
            budget,
            known,
            setting=self._setting,
            version=version("rlm_magic"),
            replay=self._replay,
        )
        return self._replies

    async def close(self) -> None:
        """Wait until all is kept."""
        if self._store is not None:
            await self._store.close()

    @cached_property
    def _names(self) -> tuple[str, str]:
        root, sub = self._settings.chosen_models()
        return _name(root), _name(sub)

    @cached_property
    def _setting(self) -> str:
        """What a reply depends on beside model and messages.

        The server's address belongs to it, as another may serve another model under the same name; but not in a
        cassette, which is replayed where that server is not.
        """
        servers = {server_of(name, self._settings.for_model(name).api_base) for name in self._names} - {""}
        options = reply_options(self._settings.model_options or {})
        where = [] if self._settings.cassette else sorted(servers)
        return json.dumps([options, where], sort_keys=True, default=str)

    def _key(self, model: str) -> str:
        return digest_of(self._setting, model)

    def _recorded(self, name: str) -> Model:
        assert self._store is not None
        model = self._store.model(self._key(name))
        if model is None:
            raise InputError(self._unrecorded(name, self._store.name, self._store.model_names()))
        return model

    def _unrecorded(self, name: str, where: str, known: Sequence[str]) -> str:
        if name in known:
            return f"{where} has no replies of {name} with these model options: give those it was recorded with"
        if not known:
            return f"{where} has no replies yet: --cache on keeps those of a run"
        names = ", ".join(known)
        return f"{where} has no replies of {name}: it was recorded with {names}; name the model as then, with -m and -s"


def cache_path(runs_dir: str | None) -> Path:
    """The database of kept replies: beside the directory of the runs, or in the one that was chosen for them."""
    runs = Runs(runs_dir).directory
    return database_path(runs if runs_dir else runs.parent)


def describe(runs_dir: str | None) -> str:
    """How many replies are kept, how large and where, in one line.

    Raises:
        InputError: they cannot be read.
    """
    path = cache_path(runs_dir)
    held = contents(path)
    return f"{held.replies:,} in {path} ({_megabytes(held.size)}, at most {_megabytes(BOUND)})"


def upkeep(words: Sequence[str], runs_dir: str | None) -> str:
    """Carry out ``%rlm cache`` and ``%rlm cache trim [SIZE|all]``; says what is kept then.

    Raises:
        InputError: other words, or replies that cannot be read.
    """
    if words and (words[0] != "trim" or len(words) > 2):
        raise InputError(f"%rlm cache {' '.join(words)} is not known: give %rlm cache, or %rlm cache trim 200MB")
    if words:
        path = cache_path(runs_dir)
        trim(path, _bytes(words[1]) if len(words) == 2 else contents(path).size // 2)
    return f"kept replies: {describe(runs_dir)}"


def _bytes(size: str) -> int:
    found = SIZE.fullmatch(size.strip().upper())
    if size == "all":
        return 0
    if found is None:
        raise InputError(f"{size!r} is not a size: give one such as 200MB or 1.5GB, or all")
    return int(float(found[1]) * UNITS[found[2]])


def _megabytes(size: int) -> str:
    return f"{size / UNITS['MB']:,.1f} MB"


def _store(settings: Settings, *, replay: bool) -> Cassette | Database:
    if settings.cassette:
        return Cassette(Path(settings.cassette).expanduser(), conceal, replay=replay)
    return Database(cache_path(settings.runs_dir), conceal, replay=replay)


def _name(model: str | Model) -> str:
    return model if isinstance(model, str) else model.name
