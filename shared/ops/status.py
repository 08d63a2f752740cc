"""How all services are, on one screen: what waits, and where somebody has to look.

It asks Kafka and Redis and no service, so it also works while none runs; it changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError as AioKafkaError
from kafka.errors import KafkaError
from pydantic_core import from_json
from redis.exceptions import NoPermissionError

from shared.contracts.catalogue import SERVICES, dead_letters, subscriptions
from shared.contracts.deadletters import DeadLetterFact
from shared.contracts.event import Event
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.ops import dlq, topics
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
from shared.ops.topics import BootstrapOption, NoBroker, bootstrap_servers, no_topic
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.relay import OLDEST_LINES, oldest_s
from shared.runtime.engine.settle import fence_key
from shared.runtime.faults import Unavailable
from shared.runtime.rebuild.rebuild import last_published
from shared.runtime.rebuild.sources import Log, Place, Refused, Sources
from shared.runtime.wires import Broker, StoreAddress

#: Timers looked at; more that are due are told as "at least".
TIMERS_MAX = 1000
#: What the store of a service is.
OURS, STALE, UNREADABLE, AWAY, REFUSED = "ours", "stale", "unreadable", "away", "refused"
#: The service's own topic is missing, so there is nothing to compare its store with.
UNKNOWN = "unknown"


@dataclass
class Reading:
    """How far a service has come with one topic, over all partitions."""

    #: Offsets that it has not applied, by its fences; None where the store cannot be asked.
    behind: int | None = 0
    #: Offsets that its group has not acknowledged; the group is asked for lag by everybody else.
    lag: int = 0
    #: Partitions that end before what was applied: the topic was made anew.
    cut: int = 0


@dataclass
class Health:
    """One service as its store and its topics have it."""

    service: str
    store: str = AWAY
    #: The class of the error by which the store refused the login.
    store_error: str | None = None
    sequence: int | None = None
    outbox_lines: int | None = None
    outbox_oldest_s: float | None = None
    timers_due: int | None = None
    timers_oldest_s: float | None = None
    reads: dict[str, Reading] = field(default_factory=dict)
    #: Its own topics and those it reads that the broker does not have.
    missing: Sequence[str] = ()
    #: Open ones, by reason; None where their topic is missing.
    dead_letters: dict[str, int] | None = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether the service can serve; what merely waits is well."""
        cut = any(one.cut for one in self.reads.values())
        return self.store == OURS and not self.missing and not cut


async def of_service(
    service: str, log: Log, sources: Sources, store: RedisStore, now: datetime
) -> Health:
    """The health of one service, without its dead letters. Waits for both servers; raises Refused, KafkaError."""
    health = Health(service)
    spans = await log.spans(subscriptions(service))
    committed = await log.committed()
    # As the service itself looks at it; other topics that it writes are not for everybody to read.
    published = await last_published(log, sources, {f"recovery.{service}.v1"})
    fences: Mapping[Place, int] | None = None
    try:
        health.store = OURS if await store.open_generation(published) else STALE
        if health.store == OURS:  # a store that is not ours says nothing
            await _waiting(store, health, now)
            fences = await _fences(store, sorted(spans))
    except (Unavailable, NoPermissionError) as error:
        health.store, health.store_error = _why(error), login_refused(error)
    for place, (first, end) in spans.items():
        one = health.reads.setdefault(place.topic, Reading())
        one.lag += max(end - max(committed.get(place, 0), first), 0)
        if fences is None:
            one.behind = None
        else:
            one.behind = (one.behind or 0) + max(end - max(fences[place] + 1, first), 0)
            one.cut += fences[place] >= end
    return health


def _why(error: Unavailable | NoPermissionError) -> str:
    """What a store is that cannot be used, by its error."""
    if login_refused(error):
        return REFUSED
    unreadable = isinstance(error, Unavailable) and error.reason is Reason.STORE_UNREADABLE
    return UNREADABLE if unreadable else AWAY


async def _waiting(store: RedisStore, health: Health, now: datetime) -> None:
    """What the outbox holds and which timers are due; raises Unavailable."""
    first, lines = await store.pending(OLDEST_LINES)
    last = await store.last_sequence()
    now_ms = int(now.timestamp() * 1000)
    due = await store.due(now_ms, TIMERS_MAX)
    health.sequence = last
    health.outbox_lines, health.outbox_oldest_s = max(last - first + 1, 0), oldest_s(lines)
    health.timers_due = len(due)
    health.timers_oldest_s = (now_ms - due[0][1]) / 1000 if due else 0.0


async def _fences(store: RedisStore, places: Sequence[Place]) -> dict[Place, int]:
    """The last offset applied of each partition, -1 where there is none; raises Unavailable."""
    found = await store.read([fence_key(*place) for place in places])
    return {
        place: int(from_json(one.body)["offset"]) if one.body else -1
        for place, one in zip(places, found, strict=True)
    }


