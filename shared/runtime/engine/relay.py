"""The relay: carries the outbox to Kafka in commit order, then trims it.

One writer per outbox at a time, by lease. A relay that dies repeats at most what it had not trimmed,
and the `sequence` it adds to every fact lets consumers drop the repeats. A later line of a partition
is never sent before an earlier one is confirmed; any send error ends the turn and the producer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from pydantic_core import from_json

from shared.contracts.catalogue import DEAD_LETTER_BYTES
from shared.contracts.event import CONTENT_TYPE, trace_in
from shared.runtime.engine.store import PENDING_BYTES_MAX, Line, RelayStore
from shared.runtime.faults import Unavailable
from shared.runtime.observe import (
    OUTBOX_OLDEST,
    OUTBOX_WAITING,
    RELAY_TURN_LINES,
    RELAYED,
    log,
)
from shared.runtime.tracing import Kind, Span, Tracer
from shared.runtime.wires import Broker

#: One turn's lines: enough to fill a batch per partition, few enough to be trimmed every few ms.
LINES_MAX = 2000
#: One turn's bytes: a dead letter may be of many megabytes, and two thousand of them of gigabytes.
BYTES_MAX = PENDING_BYTES_MAX
#: A relay that is silent this long loses its lease; far longer than a send.
LEASE_MS = 10_000
#: Timeout for Kafka, which answers in milliseconds; then the broker counts as away and the lines wait.
REQUEST_TIMEOUT_MS = 10_000
#: Bytes of one batch: below the broker's limit for intake-sized messages, large enough to matter.
BATCH_BYTES_MAX = 512 * 1024
#: A step of closing a producer. Kafka confirms in milliseconds, and the few steps together are well
#: within the 30 s after which a supervisor kills as a rule.
STOP_S = 3.0
#: The headers of every fact. A dead letter has its own: its value is sealed and no event.
FACT_HEADERS = [("content-type", CONTENT_TYPE.encode())]
IDLE_MS = 500
#: Lines among which the oldest fact is looked for: dead letters before it are few.
OLDEST_LINES = 16
RETRY_S = 0.5


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo, as librdkafka's `consistent` partitioner does it.

    The Java client's murmur2 is pure Python in aiokafka and would cost more than the send itself.
    """
    return crc32(key.encode()) % partitions


async def close(producer: AIOKafkaProducer) -> None:
    """Close a producer in a bounded time, so that it sends nothing more.

    By itself it would flush for as long as the broker is away, because an idempotent one never gives
    a batch up. What was not confirmed is still in the outbox, and the next producer sends it.
    """
    with suppress(KafkaError, OSError):  # a time-out is an OSError too
        async with asyncio.timeout(STOP_S):
            await producer.stop()
            return
    sender = producer._sender.sender_task  # noqa: SLF001 - it offers no other way
    if sender is not None:
        # Twice: at first it waits for requests in flight, as long as a frozen broker takes.
        for _ in range(2):
            sender.cancel()
            await asyncio.wait({sender}, timeout=STOP_S)
    with suppress(KafkaError, OSError):
        async with asyncio.timeout(STOP_S):
            await producer.client.close()


def oldest_s(lines: Sequence[bytes]) -> float:
    """Seconds since the first fact among outbox lines was decided; 0 where there is none.

    A dead letter has no time of its own.
    """
    for line in map(Line.decode, lines):
        if not line.headers:
            decided = datetime.fromisoformat(from_json(line.value)["time"])
            return max((datetime.now(UTC) - decided).total_seconds(), 0.0)
    return 0.0


