"""Every record of the intake has one fate, and no fence is beyond a record without one."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from tests.chaos.audit.evidence import INTAKE, Evidence
from tests.chaos.audit.verdict import Verdict
from tests.chaos.diary import SERIAL, Diary

Place = tuple[int, int]


def fates(evidence: Evidence) -> dict[Place, list[str]]:
    """The fate of each record, by partition and offset."""
    found: dict[Place, list[str]] = defaultdict(list)
    for fact in evidence.of("complaint.received", "complaint.repeated"):
        topic, *place = fact.cause.split("/")
        if topic == INTAKE:
            found[int(place[0]), int(place[1])].append(fact.type.split(".")[2])
    for letter in evidence.dead:
        if letter.headers.get("origin-topic", b"").decode() == INTAKE:
            at = (int(letter.headers["origin-partition"]), int(letter.headers["origin-offset"]))
            found[at].append(f"dead: {letter.headers['reason'].decode()}")
    return found


def confirmed_is_there(evidence: Evidence, diary: Diary) -> Verdict:
    """Confirmed records are on the topic, at the confirmed position."""
    there = {(one.partition, one.offset): one.headers.get(SERIAL) for one in evidence.intake}
    confirmed = [one for one in diary.sent if one.offset is not None]
    wrong = [
        f"record {one.number} was confirmed at {one.partition}/{one.offset} and is not there"
        for one in confirmed
        if there.get((one.partition or 0, one.offset or 0)) != str(one.number).encode()
    ]
    numbers = f"{len(confirmed)} confirmed of {len(diary.sent)} sent, {len(there)} on the topic"
    return Verdict("a confirmed record is on the intake", numbers, wrong)


def one_fate_each(evidence: Evidence, diary: Diary) -> Verdict:
    """Each record on the intake was received, was repeated or is a dead letter: exactly one of these."""
    found = fates(evidence)
    places = [(one.partition, one.offset) for one in evidence.intake]
    confirmed = {(one.partition, one.offset) for one in diary.sent if one.offset is not None}
    lost = [place for place in places if place not in found]
    doubled = {place: what for place, what in found.items() if len(what) > 1}
    nowhere = found.keys() - set(places)
    kinds = Counter(what for fate in found.values() for what in fate)
    wrong = [f"lost: {INTAKE}/{partition}/{offset}" for partition, offset in lost]
    wrong += [f"doubled: {INTAKE}/{place[0]}/{place[1]} {what}" for place, what in doubled.items()]
    wrong += [f"from nowhere: {place}" for place in sorted(nowhere)]
    numbers = (
        f"{len(places)} records, {len(lost)} lost ({len(confirmed.intersection(lost))} confirmed), "
        f"{len(doubled)} doubled; {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}"
    )
    return Verdict("each record of the intake has one fate", numbers, wrong)


def received_once(evidence: Evidence, diary: Diary) -> Verdict:
    """Of records with the same source and id one is received; no valid new record is a dead letter."""
    found = fates(evidence)
    serials = {one.headers.get(SERIAL): (one.partition, one.offset) for one in evidence.intake}
    received: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    there = 0
    for sent in diary.sent:
        place = serials.get(str(sent.number).encode())
        if place is None:
            continue
        there += 1
        for what in found.get(place, ()):
            received[sent.source, sent.id] += what == "received"
            dead = what.startswith("dead")
            if sent.kind in ("broken", "unknown_site") and not dead:
                wrong.append(f"record {sent.number} ({sent.kind}) was {what}")
            if sent.kind in ("new", "repeat") and dead and "conflicting" not in what:
                wrong.append(f"record {sent.number} ({sent.kind}) is {what}")
    wrong += [f"{who} was received {times} times" for who, times in received.items() if times > 1]
    sound = {
        (one.source, one.id)
        for one in diary.sent
        if one.kind in ("new", "repeat", "conflict") and str(one.number).encode() in serials
    }
    fated = {
        (one.source, one.id) for one in diary.sent if serials.get(str(one.number).encode()) in found
    }
    wrong += [f"{who} was never received" for who in (sound & fated) - received.keys()]
    numbers = f"{len(received)} received of {len(sound)} sources and ids, {there} records"
    return Verdict("a source and id is received once, and what is unsound never", numbers, wrong)


def fence_not_beyond(evidence: Evidence, _: Diary) -> Verdict:
    """Every record below the fence of its partition has a fate."""
    found, wrong, ends = fates(evidence), [], dict[int, int]()
    for one in evidence.intake:
        ends[one.partition] = max(one.offset, ends.get(one.partition, -1))
        fence = evidence.document(f"complaints:{{c0}}:fence:{INTAKE}:{one.partition}") or {}
        if (one.partition, one.offset) not in found and one.offset <= fence.get("offset", -1):
            wrong.append(
                f"the fence of {one.partition} is at {fence['offset']}, {one.offset} is lost"
            )
    for partition, end in ends.items():
        fence = evidence.document(f"complaints:{{c0}}:fence:{INTAKE}:{partition}") or {}
        if fence.get("offset", -1) < end:
            wrong.append(f"the fence of {partition} is at {fence.get('offset')} of {end}")
    numbers = f"{len(ends)} partitions to their ends"
    return Verdict("no fence stands beyond a record without a fate", numbers, wrong)


def in_order(evidence: Evidence, _: Diary) -> Verdict:
    """Records of one partition are settled in their order."""
    offsets: dict[int, list[int]] = defaultdict(list)
    for fact in evidence.of("complaint.received", "complaint.repeated"):
        topic, *place = fact.cause.split("/")
        if topic == INTAKE:
            offsets[int(place[0])].append(int(place[1]))
    wrong = [
        f"partition {partition}: {after} was settled before {before}"
        for partition, found in offsets.items()
        for before, after in pairwise(found)
        if after < before
    ]
    numbers = f"{sum(map(len, offsets.values()))} records of {len(offsets)} partitions"
    return Verdict("records of a partition are settled in their order", numbers, wrong)


def triaged(evidence: Evidence, _: Diary) -> Verdict:
    """Each complaint is triaged once."""
    received = Counter(fact.data["complaint_id"] for fact in evidence.of("complaint.received"))
    done = Counter(fact.data["complaint_id"] for fact in evidence.of("complaint.triaged"))
    wrong = [f"{name} is received and not triaged" for name in received.keys() - done.keys()]
    wrong += [f"{name} is triaged and not received" for name in done.keys() - received.keys()]
    wrong += [f"{name} is triaged {times} times" for name, times in done.items() if times > 1]
    wrong += [f"{name} is received {times} times" for name, times in received.items() if times > 1]
    return Verdict("each complaint is triaged", f"{len(received)} complaints", wrong)


def nothing_passed_over(_: Evidence, diary: Diary) -> Verdict:
    """No worker logged skipped records or a defect."""
    faults = ("records_missed", "records_gone", "handler_failed", "stream_broken", "request_failed")
    wrong = [f"{name}, {diary.noticed[name]} times" for name in faults if diary.noticed[name]]
    again = diary.noticed["records in batch_read_again"]
    numbers = f"{diary.noticed['batch_read_again']} batches of {again} records fetched again"
    return Verdict("no worker missed a record or met a defect", numbers, wrong)


INVARIANTS = (
    nothing_passed_over,
    confirmed_is_there,
    one_fate_each,
    received_once,
    fence_not_beyond,
    in_order,
    triaged,
)
