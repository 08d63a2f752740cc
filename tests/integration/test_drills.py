"""Drills of what an operator restores, with real services, Kafka and Redis: the steps of the runbook.

First an older copy of the store comes back, then the vault topic is lost.
"""

from __future__ import annotations

import asyncio
import random
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from kafka.admin import KafkaAdminClient
from redis import Redis

from shared.contracts.catalogue import SERVICES, WITH_CUSTOMERS
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.vault import CustomerKeyCreated
from shared.ops import status, topics
from shared.runtime.privacy.seal import SealBroken, Vault
from tests.integration.test_erasure import SEALED, ended, started
from tests.integration.test_rebuild import (
    DOMAINS,
    READ_AGAIN,
    Remembering,
    asked_again,
    done,
    published,
    ready,
    rebuild,
)
from tests.system import auditor
from tests.system.replay import State, stored
from tests.system.traffic import Publisher, flowing
from tests.system.world import EMPLOYEES, MASTER, SITE, World, complaint, complaint_id, until, world

VAULT_TOPIC = CustomerKeyCreated.TOPIC
WRAPPING = bytes(range(2, 34))
VAULT = Vault(MASTER, wrapping=[None, WRAPPING])
#: Heads are signed once a minute, also between two looks at what audit holds.
SIGNED = {"heads:last"}
#: Guests, by what they say; one is erased after the backup, one comes after it.
STAYS, ERASED, LATER = "stays", "erased", "later"


def ref(guest: str) -> str:
    return VAULT.pseudonyms.customer_at(SITE, f"{guest}@guests.example")


def complains(everything: World, guest: str) -> None:
    contact = {"name": "A Guest", "email": f"{guest}@guests.example"}
    text = f"The soup was cold, says {guest}."
    everything.publish([complaint(guest, at=datetime.now(UTC), text=text, contact=contact)])
    everything.settle_down(*SERVICES)


def words(everything: World, guest: str) -> str | None:
    """What an employee reads of a guest's complaint; None once the guest was erased."""
    with everything.phone("complaints") as phone:
        answer = phone.get(f"/v1/complaints/{complaint_id(guest)}")
    assert answer.status_code == 200, answer.text
    found: str | None = answer.json()["text"]
    return found


def states(everything: World) -> dict[str, State]:
    return {owner: stored(everything.stack.redis_url, owner) for owner in SERVICES}


def all_keys(redis: Redis) -> dict[bytes, bytes | None]:
    """Everything in Redis as it would be written to a disk, but for leases."""
    return {key: redis.dump(key) for key in redis.scan_iter(count=5000) if b":lease:" not in key}


def caught_up(everything: World) -> bool:
    """Whether all that is on the topics is applied; a group may have acknowledged it before the loss."""
    stack = everything.stack
    found = asyncio.run(
        status.services(stack.bootstrap, dict.fromkeys(SERVICES, stack.redis_url), "c0")
    )
    return all(one.behind == 0 for health in found for one in health.reads.values())


def exact(everything: World) -> None:
    """Every store holds what the topics lead to."""
    until(lambda: caught_up(everything), "the last records to be read again")
    auditor.exact(everything, *DOMAINS)


def restored_copy(everything: World, copy: Path) -> None:
    """Redis dies and its folder is lost; an older copy of the folder takes its place, and Redis starts."""
    everything.stack.kill_redis()
    everything.stack.replace_redis(copy)
    everything.stack.start_redis()


def made_again(everything: World) -> None:
    for owner in SERVICES:
        code, output = done(rebuild(everything, owner))
        assert (code, "goes on from sequence" in output) == (0, True), output


def refused(everything: World, phones: list[Remembering]) -> None:
    """Whoever asks gets 503, for an old wish and for a new one."""
    for phone in phones:
        wish = next(iter(phone.wishes.values()))
        with everything.phone("compensation", phone.employee) as line:
            for key in (*list(phone.wishes)[:3], "a new wish"):
                answer = line.post("/v1/checks", json=wish, headers={"Idempotency-Key": key})
                assert (answer.status_code, answer.json()["type"]) == (503, "store_stale")


def test_an_older_copy_of_the_store_serves_nobody_until_it_is_rebuilt_and_then_is_exact(tmp_path):
    """INV-02, INV-06: also for a customer who was erased after the copy was made."""
    with (
        world(tmp_path) as everything,
        closing(Redis.from_url(everything.stack.redis_url)) as redis,
    ):
        services = {owner: everything.start(owner, publish_wait_ms="3000") for owner in SERVICES}
        for service in services.values():
            service.wait_ready()
        complains(everything, ERASED)

        def traffic(seed: int, wishes: int) -> list[Remembering]:
            stop = threading.Event()
            publisher = Publisher(everything, stop, random.Random(seed), pause_s=1.5)
            publisher.burst()
            phones = [
                Remembering(
                    everything, who, publisher, stop, random.Random(seed), f"{seed}-", pause_s=0.1
                )
                for who in EMPLOYEES[:2]
            ]
            with flowing(stop, [publisher, *phones]):
                until(lambda: all(len(published(one)) > wishes for one in phones), "traffic")
            everything.settle_down(*SERVICES)
            return phones

        early = traffic(1, 5)
        copy = tmp_path / "older-copy"
        everything.stack.copy_redis(copy)
        erase = ("services.complaints", "customer", "erase", ref(ERASED), "--yes")
        assert ended(started(everything, *erase))[0] == 0
        late = traffic(2, 5)
        before = states(everything)
        answered = [{one.employee: published(one) for one in phones} for phones in (early, late)]

        restored_copy(everything, copy)
        older = all_keys(redis)
        for owner in SERVICES:
            until(lambda owner=owner: ready(everything, owner) == 503, f"{owner} to see it")
        refused(everything, [*early, *late])
        assert all_keys(redis) == older, "nothing was written"

        for owner in READ_AGAIN:
            services[owner].stop()
        made_again(everything)
        for owner in READ_AGAIN:
            services[owner] = everything.start(owner)
        for owner in SERVICES:
            until(lambda owner=owner: ready(everything, owner) == 200, f"{owner} to serve")
        exact(everything)
        for owner, after in states(everything).items():
            assert after.accounts == before[owner].accounts, owner
            found, was = after.documents.keys(), before[owner].documents.keys()
            assert found - SIGNED == was - SIGNED, owner
        assert asked_again(everything, early, answered[0]) > 8
        assert asked_again(everything, late, answered[1]) > 8
        assert words(everything, ERASED) is None