class Relay:
    """Publishes one owner's outbox; run one in every stream process: one at a time holds the lease."""

    def __init__(
        self,
        store: RelayStore,
        *,
        owner: str,
        holder: str,
        bootstrap: Broker | str,
        crash: Callable[[str], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._store = store
        self._tracer = tracer or Tracer()
        self._owner = owner
        self._holder = holder
        self._broker = Broker.of(bootstrap)
        self._crash = crash
        self._leased_until = 0.0

    async def run(self) -> None:
        """Relay until cancelled; through every outage of the broker and of the store."""
        while True:
            producer = AIOKafkaProducer(
                **self._broker.client(),
                acks="all",
                enable_idempotence=True,
                max_batch_size=BATCH_BYTES_MAX,
                max_request_size=DEAD_LETTER_BYTES,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
                while True:
                    await self._turn(producer)
            except (KafkaError, Unavailable, OSError) as error:
                log.warning("relay_waits", service=self._owner, error=type(error).__name__)
                await self._measure()
                await asyncio.sleep(RETRY_S)
            finally:
                await close(producer)

    async def _measure(self) -> None:
        """Set the gauges also while no turn succeeds."""
        with suppress(Unavailable):
            await self._look(OLDEST_LINES)

    async def _look(self, most: int) -> tuple[int, list[bytes]]:
        """The oldest lines and the sequence of the first; sets the gauges of what waits."""
        (first, lines), last = await asyncio.gather(
            self._store.pending(most, BYTES_MAX), self._store.last_sequence()
        )
        OUTBOX_WAITING.labels(self._owner).set(max(last - first + 1, 0))
        OUTBOX_OLDEST.labels(self._owner).set(oldest_s(lines[:OLDEST_LINES]))
        return first, lines

    async def _turn(self, producer: AIOKafkaProducer) -> None:
        if time.monotonic() > self._leased_until - LEASE_MS / 2000:
            if not await self._store.lease("relay", self._holder, LEASE_MS):
                await asyncio.sleep(LEASE_MS / 5000)
                return
            self._leased_until = time.monotonic() + LEASE_MS / 1000
        first, lines = await self._look(LINES_MAX)
        if not lines:
            await self._store.wait_pending(IDLE_MS)
            return
        await self._store.copied()
        with ExitStack() as sending:
            await self._send(producer, first, lines, sending)
        self._crash("published")
        await self._store.trim(self._holder, first + len(lines) - 1)
        RELAYED.labels(self._owner).inc(len(lines))
        RELAY_TURN_LINES.labels(self._owner).observe(len(lines))

    async def _send(
        self, producer: AIOKafkaProducer, first: int, lines: list[bytes], sending: ExitStack
    ) -> None:
        """Send all lines, each partition in order; returns when every one is confirmed.

        Each traced line is a step that goes on in `sending`, and its header names that step.
        """
        partitions: dict[tuple[str, int], list[tuple[bytes, bytes, list[tuple[str, bytes]]]]] = {}
        counts: dict[str, int] = {}
        for number, encoded in enumerate(lines, start=first):
            line = Line.decode(encoded)
            if line.topic not in counts:
                counts[line.topic] = len(await producer.partitions_for(line.topic))
            value, headers = line.value, [(name, text.encode()) for name, text in line.headers]
            if not headers:
                headers = FACT_HEADERS
                if traced := trace_in(value):
                    step = sending.enter_context(self._sent(line.topic, traced))
                    headers = [*FACT_HEADERS, ("traceparent", str(step.traceparent).encode())]
                value = value[:-1] + b',"sequence":"%020d"}' % number
            partition = line.partition
            if partition is None:
                partition = partition_of(line.key, counts[line.topic])
            elif partition >= counts[line.topic]:
                # Waits, and everything behind it, until an operator adds the partitions.
                raise UnknownTopicOrPartitionError(f"{line.topic}/{partition}")
            place = (line.topic, partition)
            partitions.setdefault(place, []).append((line.key.encode(), value, headers))
        await asyncio.gather(
            *(
                self._send_partition(producer, topic, partition, records)
                for (topic, partition), records in partitions.items()
            )
        )

    def _sent(self, topic: str, trace: str) -> Span:
        """The step that sends a fact which belongs to a trace."""
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
        }
        return self._tracer.span(f"send {topic}", Kind.PRODUCER, trace, attributes)

    async def _send_partition(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partition: int,
        records: list[tuple[bytes, bytes, list[tuple[str, bytes]]]],
    ) -> None:
        batch = producer.create_batch()
        for key, value, headers in records:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                batch.close()
                await (await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        batch.close()
        await (await producer.send_batch(batch, topic, partition=partition))

    async def release(self) -> None:
        """Release the lease at a clean stop, so that the next relay can begin at once."""
        with suppress(Unavailable):
            await self._store.release("relay", self._holder)
