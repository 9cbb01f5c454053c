"""Jupyter's channel to a subkernel, with what comes up counted.

ZeroMQ bounds the parts of a message but not their number: it would take what the model's code sends, a message that
never ends, until the notebook's memory is full.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable

BLOCK = 64 * 1024
MOST = 1024**2  # bytes that come up in one cell; an honest reply has a few hundred


class Relay:
    """Passes what connects to a socket on to the one of a subkernel. ``flooded`` is called when too much comes up."""

    def __init__(self, below: str, flooded: Callable[[], object]) -> None:
        self._below = below
        self._flooded = flooded
        self._left = MOST
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, above: str) -> None:
        """Listen at this path.

        Raises:
            OSError: it cannot be used.
        """
        self._server = await asyncio.start_unix_server(self._connected, above)

    def begin(self) -> None:
        """Another cell begins."""
        self._left = MOST

    async def close(self) -> None:
        """End every connection.

        asyncio forgets one that is being accepted while its server closes (CPython 3.11), so none may be: no more are
        accepted, then those accepted before are made, which takes one pass of the loop for each of three steps.
        """
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.create_task(self._pass_on(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(lambda _: writer.close())

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError):
            below, down = await asyncio.open_unix_connection(self._below)
            with contextlib.closing(down):
                pumps = {asyncio.create_task(_pump(reader, down)), asyncio.create_task(self._pump_up(below, writer))}
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump_up(self, below: StreamReader, writer: StreamWriter) -> None:
        while block := await below.read(BLOCK):
            self._left -= len(block)
            if self._left < 0:
                self._flooded()
                return
            writer.write(block)
            await writer.drain()


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while block := await reader.read(BLOCK):
        writer.write(block)
        await writer.drain()
