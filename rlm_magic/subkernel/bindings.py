"""The values of one subkernel: handed over as files, those of a later question too."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence

from ..engine.errors import BindingError
from ..engine.types import Source, ValueFile, Variable
from .files import hand_over
from .kernel import Dead, Kernel
from .threads import in_thread

# For a context that another subkernel handed up; a gibibyte takes about one.
UNTRUSTED_SECONDS = 60.0
# Bytes that loading one byte of a file may take: small objects, characters outside of Latin-1.
SPREAD = {"pickle": 64, "text": 4, "bytes": 1, "path": 0}


class Bindings:
    """What is bound in one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._sources: dict[str, Source] = {}
        self._again = False
        self._numbers = itertools.count()

    async def bind(self, variables: Sequence[Variable], memory: int) -> None:
        """Hand values over, and let the kernel's code take so many bytes of memory besides.

        In a later question one that has not changed since the last is not handed over again.

        Raises:
            BindingError: a value cannot be handed over. Dead: the kernel is dead.
        """
        before, self._sources = self._sources, {}
        trusted = all(variable.trusted for variable in variables)
        if self._again:  # code that was left behind must not take what it likes meanwhile
            self._kernel.memory.mark()
            self._kernel.watch(memory + await _room(v for v in variables if before.get(v.name) is not v.source))
        elif not trusted:  # loading it may run code of the model's
            self._kernel.watch(memory)
        try:
            async with asyncio.timeout(None if trusted else UNTRUSTED_SECONDS):
                mapped = sum([await self._bind(variable, before) for variable in variables])
        except TimeoutError:
            raise BindingError(f"the context could not be loaded within {UNTRUSTED_SECONDS:g} seconds") from None
        if trusted:
            self._kernel.watch(memory, mapped)
        self._again = True

    async def _bind(self, variable: Variable, before: dict[str, Source]) -> int:
        """Bind it; returns the bytes of it that are mapped and become private memory once they are changed."""
        if before.get(variable.name) is variable.source:
            await self._load(variable, "", "kept")
            return 0
        file = await in_thread(variable.source.file)
        await self._load(variable, await self._handed_over(file), file.format)
        return file.size if file.format == "pickle" else 0

    async def _handed_over(self, file: ValueFile) -> str:
        if file.format == "path":
            return file.path
        return await in_thread(hand_over, file.path, self._kernel.place.inbox / str(next(self._numbers)))

    async def _load(self, variable: Variable, path: str, form: str) -> None:
        try:
            await self._kernel.bind(variable.name, path, form)
        except Dead as death:
            raise BindingError(f"{variable.name}: the subkernel died while it loaded this value: {death}") from None
        self._sources[variable.name] = variable.source


async def _room(variables: Iterable[Variable]) -> int:
    files = [await in_thread(variable.source.file) for variable in variables]
    return sum(SPREAD[file.format] * file.size for file in files)
