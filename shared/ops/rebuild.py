"""Make the state of a service again from the topics, after its Redis lost data."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Annotated, Any

import typer
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import Field, SecretStr, create_model
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from shared.contracts.catalogue import OPERATOR, SERVICES, dead_letters, topics
from shared.kernel import Domain
from shared.ops.topics import BootstrapOption, NoBroker, bootstrap_servers, no_topic, reached
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.inbox import Record
from shared.runtime.rebuild.rebuild import Rebuild, Rebuilt, Told
from shared.runtime.rebuild.sources import Place, Refused
from shared.runtime.service import settle_memory, utc_now
from shared.runtime.settings import FromOutside, StoreSettings, default_holder
from shared.runtime.wires import Broker, StoreAddress

#: Bytes fetched from one partition at once; the client holds as much again for each partition.
FETCH_BYTES = 2 * 1024 * 1024
RECORDS_MAX = 2000
#: How long the broker waits for more data before it answers.
FETCH_WAIT_MS = 50
#: A partition without data for this long counts as unreadable.
PATIENCE_S = 60.0
RETRY_S = 0.2
#: A wrong user or password, or a user without the right to this service's keys.
LOGIN_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
#: Time between two lines of progress when the output is not a terminal.
LINE_EVERY_S = 2.0


class KafkaLog:
    """The topics on a broker, read without a group, so that no offset is committed."""

    def __init__(self, bootstrap: Broker | str, group: str) -> None:
        self._broker = Broker.of(bootstrap)
        self._group = group
        self._consumer = AIOKafkaConsumer(
            **self._broker.client(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        self._places: list[TopicPartition] = []
        #: Topics of the catalogue that the broker does not have.
        self.missing: Sequence[str] = ()

    @asynccontextmanager
    async def opened(self, *, whole: bool = True) -> AsyncIterator[KafkaLog]:
        """A connected log for a `with` block; raises KafkaError, and Refused if it must be whole and topics are missing."""
        try:
            self._places = await self._partitions()
            if whole and self.missing:
                raise Refused("; ".join(map(no_topic, self.missing)))
            await self._consumer.start()
            await asyncio.sleep(0)  # a stop fails where the client's tasks have not begun
            self._consumer.assign(self._places)
            self._consumer.pause(*self._places)
            yield self
        finally:
            await self._consumer.stop()

    async def _partitions(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**self._broker.client())
        try:
            await admin.start()
            described = await admin.describe_topics([topic.name for topic in topics()])
        finally:
            await admin.close()
        self.missing = sorted(one["topic"] for one in described if not one["partitions"])
        return sorted(
            TopicPartition(one["topic"], part["partition"])
            for one in described
            for part in one["partitions"]
        )

    async def spans(self, names: Iterable[str]) -> dict[Place, tuple[int, int]]:
        """See Log; raises KafkaError."""
        wanted = set(names)
        found = [place for place in self._places if place.topic in wanted]
        firsts = await self._consumer.beginning_offsets(found)
        ends = await self._consumer.end_offsets(found)
        return {Place(tp.topic, tp.partition): (firsts[tp], ends[tp]) for tp in found}

    async def committed(self) -> Mapping[Place, int]:
        """See Log; raises KafkaError."""
        admin = AIOKafkaAdminClient(**self._broker.client())
        deadline = time.monotonic() + PATIENCE_S
        try:
            await admin.start()
            while True:
                try:
                    found = await admin.list_consumer_group_offsets(self._group)
                except (
                    KafkaError
                ) as error:  # a broker that has just started has no group coordinator yet
                    if not error.retriable or time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(RETRY_S)
                else:
                    return {Place(tp.topic, tp.partition): at.offset for tp, at in found.items()}
        finally:
            await admin.close()

    async def read(self, place: Place, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """See Log; raises KafkaError, TimeoutError."""
        if start >= stop:
            return
        one, consumer = TopicPartition(*place), self._consumer
        consumer.seek(one, start)
        consumer.resume(one)
        try:
            deadline = time.monotonic() + PATIENCE_S
            # By the consumer's position and not by offsets, because compaction may have removed the last records.
            while await consumer.position(one) < stop:
                batches = await consumer.getmany(one, timeout_ms=500, max_records=RECORDS_MAX)
                for batch in batches.values():
                    yield [Record(r.offset, r.value, r.headers) for r in batch if r.offset < stop]
                    deadline = time.monotonic() + PATIENCE_S
                if time.monotonic() > deadline:
                    where = f"{place.topic}/{place.partition}"
                    raise TimeoutError(f"no data from {where} for {PATIENCE_S:.0f} s")
        finally:
            consumer.pause(one)


class Lines:
    """Progress as lines: facts read, of how many, how many per second."""

    def __init__(self) -> None:
        self._stage, self._begun, self._next = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Print the progress of a stage, at most every two seconds and at its begin and end."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun, self._next = stage, now, 0.0
        if now >= self._next or done == total:
            self._next = now + LINE_EVERY_S
            rate = done / max(now - self._begun, 0.001)
            typer.echo(f"{stage}: {done} of {total}, {rate:.0f}/s" if total else stage)


class Bars:
    """Progress as bars, on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stages: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show the progress of a stage."""
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total or None, rate="")
        number = self._stages[stage]
        speed = self._progress.tasks[number].speed
        rate = f"{speed:.0f}/s" if speed else ""
        self._progress.update(number, completed=done, total=total or None, rate=rate)


@contextmanager
def told() -> Iterator[Told]:
    """A callback that shows progress: a bar per stage on a terminal, lines elsewhere."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    ) as progress:
        yield Bars(progress)


