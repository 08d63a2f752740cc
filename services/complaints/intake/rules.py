"""A complaint is received, once: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple
from zoneinfo import ZoneInfo

from services.complaints.colleagues.rules import Member
from services.complaints.triage.rules import Praise as Praising
from services.complaints.triage.rules import Understood
from shared.contracts.compensation import ComplaintLogged
from shared.contracts.complaints import (
    BECAUSE_MAX,
    PRAISED_MAX,
    Because,
    Category,
    ComplaintClaimed,
    ComplaintForgotten,
    ComplaintReceived,
    ComplaintTriaged,
    JourneyStep,
    Language,
    PraiseReceived,
    promise_id_of,
)
from shared.contracts.hours import covers
from shared.contracts.intake import (
    Affected,
    Channel,
    ComplaintRaised,
    Disruption,
    DisruptionAnnounced,
    Profile,
)
from shared.contracts.policy import Policy
from shared.kernel import Decision, Document, Fold, Slice, score_at

#: Times outside these bounds are mistakes: a mistyped year, or a clock in another zone.
OCCURRED_PAST_MAX = timedelta(days=3 * 366)
OCCURRED_AHEAD_MAX = timedelta(days=1)
#: Nobody books a stay that ends later than that; one that ended is complained about as long as anything that happened.
STAY_AHEAD_MAX = timedelta(days=3 * 366)
#: The latest description of a customer counts, so one of the future would beat corrections and an erasure until then.
#: The clocks of the systems that describe customers differ from ours by no more.
DESCRIBED_AHEAD_MAX = timedelta(minutes=5)
#: How the sources begin that complaints itself gives to what it receives: customers and ids of these are told apart
#: by them, so no publisher may use one. `/site/…` is open to all: a system may name the customers of a site's desk.
RESERVED_SOURCES = frozenset({"c", "causes", "http", "mail", "q", "webhooks"})

#: What is announced, as complaints sort it; what ran out is sorted by the words, because it may be anything.
FORESEEN = {
    Disruption.DELAY: Category.DELAY,
    Disruption.OUT_OF_STOCK: Category.OTHER,
    Disruption.OUTAGE: Category.FACILITIES,
}


def source_of_token(site: str, kind: str, subject: str) -> str:
    """The source of whoever raises complaints with a token."""
    return f"/http/{site}/{kind}/{subject}"


def reserved(source: str) -> bool:
    """Whether a source is one that complaints gives itself, such as `/webhooks/booking`."""
    root, _, rest = source.partition("/")
    return not root and rest.partition("/")[0] in RESERVED_SOURCES


class Praise(Document):
    """A praise, its words sealed; they end with their key."""

    KIND: ClassVar[str] = "praise"

    customer_ref: str
    site: str
    language: Language
    text: str
    received_at: datetime


def received(_: Praise | None, fact: PraiseReceived) -> Praise:
    """The praise as it came."""
    return Praise(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        text=fact.text,
        received_at=fact.received_at,
    )


def praise_of_customer(customer_ref: str) -> str:
    """The sorted set of a customer's praise, by when it came."""
    return f"praise/{customer_ref}"


def stands(praise: Praise) -> Mapping[str, int]:
    """Among the praise of its customer, the earliest first."""
    return {praise_of_customer(praise.customer_ref): score_at(praise.received_at)}


def praise_id_of(complaint_id: str) -> str:
    """The id of the praise that came instead of a complaint of this id."""
    return f"pr-{complaint_id.removeprefix('co-')}"


def plausible(
    moment: datetime | None, now: datetime, ahead: timedelta = OCCURRED_AHEAD_MAX
) -> bool:
    """Whether the stated time is plausible: for when it happened, or, with more time `ahead`, for when a stay ends."""
    return moment is None or now - OCCURRED_PAST_MAX <= moment <= now + ahead


def foretold(announced: DisruptionAnnounced, customer: Affected) -> ComplaintRaised:
    """The complaint of a customer who said nothing yet, in the words of the announcement."""
    return ComplaintRaised(
        site=announced.site,
        text=announced.text,
        customer=customer.customer,
        language=customer.language,
        contact=customer.contact,
        occurred_at=announced.occurred_at,
        place=announced.place,
        stay_ends_at=customer.stay_ends_at,
    )


class Answer(NamedTuple):
    """What a customer was asked about, where they answered a question of ours, and how.

    `bad` says whether the answer is a complaint, and `score_only` whether they wrote no words.
    """

    step: JourneyStep
    bad: bool
    score_only: bool


def as_answered(understood: Understood, answer: Answer) -> Understood:
    """What an answer's words say: about the step that was asked about if they name none, and no praise if it is bad."""
    praise = Praising.MIXED if answer.bad else understood.praise
    return understood._replace(step=understood.step or answer.step, praise=praise)


class Sealed(NamedTuple):
    """What a customer told, sealed, and the pseudonyms by which the place and the contact are found."""

    text: str
    contact: str | None
    place: str | None
    place_ref: str | None
    contact_refs: tuple[str, ...]


