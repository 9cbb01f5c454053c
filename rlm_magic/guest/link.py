"""The guest's end of the socketpair: one thread reads, one writes, so that an interrupt never cuts a frame in two."""

from __future__ import annotations

import os
import queue
import socket
import threading
from typing import Callable, Union

from .frames import LENGTH, Frame, decode, encode, length


class Link:
    """Frames to and from the notebook. `send` may be called from any thread and never waits."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # not for programs that the model's code starts
        self._socket = socket.socket(fileno=descriptor)
        self._out: queue.SimpleQueue[Union[Frame, threading.Event]] = queue.SimpleQueue()

    def send(self, frame: Frame) -> None:
        self._out.put(frame)

    def flush(self) -> None:
        """Wait until everything sent so far has left this process."""
        left = threading.Event()
        self._out.put(left)
        left.wait()

    def start(self, handle: Callable[[Frame], None]) -> None:
        """Call ``handle`` with each frame that comes, on the reading thread."""
        threading.Thread(target=self._read, args=(handle,), name="rlm-read", daemon=True).start()
        threading.Thread(target=self._write, name="rlm-write", daemon=True).start()

    def _read(self, handle: Callable[[Frame], None]) -> None:
        try:
            while True:
                handle(decode(self._exactly(length(self._exactly(LENGTH.size)))))
        except (OSError, EOFError):
            os._exit(0)  # nobody is there to work for

    def _exactly(self, size: int) -> bytes:
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            got = self._socket.recv_into(view[done:])
            if not got:
                raise EOFError
            done += got
        return bytes(data)

    def _write(self) -> None:
        while True:
            frame = self._out.get()
            if isinstance(frame, threading.Event):
                frame.set()
                continue
            try:
                self._socket.sendall(encode(frame))
            except OSError:
                os._exit(0)
