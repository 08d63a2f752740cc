"""What the notifier knows of what messages are about: complaints, checks, offers and one-time codes: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from shared.contracts.compensation import (
    Basis,
    CheckExpired,
    CheckIssued,
    CheckKind,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    OfferMade,
    Option,
    RedemptionCaptured,
    RedemptionRolledBack,
)
from shared.contracts.complaints import (
    Action,
    Category,
    ComplaintCorrected,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintReceived,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ConfirmationAsked,
    ContactChanged,
    Flag,
    Language,
    SafetyFound,
    Severity,
    TouchpointAsked,
)
from shared.contracts.intake import Disruption
from shared.contracts.lifecycle import MOVES, State
from shared.contracts.notifier import Helped
from shared.kernel import Document, Fold, Schema, Slice, score_at


class Standing(StrEnum):
    """Where a check stands for the customer who holds it."""

    USABLE = "usable"
    PARTLY_USED = "partly_used"
    USED = "used"
    SUSPENDED = "suspended"
    VOIDED = "voided"
    EXPIRED = "expired"


#: Where a till takes the code.
TAKEN = (Standing.USABLE, Standing.PARTLY_USED)


#: Changes of a contact whose letters may still wait: a code is needed for each, and of codes a day has few.
CONTACTS_MAX = 8


class Keeper(StrEnum):
    """Who has a complaint that was opened again, as its customer is told."""

    SAME = "same"
    COLLEAGUE = "colleague"
    NOBODY = "nobody"


class Story(Document):
    """What the notifier must know of a complaint to write to its customer."""

    KIND: ClassVar[str] = "story"
    SCHEMA: ClassVar[Schema] = Schema(5)

    customer_ref: str
    site: str
    language: Language
    contact: str | None = None
    #: What it was until the customer changed it last.
    contact_before: str | None = None
    #: What it was until each of the last changes, by the change's id: whoever it was is told of that one.
    contacts_before: tuple[tuple[str, str], ...] = ()
    category: Category = Category.OTHER
    promised_by: datetime | None = None
    #: How often the customer said that it did not help, as far as complaints has recorded it.
    round: int = 0
    #: The customer's words say that somebody's safety is concerned.
    safety: bool = False
    #: What of it they speak of; none where nobody's safety is concerned, and in older documents.
    flags: tuple[Flag, ...] = ()
    #: The pseudonym of who raised it.
    sender_ref: str | None = None
    #: The customer was erased.
    forgotten: bool | None = None
    #: The complaint that goes on for it.
    merged_into: str | None = None
    #: Where it stands; None in older documents, until it moves again.
    state: State | None = None
    #: Whether a message reaches the customer: they have a mail address. None in older documents.
    reachable: bool | None = None
    #: What the customer was asked last, and what was done last; the ids of Question and Resolution.
    question_id: str | None = None
    resolution_id: str | None = None
    #: Where at the site it happened, sealed, and when it was received, or a touchpoint was passed; None if it was not told.
    place: str | None = None
    received_at: datetime | None = None
    #: The outside body that it was referred to last, by its id in the policy.
    referred_to: str | None = None
    #: Who has it after a no of the customer.
    keeper: Keeper | None = None
    #: When the customer last said whether it helped, or took it back.
    said_at: datetime | None = None
    #: How bad it is for the customer; None in older documents.
    severity: Severity | None = None
    #: What they said on their page at that moment; None if they said it by a letter's link, or something was done since.
    helped: Helped | None = None
    #: What goes wrong, where we saw it before they said anything.
    disruption: Disruption | None = None
    #: The touchpoint that they are asked about; None of a complaint, and of what was given to delight.
    touchpoint: str | None = None


class SiteCustomer(Document):
    """A customer of a site, known by a complaint there, by what they were given to delight, or by a question."""

    KIND: ClassVar[str] = "site-customer"

    complaint_id: str
    #: When they last complained, or said that it did not help; None in older documents.
    complained_at: datetime | None = None


class GivenCheck(Document):
    """The parts of a check that a message needs; titles come from the policy that it was given under."""

    KIND: ClassVar[str] = "given"
    SCHEMA: ClassVar[Schema] = Schema(2)

    complaint_id: str
    item: str
    policy_version: int
    value_minor: int
    currency: str
    percent: int | None = None
    bill_up_to_minor: int | None = None
    code: str
    valid_until: datetime
    valid_at: tuple[str, ...] = ()
    reason: Category = Category.OTHER
    basis: Basis = Basis.GOODWILL
    regime: str | None = None
    information: str | None = None
    #: The occasion of the policy on which it was given to delight; None if it was given for a complaint.
    delight: str | None = None


class CheckLife(Document):
    """What became of a check after it was given, folded from compensation's facts."""

    KIND: ClassVar[str] = "check-life"

    redeemed_minor: int = 0
    redeemed_at: datetime | None = None
    suspended: bool = False
    voided: bool = False
    expired: bool = False

    def left_minor(self, check: GivenCheck) -> int:
        """What can still be redeemed, in minor units; a percentage is spent after one use."""
        if check.percent is not None and self.redeemed_minor:
            return 0
        return check.value_minor - self.redeemed_minor

    def standing(self, check: GivenCheck, now: datetime) -> Standing:
        """Where the check stands now; a used check stays used whatever comes after."""
        if self.redeemed_minor and not self.left_minor(check):
            return Standing.USED
        if self.voided:
            return Standing.VOIDED
        if not check.value_minor:  # an apology does not expire and has no code to suspend
            return Standing.USABLE
        if self.expired or check.valid_until <= now:
            return Standing.EXPIRED
        if self.suspended:
            return Standing.SUSPENDED
        return Standing.PARTLY_USED if self.redeemed_minor else Standing.USABLE


