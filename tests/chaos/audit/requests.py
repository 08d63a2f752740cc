"""Every accepted request is one fact, a refused one is none, and a repeat gets the same answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.chaos.audit.evidence import Evidence, Fact
from tests.chaos.audit.verdict import Verdict
from tests.chaos.diary import Asked, Diary

#: Path of a request, its fact, and the field of its answer with the fact's id.
ROUTES = (
    (r"/v1/complaints", "complaint.received", "complaint_id"),
    (r"/v1/checks", "check.issued", "check_id"),
    (r"/v1/offers", "offer.made", "offer_id"),
    (r"/v1/redemptions", "redemption.reserved", "redemption_id"),
    (r"/v1/redemptions/([^/]+)/capture", "redemption.captured", "redemption_id"),
    (r"/v1/redemptions/([^/]+)/cancel", "redemption.cancelled", "redemption_id"),
    (r"/v1/redemptions/([^/]+)/rollback", "redemption.rolledback", "redemption_id"),
    (r"/v1/checks/([^/]+)/void", "check.voided", "check_id"),
    (r"/v1/checks/([^/]+)/suspend", "check.suspended", "check_id"),
    (r"/v1/checks/([^/]+)/resume", "check.resumed", "check_id"),
    (r"/v1/checks/([^/]+)/explain", "check.explained", "check_id"),
    (r"/v1/incidents", "incident.opened", "incident_id"),
    (r"/v1/incidents/([^/]+)/give", "incident.giving", "incident_id"),
    (r"/v1/incidents/([^/]+)/close", "incident.closed", "incident_id"),
    (r"/v1/offers/([^/]+)/choice", "offer.chosen", ""),
    (r"/o/.+", "offer.chosen", ""),
    (r"/f/.+", "feedback.received", "complaint_id"),
)
#: The field of the fact with its id.
NAMED = {fact: field for _, fact, field in ROUTES if field} | {"offer.chosen": "offer_id"}
#: A refused check is a fact as well; its answer does not name it.
REFUSED = "check.refused"
UNFITTING = "authority_exhausted"
Effect = tuple[str, str]


def effects(asked: Asked) -> Iterator[Effect]:
    """The facts that a request must have led to, by its last answer."""
    if not asked.answers:
        return
    status, answer = asked.answers[-1]
    if status == 409 and isinstance(answer, dict) and answer.get("type") == UNFITTING:
        yield REFUSED, ""
    if status >= 300:
        return
    for path, fact, field in ROUTES:
        if re.fullmatch(path, asked.path):
            about = str(answer[field]) if field else asked.about
            yield fact, about
            if fact == "redemption.reserved" and (asked.body or {}).get("capture"):
                yield "redemption.captured", about
            if fact == "offer.chosen":
                yield "check.issued", about


def effect_of(fact: Fact) -> Effect | None:
    """The effect of a fact that a request caused; None for other facts."""
    name = fact.type.removeprefix("recovery.").removesuffix(".v1")
    if not fact.cause.startswith("http/"):
        return None
    if name == REFUSED:
        return REFUSED, ""
    if name not in NAMED:
        return None
    if name == "redemption.cancelled" and fact.data.get("expired"):
        return None
    if name == "check.issued" and fact.data.get("offer_id"):
        return name, str(fact.data["offer_id"])
    return name, str(fact.data[NAMED[name]])


def accepted_once(evidence: Evidence, diary: Diary) -> Verdict:
    """Each accepted request has one fact; a refused one has none."""
    answered = [one for one in diary.asked if one.answers]
    wanted = Counter(effect for one in answered for effect in effects(one))
    there = Counter(found for fact in evidence.facts if (found := effect_of(fact)) is not None)
    lost, more = wanted - there, there - wanted
    wrong = [f"lost: {name} {about}, {n} of it" for (name, about), n in lost.items()]
    wrong += [f"nobody was told: {name} {about}, {n} of it" for (name, about), n in more.items()]
    yes = sum(one.accepted for one in answered)
    numbers = (
        f"{yes} accepted, {len(answered) - yes} refused, {wanted.total()} facts wanted, "
        f"{lost.total()} lost, {more.total()} too many"
    )
    return Verdict("an accepted request is one fact, a refused one none", numbers, wrong)


def all_answered(_: Evidence, diary: Diary) -> Verdict:
    """In a healed world every request is answered, and no answer shows a defect."""
    wrong = [
        f"{one.service} {one.path} under {one.key!r} was never answered"
        for one in diary.asked
        if not one.answers
    ]
    wrong += [f"{what}, {times} times" for what, times in diary.defects.items()]
    return Verdict("every request is answered, none with a defect", f"{len(diary.asked)}", wrong)


def same_again(_: Evidence, diary: Diary) -> Verdict:
    """A repeat under the same key gets the same answer."""
    wrong, again = [], 0
    for one in diary.asked:
        first: tuple[int, Any] | None = None
        for answer in one.answers:
            again += first is not None
            if first is not None and answer != first:
                wrong.append(f"{one.path} under {one.key!r}: {first[0]}, then {answer[0]}")
            if first is None and answer[0] < 300:
                first = answer
    return Verdict("the same again has the same answer", f"{again} asked again", wrong)


INVARIANTS = (accepted_once, all_answered, same_again)
