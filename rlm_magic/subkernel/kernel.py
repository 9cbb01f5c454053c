# jupyter_client is typed in part only
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
"""One subkernel process, from its launch to its death."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec

from ..engine.errors import BindingError, SandboxError
from ..engine.ports import AnswerCalls
from ..engine.prompt import clean
from ..guest.frames import Frame, FrameError
from .cell import Cell
from .channel import Channel
from .ending import to_the_end
from .environment import environment
from .manager import manager
from .provisioner import SubkernelProvisioner, end_of
from .relay import MOST, Relay
from .rpc import refuse
from .tiers import Room, Tier
from .watch import Memory, overrun

START_SECONDS = 60.0
DEATH_SECONDS = 5.0
LAST_WORDS_SECONDS = 0.3
LOG_TAIL = 500
FLOODED = f"more than {MOST:,} bytes came on Jupyter's channel"
ANSWERS = ("hello", "ready", "bound", "asked", "listed", "pulled")


class Dead(Exception):
    """The subkernel died, or broke the protocol and was killed."""


class Kernel:
    """A running subkernel: `start` it once, `close` it.

    Attributes:
        about: the guest's hello: its versions of python and ipykernel.
        cell: the cell that is running.
        died: done when the process is dead, with its exit status.
        memory: what it may take; there once it has started.
    """

    def __init__(self, spec: KernelSpec, room: Room, tier: Tier) -> None:
        self.place = place = room.place
        self.about: Mapping[str, Any] = {}
        self.cell: Cell | None = None
        self._manager = manager(spec, place)
        self._provisioner = SubkernelProvisioner(kernel_id=place.directory.name, kernel_spec=spec, parent=self._manager)
        self._provisioner.room = room
        self._provisioner.tier = tier
        self._manager.provisioner = self._provisioner
        self._python = spec.argv[0]
        self._started = False
        self._broken = ""
        self._overrun = ""
        self._exits = contextlib.AsyncExitStack()
        self._exits.callback(place.remove)
        self._watching: asyncio.Task[None] | None = None
        self._answers: dict[str, asyncio.Future[Frame]] = {}

    async def start(self, *, recursive: bool, window: int, tools: Sequence[str] = ()) -> None:
        """Launch it, and wait until it has answered twice. ``tools`` are names of functions that its code may call.

        Raises:
            SandboxError: it did not start; the message ends with the last line that it wrote.
        """
        self._exits.push_async_callback(self._manager.cleanup_resources)
        self._exits.push_async_callback(self._reap)
        try:
            await self._manager.start_kernel(env=environment(self.place, self._python))
        except OSError as error:
            raise SandboxError(f"the subkernel's Python cannot be run: {error}") from error
        self.died = self._task(self._provisioner.wait())
        self._channel = await Channel.open(self._provisioner.channel)
        self._exits.push_async_callback(self._channel.close)
        try:
            async with asyncio.timeout(START_SECONDS):
                options = {"recursive": recursive, "window": window, "tools": list(tools)}
                await self._greet({**options, "outbox": str(self.place.outbox)})
        except (Dead, TimeoutError) as error:
            raise SandboxError(f"the subkernel did not start: {self._last_words() or error or 'no answer'}") from None
        self._client = await self._connected()
        self._exits.callback(self._client.stop_channels)
        self._started = True

    @property
    def alive(self) -> bool:
        """It has started, and not died."""
        return self._started and not self.died.done()

    async def _greet(self, setup: Frame) -> None:
        hello, ready = self._expect("hello"), self._expect("ready")
        self._task(self._read())
        self.about = await self._answer(hello)
        self._provisioner.started()
        self.memory = Memory(self._provisioner.kernel_pid)
        await self.tell({"type": "setup", **setup})
        await self._answer(ready)

    async def _connected(self) -> AsyncKernelClient:
        # only now: a socket that connects before the kernel has bound sleeps 100 ms before it tries again
        port = self._manager.shell_port
        self._relay = Relay(f"{self.place.sockets}-{port}", lambda: self.end(FLOODED))
        await self._relay.open(f"{self.place.relayed}-{port}")
        self._exits.push_async_callback(self._relay.close)
        client = self._manager.client(ip=str(self.place.relayed))
        client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        return client

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return self.place.log.read_text(errors="replace").strip().rpartition("\n")[2][-LOG_TAIL:]
        return ""

    async def bind(self, name: str, path: str, form: str) -> None:
        """Have the guest load a value.

        Raises:
            BindingError: it could not; the message says why.
            Dead: it died of it.
        """
        answer = await self.request("bind", "bound", name=name, path=path, format=form)
        if answer.get("missing"):
            raise BindingError(
                f"{name}: the subkernel's Python has no module {answer['missing']!r}: install it there, or name a "
                "kernel that has it with --kernel"
            )
        if answer.get("error"):
            raise BindingError(f"{name}: the subkernel cannot load it: {answer['error']}")

    async def ask(self, *, recursive: bool, window: int, tools: Sequence[str]) -> None:
        """Begin another question, set up as by `start`.

        Raises:
            Dead: it died.
        """
        await self.request("question", "asked", recursive=recursive, window=window, tools=list(tools))

    async def request(self, kind: str, answer: str, **fields: Any) -> Frame:
        """Send a frame that the guest answers with one of another kind, and with the same ``of`` if it has one.

        Raises:
            Dead: it died before it did.
        """
        expected = self._expect(answer + fields.get("of", ""))
        await self.tell({"type": kind, **fields})
        return await self._answer(expected)

    def open(self, code: str, handle: AnswerCalls) -> Cell:
        """Start a cell."""
        self.cell = Cell(self, code, handle)
        return self.cell

    def execute(self, code: str) -> str:
        """Send a cell, lone surrogates replaced, which no source can hold; returns what its reply will refer to."""
        self._relay.begin()
        return self._client.execute(clean(code), store_history=False, allow_stdin=False, stop_on_error=False)

    async def replied(self, message: str) -> None:
        """Wait for the reply to a message; one that Jupyter cannot read ends the kernel."""
        try:
            while (await self._client.get_shell_msg())["parent_header"].get("msg_id") != message:
                pass
        except Exception as error:
            self.end(f"a reply that is no Jupyter message: {error}")

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell, and wake an idle loop, which the signal alone does not.

        The message goes by a socket of its own: one sent on the socket that waits for the cell's reply may take away
        the event that tells of the reply (seen on a busy machine, one interrupt in ten).
        """
        self._provisioner.interrupt()
        with self._manager.connect_shell() as waker:  # closed before anything could come back
            self._manager.session.send(waker, "kernel_info_request", {})

    def watch(self, memory: int, mapped: int = 0) -> None:
        """Let its code have so many bytes of private memory beyond the bound values; it is ended if it takes more.

        ``mapped``: bytes of values bound since the last time that it may change besides.
        """
        if self._watching is not None:
            self._watching.cancel()
        limit = self.memory.allow(memory, mapped)
        self._watching = self._task(self._end_overrun(memory, limit))

    async def _end_overrun(self, memory: int, limit: int) -> None:
        self._overrun = await overrun(self._provisioner.kernel_pid, memory, limit, self.place.writable)
        self.kill()

    def kill(self) -> None:
        """Kill it with what it started; from any thread."""
        self._provisioner.end()

    def end(self, broken: str) -> None:
        """Kill it because it broke the protocol."""
        self._broken = self._broken or broken
        self.kill()

    def cpu_seconds(self) -> float:
        """Processor time of its main thread; 0 where that is not known."""
        return self._provisioner.cpu_seconds()

    @property
    def cause_of_death(self) -> str:
        """How the process ended, in words."""
        if self._broken:
            return f"was ended, as it broke the protocol of sub-calls ({self._broken})"
        if self._overrun:
            return f"{self._overrun} and was killed"
        if not self._started:
            return "did not start"
        return end_of(self.died.result() if self.died.done() else 0)

    async def send(self, frame: Frame) -> None:
        """Send a frame to the guest; as `Channel.send`."""
        await self._channel.send(frame)

    async def tell(self, frame: Frame) -> None:
        """Send a frame that may come too late."""
        with contextlib.suppress(ConnectionError):
            await self._channel.send(frame)

    def post(self, frame: Frame) -> None:
        """Send a frame without waiting for the guest to read."""
        self._channel.post(frame)

    async def close(self) -> None:
        """End it with everything that it started, and have its directory removed."""
        self.kill()
        await to_the_end(self._exits.aclose())

    async def _reap(self) -> None:
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._provisioner.wait(), DEATH_SECONDS)

    def _task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._exits.push_async_callback(_end, task)
        return task

    def _expect(self, kind: str) -> asyncio.Future[Frame]:
        answer = self._answers[kind] = asyncio.get_running_loop().create_future()
        return answer

    async def _answer(self, answer: asyncio.Future[Frame]) -> Frame:
        await asyncio.wait({answer, self.died}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise Dead(f"it ended with status {self.died.result()}")
        return answer.result()

    async def _read(self) -> None:
        """Take frames until the channel breaks; then there is nothing left to do for this process."""
        try:
            while True:
                await self._take(await self._channel.receive())
        except (EOFError, ConnectionError):  # it is dead, most likely: how, its parent will tell
            await asyncio.wait({self.died}, timeout=LAST_WORDS_SECONDS)
        except FrameError as error:
            self.end(str(error))
        finally:
            self.kill()

    async def _take(self, frame: Frame) -> None:
        kind = frame.get("type")
        if kind in ("call", "item", "cancel"):
            if self.cell is None:
                await refuse(frame, self.tell)
            else:
                await self.cell.calls.take(frame)
        elif kind in ("rich", "finish", "result"):
            if self.cell is not None:
                self.cell.tell(frame)
        elif kind in ANSWERS:
            self._answered(kind, frame)
        else:
            raise FrameError("a frame of an unknown type")

    def _answered(self, kind: str, frame: Frame) -> None:
        answer = self._answers.pop(kind + str(frame.get("of", "")), None)
        if answer is not None and not answer.done():
            answer.set_result(frame)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
