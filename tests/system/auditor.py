"""Checks of what must be true of the topics, whatever happened to the processes.

Each returns its violations, one line each; an empty list means that it holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devstack.mailbox import Received
from services.compensation.authority.rules import scope_of
from shared.contracts.compensation import (
    CheckIssued,
    IncidentOpened,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    Scope,
)
from shared.contracts.complaints import ComplaintReceived, ComplaintRepeated, TouchpointAsked
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import MessageAttempted, MessageSent
from shared.contracts.policy import Policy
from shared.contracts.roster import EmployeeListed
from shared.contracts.topics import TopicRaised
from shared.kernel import Domain
from tests.system.replay import State, differences, parse, replay, stored
from tests.system.world import Read, World

Fact = dict[str, Any]


def is_dead_letter(read: Read) -> bool:
    """Whether the record lies on a dead-letter topic."""
    return read.topic.endswith(".dlq.v1")


def facts(reads: Iterable[Read]) -> list[Fact]:
    """Events on fact topics, each once: a repeat with the same id and sequence is left out."""
    seen: dict[tuple[str, str | None], Fact] = {}
    for read in reads:
        if not is_dead_letter(read) and read.topic != ComplaintRaised.TOPIC:
            event = read.event
            # The same id under another sequence is kept: its cause was applied twice.
            seen.setdefault((event["id"], event.get("sequence")), event)
    return list(seen.values())


def of(events: Iterable[Fact], fact_type: str) -> list[dict[str, Any]]:
    """The data of one type of fact."""
    return [event["data"] for event in events if event["type"] == fact_type]


def dead_letters(reads: Iterable[Read], owner: str) -> dict[str, dict[str, str]]:
    """Headers of a service's dead letters by the position of their record, each once."""
    return {
        (read.key or b"").decode(): {name: value.decode() for name, value in read.headers}
        for read in reads
        if read.topic == f"recovery.{owner}.dlq.v1"
    }


def out_of_order(reads: Iterable[Read]) -> list[str]:
    """INV-08: per partition and owner, first appearances ascend; a repeat repeats exactly."""
    wrong: list[str] = []
    last: dict[tuple[str, int, str], int] = {}
    first: dict[tuple[str, str], bytes] = {}
    for read in reads:
        if is_dead_letter(read) or read.topic == ComplaintRaised.TOPIC:
            continue
        event = read.event
        if "sequence" not in event:
            continue
        place = (read.topic, read.partition, event["source"])
        number = int(event["sequence"])
        before = first.setdefault((event["source"], event["sequence"]), read.value)
        if before != read.value:
            wrong.append(f"{place}: sequence {number} names two facts")
        elif before is not read.value:
            continue
        if number <= last.get(place, 0):
            wrong.append(f"{place}: {number} after {last[place]}")
        last[place] = max(number, last.get(place, 0))
    ids = Counter(event["id"] for event in facts(reads))
    return wrong + [f"{name} is applied {count} times" for name, count in ids.items() if count > 1]


def not_settled_once(reads: Sequence[Read]) -> list[str]:
    """Records of the intake that did not lead to exactly one of received, repeated, asked or dead letter, in order."""
    wrong: list[str] = []
    fates: Counter[str] = Counter()
    order: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in facts(reads):
        if event["type"] in (ComplaintReceived.TYPE, ComplaintRepeated.TYPE, TouchpointAsked.TYPE):
            topic, *place = event["cause"].split("/")
            if topic == ComplaintRaised.TOPIC:
                partition, offset, _ = place
                fates[f"{topic}/{partition}/{offset}"] += 1
                order[partition].append((int(event["sequence"]), int(offset)))
    fates.update(
        place
        for place in dead_letters(reads, "complaints")
        if place.startswith(f"{ComplaintRaised.TOPIC}/")
    )
    published = {
        f"{read.topic}/{read.partition}/{read.offset}"
        for read in reads
        if read.topic == ComplaintRaised.TOPIC
    }
    wrong += [f"{place} is lost" for place in published - fates.keys()]
    wrong += [f"{place} comes from nowhere" for place in fates.keys() - published]
    wrong += [f"{place} has {count} fates" for place, count in fates.items() if count > 1]
    for partition, found in order.items():
        offsets = [offset for _, offset in sorted(found)]
        if offsets != sorted(offsets):
            wrong.append(f"partition {partition} of the intake was settled out of order")
    return wrong


