"""The first page of the queue with a thousand open complaints at a site and with a million.

Two stores, each with its own process, answer the same request; only the length of the list differs. The list is whole, and
has the documents of its first entries: of those behind them no page is asked for, and they would take gigabytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice, repeat
from statistics import median
from typing import Any

import redis
import uvloop

from bench import load, world
from bench.decision import Refused
from bench.filled import COMMIT_DOCUMENTS, SEQUENCE, database_url, emptied
from devstack.processes import Service, Services, environment
from devstack.stack import Stack
from services.complaints.app import DOMAIN
from services.complaints.lifecycle.rules import Complaint, open_at, stands
from shared.contracts.complaints import Category, Language, Severity, reference_of
from shared.contracts.lifecycle import State
from shared.contracts.roster import Employee, Listing
from shared.ops import token
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import RANGE_MAX, Commit, Committed, Write
from shared.runtime.roster import employee_key

FEW = 1_000
SITE, EMPLOYEE = "ms-queue", "e-queue"
PATH = "/v1/complaints"
#: So few at once that no request queues: the latency is service time alone.
CONNECTIONS = 4
#: Of each round, as many at both sides.
REQUESTS_MIN = 200
#: What most complaints have, sealed.
TEXT_CHARS = 800
PROMISED_FROM = datetime(2026, 6, 3, 12, tzinfo=UTC)


def measure(stack: Stack, complaints: int, *, rounds: int, seconds: float) -> dict[str, Any]:
    """p50 of the first page with few complaints and with so many, in turn, and their ratio.

    Blocks; raises Refused, NotEmpty, NotReady.
    """
    with _served(stack, 1, FEW) as few, _served(stack, 2, complaints) as many:
        p50_ms = uvloop.run(_play(few.url, many.url, rounds, seconds))
    return {
        "growth": round(median(of_many / of_few for of_few, of_many in p50_ms), 4),
        "growth_p50_ms": {
            str(FEW): round(median(of_few for of_few, _ in p50_ms), 3),
            str(complaints): round(median(of_many for _, of_many in p50_ms), 3),
        },
    }


async def _play(few: str, many: str, rounds: int, seconds: float) -> list[tuple[float, float]]:
    """p50 of each round, both sides in turn, each first in every second round."""
    now = datetime.now(UTC)
    key = token.demo_key(world.RUN)
    bearer = token.sign(key, subject=EMPLOYEE, kind="employee", site=SITE, now=now)
    request = load.get(PATH, bearer)
    count = REQUESTS_MIN
    for _ in range(2):  # the second time, code and caches are warm
        for url in (few, many):
            count = max(REQUESTS_MIN, int((await _asked(url, request, count)).rate * seconds))
    found = []
    for number in range(rounds):
        order = (few, many) if number % 2 == 0 else (many, few)
        times = {url: (await _asked(url, request, count)).quantile_ms(0.5) for url in order}
        found.append((times[few], times[many]))
    return found


async def _asked(url: str, request: bytes, count: int) -> load.Load:
    got = await load.run([url], repeat(request, count), CONNECTIONS)
    if set(got.statuses) != {200}:
        raise Refused(f"{dict(got.statuses)} {got.first_problem!r}")
    return got


@contextmanager
def _served(stack: Stack, database: int, complaints: int) -> Iterator[Service]:
    """A store with so many open complaints at the site, and complaints' API over it, for a `with` block."""
    url, shard = database_url(stack, database), f"queue{database}"
    with emptied(url):
        uvloop.run(_fill(url, shard))
        _list(url, shard, complaints)
        services = Services(world.RUN / "bench", environment(world.RUN, stack.bootstrap, url))
        try:
            service = services.start("complaints", face="api", shard=shard)
            service.wait_ready()
            yield service
        finally:
            services.stop()


async def _fill(url: str, shard: str) -> None:
    """A new state with the employee and the documents of the first complaints."""
    store = RedisStore(url, DOMAIN.owner, shard, DOMAIN.schemas)
    try:
        await store.begin_generation("bench", SEQUENCE)
        listing = Listing(role=world.ROLE)
        employee = Employee(listing=listing, listed_at=PROMISED_FROM)
        body = employee.model_dump_json(exclude_none=True).encode()
        writes = [Write(employee_key(SITE, EMPLOYEE), 0, body)]
        for number in range(RANGE_MAX):
            found = _complaint(number).model_dump_json(exclude_none=True).encode()
            writes.append(Write(Complaint.key(_name(number)), 0, found))
        outcome = await store.commit(Commit(writes))
        assert isinstance(outcome, Committed), outcome
    finally:
        await store.close()


def _list(url: str, shard: str, complaints: int) -> None:
    """Put the whole list into its sorted sets, and check that it is there.

    Not by commits: each of those drops some entries whose document it does not find.
    """
    index, whole = f"{DOMAIN.owner}:{{{shard}}}:index:", open_at(SITE)
    numbers = iter(range(complaints))
    with closing(redis.Redis.from_url(url)) as server:
        while batch := list(islice(numbers, COMMIT_DOCUMENTS)):
            entries: dict[str, dict[str, float]] = defaultdict(dict)
            for number in batch:
                for where, score in stands(_complaint(number)).items():
                    if not where.startswith("customer/"):
                        entries[where][Complaint.key(_name(number))] = score
            for where, scores in entries.items():
                server.zadd(index + where, scores)
        assert server.zcard(index + whole) == complaints


def _name(number: int) -> str:
    return f"co-{number:032x}"


def _complaint(number: int) -> Complaint:
    """The complaint of this number, which is the place where it is listed as well."""
    return Complaint(
        state=State.TRIAGED,
        customer_ref=f"c-{number:032x}",
        site=SITE,
        language=Language.EN,
        text="v1." + "x" * TEXT_CHARS,
        category=list(Category)[number % len(Category)],
        severity=Severity.SEVERE,
        promised_by=datetime.fromtimestamp(PROMISED_FROM.timestamp() + number, UTC),
        received_at=PROMISED_FROM,
        reference=reference_of(_name(number)),
    )
