"""A site's policy: authority, limits, catalogue and promises, as data.

One file, validated as a whole, published as one fact; every decision records its version. Reading a
published policy is tolerant like reading any fact; `shared.runtime.policy_file` reads the file strictly, so
that a misspelt limit is an error and not a missing one. Contradictions between fields are reported
with the place they are at, like any other error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Annotated, ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.contracts.compensation import INCIDENT_COUNT_MAX, Basis, CheckKind, Option
from shared.contracts.complaints import (
    Category,
    JourneyStep,
    Language,
    Service,
    Severity,
    Subcategory,
)
from shared.contracts.data import About, Data
from shared.contracts.event import AmountMinor, Currency, Id, SiteId
from shared.contracts.hours import Weekday, after, between, zone_of
from shared.contracts.intake import E164, Contact, MessageChannel, Spoken
from shared.contracts.vault import WORDS_KEPT, WORDS_KEPT_MIN
from shared.kernel import Fact
from shared.money import AMOUNT_MINOR_MAX

#: The role whose authority applies to employees of a role without amounts of its own.
ANY_ROLE = "any"

#: An amount of nothing would be no authority at all, so ceilings start at one minor unit.
CeilingMinor = Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MINOR_MAX)]
#: ISO 8601 like PT15M or P7D. Two years is longer than anything a site promises.
Duration = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=731))]
#: Short and without "/", so that `<item>/<amount>` is an id too and means one thing.
ItemId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=96)]
#: Questions of a survey: more are answered by few.
SURVEY_MAX = 3


def _local(at: time) -> time:
    """A time of day as it is written; raises PydanticCustomError for what would be lost in writing."""
    if at.tzinfo is not None:
        why = "must be a local time without a zone"
    elif at.microsecond:
        why = "must be a time of whole seconds"
    else:
        return at
    raise PydanticCustomError("contradiction", "{why}", {"why": why})


#: A time like "06:00" in the policy's time zone.
LocalTime = Annotated[
    time,
    AfterValidator(_local),
    PlainSerializer(lambda t: t.strftime("%H:%M:%S"), return_type=str),
    # As it is read, so that documents have one schema of what is read and written.
    WithJsonSchema({"type": "string", "format": "time"}, mode="serialization"),
]
Title = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Names = Annotated[dict[Language, Title], Field(min_length=1, max_length=16)]
#: Some sentences, as somebody reads them before they speak.
Say = Annotated[
    dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=1000)]],
    Field(max_length=16),
]
#: A page of others that customers open from ours; `https` alone, so that no script can stand in its place.
PageUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/?=&%+-]*)?$", max_length=300
    ),
]
Loc = tuple[str | int, ...]
#: A contradiction between fields: its location, the value found, what is wrong with it.
Contradiction = tuple[Loc, object, str]


class Part(BaseModel):
    """A part of a policy: immutable; contradictions between its fields are checked after the fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def contradictions(self) -> Iterator[Contradiction]:
        """The contradictions between fields that are valid by themselves."""
        return iter(())

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        found = [
            InitErrorDetails(
                type=PydanticCustomError("contradiction", "{why}", {"why": why}), loc=loc, input=got
            )
            for loc, got, why in self.contradictions()
        ]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self


class RoleAuthority(Part):
    """What one employee of a role may give alone: in one check, and in one shift, day and week.

    A window without a ceiling is bounded by the others alone; the day always has one.
    """

    per_check: CeilingMinor = Field(
        description="Ceiling of one check, in minor units of the policy's `currency`."
    )
    per_shift: CeilingMinor | None = Field(
        None,
        description="Ceiling of one employee's shift, in minor units of the policy's `currency`; null for none of its own.",
    )
    per_day: CeilingMinor = Field(
        description="Ceiling of one employee's business day, in minor units of the policy's `currency`."
    )
    per_week: CeilingMinor | None = Field(
        None,
        description="Ceiling of one employee's week, in minor units of the policy's `currency`; null for none of its own.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """A ceiling above that of a larger window, which could never be reached."""
        ordered = [
            (name, amount)
            for name in ("per_check", "per_shift", "per_day", "per_week")
            if (amount := getattr(self, name)) is not None
        ]
        for (name, amount), (larger, bound) in pairwise(ordered):
            if amount > bound:
                yield (name,), amount, f"must not be above {larger} ({bound})"


class Stretch(Part):
    """The band above an employee's own ceilings: granted at once, explained afterwards."""

    percent: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        25, description="Width of the band, in per cent of each of the employee's own ceilings."
    )
    times_per_shift: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        1, description="Number of times that one employee may stretch in a shift."
    )
    explain_within: Duration = Field(
        timedelta(hours=24),
        description="Duration after a stretch within which it is explained in one line.",
    )


class Authority(Part):
    """Authority by role. A role without amounts of its own (null) has what `any` has."""

    day_starts: LocalTime = Field(
        time(0, 0),
        description="Local time at which an employee's day begins and what was given starts from zero; a week begins with Monday's day.",
    )
    shifts_start: Annotated[tuple[LocalTime, ...], Field(max_length=12)] = Field(
        (),
        description="Local times at which shifts begin; without any, the whole day is one shift.",
    )
    roles: Annotated[dict[Id, RoleAuthority | None], Field(min_length=1, max_length=200)] = Field(
        description="Ceilings by role; a role that is null has those of `any`, which must have some."
    )
    stretch: Stretch | None = Field(
        None, description="The band above an employee's own ceilings; null for none."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """A missing role `any`, and a shift that is listed twice."""
        if self.roles.get(ANY_ROLE) is None:
            yield (
                ("roles",),
                sorted(self.roles),
                'needs a role "any" with amounts: every rank has some',
            )
        if len(set(self.shifts_start)) < len(self.shifts_start):
            yield ("shifts_start",), [str(at) for at in self.shifts_start], "lists a time twice"


class CustomerLimit(Part):
    """What one customer may be given: in the whole stay, in a day, and how often in a day."""

    per_stay: CeilingMinor = Field(
        description="Ceiling of one customer's stay, in minor units of the policy's `currency`."
    )
    stay_days: Annotated[int, Field(strict=True, ge=1, le=366)] | None = Field(
        None,
        description="Number of days a stay lasts, from the day on which the customer is first given something; null if it never ends.",
    )
    per_day: CeilingMinor | None = Field(
        None,
        description="Ceiling of one customer's business day, in minor units of the policy's `currency`; null for none of its own.",
    )
    checks_per_day: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        20, description="Number of checks that one customer may be given in a business day."
    )