def movements(event: Fact) -> list[tuple[Scope, str, int]]:
    """The postings of a fact to accounts of authority: (scope, account, amount in minor units)."""
    data, kind = event["data"], event["type"]
    given = [(scope_of(one), one, amount) for one, amount in data.get("debits", {}).items()]
    held = [(scope_of(one), one, amount) for one, amount in data.get("held", {}).items()]
    back = [(scope_of(one), one, -amount) for one, amount in data.get("credits", {}).items()]
    offers = (OfferMade.TYPE, OfferChosen.TYPE, OfferLapsed.TYPE)
    shown = [(scope, f"held/{account}", n) for scope, account, n in held + back]
    return given + held + back + (shown if kind in offers else [])


def over_ceiling(events: Iterable[Fact], policy: Policy) -> list[str]:
    """INV-01: balances from facts, at every prefix, against the policy's ceilings.

    A balance may be above an employee's own ceiling only if the fact says stretched, and only by the band.
    """
    wrong: list[str] = []
    balances: Counter[str] = Counter()
    known = sorted(events, key=lambda event: int(event.get("sequence") or 0))
    listed = {one["employee_id"]: one["listing"]["role"] for one in of(known, EmployeeListed.TYPE)}
    budgets = {one["incident_id"]: one["budget_minor"] for one in of(known, IncidentOpened.TYPE)}
    for event in known:
        moved = movements(event)
        for _, account, amount in moved:
            balances[account] += amount
            if balances[account] < 0:
                wrong.append(f"{account} is below zero")
        if event["type"] == CheckIssued.TYPE and not event["data"].get("offer_id"):
            check = CheckIssued.model_validate(event["data"])
            ceilings = ceilings_of(check, policy, listed.get(check.employee_id, ""), budgets)
            if check.cost_minor and not check.incident_id:
                missing = {str(scope) for scope in ALWAYS} - {scope for scope, _, _ in moved}
                wrong += [f"{check.check_id} is not charged to {scope}" for scope in missing]
            for scope, account, amount in moved:
                if amount != (1 if scope in COUNTED else check.cost_minor):
                    wrong.append(f"{check.check_id} is charged another amount than its cost")
                if balances[account] > ceilings[Scope(scope)]:
                    wrong.append(f"{account} holds {balances[account]} at {check.check_id}")
            if check.cost_minor > ceilings[Scope.CHECK]:
                wrong.append(f"{check.check_id} is above one check's authority")
    return wrong


#: Scopes that every check with a cost is charged to under any policy.
ALWAYS = (
    Scope.EMPLOYEE_DAY,
    Scope.CUSTOMER_STAY,
    Scope.CUSTOMER_CHECKS,
    Scope.COMPLAINT,
    Scope.SITE_DAY,
)
COUNTED = (Scope.CUSTOMER_CHECKS, Scope.STRETCH)
#: A look takes seconds, and audit signs once a minute: two in a row it spoils seldom, three never.
LOOKS = 3


