"""Reads records whose header names are not UTF-8: otherwise one would block its partition for ever.

Kafka calls a header's name a string and does not check it, so any publisher can write such a name.
aiokafka 0.14.0 raises at it, loses the records it read before it in the same call, and raises again
for ever. Here the batch is read again by aiokafka's own reader in Python, with U+FFFD in place of
bytes that are no text; `Inbox` then handles the record like any other.
"""

from __future__ import annotations

from typing import Any, SupportsIndex, overload

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.structs import ConsumerRecord

#: Batches from this version of the format on have headers.
MAGIC_WITH_HEADERS = 2


class _Text(bytearray):
    """Bytes whose slices decode even if they are not UTF-8."""

    @overload
    def __getitem__(self, at: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytearray: ...
    def __getitem__(self, at: SupportsIndex | slice) -> int | bytearray:
        found = super().__getitem__(at)
        return found if isinstance(found, int) else _Text(found)

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # final, but only by name
    """A batch that reads any header name."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Text(self._buffer)


class _Batches(_MemoryRecordsPy):  # type: ignore[misc]  # the same
    """The batches of one response, from the one with an offset on; each reads any header name."""

    def __init__(self, answer: bytes, offset: int) -> None:
        super().__init__(answer)
        self._offset = offset

    def next_batch(self, *_: int) -> Any:  # as aiokafka's protocol has it
        while True:
            piece, batch = self._next_slice, super().next_batch()
            if piece is None or batch is None:
                return None
            if batch.next_offset > self._offset:
                return _Batch(piece) if batch.magic >= MAGIC_WITH_HEADERS else batch


class _Kept(MemoryRecords):  # type: ignore[misc]  # a variable, for want of the fast one
    """The fast reader of a response, which keeps the bytes it was given."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer


class ReadableRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka's has no types
    """The records of one partition in one response, read slowly from the first bad name on."""

    _records: Any

    def __next__(self) -> ConsumerRecord[bytes, bytes]:
        try:
            return super().__next__()
        except UnicodeDecodeError:
            # Records read already are below that offset and are skipped.
            self._records = _Batches(self._records.answer, self.next_fetch_offset)
            self._records_iterator = self._unpack_records()
            return super().__next__()


def read_any_header() -> None:
    """From now on every aiokafka consumer of this process reads records with any header name."""
    fetcher.MemoryRecords = _Kept
    fetcher.PartitionRecords = ReadableRecords
