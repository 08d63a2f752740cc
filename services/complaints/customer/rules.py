"""A customer is described, comes back, and is erased in three steps: keys, words and contacts, a certificate. Pure rules.

The words of everybody are destroyed earlier, month by month, when the time that their site keeps them is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple

from services.complaints.lifecycle.rules import Complaint
from shared.contracts.catalogue import (
    COMPACTION_LAG_MAX,
    DEAD_LETTER_RETENTION,
    INTAKE_RETENTION,
)
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import (
    ComplaintForgotten,
    CustomerErased,
    CustomerReturned,
    ErasureCertified,
    Language,
    ProfileRecorded,
    WordsExpired,
)
from shared.contracts.lifecycle import State
from shared.contracts.months import end_of, month_after
from shared.contracts.notifier import PreferencesChanged
from shared.contracts.policy import PolicyPublished
from shared.contracts.vault import CustomerKeyDestroyed, last_over
from shared.kernel import Decision, Document, Fold, Slice, Timer, score_at

#: The timers of the second step and of the third, and the one by which words are destroyed.
FORGET, CERTIFY, WORDS = "forget", "certify", "words"
#: Who asked, if it was the operator's command.
OPERATOR = "operator"
#: Complaints forgotten in one commit, of which each is read and written; customers whose words are destroyed
#: in one.
STEP = 100
#: When a policy was just published, it is looked at once.
AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
#: Kafka drops whole segments, a while after the last record in one is too old, so the broker is not
#: asked before; it decides in the end.
CERTIFIED_AFTER = max(INTAKE_RETENTION, DEAD_LETTER_RETENTION, COMPACTION_LAG_MAX) + timedelta(
    hours=1
)


#: A backup is deleted by the next one, which takes a while.
BACKUPS_GO_WITHIN = timedelta(hours=1)
#: Two steps that were due in the same millisecond would make facts with the same ids.
NEXT_STEP_AFTER = timedelta(milliseconds=1)


class Erasure(Document):
    """The erasure of one customer; `certified_at` is None while something from before may be left."""

    KIND: ClassVar[str] = "erasure"

    site: str
    erased_at: datetime
    certified_at: datetime | None = None

    @property
    def certified_from(self) -> datetime:
        """When it may be certified at the earliest: then nothing from before should be left."""
        return self.erased_at + CERTIFIED_AFTER


class KeptProfile(Document):
    """What a hotel or booking system knows of a customer, sealed; nothing of it once they were erased."""

    KIND: ClassVar[str] = "profile"

    site: str
    #: Sealed as words; None once the customer was erased.
    profile: str | None = None
    content: str = ""
    described_at: datetime
    recorded_at: datetime

    def older(self, described_at: datetime, content: str) -> bool:
        """Whether it was said before another description; of two of the same moment one counts, whichever comes first."""
        return (self.described_at, self.content) < (described_at, content)


class ChosenLanguage(Document):
    """The language that a customer chose for what is written to them; None if they chose none, or were erased."""

    KIND: ClassVar[str] = "chosen-language"

    language: Language | None = None
    #: What they chose before may be heard of later; afterwards nobody chooses for them.
    erased: bool = False


#: A complaint of which the customer was told what was done.
HANDLED = frozenset({State.RESOLUTION_RECORDED, State.CONFIRMED, State.CLOSED_NO_RESPONSE})


def described(
    customer_ref: str, site: str, profile: str, content: str, described_at: datetime, now: datetime
) -> ProfileRecorded:
    """What is known of a customer from now on; `profile` is sealed."""
    return ProfileRecorded(
        customer_ref=customer_ref,
        site=site,
        profile=profile,
        content=content,
        described_at=described_at,
        recorded_at=now,
    )


def bought(
    complaints: Sequence[tuple[str, Complaint]],
    customer_ref: str,
    purchased_at: datetime,
    amount_minor: int | None,
    currency: str | None,
) -> Decision:
    """The customer came back after the latest of these complaints that was handled before; once for each complaint.

    Nothing if none was, so that of other purchases nothing is kept.
    """
    handled = [
        (complaint.ended_at, complaint_id, complaint)
        for complaint_id, complaint in complaints
        if complaint.state in HANDLED
        and complaint.ended_at is not None
        and complaint.ended_at < purchased_at
    ]
    if not handled:
        return Decision()
    _, complaint_id, complaint = max(handled, key=lambda one: one[:2])
    if complaint.returned_at is not None:
        return Decision()
    return Decision.of(
        CustomerReturned(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=complaint.site,
            amount_minor=amount_minor,
            currency=currency,
            purchased_at=purchased_at,
        )
    )


class DelightGiven(Document):
    """A check that a customer was given to delight: no complaint says that we know them, or how to reach them."""

    KIND: ClassVar[str] = "delight-given"

    customer_ref: str
    site: str
    delight: str
    item: str
    value_minor: int
    currency: str
    language: Language
    issued_at: datetime
    contact: str | None = None


def erase(
    customer_ref: str, keys: Sequence[str], site: str, asked_by: str, now: datetime
) -> Decision:
    """Destroy every key of a customer, by name; from this commit on nothing sealed for them can be read.

    Complaints that were received before are forgotten by the next step, so that none is missed that
    came in at the same moment.
    """
    return Decision.of(
        *destroy(customer_ref, keys, now),
        CustomerErased(customer_ref=customer_ref, site=site, asked_by=asked_by, erased_at=now),
    )


def destroy(
    customer_ref: str, keys: Sequence[str], now: datetime, *, month: str | None = None
) -> Sequence[CustomerKeyDestroyed]:
    """One fact for each key; with a month because its words are over, without because the customer is erased."""
    return [
        CustomerKeyDestroyed(customer_ref=customer_ref, name=name, destroyed_at=now, month=month)
        for name in keys
    ]


class OverKey(NamedTuple):
    """A key of one customer's words of a month that is over."""

    customer_ref: str
    month: str
    name: str


