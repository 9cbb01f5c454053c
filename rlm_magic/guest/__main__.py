"""What a subkernel runs: ``python <this directory> -f CONNECTION_FILE``, or ``--probe FILE`` to try its confinement.

The directory is loaded as the package ``rlm_guest`` and then taken off ``sys.path``, so that the model's code cannot
import its files by their short names, nor be served them instead of modules of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import sys
from typing import Any

PACKAGE = "rlm_guest"
PR_SET_PDEATHSIG = 1


def main() -> None:
    directory = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != directory]
    _load(directory)
    names: Any = importlib.import_module(PACKAGE + ".names")
    confine: Any = importlib.import_module(PACKAGE + ".confine")
    plan = json.loads(os.environ.pop(names.PLAN_VARIABLE, "null"))
    if sys.argv[1] == "--probe":
        print(json.dumps(confine.probe(plan, sys.argv[2])))
        return
    descriptor = int(os.environ.pop(names.CHANNEL_VARIABLE))
    os.environ.pop("JPY_PARENT_PID", None)
    options = sys.argv[1:]
    if sys.platform == "linux":
        _die_with(os.environ.pop(names.PARENT_VARIABLE, ""))
        options.append("--IPKernelApp.parent_handle=0")
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # no debugger: saves its import and a thread
    if plan is not None:
        confine.enter(plan)
    kernel: Any = importlib.import_module(PACKAGE + ".kernel")
    kernel.serve(options, descriptor, plan)


def _load(directory: str) -> None:
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(directory, "__init__.py"), submodule_search_locations=[directory]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[PACKAGE] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


def _die_with(parent: str) -> None:
    """Be killed when the thread that started this process ends: also while C code holds the interpreter's lock."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent and os.getppid() != int(parent):
        os._exit(1)  # it was gone before the call above


if __name__ == "__main__":
    main()
