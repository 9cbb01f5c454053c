"""Opens subkernels for the RLMs of a run: a fresh one for each; the root's may be kept beyond it."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ..engine.types import GIB
from .sandbox import Setup, Subkernel
from .specs import kernel_spec
from .tiers import TIERS, Tier, installation

ROOT = "0"  # the node of a run's own RLM


class Subkernels:
    """Opens subkernels, as `OpenSandbox`.

    Args:
        kernel: name of a kernelspec of a Python with ipykernel >= 6; None: the Python of this process.
        memory: bytes of private memory of one subkernel, beyond the bound values.
        tier: how it is confined; see `rlm_magic.subkernel.tiers.choose`.
        paths: files and folders of the user's that the model's code may read.
        tools: names of the user's functions that it may call.

    Raises:
        InputError: there is no such kernelspec, or it is not one of a Python.
    """

    def __init__(
        self,
        *,
        kernel: str | None = None,
        memory: int = 4 * GIB,
        tier: Tier | None = None,
        paths: Sequence[str] = (),
        tools: Sequence[str] = (),
    ) -> None:
        spec = kernel_spec(kernel)
        where, tier = installation(spec.argv[0]), tier or TIERS["none"]
        self._setup = Setup(spec, where, tier, memory, tuple(paths), tuple(tools))
        self.confinement = self._setup.tier.words
        self.tier = next(name for name, each in TIERS.items() if each is self._setup.tier)
        self.rules = self._setup.tier.rules
        self._kept: Subkernel | None = None
        self._open: set[Subkernel] = set()
        self._owner = os.getpid()
        _all.add(self)

    def keep(self, subkernel: Subkernel | None) -> Subkernel:
        """Have the root use this subkernel, or a new one where None is given, and leave it open at its end."""
        self._kept = subkernel or Subkernel(self._setup)
        _kept[self._kept] = self._owner
        return self._kept

    @property
    def paths(self) -> tuple[str, ...]:
        """Files and folders that the model's code may read."""
        return self._setup.paths

    def __call__(self, node: str, *, recursive: bool, window: int) -> AbstractAsyncContextManager[Subkernel]:
        kept = self._kept if node == ROOT else None
        return self._opening(kept, recursive, window)

    @asynccontextmanager
    async def _opening(self, kept: Subkernel | None, recursive: bool, window: int) -> AsyncGenerator[Subkernel]:
        subkernel = kept or Subkernel(self._setup)
        subkernel.prepare(self._setup, recursive=recursive, window=window, kept=kept is not None)
        self._open.add(subkernel)
        try:
            yield subkernel
        finally:
            if kept is None:
                await subkernel.close()
            self._open.discard(subkernel)

    def kill(self) -> None:
        """Kill every subkernel that is open; from any thread. A forked child leaves its parent's alone."""
        if self._owner == os.getpid():
            for subkernel in list(self._open):
                subkernel.kill()


_all: weakref.WeakSet[Subkernels] = weakref.WeakSet()
_kept: weakref.WeakKeyDictionary[Subkernel, int] = weakref.WeakKeyDictionary()


@atexit.register
def close_all() -> None:
    """Kill every subkernel of this process."""
    for subkernels in list(_all):
        subkernels.kill()
    for subkernel, owner in list(_kept.items()):
        if owner == os.getpid():
            subkernel.kill()