def receive(
    raised: ComplaintRaised,
    *,
    complaint_id: str,
    customer_ref: str,
    language: Language,
    sealed: Sealed,
    content: str,
    reachable: bool,
    sender_ref: str,
    understood: Understood,
    profile: Profile,
    policy: Policy,
    policy_version: int,
    now: datetime,
    counts_for: str | None = None,
    disruption: Disruption | None = None,
    score_only: bool = False,
) -> tuple[ComplaintReceived, ComplaintTriaged]:
    """Record a new complaint and promise an answer, as its playbook says, before the customer leaves."""
    stay_ends_at = raised.stay_ends_at or profile.stay_ends_at
    named = policy.has_subcategory(understood.category, understood.subcategory or "")
    promised_by = policy.promised_by(understood.category, understood.severity, now, stay_ends_at)
    return (
        ComplaintReceived(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=raised.site,
            channel=raised.channel if disruption is None else Channel.PREEMPTIVE,
            language=language,
            text=sealed.text,
            contact=sealed.contact,
            raised_by=raised.raised_by,
            occurred_at=raised.occurred_at,
            received_at=now,
            place=sealed.place,
            place_ref=sealed.place_ref,
            contact_refs=sealed.contact_refs,
            disruption=disruption,
            score_only=score_only,
            content=content,
        ),
        ComplaintTriaged(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=raised.site,
            language=language,
            category=understood.category,
            severity=understood.severity,
            safety=understood.safety,
            promised_by=promised_by,
            promise_id=promise_id_of(complaint_id, 0),
            warn_at=policy.warn_at(promised_by, now),
            stay_ends_at=stay_ends_at,
            segment=profile.segment,
            policy_version=policy_version,
            has_contact=reachable,
            service=understood.service,
            counts_for=counts_for,
            sender_ref=sender_ref,
            subcategory=understood.subcategory if named else None,
            intent=understood.intent,
            step=understood.step,
            remedy=understood.remedy,
            flags=understood.flags,
            reasons=_reasons(understood),
            unsupported_language=understood.unsupported_language,
        ),
    )


def _reasons(understood: Understood) -> tuple[Because, ...]:
    return tuple(
        Because(rule=rule, words=words, percent=round(100 * confidence))
        for rule, words, confidence in understood.reasons[:BECAUSE_MAX]
    )


def praised_by(
    members: Sequence[Member], understood: Understood, policy: Policy, at: datetime
) -> tuple[str, ...]:
    """The ids of those who read a praise, at most `PRAISED_MAX`; empty where the site has no active employee.

    Whoever worked when it happened goes first, and among them the department that sees to what it is about. Where
    nobody is known to have worked then, it is all who work at the site, chosen in the same way.
    """
    zone, roles = ZoneInfo(policy.timezone), policy.roles_for(understood.category)
    active = [one for one in members if one.active]
    there = [one for one in active if worked(one, zone, at)] or active
    nearest = [one for one in there if one.role in roles] or there
    return tuple(sorted(one.id for one in nearest)[:PRAISED_MAX])


def worked(member: Member, zone: ZoneInfo, at: datetime) -> bool:
    """Whether an employee worked at a moment, by the roster or by their last check-in."""
    shift = member.listing.shift if member.listing is not None else None
    if shift is not None and covers(shift, zone, at):
        return True
    return (
        member.until is not None
        and member.said_at is not None
        and member.said_at <= at < member.until
    )


def log(
    logged: ComplaintLogged,
    profile: Profile,
    policy: Policy,
    policy_version: int,
    now: datetime,
    *,
    erased: bool,
) -> Decision:
    """Record a complaint that was told on the spot, owned by the employee who wrote it down.

    The employee said what it was about, so triage is skipped. If they gave something, there is nothing
    left to acknowledge. With `erased` its words were sealed under a reference that was erased meanwhile,
    so they are forgotten at once.
    """
    received = ComplaintReceived(
        complaint_id=logged.complaint_id,
        customer_ref=logged.customer_ref,
        site=logged.site,
        channel=Channel.DESK,
        language=logged.language,
        text=logged.text,
        contact=logged.contact,
        raised_by=logged.employee_id,
        occurred_at=logged.logged_at,
        received_at=now,
    )
    safety = logged.safety is not None or logged.reason is Category.SAFETY
    promised_by = policy.promised_by(logged.reason, logged.severity, now, profile.stay_ends_at)
    triaged = ComplaintTriaged(
        complaint_id=logged.complaint_id,
        customer_ref=logged.customer_ref,
        site=logged.site,
        language=logged.language,
        category=logged.reason,
        severity=logged.severity,
        safety=safety,
        promised_by=promised_by,
        promise_id=promise_id_of(logged.complaint_id, 0),
        warn_at=None if logged.answered and not safety else policy.warn_at(promised_by, now),
        stay_ends_at=profile.stay_ends_at,
        segment=profile.segment,
        policy_version=policy_version,
        service=logged.service,
        has_contact=(
            logged.contact is not None if logged.has_contact is None else logged.has_contact
        ),
        answered=logged.answered,
    )
    claimed = ComplaintClaimed(
        complaint_id=logged.complaint_id,
        employee_id=logged.employee_id,
        site=logged.site,
        claimed_at=now,
    )
    if not erased:
        return Decision.of(received, triaged, claimed)
    forgotten = ComplaintForgotten(
        complaint_id=logged.complaint_id,
        customer_ref=logged.customer_ref,
        more=True,  # the step that forgets the earlier ones may not have come yet
        forgotten_at=now,
    )
    return Decision.of(received, triaged, claimed, forgotten)


SLICE = Slice(
    {PraiseReceived: (Fold(Praise, lambda fact: fact.praise_id, received),)},
    indexes={Praise: stands},
)