def expire(
    site: str,
    policy_version: int,
    kept: timedelta,
    over: Sequence[OverKey],
    now: datetime,
    *,
    more: bool,
) -> Decision:
    """Destroy keys of words that are over at a site; with `more` another step follows."""
    month = last_over(now, kept)
    gone = [
        fact for key in over for fact in destroy(key.customer_ref, [key.name], now, month=key.month)
    ]
    word = WordsExpired(
        site=site,
        month=month,
        policy_version=policy_version,
        more=more,
        next_at=end_of(month_after(month)) + kept,
        expired_at=now,
    )
    return Decision.of(*gone, word)


def forget(
    customer_ref: str, complaint_ids: Sequence[str], now: datetime, *, more: bool
) -> Decision:
    """Forget these complaints of an erased customer; with `more` another step follows."""
    return Decision.of(
        *(
            ComplaintForgotten(
                complaint_id=complaint_id, customer_ref=customer_ref, more=more, forgotten_at=now
            )
            for complaint_id in complaint_ids
        )
    )


def backups_gone_at(erasure: Erasure, kept: timedelta) -> datetime:
    """When no backup is left that may hold a key of the customer, if each is kept for so long, or none is taken."""
    return erasure.erased_at + (kept + BACKUPS_GO_WITHIN if kept else kept)


def certify(erasure: Erasure, customer_ref: str, now: datetime) -> Decision:
    """State that nothing is left, once."""
    if erasure.certified_at is not None:
        return Decision()
    return Decision.of(
        ErasureCertified(
            customer_ref=customer_ref,
            site=erasure.site,
            erased_at=erasure.erased_at,
            certified_at=now,
        )
    )


def erased(_: Erasure | None, fact: CustomerErased) -> Erasure:
    """The erasure has begun."""
    return Erasure(site=fact.site, erased_at=fact.erased_at)


