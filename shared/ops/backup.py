"""Back up the compacted topics, which nothing else can make again, and restore one of them at its old offsets.

The store is not in a backup: it is rebuilt from the topics. A restore never brings back a key that was destroyed after the
backup was taken: the word that it was destroyed takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.producer.future import FutureRecordMetadata

from shared.contracts.catalogue import BACKUP_RETENTION, TOPICS
from shared.contracts.complaints import CustomerErased, WordsExpired
from shared.contracts.event import CONTENT_TYPE, encode, fingerprint, format_time
from shared.contracts.vault import CustomerKeyCreated, CustomerKeyDestroyed, CustomerKeyRewrapped
from shared.ops.backup_files import (
    NAME,
    Backup,
    BrokenBackup,
    CopiedRecord,
    Manifest,
    Span,
    Writing,
    alone,
    backups,
    named,
    problems,
    prune,
)
from shared.ops.rebuild import told
from shared.ops.topics import (
    PATIENCE_S,
    BootstrapOption,
    NoBroker,
    bootstrap_servers,
    no_topic,
    running_groups,
    scan,
)
from shared.runtime.engine.relay import partition_of
from shared.runtime.kafka.inbox import Record
from shared.runtime.rebuild.rebuild import Told
from shared.runtime.rebuild.sources import event_of
from shared.runtime.wires import Broker

#: What every other topic has is a log: a rebuild reads it, and Kafka's replicas keep it.
BACKED_UP = tuple(topic.name for topic in TOPICS if topic.cleanup == "compact")
VAULT = CustomerKeyCreated.TOPIC
#: Says who was erased, and which words are over.
ERASURES = CustomerErased.TOPIC
#: Has a record of each fact of these topics, so it tells how far a lost one reached.
AUDIT = "recovery.audit.v1"
SOURCE = "/ops/backup"
#: Offsets left free behind the last that audit recorded: what it had not recorded yet, and services may have applied.
#: A placeholder costs some bytes until it is compacted.
BEYOND = 10_000
#: Records sent before the broker is waited for.
SENT_MAX = 1000
#: Backups are taken daily, so what is kept today may be deleted tomorrow.
EVERY = timedelta(days=1)
#: A newest backup that is older means that the daily one failed.
LATE = 2 * EVERY
KEEP = 7
WRAPPED: Mapping[bytes, type[CustomerKeyCreated | CustomerKeyRewrapped]] = {
    fact.TYPE.encode(): fact for fact in (CustomerKeyCreated, CustomerKeyRewrapped)
}
DESTROYED = CustomerKeyDestroyed.TYPE.encode()


class Refused(Exception):
    """A backup or a restore may not or cannot be made; the text says why and is meant for the operator."""


#: What ends a command with a sentence; anything else is a defect.
EXPECTED = (Refused, BrokenBackup, NoBroker, KafkaError, OSError)


# Take --------------------------------------------------------------------------------------------


def take(folder: Path, broker: Broker, now: datetime, told: Told) -> Backup:
    """Copy the compacted topics as they are now into a new backup. Blocks.

    Left out are wrapped keys that were destroyed and not compacted yet. Raises Refused, BrokenBackup,
    TimeoutError, OSError of the disk, and Kafka's own errors; nothing is left of the backup then.
    """
    # First, so that no erasure is between it and what is copied.
    erasures = spans(broker, ERASURES)
    found = {topic: spans(broker, topic) for topic in BACKED_UP}
    for last in backups(folder)[-1:]:
        _not_anew(last, found)
    writing = Writing(folder, now.strftime(NAME))
    copied = []
    for topic, partitions in found.items():
        destroyed = {
            record.key
            for record in _read(broker, topic, partitions, lambda *_: None)
            if _type(record) == DESTROYED
        }
        records = (
            record
            for record in _read(broker, topic, partitions, told)
            if record.key not in destroyed or _type(record) == DESTROYED
        )
        copied.append(writing.topic(topic, partitions, records))
    return writing.finish(Manifest(taken_at=now, topics=tuple(copied), erasures=erasures))


def spans(broker: Broker, topic: str) -> dict[int, Span]:
    """First offset and end of each partition; raises Refused without the topic, and Kafka's own errors."""
    with closing(KafkaConsumer(**broker.client(), group_id=None)) as consumer:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise Refused(no_topic(topic))
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        firsts, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        return {one.partition: Span(first=firsts[one], end=ends[one]) for one in places}


