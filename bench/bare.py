"""python -m bench.bare: the peer of the pipeline. The same parse, the same triage, and no state.

A plain aiokafka loop: it triages each record, produces the fact and commits once Kafka has it. It has
no fence, keys, sealing, documents or outbox: a crash repeats records, and a repeat gives a second fact.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.world import BARE_INTAKE, BARE_TRIAGED, roomy_policy
from services.complaints.intake.handlers import complaint_id_of
from services.complaints.settings import Settings
from services.complaints.triage.handlers import Triage
from services.complaints.triage.languages import Languages
from services.complaints.triage.lexicon import load
from shared.contracts.catalogue import PARTITIONS
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.event import encode, fingerprint, format_time
from shared.contracts.intake import ComplaintRaised
from shared.contracts.policy import Policy
from shared.runtime.engine.relay import partition_of
from shared.runtime.kafka.inbox import Handler, Inbox, Record
from shared.runtime.service import announce, settle_memory

GROUP = "bench-bare"
RECORDS_MAX = 2000
#: Longer than this process is stopped while its events are published.
SESSION_MS = 60_000


class Loop:
    """The loop, with the triage and the policy for the promise."""

    def __init__(self, policy: Policy) -> None:
        self._inbox = Inbox(ComplaintRaised.TOPIC, [Handler(ComplaintRaised)], strict=True)
        self._triage = Triage(Languages(), load())
        self._policy = policy

    def triage(self, record: Record) -> tuple[str, bytes]:
        """Key and value of the triaged fact of one record."""
        parsed = self._inbox.parse(record)
        assert parsed is not None
        event = parsed.event
        raised = event.data
        now = datetime.now(UTC)
        complaint_id = complaint_id_of(event.id)
        language = self._triage.language_of(raised.text, raised.language).language
        understood = self._triage.understand(raised.text, language)
        fact = ComplaintTriaged(
            complaint_id=complaint_id,
            customer_ref=f"c-{complaint_id}",
            site=raised.site,
            language=language,
            category=understood.category,
            severity=understood.severity,
            safety=understood.safety,
            promised_by=self._policy.promised_by(understood.category, understood.severity, now),
            policy_version=1,
            has_contact=raised.contact is not None,
        )
        value = encode(
            fact,
            source="/bare",
            event_id=fingerprint("bare", complaint_id, fact.TYPE),
            time=format_time(now),
            correlation=event.id,
            causation=event.id,
            cause=event.id,
        )
        return fact.key(), value

    async def run(self, settings: Settings, stopping: asyncio.Event) -> None:
        """Consume, triage, produce, commit; until told to stop."""
        consumer = AIOKafkaConsumer(
            BARE_INTAKE,
            bootstrap_servers=settings.kafka_bootstrap,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
        )
        await consumer.start()
        await producer.start()
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=50, max_records=1)
        announce("bare", ["kafka://"])
        try:
            while not stopping.is_set():
                found = await consumer.getmany(timeout_ms=200, max_records=RECORDS_MAX)
                sent = []
                for batch in found.values():
                    for got in batch:
                        key, value = self.triage(Record(got.offset, got.value, got.headers))
                        # With our own cheap partitioner, because aiokafka's costs more than the send.
                        partition = partition_of(key, PARTITIONS)
                        sent.append(
                            await producer.send(
                                BARE_TRIAGED, value, key=key.encode(), partition=partition
                            )
                        )
                if sent:
                    await asyncio.gather(*sent)
                    await consumer.commit()
        finally:
            await consumer.stop()
            await producer.stop()


async def main() -> None:
    """Run until SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await Loop(roomy_policy()).run(Settings(), stopping)


if __name__ == "__main__":
    settle_memory()
    uvloop.run(main())
