"""What holds however deliveries are cut, repeated, reordered and interleaved."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from services.compensation.app import DOMAIN
from services.compensation.authority.rules import scope_of
from services.compensation.checks.codes import codes_of
from services.compensation.checks.handlers import Checks, IssueCheck
from services.compensation.options.rules import ALTERNATIVES_MAX
from services.compensation.staff_context import ContextLoader
from shared.contracts.compensation import CheckIssued, CheckRefused, Scope
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed
from shared.contracts.vault import CustomerKeyCreated
from shared.runtime.engine.settle import Request, Settler
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.policies import POLICY_INBOX
from shared.runtime.privacy.keys import VAULT_INBOX, Keys
from shared.runtime.privacy.seal import Vault
from shared.testing.builders import outbox, record
from shared.testing.clock import START, Clock
from shared.testing.memory_store import MemoryStore
from tests.suites.services import MASTER, SITE, YieldingStore, demo_policy, demo_roster, state
from tests.suites.tally import INBOX, Heard, settler

VAULT = Vault(MASTER)
OPTIONS = [option.item for option in demo_policy().options()]
EMPLOYEES = sorted(demo_roster().employees)
WRAPPED = {ref: VAULT.new_key(ref)[1] for ref in ("c-0", "c-1")}
#: Low enough that a dozen checks meet every shared ceiling.
TIGHT = Policy.model_validate(
    {
        **demo_policy().model_dump(mode="json"),
        "authority": {**demo_policy().authority.model_dump(mode="json"), "stretch": None},
        "limits": {
            "customer": {"per_stay": 1500_00},
            "complaint": {"total": 1200_00},
            "site": {"per_day": 2000_00},
        },
    }
)
CEILINGS = {
    Scope.CUSTOMER_STAY: 1500_00,
    Scope.CUSTOMER_CHECKS: 20,
    Scope.COMPLAINT: 1200_00,
    Scope.SITE_DAY: 2000_00,
}
scripts = st.lists(st.integers(0, 4), min_size=1, max_size=12)
wishes = st.lists(
    st.tuples(
        st.sampled_from(OPTIONS), st.sampled_from(EMPLOYEES), st.integers(0, 2), st.integers(0, 15)
    ),
    min_size=1,
    max_size=14,
)


async def counter() -> MemoryStore:
    """Compensation's store with a policy, two customers and three complaints."""
    store = MemoryStore()
    await store.begin_generation("first", 0)
    one = settler_of(store)
    facts = [
        PolicyPublished(site=SITE, version=1, policy=TIGHT),
        *(CustomerKeyCreated(customer_ref=ref, wrapped=key) for ref, key in WRAPPED.items()),
        *(
            ComplaintTriaged(
                complaint_id=f"co-{n}",
                customer_ref=f"c-{n % 2}",
                site=SITE,
                language="en",
                category="food",
                severity="severe",
                safety=False,
                promised_by=START + timedelta(hours=1),
                policy_version=1,
                has_contact=True,
            )
            for n in range(3)
        ),
        *(
            EmployeeListed(employee_id=name, site=SITE, listing=listing, listed_at=START)
            for name, listing in demo_roster().employees.items()
        ),
    ]
    known = Inbox(ComplaintTriaged.TOPIC, [Handler(ComplaintTriaged)])
    crew = Inbox(EmployeeListed.TOPIC, [Handler(EmployeeListed)])
    for inbox in (POLICY_INBOX, VAULT_INBOX, known, crew):
        records = [record(f, n) for n, f in enumerate(facts) if f.TOPIC == inbox.topic]
        await one.settle_records(inbox, 0, records)
    return store


def settler_of(store: MemoryStore) -> Settler:
    return Settler(
        store,
        DOMAIN,
        now=Clock(),
        pseudonyms=VAULT.pseudonyms,
        seal_dead=VAULT.seal_dead,
        crash=lambda _: None,
    )


async def ask(store: MemoryStore, item: str, employee: str, complaint: int, key: int):
    """One process of its own: nothing shared with the others but the store."""
    giving = Checks(ContextLoader(Keys(VAULT)), codes_of(VAULT), VAULT)
    command = IssueCheck(complaint_id=f"co-{complaint}", item=item, reason="food", again=True)
    principal = Principal(employee, Kind.EMPLOYEE, SITE)
    request = Request(f"employee/{employee}", "checks", f"{key}", f"{item}/{complaint}")
    return await settler_of(store).settle_request(
        request,
        lambda view, name: giving.issue_check(command, principal, name, view),
    )


