"""The relays' lines: numbered without gaps, repeated only identically, in order, complete."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.chaos.audit.evidence import AUDIT, Evidence
from tests.chaos.audit.verdict import SHOWN_MAX, Verdict, more_than_once
from tests.chaos.diary import Diary


def numbered(evidence: Evidence, _: Diary) -> Verdict:
    """The sequences of an owner have no gaps, dead letters included."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for fact in evidence.facts:
        numbers[fact.owner].add(fact.sequence)
    dead = Counter(one.topic.split(".")[1] for one in evidence.dead)
    wrong, says = [], []
    for owner, found in sorted(numbers.items()):
        last = int(evidence.values.get(f"{owner}:{{c0}}:sequence", b"0"))
        missing = set(range(1, last + 1)) - found
        says.append(f"{owner} 1 to {last}")
        if max(found) > last:
            wrong.append(f"{owner}: {max(found)} is on its topics, its store says {last}")
        if len(missing) != dead[owner]:
            some = sorted(missing)[:SHOWN_MAX]
            wrong.append(
                f"{owner}: {len(missing)} numbers not there, {dead[owner]} dead letters: {some}"
            )
    return Verdict("an owner's numbers have no gap", ", ".join(says), wrong)


def repeated_identically(evidence: Evidence, _: Diary) -> Verdict:
    """Lines with the same sequence are equal; an id has one sequence."""
    first: dict[tuple[str, str], bytes] = {}
    wrong, repeats = [], 0
    for record, event in evidence.lines:
        if "sequence" not in event:
            continue
        place = (event["source"], event["sequence"])
        before = first.setdefault(place, record.value)
        if before is not record.value:
            repeats += 1
            if before != record.value:
                wrong.append(f"{place} names two facts")
    twice = more_than_once((fact.owner, fact.id) for fact in evidence.facts)
    wrong += [f"{name} is there under {times} numbers" for name, times in twice.items()]
    numbers = f"{len(first)} lines, {repeats} repeats"
    return Verdict("a number names one fact", numbers, wrong)


def ascending(evidence: Evidence, _: Diary) -> Verdict:
    """On each partition, and so for each key, first appearances of an owner's lines ascend."""
    last: dict[tuple[str, int, str], int] = {}
    partitions: dict[tuple[str, bytes], set[int]] = defaultdict(set)
    seen: set[tuple[str, int]] = set()
    wrong: list[str] = []
    for record, event in evidence.lines:
        # The record of a fact lies in the partition of its fact, whatever other source has the key.
        source = event["data"]["record"]["chain"] if record.topic == AUDIT else record.topic
        partitions[source, record.key].add(record.partition)
        if "sequence" not in event or (event["source"], int(event["sequence"])) in seen:
            continue
        place, number = (record.topic, record.partition, event["source"]), int(event["sequence"])
        seen.add((event["source"], number))
        if number < last.get(place, 0):
            wrong.append(f"{place}: {number} after {last[place]}")
        last[place] = max(number, last.get(place, 0))
    wrong += [f"{key} lies on partitions {at}" for key, at in partitions.items() if len(at) > 1]
    numbers = f"{len(partitions)} keys on {len({place[:2] for place in last})} partitions"
    return Verdict("the order of a key is the order of the numbers", numbers, wrong)


def outbox_empty(evidence: Evidence, _: Diary) -> Verdict:
    """Everything committed is on Kafka."""
    left = {name: len(one) for name, one in evidence.lists.items() if name.endswith(":outbox")}
    wrong = [f"{name}: {lines} lines" for name, lines in left.items() if lines]
    return Verdict("the outboxes are empty", f"{sum(left.values())} lines left", wrong)


INVARIANTS = (numbered, repeated_identically, ascending, outbox_empty)
