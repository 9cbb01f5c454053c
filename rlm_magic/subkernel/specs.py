"""Which Python a subkernel runs: this one, or that of a Jupyter kernelspec."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from .. import guest
from ..engine.errors import InputError, hint

GUEST = Path(guest.__file__).parent


def kernel_spec(name: str | None) -> KernelSpec:
    """The kernelspec ``name`` with our guest in place of its own start; None: this process's Python.

    Raises:
        InputError: there is no such kernelspec, or it is not one of a Python.
    """
    found = KernelSpec(argv=[sys.executable], display_name="Python", language="python") if name is None else _find(name)
    # what is run is the interpreter; a launcher in front of it, such as `conda run`, would hide the process
    found.argv = [_python(found, name), str(GUEST), "-f", "{connection_file}"]
    found.interrupt_mode = "signal"
    return found


def kernel_names() -> list[str]:
    """The kernelspecs that are installed here."""
    return sorted(KernelSpecManager().find_kernel_specs())


def _find(name: str) -> KernelSpec:
    try:
        return KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        known = kernel_names()
        otherwise = f"give one of {', '.join(known)}" if known else "none is installed"
        raise InputError(f"there is no kernel {name!r}: {hint(name, known, otherwise)}") from None


def _python(spec: KernelSpec, name: str | None) -> str:
    if spec.language.lower() != "python" or not spec.argv or "python" not in Path(spec.argv[0]).name.lower():
        raise InputError(
            f"the kernel {name!r} cannot be used: it runs {' '.join(spec.argv[:1]) or 'nothing'}, not a Python; "
            "give a kernel of a Python with ipykernel >= 6"
        )
    python = sys.executable if spec.argv[0] in ("python", "python3") else spec.argv[0]
    if shutil.which(python) is None:
        raise InputError(f"the kernel {name!r} names the Python {python}, which does not exist: install it again")
    return python