class Offered(Document):
    """The parts of an offer that a message needs: options, until when, and what is due by law besides."""

    KIND: ClassVar[str] = "offered"

    policy_version: int
    currency: str
    #: Items by value in minor units, as stored before options carried percentages.
    items: tuple[tuple[str, int], ...] = ()
    options: tuple[Option, ...] = ()
    expires_at: datetime
    reason: Category = Category.OTHER
    regime: str | None = None
    information: str | None = None

    def choices(self) -> Sequence[Option]:
        """The options, also of an offer that was stored before options carried percentages."""
        return self.options or tuple(
            Option(
                item=item,
                kind=CheckKind.EXPERIENCE,
                value_minor=value,
                cost_minor=0,
                currency=self.currency,
            )
            for item, value in self.items
        )


class OneTimeCode(Document):
    """A one-time code that a customer is sent: sealed, what it is for, and until when it is taken."""

    KIND: ClassVar[str] = "one-time-code"

    action: Action
    code: str
    expires_at: datetime


def customer_at(site: str, customer_ref: str) -> str:
    """The id of a customer at a site."""
    return f"{site}/{customer_ref}"


def customer_known(
    known: SiteCustomer | None,
    fact: ComplaintReceived | ComplaintReopened | CheckIssued | TouchpointAsked,
) -> SiteCustomer:
    """The customer, known by the complaint, gift or question with the least id: facts of two topics come in any order."""
    name = fact.asking_id if isinstance(fact, TouchpointAsked) else fact.complaint_id
    if known is None:
        known = SiteCustomer(complaint_id=name)
    moments = [known.complained_at] if known.complained_at is not None else []
    if isinstance(fact, ComplaintReceived):
        moments.append(fact.received_at)
    if isinstance(fact, ComplaintReopened) and fact.reopened_at is not None:
        moments.append(fact.reopened_at)
    return SiteCustomer(
        complaint_id=min(known.complaint_id, name), complained_at=max(moments, default=None)
    )


def moment_of(complaint_id: str, moment: datetime) -> str:
    """The id of what happened to a complaint at a moment: it may happen again, at another."""
    return f"{complaint_id}/{score_at(moment)}"


def story_received(story: Story | None, fact: ComplaintReceived) -> Story:
    """The complaint with its customer, language and contact."""
    told: dict[str, Any] = {
        "customer_ref": fact.customer_ref,
        "site": fact.site,
        "language": fact.language,
        "contact": fact.contact,
        "place": fact.place,
        "received_at": fact.received_at,
        "disruption": fact.disruption,
    }
    return story.model_copy(update=told) if story else Story(**told)


