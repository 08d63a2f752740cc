"""Ten thousand promises whose time comes within one minute are each told of once, also where the service is killed meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from redis import Redis

from services.complaints.app import DOMAIN
from shared.contracts.complaints import (
    Category,
    ComplaintOverdue,
    ComplaintReceived,
    ComplaintTriaged,
    Language,
    Severity,
)
from shared.contracts.intake import Channel
from shared.kernel import Decision
from shared.runtime.engine.crash import nowhere
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.privacy.seal import Vault
from tests.system import auditor
from tests.system.world import MASTER, SITE, World, until, world

pytestmark = pytest.mark.integration

PROMISES = 10_000
WITHIN = timedelta(minutes=1)
#: Promises that are written at once; the store groups them.
AT_ONCE = 500
#: The service is killed when so many are left.
KILLED_AT = 5_000
#: Bound of the whole, on a machine with much other load; each start waits half a minute for news of other services.
BOUND_S = 300.0


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("many")) as started:
        if not started.stack.can_be_killed:
            pytest.skip("needs an Apache Kafka and a Redis of its own")
        yield started


def promised(complaint_id: str, by: datetime, now: datetime) -> Decision:
    """A complaint that was received and promised an answer."""
    return Decision.of(
        ComplaintReceived(
            complaint_id=complaint_id,
            customer_ref=f"cu-{complaint_id}",
            site=SITE,
            channel=Channel.PARTNER,
            language=Language.EN,
            text="v1.x",
            received_at=now,
        ),
        ComplaintTriaged(
            complaint_id=complaint_id,
            customer_ref=f"cu-{complaint_id}",
            site=SITE,
            language=Language.EN,
            category=Category.FOOD,
            severity=Severity.MILD,
            safety=False,
            promised_by=by,
            policy_version=1,
            has_contact=False,
        ),
    )


async def promise(redis_url: str, first: datetime) -> None:
    """Write all promises into the store, due one after the other within a minute from `first` on."""
    store = RedisStore(redis_url, "complaints", schemas=DOMAIN.schemas)
    await store.open()
    try:
        await store.begin_generation("first", 0)
        vault = Vault(MASTER)
        settler = Settler(
            store,
            DOMAIN,
            now=lambda: datetime.now(UTC),
            pseudonyms=vault.pseudonyms,
            seal_dead=vault.seal_dead,
            crash=nowhere,
        )

        async def decide(number: int, view: View) -> Decision:
            by = first + number * (WITHIN / PROMISES)
            return promised(f"co-{number:05}", by, view.now)

        for start in range(0, PROMISES, AT_ONCE):
            await asyncio.gather(
                *(
                    settler.settle_internal(
                        f"command/promise/{number}", f"co-{number:05}", partial(decide, number)
                    )
                    for number in range(start, start + AT_ONCE)
                )
            )
    finally:
        await store.close()


def left(everything: World) -> int:
    """How many promises wait for their time, or to be told of."""
    with closing(Redis.from_url(everything.stack.redis_url)) as store:
        timers: Any = store.zrange("complaints:{c0}:timers", 0, -1)
    return sum(member.startswith(b"overdue|") for member in timers)


def are_left(everything: World, most: int) -> bool:
    """Whether at most so many promises are left."""
    return left(everything) <= most


def test_ten_thousand_promises_due_in_one_minute_are_told_of_once_each_over_kills(
    everything: World,
) -> None:
    """INV-06, INV-08: the commit that tells of a promise clears its timer, and nothing else does."""
    began = time.monotonic()
    # The minute is over: whoever starts late finds all of them due.
    asyncio.run(promise(everything.stack.redis_url, datetime.now(UTC) - WITHIN))
    assert left(everything) == PROMISES
    for most in (KILLED_AT, 0):
        service = everything.start("complaints", holder="complaints-0")
        service.wait_ready()
        until(partial(are_left, everything, most), f"{most} promises left", BOUND_S)
        if most:
            assert left(everything) > 0, "killed in the middle, or nothing is shown"
            service.process.send_signal(signal.SIGKILL)
            service.process.wait()
    everything.settle_down("complaints")
    took_s = time.monotonic() - began
    told = auditor.of(
        auditor.facts(everything.read("recovery.complaints.v1")), ComplaintOverdue.TYPE
    )
    times = Counter((fact["complaint_id"], fact["round"]) for fact in told)
    assert times == {(f"co-{number:05}", 0): 1 for number in range(PROMISES)}
    early = [fact for fact in told if fact["overdue_at"] < fact["promised_by"]]
    assert early == []
    assert took_s < BOUND_S