class ComplaintLimit(Part):
    """What may be given for one complaint, and when a second employee may add to it without saying so."""

    total: CeilingMinor = Field(
        description="Ceiling of everything given for one complaint, in minor units of the policy's `currency`."
    )
    apart: Duration = Field(
        timedelta(minutes=10),
        description="Duration after a colleague's check in which the answer is `already_compensated`, unless the employee says that it is meant (`again`).",
    )


class SiteLimit(Part):
    """What the whole site may give."""

    per_day: CeilingMinor = Field(
        description="Ceiling of everything given at the site in a business day, in minor units of the policy's `currency`."
    )


class Limits(Part):
    """Ceilings that everybody at the site shares."""

    customer: CustomerLimit = Field(description="Ceilings of one customer.")
    complaint: ComplaintLimit = Field(description="Ceiling of one complaint.")
    site: SiteLimit = Field(description="Ceiling of the whole site.")


class CatalogueItem(Part):
    """Something that can be given. An empty `fits` fits every category.

    An experience has a cost to us and a value to the customer; a gift card has amounts; money and a
    refund have any amount `up_to`, in steps; a percentage is of a bill of at most `bill_up_to`; an
    apology costs nothing.
    """

    kind: CheckKind = Field(description="What form it has; it decides which amounts are needed.")
    title: Annotated[dict[Language, Title], Field(min_length=1, max_length=16)] = Field(
        description="What it is called, by language."
    )
    cost: AmountMinor | None = Field(
        None,
        description="What it costs the site, in minor units of the policy's `currency`; of an experience.",
    )
    value: AmountMinor | None = Field(
        None,
        description="What it is worth to the customer, in minor units of the policy's `currency`; of an experience.",
    )
    amounts: Annotated[tuple[CeilingMinor, ...], Field(max_length=16)] = Field(
        (),
        description="Amounts that are offered, in minor units of the policy's `currency`; of a gift card.",
    )
    up_to: CeilingMinor | None = Field(
        None,
        description="The largest amount, in minor units of the policy's `currency`; of money and refunds.",
    )
    step: CeilingMinor = Field(
        100,
        description="Amounts are multiples of this, in minor units of the policy's `currency`; of money and refunds.",
    )
    percents: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=100)], ...], Field(max_length=16)
    ] = Field((), description="Discounts that are offered, in per cent of a bill; of a percentage.")
    bill_up_to: CeilingMinor | None = Field(
        None,
        description="The largest bill that a percentage holds for, in minor units of the policy's `currency`.",
    )
    cost_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        100, description="What a gift card costs the site, in per cent of its amount."
    )
    valid: Duration = Field(
        timedelta(days=7), description="Duration from giving it to the end of its time."
    )
    valid_at: Annotated[tuple[Id, ...], Field(max_length=16)] = Field(
        (), description="Outlets that take it, by their ids; everywhere at the site if empty."
    )
    fits: Annotated[tuple[Category, ...], Field(max_length=32)] = Field(
        (), description="Categories of complaints that it suits; every category if empty."
    )
    during_stay: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Whether it is of use during the stay alone: its time ends when the customer leaves, and it is not offered to who left.",
    )

    def fits_category(self, category: Category) -> bool:
        """Whether it suits a complaint of this category."""
        return not self.fits or category in self.fits

    def ends_at(self, now: datetime, stay_ends_at: datetime | None) -> datetime:
        """When its time is over if it is given now; what an employee gives to who left has its whole time."""
        by = now + self.valid
        if not self.during_stay or stay_ends_at is None or stay_ends_at <= now:
            return by
        return min(by, stay_ends_at)

    def option(self, amount: str) -> tuple[int, int] | None:
        """Cost and value in minor units of one amount of this item, or None if it is not offered."""
        # One amount has one spelling: no leading zeros, no digits of other scripts.
        number = int(amount) if re.fullmatch(r"[1-9][0-9]{0,11}", amount) else None
        match self.kind:
            case CheckKind.GIFT_CARD:
                if number not in self.amounts:
                    return None
                return -(-number * self.cost_percent // 100), number
            case CheckKind.MONEY | CheckKind.REFUND:
                if number is None or not 0 < number <= (self.up_to or 0) or number % self.step:
                    return None
                return number, number
            case CheckKind.PERCENTAGE:
                if number not in self.percents:
                    return None
                most = -(-number * (self.bill_up_to or 0) // 100)
                return most, most
            case _:
                return None if amount else (self.cost or 0, self.value or 0)

    def amounts_offered(self, most_minor: int | None = None) -> Iterator[str]:
        """The amounts to show; for money and refunds the largest that costs at most `most_minor`."""
        match self.kind:
            case CheckKind.GIFT_CARD:
                yield from map(str, self.amounts)
            case CheckKind.PERCENTAGE:
                yield from map(str, self.percents)
            case CheckKind.MONEY | CheckKind.REFUND:
                up_to = self.up_to or 0
                largest = up_to if most_minor is None else min(up_to, most_minor)
                if largest >= self.step:
                    yield str(largest - largest % self.step)
            case _:
                yield ""

    def contradictions(self) -> Iterator[Contradiction]:
        """Amounts that its kind needs and lacks, and amounts that only other kinds have."""
        has = {
            "cost": self.cost,
            "value": self.value,
            "amounts": self.amounts or None,
            "up_to": self.up_to,
            "percents": self.percents or None,
            "bill_up_to": self.bill_up_to,
        }
        needed = NEEDED[self.kind]
        for name, got in has.items():
            if name in needed and got is None:
                yield (name,), None, f"{KIND_WORDS[self.kind]} needs {name}"
            elif self.kind is CheckKind.APOLOGY and name in {"cost", "value"}:
                if got:
                    yield (name,), got, f"an apology has no {name}"
            elif name not in needed and got is not None:
                yield (name,), got, f"{KIND_WORDS[self.kind]} has no {name}"
        for name, listed in (("amounts", self.amounts), ("percents", self.percents)):
            if len(set(listed)) < len(listed):
                yield (name,), listed, "lists one twice"
        if self.up_to is not None and self.up_to < self.step:
            yield ("up_to",), self.up_to, f"must not be below step ({self.step})"


#: The amounts that each kind has; any other amount is a mistake in the file.
NEEDED: dict[CheckKind, tuple[str, ...]] = {
    CheckKind.EXPERIENCE: ("cost", "value"),
    CheckKind.GIFT_CARD: ("amounts",),
    CheckKind.MONEY: ("up_to",),
    CheckKind.REFUND: ("up_to",),
    CheckKind.PERCENTAGE: ("percents", "bill_up_to"),
    CheckKind.APOLOGY: (),
}
KIND_WORDS: dict[CheckKind, str] = {
    CheckKind.EXPERIENCE: "an experience",
    CheckKind.GIFT_CARD: "a gift card",
    CheckKind.MONEY: "money",
    CheckKind.REFUND: "a refund",
    CheckKind.PERCENTAGE: "a percentage",
    CheckKind.APOLOGY: "an apology",
}


class Playbook(Part):
    """For one category and severity: by when the customer hears from us, and what to suggest first."""

    promise: Duration = Field(
        description="Duration after which the customer has heard from us at the latest."
    )
    suggest: Annotated[tuple[Id, ...], Field(max_length=16)] = Field(
        (), description="Options to show first, best first, by their names."
    )
    fixes: Annotated[tuple[ItemId, ...], Field(max_length=16)] = Field(
        (),
        description="What to do about the cause, best first, by the names of fixes; every fix that fits if empty.",
    )
    say: Say = Field({}, description="What to say to the customer, by language.")
    channel: Spoken | None = Field(
        None,
        description="Channel on which the customer is answered first; null if any will do.",
    )


#: Shown in a mail program's list; quotes, brackets and line ends would end the header's field.
SenderName = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"""^[^\r\n\t"<>@,;:\\]+$""")
]
#: What networks show as the sender: a number, or up to 11 characters with a letter among them (GSM 03.38).
SmsSender = Annotated[
    str, StringConstraints(pattern=rf"^({E164.pattern}|[A-Za-z][A-Za-z0-9]{{0,10}})$")
]


