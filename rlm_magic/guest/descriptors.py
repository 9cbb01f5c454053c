"""What C code and child processes write to the standard descriptors, as output of the cell."""

from __future__ import annotations

import array
import codecs
import fcntl
import os
import termios
import threading
import time
from typing import Callable

CHUNK = 1 << 16
SETTLE_SECONDS = 0.2


class Descriptors:
    """Reads descriptors 1 and 2 from a pipe and hands their text to ``write``."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._handing = threading.Lock()
        self._end, into = os.pipe()
        for standard in (1, 2):
            os.dup2(into, standard)
        os.close(into)
        threading.Thread(target=self._read, name="rlm-descriptors", daemon=True).start()

    def settle(self) -> None:
        """Wait until what was written so far has been handed on; not long, as a process may go on writing."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._waiting() and time.monotonic() < deadline:
            time.sleep(0.001)
        with self._handing:
            pass

    def _waiting(self) -> int:
        count = array.array("i", [0])
        try:
            fcntl.ioctl(self._end, termios.FIONREAD, count)
        except OSError:
            return 0  # the model's code closed it
        return count[0]

    def _read(self) -> None:
        while True:
            try:
                first = os.read(self._end, 1)
                with self._handing:
                    rest = os.read(self._end, CHUNK) if self._waiting() else b""
                    self._write(self._decoder.decode(first + rest))
            except OSError:
                return
            if not first:
                return
