# jupyter_client is typed in part only
# pyright: reportUnknownMemberType=false
"""Jupyter's manager of a kernel, over ipc, with a context of zmq for each process."""

from __future__ import annotations

import os
from functools import cache

import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from .rundir import Place

# Longer messages are the doing of the kernel's code: an honest reply has a few hundred bytes.
MAX_MESSAGE = 16 * 1024**2


class _OneSpec(KernelSpecManager):
    """Knows one kernelspec."""

    spec: KernelSpec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec


def manager(spec: KernelSpec, place: Place) -> AsyncKernelManager:
    """A manager of one kernel, whose files are at ``place``; it has no provisioner yet."""
    specs = _OneSpec()
    specs.spec = spec
    return AsyncKernelManager(
        kernel_spec_manager=specs,
        transport="ipc",
        ip=str(place.sockets),
        connection_file=str(place.connection_file),
        context=_context(os.getpid()),
    )


@cache
def _context(process: int) -> zmq.asyncio.Context:
    """One for each process: it has a thread, which a forked child does not."""
    context = zmq.asyncio.Context()
    context.maxmsgsize = MAX_MESSAGE  # a default of its sockets
    return context
