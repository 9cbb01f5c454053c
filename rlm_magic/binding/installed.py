"""Which modules a subkernel of the same Python finds as well."""

from __future__ import annotations

import os
import sysconfig
from functools import cache
from types import ModuleType

_FOLDERS = {"site-packages", "dist-packages"}


def is_loose(module: ModuleType) -> bool:
    """It is Python source outside of what is installed: in the notebook's folder, or an editable install."""
    source = getattr(module, "__file__", None)
    return (
        module.__name__ != "__main__"
        and isinstance(source, str)
        and source.endswith(".py")
        and not _is_installed(os.path.dirname(source))
    )


@cache
def _is_installed(folder: str) -> bool:
    folder = os.path.realpath(folder)
    libraries = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return not _FOLDERS.isdisjoint(folder.split(os.sep)) or any(
        folder == library or folder.startswith(library + os.sep) for library in libraries
    )
