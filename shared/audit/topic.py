"""The record on a broker, read without a group, so that reading it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from pydantic_core import from_json

from shared.audit.verify import hashed
from shared.contracts.audit import FactRecorded, HeadsSigned

#: Where the `data` of an event begins and where the attribute behind it does, as our services write events.
DATA, SEQUENCE = b'"data":{', b',"sequence":"'
#: Digits of a sequence at most, as events have it.
SEQUENCE_DIGITS_MAX = 20
#: Without a record for this long while the topic has some, the broker counts as away.
PATIENCE_S = 30.0
POLL_MS = 500


def data_of(value: bytes) -> tuple[int, bytes]:
    """The event's sequence (-1 if it has none that could be one) and its `data`, byte for byte."""
    begin, end = value.find(DATA) + len(DATA) - 1, value.rfind(SEQUENCE)
    if end < 0:
        return -1, value[begin:-1]
    number = value[end + len(SEQUENCE) : -2]
    is_one = number.isdigit() and len(number) <= SEQUENCE_DIGITS_MAX
    return (int(number) if is_one else -1), value[begin:end]


def number_of(heads: bytes) -> int:
    """The number of signed heads, of their `data`; raises ValueError where they are none."""
    try:
        return int(from_json(heads)["statement"]["number"])
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError("what lies on the topic of signed heads last is none of them") from error


class Topics:
    """The topics of the record and of signed heads on one broker."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        """`client` are the arguments with which kafka-python reaches the broker."""
        self._client = client

    def partitions(self) -> Sequence[int]:
        """The partitions of the record's topic; raises LookupError without the topic. Blocks."""
        with closing(self._consumer()) as consumer:
            return self._numbers(consumer, FactRecorded.TOPIC)

    def heads(self) -> Iterable[bytes]:
        """The `data` of all signed heads, in their order. Blocks."""
        with closing(self._consumer()) as consumer:
            for partition in self._numbers(consumer, HeadsSigned.TOPIC):
                yield from self._read(consumer, HeadsSigned.TOPIC, partition)

    def last_heads(self) -> bytes | None:
        """The `data` of the heads that were signed last; None if there are none. Blocks."""
        with closing(self._consumer()) as consumer:
            found = [
                data
                for partition in self._numbers(consumer, HeadsSigned.TOPIC)
                for data in self._read(consumer, HeadsSigned.TOPIC, partition, last=1)
            ]
        return max(found, key=number_of, default=None)

    def records(self, partition: int) -> Iterable[bytes]:
        """All records of a partition, as `hashed` makes them, in their order, each once. Blocks."""
        with closing(self._consumer()) as consumer:
            yield from map(hashed, self._read(consumer, FactRecorded.TOPIC, partition))

    def follow(self, last_records: int) -> Iterator[bytes]:
        """Records, as `hashed` makes them, from the last so many of each partition on, for ever. Blocks."""
        with closing(self._consumer()) as consumer:
            numbers = self._numbers(consumer, FactRecorded.TOPIC)
            places = [TopicPartition(FactRecorded.TOPIC, number) for number in numbers]
            consumer.assign(places)
            ends, firsts = consumer.end_offsets(places), consumer.beginning_offsets(places)
            reached = dict.fromkeys(places, -1)
            for place in places:
                consumer.seek(place, max(firsts[place], ends[place] - last_records))
            while True:
                for place, records in consumer.poll(timeout_ms=POLL_MS).items():
                    for record in records:
                        sequence, data = data_of(record.value or b"")
                        # What has no sequence is none of our relay's, so it is not one that was sent again.
                        if sequence < 0 or sequence > reached[place]:
                            reached[place] = max(sequence, reached[place])
                            yield hashed(data)

    def _read(
        self, consumer: KafkaConsumer, topic: str, partition: int, last: int | None = None
    ) -> Iterator[bytes]:
        """The `data` of a partition, of its last records or all, to its end as it is now.

        What a relay sent again is left out.
        """
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        end = consumer.end_offsets([place])[place]
        if last is None:
            consumer.seek_to_beginning(place)
        else:
            first = consumer.beginning_offsets([place])[place]
            consumer.seek(place, max(first, end - last))
        reached, deadline = -1, time.monotonic() + PATIENCE_S
        while consumer.position(place) < end:
            for record in consumer.poll(timeout_ms=POLL_MS).get(place, ()):
                deadline = time.monotonic() + PATIENCE_S
                if record.value is None:
                    continue
                sequence, data = data_of(record.value)
                # What has no sequence is none of our relay's, so it is not one that was sent again.
                if sequence < 0 or sequence > reached:
                    reached = max(sequence, reached)
                    yield data
            if time.monotonic() > deadline:
                raise TimeoutError(f"no data from {topic}/{partition} for {PATIENCE_S:.0f} s")

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(**self._client, group_id=None, enable_auto_commit=False)

    @staticmethod
    def _numbers(consumer: KafkaConsumer, topic: str) -> Sequence[int]:
        found = consumer.partitions_for_topic(topic)
        if not found:
            raise LookupError(f"there is no topic {topic}: run `topics create` first")
        return sorted(found)