def _not_anew(last: Backup, found: Mapping[str, Mapping[int, Span]]) -> None:
    """A topic that ends before the last backup of it is another topic; raises Refused."""
    for copied in last.manifest.topics:
        there = found.get(copied.topic, {})
        for number, span in copied.partitions.items():
            if number not in there or there[number].end < span.end:
                raise Refused(
                    f"{copied.topic}/{number} ends before the backup {last.name}: it was lost or made anew."
                    " Nothing was copied or deleted. Restore it, or take the next backup into another folder"
                )


def _read(
    broker: Broker, topic: str, partitions: Mapping[int, Span], told: Told
) -> Iterator[CopiedRecord]:
    """The records of a topic before its ends; `told` hears how far it is read."""
    total = sum(span.end - span.first for span in partitions.values())
    left = dict.fromkeys(partitions, 0)
    for record in scan(topic, broker):
        span = partitions.get(record.partition)
        if span is not None and record.offset < span.end:
            left[record.partition] = record.offset + 1 - span.first
            told(topic, sum(left.values()), total)
            headers = tuple(record.headers)
            yield CopiedRecord(
                record.partition, record.offset, record.timestamp, record.key, record.value, headers
            )


def _type(record: CopiedRecord) -> bytes | None:
    event = event_of(Record(record.offset, record.value))
    return None if event is None else event.type


# Restore -----------------------------------------------------------------------------------------


class Restored(NamedTuple):
    """What a restore wrote: records, how many of them say destroyed in place of a key, offsets left without a record."""

    records: int
    destroyed: int
    placeholders: int


class Over(NamedTuple):
    """Customers who were erased, and when; the last month whose words are over at each site, and since when."""

    customers: Mapping[str, datetime]
    sites: Mapping[str, tuple[str, datetime]]


NOTHING_OVER = Over({}, {})


def restore(backup: Backup, topic: str, broker: Broker, told: Told) -> Restored:
    """Write the copy of a topic into the topic, which must be empty, each record at its old offset. Blocks.

    Given again after it was stopped, it goes on. Raises Refused, BrokenBackup, TimeoutError, and Kafka's own
    errors.
    """
    copied, there = backup.manifest.of(topic), spans(broker, topic)
    if found := problems(backup):
        raise BrokenBackup("; ".join(found))
    if there.keys() != copied.partitions.keys():
        raise Refused(
            f"{topic} has {len(there)} partitions, and the backup {len(copied.partitions)}: create it with as many"
        )
    if running := running_groups(broker):
        raise Refused(f"stop all services first: {', '.join(running)} have members")
    surviving = Surviving(
        backup, topic, _over(backup, broker, told) if topic == VAULT else NOTHING_OVER
    )
    reached = _reached(broker, topic, backup.manifest.taken_at, told)
    with closing(KafkaProducer(**broker.client(), acks="all", linger_ms=5)) as producer:
        placing = Placing(producer, topic, there, _last_keys(broker, topic))
        for done, record in enumerate(surviving.records(), start=1):
            placing.at_its_offset(record)
            told(f"{topic}, restored", done, copied.records)
        for record in surviving.untold(len(there)):
            placing.behind(record)
        for number, span in copied.partitions.items():
            placing.fill(number, max(span.end, reached.get(number, 0)) + BEYOND)
        placing.finish()
    return Restored(placing.records, surviving.destroyed, placing.placeholders)


