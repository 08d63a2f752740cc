"""Redis is wiped under traffic, and the state is made again from the topics alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic_core import from_json
from redis import Redis

from devstack.stack import ROOT
from services.audit.app import DOMAIN as AUDIT
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.catalogue import SERVICES
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.intake import TouchpointPassed
from tests.system import auditor
from tests.system.replay import VERSION_DIGITS, Json, stored
from tests.system.traffic import Publisher, Remembering, asked_again, flowing, published
from tests.system.world import EMPLOYEES, PATIENCE_S, SITE, World, event_of, until, world

SEED = 20261127
#: Between two wishes, and between two bursts: a rebuild takes its time, and all of them are settled at last.
WISH_PAUSE_S, BURST_PAUSE_S = 0.15, 1.5
DOMAINS = (COMPLAINTS, COMPENSATION, NOTIFIER, AUDIT)
#: What these read leaves a trace, so that a rebuild knows what of it was lost.
READ_AGAIN = ("complaints", "audit")
#: Documents of a guest who was asked and chose a language, which do not change any more; and those of whoever
#: complains, and of the incident that it becomes.
OF_GUEST = ("touchpoint-asked", "last-asked", "chosen-language")
OF_TRAFFIC = ("site-customer", "standing-incident")


def rebuild(everything: World, owner: str, *options: str) -> subprocess.Popen[str]:
    """The command as an operator gives it."""
    return subprocess.Popen(
        [sys.executable, "-m", "shared.ops", "rebuild", owner, *options],
        cwd=ROOT,
        env={**os.environ, **everything.services.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(command: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = command.communicate(timeout=PATIENCE_S)
    return command.returncode, output


def ready(everything: World, owner: str) -> int:
    try:
        return httpx.get(f"{everything.url(owner)}/ready", timeout=10.0).status_code
    except httpx.TransportError:
        return 0


def made_again(everything: World, redis: Redis) -> None:
    """Rebuild every service, one of them a second time after its first rebuild was killed."""
    killed = rebuild(everything, "compensation")
    until(lambda: redis.exists("compensation:{c0}:rebuilding"), "a rebuild to begin")
    killed.kill()
    done(killed)
    assert ready(everything, "compensation") == 503
    assert redis.get("compensation:{c0}:generation") is None
    # Half a minute passes.
    redis.delete("compensation:{c0}:lease:rebuild")
    for owner in SERVICES:
        assert redis.get(f"{owner}:{{c0}}:generation") is None
        status, output = done(rebuild(everything, owner))
        assert (status, "goes on from sequence" in output) == (0, True), output


def asked_and_chose(everything: World, redis: Redis) -> None:
    """A guest is asked how dinner was and says which language they read; all of it is on the topics."""
    dinner = {
        "site": SITE,
        "touchpoint": "dinner-served",
        # So long ago that they are asked at once.
        "passed_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        "customer": "guest-asked",
        "contact": {"email": "guest-asked@guests.example"},
    }
    everything.publish([event_of(TouchpointPassed, "dinner-1", "/restaurant", dinner)])
    until(lambda: kept(redis, "touchpoint-asked"), "a question")
    (question,) = kept(redis, "touchpoint-asked").values()
    with everything.phone("notifier") as phone:
        until(
            lambda: (
                phone.put(
                    f"/v1/preferences/{question['customer_ref']}",
                    json={"tells": "everything", "language": "sv"},
                    headers={"If-Match": "*", "Idempotency-Key": "language"},
                ).is_success
            ),
            "a language to be chosen",
        )


def kept(redis: Redis, *kinds: str) -> dict[str, Json]:
    """The documents of these kinds in all stores, by their keys."""
    found: dict[str, Json] = {}
    for kind in kinds:
        for key in redis.scan_iter(match=f"*:{{c0}}:{kind}:*", count=5000):
            value: Any = redis.get(key)
            found[key.decode()] = from_json(value[VERSION_DIGITS:])
    return found


def test_a_redis_that_lost_everything_under_traffic_is_made_again_and_the_traffic_goes_on(tmp_path):
    """INV-02, INV-06: 503 until then; afterwards the same accounts, and first answers again."""
    with (
        world(tmp_path) as everything,
        closing(Redis.from_url(everything.stack.redis_url)) as redis,
    ):
        # An answer waits for Kafka as long as a slow machine needs: those that did are asked for again.
        services = {owner: everything.start(owner, publish_wait_ms="3000") for owner in SERVICES}
        for service in services.values():
            service.wait_ready()
        stop = threading.Event()
        publisher = Publisher(everything, stop, random.Random(SEED), pause_s=BURST_PAUSE_S)
        publisher.burst()
        phones = [
            Remembering(
                everything,
                employee,
                publisher,
                stop,
                random.Random(SEED),
                employee,
                pause_s=WISH_PAUSE_S,
            )
            for employee in EMPLOYEES[:3]
        ]
        asked_and_chose(everything, redis)
        with flowing(stop, [publisher, *phones]):
            until(lambda: all(len(published(phone)) > 12 for phone in phones), "traffic")
            for kind in (*OF_GUEST, *OF_TRAFFIC):
                until(lambda kind=kind: kept(redis, kind), kind)
            of_guest, of_traffic = kept(redis, *OF_GUEST), kept(redis, *OF_TRAFFIC)
            redis.flushall()
            for owner in SERVICES:
                until(lambda owner=owner: ready(everything, owner) == 503, f"{owner} to see it")
            # Who was told that their check is not published yet knew that it could be lost.
            before = {phone.employee: published(phone) for phone in phones}

            # What was told and lost with the outbox is read again, by a process that starts; one that
            # had settled it would end, and nobody here starts it anew.
            for owner in READ_AGAIN:
                services[owner].stop()
            made_again(everything, redis)
            services |= {owner: everything.start(owner) for owner in READ_AGAIN}
            for owner in SERVICES:
                until(lambda owner=owner: ready(everything, owner) == 200, f"{owner} to serve")
            status, output = done(rebuild(everything, "compensation"))
            assert (status, "nothing to rebuild" in output) == (1, True), output
            after = {phone.employee: len(phone.answers) for phone in phones}
            until(
                lambda: all(len(phone.answers) > after[phone.employee] + 10 for phone in phones),
                "traffic again",
            )
        for owner in ("compensation", "notifier"):
            assert services[owner].process.poll() is None, f"{owner} ended by itself"

        everything.time_passes("notifier")
        reads = auditor.exact(everything, *DOMAINS)
        facts = auditor.facts(reads)
        assert kept(redis, *OF_GUEST) == of_guest
        assert of_traffic.keys() <= kept(redis, *OF_TRAFFIC).keys()
        assert auditor.out_of_order(reads) == []
        assert auditor.not_settled_once(reads) == []
        issued = Counter(one["check_id"] for one in auditor.of(facts, CheckIssued.TYPE))
        assert set(issued.values()) == {1}
        assert len(auditor.of(facts, ComplaintReceived.TYPE)) == len(publisher.ids)

        accounts = stored(everything.stack.redis_url, "compensation").accounts
        assert auditor.authority_in(accounts) == auditor.debits(facts)

        assert asked_again(everything, phones, before) > 30
