"""The data of both comparisons: a policy with high ceilings, customers with keys, complaints."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from pydantic import ValidationError
from pydantic_core import to_json

from bench.meter import Processes
from devstack.processes import master_key
from devstack.stack import Stack
from shared.contracts.audit import FactRecorded
from shared.contracts.catalogue import PARTITIONS
from shared.contracts.complaints import (
    Category,
    ComplaintReceived,
    ComplaintTriaged,
    Language,
    Severity,
)
from shared.contracts.event import Event, encode, fingerprint, format_time
from shared.contracts.intake import Channel, ComplaintRaised, Contact
from shared.contracts.policy import (
    ComplaintLimit,
    CustomerLimit,
    Limits,
    Policy,
    PolicyPublished,
    RoleAuthority,
    SiteLimit,
)
from shared.contracts.roster import EmployeeListed, Listing
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Fact
from shared.ops import topics
from shared.runtime import policy_file
from shared.runtime.privacy.seal import Vault

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".run"
SITE = "ms-aurora"
ROLE = "reception"
ITEM = "cinema"
REASON = Category.FOOD
#: Of one scene. So many that an employee does not ask again while their request is in flight, and so few
#: that a process remembers the tokens of ten scenes.
EMPLOYEES = 500
#: Per second of a turn: about the rate of the product, so that most requests are for a complaint's first check.
COMPLAINTS_PER_SECOND = 1500
#: For short turns: more employees than connections, and complaints that are not all asked for in advance.
EMPLOYEES_MIN, COMPLAINTS_EACH_MIN = 150, 2
#: Topics of the pipeline's peers, so that no side reads another's events.
BARE_INTAKE, BARE_TRIAGED = "bench.intake.v1", "bench.triaged.v1"
QUIX_GROUP = "bench-quix"
#: Topics of three bare hops.
HOPS = ("bench.hop-0.v1", "bench.hop-1.v1", "bench.hop-2.v1", "bench.hop-3.v1")
QUIX_INTAKE, QUIX_TRIAGED = "bench.quix-intake.v1", "bench.quix-triaged.v1"
#: Above everything a bench can give, so that every check is granted.
CEILING_MINOR = 10**11
CHECKS_PER_DAY = 1000
DELIVERY_TIMEOUT_S = 60
#: Records of a partition whose length is looked at.
LATEST = 200


@dataclass(frozen=True)
class Scene:
    """Which employees give for which complaints at which sites, request after request.

    Each employee has complaints of their own, as many as every other, so that successive requests share only
    their site, and wait for each other only where the product makes them.
    """

    name: str
    sites: tuple[str, ...]
    employees: int
    complaints: int

    def site(self, number: int) -> str:
        """The site of the request of this number."""
        return self.sites[number % self.employees % len(self.sites)]

    def employee(self, number: int) -> str:
        """The employee who asks."""
        return f"e-{self.name}-{number % self.employees:06}"

    def complaint(self, number: int) -> str:
        """The complaint it is for."""
        return f"co-{self.name}-{number % self.complaints:06}"

    def customer(self, number: int) -> str:
        """The customer of the complaint."""
        return f"c-{self.name}-{number % self.complaints:06}"

    def policies(self) -> list[PolicyPublished]:
        """The policy of every site, as facts."""
        policy = roomy_policy()
        return [
            PolicyPublished(site=site, version=1, policy=policy.model_copy(update={"site": site}))
            for site in self.sites
        ]

    def staff(self) -> list[EmployeeListed]:
        """Every employee of the scene, as facts."""
        now = datetime.now(UTC)
        return [
            EmployeeListed(
                employee_id=self.employee(number),
                site=self.site(number),
                listing=Listing(role=ROLE),
                listed_at=now,
            )
            for number in range(self.employees)
        ]

    def cases(self) -> list[tuple[CustomerKeyCreated, ComplaintTriaged]]:
        """The complaints as compensation reads them: customers' keys and triaged facts."""
        vault = Vault(b64decode(master_key(RUN)))
        promised_by = datetime.now(UTC) + timedelta(hours=1)
        return [
            (
                CustomerKeyCreated(
                    customer_ref=self.customer(number),
                    wrapped=vault.new_key(self.customer(number))[1],
                ),
                ComplaintTriaged(
                    complaint_id=self.complaint(number),
                    customer_ref=self.customer(number),
                    site=self.site(number),
                    language=Language.NB,
                    category=REASON,
                    severity=Severity.MODERATE,
                    safety=False,
                    promised_by=promised_by,
                    policy_version=1,
                    has_contact=True,
                ),
            )
            for number in range(self.complaints)
        ]


