"""Create the topics of the catalogue, compare them with the broker, read and write as an operator.

Topics exist before the services start: Faust subscribes to nothing if its topic is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError, TopicAlreadyExistsError
from pydantic import ValidationError
from pydantic_settings import SettingsError

from shared.contracts.catalogue import SERVICES, Topic, topics
from shared.contracts.event import CONTENT_TYPE, encode, fingerprint, format_time
from shared.contracts.topics import PARTITIONS_MAX
from shared.kernel import Fact
from shared.runtime.engine.relay import partition_of
from shared.runtime.settings import BrokerSettings, FromOutside, refused
from shared.runtime.wires import Broker

#: Where the local stack writes its addresses.
STACK_ENV = Path(".run/stack.env")
#: With three replicas two confirm, so that one broker may be away and nothing confirmed is lost.
REPLICATION_SAFE = 3
#: Operators read and write little, so that a longer wait means a broken broker.
PATIENCE_S = 30.0
RETRY_S = 0.2


S = TypeVar("S", bound=FromOutside)


class NoBroker(LookupError):
    """No address of Kafka is known."""


def no_topic(name: str) -> str:
    """What an operator is told where a topic is missing: of a compacted one that was lost, a copy comes back first."""
    told = f"there is no topic {name}"
    if any(topic.name == name and topic.cleanup == "compact" for topic in topics()):
        lost = "see the runbook, *A compacted topic was lost*, before you create it"
        return f"{told}: if it was lost, {lost}; on a new broker run `topics create`"
    return f"{told}: run `topics create` first"


def bootstrap_servers(given: str | None = None) -> Broker:
    """How Kafka is reached: at `given`, else KAFKA_BOOTSTRAP_SERVERS, else the local stack's address.

    TLS and login come from the environment, as for services. Raises NoBroker, and typer.Exit with
    status 2 after a sentence for each setting that is wrong.
    """
    return reached(BrokerSettings, "KAFKA_BOOTSTRAP_SERVERS", given).broker


def broker_or_exit(given: str | None) -> Broker:
    """The same as `bootstrap_servers`; ends with status 1 and a sentence where no address is known."""
    try:
        return bootstrap_servers(given)
    except NoBroker as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def reached(settings: type[S], name: str, given: str | None) -> S:
    """The settings of a server, whose address has this name: `given`, from outside, or the stack's.

    Raises NoBroker, and typer.Exit with status 2 after a sentence for each setting that is wrong.
    """
    for address in (given, None if given else _of_the_stack(name)):
        known: dict[str, Any] = {name: address} if address else {}
        try:
            return settings(**known)
        except (ValidationError, SettingsError) as error:
            if isinstance(error, SettingsError) or error.errors()[0]["type"] != "missing":
                for sentence in refused(error):
                    typer.echo(sentence, err=True)
                raise typer.Exit(2) from None
    raise NoBroker(f"set {name} or start the local stack: python -m devstack up")


def _of_the_stack(wanted: str) -> str | None:
    if STACK_ENV.exists():
        for line in STACK_ENV.read_text(encoding="utf-8").splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name.strip() == wanted:
                return value.strip().strip("'\"")
    return None


def _ms(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))


def configs(topic: Topic, replication: int) -> dict[str, str]:
    """The topic's settings as Kafka names them; everything else is the broker's default."""
    found: dict[str, str] = {"cleanup.policy": topic.cleanup}
    if topic.retention is not None:
        found["retention.ms"] = _ms(topic.retention)
    if topic.compaction_lag_max is not None:
        found["max.compaction.lag.ms"] = _ms(topic.compaction_lag_max)
        # Only closed segments are compacted: close them well within the lag.
        found["segment.ms"] = _ms(topic.compaction_lag_max / 4)
    if topic.compaction_lag_min is not None:
        found["min.compaction.lag.ms"] = _ms(topic.compaction_lag_min)
    if topic.message_bytes_max is not None:
        found["max.message.bytes"] = str(topic.message_bytes_max)
    if replication >= REPLICATION_SAFE:
        found["min.insync.replicas"] = "2"
    return found


def create(
    bootstrap: Broker | str, *, partitions: int | None = None, replication: int = 1
) -> tuple[str, ...]:
    """Create the topics that are missing and wait until they have leaders; return their names.

    Topics that exist stay as they are. Blocks; raises Kafka's own errors.
    """
    wanted = topics()
    admin = KafkaAdminClient(**Broker.of(bootstrap).client())
    try:
        there = set(admin.list_topics())
        missing = {
            topic.name: {
                "num_partitions": partitions or topic.partitions,
                "replication_factor": replication,
                "configs": configs(topic, replication),
            }
            for topic in wanted
            if topic.name not in there
        }
        for name, options in missing.items():
            try:
                admin.create_topics({name: options})
            except TopicAlreadyExistsError:  # another process created it meanwhile
                continue
        admin.wait_for_topics([topic.name for topic in wanted], timeout_ms=30_000)
    finally:
        admin.close()
    return tuple(missing)


def differences(bootstrap: Broker | str, *, replication: int = 1) -> dict[str, tuple[str, ...]]:
    """How the broker differs from the catalogue, by topic; empty if it does not.

    Partition counts may differ on purpose and are not compared. Blocks.
    """
    admin = KafkaAdminClient(**Broker.of(bootstrap).client())
    try:
        there = set(admin.list_topics())
        found: dict[str, tuple[str, ...]] = {}
        for topic in topics():
            if topic.name not in there:
                found[topic.name] = ("is missing",)
                continue
            resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
            answer = admin.describe_configs([resource], config_filter="all")
            settings = {name: value["value"] for name, value in answer["topic"][topic.name].items()}
            found[topic.name] = tuple(
                f"{name} is {settings.get(name)}, not {value}"
                for name, value in configs(topic, replication).items()
                if settings.get(name) != value
            )
    finally:
        admin.close()
    return found


def partition_counts(broker: Broker) -> dict[str, int]:
    """How many partitions each topic has that is there. Blocks; raises Kafka's own errors."""
    with closing(KafkaAdminClient(**broker.client())) as admin:
        return {one["name"]: len(one["partitions"]) for one in admin.describe_topics()}