class Retry(Part):
    """How a message that the provider did not accept is tried again; the delay doubles each time.

    Each delay is shortened by up to a quarter, so that messages which failed together do not come together.
    """

    first_delay: Duration = Field(
        timedelta(seconds=5),
        description="Duration before the second attempt; doubles with each later one.",
    )
    attempts_max: Annotated[int, Field(strict=True, ge=1, le=50)] = Field(
        8, description="Number of attempts after which a message has failed."
    )
    within: Duration = Field(
        timedelta(days=3),
        description="Duration since the message was due after which it is not tried again.",
    )


class Acknowledge(Part):
    """Bounds on acknowledgements per day, because anybody can complain in the name of any address.

    The day is the calendar day at the site.
    """

    per_address: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        10,
        description="Number of acknowledgements a day to one address, whoever raised the complaints.",
    )
    per_person: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        20,
        description="Number of acknowledgements a day because of one customer who raises complaints by themselves.",
    )
    per_source: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        10_000,
        description="Number of acknowledgements a day because of one other system, or of all desks of a site.",
    )


#: What a site says in letters in its own words, by language.
InLetters = Annotated[
    dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=200)]],
    Field(max_length=16),
]


#: What a site says to everybody, in all its languages; as long as a text message that is read to its end.
Prepared = Annotated[
    dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=400)]],
    Field(min_length=1, max_length=16),
]


class QuietHours(Part):
    """A time of each day in which nobody is disturbed; over midnight if `ends` is not after `starts`."""

    starts: LocalTime = Field(description="Local time at which it begins.")
    ends: LocalTime = Field(description="Local time from which messages go again.")

    def contradictions(self) -> Iterator[Contradiction]:
        """Hours without an end."""
        if self.starts == self.ends:
            yield ("ends",), str(self.ends), "must not be `starts`: no message would go at all"


#: How soon those who must know about safety say that they saw it: nobody gets to a screen sooner than the first, and
#: after the second nobody is told in time.
SEEN_WITHIN_MIN, SEEN_WITHIN_MAX = timedelta(minutes=1), timedelta(hours=1)


