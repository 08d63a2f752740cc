"""The Kafka face: a Faust app whose agents receive whole partition batches and settle them.

Faust does group membership, rebalancing, flow control and acknowledgement. A stream gets one event
per partition batch instead of one per record (docs/gotchas.md), which makes it fast. An agent must
never raise, because Faust acknowledges a message whose agent failed: it settles, waits and tries
again, or ends the process.

This module uses private names of faust-streaming 0.15.3; hence the exact pin, and the tests
with rebalances (tests/unit/test_places.py, tests/e2e/test_rebalance.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, NoReturn, cast

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, StreamT

from shared.runtime.engine.settle import Broken, Older, Settler
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.inbox import Inbox, Record
from shared.runtime.kafka.records import read_any_header
from shared.runtime.kafka.watch import LOOK_S, Again, Applied, cut, not_applied, waiting_for, watch
from shared.runtime.observe import BATCHES_READ_AGAIN, STREAM_RETRIES, log, unhandled
from shared.runtime.wires import Broker

#: Records of one fetch; a batch of this size settles in tens of milliseconds, so a rebalance waits
#: for little and a crash repeats little.
POLL_RECORDS_MAX = 2000
#: Pause once backpressure has paused every partition; stock Faust sleeps a second then.
PAUSED_POLL_S = 0.005
#: Pauses while Redis or Kafka is away, in seconds: the first, the longest, and how long in all before
#: the process ends and its supervisor restarts it. Below the 300 s in which Kafka expects a poll.
RETRY_FIRST_S, RETRY_LONGEST_S, RETRY_TOTAL_S = 0.1, 5.0, 240.0
#: How often to look whether Faust has crashed; it does not tell.
CRASH_LOOK_S = 0.5
#: How long an assignment waits for a store that is away. Below the 30 s after which Faust silently
#: gives up the assignment and reads nothing any more.
SEEK_S = 20.0
EXIT_BROKEN = 70


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread of the Kafka client; Faust prints its crash as a traceback."""

    def on_crash(self, *_: Any, **__: Any) -> None:
        """Log the crash, in whose handling this is called."""
        unhandled("consumer", sys.exc_info()[1])


class PackConsumer(driver.Consumer):
    """Hands on each partition's fetched records as one message, under the offset of the last.

    The next offset of each partition is kept here. aiokafka's own position moves with every fetch,
    even if the records are dropped because partitions move, and such a fetch may end after Faust has
    sought.
    """

    #: The next offset to hand on of each partition. It is a new dictionary whenever partitions move,
    #: so that a fetch begun before is recognised.
    _places: dict[TopicPartition, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = {}
        self._polling = False

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 - as Faust has it
    ) -> AsyncIterator[tuple[TP, Any]]:
        """Yield one message per partition, its value the list of records."""
        if not self.flow_active:
            # Ends with the service too; mode's types name its own class of event alone.
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        places, active = self._places, self._get_active_partitions()
        wanted = [place for place in places if place in active]
        polled = (
            await self._thread.call_thread(self._poll, places, wanted, timeout) if wanted else {}
        )
        if not polled:
            await asyncio.sleep(PAUSED_POLL_S)
        for place, (batch, behind) in polled.items():
            if self.should_stop or not self.flow_active or self._places is not places:
                return  # the places have not moved, so the dropped records are fetched again
            message = self._to_message(place, batch[-1])
            message.value = cast("bytes", batch)  # the raw codec hands it through as it is
            # Unset, because Faust skips offsets below it and takes higher ones for a gap.
            self._read_offset[place] = None
            yield place, message
            if self.flow_active:  # else Faust may have dropped it
                places[place] = behind

    async def _poll(
        self, places: dict[TopicPartition, int], wanted: Sequence[TopicPartition], waits_s: float
    ) -> dict[TopicPartition, tuple[list[ConsumerRecord[bytes, bytes]], int]]:
        """Records of each partition from its place on, and the offset to read on from.

        Runs in the consumer's thread, as every seek does. One at a time: Faust may have given up
        waiting for an earlier one, whose records nobody would get.
        """
        if self._polling or not self.flow_active:
            return {}
        self._polling = True
        try:
            consumer = self._thread._ensure_consumer()  # noqa: SLF001 - Faust's own way to it
            await self._seek_back(consumer, places, wanted)
            there = _positions(consumer, wanted)
            if not there or self._places is not places:
                return {}
            fetched = await self._thread._fetch_records(  # noqa: SLF001 - looks at the flow as well
                consumer, set(there), timeout=waits_s, max_records=POLL_RECORDS_MAX
            )
            behind = _positions(consumer, wanted)
        except KafkaTimeoutError:  # the broker did not answer `beginning_offsets`
            return {}
        finally:
            self._polling = False
        for place, position in behind.items():
            if place not in fetched and position is not None:
                # Offsets without a record: a transaction's end, or what compaction removed.
                places[place] = max(places[place], position)
        return {
            place: (batch, position)
            for place, batch in fetched.items()
            if batch and (position := behind.get(place)) is not None
        }

    async def _seek_back(
        self,
        consumer: AIOKafkaConsumer,
        places: dict[TopicPartition, int],
        wanted: Sequence[TopicPartition],
    ) -> None:
        """Seek where aiokafka's position is not ours: past dropped records, or not set yet."""
        there = _positions(consumer, wanted)
        astray = [place for place, position in there.items() if position != places[place]]
        if not astray:
            return
        firsts = await consumer.beginning_offsets(astray)
        if self._places is not places:
            return
        for place in astray:
            # A seek to an offset that retention removed would be reset again and again.
            places[place] = max(places[place], firsts[place])
            position = there[place] or 0
            if position > places[place]:
                BATCHES_READ_AGAIN.labels(place.topic).inc()
                where = {"topic": place.topic, "partition": place.partition}
                log.info("batch_read_again", **where, first=places[place], last=position - 1)
            consumer.seek(place, places[place])

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the places: nothing is handed on before the next assignment."""
        self._places = {}
        await super().on_partitions_revoked(revoked)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the offsets that the group has acknowledged, or to the applied ones if lower.

        A store restored to an older state lacks what was acknowledged since. Faust calls this after
        every assignment, and commits from the returned offsets on, even if they are lower than the
        committed ones.
        """
        places = self._places = {}
        committed = await super().seek_to_committed()
        applied = await cast("PackApp", self.app).applied(list(committed))
        behind = {
            place: applied[place] + 1
            for place, offset in committed.items()
            if applied[place] + 1 < (offset or 0)
        }
        if behind:
            await self._seek_behind(committed, behind)
        begins = {**committed, **behind}
        places.update({place: offset or 0 for place, offset in begins.items()})
        return begins

    async def _seek_behind(self, committed: Mapping[TP, int], behind: Mapping[TP, int]) -> None:
        firsts = await self.earliest_offsets(*behind)
        for place, offset in behind.items():
            where = {"topic": place.topic, "partition": place.partition, "offset": offset}
            log.warning("reads_again", **where, acknowledged=committed[place])
            if firsts[place] > offset:
                log.error("records_gone", **where, first=firsts[place])
        await self.seek_wait(behind)

    def _new_offset(self, tp: TP) -> int | None:
        """The offset to commit: the one after the last batch acknowledged.

        One agent per topic with concurrency one settles and acknowledges in order, so all up to the
        highest acknowledged offset is settled.
        """
        acked = self._acked[tp]
        if not acked:
            return None
        highest = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return highest + 1


