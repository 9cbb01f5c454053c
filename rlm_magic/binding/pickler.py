# cloudpickle is untyped
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUntypedBaseClass=false
"""cloudpickle's pickler with ways of our own. Imported at first use: cloudpickle takes 30 ms, and texts need none."""

from __future__ import annotations

import sys
import threading
from types import FunctionType, ModuleType
from typing import Any, BinaryIO

import cloudpickle

from ..guest.load import write_pickle
from .installed import is_loose
from .libraries import is_reducible, reduced

# cloudpickle's list of modules that go by value is one for the process
_by_value = threading.RLock()


def write(value: object, file: BinaryIO) -> None:
    """Write the container of `rlm_magic.guest.load`. Raises whatever pickling raises, and OSError."""
    registered: list[ModuleType] = []

    def pickler(*args: Any, **options: Any) -> Pickler:
        return Pickler(registered, *args, **options)

    with _by_value:
        try:
            write_pickle(value, file, pickler)
        finally:
            for module in registered:
                cloudpickle.unregister_pickle_by_value(module)


class Pickler(cloudpickle.Pickler):
    """Sends classes and functions of modules that are not installed along, and data of some libraries as Arrow."""

    def __init__(self, registered: list[ModuleType], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._registered = registered
        self._ordinary: set[type] = set()

    def reducer_override(self, obj: Any) -> Any:
        kind: Any = type(obj)
        if kind in self._ordinary:  # a list may hold a million of them
            return NotImplemented
        if isinstance(obj, (type, FunctionType, ModuleType)):
            self._send_along(obj)
            return super().reducer_override(obj)
        if is_reducible(kind):
            return reduced(obj) or NotImplemented
        self._ordinary.add(kind)
        return NotImplemented

    def _send_along(self, obj: Any) -> None:
        module = obj if isinstance(obj, ModuleType) else sys.modules.get(str(obj.__module__))
        if module is None or not is_loose(module):
            return
        if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self._registered.append(module)
