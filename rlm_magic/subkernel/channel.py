"""The notebook's end of the socketpair. What comes in is untrusted: `rlm_magic.guest.frames` says what it may be."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from ..guest.frames import LENGTH, Frame, decode, encode, length

BUFFER = 1024**2


class Channel:
    """Frames to and from one subkernel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=BUFFER)
        return cls(reader, writer)

    async def receive(self) -> Frame:
        """The next frame.

        Raises:
            FrameError: not a frame; the channel is of no use any more.
            EOFError, ConnectionError: the other end is closed.
        """
        size = length(await self._reader.readexactly(LENGTH.size))
        return decode(await self._reader.readexactly(size))

    async def send(self, frame: Frame) -> None:
        """Send a frame; waits while the other end does not read.

        Raises:
            FrameError: it is too long.
            ConnectionError: the other end is closed.
        """
        self._writer.write(encode(frame))
        await self._writer.drain()

    def post(self, frame: Frame) -> None:
        """Send a frame, if the other end is there, and wait for nothing."""
        if not self._writer.is_closing():
            self._writer.write(encode(frame))

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
