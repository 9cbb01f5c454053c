"""What a cell writes, in bounded memory: the head and the tail are kept, the middle is counted."""

from __future__ import annotations

import io
import threading
from typing import Any, List

HALF = 500_000


class HeadTail:
    """A text that keeps its first and its last ``half`` characters."""

    def __init__(self, half: int = HALF) -> None:
        self.chars = 0
        self._half = half
        self._head: List[str] = []
        self._tail: List[str] = []
        self._tail_chars = 0
        # reentrant: a finaliser that prints may run inside write
        self._lock = threading.RLock()

    def write(self, text: str) -> None:
        with self._lock:
            room = max(0, self._half - self.chars)
            self.chars += len(text)
            if room:
                self._head.append(text[:room])
            rest = text[room:][-self._half :]
            if rest:
                self._tail.append(rest)
                self._tail_chars += len(rest)
                self._trim()

    def _trim(self) -> None:
        if self._tail_chars > 2 * self._half or len(self._tail) > 10_000:
            last = "".join(self._tail)[-self._half :]
            self._tail, self._tail_chars = [last], len(last)

    def text(self) -> str:
        """Head and tail, with a line between them that says how much is left out."""
        with self._lock:
            head, tail = "".join(self._head), "".join(self._tail)[-self._half :]
            left_out = self.chars - len(head) - len(tail)
            if left_out:
                return f"{head}\n[... {left_out:,} characters left out ...]\n{tail}"
            return head + tail


class Stream(io.TextIOBase):
    """``sys.stdout`` and ``sys.stderr`` of the model's code; cannot be closed."""

    encoding = "utf-8"
    errors = "surrogatepass"

    def __init__(self) -> None:
        super().__init__()
        self.target = HeadTail()

    def write(self, text: Any) -> int:
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        self.target.write(str.__str__(text))  # a subclass of the model's may do anything when it is cut
        return len(text)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """A closed stream would lose the output of later cells."""
