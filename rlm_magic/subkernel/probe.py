"""What runs a subkernel here, for `%rlm doctor`."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from jupyter_client.kernelspec import KernelSpecManager


def probe() -> str:
    """One line: the Python and its packages, the confinement, the kernels that --kernel takes. Starts nothing."""
    python = ".".join(map(str, sys.version_info[:3]))
    packages = ", ".join(f"{name} {_version(name)}" for name in ("ipykernel", "jupyter_client", "pyzmq"))
    kernels = ", ".join(sorted(KernelSpecManager().find_kernel_specs())) or "none"
    return f"Python {python} with {packages}; not confined; kernels: {kernels}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