class Notify(Part):
    """How customers are told."""

    mail_from: Annotated[
        str, StringConstraints(max_length=254, pattern=r"""^[^@\s<>"',;:]+@[^@\s<>"',;:]+$""")
    ] = Field(description="Address that letters come from.")
    retry: Retry = Field(
        Retry(), description="How a message that the provider did not take is tried again."
    )
    acknowledge: Acknowledge = Field(Acknowledge(), description="Daily bounds on acknowledgements.")
    promise: InLetters = Field(
        {},
        description="What the site promises its customers, in a sentence of acknowledgements, by language.",
    )
    signed: InLetters = Field(
        {}, description="Who signs letters, above the name of the site, by language."
    )
    feedback_again_after: Duration | None = Field(
        None,
        description="Duration after which a customer who did not say whether it helped is asked once more; null for never.",
    )
    check_ends_before: Duration | None = Field(
        None,
        description="Duration before the end of a check at which its customer is reminded of it, if something is left on it; null for never.",
    )
    at_risk: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Whether customers are told that a promised time is near and may not be kept; if not, whoever has the complaint is warned alone.",
    )
    channels: Annotated[tuple[MessageChannel, ...], Field(min_length=1, max_length=2)] = Field(
        (MessageChannel.EMAIL,),
        description="Channels by which customers are told, first choice first; the next one is taken where the customer has no address on a channel, or the message cannot be delivered by it.",
    )
    providers: Annotated[
        dict[MessageChannel, Annotated[tuple[Id, ...], Field(min_length=1, max_length=8)]],
        Field(max_length=2),
    ] = Field(
        {},
        description="Providers of a channel, first choice first, by their ids in the notifier's own file; all of the file, in its order, where a channel is not listed.",
    )
    sender_name: SenderName | None = Field(
        None, description="Name that letters come from, beside `mail_from`."
    )
    sms_from: SmsSender | None = Field(
        None,
        description="Number in E.164, or name of at most 11 letters and digits, that text messages come from; null where the provider knows.",
    )
    calling_code: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")] | None = Field(
        None,
        description="Country calling code of telephone numbers that were written without one; null where such numbers are not used.",
    )
    segments_max: Annotated[int, Field(strict=True, ge=1, le=10)] = Field(
        3,
        description="Number of segments of a text message at most; longer words are cut, a link never.",
    )
    quiet_hours: QuietHours | None = Field(
        None,
        description="Time of each day, on the site's clock, in which messages wait that are no answer to what the customer did a moment ago; null for none.",
    )
    per_day: Annotated[int, Field(strict=True, ge=1, le=50)] = Field(
        6,
        description="Number of messages a day, on the site's clock, from which one customer gets what can wait as one digest on the next day.",
    )
    digest_at: LocalTime = Field(
        time(9),
        description="Time of day, on the site's clock, at which a digest goes; later if the customer is not disturbed then.",
    )
    safety: Annotated[tuple[Id, ...], Field(max_length=16)] = Field(
        (),
        description="Role mailboxes that are told when somebody's safety is concerned, by their ids; the notifier's own file has the addresses.",
    )
    safety_seen_within: Annotated[timedelta, Field(ge=SEEN_WITHIN_MIN, le=SEEN_WITHIN_MAX)] = Field(
        timedelta(minutes=5),
        description="Duration, from PT1M to PT1H, within which one of them says that they saw it; otherwise all are told once more, by another channel where there is one.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """A mailbox, channel or provider that is named twice, which would be taken once."""
        if len(set(self.safety)) < len(self.safety):
            yield ("safety",), self.safety, "lists one twice"
        if len(set(self.channels)) < len(self.channels):
            yield ("channels",), self.channels, "lists one twice"
        for channel, names in self.providers.items():
            if len(set(names)) < len(names):
                yield ("providers", channel), names, "lists one twice"

    def address(self, contact: Contact, channel: MessageChannel) -> str | None:
        """Where messages of a channel go to this customer; None where there is no address."""
        return contact.address(channel, self.calling_code)

    def sender(self, channel: MessageChannel) -> str:
        """Whom messages of a channel come from; empty where the provider knows."""
        return self.mail_from if channel is MessageChannel.EMAIL else self.sms_from or ""

    def reaches(self, contact: Contact | None) -> bool:
        """Whether a message reaches this customer by any channel of the site."""
        return contact is not None and any(
            self.address(contact, channel) is not None for channel in self.channels
        )


def _shortens(kept: timedelta) -> timedelta:
    """A time for which words are kept; raises PydanticCustomError with a sentence for one out of bounds."""
    if kept > WORDS_KEPT:
        why = f"must not be above P{WORDS_KEPT.days}D: a policy may only shorten how long words are kept"
    elif kept < WORDS_KEPT_MIN:
        why = f"must not be below P{WORDS_KEPT_MIN.days}D: whoever works on a case reads them"
    else:
        return kept
    raise PydanticCustomError("contradiction", "{why}", {"why": why})


WordsKept = Annotated[timedelta, AfterValidator(_shortens), Field(ge=WORDS_KEPT_MIN, le=WORDS_KEPT)]


class Retention(Part):
    """How long what customers and employees wrote is kept, where the site keeps it for less than the product does."""

    words: WordsKept = Field(
        WORDS_KEPT,
        description="Duration after the end of their month for which words can be read; where sites share a customer, the shortest.",
    )


class IncidentRule(Part):
    """When complaints are one incident: so many customers, one category, within this time."""

    count: Annotated[int, Field(strict=True, ge=2, le=INCIDENT_COUNT_MAX)] = Field(
        description="Number of customers from which it is an incident."
    )
    within: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=1))] = Field(
        description="Duration within which their complaints came."
    )
    reasons: Annotated[tuple[Category, ...], Field(max_length=32)] = Field(
        (), description="Categories that can be an incident; every category if empty."
    )


class Incidents(Part):
    """What an incident gives: one check for each customer, from a budget of its own."""

    open_when: IncidentRule = Field(description="When many complaints are one incident.")
    give: Id = Field(description="The check for everybody affected, by its name in the catalogue.")
    budget: CeilingMinor = Field(
        description="What all its checks may cost together, in minor units of the policy's `currency`."
    )
    words: Annotated[dict[Category, Prepared], Field(max_length=32)] = Field(
        {},
        description="What the site says of an incident, by category and language: in letters to whom it affects, on the pages of complaints of the category while the incident stands, and to everybody at `/incidents/<site>.json`. Of a category without words no letter goes.",
    )


class Regime(Part):
    """A right that customers have by law: which complaints it covers, and what they must be told."""

    law: Title = Field(
        description="Name of the law; letters cite it where `cited` has none in their language."
    )
    cited: Annotated[dict[Language, Title], Field(max_length=16)] = Field(
        {}, description="How letters cite the law, by language."
    )
    reasons: Annotated[tuple[Category, ...], Field(min_length=1, max_length=32)] = Field(
        description="Categories of complaints that it covers."
    )
    services: Annotated[tuple[Service, ...], Field(max_length=16)] = Field(
        (), description="Services whose failure it covers; every service if empty."
    )
    information: Annotated[
        dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=2000)]],
        Field(min_length=1, max_length=16),
    ] = Field(description="What the customer must be told, by language.")

    def covers(self, reason: Category, service: Service | None, basis: Basis) -> bool:
        """Whether it covers a complaint of this category about this service.

        A regime that names services covers only those. If the service is unknown, it covers statutory
        checks alone: the employee who gives one says that the law asks for it.
        """
        if reason not in self.reasons:
            return False
        if not self.services or service in self.services:
            return True
        return service is None and basis is Basis.STATUTORY

    def overlaps(self, other: Regime) -> bool:
        """Whether both can cover the same complaint."""
        same = not self.services or not other.services or set(self.services) & set(other.services)
        return bool(same and set(self.reasons) & set(other.reasons))


class Department(Part):
    """A group of employees who are asked together to take a complaint over."""

    title: Names = Field(description="What it is called, by language.")
    roles: Annotated[tuple[Id, ...], Field(min_length=1, max_length=50)] = Field(
        description="Roles of the roster whose employees belong to it."
    )
    fits: Annotated[tuple[Category, ...], Field(max_length=32)] = Field(
        (), description="Categories of complaints that it sees to; none in particular if empty."
    )


class Body(Part):
    """An outside body that a complaint can be referred to, such as an ombudsman or a board for consumer disputes."""

    title: Names = Field(description="What it is called, by language.")
    pages: Annotated[dict[Language, PageUrl], Field(min_length=1, max_length=16)] = Field(
        description="Address of the page that says how to reach it, by language."
    )


class Fix(Part):
    """Something that can be done about the cause of a complaint. An empty `fits` fits every category."""

    title: Names = Field(description="What it is called, by language.")
    done: Names | None = Field(
        None,
        description="What its customer reads once it was done, by language; null for what it is called.",
    )
    fits: Annotated[tuple[Category, ...], Field(max_length=32)] = Field(
        (), description="Categories of complaints that it suits; every category if empty."
    )
    within: Duration = Field(
        description="Duration from asking somebody for it, after which it is late."
    )
    department: Id | None = Field(
        None, description="Department that does it, unless somebody else is asked; null for none."
    )

    def fits_category(self, category: Category) -> bool:
        """Whether it suits a complaint of this category."""
        return not self.fits or category in self.fits


class Cause(Part):
    """Something of the site that makes things go wrong. An empty `fits` fits every category."""

    title: Names = Field(description="What it is called, by language.")
    fits: Annotated[tuple[Category, ...], Field(max_length=32)] = Field(
        (), description="Categories of complaints that it can cause; every category if empty."
    )

    def fits_category(self, category: Category) -> bool:
        """Whether it can cause a complaint of this category."""
        return not self.fits or category in self.fits


class BudgetWindow(StrEnum):
    """How long a budget lasts before it starts from zero."""

    SHIFT = "shift"
    DAY = "day"
    WEEK = "week"


class DelightOccasion(Part):
    """An occasion on which an employee may delight a customer who did not complain."""

    title: Names = Field(description="What it is called, by language.")
    greeting: InLetters = Field(
        {},
        description="What the letter says first, by language; a sentence of the product if empty.",
    )


class Delight(Part):
    """What employees may give without a complaint, from a budget of its own, and on which occasions."""

    budget: CeilingMinor = Field(
        description="Ceiling of what all employees of the site give to delight in a window, in minor units of the policy's `currency`."
    )
    per: BudgetWindow = Field(
        BudgetWindow.WEEK, description="Window after which the budget starts from zero."
    )
    occasions: Annotated[dict[ItemId, DelightOccasion], Field(min_length=1, max_length=32)] = Field(
        description="Occasions that an employee may name, by name."
    )


class Scale(StrEnum):
    """The answers to a question of a survey."""

    YES_NO = "yes_no"
    ONE_TO_FIVE = "one_to_five"
    ZERO_TO_TEN = "zero_to_ten"

    @property
    def scores(self) -> range:
        """The scores that may be given: of yes and no, 1 and 0."""
        match self:
            case Scale.YES_NO:
                return range(1, -1, -1)
            case Scale.ONE_TO_FIVE:
                return range(1, 6)
            case Scale.ZERO_TO_TEN:
                return range(11)


class SurveyQuestion(Part):
    """A question that customers may answer each time their complaint is closed."""

    words: Names = Field(description="The question, by language.")
    scale: Scale = Field(description="Which answers there are.")


class Touchpoint(Part):
    """A moment of the journey that another system tells of, and what customers are asked about it."""

    words: Names = Field(description="The question, by language, like `How was dinner?`.")
    step: JourneyStep = Field(description="Where on the customer's journey it is.")
    after: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=7))] = Field(
        timedelta(0), description="Duration after the moment from which the customer is asked."
    )
    share_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        100, description="How many of the customers are asked, in per cent."
    )


class Asking(Part):
    """After which moments customers are asked how it was, and how often."""

    touchpoints: Annotated[dict[Id, Touchpoint], Field(min_length=1, max_length=32)] = Field(
        description="The moments, by the name that other systems tell them by."
    )
    again_after: Duration = Field(
        timedelta(days=7),
        description="Duration in which a customer is asked once at most, about whatever moment.",
    )
    complaint_up_to: Annotated[int, Field(strict=True, ge=1, le=4)] = Field(
        2, description="The best answer, from 1 to 5, that is a complaint."
    )


class OpenTime(Part):
    """A time of the week in which somebody is at the site; over midnight if `ends` is not after `starts`."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = Field(
        tuple(Weekday), description="Days of the week on which it begins."
    )
    starts: LocalTime = Field(description="Local time at which it begins.")
    ends: LocalTime = Field(
        description="Local time at which it ends; on the next day if not after `starts`."
    )