def raised(name: str, contact: Contact, vault: Vault, now: datetime) -> list[Fact]:
    """A complaint of a new customer as the notifier reads it, who can be reached so: key, received, triaged."""
    complaint_id, customer_ref = f"co-{name}", f"c-{name}"
    key, wrapped = vault.new_key(customer_ref)
    return [
        CustomerKeyCreated(customer_ref=customer_ref, wrapped=wrapped),
        ComplaintReceived(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=SITE,
            channel=Channel.WEB,
            language=Language.NB,
            text=key.seal("text", "The soup was cold."),
            contact=key.seal("contact", contact.model_dump_json()),
            received_at=now,
        ),
        ComplaintTriaged(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=SITE,
            language=Language.NB,
            category=REASON,
            severity=Severity.MODERATE,
            safety=False,
            promised_by=now + timedelta(hours=1),
            policy_version=1,
            has_contact=True,
        ),
    ]


def scenes(name: str, sites: int, seconds: float, rounds: int) -> list[Scene]:
    """A scene for each round and one to warm up with, the last, for turns of so many seconds.

    Each turn has a scene of its own, so that no case, history or day grows from round to round.
    """
    names = (SITE,) if sites == 1 else tuple(f"ms-{number:02}" for number in range(sites))
    wanted = int(seconds * COMPLAINTS_PER_SECOND)
    employees = min(EMPLOYEES, max(EMPLOYEES_MIN, wanted // COMPLAINTS_EACH_MIN))
    each = max(COMPLAINTS_EACH_MIN, wanted // employees)
    return [
        Scene(f"{name}-{number}", names, employees, employees * each)
        for number in range(rounds + 1)
    ]


def facts_of(chosen: Sequence[Scene]) -> list[Fact]:
    """Everything compensation must know of scenes at the same sites, policies first."""
    found: list[Fact] = [*chosen[0].policies()]
    for one in chosen:
        found += one.staff()
        found += [fact for pair in one.cases() for fact in pair]
    return found


def roomy_policy() -> Policy:
    """policy/demo.yaml with every scope, ceilings that are never reached, and no incidents."""
    found = policy_file.load(ROOT / "policy" / "demo.yaml")
    if not isinstance(found, Policy):
        raise policy_file.BrokenPolicy(ROOT / "policy" / "demo.yaml", found)
    everything = RoleAuthority(
        per_check=CEILING_MINOR,
        per_shift=CEILING_MINOR,
        per_day=CEILING_MINOR,
        per_week=CEILING_MINOR,
    )
    limits = Limits(
        customer=CustomerLimit(
            per_stay=CEILING_MINOR, per_day=CEILING_MINOR, checks_per_day=CHECKS_PER_DAY
        ),
        complaint=ComplaintLimit(total=CEILING_MINOR),
        site=SiteLimit(per_day=CEILING_MINOR),
    )
    roles = dict.fromkeys(found.authority.roles, everything)
    return found.model_copy(
        update={
            "authority": found.authority.model_copy(update={"roles": roles}),
            "limits": limits,
            "incidents": None,
        }
    )


def records(facts: Sequence[Fact]) -> list[tuple[str, bytes | None, bytes]]:
    """Topic, key and value of each fact, as its producer writes it."""
    time = format_time(datetime.now(UTC))
    return [
        (
            fact.TOPIC,
            fact.key().encode(),
            encode(
                fact,
                source="/bench",
                event_id=fingerprint("bench", fact.TYPE, fact.key()),
                time=time,
                correlation=fact.key(),
                causation="bench",
                cause="bench",
            ),
        )
        for fact in facts
    ]


@dataclass(frozen=True)
class Publisher:
    """Publishes facts as their producers do; blocks until Kafka has them."""

    bootstrap: str

    def publish(self, facts: list[Fact]) -> None:
        """Publish each fact on its topic, in order."""
        self.send(records(facts))

    def send(self, records: list[tuple[str, bytes | None, bytes]]) -> None:
        """Send records of topic, key and value; without a key they spread over the partitions evenly."""
        with self.open(linger_ms=5) as producer:
            sent = [
                producer.send(
                    topic, key=key, value=value, partition=None if key else number % PARTITIONS
                )
                for number, (topic, key, value) in enumerate(records)
            ]
            for future in sent:
                future.get(timeout=DELIVERY_TIMEOUT_S)

    @contextmanager
    def open(self, linger_ms: int = 0) -> Iterator[KafkaProducer]:
        """A plain producer for a `with` block."""
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, linger_ms=linger_ms, batch_size=256 * 1024
        )
        try:
            yield producer
        finally:
            producer.close()


def create_topics(bootstrap: str) -> None:
    """Create the catalogue's topics and the peers'; the broker stamps facts as they arrive. Blocks."""
    topics.create(bootstrap)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        own = [BARE_INTAKE, BARE_TRIAGED, QUIX_INTAKE, QUIX_TRIAGED, *HOPS]
        for name in own:
            admin.create_topics({name: {"num_partitions": PARTITIONS, "replication_factor": 1}})
        admin.wait_for_topics(own, timeout_ms=30_000)
        stamped = {"message.timestamp.type": "LogAppendTime"}
        facts = ComplaintTriaged.TOPIC, FactRecorded.TOPIC
        for name in (*facts, BARE_TRIAGED, QUIX_TRIAGED, HOPS[-1]):
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, stamped)])
    finally:
        admin.close()


