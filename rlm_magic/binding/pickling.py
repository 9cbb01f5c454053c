"""Pickling a value of the notebook, so that a subkernel with the same libraries can load it."""

from __future__ import annotations

import errno
import sys
from typing import BinaryIO

from ..engine.errors import BindingError
from ..guest.show import type_name
from .culprit import culprit
from .installed import is_loose

# What writing a file raises; the value may raise any other.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def pickle_into(file: BinaryIO, name: str, value: object) -> None:
    """Write the container of `rlm_magic.guest.load`.

    Classes and functions of the notebook travel by value, as do those of modules that are not installed: the folder
    of the notebook and editable installs are out of a subkernel's sight.

    Raises:
        BindingError: the value, or a part of it, cannot be pickled; the message names it.
        OSError: the file cannot be written.
    """
    from .pickler import write

    try:
        write(value, file)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        place, part = culprit(name, value, write)
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BindingError(
            f"{name} cannot be handed to the subkernel: {place} ({type_name(part)}) cannot be pickled: {cause}; "
            + _way_out(part)
        ) from error


def _way_out(part: object) -> str:
    ways = "convert it to text, list, dict or DataFrame, or pass a path"
    module = sys.modules.get(str(type(part).__module__))
    if module is None or not is_loose(module):
        return ways
    return f"{ways}, or install its module {module.__name__!r}, which goes along as it is not installed"