class Policy(Part):
    """Everything a site decides. All amounts are minor units of `currency`."""

    site: SiteId
    site_name: Annotated[str, StringConstraints(min_length=1, max_length=120)] = Field(
        description="Name of the site as customers read it."
    )
    currency: Currency
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Time zone of the site, by its IANA name."
    )
    languages: Annotated[tuple[Language, ...], Field(min_length=1, max_length=16)] = Field(
        description="Languages of the site, its first one first; every title has all of them."
    )
    authority: Authority = Field(description="What employees may give alone.")
    limits: Limits = Field(
        description="Ceilings of one customer, one complaint and the whole site."
    )
    checks: Annotated[dict[ItemId, CatalogueItem], Field(min_length=1, max_length=200)] = Field(
        description="The catalogue: what can be given, by name."
    )
    promise_default: Duration = Field(
        timedelta(hours=24),
        description="Duration after which the customer has heard from us where no playbook says otherwise.",
    )
    playbooks: Annotated[dict[Category, dict[Severity, Playbook]], Field(max_length=32)] = Field(
        {}, description="What is done in each situation, by category and severity."
    )
    segments: Annotated[
        dict[Id, Annotated[tuple[Id, ...], Field(max_length=16)]], Field(max_length=64)
    ] = Field(
        {},
        description="Checks that are suggested to customers of a segment beside those of the playbook, by the segment's name.",
    )
    hours: Annotated[tuple[OpenTime, ...], Field(max_length=21)] = Field(
        (),
        description="When somebody is at the site: promises count only then; always if empty.",
    )
    warn_before: Duration | None = Field(
        None,
        description="Duration before a promised time at which whoever has the complaint is warned; null for no warning.",
    )
    close_after: Duration = Field(
        timedelta(days=7),
        description="Duration after what was done about a complaint from which it is closed if the customer says nothing.",
    )
    departments: Annotated[dict[Id, Department], Field(max_length=64)] = Field(
        {}, description="Departments that can be asked to take a complaint over, by id."
    )
    bodies: Annotated[dict[Id, Body], Field(max_length=16)] = Field(
        {}, description="Outside bodies that a complaint can be referred to, by id."
    )
    fixes: Annotated[dict[ItemId, Fix], Field(max_length=100)] = Field(
        {}, description="What can be done about the cause of a complaint, by name."
    )
    causes: Annotated[dict[ItemId, Cause], Field(max_length=64)] = Field(
        {},
        description="What makes things go wrong at the site, by name; complaints are put down to it.",
    )
    causes_come_back_within: Duration = Field(
        timedelta(days=28),
        description="Duration after something was done about a cause in which complaints of it say that it came back.",
    )
    delight: Delight | None = Field(
        None,
        description="What employees may give to delight, without a complaint; null if nothing.",
    )
    survey: Annotated[dict[ItemId, SurveyQuestion], Field(max_length=SURVEY_MAX)] = Field(
        {},
        description="Questions that customers may answer each time their complaint is closed, by name; none if empty. Answers are counted by name and scale, so that a question with another meaning has another name.",
    )
    asking: Asking | None = Field(
        None, description="What customers are asked during their journey; null if nothing."
    )
    taxonomy: Annotated[
        dict[Category, Annotated[dict[Subcategory, Names], Field(min_length=1, max_length=20)]],
        Field(max_length=16),
    ] = Field(
        {},
        description="Subcategories that the site uses and what each is called, by category; if empty, those of the lexicon without titles.",
    )
    notify: Notify = Field(description="How letters go out, and who is told about safety.")
    retention: Retention = Field(
        Retention(), description="How long words are kept, if for less than the product keeps them."
    )
    hold: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=1))] = Field(
        timedelta(minutes=10), description="Duration for which a till may hold a part of a check."
    )
    choose_within: Duration = Field(
        timedelta(days=2),
        description="Duration within which a customer chooses between what was offered.",
    )
    kept_customer: AmountMinor | None = Field(
        None,
        description="What a customer who stays is worth to the site, in minor units of the policy's `currency`: an assumption, which employees see as one beside what they gave; null if they see none.",
    )
    incidents: Incidents | None = Field(
        None, description="When complaints are one incident, and what is given then; null if never."
    )
    regimes: Annotated[dict[Id, Regime], Field(max_length=32)] = Field(
        {}, description="Rights that customers have by law, by name."
    )
    outlets: Annotated[dict[Id, Names], Field(max_length=200)] = Field(
        {},
        description="What the places in `valid_at` are called, by id and language; one without a name is told by its id.",
    )
    places: Annotated[dict[Id, Names], Field(max_length=64)] = Field(
        {},
        description="Places of the site that customers choose from on its open form, by the id that stands in a place's link; letters name them as they are called here, within a sentence.",
    )

    def options(self, most_minor: int | None = None) -> tuple[Option, ...]:
        """Every check that can be given for at most `most_minor`, in catalogue order.

        An item with amounts gives one option per amount, named `<item>/<amount>`; one with any
        amount gives its largest.
        """
        return tuple(
            option
            for name, item in self.checks.items()
            for amount in item.amounts_offered(most_minor)
            if (option := self.option(f"{name}/{amount}" if amount else name)) is not None
            and (most_minor is None or option.cost_minor <= most_minor)
        )

    def option(self, name: str) -> Option | None:
        """The one check of this name, if it can be given."""
        item_name, _, amount = name.partition("/")
        item = self.checks.get(item_name)
        money = None if item is None or name.endswith("/") else item.option(amount)
        if item is None or money is None:
            return None
        cost, value = money
        of_a_bill = item.kind is CheckKind.PERCENTAGE
        return Option(
            item=name,
            kind=item.kind,
            cost_minor=cost,
            value_minor=value,
            currency=self.currency,
            percent=int(amount) if of_a_bill else None,
            bill_up_to_minor=item.bill_up_to if of_a_bill else None,
        )

    def regime_of(
        self,
        reason: Category,
        service: Service | None = None,
        basis: Basis = Basis.GOODWILL,
    ) -> tuple[str, Regime] | None:
        """The first regime that covers a complaint, with its name; None if none does."""
        return next(
            (
                (name, regime)
                for name, regime in self.regimes.items()
                if regime.covers(reason, service, basis)
            ),
            None,
        )

    def outlet(self, name: str, language: Language) -> str:
        """The name of a place in `valid_at`; its id if the policy has no name for it."""
        names = self.outlets.get(name, {})
        return names.get(language) or next(iter(names.values()), name)

    def departments_of(self, role: str) -> list[str]:
        """The departments that employees of a role belong to, by id."""
        return [name for name, one in self.departments.items() if role in one.roles]

    def roles_for(self, category: Category) -> frozenset[str]:
        """The roles of the departments that see to complaints of a category."""
        return frozenset(
            role for one in self.departments.values() if category in one.fits for role in one.roles
        )

    def promise(self, category: Category, severity: Severity) -> timedelta:
        """By when the customer hears from us."""
        written = self.playbooks.get(category, {}).get(severity)
        return self.promise_default if written is None else written.promise

    def promised_by(
        self,
        category: Category,
        severity: Severity,
        now: datetime,
        stay_ends_at: datetime | None = None,
    ) -> datetime:
        """The promised time from now on, counted while somebody is at the site, and before the customer leaves."""
        return self._before_the_end(
            self.counted(self.promise(category, severity), now), now, stay_ends_at
        )

    def goes_on_until(
        self, since: datetime, by: datetime, now: datetime, stay_ends_at: datetime | None = None
    ) -> datetime:
        """The promised time of a promise that waited from `since` until now, with the time that was left then."""
        left = between(since, by, self.hours, ZoneInfo(self.timezone))
        return self._before_the_end(self.counted(left, now), now, stay_ends_at)

    def counted(self, duration: timedelta, start: datetime) -> datetime:
        """When a duration from `start` is over that counts only while somebody is at the site."""
        return after(duration, self.hours, ZoneInfo(self.timezone), start)

    @staticmethod
    def _before_the_end(by: datetime, now: datetime, stay_ends_at: datetime | None) -> datetime:
        return by if stay_ends_at is None or stay_ends_at <= now else min(by, stay_ends_at)

    def warn_at(self, by: datetime, now: datetime) -> datetime | None:
        """When to warn of a promised time; None if nobody is warned, or the promise is shorter than that."""
        if self.warn_before is None or by - self.warn_before <= now:
            return None
        return by - self.warn_before

    def fixes_for(self, category: Category, severity: Severity) -> dict[str, Fix]:
        """What to do about the cause: what the playbook names, else every fix that fits the category."""
        named = self.playbook(category, severity).fixes
        if named:
            return {name: self.fixes[name] for name in named}
        return {name: fix for name, fix in self.fixes.items() if fix.fits_category(category)}

    def playbook(self, category: Category, severity: Severity) -> Playbook:
        """The playbook; if there is none, the default promise and every item that fits the category."""
        written = self.playbooks.get(category, {}).get(severity)
        if written is not None:
            return written
        return Playbook.model_construct(
            promise=self.promise_default,
            suggest=tuple(
                f"{name}/{amount}" if amount else name
                for name, item in self.checks.items()
                if item.fits_category(category)
                for amount in item.amounts_offered()
            ),
        )

    def suggested(
        self, category: Category, severity: Severity, segment: str | None, *, left: bool
    ) -> tuple[str, ...]:
        """The checks to offer first: those of the playbook, then those that the customer's segment adds.

        Once the customer has `left`, none that is of use during the stay alone.
        """
        more = self.segments.get(segment, ()) if segment is not None else ()
        names = dict.fromkeys((*self.playbook(category, severity).suggest, *more))
        return tuple(
            name for name in names if not (left and self.checks[name.partition("/")[0]].during_stay)
        )

    def authority_of(self, role: str) -> RoleAuthority:
        """What an employee of this role may give; every role has some authority."""
        authority = self.authority.roles.get(role) or self.authority.roles[ANY_ROLE]
        if authority is None:  # `Authority.contradictions` refuses such a policy
            raise AssertionError
        return authority

    def contradictions(self) -> Iterator[Contradiction]:
        """Names that refer to nothing, missing titles, and a catalogue without a free item."""
        try:
            zone_of(self.timezone)
        except ValueError:
            yield (
                ("timezone",),
                self.timezone,
                "is not the time zone of a place, such as Europe/Oslo",
            )
        if len(set(self.languages)) < len(self.languages):
            yield ("languages",), self.languages, "a language is listed twice"
        for item, it in self.checks.items():
            missing = [str(language) for language in self.languages if language not in it.title]
            if missing:
                yield (
                    ("checks", item, "title"),
                    sorted(it.title),
                    f"is missing {', '.join(missing)}",
                )
        for name, department in self.departments.items():
            missing = [one for one in self.languages if one not in department.title]
            if missing:
                where = ("departments", name, "title")
                yield where, sorted(department.title), f"is missing {', '.join(missing)}"
        for name, title in self.places.items():
            if missing := [one for one in self.languages if one not in title]:
                yield ("places", name), sorted(title), f"is missing {', '.join(missing)}"
        yield from self._bodies_that_nobody_finds()
        yield from self._fixes_that_nobody_does()
        yield from self._words_without_a_language()
        yield from self._subcategories_without_a_language()
        if not any(
            not it.fits and it.option("") == (0, it.value or 0) for it in self.checks.values()
        ):
            yield (
                ("checks",),
                sorted(self.checks),
                "needs one thing that is free and fits everything, so that something always fits",
            )
        yield from self._suggestions_that_lead_nowhere()
        if self.incidents is not None and self.option(self.incidents.give) is None:
            yield ("incidents", "give"), self.incidents.give, self._no_check()
        yield from self._outlets_without_a_name()
        yield from self._words_of_letters_without_a_language()
        for (name, regime), (later, other) in combinations(self.regimes.items(), 2):
            if regime.overlaps(other):
                yield ("regimes", later, "reasons"), other.reasons, f"falls under {name} already"

    def _words_of_letters_without_a_language(self) -> Iterator[Contradiction]:
        for name, said in (("promise", self.notify.promise), ("signed", self.notify.signed)):
            if missing := [one for one in self.languages if said and one not in said]:
                yield ("notify", name), sorted(said), f"is missing {', '.join(missing)}"

    def _bodies_that_nobody_finds(self) -> Iterator[Contradiction]:
        """Outside bodies without a title or a page in some language, and those listed twice."""
        for name, body in self.bodies.items():
            for part, told in (("title", body.title), ("pages", body.pages)):
                if missing := [one for one in self.languages if one not in told]:
                    yield ("bodies", name, part), sorted(told), f"is missing {', '.join(missing)}"
        for (name, body), (later, other) in combinations(self.bodies.items(), 2):
            if set(body.title.items()) & set(other.title.items()):
                yield ("bodies", later, "title"), sorted(other.title), f"is that of {name} already"

    def _fixes_that_nobody_does(self) -> Iterator[Contradiction]:
        """Fixes of a department that is not there, and missing titles."""
        for name, fix in self.fixes.items():
            for part, told in (("title", fix.title), ("done", fix.done or fix.title)):
                if missing := [one for one in self.languages if one not in told]:
                    where: Loc = ("fixes", name, part)
                    yield where, sorted(told), f"is missing {', '.join(missing)}"
            if fix.department is not None and fix.department not in self.departments:
                where = ("fixes", name, "department")
                yield where, fix.department, "is not one of the departments"

    def _words_without_a_language(self) -> Iterator[Contradiction]:
        occasions = self.delight.occasions if self.delight is not None else {}
        prepared = self.incidents.words if self.incidents is not None else {}
        asked = self.asking.touchpoints if self.asking is not None else {}
        told: list[tuple[Loc, Mapping[Language, str]]] = [
            *((("incidents", "words", category), words) for category, words in prepared.items()),
            *((("causes", name, "title"), cause.title) for name, cause in self.causes.items()),
            *((("survey", name, "words"), one.words) for name, one in self.survey.items()),
            *((("asking", "touchpoints", name, "words"), one.words) for name, one in asked.items()),
            *(
                (("delight", "occasions", name, part), words)
                for name, one in occasions.items()
                for part, words in (("title", one.title), ("greeting", one.greeting or one.title))
            ),
        ]
        for where, words in told:
            if missing := [one for one in self.languages if one not in words]:
                yield where, sorted(words), f"is missing {', '.join(missing)}"

    def _subcategories_without_a_language(self) -> Iterator[Contradiction]:
        for category, names in self.taxonomy.items():
            for name, title in names.items():
                if missing := [one for one in self.languages if one not in title]:
                    where: Loc = ("taxonomy", category, name)
                    yield where, sorted(title), f"is missing {', '.join(missing)}"

    def has_subcategory(self, category: Category, name: str) -> bool:
        """Whether the site uses a subcategory; every one if the policy lists none."""
        return not self.taxonomy or name in self.taxonomy.get(category, {})

    def _outlets_without_a_name(self) -> Iterator[Contradiction]:
        """Places in `valid_at` that are not among the named outlets: probably misspelt."""
        if not self.outlets:
            return
        for item, it in self.checks.items():
            for position, name in enumerate(it.valid_at):
                if name not in self.outlets:
                    where = ("checks", item, "valid_at", position)
                    yield where, name, "is not one of the outlets"

    def _no_check(self) -> str:
        return f"is not a check; there are {', '.join(option.item for option in self.options())}"

    def _suggestions_that_lead_nowhere(self) -> Iterator[Contradiction]:
        for segment, names in self.segments.items():
            for position, option in enumerate(names):
                if self.option(option) is None:
                    yield ("segments", segment, position), option, self._no_check()
        for category, by_severity in self.playbooks.items():
            for severity, playbook in by_severity.items():
                for position, option in enumerate(playbook.suggest):
                    if self.option(option) is None:
                        where = ("playbooks", category.value, severity.value, "suggest", position)
                        yield where, option, self._no_check()
                at: Loc = ("playbooks", category.value, severity.value)
                for position, fix in enumerate(playbook.fixes):
                    if fix not in self.fixes:
                        yield (*at, "fixes", position), fix, "is not one of the fixes"
                missing = [
                    one for one in self.languages if playbook.say and one not in playbook.say
                ]
                if missing:
                    yield (*at, "say"), sorted(playbook.say), f"is missing {', '.join(missing)}"


class PolicyPublished(Fact):
    """A site's policy from now on; the version counts up per site."""

    TYPE: ClassVar[str] = "recovery.policy.published.v1"
    TOPIC: ClassVar[str] = "recovery.policy.v1"

    site: SiteId
    version: Annotated[int, Field(ge=1), Data.PUBLIC] = Field(
        description="Number of the version, counted up per site from 1."
    )
    policy: Annotated[Policy, Data.INTERNAL] = Field(description="The whole policy.")
    by: Annotated[Id | None, Data.PERSONAL, About.EMPLOYEE] = Field(
        None,
        description="Who published it, by the subject of their token; absent where an operator's command did.",
    )
    published_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="From when it holds; the newest counts, in whatever order they are read. Absent in versions from before it was recorded, which are older than all others.",
    )

    def key(self) -> str:
        """The site; compaction keeps the latest."""
        return self.site
