"""The engine's `Sandbox` on a real ipykernel, for one question or for several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec

from ..engine.errors import BindingError, InputError
from ..engine.ports import AnswerCalls
from ..engine.types import CellError, CellResult, Change, Variable
from . import inspection
from .bindings import Bindings
from .cell import Cell
from .ending import to_the_end
from .kernel import Dead, Kernel
from .rundir import run_directory
from .tiers import TIERS, Room, Tier

# Seconds that an interrupted cell has to end by itself: after its time is up, and when the run was stopped.
GRACE = 1.0
STOP_GRACE = 0.08
# The same in a subkernel that is to be kept, whose variables are worth more than the moment.
KEPT_GRACE = 1.0
# For a kept subkernel to say that it is there.
ASKED_SECONDS = 10.0


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


class Subkernel:
    """A `Sandbox`, which starts when its values are bound.

    After a timeout that did not end the code, or a death, a new process takes over.
    """

    def __init__(self, setup: Setup) -> None:
        self.confinement = setup.tier.words
        self.rules = setup.tier.rules
        self._setup = setup
        self._recursive = False
        self._window = 0
        self._stop_grace = STOP_GRACE
        self._seen: tuple[str, ...] = ()
        self._forgotten = ""
        self._variables: tuple[Variable, ...] = ()
        self._kernel: Kernel | None = None
        self._lost = False
        self._renewing: asyncio.Task[None] | None = None

    def prepare(self, setup: Setup, *, recursive: bool, window: int, kept: bool) -> None:
        """Set it up for a question; a process that runs stays as it was started, but for its tools.

        ``kept``: it is to outlive the question.
        """
        paths = tuple(dict.fromkeys((*self._setup.paths, *setup.paths)))
        self._setup, self._recursive, self._window = replace(setup, paths=paths), recursive, window
        self._stop_grace = KEPT_GRACE if kept else STOP_GRACE

    async def start(self) -> None:
        """Launch the process.

        Raises:
            SandboxError: it does not start.
        """
        self._kernel = self._setup.kernel()
        self._seen = self._setup.paths
        self._bindings = Bindings(self._kernel)
        await self._kernel.start(**self._options())

    async def bind(self, variables: Sequence[Variable]) -> None:
        self._variables = tuple(variables)
        if not await self._asked():
            await self.start()
        await self._bind()

    async def run(self, code: str, handle: AnswerCalls, *, seconds: float) -> CellResult:
        kernel = await self._ready()
        cell = kernel.open(code, handle)
        try:
            in_time = await cell.within(seconds)
            if not in_time:
                await cell.stop(GRACE)
            return self._remembered(self._result(cell, in_time, seconds))
        except BaseException as error:
            if not await cell.stop(self._stop_grace if isinstance(error, asyncio.CancelledError) else GRACE):
                self._lost = True
                kernel.kill()
            raise
        finally:
            await cell.close()

    @property
    def alive(self) -> bool:
        """Its process runs, with all that was made in it."""
        return self._kernel is not None and self._kernel.alive and not self._lost

    def sees(self, path: str) -> bool:
        """Whether a question's code can read a file or folder of the user's, once that is bound."""
        confined = self._setup.tier is not TIERS["none"]
        return not (self.alive and confined) or any(Path(path).is_relative_to(seen) for seen in self._seen)

    @property
    def cause_of_death(self) -> str:
        """How its process ended, in words that follow "it"."""
        return "never started" if self._kernel is None else self._kernel.cause_of_death

    @property
    def memory(self) -> int:
        """Bytes of memory that are its process's own."""
        return self._kernel.memory.resident if self._kernel is not None and self.alive else 0

    async def settled(self) -> None:
        """Wait until a process that takes over from a dead one is there, or cannot be."""
        if self._renewing is not None:
            await asyncio.wait({self._renewing})

    async def variables(self) -> tuple[Change, ...]:
        """The variables of the model's code, while no cell runs.

        Raises:
            InputError: its process is dead, or does not answer.
        """
        return await inspection.variables(self._living())

    async def pull(self, name: str) -> object:
        """The value of a variable, as data; while no cell runs.

        Raises:
            InputError: there is none, or it cannot be pulled; the message is one line.
        """
        return await inspection.pull(self._living(), name)

    def _living(self) -> Kernel:
        if self._kernel is None or not self.alive:
            raise InputError(f"its subkernel is gone: it {self.cause_of_death}")
        return self._kernel

    def kill(self) -> None:
        """Kill the process with what it started; from any thread."""
        if self._kernel is not None:
            self._kernel.kill()

    async def close(self) -> None:
        """End every process of it and have their files removed."""
        self.kill()
        await to_the_end(self._close())

    async def _close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})
        if self._kernel is not None:
            await self._kernel.close()

    async def _bind(self) -> None:
        try:
            await self._bindings.bind(self._variables, self._setup.memory)
        except Dead as death:
            raise BindingError(f"the subkernel died while its values were bound: {death}") from None

    async def _asked(self) -> bool:
        """Tell the process of an earlier question that another begins; False if there is none that could hear it."""
        if self._kernel is None:
            return False
        await self.settled()
        why = f"it {self._kernel.cause_of_death}"
        if self.alive:
            try:
                async with asyncio.timeout(ASKED_SECONDS):
                    await self._kernel.ask(**self._options())
                return True
            except TimeoutError:
                why = "code of yours that was left running kept it busy, and it was ended"
            except Dead:
                why = f"it {self._kernel.cause_of_death}"
        self._forgotten = f"The Python session of the earlier questions died: {why}. Its variables are gone."
        await self.close()
        self._lost, self._renewing = False, None
        return False

    def _options(self) -> dict[str, Any]:
        """What the guest is told of a question."""
        return {"recursive": self._recursive, "window": self._window, "tools": list(self._setup.tools)}

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

    def _remembered(self, result: CellResult) -> CellResult:
        """The first result after the process of earlier questions was found dead says so."""
        forgotten, self._forgotten = self._forgotten, ""
        return replace(result, lost=" ".join(filter(None, (forgotten, result.lost)))) if forgotten else result

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