class Surviving:
    """The records of a backup, with the word that a key was destroyed in place of each that was since."""

    def __init__(self, backup: Backup, topic: str, over: Over) -> None:
        self._backup = backup
        self._topic = topic
        self._over = over
        #: Erased customers of whom a record says so.
        self._said: set[str] = set()
        self.destroyed = 0

    def records(self) -> Iterator[CopiedRecord]:
        """Every record, in the order of the backup; raises BrokenBackup."""
        months = self._months() if self._over.sites else {}
        for record in self._backup.records(self._topic):
            event = event_of(Record(record.offset, record.value))
            if event is not None and event.type == DESTROYED:
                gone = CustomerKeyDestroyed.model_validate_json(event.data)
                if gone.month is None:
                    self._said.add(gone.customer_ref)
            fact = _wrapped(record)
            if fact is None:
                yield record
                continue
            word = self._destroyed(fact, months.get(fact.customer_ref))
            self.destroyed += word is not None
            yield record if word is None else record._replace(value=self._event(word))

    def _months(self) -> Mapping[str, tuple[str, datetime]]:
        """The last month whose words are over, of each customer who has such words.

        The words of a customer at all sites are over by the site that keeps them for the shortest time.
        """
        found: dict[str, tuple[str, datetime]] = {}
        for fact in map(_wrapped, self._backup.records(self._topic)):
            if fact is not None and fact.month is not None:
                last = self._over.sites.get(fact.site or "")
                if last is not None and fact.month <= last[0]:
                    found[fact.customer_ref] = max(last, found.get(fact.customer_ref, last))
        return found

    def _destroyed(
        self, fact: CustomerKeyCreated | CustomerKeyRewrapped, over: tuple[str, datetime] | None
    ) -> CustomerKeyDestroyed | None:
        """That a key was destroyed, if it was."""
        ref, name = fact.customer_ref, fact.key().rpartition("/")[2]
        if (erased_at := self._over.customers.get(ref)) is not None:
            self._said.add(ref)
            return CustomerKeyDestroyed(customer_ref=ref, name=name, destroyed_at=erased_at)
        if over is not None and fact.month is not None and fact.month <= over[0]:
            return CustomerKeyDestroyed(
                customer_ref=ref, name=name, destroyed_at=over[1], month=fact.month
            )
        return None

    def untold(self, partitions: int) -> Iterator[CopiedRecord]:
        """A record for each erased customer of whom the backup has nothing, so that their reference is not used again."""
        for ref in sorted(self._over.customers.keys() - self._said):
            erased_at = self._over.customers[ref]
            name = fingerprint("restored-key", ref)[:16]  # of a key that nobody knows any more
            fact = CustomerKeyDestroyed(customer_ref=ref, name=name, destroyed_at=erased_at)
            number = partition_of(fact.key(), partitions)
            at_ms = int(erased_at.timestamp() * 1000)
            headers = (("content-type", CONTENT_TYPE.encode()),)
            yield CopiedRecord(number, -1, at_ms, fact.key().encode(), self._event(fact), headers)

    def _event(self, fact: CustomerKeyDestroyed) -> bytes:
        event_id = fingerprint("restored", fact.key())
        return encode(
            fact,
            source=SOURCE,
            event_id=event_id,
            time=format_time(fact.destroyed_at),
            correlation=event_id,
            causation=event_id,
            cause=f"operator/backup/{self._backup.name}",
        )


def _wrapped(record: CopiedRecord) -> CustomerKeyCreated | CustomerKeyRewrapped | None:
    """The fact that holds a wrapped key, if the record is one."""
    event = event_of(Record(record.offset, record.value))
    model = None if event is None else WRAPPED.get(event.type)
    return None if event is None or model is None else model.model_validate_json(event.data)


def _over(backup: Backup, broker: Broker, told: Told) -> Over:
    """What was erased and what is over, by the topic that says so; raises Refused if it may not say all."""
    there = spans(broker, ERASURES)
    for number, then in backup.manifest.erasures.items():
        now = there.get(number)
        if now is None or now.end < then.end or now.first > then.end:
            raise Refused(
                f"{ERASURES}/{number} has not everything since the backup: who was erased cannot be known"
            )
    customers: dict[str, datetime] = {}
    sites: dict[str, tuple[str, datetime]] = {}
    for record in _read(broker, ERASURES, there, told):
        event = event_of(Record(record.offset, record.value))
        if event is not None and event.type == CustomerErased.TYPE.encode():
            erased = CustomerErased.model_validate_json(event.data)
            customers[erased.customer_ref] = erased.erased_at
        elif event is not None and event.type == WordsExpired.TYPE.encode():
            expired = WordsExpired.model_validate_json(event.data)
            last = expired.month, expired.expired_at
            sites[expired.site] = max(last, sites.get(expired.site, last))
    return Over(customers, sites)


