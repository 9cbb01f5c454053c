"""An IPython where `%%rlm` runs once for each line of input, to be interrupted from outside.

    python -m tests.faults.session URL RUNS

For each line: prints "started", runs, prints "back ERROR" and, once the run's processes had time to end, a line of JSON
with what is left of them. As in a notebook's kernel, Ctrl-C is heard while a cell runs and at no other time.
"""

from __future__ import annotations

import json
import signal
import sys
import time

import psutil
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic.run import live

PATIENCE = 60.0


def left_over() -> dict[str, int]:
    """Processes and runs that are still there after a while."""
    deadline = time.monotonic() + PATIENCE
    while (live or psutil.Process().children()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return {"processes": len(psutil.Process().children(recursive=True)), "runs": len(live)}


def run(shell: InteractiveShell, cell: str) -> BaseException | None:
    """What a cell ends with; a Ctrl-C before it or after it is one that it ends with."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            print("started", flush=True)
            return shell.run_cell(cell).error_in_exec
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt as interrupt:
        return interrupt


if __name__ == "__main__":
    url, runs = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "rlm_magic")
    shell.run_line_magic("config", f"RLMMagic.runs_dir = {runs!r}")
    shell.user_ns["docs"] = "one two three"
    for _ in sys.stdin:
        error = run(shell, f"%%rlm docs -m openai/root -s openai/sub --api-base {url} --depth 2\ngo")
        print("back", type(error).__name__, flush=True)
        print(json.dumps(left_over()), flush=True)
