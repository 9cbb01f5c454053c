"""What each of the `Limits` may be."""

from __future__ import annotations

import math

from .errors import InputError

OPTIONAL = {"tokens": 500_000, "cost": 0.5}  # with an example of each
REAL = {"cost", "seconds", "cell_seconds"}
LEAST = {"memory": 64 * 1024**2}
MOST = 2**53  # beyond it the view's numbers are not exact


def check(name: str, value: object, default: object) -> None:
    """Refuse a limit that is no number of the right kind, below its least value, or above `MOST`.

    Raises:
        InputError: the message begins with ``name=value``, or ``name`` alone if it is too large to be read.
    """
    if value is None and name in OPTIONAL:
        return
    real = name in REAL
    kinds = (int, float) if real else (int,)
    unreal = isinstance(value, float) and not math.isfinite(value)
    if isinstance(value, bool) or not isinstance(value, kinds) or unreal:
        kind, example = "number" if real else "whole number", OPTIONAL.get(name, default)
        raise InputError(f"{name}={value!r} is not a {kind}: give one such as {example}")
    if abs(value) > MOST:
        raise InputError(f"{name} is too large: give at most {MOST}")
    least = LEAST.get(name, 0 if real else 1)
    if value < least or (real and value == 0):
        raise InputError(f"{name}={value!r} is too small: give {'more than 0' if real else f'at least {least}'}")
