"""A broken promise is recorded once, and a word about safety reaches the role mailboxes."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta

from tests.chaos.audit.evidence import Evidence
from tests.chaos.audit.verdict import Verdict, more_than_once
from tests.chaos.diary import Diary

#: The world is quiet once every due timer is done. A promise may pass after that, while the topics
#: are read.
TOLD_WITHIN = timedelta(seconds=20)
#: The field of each fact that says when the customer heard from us.
HEARD_AT = {
    "recovery.check.issued.v1": "issued_at",
    "recovery.offer.made.v1": "offered_at",
    "recovery.feedback.received.v1": "answered_at",
}

Promise = tuple[str, int]


def overdue_is_told(evidence: Evidence, diary: Diary) -> Verdict:
    """A promise that passed unkept is recorded as overdue once; a kept one or none at all is not.

    A worker with a clock ahead records a promise as overdue too early, so the second half is not
    judged in a run with such a worker.
    """
    heard = _heard(evidence)
    told = [
        (one.data["complaint_id"], one.data["round"]) for one in evidence.of("complaint.overdue")
    ]
    promises = _promises(evidence)
    broken, kept = set[Promise](), set[Promise]()
    for promise, (since, by) in promises.items():
        in_time = any(
            moment <= by and (since is None or moment > since) for moment in heard[promise[0]]
        )
        (kept if in_time else broken).add(promise)
    passed = {one for one in broken if promises[one][1] < evidence.read_at - TOLD_WITHIN}
    wrong = [
        f"{name} is told overdue {times} times" for name, times in more_than_once(told).items()
    ]
    wrong += [f"{name} is overdue and not told" for name in sorted(passed - set(told))]
    wrong += [f"{name} was never promised" for name in sorted(set(told) - promises.keys())]
    if not diary.faults["clock_ahead"]:
        wrong += [f"{name} was kept and is told overdue" for name in sorted(kept & set(told))]
    numbers = f"{len(promises)} promises, {len(kept)} kept, {len(passed)} passed, {len(told)} told"
    return Verdict("a broken promise is told once", numbers, wrong)


def safety_is_told(evidence: Evidence, _: Diary) -> Verdict:
    """Each complaint about safety is routed once, with one letter queued for each mailbox, and retold once at most."""
    about = {
        one.data["complaint_id"] for one in evidence.of("complaint.triaged") if one.data["safety"]
    }
    about |= {
        one.data["complaint_id"]
        for one in evidence.of("complaint.logged")
        if one.data.get("safety")
    }
    routed = {
        one.data["complaint_id"]: one.data["mailboxes"] for one in evidence.of("safety.routed")
    }
    queued = Counter(
        (one.data["complaint_id"], one.data["mailbox"])
        for one in evidence.of("message.queued")
        if one.data["occasion"] == "safety" and one.data["about"] == one.data["complaint_id"]
    )
    wanted = {(name, mailbox) for name, mailboxes in routed.items() for mailbox in mailboxes}
    twice = more_than_once(one.data["complaint_id"] for one in evidence.of("safety.routed"))
    wrong = [f"{name} is routed {times} times" for name, times in twice.items()]
    retold = more_than_once(one.data["complaint_id"] for one in evidence.of("safety.retold"))
    wrong += [f"{name} is retold {times} times" for name, times in retold.items()]
    wrong += [f"{name} is about safety and not routed" for name in sorted(about - routed.keys())]
    wrong += [f"{name} is routed for nothing" for name in sorted(routed.keys() - about)]
    wrong += [f"{name} is routed to nobody" for name in sorted(routed) if not routed[name]]
    wrong += [f"{what} is queued {times} times" for what, times in queued.items() if times > 1]
    wrong += [f"{what} is not queued" for what in sorted(wanted - queued.keys())]
    wrong += [f"{what} is queued for nothing" for what in sorted(queued.keys() - wanted)]
    return Verdict("a word about safety reaches the mailboxes", f"{len(about)} complaints", wrong)


def _promises(evidence: Evidence) -> dict[Promise, tuple[datetime | None, datetime]]:
    """When each promise was made, and for when; round 0 is the first of its complaint."""
    found: dict[Promise, tuple[datetime | None, datetime]] = {}
    for one in evidence.of("complaint.triaged", "complaint.reopened"):
        if one.data.get("answered"):
            continue
        since = one.data.get("reopened_at")
        found[one.data["complaint_id"], one.data.get("round", 0)] = (
            datetime.fromisoformat(since) if since else None,
            datetime.fromisoformat(one.data["promised_by"]),
        )
    return found


def _heard(evidence: Evidence) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = defaultdict(list)
    for one in evidence.of("check.issued", "offer.made", "feedback.received"):
        if one.data.get("helped") != "no":
            moment = datetime.fromisoformat(one.data[HEARD_AT[one.type]])
            found[one.data["complaint_id"]].append(moment)
    return found


INVARIANTS = (overdue_is_told, safety_is_told)
