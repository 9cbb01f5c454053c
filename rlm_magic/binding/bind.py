"""A value of the notebook as a `Variable`: its card now, its file when a sandbox asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..engine.errors import BindingError, InputError
from ..engine.types import Source, ValueFile, Variable
from ..guest.card import card
from ..guest.search import searchable
from ..guest.show import printable
from .libraries import materialized
from .store import ValueStore


def bind(name: str, value: object, *, store: ValueStore) -> Variable:
    """Describe a value and make it ready to be handed over; nothing is written yet.

    A `pathlib.Path` stands for the file or directory itself, a DuckDB relation or polars LazyFrame for its result now,
    everything else for a copy as of the hand-over.

    Raises:
        InputError: a path that does not exist, or is neither a file nor a directory; a query that fails.
    """
    value = materialized(name, value)
    source: Source = _existing(name, value) if isinstance(value, Path) else store.source(name, value)
    return Variable(name, card(name, value), source, text_size=searchable(value))


def bind_all(values: Mapping[str, object], *, store: ValueStore) -> tuple[Variable, ...]:
    """`bind` for each name, in order."""
    return tuple(bind(name, value, store=store) for name, value in values.items())


@dataclass(frozen=True, slots=True)
class UserPath:
    """A file or directory of the user's, absolute, without symbolic links."""

    name: str
    path: Path

    def file(self) -> ValueFile:
        if not self.path.exists():
            raise BindingError(f"{self.name}: {self.path} is gone; bind a path that exists")
        return ValueFile(str(self.path), "path", self.path.stat().st_size if self.path.is_file() else 0)


def _existing(name: str, path: Path) -> UserPath:
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        shown = printable(str(path))
        raise InputError(f"{name}: there is no file or directory {shown}; bind a path that exists") from error
    if not (resolved.is_file() or resolved.is_dir()):
        raise InputError(f"{name}: {resolved} is neither a file nor a directory; bind one of these")
    return UserPath(name, resolved)
