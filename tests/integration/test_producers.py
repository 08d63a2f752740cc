"""The programs of ten lines in docs/publishing.md publish a complaint, as they stand there; and an announcement of as many as fit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer

from devstack import stack
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.event import CONTENT_TYPE
from shared.contracts.intake import AFFECTED_MAX
from shared.testing.builders import record
from tests.system import auditor
from tests.system.world import World, complaint_id, until, world
from tests.unit.test_announced import announced

PAGE = (Path(__file__).parents[2] / "docs/publishing.md").read_text(encoding="utf-8")
JAVA_POM = Path(__file__).parent / "java/pom.xml"
#: Compiling a program and running it take seconds.
PROGRAM_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("producers")) as found:
        found.start("complaints").wait_ready()
        yield found


def program(language: str) -> str:
    """The first program of the page in a language."""
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[0])


def run(words: list[str], bootstrap: str) -> None:
    done = subprocess.run(
        words,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap},
        capture_output=True,
        encoding="utf-8",
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def received(here: World) -> Mapping[str, str]:
    """The channel of each complaint that was received, by its id."""
    found = auditor.of(auditor.facts(here.read(ComplaintReceived.TOPIC)), ComplaintReceived.TYPE)
    return {one["complaint_id"]: one["channel"] for one in found}


def test_the_program_in_python_publishes_a_complaint(here: World):
    run([sys.executable, "-c", program("python")], here.stack.bootstrap)
    name = complaint_id("complaint-778122", "/booking")
    until(lambda: name in received(here), "what Python published")


def test_the_program_in_java_publishes_a_complaint(here: World, tmp_path: Path):
    java = stack.java()
    if java is None or shutil.which("mvn") is None:
        pytest.skip("needs Java 17 and Maven")
    jars = stack.maven_jars(JAVA_POM, "the CloudEvents SDK for Java", "cloudevents")
    (client,) = jars.glob("kafka-clients-*.jar")
    logging = [str(one) for one in jars.glob("slf4j-api-*.jar")]
    source = tmp_path / "Publish.java"
    source.write_text(program("java"), encoding="utf-8")
    path = os.pathsep.join([str(client), *logging])
    run([java, "-XX:TieredStopAtLevel=1", "-cp", path, str(source)], here.stack.bootstrap)
    name = complaint_id("complaint-778123", "/booking")
    until(lambda: name in received(here), "what Java published")


def test_an_announcement_of_as_many_as_fit_opens_a_case_for_each(here: World):
    fact = announced(*(f"guest-{number}" for number in range(AFFECTED_MAX)))
    event = record(fact, 0, "departure-1", source="/operations", time=datetime.now(UTC))
    headers = [("content-type", CONTENT_TYPE.encode())]
    with closing(KafkaProducer(bootstrap_servers=here.stack.bootstrap)) as producer:
        for _ in range(2):  # the second time changes nothing
            sent = producer.send(fact.TOPIC, event.value, headers=headers)
            sent.get(timeout=60)
    here.settle_down("complaints")
    channels = list(received(here).values())
    assert channels.count("preemptive") == AFFECTED_MAX
