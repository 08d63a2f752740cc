"""Statements that must hold of the topics, whatever happened to the processes.

Each returns what is wrong, one line each; an empty list is the good answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.contracts.compensation import CheckIssued, Scope
from shared.contracts.complaints import ComplaintReceived, ComplaintRepeated
from shared.contracts.decision import Domain
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import MessageAttempted, MessageSent
from shared.contracts.policy import Policy
from shared.ops.mailbox import Received
from shared.testing.replay import State, parse, replay
from shared.testing.world import Read

Fact = dict[str, Any]


def is_dead_letter(read: Read) -> bool:
    """Whether the record lies on a dead-letter topic."""
    return read.topic.endswith(".dlq.v1")


def facts(reads: Iterable[Read]) -> list[Fact]:
    """Events on fact topics, each once: a repeat of id and sequence counts for nothing."""
    seen: dict[tuple[str, str | None], Fact] = {}
    for read in reads:
        if not is_dead_letter(read) and read.topic != ComplaintRaised.TOPIC:
            event = read.event
            # An id made again under another sequence stays: its cause was applied twice.
            seen.setdefault((event["id"], event.get("sequence")), event)
    return list(seen.values())


def of(events: Iterable[Fact], fact_type: str) -> list[dict[str, Any]]:
    """The data of one type of fact."""
    return [event["data"] for event in events if event["type"] == fact_type]


def dead_letters(reads: Iterable[Read], owner: str) -> dict[str, dict[str, str]]:
    """Headers of a service's dead letters by where they came from, each once."""
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
    """Every record of the intake led to exactly one of received, repeated, dead letter; in order."""
    wrong: list[str] = []
    fates: Counter[str] = Counter()
    order: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in facts(reads):
        if event["type"] in (ComplaintReceived.TYPE, ComplaintRepeated.TYPE):
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


def over_ceiling(events: Iterable[Fact], policy: Policy) -> list[str]:
    """INV-01: balances made from the debits of issued facts, at every prefix, by the policy itself."""
    wrong: list[str] = []
    balances: Counter[str] = Counter()
    issued = [event for event in events if event["type"] == CheckIssued.TYPE]
    for event in sorted(issued, key=lambda one: int(one["sequence"])):
        check = CheckIssued.model_validate(event["data"])
        role = policy.employees[check.employee_id].role
        ceilings = {
            Scope.EMPLOYEE_DAY: policy.authority_of(role).per_day,
            Scope.CUSTOMER_STAY: policy.limits.customer.per_stay,
            Scope.COMPLAINT: policy.limits.complaint.total,
            Scope.SITE_DAY: policy.limits.site.per_day,
        }
        if {debit.scope for debit in check.debits} != ceilings.keys():
            wrong.append(f"{check.check_id} is not charged to every scope")
        for debit in check.debits:
            balances[debit.account] += debit.amount_minor
            if debit.amount_minor != check.cost_minor:
                wrong.append(f"{check.check_id} is charged another amount than its cost")
            if balances[debit.account] > ceilings[debit.scope]:
                wrong.append(f"{debit.account} holds {balances[debit.account]} at {check.check_id}")
        if check.cost_minor > policy.authority_of(role).per_check:
            wrong.append(f"{check.check_id} is above one check's authority")
    return wrong


def debits(events: Iterable[Fact]) -> dict[str, int]:
    """What every account must hold, from the issued facts alone; nothing charged, no account."""
    found: Counter[str] = Counter()
    for data in of(events, CheckIssued.TYPE):
        for debit in data["debits"]:
            if debit["amount_minor"]:
                found[debit["account"]] += debit["amount_minor"]
    return dict(found)


def letters_wrong(events: Sequence[Fact], letters: Iterable[Received]) -> list[str]:
    """INV-05: one letter per message; one more only where a fact says the first one's fate is unknown."""
    wrong: list[str] = []
    got = Counter(letter.message_id.strip("<>").partition("@")[0] for letter in letters)
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
    """INV-06: the state of a service made again from all topics, into nothing."""
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
    )
