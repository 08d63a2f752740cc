"""The record: its chains are whole, every fact is on it once, and it alone is enough to audit by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from tests.chaos.audit import intake, ledger
from tests.chaos.audit.evidence import AUDIT, INTAKE, Evidence, Fact
from tests.chaos.audit.ledger import Rules
from tests.chaos.audit.verdict import Verdict
from tests.chaos.diary import Diary

HEADS, NOTICES = "recovery.heads.v1", "recovery.notices.v1"
#: What other systems say, and what audit itself says, is not recorded.
UNRECORDED = (INTAKE, AUDIT, HEADS, NOTICES)
#: Kafka may remove records of these, so a record may outlast its fact.
COMPACTED = ("recovery.vault.v1", "recovery.policy.v1", "recovery.roster.v1")
#: Where the hashed bytes of a line begin and end.
BEGINS, ENDS = b'"record":', b',"recorded_at":"'
FIRST = "0" * 64
#: The account of an employee; a pseudonym or a name stands in it.
OF_EMPLOYEES = re.compile(r"((?:held/)?(?:employee|stretch))/.+?/((?:[A-Z]{3}/)?[0-9W/-]+)")

Place = tuple[str, int, int]


@dataclass
class Line:
    """One record of a chain, as it lies on the topic."""

    partition: int
    said: dict[str, Any]
    hash: str
    hashed: bytes

    @property
    def place(self) -> Place | None:
        """Where the fact lies that it records; none for a gap and for what audit says itself."""
        topic, _, partition = self.said["chain"].partition("/")
        if topic == NOTICES or "offset" not in self.said:
            return None
        return (topic, int(partition), self.said["offset"])


def lines(evidence: Evidence) -> Iterator[Line]:
    """The records of the audit topic in their order, what the relay repeated left out."""
    seen: set[str] = set()
    for record, event in evidence.lines:
        if record.topic != AUDIT or event["sequence"] in seen:
            continue
        seen.add(event["sequence"])
        hashed = record.value[record.value.index(BEGINS) + len(BEGINS) : record.value.rindex(ENDS)]
        yield Line(record.partition, event["data"]["record"], event["data"]["hash"], hashed)


def chained(evidence: Evidence, _: Diary) -> Verdict:
    """Each chain lies in one partition, is numbered from 1, and names the hash of the record before."""
    ends: dict[str, tuple[int, str, int]] = {}
    wrong = []
    for line in lines(evidence):
        name, number = line.said["chain"], line.said["number"]
        last, before, partition = ends.get(name, (0, FIRST, line.partition))
        if number != last + 1:
            wrong.append(f"{name}: {number} comes after {last}")
        if line.said["previous"] != before:
            wrong.append(f"{name}/{number} does not name the record before it")
        if sha256(line.hashed).hexdigest() != line.hash:
            wrong.append(f"{name}/{number} has the hash of something else")
        if line.partition != partition:
            wrong.append(f"{name}/{number} lies in {line.partition} and not in {partition}")
        ends[name] = (number, line.hash, line.partition)
    numbers = f"{sum(end[0] for end in ends.values())} records in {len(ends)} chains"
    return Verdict("the chains of the record are whole", numbers, wrong)


def each_fact_recorded(evidence: Evidence, _: Diary) -> Verdict:
    """Every fact of every owner has one record, and every record a fact."""
    there: set[Place] = set()
    seen: set[tuple[str, str]] = set()
    for record, event in evidence.lines:
        name = (event["source"], event.get("sequence") or event["id"])
        if record.topic not in UNRECORDED and name not in seen:
            there.add((record.topic, record.partition, record.offset))
        seen.add(name)
    chains = list(lines(evidence))
    gaps = [line.said for line in chains if "missing" in line.said]
    wrong = [
        f"{gap['missing']} are missing in {gap['chain']} before {gap['before']}" for gap in gaps
    ]
    recorded = Counter(place for line in chains if (place := line.place) is not None)
    wrong += [
        f"{place} is recorded {times} times" for place, times in recorded.items() if times > 1
    ]
    wrong += [f"{place} is not recorded" for place in sorted(there - recorded.keys())]
    wrong += [
        f"{place} is recorded and not there"
        for place in sorted(recorded.keys() - there)
        if place[0] not in COMPACTED
    ]
    notices = Counter(fact.type for fact in evidence.facts if fact.topic == NOTICES)
    own = (line.said for line in chains if line.said["chain"].startswith(NOTICES))
    told = Counter(said["what"] for said in own)
    wrong += [
        f"{name} is said {notices[name]} times and recorded {told[name]} times"
        for name in sorted({*notices, *told})
        if notices[name] != told[name]
    ]
    numbers = f"{len(there)} facts, {notices.total()} notices of audit's own"
    return Verdict("every fact is recorded once", numbers, wrong)


def by_the_record(evidence: Evidence) -> Evidence:
    """The same world as an outsider sees it who reads the audit topic alone."""
    told = Evidence(values=evidence.values)
    told.facts = [
        Fact(
            owner=line.said["source"].removeprefix("/"),
            sequence=line.said.get("sequence", 0),
            type=line.said["what"],
            id=line.said["event_id"],
            cause="",
            data={"site": line.said.get("site"), **line.said["details"], **line.said["amounts"]},
            topic=line.place[0],
            partition=line.partition,
            key=line.said["key"].encode(),
        )
        for line in lines(evidence)
        if line.place is not None
    ]
    return told


def triaged(evidence: Evidence, diary: Diary) -> Verdict:
    """Each complaint is triaged once, by the record alone."""
    return _said(intake.triaged(by_the_record(evidence), diary))


def one_debit_each(evidence: Evidence, rules: Rules) -> Verdict:
    """Each check is issued and charged once, by the record alone."""
    return _said(ledger.one_debit_each(by_the_record(evidence), rules))


def _said(verdict: Verdict) -> Verdict:
    return replace(verdict, states=f"by the record, {verdict.states}")


def balances_equal(evidence: Evidence, _: Rules) -> Verdict:
    """The balances in Redis equal those by the record alone.

    Employees are recorded by a pseudonym of the month, so theirs are compared together, by window.
    """
    summed: Counter[str] = Counter()
    for fact in by_the_record(evidence).facts:
        for _scope, account, amount in ledger.moves(fact):
            summed[_together(account)] += amount
    stored: Counter[str] = Counter()
    for account, amount in ledger.stored(evidence).items():
        stored[_together(account)] += amount
    wrong = [
        f"{name} is {stored[name]} in Redis and {summed[name]} by the record"
        for name in sorted({*stored, *summed})
        if stored[name] != summed[name]
    ]
    return Verdict("by the record, balances are its sums", f"{len(stored)} accounts", wrong)


def _together(account: str) -> str:
    found = OF_EMPLOYEES.fullmatch(account)
    return account if found is None else "/*/".join(found.groups())


INVARIANTS = (chained, each_fact_recorded, triaged)
UNDER_RULES = (one_debit_each, balances_equal)