def _reached(broker: Broker, topic: str, since: datetime, told: Told) -> Mapping[int, int]:
    """Where each partition of a lost topic ended as far as audit recorded it; from `since` on alone."""
    found: dict[int, int] = {}
    begins = f"{topic}/".encode()
    for done, record in enumerate(scan(AUDIT, broker, since=since - EVERY), start=1):
        told(f"{AUDIT}, since the backup", done, 0)
        event = event_of(Record(record.offset, record.value))
        if event is not None and event.cause.startswith(begins):
            number, offset = map(int, event.cause.removeprefix(begins).split(b"/")[:2])
            found[number] = max(found.get(number, 0), offset + 1)
    return found


def _last_keys(broker: Broker, topic: str) -> Mapping[int, tuple[int, bytes | None]]:
    """Offset and key of the last record of each partition."""
    return {record.partition: (record.offset, record.key) for record in scan(topic, broker)}


class Placing:
    """Writes records at the offsets they had; an offset without a record gets a tombstone, which compaction removes.

    Offsets that are there already are left as they are: they are of the same restore, which was stopped.
    """

    def __init__(
        self,
        producer: KafkaProducer,
        topic: str,
        there: Mapping[int, Span],
        last: Mapping[int, tuple[int, bytes | None]],
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._there = {number: span.end for number, span in there.items()}
        self._last = last
        self._next = dict.fromkeys(there, 0)
        self._sent: list[tuple[int, FutureRecordMetadata]] = []
        self.records = 0
        self.placeholders = 0

    def at_its_offset(self, record: CopiedRecord) -> None:
        """Write a record at the offset that it has; raises Refused, and Kafka's own errors."""
        self.fill(record.partition, record.offset)
        self.behind(record)

    def behind(self, record: CopiedRecord) -> None:
        """Write a record at the next offset of its partition; raises Refused, and Kafka's own errors."""
        self._put(record)
        self.records += 1

    def fill(self, number: int, stop: int) -> None:
        """Write tombstones up to an offset; raises Refused, and Kafka's own errors."""
        while (offset := self._next[number]) < stop:
            key, now_ms = f"placeholder/{number}/{offset}", int(time.time() * 1000)
            self._put(CopiedRecord(number, offset, now_ms, key.encode(), None))
            self.placeholders += 1

    def _put(self, record: CopiedRecord) -> None:
        number = record.partition
        offset = self._next[number]
        self._next[number] += 1
        if offset < self._there[number]:
            last, key = self._last.get(number, (-1, None))
            if offset == last and key != record.key:
                raise Refused(NOT_EMPTY.format(place=f"{self._topic}/{number}"))
            return
        future = self._producer.send(
            self._topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            partition=number,
            timestamp_ms=record.timestamp_ms,
        )
        self._sent.append((offset, future))
        if len(self._sent) >= SENT_MAX:
            self._wait()

    def _wait(self) -> None:
        """Wait until everything sent is where it belongs; raises Refused, and Kafka's own errors."""
        deadline = time.monotonic() + PATIENCE_S
        for offset, future in self._sent:
            if future.get(timeout=max(0.0, deadline - time.monotonic())).offset != offset:
                raise Refused(
                    f"somebody else wrote to {self._topic} meanwhile: delete it, create it and restore it again"
                )
        self._sent.clear()

    def finish(self) -> None:
        """Wait for the last records; raises Refused, also if the topic is longer than what was to be in it."""
        self._wait()
        for number, end in self._there.items():
            if end > self._next[number]:
                raise Refused(NOT_EMPTY.format(place=f"{self._topic}/{number}"))


NOT_EMPTY = (
    "{place} is not empty, and not what a restore of this backup left. If it was lost, delete the topic,"
    " create it and restore it again"
)

# The commands ------------------------------------------------------------------------------------

app = typer.Typer(
    name="backup",
    help="Back up the compacted topics (customers' wrapped keys, policies, the roster), and restore one.",
    no_args_is_help=True,
)
FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Where the backups are; for nobody else to read.")
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", help="Which backup, as `list` prints it; default: the newest."),
]


