"""A service as a process: opened in reading order, closed in reverse.

store → generation → policy → relay, timers, streams → HTTP
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
import sys
import uuid
from base64 import b64decode
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import uvloop
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from pydantic_settings import SettingsError

from shared.contracts.event import Event, sequence_of
from shared.contracts.reasons import Reason
from shared.contracts.topics import TopicRaised
from shared.kernel import Domain
from shared.runtime.engine.crash import crash_at
from shared.runtime.engine.deadletters import DeadLetters
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.relay import Relay
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import Store
from shared.runtime.engine.timers import OnTimer, Timers
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.auth import Authenticator
from shared.runtime.http.face import Face
from shared.runtime.http.issuer import Issuer
from shared.runtime.http.ops_port import CONNECTIONS_MAX as OPS_CONNECTIONS_MAX
from shared.runtime.http.ops_port import ops_app
from shared.runtime.http.server import CONNECTIONS_MAX, Server, http_server
from shared.runtime.kafka.consumer import Stream, end_process
from shared.runtime.kafka.inbox import Inbox, Record
from shared.runtime.kafka.raises import Raises
from shared.runtime.kafka.watch import (
    READ_BYTES,
    first_records,
    groupless_consumer,
    partitions,
    record_at,
    with_key,
)
from shared.runtime.mail.accounts import MailAccount
from shared.runtime.mail.reader import MailReader, Take
from shared.runtime.observe import configure, log, log_unhandled, loop_failed, raised_at
from shared.runtime.privacy.seal import Vault
from shared.runtime.settings import (
    FromOutside,
    ListenSettings,
    RuntimeSettings,
    refused,
    tls_of,
)
from shared.runtime.tracing import Tracer
from shared.runtime.wires import Broker

#: How long one look at Kafka may take before the start goes on without it.
KAFKA_LOOK_S = 10.0
#: How long requests and streams may go on at a stop, in seconds, both at once. Far below the 30 s
#: after which the supervisor kills the process, because running timers take time too.
HTTP_STOP_S, STREAM_STOP_S = 5, 8.0
RETRY_S = 1.0
#: How long a command waits for the word that its facts are on Kafka; without it, they are in the outbox.
PUBLISHED_MS = 5000
#: Files that a process may open: connections of clients, and some for Redis, Kafka and a second server.
FILES = CONNECTIONS_MAX + 400
#: Net allocations of objects before a collection of the youngest: about one large batch.
GC_ALLOCATIONS = 100_000

S = TypeVar("S", bound=ListenSettings)
#: What a command needs, which may be less than a service.
Some = TypeVar("Some", bound=FromOutside)


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class Runs(Protocol):
    """A service that was built, as `main` runs it."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until told to stop."""


class NoKeys(Exception):
    """The issuer's public keys cannot be read at the start, so no token could be checked."""


@contextmanager
def command_errors() -> Iterator[None]:
    """Ends a command with a sentence: status 1 if it is refused or something is away, 2 without the issuer's keys."""
    try:
        yield
    except (Rejected, Unavailable) as error:
        sys.stderr.write(f"{error.reason.value}: {error.reason.meaning}\n")
        sys.exit(1)
    except NoKeys as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


