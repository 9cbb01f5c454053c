"""What each of the `Limits` may be."""

from __future__ import annotations

import math

from .errors import InputError

OPTIONAL = {"tokens": 500_000, "cost": 0.5}  # with an example of each
REAL = {"cost", "seconds", "cell_seconds"}
LEAST = {"memory": 64 * 1024**2}


def check(name: str, value: object, default: object) -> None:
    """Refuse a limit that is no number of the right kind, or below its least value.

    Raises:
        InputError: the message begins with ``name=value``.
    """
    if value is None and name in OPTIONAL:
        return
    real = name in REAL
    kinds = (int, float) if real else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        kind, example = "number" if real else "whole number", OPTIONAL.get(name, default)
        raise InputError(f"{name}={value!r} is not a {kind}: give one such as {example}")
    least = LEAST.get(name, 0 if real else 1)
    if value < least or (real and value == 0):
        raise InputError(f"{name}={value!r} is too small: give {'more than 0' if real else f'at least {least}'}")