def on_the_vault(everything: World, guest: str) -> int:
    """How many wrapped keys of a guest are on the topic, for whoever has the master key."""
    found = 0
    for read in everything.read(VAULT_TOPIC):
        for sealed in SEALED.findall(read.value or b""):
            try:
                VAULT.unwrap(ref(guest), sealed.decode())
            except SealBroken:
                continue
            found += 1
    return found


def backed_up(everything: World, *arguments: str) -> tuple[int, str]:
    return ended(started(everything, "shared.ops", "backup", *arguments))


def vault_lost(everything: World) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=everything.stack.bootstrap)) as admin:
        admin.delete_topics([VAULT_TOPIC])
        until(lambda: VAULT_TOPIC not in admin.list_topics(), "the topic to be gone")
    assert VAULT_TOPIC in topics.create(everything.stack.bootstrap)


def start_all(everything: World) -> Mapping[str, object]:
    also = b64encode(WRAPPING).decode()
    running = {owner: everything.start(owner, wrapping_key_also=also) for owner in SERVICES}
    for service in running.values():
        service.wait_ready()
    return running


def given(everything: World, guest: str, key: str) -> httpx.Response:
    wish = {"complaint_id": complaint_id(guest), "item": "dinner-for-two", "reason": "food"}
    with everything.phone("compensation") as phone:
        return phone.post("/v1/checks", json=wish, headers={"Idempotency-Key": key})


def test_a_lost_vault_topic_is_restored_and_words_are_readable_and_nobody_who_was_erased_comes_back(
    tmp_path,
):
    """INV-06, INV-07: then the store is lost as well, and everything is made again from the restored topic."""
    backups = str(tmp_path / "backups")
    with world(tmp_path) as everything:
        start_all(everything)
        for guest in (STAYS, ERASED):
            complains(everything, guest)
        first = given(everything, STAYS, "k1")
        assert first.status_code == 201, first.text
        everything.settle_down(*SERVICES)
        code, output = backed_up(everything, "take", backups)
        assert (code, "taken" in output) == (0, True), output
        complains(everything, LATER)
        erase = ("services.complaints", "customer", "erase", ref(ERASED), "--yes")
        assert ended(started(everything, *erase))[0] == 0
        everything.settle_down(*SERVICES)
        before = states(everything)

        code, output = backed_up(everything, "restore", backups, VAULT_TOPIC)
        assert (code, "stop all services first" in output) == (1, True), output
        everything.services.stop()
        vault_lost(everything)
        code, output = backed_up(everything, "restore", backups, VAULT_TOPIC)
        assert (code, "Now start the services" in output) == (0, True), output
        assert [on_the_vault(everything, one) > 0 for one in (STAYS, ERASED, LATER)] == [
            True, False, False,
        ]  # fmt: skip

        start_all(everything)
        after = states(everything)
        for owner in WITH_CUSTOMERS:
            assert after[owner].documents == before[owner].documents, owner
            assert after[owner].accounts == before[owner].accounts, owner
        complains(everything, "afterwards")
        for guest in (STAYS, LATER, "afterwards"):
            assert words(everything, guest) == f"The soup was cold, says {guest}."
        # The stores have the keys that the backup has not; wrapping them anew puts them on the topic.
        wrapping = b64encode(WRAPPING).decode()
        rewrap = ("services.complaints", "customer", "rewrap")
        code, output = ended(
            started(everything, *rewrap, wrapping_key=wrapping, wrapping_key_also="derived")
        )
        assert code == 0, output
        everything.settle_down(*SERVICES)
        assert on_the_vault(everything, LATER) > 0

        everything.services.stop()
        with closing(Redis.from_url(everything.stack.redis_url)) as redis:
            redis.flushall()
        made_again(everything)
        start_all(everything)
        exact(everything)
        for guest in (STAYS, LATER, "afterwards"):
            assert words(everything, guest) == f"The soup was cold, says {guest}."
        assert (words(everything, ERASED), on_the_vault(everything, ERASED)) == (None, 0)
        again = given(everything, STAYS, "k1")
        assert (again.status_code, again.content) == (first.status_code, first.content)

        contact = {"email": f"{ERASED}@guests.example"}
        everything.publish([complaint("returns", at=datetime.now(UTC), contact=contact)])
        everything.settle_down(*SERVICES)
        facts = auditor.facts(everything.read(ComplaintReceived.TOPIC))
        refs = {one["customer_ref"] for one in auditor.of(facts, ComplaintReceived.TYPE)}
        assert {ref(ERASED), VAULT.pseudonyms.again(ref(ERASED))} <= refs
