"""The least that each figure of `benchmarks.calls` could be: its parts alone, measured in the same run.

A turn needs one cell of an ipykernel and one call of litellm, with the messages that a run of so many turns has in the
mean; a sub-call needs one call of litellm, or a round trip between two processes where its reply is kept; a batch the
same requests over bare HTTP; sub-RLMs in processes of their own need those processes.
"""

# jupyter_client is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from rlm_magic.engine.types import Message
from rlm_magic.models import open_model

REPEATS = 100
FRAME = b"x" * 100
ECHO = """
import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as channel:
    while frame := channel.recv(100):
        channel.sendall(frame)
"""


async def _mean(work: Callable[[], Awaitable[Any]], repeats: int = REPEATS) -> float:
    await work()
    start = time.perf_counter()
    for _ in range(repeats):
        await work()
    return (time.perf_counter() - start) / repeats


async def litellm_call(url: str, messages: int = 1) -> float:
    """Seconds of one request of so many short messages through litellm, as this package sets it up."""
    model = open_model("openai/calls-sub", api_base=url, api_key="none")
    return await _mean(lambda: model.complete([Message("user", "x")] * messages, max_tokens=16))


def round_trip() -> float:
    """Seconds until a frame of 100 bytes came back from another Python over a socketpair."""
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen([sys.executable, "-c", ECHO, str(theirs.fileno())], pass_fds=[theirs.fileno()]):
        ours.sendall(FRAME)
        ours.recv(len(FRAME))
        start = time.perf_counter()
        for _ in range(REPEATS):
            ours.sendall(FRAME)
            ours.recv(len(FRAME))
        taken = time.perf_counter() - start
        ours.shutdown(socket.SHUT_RDWR)
    return taken / REPEATS


async def kernel_cell() -> float:
    """Seconds of one cell in an ipykernel that nothing confines, reply and outputs awaited."""
    manager = AsyncKernelManager()
    await manager.start_kernel(stderr=subprocess.DEVNULL)
    client: AsyncKernelClient = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        return await _mean(lambda: client.execute_interactive("x = 1", store_history=False))
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def http_batch(url: str, count: int) -> float:
    """Seconds of so many requests at once over bare HTTP."""
    body = {"model": "batch-sub", "messages": [{"role": "user", "content": "x"}]}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post() -> None:
            async with session.post(f"{url}/chat/completions", json=body) as reply:
                await reply.json()

        start = time.perf_counter()
        await asyncio.gather(*(post() for _ in range(count)))
        return time.perf_counter() - start


async def kernels(count: int) -> float:
    """Seconds until so many ipykernels, started at once, have each answered."""

    async def one() -> AsyncKernelManager:
        manager = AsyncKernelManager()
        await manager.start_kernel(stderr=subprocess.DEVNULL)
        client: AsyncKernelClient = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        client.stop_channels()
        return manager

    start = time.perf_counter()
    managers = await asyncio.gather(*(one() for _ in range(count)))
    taken = time.perf_counter() - start
    await asyncio.gather(*(manager.shutdown_kernel(now=True) for manager in managers))
    return taken
