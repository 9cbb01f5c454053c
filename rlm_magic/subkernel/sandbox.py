"""The engine's `Sandbox` on a real ipykernel: one fresh subkernel for each RLM of the tree."""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

from jupyter_client.kernelspec import KernelSpec

from ..engine.errors import BindingError
from ..engine.ports import Handle
from ..engine.types import GIB, CellError, CellResult, Variable
from .cell import Cell
from .files import hand_over
from .kernel import Dead, Kernel
from .rundir import run_directory
from .specs import kernel_spec
from .threads import in_thread
from .tiers import TIERS, Room, Tier, installation

# Seconds that an interrupted cell has to end by itself: after its time is up, and when the run was stopped.
GRACE = 1.0
STOP_GRACE = 0.08
# For a context that another subkernel handed up; a gibibyte takes about one.
UNTRUSTED_SECONDS = 60.0


@dataclass(frozen=True)
class Setup:
    """What the subkernels of one run have in common."""

    spec: KernelSpec
    python: tuple[str, ...]
    tier: Tier
    memory: int
    paths: tuple[str, ...]
    tools: tuple[str, ...] = ()

    def kernel(self) -> Kernel:
        """A kernel in a new place, not yet started."""
        return Kernel(self.spec, Room(run_directory.place(), self.python, self.paths), self.tier)


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
        self.rules = self._setup.tier.rules
        self._open: set[Subkernel] = set()
        self._owner = os.getpid()
        _all.add(self)

    def __call__(self, node: str, *, recursive: bool, window: int) -> AbstractAsyncContextManager[Subkernel]:
        return self._opening(recursive, window)

    @asynccontextmanager
    async def _opening(self, recursive: bool, window: int) -> AsyncGenerator[Subkernel]:
        subkernel = Subkernel(self._setup, recursive, window)
        self._open.add(subkernel)
        try:
            yield subkernel
        finally:
            await subkernel.close()
            self._open.discard(subkernel)

    def kill(self) -> None:
        """Kill every subkernel that is open; from any thread. A forked child leaves its parent's alone."""
        if self._owner == os.getpid():
            for subkernel in list(self._open):
                subkernel.kill()


class Subkernel:
    """A `Sandbox`, which starts when its values are bound.

    After a timeout that did not end the code, or a death, a new process takes over.
    """

    def __init__(self, setup: Setup, recursive: bool, window: int) -> None:
        self.confinement = setup.tier.words
        self.rules = setup.tier.rules
        self._setup = setup
        self._recursive = recursive
        self._window = window
        self._variables: tuple[Variable, ...] = ()
        self._kernel: Kernel | None = None
        self._lost = False
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Launch the process.

        Raises:
            SandboxError: it does not start.
        """
        self._kernel = self._setup.kernel()
        await self._kernel.start(recursive=self._recursive, window=self._window, tools=self._setup.tools)

    async def bind(self, variables: Sequence[Variable]) -> None:
        self._variables = tuple(variables)
        await self.start()
        await self._bind()

    async def run(self, code: str, handle: Handle, *, seconds: float) -> CellResult:
        kernel = await self._ready()
        cell = kernel.open(code, handle)
        try:
            in_time = await cell.within(seconds)
            if not in_time:
                await cell.stop(GRACE)
            return self._result(cell, in_time, seconds)
        except BaseException as error:
            if not await cell.stop(STOP_GRACE if isinstance(error, asyncio.CancelledError) else GRACE):
                self._lost = True
                kernel.kill()
            raise
        finally:
            await cell.close()

    def kill(self) -> None:
        """Kill the process with what it started; from any thread."""
        if self._kernel is not None:
            self._kernel.kill()

    async def close(self) -> None:
        """End every process of it and remove their files."""
        self.kill()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})
        if self._kernel is not None:
            await self._kernel.close()

    async def _bind(self) -> None:
        assert self._kernel is not None
        trusted = all(variable.trusted for variable in self._variables)
        mapped = 0
        if not trusted:  # loading it may run code of the model's
            self._kernel.watch(self._setup.memory)
        try:
            async with asyncio.timeout(None if trusted else UNTRUSTED_SECONDS):
                for number, variable in enumerate(self._variables):
                    mapped += await self._bind_one(self._kernel, number, variable)
        except TimeoutError:
            raise BindingError(f"the context could not be loaded within {UNTRUSTED_SECONDS:g} seconds") from None
        if trusted:
            self._kernel.watch(self._setup.memory, mapped)

    async def _bind_one(self, kernel: Kernel, number: int, variable: Variable) -> int:
        """Bind it; returns the bytes of it that are mapped and become private memory once they are changed."""
        file = await in_thread(variable.source.file)
        path = file.path
        if file.format != "path":
            path = await in_thread(hand_over, file.path, kernel.place.inbox / str(number))
        try:
            await kernel.bind(variable.name, path, file.format)
        except Dead as death:
            raise BindingError(f"{variable.name}: the subkernel died while it loaded this value: {death}") from None
        return file.size if file.format == "pickle" else 0

    async def _ready(self) -> Kernel:
        if self._lost and self._renewing is None:
            self._renew()
        if self._renewing is not None:
            await asyncio.shield(self._renewing)
            self._renewing = None
        assert self._kernel is not None
        return self._kernel

    def _renew(self) -> None:
        """Start a new process in the background; what goes wrong there is raised by the next cell."""
        self._renewing = asyncio.create_task(self._take_over())
        self._renewing.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _take_over(self) -> None:
        assert self._kernel is not None
        await self._kernel.close()
        await self.start()
        await self._bind()
        self._lost = False

    def _result(self, cell: Cell, in_time: bool, seconds: float) -> CellResult:
        over = f"the cell ran longer than {seconds:g} seconds"
        if not cell.ended:
            return self._restarted(cell, in_time, over)
        result = replace(cell.report.cell_result(), seconds=cell.seconds)
        if in_time:
            return result
        return replace(result, status="timeout", error=_timeout(over + " and was interrupted", result.error))

    def _restarted(self, cell: Cell, in_time: bool, over: str) -> CellResult:
        assert self._kernel is not None
        if in_time:
            lost = _lost(f"The Python session died: it {self._kernel.cause_of_death}.", self._variables)
            result = CellResult("died", seconds=cell.seconds, lost=lost)
        else:
            lost = _lost(f"{over[0].upper()}{over[1:]} and could not be interrupted.", self._variables)
            result = CellResult("timeout", error=_timeout(over, None), seconds=cell.seconds, lost=lost)
        self._kernel.kill()
        self._lost = True
        self._renew()
        return result


def _lost(what: str, variables: Sequence[Variable]) -> str:
    kept = f"; {', '.join(v.name for v in variables)} as at the start" if variables else ""
    return f"{what} A new session runs: the variables that you made are gone{kept}."


def _timeout(message: str, interrupted: CellError | None) -> CellError:
    lines = interrupted.traceback.split("\n")[:-1] if interrupted else []
    return CellError("TimeoutError", message, "\n".join([*lines, f"TimeoutError: {message}"]))


_all: weakref.WeakSet[Subkernels] = weakref.WeakSet()


@atexit.register
def close_all() -> None:
    """Kill every subkernel of this process."""
    for subkernels in list(_all):
        subkernels.kill()