class Runtime:
    """What every service is built from, made of its settings and its domain."""

    def __init__(
        self,
        settings: RuntimeSettings,
        domain: Domain,
        *,
        now: Callable[[], datetime],
        store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.domain = domain
        self.now = now
        master = b64decode(settings.master_key.get_secret_value())
        self.vault = Vault(master, wrapping=settings.wrapping)
        self.crash = crash_at(settings.crash_at)
        self.tracer = Tracer()
        self.store = store or RedisStore(
            settings.store, domain.owner, settings.shard, domain.schemas
        )
        self.settler = Settler(
            self.store,
            domain,
            now=now,
            pseudonyms=self.vault.pseudonyms,
            seal_dead=self.vault.seal_dead,
            crash=self.crash,
            tracer=self.tracer,
        )
        self.issuer: Issuer | None = None
        try:
            authenticator = Authenticator(
                self._keys(),
                audience=settings.jwt_audience,
                issuer=settings.jwt_issuer,
                now=now,
                leeway_s=settings.jwt_leeway_s,
                lifetime_max_s=settings.jwt_lifetime_max_s,
            )
        except (OSError, ValueError) as error:
            msg = f"SERVICE_CHECK_JWKS: no public keys (JWKS) can be read from {settings.jwks}"
            raise NoKeys(msg) from error
        self.health: dict[str, Callable[[], bool]] = {}
        self.face = Face(
            self.settler,
            authenticator,
            owner=domain.owner,
            secret=self.vault.derive("request"),
            publish_wait_ms=settings.publish_wait_ms,
            ready=self._ready,
            running=lambda: all(well() for name, well in self.health.items() if name == "running"),
        )

    def _keys(self) -> Callable[[], str]:
        """What reads the issuer's keys; fetches them if they are at a URL; raises OSError, ValueError."""
        settings = self.settings
        if not settings.jwks.startswith("https://"):
            return partial(Path(settings.jwks).read_text, encoding="utf-8")
        kept_s = settings.jwt_lifetime_max_s + settings.jwt_leeway_s
        self.issuer = Issuer(settings.jwks, tls_of(settings.jwks_ca), self.now, kept_s)
        return self.issuer.read

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Settler]:
        """The settler for a command that runs beside the service's own processes, which publish what it settles.

        Waits for Kafka and the store. Raises Unavailable where one does not answer, or the store must be
        rebuilt.
        """
        assert isinstance(self.store, RedisStore), "a command has no other store"
        watched(await self.store.open())
        try:
            published = await last_published(self.domain.owner, self.settings.broker)
            if published is None:
                raise Unavailable(Reason.LOG_UNAVAILABLE)
            if not await self.store.open_generation(published):
                raise Unavailable(Reason.STORE_STALE)
            yield self.settler
        finally:
            await self.store.close()

    async def published(self) -> bool:
        """Whether everything that the store holds is on Kafka as well; waits for that, and raises Unavailable."""
        return await self.store.wait_published(await self.store.last_sequence(), PUBLISHED_MS)

    def mail_reading(
        self, accounts: Mapping[str, MailAccount], take: Take
    ) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What reads these mailboxes beside the streams, by name; nothing where there are none."""
        if not accounts:
            return {}
        reader = MailReader(
            self.store, accounts, take, holder=self.settings.holder, crash=self.crash, now=self.now
        )
        return {"mail": reader.run}

    async def _ready(self) -> Mapping[str, bool]:
        """The health of each part; changes nothing: only `App` decides whether the store is usable."""
        try:
            await self.store.read(())
            answers = True
        except Unavailable:
            answers = False
        parts = {name: well() for name, well in self.health.items()}
        commits = answers and await self.store.takes_commits()
        return {
            "generation": self.store.usable,
            "schema": self.store.readable,
            "store": answers,
            "commits": commits,
            **parts,
        }


class App:
    """One service: its parts, its streams, its routes, its timers."""

    def __init__(
        self,
        parts: Runtime,
        *,
        inboxes: Sequence[Inbox],
        api: FastAPI,
        on_timer: Mapping[str, OnTimer],
        may_stream: Callable[[], Awaitable[bool]] | None = None,
        on_scrape: Callable[[], Awaitable[None]] | None = None,
        beside_api: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] | None = None,
        beside_stream: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] | None = None,
        on_stop: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`may_stream` is asked again and again until it says yes, before anything is consumed.

        `on_scrape` sets metrics whenever they are asked for. What runs `beside_api`, or `beside_stream` where this
        process has streams, by name, does so until it is cancelled. `on_stop` ends what is open to others, once nothing
        uses it any more; it may take a second.
        """
        self.on_stop = on_stop
        self.beside_api = beside_api or {}
        self.beside_stream = beside_stream or {}
        self.may_stream = may_stream
        self.on_scrape = on_scrape
        self.parts = parts
        self.inboxes = inboxes
        self.api = api
        self.on_timer = on_timer
        read = partial(record_at, parts.settings.broker)
        parts.settler.dead_letters = DeadLetters(inboxes, read, parts.vault.open_dead)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until told to stop; then stop taking in, settle what is in hand, and close."""
        parts, settings = self.parts, self.parts.settings
        owner = parts.domain.owner
        if settings.traces:
            from shared.runtime.otlp import otlp_spans  # noqa: PLC0415 - needs the SDK, which few have

            parts.tracer.start(otlp_spans(owner))
        if isinstance(parts.store, RedisStore):
            watched(await parts.store.open())
        parts.health["running"] = lambda: not stopping.is_set()
        servers, serving = listen(settings, owner, self.api, self.on_scrape)
        background: list[asyncio.Task[None]] = []
        stream: Stream | None = None
        relay = Relay(
            parts.store,
            owner=owner,
            holder=settings.holder,
            bootstrap=settings.broker,
            crash=parts.crash,
            tracer=parts.tracer,
        )
        timers = Timers(parts.store, self.on_timer, holder=settings.holder, now=parts.now)
        parts.settler.on_due = timers.wake
        try:
            opened = asyncio.create_task(self._open_generation())
            await _first(opened, stopping)
            background = [watched(asyncio.create_task(self._keep_generation(), name="generation"))]
            if parts.issuer is not None:
                keeping = asyncio.create_task(parts.issuer.keep(), name="issuer")
                background.append(watched(keeping))
            for name, runs in self.beside_api.items():
                background.append(watched(asyncio.create_task(runs(), name=name)))
            if settings.face != "api" and not stopping.is_set():
                background.append(watched(asyncio.create_task(relay.run(), name="relay")))
                if self.on_timer:
                    background.append(watched(asyncio.create_task(timers.run(), name="timers")))
                stream = Stream(
                    parts.settler,
                    self.inboxes,
                    owner=owner,
                    bootstrap=settings.broker,
                    session_s=settings.session_s,
                )
                parts.health["stream"] = stream.assigned
                await _first(asyncio.create_task(self._start_stream(stream)), stopping)
                for name, runs in self.beside_stream.items():
                    background.append(watched(asyncio.create_task(runs(), name=name)))
                background.append(watched(asyncio.create_task(stream.watch(), name="watch")))
            await stopping.wait()
        finally:
            for server in servers:
                server.should_exit = True
            if stream is not None:
                await _stop(stream)
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            if self.on_stop is not None:
                await self.on_stop()
            await relay.release()
            await timers.release()
            await asyncio.gather(*serving)
            if isinstance(parts.store, RedisStore):
                await parts.store.close()
            await parts.tracer.close()
            log.info("stopped", service=owner)

    async def _start_stream(self, stream: Stream) -> None:
        """Check that no topic was cut, read the `ahead` topics to their ends, join the group."""
        while self.may_stream is not None:
            if await self.may_stream():
                break
            await asyncio.sleep(RETRY_S)
        while True:
            if await self._knows_raises(stream):
                break
            await asyncio.sleep(RETRY_S)
        for inbox in self.inboxes:
            while True:
                try:
                    await stream.end_if_cut([inbox.topic])
                    if inbox.ahead:
                        await self._catch_up(inbox)
                    break
                except (KafkaError, OSError, Unavailable) as error:
                    log.warning("waiting_for", topic=inbox.topic, error=type(error).__name__)
                    await asyncio.sleep(RETRY_S)
        await stream.start()
        while not stream.assigned():
            stream.end_if_crashed()
            await asyncio.sleep(0.05)
        log.info("streaming", service=self.parts.domain.owner)

    async def _knows_raises(self, stream: Stream) -> bool:
        """Read which topics were given more partitions; False, and logged, where our state is older than that.

        Such a state would settle what lies on both sides of a raise at the same time. False also while Kafka
        or the store cannot be asked.
        """
        bootstrap, owner = self.parts.settings.broker, self.parts.domain.owner
        ours = {inbox.topic for inbox in self.inboxes if not inbox.strict}
        try:
            found = await with_key(bootstrap, TopicRaised.TOPIC, "")
            facts = [Event[TopicRaised].model_validate_json(value).data for _, value in found]
            raises = Raises((fact for fact in facts if fact.topic in ours), owner)
            missing = await stream.not_applied(raises.ends())
        except (KafkaError, OSError, Unavailable) as error:
            log.warning("waiting_for", topic=TopicRaised.TOPIC, error=type(error).__name__)
            return False
        self.parts.settler.raises = raises
        for topic in sorted({place.topic for place in missing} | raises.unknown):
            log.error("older_than_raise", service=owner, topic=topic)
        return not missing and not raises.unknown

    async def _catch_up(self, inbox: Inbox) -> None:
        """Settle a topic to its end, in no group; the fence drops these records when the group reads them."""
        topics, bootstrap = [inbox.topic], self.parts.settings.broker
        async with groupless_consumer(bootstrap, topics, fetch_bytes=READ_BYTES) as consumer:
            places = partitions(consumer, topics)
            ends = await consumer.end_offsets(places)
            for place in places:
                while await consumer.position(place) < ends[place]:
                    found = await consumer.getmany(place, timeout_ms=500)
                    for batch in found.values():
                        records = [Record(r.offset, r.value, r.headers) for r in batch]
                        await self.parts.settler.settle_records(inbox, place.partition, records)

    async def _open_generation(self, *, may_begin: bool = True) -> None:
        """Wait until the store holds our state; begin a new state if nothing was ever published."""
        owner, store = self.parts.domain.owner, self.parts.store
        told: list[dict[str, str]] = []
        while True:
            try:
                on_topic = await last_published(owner, self.parts.settings.broker)
                if await store.open_generation(on_topic) or (
                    may_begin
                    and on_topic == 0
                    and await store.begin_generation(uuid.uuid4().hex, 0)
                ):
                    log.info("store_usable", service=owner)
                    return
                why = {"reason": Reason.STORE_STALE.value}
            except Unavailable as unavailable:
                why = {"reason": unavailable.reason.value}
                # A refused login is not a server that is away.
                if unavailable.__cause__ is not None:
                    why["error"] = type(unavailable.__cause__).__name__
            if why not in told:
                log.error("store_not_usable", service=owner, **why)
                told.append(why)
            await asyncio.sleep(RETRY_S)

    async def _keep_generation(self) -> None:
        """Open the store again whenever it may not hold the state we opened; runs until cancelled.

        Never begins a new state: a service that published nothing may have applied much from others.
        """
        while True:
            await asyncio.sleep(RETRY_S)
            if not self.parts.store.usable:
                await self._open_generation(may_begin=False)


def listen(
    settings: ListenSettings,
    owner: str,
    api: FastAPI,
    on_scrape: Callable[[], Awaitable[None]] | None = None,
) -> tuple[list[Server], list[asyncio.Task[None]]]:
    """Serve an API and, where it has a port, what operators look at; print the addresses as JSON.

    Returns the servers, which end at `should_exit`, and the tasks that they run in.
    """
    servers = [http_server(api, stop_s=HTTP_STOP_S, hsts_s=settings.hsts_s)]
    sockets = [socket.create_server((settings.host, settings.port), backlog=2048)]
    if settings.ops_port is not None:
        operators = ops_app(api, on_scrape)
        servers.append(
            http_server(operators, stop_s=HTTP_STOP_S, connections_max=OPS_CONNECTIONS_MAX)
        )
        sockets.append(socket.create_server((settings.host, settings.ops_port)))
    serving = [
        watched(asyncio.create_task(server.serve(sockets=[listening]), name="http"))
        for server, listening in zip(servers, sockets, strict=True)
    ]
    ports = [listening.getsockname()[1] for listening in sockets]
    log.info("listening", service=owner, ports=ports)
    announce(owner, [f"http://{settings.host}:{port}" for port in ports])
    return servers, serving


def announce(service: str, urls: Sequence[str]) -> None:
    """Print where a service is reached, as one line of JSON, for whoever started it."""
    sys.stdout.write(to_json({"service": service, "urls": urls}).decode() + "\n")
    sys.stdout.flush()


def _sequence_of(value: bytes | None) -> int | None:
    """The sequence that a line of a topic has; None of what is no line."""
    try:
        event = from_json(value or b"")
        return sequence_of(event["sequence"]) if isinstance(event, dict) else None
    except (ValueError, TypeError, KeyError):
        return None


async def last_published(owner: str, bootstrap: Broker | str) -> int | None:
    """The highest sequence on a service's own topic, 0 if it always was empty, None if Kafka is away.

    At least 1, the sequence of the first line, if retention removed everything. Records at the end of the topic
    that are no lines are passed over, for as long as Kafka may take to answer.
    """
    topic = f"recovery.{owner}.v1"
    try:
        async with (
            asyncio.timeout(KAFKA_LOOK_S),
            groupless_consumer(bootstrap, [topic]) as consumer,
        ):
            places = partitions(consumer, [topic])
            firsts = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            # What retention removed was published all the same: such a topic is not a new one.
            last = int(any(ends.values()))
            # An emptied partition begins where it ends.
            offsets = {place: max(firsts[place], ends[place] - 1) for place in places}
            while offsets:
                found = await first_records(consumer, offsets)
                numbers = {place: _sequence_of(record.value) for place, record in found.items()}
                last = max((last, *(number for number in numbers.values() if number is not None)))
                # What is not ours tells nothing; what lies before it does.
                offsets = {
                    place: offsets[place] - 1
                    for place, number in numbers.items()
                    if number is None and offsets[place] > firsts[place]
                }
    except (KafkaError, OSError) as error:
        log.warning("kafka_away", topic=topic, error=type(error).__name__)
        return None
    return last


def watched(part: asyncio.Task[None]) -> asyncio.Task[None]:
    """Watch a background task: if it fails, log that and end the process.

    A service whose relay failed would look alive and publish nothing; its supervisor restarts it.
    """

    def look(ended: asyncio.Task[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            log.critical(
                "background_failed",
                part=ended.get_name(),
                error=type(error).__name__,
                at=raised_at(error),
            )
            end_process("background")

    part.add_done_callback(look)
    return part


async def _first(task: asyncio.Task[None], stopping: asyncio.Event) -> None:
    """Wait for a step of the start, unless we are told to stop meanwhile."""
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    else:
        task.result()


async def _stop(stream: Stream) -> None:
    """Stop a stream; ends the process if it does not stop, as Faust does not while Kafka is away.

    Not by a timeout that cancels: Faust goes on all the same.
    """
    stopped = asyncio.create_task(stream.stop())
    if (await asyncio.wait({stopped}, timeout=STREAM_STOP_S))[1]:
        end_process("stop_takes_too_long")
    stopped.result()


def settings_or_exit(settings_of: Callable[[], Some]) -> Some:
    """The settings of a command; exits with 2 and a sentence for each if they are invalid."""
    try:
        return settings_of()
    except (ValidationError, SettingsError) as error:
        sys.stderr.writelines(f"{sentence}\n" for sentence in refused(error))
        sys.exit(2)


def main(settings_of: Callable[[], S], build: Callable[[S], Runs]) -> None:
    """Run a service from its environment; exits with 2 and a line of the log for each invalid setting."""
    configure()
    log_unhandled()
    try:
        settings = settings_of()
    except (ValidationError, SettingsError) as error:
        _end_for_settings(refused(error))
    configure(settings.log_level)
    log.info("settings", **settings.model_dump(mode="json"))

    async def run() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(loop_failed)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        try:
            await build(settings).run(stopping)
        finally:
            # The loop takes its handlers along, and a signal that comes after it would say that the stop failed.
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

    settle_memory()
    open_files()
    try:
        uvloop.run(run())
    except NoKeys as error:
        _end_for_settings([str(error)])


def _end_for_settings(sentences: Sequence[str]) -> NoReturn:
    for sentence in sentences:
        log.critical("wrong_setting", says=sentence)
    sys.exit(2)


def open_files() -> None:
    """Let the process open as many files as it needs; as a rule it may open 1,024 until it asks for more."""
    may, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if may != resource.RLIM_INFINITY and may < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    if wanted < FILES:
        log.warning("few_files", may_open=wanted, needs=FILES)


def settle_memory() -> None:
    """Keep the cycle collector from walking everything again and again.

    A batch makes tens of thousands of objects that all live until its commit and then go by
    reference count; the defaults walk them, and all modules, many times per batch.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)