def _positions(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """The position of aiokafka in each partition that it has; None while that is not known."""
    assignment = consumer._subscription.subscription.assignment  # noqa: SLF001 - nothing public tells
    states = {place: assignment.state_value(place) for place in places} if assignment else {}
    return {
        place: state.position if state.has_valid_position else None
        for place, state in states.items()
        if state is not None
    }


class IdempotentProducer(driver.Producer):
    """Faust's own producer: our facts do not use it, but its settings are as strict as ours."""

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class PackTransport(driver.Transport):
    """The aiokafka transport with both of the above."""

    Consumer = PackConsumer
    Producer = IdempotentProducer


class PackApp(faust.App):
    """A Faust app on the pack transport."""

    #: The last offset applied of each partition, -1 where there is none.
    applied: Applied

    def _new_transport(self) -> PackTransport:
        return PackTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> PackTransport:
        return PackTransport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Faust keeps no data here; without this it leaves empty folders where it was started."""


class Stream:
    """One service's streams: an agent per inbox, all settling into one store."""

    def __init__(
        self,
        settler: Settler,
        inboxes: Sequence[Inbox],
        *,
        owner: str,
        bootstrap: Broker | str,
        session_s: float,
    ) -> None:
        self._settler = settler
        self._owner = owner
        read_any_header()
        self._stopping = False
        group = f"recovery-{owner}"
        self._broker = broker = Broker.of(bootstrap)
        self._topics = [inbox.topic for inbox in inboxes]
        self._again = Again(broker)
        self._waiting = partial(waiting_for, broker, group, self._topics)
        self.app = PackApp(
            group,
            **broker.faust(),
            processing_guarantee="at_least_once",
            store="memory://",
            table_standby_replicas=0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=1.0,
            broker_commit_every=5000,
            broker_max_poll_records=POLL_RECORDS_MAX,
            broker_session_timeout=session_s,
            broker_heartbeat_interval=session_s / 5,
            broker_rebalance_timeout=max(30.0, session_s),
            broker_request_timeout=max(30.0, session_s),
            broker_max_poll_interval=300.0,
            consumer_max_fetch_size=1024 * 1024,
            producer_acks=-1,
            producer_request_timeout=30.0,
            stream_wait_empty=True,
            stream_publish_on_commit=False,
            # Counted in batches here: a few packs waiting are enough to keep an agent busy.
            stream_buffer_maxsize=16,
            web_enabled=False,
            worker_redirect_stdouts=False,
            cython_optimizations=False,
        )
        self.app.applied = self._applied_soon
        for inbox in inboxes:
            topic = self.app.topic(
                inbox.topic, key_serializer="raw", value_serializer="raw", internal=False
            )
            self.app.agent(topic, name=f"settle-{inbox.topic}", concurrency=1)(self._agent(inbox))

    def _agent(self, inbox: Inbox) -> Any:  # Faust types agents as Any
        async def settle_batches(stream: StreamT[Any]) -> None:
            async for event in stream.events():
                batch: list[ConsumerRecord[bytes, bytes]] = event.value
                records = [Record(record.offset, record.value, record.headers) for record in batch]
                await self._settle(inbox, event.message.partition, records)

        return settle_batches

    async def _settle(self, inbox: Inbox, partition: int, records: list[Record]) -> None:
        """Settle, retrying; ends the process if Redis or Kafka stays away, or if our code fails."""
        waited, pause = 0.0, RETRY_FIRST_S
        while True:
            try:
                await self._settler.settle_records(inbox, partition, records, self._again.read)
            except (Unavailable, KafkaError, OSError) as away:
                STREAM_RETRIES.labels(self._owner).inc()
                why = away.reason.value if isinstance(away, Unavailable) else type(away).__name__
                log.warning("stream_waits", service=self._owner, reason=why)
                if waited >= RETRY_TOTAL_S or self._stopping:
                    end_process("world_away")
                await asyncio.sleep(pause)
                waited, pause = waited + pause, min(2 * pause, RETRY_LONGEST_S)
            except Broken:
                end_process("brake")
            except Older:
                end_process("store_older")
            except Exception as error:  # noqa: BLE001 - an agent that raises loses the message
                log.critical("stream_broken", service=self._owner, error=type(error).__name__)
                end_process("defect")
            else:
                return

    async def start(self) -> None:
        """Join the group and begin; returns once the consumer runs."""
        await self.app.start()

    async def stop(self) -> None:
        """Settle what is in hand, commit, leave the group; ends the process if it cannot be settled."""
        self._stopping = True
        await self.app.stop()
        await self._again.close()

    def assigned(self) -> bool:
        """Whether the group has given us our share (which may be nothing), and we read it."""
        return bool(
            self.app.consumer_generation_id > 0
            and not self.app.rebalancing
            and not self._stopping
            and not self._crashed()
        )

    def _crashed(self) -> bool:
        """Whether Faust crashed: it then reads nothing any more, and does not tell."""
        fetcher = self.app._fetcher  # noqa: SLF001 - nothing public tells
        return bool(self.app.crashed or fetcher.crashed or fetcher._shutdown.is_set())  # noqa: SLF001

    def end_if_crashed(self) -> None:
        """End the process if Faust crashed, unless we are stopping."""
        if self._crashed() and not self._stopping:
            reason = self.app.crash_reason or self.app._fetcher.crash_reason  # noqa: SLF001
            log.critical("stream_crashed", service=self._owner, error=type(reason).__name__)
            end_process("stream_crashed")

    async def end_if_cut(self, topics: Sequence[str]) -> None:
        """End the process if a topic ends before what we applied: new records would count as old.

        Also if the store was restored to an older state. Raises KafkaError (also where there is no
        such topic), OSError, Unavailable.
        """
        found = await cut(self._broker, topics, self._applied)
        for place, end in found.items():
            log.critical("topic_cut", topic=place.topic, partition=place.partition, offset=end)
        if found:
            end_process("topic_cut")

    async def not_applied(self, ends: Mapping[tuple[str, int], int]) -> Sequence[TopicPartition]:
        """Partitions of which something before these ends is not applied; raises KafkaError, OSError, Unavailable."""
        return await not_applied(self._broker, ends, self._applied)

    async def _applied(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The last offset applied of each partition, -1 where there is none; raises Unavailable.

        Ends the process if the store was restored to an older state: continuing would skip records.
        """
        try:
            return dict(zip(places, await self._settler.applied(places), strict=True))
        except Older:
            end_process("store_older")

    async def _applied_soon(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The same for an assignment: waits for a store that is away, and ends the process after SEEK_S."""
        deadline = monotonic() + SEEK_S
        while True:
            try:
                return await self._applied(places)
            except Unavailable:
                if monotonic() > deadline:
                    end_process("world_away")
                await asyncio.sleep(RETRY_FIRST_S)

    def share(self) -> Collection[TP] | None:
        """The partitions that the group has given us; None while we are in no group."""
        return self.app.consumer.assignment() if self.assigned() else None

    async def watch(self) -> None:
        """End the process if Faust crashes, a topic is cut or our share stalls; until cancelled."""
        await asyncio.gather(
            self._watch_faust(),
            self._watch_topics(),
            watch(self._waiting, self.share, lambda: end_process("stream_stands")),
        )

    async def _watch_faust(self) -> None:
        while True:
            self.end_if_crashed()
            await asyncio.sleep(CRASH_LOOK_S)

    async def _watch_topics(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(KafkaError, OSError, Unavailable):
                await self.end_if_cut(self._topics)


def end_process(why: str) -> NoReturn:
    """Leave at once: unacknowledged batches come again, to us or to another worker."""
    log.critical("process_ends", why=why)
    sys.stderr.flush()
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(EXIT_BROKEN)