def certified(erasure: Erasure, fact: ErasureCertified) -> Erasure:
    """The erasure is complete."""
    return erasure.model_copy(update={"certified_at": fact.certified_at})


def profiled(_: KeptProfile | None, fact: ProfileRecorded) -> KeptProfile:
    """What is known from now on."""
    return KeptProfile(
        site=fact.site,
        profile=fact.profile,
        content=fact.content,
        described_at=fact.described_at,
        recorded_at=fact.recorded_at,
    )


def unprofiled(_: KeptProfile | None, fact: CustomerErased) -> KeptProfile:
    """Nothing is known any more."""
    return KeptProfile(site=fact.site, described_at=fact.erased_at, recorded_at=fact.erased_at)


def chosen(known: ChosenLanguage | None, fact: PreferencesChanged) -> ChosenLanguage:
    """The language that they chose last; none of a customer who was erased."""
    if known is not None and known.erased:
        return known
    return ChosenLanguage(language=fact.language)


def unchosen(_: ChosenLanguage | None, _fact: CustomerErased) -> ChosenLanguage:
    """No language is known any more."""
    return ChosenLanguage(erased=True)


def looked_at_once(fact: PolicyPublished) -> Sequence[Timer]:
    """A policy that was just published may shorten how long words are kept."""
    return (Timer(WORDS, f"{fact.site}/{fact.version}", AT_ONCE),)


def looked_again(fact: WordsExpired) -> Sequence[Timer]:
    """The next step, or the next month; the timer is that of the policy's version, and ends with it."""
    due = fact.expired_at + NEXT_STEP_AFTER if fact.more else fact.next_at
    return (Timer(WORDS, f"{fact.site}/{fact.policy_version}", due),)


def delighted(_: DelightGiven | None, fact: CheckIssued) -> DelightGiven:
    """What was given to delight, and how the customer is reached."""
    return DelightGiven.model_validate(fact.model_dump(include=set(DelightGiven.model_fields)))


def delights_of(customer_ref: str) -> str:
    """The sorted set of what a customer was given to delight."""
    return f"delights/{customer_ref}"


def delight_stands(given: DelightGiven) -> Mapping[str, int]:
    """Lists what was given to delight, with its customer."""
    return {delights_of(given.customer_ref): score_at(given.issued_at)}


def customer_ref(
    fact: CustomerErased | ErasureCertified | ProfileRecorded | PreferencesChanged,
) -> str:
    """The customer of an erasure, of a profile or of preferences."""
    return fact.customer_ref


SLICE = Slice(
    {
        ProfileRecorded: (Fold(KeptProfile, customer_ref, profiled),),
        CustomerErased: (
            Fold(Erasure, customer_ref, erased),
            Fold(KeptProfile, customer_ref, unprofiled),
            Fold(ChosenLanguage, customer_ref, unchosen),
        ),
        PreferencesChanged: (Fold(ChosenLanguage, customer_ref, chosen),),
        ErasureCertified: (Fold(Erasure, customer_ref, certified),),
        WordsExpired: (),
        CheckIssued: (
            Fold(
                DelightGiven,
                lambda fact: None if fact.delight is None else fact.check_id,
                delighted,
            ),
        ),
    },
    indexes={DelightGiven: delight_stands},
    timers={
        PolicyPublished: looked_at_once,
        WordsExpired: looked_again,
        CustomerErased: lambda fact: (
            Timer(FORGET, fact.customer_ref, fact.erased_at),
            Timer(CERTIFY, fact.customer_ref, fact.erased_at + CERTIFIED_AFTER),
        ),
        ComplaintForgotten: lambda fact: (
            Timer(
                FORGET,
                fact.customer_ref,
                fact.forgotten_at + NEXT_STEP_AFTER if fact.more else None,
            ),
        ),
        ErasureCertified: lambda fact: (Timer(CERTIFY, fact.customer_ref, None),),
    },
)
