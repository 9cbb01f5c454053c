# cloudpickle is untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Pickling a value of the notebook, so that a subkernel with the same libraries can load it."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from types import FunctionType, ModuleType
from typing import Any, BinaryIO

from ..engine.errors import BindingError
from ..guest.load import write_pickle
from ..guest.show import type_name
from .culprit import culprit
from .installed import is_loose
from .libraries import reduced

# cloudpickle's list of modules that go by value is one for the process
_by_value = threading.RLock()


def pickle_into(file: BinaryIO, name: str, value: object) -> None:
    """Write the container of `rlm_magic.guest.load`.

    Classes and functions of the notebook travel by value, as do those of modules that are not installed: the folder
    of the notebook and editable installs are out of a subkernel's sight.

    Raises:
        BindingError: the value, or a part of it, cannot be pickled; the message names it.
        OSError: the file cannot be written.
    """
    try:
        write(value, file)
    except OSError:
        raise
    except Exception as error:
        place, part = culprit(name, value, write)
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BindingError(
            f"{name} cannot be handed to the subkernel: {place} ({type_name(part)}) cannot be pickled: {cause}; "
            + _way_out(part)
        ) from error


def write(value: object, file: BinaryIO) -> None:
    """`pickle_into` with errors as they come."""
    with _by_value:
        registered: list[ModuleType] = []
        try:
            write_pickle(value, file, partial(_pickler(), registered=registered))
        finally:
            for module in registered:
                importlib.import_module("cloudpickle").unregister_pickle_by_value(module)


def _way_out(part: object) -> str:
    ways = "convert it to text, list, dict or DataFrame, or pass a path"
    module = sys.modules.get(str(type(part).__module__))
    if module is None or not is_loose(module):
        return ways
    return f"{ways}, or install its module {module.__name__!r}, which goes along as it is not installed"


@cache
def _pickler() -> Callable[..., Any]:
    cloudpickle: Any = importlib.import_module("cloudpickle")  # 30 ms, and texts need none of it

    class Pickler(cloudpickle.Pickler):
        def __init__(self, *args: Any, registered: list[ModuleType], **options: Any) -> None:
            super().__init__(*args, **options)
            self._registered = registered

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, (type, FunctionType, ModuleType)):
                self._send_along(obj)
                return super().reducer_override(obj)
            return reduced(obj) or NotImplemented

        def _send_along(self, obj: Any) -> None:
            module = obj if isinstance(obj, ModuleType) else sys.modules.get(str(obj.__module__))
            if module is None or not is_loose(module):
                return
            if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                self._registered.append(module)

    return Pickler
