"""python -m bench.hops: the peer of the acknowledgement. Three bare hops over Kafka, and nothing else.

Each loop reads a topic and produces the record on the next one as soon as it has it. Nothing is parsed or
kept, and a crash repeats records.
"""

from __future__ import annotations

import asyncio
import signal
from itertools import pairwise

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.world import HOPS
from services.notifier.settings import Settings
from shared.runtime.service import announce, settle_memory

RECORDS_MAX = 2000


async def carry(settings: Settings, producer: AIOKafkaProducer, origin: str, to: str) -> None:
    """Carry every record of one topic to the next, until cancelled."""
    consumer = AIOKafkaConsumer(
        origin,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=f"bench-{to}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while True:
            found = await consumer.getmany(timeout_ms=200, max_records=RECORDS_MAX)
            sent = [
                await producer.send(to, got.value, partition=got.partition)
                for batch in found.values()
                for got in batch
            ]
            if sent:
                await asyncio.gather(*sent)
                await consumer.commit()
    finally:
        await consumer.stop()


async def main() -> None:
    """Run until SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    settings = Settings()
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, acks="all", enable_idempotence=True
    )
    await producer.start()
    hops = [
        asyncio.create_task(carry(settings, producer, *topics), name=f"hop-{topics[0]}")
        for topics in pairwise(HOPS)
    ]
    announce("hops", ["kafka://"])
    try:
        ended = asyncio.create_task(stopping.wait(), name="stopping")
        done, _ = await asyncio.wait({ended, *hops}, return_when=asyncio.FIRST_COMPLETED)
        for one in done - {ended}:
            one.result()
    finally:
        for one in hops:
            one.cancel()
        await asyncio.gather(*hops, return_exceptions=True)
        await producer.stop()


if __name__ == "__main__":
    settle_memory()
    uvloop.run(main())
