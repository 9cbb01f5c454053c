"""What an Arrow IPC stream must be before pyarrow reads it: nothing compressed, no type but Arrow's own.

The messages are looked into by hand, as reading one already decompresses it and rebuilds its types. Their layout:
https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format and the format's ``Message.fbs``.
"""

from __future__ import annotations

import struct

MAX_MESSAGES = 100_000
CONTINUATION = 0xFFFFFFFF
SCHEMA, DICTIONARY, RECORDS = 1, 2, 3
# fields of the tables Message, DictionaryBatch and RecordBatch
HEADER_TYPE, HEADER, BODY_LENGTH, DICTIONARY_DATA, COMPRESSION = 1, 2, 3, 1, 3
EXTENSION = b"ARROW:extension"


def check_stream(content: bytes | bytearray) -> None:
    """Look at every message of a stream.

    Raises:
        ValueError: it is not one that is read.
    """
    at, kinds = 0, 0
    while at < len(content):
        start, size = at + 8, _whole(content, at)
        if not size:
            return
        message = _Table.root(content[start : start + size])
        kind = message.byte(HEADER_TYPE)
        if (kind == SCHEMA) is not (kinds == 0) or kind not in (SCHEMA, DICTIONARY, RECORDS):
            raise ValueError("a table whose messages are out of order")
        _check(message, kind)
        at = start + size + message.long(BODY_LENGTH)
        kinds += 1
        if at > len(content) or kinds > MAX_MESSAGES:
            raise ValueError("a table that is cut short, or in too many parts")


def _whole(content: bytes | bytearray, at: int) -> int:
    """The length of the message that begins here; 0 at the end of the stream."""
    mark, size = struct.unpack_from("<II", content, at)
    if mark != CONTINUATION or size % 8 or at + 8 + size > len(content):
        raise ValueError("not a table")
    return size


def _check(message: _Table, kind: int) -> None:
    if kind == SCHEMA:
        if EXTENSION in message.content:
            raise ValueError("a column is of an extension type: make it text or numbers below")
        return
    records = message.table(HEADER)
    if kind == DICTIONARY:
        records = records.table(DICTIONARY_DATA)
    if records.at(COMPRESSION):
        raise ValueError("the table is compressed")


class _Table:
    """A table of a FlatBuffer: fields by their number."""

    def __init__(self, content: bytes | bytearray, position: int) -> None:
        self.content = content
        self._position = position

    @classmethod
    def root(cls, content: bytes | bytearray) -> _Table:
        return cls(content, _unpack("<I", content, 0))

    def at(self, field: int) -> int:
        """Where a field lies; 0 if it is not there."""
        fields = self._position - _unpack("<i", self.content, self._position)
        entry = 4 + 2 * field
        if entry + 2 > _unpack("<H", self.content, fields):
            return 0
        offset = _unpack("<H", self.content, fields + entry)
        return self._position + offset if offset else 0

    def byte(self, field: int) -> int:
        return self._number("<B", field)

    def long(self, field: int) -> int:
        value = self._number("<q", field)
        if value < 0:
            raise ValueError("not a table")
        return value

    def table(self, field: int) -> _Table:
        position = self.at(field)
        if not position:
            raise ValueError("not a table")
        return _Table(self.content, position + _unpack("<I", self.content, position))

    def _number(self, form: str, field: int) -> int:
        position = self.at(field)
        return _unpack(form, self.content, position) if position else 0


def _unpack(form: str, content: bytes | bytearray, position: int) -> int:
    if position < 0 or position + struct.calcsize(form) > len(content):
        raise ValueError("not a table")
    return struct.unpack_from(form, content, position)[0]
