# ipykernel is typed in part only
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""The subkernel's ipykernel: a real IPython, whose cells report to the notebook over the socketpair alone.

Nothing is taken from Jupyter's iopub channel, which the model's code can write to; a reply on the shell channel
only says that the cell has ended, and never carries what the code made.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from importlib.metadata import version
from typing import Any, Dict, List, Optional

from ipykernel.compiler import XCachingCompiler
from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQInteractiveShell
from traitlets import Float, Type

from . import asyncrun, confine
from .calls import Calls
from .contexts import Outbox
from .descriptors import Descriptors
from .exports import NotExportable, export
from .frames import Frame
from .link import Link
from .load import load
from .names import SUBKERNEL_MARK
from .rules import no_processes
from .session import Session
from .show import type_name

STACK = 512 * 1024
OPTIONS = (
    "--IPKernelApp.capture_fd_output=False",
    "--HistoryManager.enabled=False",
    "--InteractiveShell.colors=NoColor",
)


class CellCompiler(XCachingCompiler):
    """Names each cell's code "cell 3", and keeps its lines for tracebacks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sources: Dict[str, List[str]] = {}

    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        name = f"cell {len(self.sources) + 1}"
        self.sources[name] = raw_code.splitlines()
        return name


class GuestPublisher(ZMQDisplayPublisher):
    """What is displayed goes to the session."""

    shell: Any

    def publish(self, data: Any, metadata: Any = None, **options: Any) -> None:
        self.shell.guest.show(data)

    def clear_output(self, wait: bool = False) -> None:
        """There is nothing to clear: outputs are told when the cell has ended."""


class GuestDisplayHook(ZMQShellDisplayHook):
    """Last expressions go to the session."""

    shell: Any

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.shell.guest.show(format_dict)

    def finish_displayhook(self) -> None:
        pass


class GuestShell(ZMQInteractiveShell):
    """An IPython whose errors are kept for the session instead of being printed."""

    display_pub_class = Type(GuestPublisher)
    displayhook_class = Type(GuestDisplayHook)
    guest: Session
    failure: Optional[BaseException] = None
    failed_display: Optional[BaseException] = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "compiler_class": CellCompiler})  # ipykernel 6 cannot be told which

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        """Called for what ended the cell; with a tuple, for a value that could not be shown."""
        if exc_tuple:
            self.failed_display = exc_tuple[1]
        elif self.failure is None:  # the message of an exception of the model's may raise again
            self.failure = sys.exc_info()[1]

    def showsyntaxerror(self, *args: Any, **options: Any) -> None:
        self.failure = sys.exc_info()[1]

    def ask_exit(self) -> None:
        raise SystemExit("exit() does not end this session")


class GuestKernel(IPythonKernel):
    """Runs a cell, tells the notebook, and replies with no more than that it has ended."""

    shell_class = Type(GuestShell)
    _execute_sleep = Float(0.0)  # for the order of outputs on iopub, which nobody reads
    link: Link
    descriptors: Descriptors

    async def do_execute(self, code: str, silent: bool, *args: Any, **options: Any) -> Dict[str, Any]:
        shell: Any = self.shell
        sys.stdout = sys.stderr = shell.guest.stream
        shell.failure = shell.failed_display = None
        parent: Any = self.get_parent("shell")
        shell.guest.begin(parent["header"]["msg_id"])
        try:
            # IPython's own history would format each error in full, and keep each result
            await super().do_execute(code, silent, store_history=False)
        except BaseException as error:  # also what the message of an exception of the model's raised
            if shell.failure is None:
                shell.failure = error
        self._end()
        return {"status": "ok", "execution_count": self.execution_count, "user_expressions": {}, "payload": []}

    def _end(self) -> None:
        """Tell what the cell did. An interrupt may still come while it is put together, not while it leaves."""
        shell: Any = self.shell
        guest: Session = shell.guest
        try:
            self.descriptors.settle()
            guest.end(shell.failed_display if shell.failure is None else shell.failure)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except BaseException:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            guest.abandon()
        self.link.flush()
        sys.stdout = sys.stderr = guest.stream


class Guest:
    """Ties the kernel to the notebook: answers its frames."""

    def __init__(self, kernel: Any, link: Link, plan: Optional[confine.Plan]) -> None:
        self._kernel = kernel
        self._plan = plan
        self._link = link
        self._calls: Optional[Calls] = None
        self._session = Session(kernel.shell.user_ns, kernel.shell.compile.sources, link.send)
        kernel.shell.guest = self._session
        kernel.link = link

    def handle(self, frame: Frame) -> None:
        """Answer one frame, on the reading thread."""
        if frame["type"] == "reply" and self._calls is not None:
            self._calls.reply(frame)
        elif frame["type"] == "over" and self._calls is not None:
            self._calls.over(frame["cell"])
        elif frame["type"] == "bind":
            self._link.send({"type": "bound", "name": frame["name"], **self._bind(frame)})
        elif frame["type"] == "setup":
            self._calls = Calls(self._link.send, Outbox(frame["outbox"]), **_options(frame))
            self._session.use(self._calls)
            # from here on nothing is written to the start-up log, which would have no limit
            self._kernel.descriptors = Descriptors(self._session.stream.write)
            if self._plan is not None:
                confine.lock(self._plan)
                self._kernel.shell.system = no_processes  # pexpect would report a lack of terminals
            self._link.send({"type": "ready"})
        else:
            self._between_questions(frame)

    def _between_questions(self, frame: Frame) -> None:
        if frame["type"] == "question" and self._calls is not None:
            self._session.ask_anew()
            self._calls.set_up(**_options(frame))
            self._session.use(self._calls)
            self._link.send({"type": "asked"})
        elif frame["type"] == "list":
            self._link.send({"type": "listed", "variables": self._session.variables()})
        elif frame["type"] == "pull":  # what a value of the model's does then must not hold up the reading thread
            threading.Thread(target=self._pull, args=(frame,), daemon=True).start()

    def _pull(self, frame: Frame) -> None:
        answer: Frame = {"type": "pulled", "of": frame["of"]}
        try:
            value = self._session.value(frame["name"])
            answer["was"] = type_name(value)
            answer.update(export(value, frame["path"]))
        except NotExportable as error:
            answer["error"] = str(error)
        except BaseException as error:  # whatever its library, or a class of the model's, raises
            answer["error"] = f"{type(error).__name__}: {error}"[:1000]
        self._link.send({"missing": "was" not in answer, **answer})

    def _bind(self, frame: Frame) -> Frame:
        try:
            if frame["format"] == "kept":
                self._session.keep(frame["name"])
            else:
                self._session.bind(frame["name"], load(frame["path"], frame["format"]))
        except ModuleNotFoundError as error:
            return {"error": str(error), "missing": error.name}
        except BaseException as error:  # whatever unpickling runs
            return {"error": f"{type(error).__name__}: {error}"[:1000], "missing": None}
        return {"error": None, "missing": None}


def _options(frame: Frame) -> Dict[str, Any]:
    return {name: frame[name] for name in ("recursive", "window", "tools")}


def serve(argv: List[str], descriptor: int, plan: Optional[confine.Plan]) -> None:
    """Run the kernel until it is killed."""
    os.environ[SUBKERNEL_MARK] = "1"
    app = IPKernelApp.instance(kernel_class=GuestKernel)
    app.initialize([*argv, *OPTIONS])
    link = Link(descriptor)
    guest = Guest(app.kernel, link, plan)
    asyncrun.install()
    warnings.filterwarnings("ignore", "To exit: use")  # IPython's advice, which is of no use here
    link.start(guest.handle)
    threading.stack_size(STACK)
    python = ".".join(map(str, sys.version_info[:3]))
    link.send({"type": "hello", "python": python, "ipykernel": version("ipykernel")})
    app.start()
