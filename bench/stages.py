"""Where the CPU time goes: the same inputs through more and more parts of the product, in this process.

Each figure is the CPU time of one more part, in microseconds per request or event: first the rules over
a store in memory, then the client of the real store. What the services spent beyond that in a measured
turn is the rest; Redis, Kafka and the load client are stages of their own, as the turn measured them.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from secrets import token_hex

from bench import world
from bench.bare import Loop
from bench.report import ALL, Comparison
from devstack.processes import master_key
from devstack.stack import Stack
from services.compensation.app import DOMAIN as COMPENSATION
from services.compensation.cases.rules import Case
from services.compensation.checks.codes import codes_of
from services.compensation.checks.handlers import Checks, IssueCheck
from services.compensation.staff_context import ContextLoader, staff_keys
from services.complaints.app import DOMAIN as COMPLAINTS
from services.complaints.asking.handlers import Touchpoints
from services.complaints.customer.handlers import Customers
from services.complaints.customer.profiles import Profiles
from services.complaints.intake.handlers import Intake
from services.complaints.lifecycle.handlers import Lifecycle
from services.complaints.stream import inboxes
from services.complaints.triage.handlers import Triage
from services.complaints.triage.languages import Languages
from services.complaints.triage.lexicon import load
from shared.contracts.catalogue import BACKUP_RETENTION
from shared.contracts.intake import ComplaintRaised
from shared.kernel import Decision, Domain, Fact
from shared.runtime.engine.crash import nowhere
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.relay import LINES_MAX
from shared.runtime.engine.settle import Request, Settler
from shared.runtime.engine.store import Store
from shared.runtime.engine.transaction import Transaction
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.kafka.inbox import Inbox, Record
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.links import MINE, Tokens
from shared.runtime.privacy.seal import Vault
from shared.runtime.service import utc_now
from shared.testing.memory_store import MemoryStore

AT_ONCE = 64
BATCH = 1000
#: The store in memory has no relay, so its outbox is emptied here.
OUTBOX_MAX = 10**9


def vault() -> Vault:
    """The vault of the local master key."""
    return Vault(b64decode(master_key(world.RUN)))


@asynccontextmanager
async def stored(stack: Stack | None) -> AsyncIterator[Store]:
    """A store of our own: in the Redis of a stack, or else in memory."""
    if stack is None:
        memory = MemoryStore(OUTBOX_MAX)
        await memory.begin_generation("bench", 0)
        yield memory
        return
    store = RedisStore(stack.redis_url, f"bench-{token_hex(4)}")
    try:
        await store.begin_generation("bench", 0)
        yield store
    finally:
        await store.close()


async def _nothing(_prefix: str) -> Sequence[tuple[str, bytes]]:
    return ()


async def _never_gone(_moment: datetime) -> bool:
    return False


async def known(store: Store, domain: Domain, facts: Sequence[Fact]) -> Settler:
    """A settler over a store that has folded the facts."""
    for first in range(0, len(facts), BATCH):
        transaction = Transaction(store, domain, datetime.now(UTC))
        batch = facts[first : first + BATCH]
        await transaction.read_for(*batch)
        for fact in batch:
            transaction.fold(fact)
        await store.commit(transaction.commit())
    one = vault()
    return Settler(
        store,
        domain,
        now=utc_now,
        pseudonyms=one.pseudonyms,
        seal_dead=one.seal_dead,
        crash=nowhere,
    )


def giver(
    settler: Settler, scene: world.Scene, serial: Iterator[int], name: str
) -> Callable[[int], Awaitable[None]]:
    """A function that settles the scene's next request at each call, with its own key, as a route would."""
    giving = Checks(ContextLoader(Keys(vault())), codes_of(vault()), vault())

    async def give(_: int) -> None:
        number = next(serial)
        command = IssueCheck(
            complaint_id=scene.complaint(number), item=world.ITEM, reason=world.REASON
        )
        who = Principal(scene.employee(number), Kind.EMPLOYEE, scene.site(number))

        async def decide(view: View, name: str) -> Decision:
            return await giving.issue_check(command, who, name, view)

        request = Request(f"{who.kind}/{who.subject}", "checks", f"{name}-{number}", "0" * 64)
        reads = (*staff_keys(who), Case.key(command.complaint_id or ""))
        await settler.settle_request(request, decide, reads)

    return give


