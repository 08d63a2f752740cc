"""Every CloudEvents SDK reads our facts and publishes to the intake, in both modes of the Kafka binding.

The Java program beside this file and the SDK for Python share no code with the services.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from kafka import KafkaProducer

from devstack import stack
from shared.contracts.audit import FactRecorded, HeadsSigned, Notice
from shared.contracts.catalogue import TOPICS
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.deadletters import DeadLetterFact
from shared.contracts.event import CONTENT_TYPE
from shared.contracts.intake import ComplaintRaised
from shared.contracts.topics import TopicRaised
from tests.system import auditor
from tests.system.world import Read, World, complaint, complaint_id, until, world

OWNERS = ("complaints", "compensation", "notifier")
JAVA = Path(__file__).parent / "java"
#: Compiling the program and one run of it take seconds.
JAVA_TIMEOUT_S = 120
WORDS = "Suppen var kald, sa gjesten. 🍲"
#: Nobody records, raises topics or sends dead letters again here, and their facts have the form of all others.
ELSEWHERE = {
    fact.TOPIC for fact in (FactRecorded, HeadsSigned, Notice, DeadLetterFact, TopicRaised)
}
FACTS = [
    topic.name for topic in TOPICS if ".dlq." not in topic.name and topic.name not in ELSEWHERE
]


def raised(event_id: str, **attributes: object) -> dict[str, Any]:
    contact = {"email": f"{event_id}@guests.example"}
    event = json.loads(complaint(event_id, text=WORDS, at=datetime.now(UTC), contact=contact))
    return {**event, **attributes}


def in_java(*words: str, told: str = "") -> str:
    """Run the Java program and return what it printed; skips where there is no Java with Maven."""
    java = stack.java()
    if java is None or shutil.which("mvn") is None:
        pytest.skip("needs Java 17 and Maven")
    jars = stack.maven_jars(JAVA / "pom.xml", "the CloudEvents SDK for Java", "cloudevents")
    done = subprocess.run(
        [
            java,
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{jars}/*",
            str(JAVA / "CloudEvents.java"),
            *words,
        ],
        input=told,
        capture_output=True,
        encoding="utf-8",
        timeout=JAVA_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def in_python(bootstrap: str, event: dict[str, Any], to_message: Any) -> None:
    """Publish an event with the SDK for Python in one of the modes."""
    value = json.dumps(event).encode()
    headers = {"content-type": CONTENT_TYPE.encode()}
    message = to_message(from_kafka_event(KafkaMessage(headers=headers, key=None, value=value)))
    with closing(KafkaProducer(bootstrap_servers=bootstrap)) as producer:
        sent = [(name, text) for name, text in message.headers.items()]
        producer.send(ComplaintRaised.TOPIC, message.value, headers=sent).get(timeout=60)


@dataclass
class Told:
    """A system in which every topic holds facts, and what lies on the topics."""

    world: World
    reads: list[Read]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Iterator[Told]:
    with world(tmp_path_factory.mktemp("sdks")) as here:
        for service in [here.start(owner) for owner in OWNERS]:
            service.wait_ready()
        bootstrap = here.stack.bootstrap
        in_python(bootstrap, raised("python-structured"), to_structured_event)
        in_python(bootstrap, raised("python-binary"), to_binary_event)
        wish = {"complaint_id": complaint_id("python-binary"), "item": "cinema", "reason": "food"}
        with here.phone("compensation") as phone:
            given = {"Idempotency-Key": "k"}
            until(
                lambda: phone.post("/v1/checks", json=wish, headers=given).status_code == 201,
                "the complaint to come to compensation",
            )
        here.settle_down(*OWNERS)
        yield Told(here, here.read(*FACTS))


def received(here: World) -> set[str]:
    """Ids of the complaints received."""
    reads = here.read(ComplaintReceived.TOPIC)
    found = auditor.of(auditor.facts(reads), ComplaintReceived.TYPE)
    return {one["complaint_id"] for one in found}


def ours(reads: list[Read]) -> list[Read]:
    """What our services and operators published."""
    return [read for read in reads if read.topic != ComplaintRaised.TOPIC]


def test_the_test_reads_facts_of_every_topic(told: Told):
    assert {read.topic for read in told.reads} == set(FACTS)


def test_every_fact_says_in_its_headers_that_it_is_a_cloudevent(told: Told):
    for read in ours(told.reads):
        assert read.headers == (("content-type", b"application/cloudevents+json"),), read.topic


def test_the_python_sdk_reads_every_fact_of_every_topic(told: Told):
    for read in ours(told.reads):
        event = from_kafka_event(KafkaMessage(dict(read.headers), read.key, read.value))
        assert event.get_id() == read.event["id"]
        assert event.get_type() == read.event["type"]
        assert event.get_data() == read.event["data"]
        assert event.get_extension("correlationid") == read.event["correlationid"]


def test_the_java_sdk_reads_every_fact_of_every_topic_and_loses_nothing_of_it(told: Told):
    lines = in_java("read", told.world.stack.bootstrap, *FACTS).splitlines()
    found = {}
    for line in lines:
        topic, partition, offset, event = line.split(" ", 3)
        found[topic, int(partition), int(offset)] = json.loads(event)
    places = {(read.topic, read.partition, read.offset): read for read in told.reads}
    assert places.keys() <= found.keys()
    for read in ours(told.reads):
        event, written = found[read.topic, read.partition, read.offset], dict(read.event)
        assert as_moment(event.pop("time")) == as_moment(written.pop("time"))
        assert event == written


def as_moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_intake_takes_what_the_python_sdk_publishes_in_both_modes(told: Told):
    """INV-04: nothing that came in disappears."""
    asked = {complaint_id(f"python-{mode}") for mode in ("structured", "binary")}
    assert asked <= received(told.world)


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_the_intake_takes_what_the_java_sdk_publishes_in_both_modes(told: Told, mode: str):
    """INV-04: nothing that came in disappears."""
    names = [f"java-{mode}", f"java-{mode}-charset"]
    events = [
        raised(names[0], datacontenttype="application/json"),
        raised(names[1], datacontenttype="application/json; charset=utf-8"),
    ]
    lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    here = told.world
    in_java("publish", here.stack.bootstrap, ComplaintRaised.TOPIC, mode.upper(), told=lines)
    asked = {complaint_id(name) for name in names}
    until(lambda: asked <= received(here), f"what Java published in {mode} mode")
    for name in names:
        with here.phone("complaints") as phone:
            assert phone.get(f"/v1/complaints/{complaint_id(name)}").json()["text"] == WORDS