def ceilings_of(
    check: CheckIssued, policy: Policy, role: str, budgets: Mapping[str, int]
) -> dict[Scope, int]:
    """The ceiling of each scope for this check."""
    authority, stretch, limits = policy.authority_of(role), policy.authority.stretch, policy.limits
    percent = 100 + (stretch.percent if stretch and check.explain_by else 0)
    budget = budgets.get(check.incident_id or "", 0)
    own = {
        Scope.CHECK: authority.per_check,
        Scope.EMPLOYEE_SHIFT: authority.per_shift or 0,
        Scope.EMPLOYEE_DAY: authority.per_day,
        Scope.EMPLOYEE_WEEK: authority.per_week or 0,
    }
    shared = {
        Scope.STRETCH: stretch.times_per_shift if stretch else 0,
        Scope.CUSTOMER_STAY: limits.customer.per_stay,
        Scope.CUSTOMER_DAY: limits.customer.per_day or 0,
        Scope.CUSTOMER_CHECKS: limits.customer.checks_per_day,
        Scope.COMPLAINT: limits.complaint.total,
        Scope.SITE_DAY: limits.site.per_day,
        Scope.INCIDENT: budget,
    }
    stretched = {scope: ceiling * percent // 100 for scope, ceiling in own.items()}
    return {**stretched, **shared, **({Scope.CHECK: budget} if check.incident_id else {})}


def debits(events: Iterable[Fact]) -> dict[str, int]:
    """The balance of every account of authority, from the facts alone; counts are left out."""
    found: Counter[str] = Counter()
    for event in events:
        for _, account, amount in movements(event):
            found[account] += amount
    return {account: amount for account, amount in found.items() if amount}


def authority_in(accounts: Mapping[str, int]) -> dict[str, int]:
    """The accounts of authority in a store, without counts and empty accounts."""
    return {
        account: amount
        for account, amount in accounts.items()
        if amount and not account.startswith("tally/")
    }


def letters_wrong(events: Sequence[Fact], letters: Iterable[Received]) -> list[str]:
    """INV-05: one letter per message; a second only if a fact says that the fate of the first is unknown."""
    wrong: list[str] = []
    got = Counter(letter.fact_id for letter in letters)
    unknown: Counter[str] = Counter()
    for data in of(events, MessageAttempted.TYPE):
        unknown[data["message_id"]] += bool(data["repeats_unknown"])
    sent = Counter(data["message_id"] for data in of(events, MessageSent.TYPE))
    wrong += [f"{name} is sent {count} times" for name, count in sent.items() if count > 1]
    wrong += [f"{name} is sent and no letter came" for name in sent.keys() - got.keys()]
    wrong += [f"a letter {name} that no fact knows" for name in got.keys() - sent.keys()]
    wrong += [
        f"{name}: {count} letters, {unknown[name]} announced repeats"
        for name, count in got.items()
        if count > 1 + unknown[name]
    ]
    return wrong


def replayed(domain: Domain, reads: Iterable[Read]) -> State:
    """INV-06: the state of a service, rebuilt from all topics into an empty store."""
    reads = list(reads)
    partitions: Mapping[tuple[str, int], list[Read]] = defaultdict(list)
    for read in reads:
        if not is_dead_letter(read) and read.topic != ComplaintRaised.TOPIC:
            partitions[read.topic, read.partition].append(read)
    return replay(
        domain,
        (
            (event for event in map(parse, (read.value for read in found)) if event is not None)
            for found in partitions.values()
        ),
        behind_raises(domain.owner, reads),
    )


def exact(everything: World, *domains: Domain) -> list[Read]:
    """INV-06: each store holds what the topics lead to; returns the topics' records. Blocks.

    Audit signs its heads once a minute, also after the topics were read and before its store is: then both are
    looked at again. Raises AssertionError with the differences of the last look, and TooLate.
    """
    wrong: list[str] = []
    for _ in range(LOOKS):
        everything.settle_down(*(domain.owner for domain in domains))
        reads = [one for one in everything.read() if one.value is not None]
        wrong = [
            f"{domain.owner}: {line}"
            for domain in domains
            for line in differences(
                replayed(domain, reads), stored(everything.stack.redis_url, domain.owner)
            )
        ]
        if not wrong:
            return reads
    raise AssertionError(wrong[:10])


def behind_raises(owner: str, reads: Iterable[Read]) -> dict[str, tuple[int, int]]:
    """For each fact behind a raise of its topic: the owner's last sequence then, and the raise's number from 1."""
    reads = list(reads)
    raises = sorted(
        (read.event["data"] for read in reads if read.topic == TopicRaised.TOPIC),
        key=lambda one: str(one["raised_at"]),
    )
    found: dict[str, tuple[int, int]] = {}
    for number, one in enumerate(raises, start=1):
        ends = dict(enumerate(one["ends"]))
        for read in reads:
            if read.topic == one["topic"] and read.offset >= ends.get(read.partition, 0):
                found[read.event["id"]] = (one["sequences"][owner], number)
    return found
