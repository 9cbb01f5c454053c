"""What passes between a notebook and a subkernel on Jupyter's channel, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

from rlm_magic.subkernel.relay import BLOCK, MOST, Relay


class Below:
    """The other side of a relay: keeps what it is told, and says what it is given to say."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = asyncio.Event()
        self.says = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            writer.write(self.says)
            while block := await reader.read(BLOCK):
                self.heard += block
        self.ended.set()


@contextlib.asynccontextmanager
async def relayed(folder: Path, below: Below, flooded: asyncio.Event) -> AsyncGenerator[tuple[Relay, str]]:
    above = str(folder / "above")
    async with await asyncio.start_unix_server(below.serve, str(folder / "below")):
        relay = Relay(str(folder / "below"), flooded.set)
        await relay.open(above)
        try:
            yield relay, above
        finally:
            await relay.close()


def test_what_was_sent_before_the_sender_hung_up_arrives(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        below = Below()
        async with relayed(tmp_path, below, asyncio.Event()) as (_, above):
            with socket.socket(socket.AF_UNIX) as sender:
                sender.connect(above)
                sender.sendall(b"wake up")
            await below.ended.wait()
        return below.heard

    assert asyncio.run(scenario()) == b"wake up"


def test_what_comes_up_is_counted_for_each_cell(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, bool, int, bool]:
        below, flooded = Below(), asyncio.Event()
        below.says = b"x" * MOST
        async with relayed(tmp_path, below, flooded) as (relay, above):
            reader, writer = await asyncio.open_unix_connection(above)
            first = len(await reader.readexactly(MOST))
            within = not flooded.is_set()
            relay.begin()
            below.says += b"x"
            again, other = await asyncio.open_unix_connection(above)
            second = len(await again.read(-1))
            writer.close()
            other.close()
            return first, within, second, flooded.is_set()

    first, within, second, flooded = asyncio.run(scenario())
    assert (first, within, flooded) == (MOST, True, True)
    assert second <= MOST


def test_a_connection_that_comes_while_it_closes_is_closed_too(tmp_path: Path) -> None:
    """None is left for the garbage collector, which warns of it."""

    async def scenario(folder: Path, passes: int) -> list[bytes]:
        async with relayed(folder, Below(), asyncio.Event()) as (_, above):
            clients = [socket.socket(socket.AF_UNIX) for _ in range(20)]
            for client in clients:
                client.settimeout(30)
                client.connect(above)
            for _ in range(passes):
                await asyncio.sleep(0)
        received: list[bytes] = []
        for client in clients:
            with client, contextlib.suppress(ConnectionError):
                received.append(client.recv(1))
        return received

    for passes in range(8):
        folder = tmp_path / str(passes)
        folder.mkdir()
        assert not any(asyncio.run(scenario(folder, passes)))
        gc.collect()
