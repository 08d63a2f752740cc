"""A customer is erased on a real Kafka and Redis, and is found nowhere after the certificate.

Retention is shortened: the records of the intake and of the dead letters are deleted as the broker does it
by itself after days, and the vault is compacted at once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from redis import Redis

from devstack.stack import ROOT
from services.complaints.app import IN_CLEAR
from shared.contracts.catalogue import SERVICES
from shared.contracts.complaints import ComplaintForgotten, ComplaintReceived, ErasureCertified
from shared.contracts.vault import CustomerKeyCreated
from shared.ops import token
from shared.runtime.engine.deadletters import Buried
from shared.runtime.privacy.seal import DataKey, SealBroken, Vault
from tests.system import auditor
from tests.system.world import MASTER, PATIENCE_S, SITE, Read, World, complaint, until, world

CANARY = "Zqvxcanary"
PHONE = "+47 9918273645"
EMAIL = f"{CANARY}@guests.example"
PLANTED = (CANARY.lower().encode(), b"9918273645")
CONTACT = {"name": f"{CANARY} Guest", "email": EMAIL, "phone": PHONE}
SOURCE = f"/crm/{CANARY}"
#: Wraps customers' keys once they are wrapped anew.
WRAPPING = bytes(range(1, 33))
VAULT = Vault(MASTER, wrapping=[None, WRAPPING])
REF = VAULT.pseudonyms.customer_at(SITE, EMAIL)
SEALED = re.compile(rb"v1\.[A-Za-z0-9_-]{38,}")
FIELDS = ("text", "contact", "code", "explanation")


def redis_dump(everything: World) -> Iterator[bytes]:
    """Every key and value of Redis, whatever its type."""
    with closing(Redis.from_url(everything.stack.redis_url)) as store:
        for name in store.scan_iter(count=5000):
            found: Any
            match store.type(name):
                case b"string":
                    found = store.get(name)
                case b"list":
                    found = store.lrange(name, 0, -1)
                case b"zset":
                    found = store.zrange(name, 0, -1)
                case kind:
                    raise AssertionError(kind)
            yield repr((name, found)).encode()


def everything_kept(everything: World, reads: list[Read]) -> Iterator[bytes]:
    """Topics, Redis, logs and metrics: what is there, and what the master key makes of it."""
    for read in reads:
        yield b" ".join(
            [read.key or b"", read.value or b"", *(n.encode() + v for n, v in read.headers)]
        )
        if ".dlq." in read.topic and read.value:
            letter = Buried.of(read.topic.split(".")[1], read.headers)
            assert letter is not None
            yield VAULT.open_dead(read.value, letter.name)
    yield from redis_dump(everything)
    for service in everything.services.running:
        yield service.log.read_bytes()
        if service.process.poll() is None:
            yield httpx.get(f"{service.ops_url}/metrics").content


def keys_in(kept: list[bytes], vault: Vault = VAULT) -> list[DataKey]:
    """The customer's keys that whoever has the keys of a vault finds."""
    found = []
    for one in {one.decode() for part in kept for one in SEALED.findall(part)}:
        try:
            found.append(vault.unwrap(REF, one))
        except SealBroken:
            continue
    return found


def found_in(everything: World) -> set[str]:
    """Where a canary is: in clear, or by opening what is sealed with a key that is there."""
    kept = list(everything_kept(everything, everything.read()))
    places = {"clear" for part in kept for planted in PLANTED if planted in part.lower()}
    sealed = {one.decode() for part in kept for one in SEALED.findall(part)}
    for key in keys_in(kept):
        places.add("a key")
        for one in sealed:
            for field in FIELDS:
                try:
                    text = key.open(field, one).lower().encode()
                except SealBroken:
                    continue
                places |= {"sealed" for planted in PLANTED if planted in text}
    return places


