"""What a process looks at before it serves."""

from __future__ import annotations

from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from shared.ops.stack import Stack
from shared.runtime.app import last_published

#: As many as take longer than the look may, if they are asked one after the other.
MANY = 128


def filled(stack: Stack, topic: str, partitions: int) -> int:
    """A topic with three records in each partition; the sequence of the last of them."""
    with closing(KafkaAdminClient(bootstrap_servers=stack.bootstrap)) as admin:
        admin.create_topics({topic: {"num_partitions": partitions}}, wait_for_metadata=True)
        admin.wait_for_topics([topic], timeout_ms=30_000)
    number = 0
    with closing(KafkaProducer(bootstrap_servers=stack.bootstrap)) as producer:
        for _ in range(3):
            for partition in range(partitions):
                number += 1
                producer.send(topic, b'{"sequence":"%d"}' % number, partition=partition)
        producer.flush()
    return number


@pytest.mark.parametrize("partitions", [1, MANY])
async def test_the_last_sequence_is_found_among_few_partitions_and_many(stack, partitions):
    topic = f"recovery.last-of-{partitions}.v1"
    last = filled(stack, topic, partitions)
    assert await last_published(stack.bootstrap, topic) == last


async def test_a_partition_whose_records_are_gone_does_not_hide_the_others(stack):
    topic = "recovery.emptied.v1"
    last = filled(stack, topic, 2)
    with closing(KafkaAdminClient(bootstrap_servers=stack.bootstrap)) as admin:
        admin.delete_records({TopicPartition(topic, 0): 3})
    assert await last_published(stack.bootstrap, topic) == last