@app.command("take")
def take_command(
    folder: FolderArgument,
    bootstrap: BootstrapOption = None,
    keep: Annotated[int, typer.Option(min=1, max=100, help="How many backups to keep.")] = KEEP,
    kept_days: Annotated[
        int,
        typer.Option(
            "--kept-days",
            envvar="SERVICE_CHECK_BACKUPS_KEPT_DAYS",
            min=2,
            max=366,
            help="No backup is kept longer; the certificate of an erasure waits for it.",
        ),
    ] = BACKUP_RETENTION.days,
) -> None:
    """Take a backup, and delete those that are too many or too old; once a day."""
    now = datetime.now(UTC)
    try:
        broker = bootstrap_servers(bootstrap)
        with alone(folder):
            with told() as progress:
                made = take(folder, broker, now, progress)
            # The next backup is a day away, and nothing may be older than promised until then.
            gone = prune(folder, now, keep=keep, keep_for=timedelta(days=kept_days) - EVERY)
    except EXPECTED as error:
        _stop(error, "take")
    size = sum(copied.size_bytes for copied in made.manifest.topics)
    for copied in made.manifest.topics:
        typer.echo(f"{copied.topic}: {copied.records} records")
    for name in gone:
        typer.echo(f"{name}: deleted")
    typer.echo(f"{made.name}: taken, {size} bytes")


@app.command("list")
def list_command(folder: FolderArgument) -> None:
    """List the backups, the newest last; exit status 1 if there is none, or the newest is older than two days."""
    try:
        found = backups(folder)
    except BrokenBackup as error:
        _stop(error, "list")
    for one in found:
        counts = ", ".join(f"{copied.topic} {copied.records}" for copied in one.manifest.topics)
        typer.echo(f"{one.name}  {counts}")
    if not found:
        _say_and_stop(f"there is no backup in {folder}")
    if found[-1].manifest.taken_at < datetime.now(UTC) - LATE:
        _say_and_stop(
            "the newest backup is older than two days: the daily one does not run, or fails"
        )


@app.command("check")
def check_command(folder: FolderArgument, name: NameOption = None) -> None:
    """Read all of a backup, and compare it with what was written; exit status 1 if it differs."""
    try:
        backup = named(folder, name)
        wrong = problems(backup)
    except BrokenBackup as error:
        _stop(error, "check")
    for one in wrong:
        typer.echo(one, err=True)
    if wrong:
        raise typer.Exit(1)
    typer.echo(f"{backup.name}: every record is as it was written")


@app.command("restore")
def restore_command(
    folder: FolderArgument,
    topic: Annotated[
        str,
        typer.Argument(metavar="TOPIC", help="The topic that was lost, created anew and empty."),
    ],
    name: NameOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Restore one topic from a backup, while no service runs; safe to repeat after a stop.

    Keys that were destroyed since stay destroyed.
    """
    try:
        broker = bootstrap_servers(bootstrap)
        backup = named(folder, name)
        with told() as progress:
            done = restore(backup, topic, broker, progress)
    except EXPECTED as error:
        _stop(error, "restore")
    typer.echo(
        f"{topic}: {done.records} records are back at their offsets, as of {backup.name}; {done.destroyed} keys"
        f" that were destroyed since are not; {done.placeholders} offsets hold nothing. Now start the services"
    )


def _stop(error: Exception, what: str) -> NoReturn:
    """End with a sentence about an error."""
    if isinstance(error, Refused | BrokenBackup | NoBroker | TimeoutError):
        _say_and_stop(str(error))
    # The text of Kafka's errors may contain an address with its password.
    _say_and_stop(f"{what} failed: {type(error).__name__}; give the same command again")


def _say_and_stop(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