async def rebuild(
    domain: Domain,
    *,
    bootstrap: Broker | str,
    redis_url: StoreAddress | str,
    shard: str = "c0",
    force: bool = False,
    progress: Told = lambda _stage, _done, _total: None,
) -> Rebuilt:
    """Make a service's state again; see Rebuild.run. Raises Refused, Unavailable, KafkaError."""
    store = RedisStore(redis_url, domain.owner, shard, domain.schemas)
    try:
        async with KafkaLog(bootstrap, f"recovery-{domain.owner}").opened() as log:
            one = Rebuild(store, domain, log, holder=default_holder(), now=utc_now, told=progress)
            return await one.run(uuid.uuid4().hex, force=force)
    finally:
        await store.close()


RedisOption = Annotated[
    str | None,
    typer.Option("--redis", help="Redis's address; default: REDIS_URL, else the stack's."),
]
RedisOfOption = Annotated[
    list[str] | None,
    typer.Option(
        envvar="REDIS_OF",
        metavar="SERVICE=ADDRESS",
        help="The address of one service's store, where it has a user or a server of its own.",
    ),
]
ShardOption = Annotated[
    str, typer.Option(envvar="SERVICE_CHECK_SHARD", help="Shard tag in every key.")
]


def redis_address(given: str | None) -> StoreAddress:
    """How Redis is reached: at `given`, else REDIS_URL, else the local stack's address.

    User, password and authorities come from outside, as for services. Raises NoBroker, and typer.Exit
    with status 2 after a sentence for each setting that is wrong.
    """
    return reached(StoreSettings, "REDIS_URL", given).store


def password_of(user: str) -> str:
    """The variable, or the file of secrets, with the password of a user of the store, for operator commands."""
    return f"REDIS_PASSWORD_{user.upper()}"


def store_passwords() -> Mapping[str, str]:
    """The passwords that are known of services, each the name of its user, and of the operator. Raises as `redis_address`."""
    users = (*SERVICES, OPERATOR)
    fields: dict[str, Any] = {
        user: (SecretStr | None, Field(None, validation_alias=password_of(user))) for user in users
    }
    known = reached(
        create_model("StorePasswords", __base__=FromOutside, **fields), "REDIS_PASSWORD", None
    )
    given = {user: getattr(known, user) for user in users}
    return {name: one.get_secret_value() for name, one in given.items() if one is not None}


def stores(given: str | None, of: Sequence[str]) -> Mapping[str, StoreAddress]:
    """How the store of each service is reached: `of` has `service=address`, all others are at `given`.

    A user or a password in an address goes before `store_passwords`. Raises NoBroker, typer.BadParameter, and
    typer.Exit as `redis_address` does.
    """
    named = dict(one.split("=", 1) for one in of if "=" in one)
    if len(named) < len(of) or not named.keys() <= set(SERVICES):
        raise typer.BadParameter(f"--redis-of is SERVICE=ADDRESS, of {', '.join(SERVICES)}")
    found = {service: redis_address(named.get(service, given)) for service in SERVICES}
    passwords = store_passwords()
    for service in passwords.keys() & set(SERVICES):
        found[service] = replace(found[service], username=service, password=passwords[service])
    return found


def login_refused(error: Exception) -> str | None:
    """The class of the error by which a store refused our user or its password; None of any other error."""
    cause = error.__cause__ if isinstance(error, Unavailable) else error
    return type(cause).__name__ if isinstance(cause, LOGIN_REFUSED) else None


def domain_of(service: str) -> Domain:
    """The rules of a service, imported by name, because shared code imports no service."""
    found: Domain = import_module(f"services.{service}.app").DOMAIN
    return found


app = typer.Typer(
    name="rebuild",
    help="Rebuild the state of a service from the topics, after its Redis lost data.",
    no_args_is_help=True,
)


def _command(service: str) -> None:
    @app.command(service)
    def command(
        bootstrap: BootstrapOption = None,
        redis_url: RedisOption = None,
        shard: ShardOption = "c0",
        force: Annotated[
            bool,
            typer.Option(
                "--force", help="Even if the store is complete; drops lines not on Kafka yet."
            ),
        ] = False,
    ) -> None:
        try:
            where, redis = bootstrap_servers(bootstrap), redis_address(redis_url)
            settle_memory()
            # A rebuild makes no reference cycles, and garbage collection over all documents takes a fifth of the time.
            gc.disable()
            with told() as progress:
                made = uvloop.run(
                    rebuild(
                        domain_of(service),
                        bootstrap=where,
                        redis_url=redis,
                        shard=shard,
                        force=force,
                        progress=progress,
                    )
                )
        except (Refused, NoBroker, TimeoutError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        except (Unavailable, NoPermissionError, KafkaError) as error:
            # The error's text may contain an address with its password.
            if why := login_refused(error):
                typer.echo(f"the store of {service} refused the login: {why}", err=True)
                raise typer.Exit(1) from error
            what = error.reason.value if isinstance(error, Unavailable) else type(error).__name__
            typer.echo(f"rebuild failed: {what}; run the same command again", err=True)
            raise typer.Exit(1) from error
        typer.echo(
            f"{service}: rebuilt from {made.own} facts of its own and {made.foreign} of other services;"
            f" goes on from sequence {made.sequence}"
        )
        if made.doubted:
            typer.echo(
                f"{made.doubted} records on {dead_letters(service)} prove nothing and moved no fence",
                err=True,
            )

    command.__doc__ = f"Rebuild the state of {service}; its requests get 503 until that is done."


for _service in SERVICES:
    _command(_service)
