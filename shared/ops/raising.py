"""Give topics more partitions while all services are stopped, so that no key's order is lost.

    nobody publishes → all is settled → the raise is published → partitions are added → every broker knows them

A step that was done is true for good, so a command that died is given again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import typer
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError as AioKafkaError
from aiokafka.protocol.metadata import MetadataRequest
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from redis.exceptions import NoPermissionError

from shared.contracts.catalogue import AUDIT, OTHER_SYSTEMS, SERVICES, TOPICS, subscriptions
from shared.contracts.event import format_time
from shared.contracts.topics import PARTITIONS_MAX, TopicRaised
from shared.ops import topics
from shared.ops.rebuild import (
    KafkaLog,
    RedisOfOption,
    RedisOption,
    ShardOption,
    domain_of,
    login_refused,
    password_of,
    stores,
)
from shared.ops.topics import PATIENCE_S, RETRY_S, BootstrapOption, NoBroker, bootstrap_servers
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.relay import partition_of
from shared.runtime.engine.settle import Fence, fence_key
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.raises import PRODUCERS
from shared.runtime.rebuild.rebuild import last_published
from shared.runtime.rebuild.sources import Refused, Sources
from shared.runtime.settings import default_holder
from shared.runtime.wires import Broker, StoreAddress

SOURCE = "/ops/topics"
RECORD = "recovery.audit.v1"
#: While the relays' leases are ours, no service publishes, even if one is started meanwhile.
LEASE_MS = 30_000
#: A relay that died keeps its lease for 10 s, and a raise that died for as long as `LEASE_MS`.
LEASE_PATIENCE_S = 40.0
#: Time between two lines about what is waited for.
LINE_EVERY_S = 3.0
GROWING = tuple(topic.name for topic in TOPICS if topic.grows)
#: What ends the command with a sentence; anything else is a defect.
EXPECTED = (Refused, NoBroker, Unavailable, KafkaError, AioKafkaError, OSError)


def readers(topic: str) -> Sequence[str]:
    """The services whose state depends on the order of a topic's facts.

    None reads the record, and what other systems publish keeps no order across partitions: it has no sequence.
    """
    if PRODUCERS[topic] == OTHER_SYSTEMS:
        return ()
    return tuple(service for service in SERVICES if topic in subscriptions(service))


def refuse_names(wanted: Sequence[str]) -> None:
    """Raise Refused for the first topic that is never raised; asks nobody."""
    known = {topic.name: topic for topic in TOPICS}
    for name in wanted:
        if name not in known:
            raise Refused(f"{name} is no topic of the catalogue")
        if known[name].cleanup == "compact":
            raise Refused(
                f"{name} is compacted and cannot be raised: a key's earlier record would stay in its earlier partition for good"
            )
        if not known[name].grows:
            raise Refused(f"{name} cannot be raised: it stays small")


def plan(there: Mapping[str, int], partitions: int, wanted: Sequence[str]) -> Sequence[str]:
    """The topics to raise, in their order; `there` is how many partitions each topic has.

    Audit's topic comes first, because a record lies in the partition with its source's number. Those that have as
    many already are left out. Raises Refused.
    """
    for name in wanted:
        if name not in there:
            raise Refused(f"there is no topic {name}: run `topics create` first")
        if there[name] > partitions:
            raise Refused(f"{name} has {there[name]} partitions: they are never taken away")
    audited = [name for name in wanted if name in subscriptions(AUDIT)]
    if audited and RECORD not in wanted and there.get(RECORD, 0) < partitions:
        raise Refused(f"raise {RECORD} first: it needs as many partitions as {audited[0]}")
    return sorted(
        (name for name in wanted if there[name] < partitions), key=lambda name: name != RECORD
    )


class Wait:
    """A wait with a deadline, of which the operator is told once every few seconds."""

    def __init__(self, patience_s: float, tell: Callable[[str], None]) -> None:
        self._deadline = time.monotonic() + patience_s
        self._until = datetime.now(UTC) + timedelta(seconds=patience_s)
        self._tell = tell
        self._told = 0.0

    async def more(self, what: str) -> bool:
        """Pause before the next look at `what`, and say so; False once the deadline has passed."""
        now = time.monotonic()
        if now > self._deadline:
            return False
        if now - self._told >= LINE_EVERY_S:
            self._tell(f"waiting for {what}, until {self._until:%H:%M:%S} UTC at most")
            self._told = now
        await asyncio.sleep(RETRY_S)
        return True


def silent(_line: str) -> None:
    """Tell nobody."""


@dataclass
class Stopped:
    """One service that is stopped: its store, its topics, and why it is not at rest, if it is not."""

    name: str
    store: RedisStore
    log: KafkaLog
    #: Is told what is waited for.
    waits: Callable[[str], None] = silent

    async def take(self, holder: str) -> str | None:
        """Take the relay's lease, so that the service publishes nothing. Waits until it has run out; says why it has not."""
        try:
            return await self._take(holder)
        except (Unavailable, NoPermissionError) as error:
            if why := login_refused(error):
                return f"the store of {self.name} refused the login ({why}): set {password_of(self.name)}, or give its address with --redis-of"
            return f"the store of {self.name} cannot be used: {error}"  # a reason code

    async def _take(self, holder: str) -> str | None:
        sources = Sources(domain_of(self.name))
        published = await last_published(self.log, sources, {f"recovery.{self.name}.v1"})
        if not await self.store.open_generation(published):
            return f"the store of {self.name} lacks what was published: rebuild it first"
        wait = Wait(LEASE_PATIENCE_S, self.waits)
        while not await self.hold(holder):
            if not await wait.more(
                f"the lease of {self.name}'s relay to be given back or to run out"
            ):
                return f"{self.name} still publishes: stop all its processes"
        return None

    async def hold(self, holder: str) -> bool:
        """Take or prolong the relay's lease; False while somebody else has it."""
        return await self.store.lease("relay", holder, LEASE_MS)

    async def waiting(self) -> str | None:
        """Why something is left to publish; None if nothing is."""
        first, _ = await self.store.pending(1)
        left = await self.store.last_sequence() - first + 1
        if left <= 0:
            return None
        return f"{left} facts of {self.name} are not on Kafka yet: start it, wait until `status` shows none, and stop it again"

    async def behind(self, topic: str) -> str | None:
        """Why not all of a topic is settled; None if all is."""
        spans = await self.log.spans([topic])
        found = await self.store.read([fence_key(*place) for place in spans])
        left = 0
        for (first, end), one in zip(spans.values(), found, strict=True):
            left += max(end - max(offset_of(one.body) + 1, first), 0)
        if not left:
            return None
        return f"{self.name} is {left} behind on {topic}: start it, wait until `status` shows none, and stop it again"


