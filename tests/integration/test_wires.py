"""Services and operators' commands on servers that ask for TLS and a login, as in production."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from devstack.stack import ROOT, Secured, free_port
from shared.contracts.complaints import ComplaintReceived
from shared.runtime.settings import BrokerSettings
from tests.suites.certificates import Authority
from tests.system.world import SITE, World, complaint, complaint_id, until, world

USER, PASSWORD = "complaints", "canary-of-the-broker"
#: What the user of complaints may do here; the broker refuses everything else.
MAY = (
    (ResourceType.TOPIC, "recovery.", (ACLOperation.READ, ACLOperation.WRITE)),
    (ResourceType.GROUP, "recovery-complaints", (ACLOperation.READ,)),
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[World]:
    """A world whose broker has a second port, for one user; the services take that port."""
    port = free_port()
    second = Secured(port, authority.server("kafka"))
    with world(tmp_path_factory.mktemp("world"), second) as everything:
        if everything.stack.source != "maven":
            pytest.skip("the stack is not ours to secure")
        with closing(KafkaAdminClient(bootstrap_servers=everything.stack.bootstrap)) as admin:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)]
            )
            admin.create_acls(
                [
                    ACL(
                        f"User:{USER}",
                        "*",
                        operation,
                        ACLPermissionType.ALLOW,
                        ResourcePattern(kind, name, ACLResourcePatternType.PREFIXED),
                    )
                    for kind, name, operations in MAY
                    for operation in operations
                ]
            )
        everything.services.environment = {
            **everything.services.environment,
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(authority.ca),
        }
        yield everything


def operator(everything: World, *words: str) -> tuple[int, str]:
    """Status and output of an operator's command in the services' environment."""
    done = subprocess.run(
        [sys.executable, "-m", "shared.ops", *words],
        cwd=ROOT,
        env={**os.environ, **everything.services.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def reached(environment: Mapping[str, str]) -> set[str]:
    """The topics that kafka-python sees with the arguments we make of an environment."""
    broker = BrokerSettings.model_validate(
        {name: value for name, value in environment.items() if name.startswith("KAFKA_")}
    ).broker
    with closing(KafkaConsumer(**broker.client(), group_id=None)) as consumer:
        return set(consumer.topics())


def received(everything: World) -> set[str]:
    """The complaints that are published as received."""
    return {
        read.event["subject"]
        for read in everything.read(ComplaintReceived.TOPIC)
        if read.event["type"] == ComplaintReceived.TYPE
    }


def test_a_service_logs_in_to_kafka_reads_and_publishes_and_says_no_password(secured: World):
    """Every client of a service: groupless consumers, watch, relay and the streams."""
    service = secured.start("complaints", publish_wait_ms="5000", log_level="DEBUG")
    service.wait_ready()
    with secured.phone("complaints") as phone:
        answer = phone.post(
            "/v1/complaints",
            json={"site": SITE, "text": "The soup was cold."},
            headers={"Idempotency-Key": "soup-1"},
        )
    assert (answer.status_code, answer.headers["published"]) == (201, "true")
    secured.publish([complaint("by-kafka-1", at=datetime.now(UTC))])
    until(lambda: complaint_id("by-kafka-1") in received(secured), "a complaint by Kafka")
    assert answer.json()["complaint_id"] in received(secured)
    assert service.stop() == 0
    assert PASSWORD not in Path(service.log).read_text(encoding="utf-8")


def test_operators_commands_reach_kafka_by_the_settings_of_the_services(secured: World):
    assert ComplaintReceived.TOPIC in reached(secured.services.environment)
    policy = str(ROOT / "policy" / "demo.yaml")
    assert operator(secured, "policy", "publish", policy) == (
        0, f"{policy}: published as version 2\n",
    )  # fmt: skip
