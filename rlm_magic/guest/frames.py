"""The wire between notebook and subkernel: frames on a socketpair, each a 4-byte length and a JSON object.

guest to notebook

    hello   python, ipykernel              the kernel is up
    ready                                  set up; the model's code may come
    bound   name, error, missing           one answer for each bind
    asked                                  ready for another question
    listed  variables                      their names, types and sizes
    pulled  of, form, ...                  one answer for each pull: as `exports.export` returns; or missing, or error
    call    id, op, count, chars, model, batch, tool  announces a call; ``count`` items follow
    item    id, index, prompt, context     context: null, or {file, format, card}
    cancel  id                             its caller does not wait any more
    rich    cell, data                     one rich output: MIME type to text
    finish  cell, via, value, notice       an answer
    result  cell, ...                      what the cell did; its last frame

notebook to guest

    setup   recursive, window, outbox,     characters that one sub-call takes; where contexts of sub-RLMs go;
            tools                          names of the user's functions
    bind    name, path, format             one variable; format "kept": as in the question before
    question                               another question of a session; recursive, window, tools as in setup
    list                                   tell the variables
    pull    of, name, path                 write a variable to this file, for the notebook
    reply   id, index, text, error         one item's result; exactly one of the two is set
    over    cell                           the calls that this cell left behind are ended

``cell`` is the id of the execute request, so that no frame counts for a later cell.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, Dict, List, Tuple, cast

MAX_FRAME = 8 * 1024**2
LENGTH = struct.Struct("!I")

Frame = Dict[str, Any]


class FrameError(ValueError):
    """Not a frame: too long, or not strict JSON."""


def encode(frame: Frame) -> bytes:
    """A frame as bytes, lone surrogates kept.

    Raises:
        FrameError: it is longer than `MAX_FRAME` bytes, or holds what JSON has no form for.
    """
    try:
        text = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError("not JSON: " + str(error)) from None
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > MAX_FRAME:
        raise FrameError(f"a frame of {len(body):,} bytes is over the limit of {MAX_FRAME:,}")
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Frame:
    """The frame in ``body``, which is without its length.

    Raises:
        FrameError: not one JSON object, a key twice, NaN or infinity, or nested too deeply.
    """
    try:
        text = body.decode("utf-8", "surrogatepass")
        frame = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FrameError("not a frame: " + str(error)) from None
    if not isinstance(frame, dict):
        raise FrameError("not a frame: not an object")
    return cast(Frame, frame)


def length(head: bytes) -> int:
    """The length that a frame's first four bytes announce.

    Raises:
        FrameError: more than `MAX_FRAME`.
    """
    (size,) = LENGTH.unpack(head)
    if size > MAX_FRAME:
        raise FrameError(f"a frame of {size:,} bytes is over the limit of {MAX_FRAME:,}")
    return size


def _refuse(constant: str) -> None:
    raise ValueError(constant + " is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _unique(pairs: List[Tuple[str, Any]]) -> Frame:
    frame = dict(pairs)
    if len(frame) != len(pairs):
        raise ValueError("a key occurs twice")
    return frame