async def timed(work: Callable[[int], Awaitable[None]], count: int, at_once: int) -> float:
    """Microseconds of this process's CPU per unit, `at_once` of them in flight."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (time.process_time() - began) / count * 1e6


async def drained(store: Store, settle: Callable[[int], Awaitable[None]], count: int) -> float:
    """Microseconds of CPU per event, batch by batch, the outbox emptied between them and not timed."""
    spent = 0.0
    for first in range(0, count, BATCH):
        began = time.process_time()
        await settle(first)
        spent += time.process_time() - began
        await store.lease("relay", "bench", 60_000)
        while (await store.pending(1))[1]:
            start, lines = await store.pending(LINES_MAX)
            await store.trim("bench", start + len(lines) - 1)
    return spent / count * 1e6


async def decision(stack: Stack, scene: world.Scene, measured: Comparison) -> dict[str, float]:
    """Stages of one request to give a check; each complaint gets one check."""
    facts, found = world.facts_of([scene]), []
    for where in (None, stack):
        async with stored(where) as store:
            settler = await known(store, COMPENSATION, facts)
            give = giver(settler, scene, itertools.count(), "stages")
            await timed(give, scene.employees, AT_ONCE)
            found.append(await timed(give, scene.complaints - scene.employees, AT_ONCE))
    rules, with_store = found
    stages = {
        "rules, sealing, facts and documents": rules,
        "store client": with_store - rules,
    }
    noop = measured.cpu_us(1).get("service")
    if noop is not None:
        stages = {"HTTP, token and validation: the no-op route": noop, **stages}
    return _in_all(stages, "answer, middlewares, announcement, relay", measured)


def _in_all(stages: Mapping[str, float], rest: str, measured: Comparison) -> dict[str, float]:
    """Stages of the service, what it spent besides, and the other processes as measured."""
    cpu_us = measured.cpu_us(0)
    if "service" not in cpu_us:
        return dict(stages)
    others = {name: us for name, us in cpu_us.items() if name not in ("service", ALL)}
    return {
        **stages,
        rest: cpu_us["service"] - sum(stages.values()),
        "the service in all": cpu_us["service"],
        **others,
        ALL: cpu_us[ALL],
    }


async def pipeline(
    stack: Stack, scene: world.Scene, count: int, measured: Comparison
) -> dict[str, float]:
    """Stages of one complaint from the intake."""
    events = world.raised_events(count + BATCH, token_hex(4))
    records = [Record(offset, event) for offset, event in enumerate(events)]
    loop = Loop(world.roomy_policy())
    for record in records[:BATCH]:
        loop.triage(record)
    began = time.process_time()
    for record in records[BATCH:]:
        loop.triage(record)
    triage = (time.process_time() - began) / count * 1e6
    found = []
    read = Triage(Languages(), load())
    for where in (None, stack):
        async with stored(where) as store:
            settler = await known(store, COMPLAINTS, [*scene.policies()])
            profiles = Profiles(vault())
            intake = Intake(vault(), read, profiles)
            mine = Tokens(vault().derive(MINE), MINE, utc_now)
            inbox = next(
                one
                for one in inboxes(
                    intake,
                    Lifecycle(vault(), read),
                    Customers(settler, vault(), _never_gone, _nothing, BACKUP_RETENTION),
                    profiles,
                    Touchpoints(
                        vault(), read, profiles, intake, mine, lambda _name, _at: "", utc_now
                    ),
                )
                if one.topic == ComplaintRaised.TOPIC
            )
            await settler.settle_records(inbox, 0, records[:BATCH])

            async def settle(first: int, settler: Settler = settler, inbox: Inbox = inbox) -> None:
                batch = records[BATCH + first : BATCH + first + BATCH]
                await settler.settle_records(inbox, 0, batch)

            found.append(await drained(store, settle, count))
    rules, with_store = found
    stages = {
        "parse, triage, one fact": triage,
        "keys, sealing, two more facts, documents, fence": rules - triage,
        "store client": with_store - rules,
    }
    return _in_all(stages, "fetch, Faust, relay, our own vault facts", measured)