def story_delighted(_: Story | None, fact: CheckIssued) -> Story:
    """What is known of a customer who is given a check to delight; there is no complaint."""
    return Story(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        contact=fact.contact,
        reachable=fact.reachable,
        received_at=fact.issued_at,
    )


def story_asked(_: Story | None, fact: TouchpointAsked) -> Story:
    """What is known of a customer who is asked about a touchpoint; there is no complaint."""
    return Story(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        contact=fact.contact,
        reachable=True,
        received_at=fact.passed_at,
        touchpoint=fact.touchpoint,
    )


def story_promised(story: Story | None, fact: ComplaintTriaged | ComplaintReopened) -> Story:
    """The complaint with its promise; the received fact comes first on the same partition."""
    known = story or Story(
        customer_ref=fact.customer_ref, site=fact.site, language=fact.language, contact=None
    )
    update: dict[str, object] = {
        "state": MOVES[type(fact)].to,
        "promised_by": fact.promised_by,
        "reachable": fact.has_contact,
    }
    if isinstance(fact, ComplaintReopened):
        keeper = Keeper.NOBODY if fact.employee_id is None else Keeper.SAME
        update |= {
            "round": fact.round,
            "keeper": keeper if fact.passed_from is None else Keeper.COLLEAGUE,
            "said_at": fact.reopened_at or known.said_at,
            "helped": said_by_link(fact),
        }
    else:
        update |= {
            "category": fact.category,
            "safety": fact.safety,
            "flags": fact.flags if fact.safety else (),
            "severity": fact.severity,
            "sender_ref": fact.sender_ref,
        }
    return known.model_copy(update=update)


def said_by_link(fact: ComplaintReopened) -> Helped | None:
    """What the customer said on their page; None if they said it elsewhere."""
    if not fact.by_link:
        return None
    return Helped.PARTLY if fact.partly else Helped.NO


def story_endangered(story: Story, fact: SafetyFound) -> Story:
    """The complaint about somebody's safety, with the promise that is sooner if the fact has one."""
    update = {
        "safety": True,
        "flags": tuple(one for one in Flag if one in {*story.flags, *fact.flags}),
        "severity": Severity.SEVERE,
        "promised_by": fact.promised_by or story.promised_by,
    }
    return story.model_copy(update=update)


def story_corrected(story: Story, fact: ComplaintCorrected) -> Story:
    """The complaint as an employee put it right, with the promise that is sooner if the fact has one.

    Its flags stay, because danger that was found stays found.
    """
    update = {
        "category": fact.category,
        "severity": fact.severity,
        "promised_by": fact.promised_by or story.promised_by,
    }
    return story.model_copy(update=update)


def story_contact(story: Story, fact: ContactChanged) -> Story:
    """The complaint with another contact; none for a customer who was erased."""
    if story.forgotten:
        return story
    change = moment_of(fact.complaint_id, fact.changed_at)
    before = (*story.contacts_before, (change, story.contact)) if story.contact else ()
    return story.model_copy(
        update={
            "contact": fact.contact,
            "contact_before": story.contact,
            "contacts_before": before[-CONTACTS_MAX:],
            "reachable": True,
        }
    )


def story_forgotten(story: Story, _: ComplaintForgotten) -> Story:
    """The complaint without its contact and place: the customer was erased."""
    return story.model_copy(
        update={
            "contact": None,
            "contact_before": None,
            "contacts_before": (),
            "place": None,
            "flags": (),
            "reachable": False,
            "forgotten": True,
        }
    )


def story_merged(story: Story, fact: ComplaintMerged) -> Story:
    """Another complaint goes on for this one."""
    return story.model_copy(update={"merged_into": fact.into, "state": MOVES[type(fact)].to})


def story_split(story: Story, fact: ComplaintSplit) -> Story:
    """The complaint stands by itself again."""
    return story.model_copy(
        update={
            "merged_into": None,
            "state": MOVES[type(fact)].to,
            "promised_by": fact.promised_by or story.promised_by,
        }
    )


