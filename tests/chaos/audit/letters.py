"""One letter per complaint, check or offer and occasion; a second only if a fact says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.chaos.audit.evidence import Evidence
from tests.chaos.audit.verdict import Verdict, more_than_once
from tests.chaos.diary import Diary


def queued_once(evidence: Evidence, _: Diary) -> Verdict:
    """Each message is queued once per occasion and subject."""
    queued = Counter(
        (one.data["occasion"], one.data["about"])
        for one in evidence.of("message.queued")
        if not one.data.get("mailbox")
    )
    wanted = {
        ("acknowledgement", one.data["complaint_id"])
        for one in evidence.of("complaint.triaged")
        if one.data["has_contact"]
        and not (one.data.get("answered") or one.data.get("acknowledged"))
    }
    wanted |= {("check_given", one.data["check_id"]) for one in evidence.of("check.issued")}
    wanted |= {
        ("check_withdrawn", one.data["check_id"])
        for one in evidence.of("check.voided")
        if one.data["unredeemed_minor"]
    }
    wanted |= {("check_offered", one.data["offer_id"]) for one in evidence.of("offer.made")}
    wanted |= {
        ("touchpoint_asked", one.data["asking_id"]) for one in evidence.of("touchpoint.asked")
    }
    wanted |= {
        ("confirmation", one.data["confirmation_id"]) for one in evidence.of("confirmation.asked")
    }
    wanted |= {
        ("reopened", f"{one.data['complaint_id']}/{one.data['round']}")
        for one in evidence.of("complaint.reopened")
        if one.data["has_contact"]
    }
    wanted |= {
        ("digest", one.data["digest_id"])
        for one in evidence.of("message.deferred")
        if one.data.get("digest_id")
    }
    incidents = about_incidents(evidence)
    moves = told_of_moves(evidence)
    forgotten = {one.data["complaint_id"] for one in evidence.of("complaint.forgotten")}
    # A customer who was erased meanwhile is told of no further move.
    spared = {what for what in moves if what[1].partition("/")[0] in forgotten} - queued.keys()
    wanted |= moves - spared
    wrong = [f"{what} is queued {times} times" for what, times in queued.items() if times > 1]
    wrong += [f"{what} is not queued" for what in sorted(wanted - queued.keys())]
    wrong += [
        f"{what} is queued for nothing" for what in sorted(queued.keys() - wanted - incidents)
    ]
    return Verdict("a message is queued once per occasion", f"{len(queued)} messages", wrong)


def about_incidents(evidence: Evidence) -> set[tuple[str, str]]:
    """What customers may be told of incidents; those without an address, or of a site without words, are not."""
    affected = {
        (complaint_id, one.data["incident_id"])
        for one in evidence.of("incident.opened")
        for complaint_id in one.data["complaint_ids"]
    } | {
        (one.data["complaint_id"], one.data["incident_id"])
        for one in evidence.of("incident.joined")
    }
    return {("incident", f"{complaint}/{incident}") for complaint, incident in affected}


def told_of_moves(evidence: Evidence) -> set[tuple[str, str]]:
    """What customers with an address are told of the course of their complaints."""
    written_to = {
        one.data["complaint_id"]
        for one in (*evidence.of("complaint.triaged"), *evidence.of("complaint.reopened"))
        if one.data["has_contact"]
    }
    of_moment = (
        ("question_asked", "info.asked", "asked_at"),
        ("fix_done", "fix.done", "done_at"),
        ("resolution_told", "resolution.recorded", "recorded_at"),
        ("thanked", "complaint.confirmed", "confirmed_at"),
        ("closed", "complaint.closed", "closed_at"),
        ("closed", "complaint.unfounded", "found_at"),
        ("closed", "complaint.withdrawn", "withdrawn_at"),
        ("referred", "complaint.referred", "referred_at"),
        ("contact_changed", "contact.changed", "changed_at"),
    )
    told = {
        (occasion, f"{one.data['complaint_id']}/{micros(one.data[at])}")
        for occasion, kind, at in of_moment
        for one in evidence.of(kind)
        if one.data["complaint_id"] in written_to
        # Whoever took it back by their link saw so on the page.
        and (kind != "complaint.withdrawn" or one.data.get("employee_id"))
    }
    return told | {
        ("promise_broken", promise_of(one.data))
        for one in evidence.of("complaint.overdue")
        if one.data["complaint_id"] in written_to
    }


def promise_of(overdue: Mapping[str, Any]) -> str:
    """The id of a broken promise: a round may have several, one after the other."""
    name = f"{overdue['complaint_id']}/{overdue['round']}"
    before = overdue.get("broken_before")
    return name if before is None else f"{name}/{before}"


def micros(moment: str) -> int:
    """A moment in µs since the epoch, by which what happens again is named."""
    return round(datetime.fromisoformat(moment).timestamp() * 1_000_000)


def one_fate_each(evidence: Evidence, _: Diary) -> Verdict:
    """Every message is sent or failed, once; a digest, which goes the next day, and what waits for it may still wait."""
    queued = {one.data["message_id"] for one in evidence.of("message.queued")}
    waits = {
        one.data["message_id"]
        for one in evidence.of("message.queued")
        if one.data["occasion"] == "digest"
    } | {
        one.data["message_id"]
        for one in evidence.of("message.deferred")
        if one.data.get("digest_id")
    }
    sent = [one.data["message_id"] for one in evidence.of("message.sent")]
    failed = Counter(one.data["reason"] for one in evidence.of("message.failed"))
    ended = [*sent, *(one.data["message_id"] for one in evidence.of("message.failed"))]
    wrong = [f"{name} has {n} fates" for name, n in more_than_once(ended).items()]
    wrong += [f"{name} has no fate" for name in sorted(queued - set(ended) - waits)]
    wrong += [f"{name} was never queued" for name in sorted(set(ended) - queued)]
    why = ", ".join(f"{n} {reason}" for reason, n in sorted(failed.items()))
    numbers = f"{len(sent)} sent, {failed.total()} failed ({why})"
    return Verdict("every message is sent or failed", numbers, wrong)


def one_letter_each(evidence: Evidence, diary: Diary) -> Verdict:
    """One letter came per sent message, and at most one more per attempt after one with an unknown fate."""
    came = Counter(name.strip("<>").partition("@")[0] for name, *_ in diary.letters)
    repeats = Counter(
        one.data["message_id"]
        for one in evidence.of("message.attempted")
        if one.data["repeats_unknown"]
    )
    attempted = {one.data["message_id"] for one in evidence.of("message.attempted")}
    # A message in a digest came with it.
    sent = {
        one.data.get("in_digest") or one.data["message_id"] for one in evidence.of("message.sent")
    }
    wrong = [f"{name} is sent and no letter came" for name in sorted(sent - came.keys())]
    wrong += [f"{name} came and was never attempted" for name in sorted(came.keys() - attempted)]
    wrong += [
        f"{name} came {times} times, {repeats[name]} repeats are told"
        for name, times in came.items()
        if times > 1 + repeats[name]
    ]
    more = came.total() - len(came)
    numbers = f"{len(came)} letters, {more} more of {repeats.total()} told repeats"
    return Verdict("one letter per message, and repeats are told", numbers, wrong)


INVARIANTS = (queued_once, one_fate_each, one_letter_each)