def offset_of(fence: bytes) -> int:
    """The last offset applied, as a stored fence has it; -1 without one."""
    return Fence.model_validate_json(fence).offset if fence else -1


@asynccontextmanager
async def stopped(
    broker: Broker,
    redis: Mapping[str, StoreAddress],
    shard: str,
    holder: str,
    waits: Callable[[str], None] = silent,
) -> AsyncIterator[Mapping[str, Stopped]]:
    """All services, none of which publishes in a `with` block. Raises Refused with every reason why one might."""
    if running := topics.running_groups(broker):
        raise Refused(f"stop all services first: {', '.join(running)} have members")
    async with AsyncExitStack() as opened:
        found = {}
        for name in SERVICES:
            store = RedisStore(redis[name], name, shard, domain_of(name).schemas)
            opened.push_async_callback(store.close)
            log = await opened.enter_async_context(KafkaLog(broker, f"recovery-{name}").opened())
            found[name] = Stopped(name, store, log, waits)
        try:
            refuse([await one.take(holder) for one in found.values()])
            yield found
        finally:
            for one in found.values():
                with suppress(Unavailable, NoPermissionError):
                    await one.store.release("relay", holder)


def refuse(reasons: Sequence[str | None]) -> None:
    """Raise Refused with the reasons that there are, if there is one."""
    if told := [reason for reason in reasons if reason is not None]:
        raise Refused("; ".join(told))


