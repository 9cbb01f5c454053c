"""The frames between notebook and subkernel: whatever comes, a frame or a `FrameError`."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_magic.guest.frames import MAX_FRAME, FrameError, decode, encode, length

TEXT = st.text(st.characters(codec=None))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)
FRAMES = st.dictionaries(TEXT, JSON)


@given(FRAMES)
def test_a_frame_comes_back(frame: dict[str, object]) -> None:
    wire = encode(frame)
    assert length(wire[:4]) == len(wire) - 4
    assert decode(wire[4:]) == frame


@given(st.binary() | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    try:
        frame = decode(body)
    except FrameError:
        return
    assert isinstance(frame, dict)


@given(FRAMES, st.data())
def test_a_frame_with_one_byte_changed_is_an_object_or_refused(frame: dict[str, object], data: st.DataObject) -> None:
    body = bytearray(encode(frame)[4:])
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FrameError):
        assert isinstance(decode(bytes(body)), dict)


@given(st.integers(0, 2**32 - 1))
def test_a_length_is_within_the_limit_or_refused(size: int) -> None:
    try:
        assert length(struct.pack("!I", size)) == size <= MAX_FRAME
    except FrameError:
        assert size > MAX_FRAME


@pytest.mark.parametrize(
    "body", [b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1,"a":2}', b"[]", b"", b"{}{}", b"\x80\x04."]
)
def test_what_is_no_strict_object_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        decode(body)


@given(st.integers(1, 20_000))
def test_nesting_ends_in_a_frame_or_a_refusal(depth: int) -> None:
    with suppress(FrameError):
        decode(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