def running_groups(broker: Broker) -> Sequence[str]:
    """The groups of services that have members. Blocks; raises Kafka's own errors."""
    groups = [f"recovery-{service}" for service in SERVICES]
    deadline = time.monotonic() + PATIENCE_S
    with closing(KafkaAdminClient(**broker.client())) as admin:
        while True:
            try:
                found = admin.describe_groups(groups)
            except KafkaError as error:  # a broker that has just started has no coordinator yet
                if not error.retriable or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)
            else:
                return sorted(name for name, group in found.items() if group["members"])


def scan(
    topic: str, bootstrap: Broker | str, *, since: datetime | None = None, key: str | None = None
) -> Iterator[ConsumerRecord]:
    """Every record that is on a topic now, partition by partition. Blocks.

    Only those from `since` on, by their timestamp, and only of the partition of `key`, if these are given.
    Raises LookupError without the topic, TimeoutError where nothing comes for too long before its end,
    and Kafka's own errors.
    """
    with closing(
        KafkaConsumer(**Broker.of(bootstrap).client(), group_id=None, enable_auto_commit=False)
    ) as consumer:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LookupError(no_topic(topic))
        wanted = numbers if key is None else {partition_of(key, len(numbers))}
        parts = [TopicPartition(topic, number) for number in sorted(wanted)]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        if since is not None:
            moment = int(since.timestamp() * 1000)
            for part, at in consumer.offsets_for_times(dict.fromkeys(parts, moment)).items():
                consumer.seek(part, ends[part] if at is None else at.offset)
        deadline = time.monotonic() + PATIENCE_S
        while any(consumer.position(part) < ends[part] for part in parts):
            if time.monotonic() > deadline:
                raise TimeoutError(f"could not read {topic} to its end in {PATIENCE_S:.0f} s")
            for part, found in consumer.poll(timeout_ms=200).items():
                deadline = time.monotonic() + PATIENCE_S
                yield from (record for record in found if record.offset < ends[part])


def records(topic: str, bootstrap: Broker | str) -> Iterator[tuple[str, bytes]]:
    """Key and value of every record on a topic, without tombstones; see `scan`. Blocks."""
    for record in scan(topic, bootstrap):
        if record.value is not None:
            yield (record.key or b"").decode(errors="replace"), record.value


def publish(
    facts: Sequence[Fact],
    bootstrap: Broker | str,
    *,
    source: str,
    cause: str,
    now: datetime,
    partition: Callable[[str, int], int] | None = None,
) -> None:
    """Publish an operator's facts and wait until the broker has confirmed them all. Blocks.

    `partition` gives the partition for a key and a number of partitions; without it the client chooses. Raises Kafka's own
    errors, KafkaTimeoutError among them; some of the facts may be published then.
    """
    producer = KafkaProducer(
        **Broker.of(bootstrap).client(), acks="all", max_block_ms=int(PATIENCE_S * 1000)
    )
    deadline = time.monotonic() + PATIENCE_S
    try:
        sent = []
        for fact in facts:
            event_id = fingerprint("operator", fact.TYPE, fact.model_dump_json(), cause)
            value = encode(
                fact,
                source=source,
                event_id=event_id,
                time=format_time(now),
                correlation=event_id,
                causation=event_id,
                cause=cause,
            )
            chosen = partition and partition(fact.key(), len(producer.partitions_for(fact.TOPIC)))
            sent.append(
                producer.send(
                    fact.TOPIC,
                    key=fact.key().encode(),
                    value=value,
                    headers=[("content-type", CONTENT_TYPE.encode())],
                    partition=chosen,
                )
            )
        for one in sent:
            one.get(timeout=max(0.0, deadline - time.monotonic()))
    finally:
        producer.close(timeout=PATIENCE_S)


app = typer.Typer(name="topics", help="The topics of the catalogue.", no_args_is_help=True)
BootstrapOption = Annotated[
    str | None,
    typer.Option("--bootstrap", help="Kafka's address; default: KAFKA_BOOTSTRAP_SERVERS."),
]
ReplicationOption = Annotated[
    int,
    typer.Option(
        envvar="KAFKA_REPLICATION", min=1, max=9, help="Copies of each topic; 3 in production."
    ),
]


@app.command("create")
def create_command(
    bootstrap: BootstrapOption = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            envvar="KAFKA_PARTITIONS",
            min=1,
            max=PARTITIONS_MAX,
            help="Partitions of each topic; default: the catalogue's.",
        ),
    ] = None,
    replication: ReplicationOption = 1,
) -> None:
    """Create the topics that are missing; safe to repeat."""
    where = broker_or_exit(bootstrap)
    made = create(where, partitions=partitions, replication=replication)
    _print([f"{name}: created" for name in made] or ["all topics exist already"])


@app.command("show")
def show_command(bootstrap: BootstrapOption = None, replication: ReplicationOption = 1) -> None:
    """Compare the broker with the catalogue; exit status 1 if they differ."""
    found = differences(broker_or_exit(bootstrap), replication=replication)
    _print([f"{name}: {'; '.join(wrong) or 'as declared'}" for name, wrong in found.items()])
    if any(found.values()):
        raise typer.Exit(1)


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(line)