class Raising:
    """Raises topics one after another, while nobody publishes."""

    def __init__(
        self,
        broker: Broker,
        services: Mapping[str, Stopped],
        *,
        holder: str,
        waits: Callable[[str], None] = silent,
        done: Callable[[str], None] = silent,
    ) -> None:
        self._broker = broker
        self._services = services
        self._holder = holder
        self._waits = waits
        #: Is told each step that is done; a test ends the process there.
        self._done = done

    async def at_rest(self, topic: str, partitions: int, now: datetime) -> TopicRaised:
        """Where a topic ends, of which everybody has settled everything. Raises Refused with each reason why not.

        The ends are read first: what is published later by somebody else lies behind them.
        """
        everybody = self._services.values()
        refuse([await one.waiting() for one in everybody])
        spans = await next(iter(everybody)).log.spans([topic])
        refuse([await self._services[name].behind(topic) for name in readers(topic)])
        return TopicRaised(
            topic=topic,
            partitions=partitions,
            ends=tuple(spans[place][1] for place in sorted(spans)),
            sequences={one.name: await one.store.last_sequence() for one in everybody},
            raised_at=now,
        )

    async def add(self, fact: TopicRaised) -> None:
        """Publish the raise, if somebody needs it, and add the partitions.

        Raises Refused where the topic is not at rest any more, and Kafka's own errors.
        """
        if readers(fact.topic):
            cause = f"operator/topics/{format_time(fact.raised_at)}"
            topics.publish(
                [fact],
                self._broker,
                source=SOURCE,
                cause=cause,
                now=fact.raised_at,
                partition=partition_of,
            )
        self._done("published")
        await self._hold()
        # A lease may have run out and been taken meanwhile, on a machine that stood still.
        again = await self.at_rest(fact.topic, fact.partitions, fact.raised_at)
        if again != fact and readers(fact.topic):
            raise Refused(f"something was published to {fact.topic} meanwhile: give it again")
        with closing(KafkaAdminClient(**self._broker.client())) as admin:
            admin.create_partitions({fact.topic: fact.partitions})
        self._done("added")

    async def known(self, wanted: Mapping[str, int]) -> None:
        """Wait until every broker says that these topics have so many partitions: a service asks any of them.

        Raises TimeoutError, Refused, and Kafka's own errors.
        """
        wait = Wait(PATIENCE_S, self._waits)
        while late := await self._late(wanted):
            if not await wait.more(f"{late} to know the new partitions"):
                raise TimeoutError(
                    f"{late} does not know the new partitions yet: give it again before you start the services"
                )
            await self._hold()

    async def _late(self, wanted: Mapping[str, int]) -> str | None:
        """A broker that does not know them yet."""
        client = AIOKafkaClient(**self._broker.client())
        try:
            await client.bootstrap()
            for broker in client.cluster.brokers():
                told = ClusterMetadata()
                told.update_metadata(
                    await client.send(broker.nodeId, MetadataRequest(list(wanted)))
                )
                counts = {name: told.partitions_for_topic(name) or () for name in wanted}
                if any(len(counts[name]) < number for name, number in wanted.items()):
                    return f"broker {broker.nodeId}"
        finally:
            await client.close()
        return None

    async def _hold(self) -> None:
        """Prolong the leases; raises Refused if one was lost."""
        for one in self._services.values():
            if not await one.hold(self._holder):
                raise Refused(f"{one.name} was started meanwhile: stop it and give it again")


async def raise_topics(
    broker: Broker,
    redis: Mapping[str, StoreAddress],
    shard: str,
    partitions: int,
    wanted: Sequence[str],
    *,
    apply: bool,
    say: Callable[[str], None],
    waits: Callable[[str], None] = silent,
    done: Callable[[str], None] = silent,
) -> None:
    """Give topics so many partitions, or say what would be done; safe to repeat after any failure.

    What is asked is checked before anything else. `waits` is told what is waited for. Blocks. Raises Refused, TimeoutError, Unavailable, and Kafka's own errors.
    """
    refuse_names(wanted)
    there = topics.partition_counts(broker)
    wanting = plan(there, partitions, wanted)
    holder = default_holder()
    async with stopped(broker, redis, shard, holder, waits) as services:
        raising = Raising(broker, services, holder=holder, waits=waits, done=done)
        now = datetime.now(UTC)
        facts = [await raising.at_rest(name, partitions, now) for name in wanting]
        for fact in facts:
            say(f"{fact.topic}: from {there[fact.topic]} to {partitions} partitions")
            if apply:
                await raising.add(fact)
        if apply:
            await raising.known(dict.fromkeys(wanted, partitions))
            say(f"every broker knows {partitions} partitions of each")


def raise_command(
    partitions: Annotated[
        int,
        typer.Argument(
            min=2, max=PARTITIONS_MAX, help="Partitions that each topic has from then on."
        ),
    ],
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC]...", help="Which topics; default: all that may grow."),
    ] = None,
    bootstrap: BootstrapOption = None,
    redis_url: RedisOption = None,
    redis_of: RedisOfOption = None,
    shard: ShardOption = "c0",
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; without this, only say whether it can be done.")
    ] = False,
) -> None:
    """Give topics more partitions while all services are stopped; safe to repeat.

    Refused, with exit status 1, while a service runs, has facts that are not on Kafka, or has not settled all of a
    topic; and for topics that cannot be raised.
    """
    try:
        broker, redis = bootstrap_servers(bootstrap), stores(redis_url, redis_of or ())
        names = tuple(wanted or GROWING)
        run = raise_topics(
            broker, redis, shard, partitions, names,
            apply=apply, say=typer.echo, waits=partial(typer.echo, err=True),
        )  # fmt: skip
        asyncio.run(run)
    except EXPECTED as error:
        told = isinstance(error, Refused | NoBroker | TimeoutError)
        # The text of other errors may contain an address with its password.
        what = error.reason.value if isinstance(error, Unavailable) else type(error).__name__
        text = str(error) if told else f"raise failed: {what}; give it again"
        typer.echo(text, err=True)
        raise typer.Exit(1) from error
    typer.echo("now start the services" if apply else "nothing was changed: --apply does it")


topics.app.command("raise")(raise_command)