def servers(stack: Stack) -> Processes:
    """The servers of our own stack, for a meter; nothing of a stack whose processes are not ours."""
    return {name: partial(tuple, (pid,)) for name, pid in stack.pids.items()}


def fact_bytes(bootstrap: str, fact: type[Fact]) -> float:
    """How long the latest facts of this type are on their topic, in bytes, on average. Blocks."""
    mark = b'"type":"' + fact.TYPE.encode() + b'"'
    eyes = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        places = [TopicPartition(fact.TOPIC, number) for number in range(PARTITIONS)]
        eyes.assign(places)
        ends = eyes.end_offsets(places)
        for place in places:
            eyes.seek(place, max(0, ends[place] - LATEST))
        sizes: list[int] = []
        while any(eyes.position(place) < ends[place] for place in places):
            for records in eyes.poll(timeout_ms=500).values():
                sizes += [len(got.value) for got in records if mark in got.value[:400]]
        return sum(sizes) / max(1, len(sizes))
    finally:
        eyes.close()


def raised_events(count: int, run: str) -> list[bytes]:
    """The complaints of the demo's file in a loop, each a new event of a new customer, dated now."""
    now = format_time(datetime.now(UTC))
    written = []
    for line in (ROOT / "demo" / "complaints.jsonl").read_bytes().splitlines():
        with suppress(ValidationError):  # two of the story's events are wrong on purpose
            event = (
                Event[ComplaintRaised]
                .model_validate_json(line)
                .model_dump(mode="json", exclude_none=True)
            )
            event["time"] = event["data"]["occurred_at"] = now
            written.append(event)
    events = []
    for number in range(count):
        event = written[number % len(written)]
        event["id"] = f"{run}-{number}"
        event["data"]["customer"] = f"guest-{run}-{number}"
        events.append(to_json(event))
    return events