def started(everything: World, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    own = {f"SERVICE_CHECK_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **everything.services.environment, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(command: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = command.communicate(timeout=PATIENCE_S)
    return command.returncode, output


def comes_in(everything: World) -> None:
    """One person, by every way in: another system, an employee, on the spot, and in a bad record."""
    told = {"text": f"Cold soup, says {CANARY}.", "contact": CONTACT}
    event = json.loads(complaint(f"{CANARY}-1", at=datetime.now(UTC), raised_by=EMAIL, **told))
    good = json.dumps({**event, "source": SOURCE, "correlationid": EMAIL}).encode()
    everything.publish([good, good[:-2]], headers=((CANARY, EMAIL.encode()),), key=EMAIL.encode())
    with everything.phone("complaints") as phone:
        raised = phone.post(
            "/v1/complaints", json={"site": SITE, **told}, headers={"Idempotency-Key": "k1"}
        )
    wish = {"on_the_spot": told, "item": "dinner-for-two", "reason": "food"}
    with everything.phone("compensation") as phone:
        given = phone.post("/v1/checks", json=wish, headers={"Idempotency-Key": "k2"})
    assert (raised.status_code, given.status_code) == (201, 201), (raised.text, given.text)
    everything.settle_down(*SERVICES)


def shorten_retention(everything: World) -> None:
    """Delete what retention would, and compact the vault as soon as possible."""
    admin = KafkaAdminClient(bootstrap_servers=everything.stack.bootstrap)
    try:
        ends = {
            TopicPartition(read.topic, read.partition): read.offset + 1
            for read in everything.read(*IN_CLEAR)
        }
        admin.delete_records(ends)
        settings = {
            "segment.ms": "100",
            "max.compaction.lag.ms": "1",
            "min.cleanable.dirty.ratio": "0.001",
        }
        vault = ConfigResource(ConfigResourceType.TOPIC, CustomerKeyCreated.TOPIC, settings)
        eager = {"log.cleaner.backoff.ms": "200"}
        admin.alter_configs([vault, ConfigResource(ConfigResourceType.BROKER, "1", eager)])
    finally:
        admin.close()


def wrapped_on_the_vault(everything: World) -> int:
    """The customer's wrapped keys there."""
    reads = everything.read(CustomerKeyCreated.TOPIC)
    return len(keys_in([read.value or b"" for read in reads]))


def privacy(everything: World) -> httpx.Client:
    signed = token.sign(
        everything.key,
        subject="guest-relations",
        kind="privacy",
        site=SITE,
        now=datetime.now(UTC),
    )
    return httpx.Client(
        base_url=everything.url("complaints"), headers={"Authorization": f"Bearer {signed}"}
    )


def certified(everything: World) -> bool:
    with privacy(everything) as office:
        answer = office.get(f"/v1/customers/{REF}/erasure")
    return answer.status_code == 200 and answer.json()["certified_at"] is not None


def days_pass(everything: World) -> None:
    """Make the certificate's timer due now."""
    with closing(Redis.from_url(everything.stack.redis_url)) as store:
        due = {f"certify|{REF}": int(time.time() * 1000)}
        store.zadd("complaints:{c0}:timers", due, xx=True)


def wrapped_anew(everything: World) -> None:
    """Every key is wrapped by another key, which the services unwrap as well; in Redis no other is left."""
    wrapping = b64encode(WRAPPING).decode()
    rewrap = ("services.complaints", "customer", "rewrap")
    for found in (True, False):
        status, output = ended(
            started(everything, *rewrap, wrapping_key=wrapping, wrapping_key_also="derived")
        )
        assert (status, "keys wrapped anew" in output) == (0, found), output
    everything.settle_down(*SERVICES)
    kept = list(redis_dump(everything))
    assert (keys_in(kept, Vault(MASTER)), len(keys_in(kept)) >= 2) == ([], True)


def forgotten(everything: World) -> int:
    facts = auditor.facts(everything.read(ComplaintForgotten.TOPIC))
    return len(auditor.of(facts, ComplaintForgotten.TYPE))


def test_an_erased_person_is_found_nowhere_after_the_certificate_and_nothing_brings_them_back(
    tmp_path,
):
    """INV-07: topics, Redis, logs, metrics and dead letters, also with the master key; restart and rebuild.

    Before, their keys are wrapped anew by another key. No backup is taken, for which the certificate would wait for days.
    """
    with world(tmp_path) as everything:
        also = b64encode(WRAPPING).decode()
        services = [
            everything.start(owner, wrapping_key_also=also, backups_kept_days="0")
            for owner in SERVICES
        ]
        for service in services:
            service.wait_ready()
        comes_in(everything)
        wrapped_anew(everything)
        assert found_in(everything) == {"clear", "a key", "sealed"}

        erase = ("services.complaints", "customer", "erase", REF, "--yes")
        status, output = ended(started(everything, *erase))
        assert (status, "is erased" in output) == (0, True), output
        again = started(everything, *erase)
        until(lambda: forgotten(everything) == 3, "all complaints to be forgotten")
        everything.settle_down(*SERVICES)
        assert not certified(everything)
        status, output = ended(again)
        assert (status, "customer_erased" in output) == (1, True), output

        shorten_retention(everything)
        assert wrapped_on_the_vault(everything) > 0, "a quiet partition is not compacted"
        days_pass(everything)
        until(lambda: wrapped_on_the_vault(everything) == 0, "the service to have it compacted")
        assert not certified(everything)
        # The next look is an hour later, or the first of another process.
        services[0].stop()
        services[0] = everything.start(SERVICES[0], wrapping_key_also=also, backups_kept_days="0")
        services[0].wait_ready()
        until(lambda: certified(everything), "the certificate")
        everything.settle_down(*SERVICES)
        assert found_in(everything) == set()
        told = started(everything, "services.complaints", "customer", "erasure", REF)
        assert "certified at" in ended(told)[1]

        for service in services:
            service.stop()
        with closing(Redis.from_url(everything.stack.redis_url)) as store:
            store.flushall()
        for made in [started(everything, "shared.ops", "rebuild", owner) for owner in SERVICES]:
            status, output = ended(made)
            assert status == 0, output
        for service in [everything.start(owner) for owner in SERVICES]:
            service.wait_ready()
        assert found_in(everything) == set()
        assert certified(everything)

        everything.publish([complaint("another", at=datetime.now(UTC), contact={"email": EMAIL})])
        everything.settle_down("complaints")
        facts = auditor.facts(everything.read(ComplaintReceived.TOPIC))
        refs = {one["customer_ref"] for one in auditor.of(facts, ComplaintReceived.TYPE)}
        assert refs == {REF, VAULT.pseudonyms.again(REF)}
        assert len(auditor.of(facts, ErasureCertified.TYPE)) == 1