def given(_: GivenCheck | None, fact: CheckIssued) -> GivenCheck:
    """The check as it was given."""
    return GivenCheck.model_validate(fact.model_dump(include=set(GivenCheck.model_fields)))


def redeemed(life: CheckLife | None, fact: RedemptionCaptured) -> CheckLife:
    """The check after a till redeemed a part of it, or all."""
    life = life or CheckLife()
    redeemed_minor = life.redeemed_minor + fact.amount_minor
    return life.model_copy(
        update={"redeemed_minor": redeemed_minor, "redeemed_at": fact.captured_at}
    )


def rolled_back(life: CheckLife | None, fact: RedemptionRolledBack) -> CheckLife:
    """The check after a redemption was undone."""
    life = life or CheckLife()
    redeemed_minor = max(0, life.redeemed_minor - fact.amount_minor)
    return life.model_copy(update={"redeemed_minor": redeemed_minor})


def _life(**changes: bool) -> tuple[Fold]:
    return (
        Fold(
            CheckLife,
            lambda fact: fact.check_id,
            lambda life, _: (life or CheckLife()).model_copy(update=changes),
        ),
    )


def offered(_: Offered | None, fact: OfferMade) -> Offered:
    """The offer as it was made."""
    return Offered(
        policy_version=fact.policy_version,
        currency=fact.options[0].currency,
        options=fact.options,
        expires_at=fact.expires_at,
        reason=fact.reason,
        regime=fact.regime,
        information=fact.information,
    )


def code_sent(_: OneTimeCode | None, fact: ConfirmationAsked) -> OneTimeCode:
    """The code as it was asked for."""
    return OneTimeCode(action=fact.action, code=fact.code, expires_at=fact.expires_at)


_KNOWN = Fold(SiteCustomer, lambda fact: customer_at(fact.site, fact.customer_ref), customer_known)
SLICE = Slice(
    {
        ComplaintReceived: (
            Fold(Story, lambda fact: fact.complaint_id, story_received),
            _KNOWN,
        ),
        ComplaintTriaged: (Fold(Story, lambda fact: fact.complaint_id, story_promised),),
        ComplaintReopened: (
            Fold(Story, lambda fact: fact.complaint_id, story_promised),
            _KNOWN,
        ),
        TouchpointAsked: (
            Fold(Story, lambda fact: fact.asking_id, story_asked),
            _KNOWN,
        ),
        SafetyFound: (Fold(Story, lambda fact: fact.complaint_id, story_endangered),),
        ComplaintCorrected: (Fold(Story, lambda fact: fact.complaint_id, story_corrected),),
        ComplaintForgotten: (Fold(Story, lambda fact: fact.complaint_id, story_forgotten),),
        ContactChanged: (Fold(Story, lambda fact: fact.complaint_id, story_contact),),
        ConfirmationAsked: (Fold(OneTimeCode, lambda fact: fact.confirmation_id, code_sent),),
        ComplaintMerged: (Fold(Story, lambda fact: fact.complaint_id, story_merged),),
        ComplaintSplit: (Fold(Story, lambda fact: fact.complaint_id, story_split),),
        CheckIssued: (
            Fold(GivenCheck, lambda fact: fact.check_id, given),
            Fold(
                Story,
                lambda fact: None if fact.delight is None else fact.complaint_id,
                story_delighted,
            ),
            Fold(
                SiteCustomer,
                lambda fact: (
                    None if fact.delight is None else customer_at(fact.site, fact.customer_ref)
                ),
                customer_known,
            ),
        ),
        CheckVoided: _life(voided=True),
        CheckExpired: _life(expired=True),
        CheckSuspended: _life(suspended=True),
        CheckResumed: _life(suspended=False),
        RedemptionCaptured: (Fold(CheckLife, lambda fact: fact.check_id, redeemed),),
        RedemptionRolledBack: (Fold(CheckLife, lambda fact: fact.check_id, rolled_back),),
        OfferMade: (Fold(Offered, lambda fact: fact.offer_id, offered),),
    }
)
