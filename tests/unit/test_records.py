"""A record with a header name that is no UTF-8 is read, and so is what lies around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka import codec as codecs
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.records import read_any_header
from tests.suites.tally import STRICT

read_any_header()
PLACE = TopicPartition("things", 0)


def answer(first_bad: int = 1) -> bytes:
    """Three batches of three records as the broker hands them on, with a bad name in all but some."""
    batches = bytearray()
    for first in (0, 3, 6):
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 20,
        )
        for number in range(3):
            name = "ce_##" if number == 1 and first + 1 >= first_bad else "fine"
            value = b"ce_## %d" % (first + number)
            builder.append(number, 0, b"key", value, [(name, b"v"), ("last", None)])
        batch = builder.build()
        batch[0:8] = first.to_bytes(8, "big")
        batches += batch
    return bytes(batches).replace(b"\x0ace_##\x02v", b"\x0ace_\xff\xfe\x02v")


def read(answered: bytes, position: int = 0) -> Iterator[fetcher.ConsumerRecord[bytes, bytes]]:
    return fetcher.PartitionRecords(
        PLACE, fetcher.MemoryRecords(answered), [], position, None, None, False, 0
    )


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("first_bad", [1, 4, 7])
def test_what_lies_before_and_behind_a_bad_name_is_read_once_and_in_order(position, first_bad):
    records = list(read(answer(first_bad), position))
    assert [record.offset for record in records] == list(range(position, 9))
    for record in records:
        bad = record.offset % 3 == 1 and record.offset >= first_bad
        assert record.headers == (("ce_\ufffd\ufffd" if bad else "fine", b"v"), ("last", None))
        assert (record.key, record.value) == (b"key", b"ce_## %d" % record.offset)


def test_an_attribute_of_no_name_is_malformed_like_any_other():
    (bad,) = (record for record in read(answer()) if record.offset == 4)
    with pytest.raises(Rejected, match=Reason.MALFORMED_BYTES.value):
        STRICT.parse(Record(bad.offset, bad.value, bad.headers))
    with pytest.raises(Rejected, match=Reason.MISSING_ID.value):
        STRICT.parse(Record(bad.offset, b"{}", bad.headers))


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_what_others_compress_can_be_read(codec):
    assert getattr(codecs, f"has_{codec}")()
    packed = getattr(codecs, f"{codec}_encode")(b"words" * 100)
    assert bytes(getattr(codecs, f"{codec}_decode")(packed)) == b"words" * 100