async def services(
    bootstrap: Broker | str, redis: Mapping[str, StoreAddress | str], shard: str
) -> list[Health]:
    """The health of all services, each with its store. Waits for both servers; raises KafkaError, TimeoutError."""
    found = []
    for service in SERVICES:
        domain = domain_of(service)
        store = RedisStore(redis[service], service, shard, domain.schemas)
        own = f"recovery.{service}.v1"
        try:
            async with KafkaLog(bootstrap, f"recovery-{service}").opened(whole=False) as log:
                if own in log.missing:
                    health = Health(service, UNKNOWN)
                else:
                    now = datetime.now(UTC)
                    health = await of_service(service, log, Sources(domain), store, now)
                used = {own, dead_letters(service), *subscriptions(service)}
                health.missing = [name for name in log.missing if name in used]
                found.append(health)
        finally:
            await store.close()
    return found


def open_letters(
    bootstrap: Broker | str, now: datetime, missing: Set[str]
) -> dict[str, dict[str, int]]:
    """Open dead letters by reason of each service whose topics are there. Blocks; raises as `topics.scan`."""
    if DeadLetterFact.TOPIC in missing:
        return {}
    decided = dlq.first_decisions(dlq.decisions(bootstrap, now))
    return {
        service: dict(
            Counter(
                dlq.reason_of(one.buried)
                for one in dlq.letters(bootstrap, service, now, decided)
                if one.state is dlq.State.OPEN
            )
        )
        for service in SERVICES
        if dead_letters(service) not in missing
    }


def policies(bootstrap: Broker | str) -> dict[str, int]:
    """The version of each site's policy. Blocks; raises as `topics.scan`."""
    found: dict[str, int] = {}
    for site, value in topics.records(PolicyPublished.TOPIC, bootstrap):
        version = Event[PolicyPublished].model_validate_json(value).data.version
        found[site] = max(version, found.get(site, 0))
    return found


def _lines(found: Sequence[Health], versions: Mapping[str, int] | None) -> Iterator[str]:
    row = "{:14}{:8}{:>10}{:>10}{:>12}{:>10}{:>10}  {}"
    yield row.format(
        "service", "store", "outbox", "oldest", "timers due", "behind", "lag", "dead letters, open"
    )
    for one in found:
        known = [reading.behind for reading in one.reads.values() if reading.behind is not None]
        by_reason = sorted((one.dead_letters or {}).items())
        letters = ", ".join(f"{number} {why}" for why, number in by_reason)
        more = "+" if one.timers_due == TIMERS_MAX else ""
        yield row.format(
            one.service,
            one.store,
            _told(one.outbox_lines),
            _told(one.outbox_oldest_s, "s"),
            _told(one.timers_due) + more,
            sum(known) if one.reads and len(known) == len(one.reads) else "?",
            sum(reading.lag for reading in one.reads.values()) if one.reads else "?",
            "?" if one.dead_letters is None else letters or "none",
        )
    for one in found:
        for topic, reading in sorted(one.reads.items()):
            if reading.behind or reading.cut:
                cut = f", {reading.cut} partitions end before what was applied" * bool(reading.cut)
                yield f"{one.service} is {reading.behind} behind on {topic}{cut}"
    for one in found:
        if one.store_error:
            why = f"refused the login ({one.store_error})"
            yield f"the store of {one.service} {why}: set {password_of(one.service)}, or give its address with --redis-of"
    yield from map(no_topic, sorted(_missing(found)))
    by_site = sorted((versions or {}).items())
    told = ", ".join(f"{dlq.readable(site)} {version}" for site, version in by_site)
    yield f"policies: {'?' if versions is None else told or 'none'}"


def _missing(found: Sequence[Health]) -> set[str]:
    return {name for one in found for name in one.missing}


def _told(number: float | None, unit: str = "") -> str:
    return "?" if number is None else f"{number:.0f}{unit}"


app = typer.Typer(name="status", help="How all services are, on one screen.")


@app.callback(invoke_without_command=True)
def status_command(
    bootstrap: BootstrapOption = None,
    redis_url: RedisOption = None,
    redis_of: RedisOfOption = None,
    shard: ShardOption = "c0",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document, for machines.")
    ] = False,
) -> None:
    """Show what waits in each service, its dead letters, and the versions of policies.

    Exit status 1 if a store is away, stale, unreadable or refuses the login, a topic is missing, or one ends before
    what was applied.
    """
    try:
        where, redis = bootstrap_servers(bootstrap), stores(redis_url, redis_of or ())
        found = asyncio.run(services(where, redis, shard))
        missing = _missing(found)
        letters = open_letters(where, datetime.now(UTC), missing)
        versions = None if PolicyPublished.TOPIC in missing else policies(where)
    except (NoBroker, Refused, LookupError, TimeoutError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except (KafkaError, AioKafkaError) as error:
        # The error's text may contain an address with its password.
        typer.echo(f"Kafka does not answer: {type(error).__name__}", err=True)
        raise typer.Exit(1) from error
    for one in found:
        one.dead_letters = letters.get(one.service)
    if as_json:
        told: dict[str, Any] = {"services": [asdict(one) for one in found], "policies": versions}
        typer.echo(json.dumps(told))
    else:
        for line in _lines(found, versions):
            typer.echo(line)
    if not all(one.well for one in found):
        raise typer.Exit(1)
