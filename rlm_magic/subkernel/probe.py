"""What runs a subkernel here, for `%rlm doctor`."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from jupyter_client.kernelspec import KernelSpecManager

from ..guest import landlock
from .tiers import failure


def probe() -> str:
    """One line: the Python and its packages, and the kernels that --kernel takes. Starts nothing."""
    python = ".".join(map(str, sys.version_info[:3]))
    packages = ", ".join(f"{name} {_version(name)}" for name in ("ipykernel", "jupyter_client", "pyzmq"))
    kernels = ", ".join(sorted(KernelSpecManager().find_kernel_specs())) or "none"
    return f"Python {python} with {packages}; kernels: {kernels}"


def probe_tiers() -> str:
    """One line: which tiers of confinement work here, each tried now, and why one does not."""
    if sys.platform != "linux":
        return f"none works on {sys.platform}: --sandbox none runs the model's code with your rights"
    found = [f"{name} {_found(name)}" for name in ("bwrap", "landlock")]
    return f"{'; '.join(found)} (the kernel has Landlock ABI {landlock.abi()}, {landlock.LOWEST_ABI} is needed)"


def _found(name: str) -> str:
    reason = failure(name)
    return f"does not work: {reason}" if reason else "works"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