@settings(max_examples=60)
@given(wishes=wishes, script=scripts)
def test_no_interleaving_of_requests_takes_an_account_above_its_ceiling(wishes, script):
    """INV-01, INV-02: exactly the issued checks are debited, each once, at every prefix."""

    async def run() -> None:
        store = await counter()
        before = len(await outbox(store))
        jobs = [
            ask(YieldingStore(store, script[n % len(script) :]), *wish)
            for n, wish in enumerate(wishes)
        ]
        ends = await asyncio.gather(*jobs, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, BaseException)]
        # The only fault there may be: one key under two wishes.
        assert {str(one) for one in refused} <= {Reason.IDEMPOTENCY_KEY_REUSED.value}
        balances: Counter[str] = Counter()
        checks: Counter[str] = Counter()
        for line in (await outbox(store))[before:]:
            event = from_json(line.value)
            if event["type"] != CheckIssued.TYPE:
                continue
            issued = CheckIssued.model_validate(event["data"])
            checks[issued.check_id] += 1
            for account, amount in issued.debits.items():
                balances[account] += amount
                authority = TIGHT.authority_of(demo_roster().employees[issued.employee_id].role)
                own = {
                    Scope.EMPLOYEE_SHIFT: authority.per_shift,
                    Scope.EMPLOYEE_DAY: authority.per_day,
                    Scope.EMPLOYEE_WEEK: authority.per_week,
                }
                scope = scope_of(account)
                assert 0 <= balances[account] <= (CEILINGS.get(scope) or own[scope])
        assert set(checks.values()) <= {1}
        kept = store.kept.accounts.items()
        assert +balances == Counter({a: n for a, n in kept if n and not a.startswith("tally/")})

    asyncio.run(run())


@settings(max_examples=25)
@given(wishes=wishes)
def test_a_refused_wish_always_carries_alternatives_and_each_of_them_is_then_given(wishes):
    async def run() -> None:
        store = await counter()
        for n, (item, employee, complaint, _) in enumerate(wishes):
            settled = await ask(store, item, employee, complaint, n)
            if not isinstance(settled.fact, CheckRefused):
                continue
            assert 1 <= len(settled.fact.alternatives) <= ALTERNATIVES_MAX
            for m, option in enumerate(settled.fact.alternatives):
                copy = MemoryStore()
                await copy.begin_generation("first", 0)
                copy.kept.documents = dict(store.kept.documents)
                copy.kept.accounts = dict(store.kept.accounts)
                given = await ask(copy, option.item, employee, complaint, 1000 * n + m)
                assert isinstance(given.fact, CheckIssued)

    asyncio.run(run())


names = st.sampled_from("abc")
does = st.sampled_from(["count"] * 5 + ["reject", "fail"])
heard = st.lists(st.tuples(names, does), min_size=1, max_size=25)


async def settled(records, cuts: list[int]) -> MemoryStore:
    store = MemoryStore()
    await store.begin_generation("first", 0)
    edges = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
    for start, stop in pairwise(edges):
        if stop > start:
            await settler(store).settle_records(INBOX, 0, records[start:stop])
    return store


@settings(max_examples=80)
@given(heard=heard, cuts=st.lists(st.integers(0, 100), max_size=6))
def test_wherever_batches_are_cut_the_end_is_the_same(heard, cuts):
    """INV-06: also the lines, and where the fence stands."""
    records = [record(Heard(name=name, do=do), n) for n, (name, do) in enumerate(heard)]

    async def run() -> None:
        whole = await settled(records, [])
        cut = await settled(records, cuts)
        assert state(cut) == state(whole)
        assert await outbox(cut) == await outbox(whole)

    asyncio.run(run())


@settings(max_examples=80)
@given(heard=heard, again=st.lists(st.integers(0, 100), max_size=10), seed=st.integers(0, 2**16))
def test_repeats_by_a_relay_and_another_order_across_keys_end_the_same(heard, again, seed):
    """INV-02, INV-06: at least once is as good as once."""
    numbered = [(name, do, n + 1) for n, (name, do) in enumerate(heard) if do == "count"]

    async def run() -> None:
        plain = [
            record(Heard(name=name, do=do), n, f"e-{number}", sequence=f"{number:020}")
            for n, (name, do, number) in enumerate(numbered)
        ]
        # A relay that died sends again what it had not trimmed: a stretch, in its order.
        repeated = list(numbered)
        for at in again:
            start = at % (len(repeated) + 1)
            repeated[start:start] = repeated[max(0, start - 5) : start]
        with_repeats = [
            record(Heard(name=name, do=do), n, f"e-{number}", sequence=f"{number:020}")
            for n, (name, do, number) in enumerate(repeated)
        ]
        # Other partitions run ahead or behind: any order that keeps each key's own.
        order = random.Random(seed)
        queues = {key: [one for one in numbered if one[0] == key] for key in "abc"}
        shuffled = []
        while any(queues.values()):
            shuffled.append(queues[order.choice([k for k, q in queues.items() if q])].pop(0))
        reordered = [
            record(Heard(name=name, do=do), n, f"e-{number}")
            for n, (name, do, number) in enumerate(shuffled)
        ]
        ends = [
            state(await settled(one, [3, 7]), fences=False)
            for one in (plain, with_repeats, reordered)
        ]
        assert ends[0] == ends[1] == ends[2]

    asyncio.run(run())
