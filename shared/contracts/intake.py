"""What other systems publish: the facts that travel in clear text.

The intake topic is short-lived and has its own access rights; from here on words and addresses
travel sealed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from shared.contracts.data import Data
from shared.contracts.event import AmountMinor, Currency, EmployeeId, Id, SiteId
from shared.contracts.names import CustomerName, PlaceName, legible, uncontrolled
from shared.kernel import Fact

#: Longer than any letter in review collections; a longer text is abuse or a mistake.
TEXT_MAX = 20_000


class Channel(StrEnum):
    """How the complaint reached us."""

    APP = "app"
    WEB = "web"
    MAIL = "mail"
    DESK = "desk"
    PHONE = "phone"
    PARTNER = "partner"
    #: Nobody said anything yet: we saw ourselves that something goes wrong.
    PREEMPTIVE = "preemptive"


def spoken(channel: Channel) -> Channel:
    """The channel; raises ValueError for the one on which no customer speaks."""
    if channel is Channel.PREEMPTIVE:
        raise ValueError("customers say nothing on it")
    return channel


#: A channel on which a customer can speak, and be spoken to.
Spoken = Annotated[
    Channel,
    AfterValidator(spoken),
    WithJsonSchema(
        {"type": "string", "enum": [one.value for one in Channel if one is not Channel.PREEMPTIVE]}
    ),
]


class Disruption(StrEnum):
    """What goes wrong, as another system sees it."""

    DELAY = "delay"
    OUT_OF_STOCK = "out_of_stock"
    OUTAGE = "outage"


#: Of what has a meaning in a header, an apostrophe alone may be in a name: O'Brien has one.
ADDRESS_PATTERN = r"""^[^@\s<>",;:]+@[^@\s<>"',;:]+$"""
PHONE_PATTERN = r"^\+?[0-9 ()-]{4,}$"
Address = Annotated[
    str,
    StringConstraints(max_length=254, pattern=ADDRESS_PATTERN),
    AfterValidator(uncontrolled),
]
Phone = Annotated[str, StringConstraints(max_length=32, pattern=PHONE_PATTERN)]
#: A telephone number as networks take it (ITU-T E.164): "+", country and number, 15 digits at most. The
#: shortest in use have 7.
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class MessageChannel(StrEnum):
    """A way by which messages go to customers."""

    EMAIL = "email"
    SMS = "sms"


def e164(phone: str, calling_code: str | None) -> str | None:
    """A number as it was written, in E.164; None if it is none.

    One without "+" or "00" is of the country of this calling code, where one is given, and loses the 0
    that is dialled inside a country.
    """
    digits = re.sub(r"[ ()-]", "", phone)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    elif not digits.startswith("+") and calling_code is not None:
        digits = f"+{calling_code}{digits.removeprefix('0')}"
    return digits if E164.fullmatch(digits) else None


class Contact(BaseModel):
    """How the customer can be reached; every part is optional."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="Name to greet the customer by, in clear text."
    )
    email: Address | None = Field(
        None,
        description="Mail address, in clear text; where the site's policy has e-mail among its channels, letters go to it.",
    )
    phone: Phone | None = Field(
        None,
        description="Telephone number, in clear text; where the site's policy has SMS among its channels, text messages go to it.",
    )

    def address(self, channel: MessageChannel, calling_code: str | None) -> str | None:
        """Where messages of a channel go; None where there is no such address, or no number in E.164."""
        if channel is MessageChannel.EMAIL:
            return self.email
        return None if self.phone is None else e164(self.phone, calling_code)

    @property
    def empty(self) -> bool:
        """Whether no part is given."""
        return self.name is None and self.email is None and self.phone is None


class Reachable(Contact):
    """Where the customer can be reached, as a request says it; other fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Told(Fact):
    """The fields of a complaint, from HTTP or from the intake topic."""

    site: SiteId
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=TEXT_MAX),
        AfterValidator(legible),
        Data.SPECIAL,
    ] = Field(
        description="What the customer said, in their own words; at most 20,000 characters of clear text, of which something is seen."
    )
    customer: Annotated[CustomerName, Data.PERSONAL] = Field(
        None,
        description="What the source calls the customer, if it names one; a pseudonym stands for it from here on.",
    )
    language: Annotated[Annotated[str, StringConstraints(max_length=35)] | None, Data.PERSONAL] = (
        Field(
            None,
            description="Language tag of the text (BCP 47, like `nb` or `en-GB`); found from the text if absent.",
        )
    )
    contact: Annotated[Contact | None, Data.PERSONAL] = Field(
        None,
        description="Where the customer can be reached, in clear text; without it nobody is written to.",
    )
    occurred_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When it happened, as it was told; null if unknown."
    )
    place: Annotated[PlaceName, Data.PERSONAL] = Field(
        None,
        description="Where at the site it happened, as people there call it: a cabin, a deck, a restaurant. In clear text; null if unknown.",
    )
    praise: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether the customer means it as praise. It is a complaint all the same if the words complain or ask for something, or are in a language that is not read here.",
    )
    stay_ends_at: Annotated[AwareDatetime | None, Data.PERSONAL] = Field(
        None,
        description="When the customer leaves the site, if the source knows it: they hear from us before.",
    )


class ComplaintRaised(Told):
    """A customer complained, by themselves, through an employee or through another system."""

    TYPE: ClassVar[str] = "recovery.complaint.raised.v1"
    TOPIC: ClassVar[str] = "recovery.intake.v1"

    channel: Annotated[Spoken, Data.INTERNAL] = Field(
        Channel.PARTNER, description="Channel on which the complaint came."
    )
    raised_by: EmployeeId | None = Field(
        None,
        description="Pseudonymous id of the employee who raised it for the customer; null if nobody did.",
    )

    def key(self) -> str:
        """The site; publishers choose their own key, since order between complaints does not matter."""
        return self.site


class Need(StrEnum):
    """What a host should know before they offer a customer something."""

    VEGETARIAN = "vegetarian"
    VEGAN = "vegan"
    HALAL = "halal"
    KOSHER = "kosher"
    GLUTEN_FREE = "gluten_free"
    LACTOSE_FREE = "lactose_free"
    NUT_FREE = "nut_free"
    OTHER_DIET = "other_diet"
    CHILD = "child"
    INFANT = "infant"


class Profile(BaseModel):
    """What a hotel or booking system knows of a customer; every part is optional."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    segment: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="The customer's segment, by its name in the policy's `segments`; null if they are in none.",
    )
    language: Annotated[Annotated[str, StringConstraints(max_length=35)] | None, Data.PERSONAL] = (
        Field(
            None,
            description="Language tag of the customer (BCP 47, like `nb` or `en-GB`); null if unknown.",
        )
    )
    stay_begins_at: Annotated[AwareDatetime | None, Data.PERSONAL] = Field(
        None, description="When the customer arrives at the site; null if unknown."
    )
    stay_ends_at: Annotated[AwareDatetime | None, Data.PERSONAL] = Field(
        None, description="When the customer leaves the site; null if unknown."
    )
    needs: Annotated[tuple[Need, ...], Field(max_length=len(Need)), Data.SPECIAL] = Field(
        (), description="What they eat, and whether children are with them; empty if unknown."
    )


class Named(Fact):
    """Says which customer is meant: by a source's name for them, or else by their mail address at the site."""

    TOPIC: ClassVar[str] = "recovery.intake.v1"

    site: SiteId
    customer: Annotated[CustomerName, Data.PERSONAL] = Field(
        None,
        description="What a source calls the customer, as in the complaints that it raises; a pseudonym stands for it from here on.",
    )
    named_by: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=256)] | None, Data.INTERNAL
    ] = Field(
        None,
        description="The source that calls the customer so, like `/booking`, or `/site/<site>` for the site's employees; null for the event's own.",
    )
    email: Annotated[Address | None, Data.PERSONAL] = Field(
        None,
        description="The customer's mail address, in clear text; finds those whom nobody named. Not kept.",
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.customer is None and self.email is None:
            raise ValueError("needs customer or email")
        return self

    def key(self) -> str:
        """The site; publishers choose their own key, since the latest counts in whatever order they come."""
        return self.site


class CustomerDescribed(Profile, Named):
    """A hotel or booking system says what it knows of a customer; all of it, as the latest replaces what was said before."""

    TYPE: ClassVar[str] = "recovery.customer.described.v1"

    described_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="As of when the source says it; the latest counts."
    )

    @model_validator(mode="after")
    def _stays_in_order(self) -> Self:
        begins, ends = self.stay_begins_at, self.stay_ends_at
        if begins is not None and ends is not None and ends < begins:
            raise ValueError("stay_ends_at is before stay_begins_at")
        return self


class CustomerPurchased(Named):
    """A customer booked or bought again. What guests buy during their stay is none."""

    TYPE: ClassVar[str] = "recovery.customer.purchased.v1"

    purchased_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When they booked or bought."
    )
    amount_minor: Annotated[AmountMinor | None, Data.PERSONAL] = Field(
        None, description="What they paid, in minor units of `currency`; null if it is not told."
    )
    currency: Currency | None = Field(
        None, description="Currency code of ISO 4217; absent without an amount."
    )

    @model_validator(mode="after")
    def _has_a_currency(self) -> Self:
        if (self.amount_minor is None) != (self.currency is None):
            raise ValueError("amount_minor and currency go together")
        return self


class TouchpointPassed(Named):
    """A customer came past a moment of their journey, such as a meal or the check-out; they may be asked how it was."""

    TYPE: ClassVar[str] = "recovery.touchpoint.passed.v1"

    touchpoint: Annotated[Id, Data.INTERNAL] = Field(
        description="Which moment, by its name in the policy's `asking`; about others nobody is asked."
    )
    language: Annotated[Annotated[str, StringConstraints(max_length=35)] | None, Data.PERSONAL] = (
        Field(
            None,
            description="Language tag of the customer (BCP 47, like `nb` or `en-GB`); that of their description, or the site's first, if absent.",
        )
    )
    contact: Annotated[Contact | None, Data.PERSONAL] = Field(
        None,
        description="Where the customer can be reached, in clear text; without it nobody is asked.",
    )
    passed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was over.")


#: Customers of one announcement: a sailing or a train has more, and is announced in several events.
AFFECTED_MAX = 500


class Affected(BaseModel):
    """A customer for whom something goes wrong."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    customer: Annotated[
        str, StringConstraints(min_length=1, max_length=128), AfterValidator(legible)
    ] = Field(
        description="What the source calls the customer. Where the site's tokens have the same name as subject, their own later words join this case if both have the same addresses, or neither has one; otherwise it is shown to whoever answers them."
    )
    language: Annotated[str, StringConstraints(max_length=35)] | None = Field(
        None, description="Language tag in which they are told; found from the text if absent."
    )
    contact: Contact | None = Field(
        None,
        description="Where they can be reached, in clear text; without it they are not written to.",
    )
    stay_ends_at: AwareDatetime | None = Field(
        None, description="When they leave the site; they hear from us before."
    )


class DisruptionAnnounced(Fact):
    """Something goes wrong, and another system knows for whom, before these customers say anything."""

    TYPE: ClassVar[str] = "recovery.disruption.announced.v1"
    TOPIC: ClassVar[str] = "recovery.intake.v1"

    site: SiteId
    kind: Annotated[Disruption, Data.INTERNAL] = Field(description="What goes wrong.")
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2000),
        AfterValidator(legible),
        Data.SPECIAL,
    ] = Field(
        description="What exactly, such as the journey and by how much: for staff, and shown on the customers' pages."
    )
    customers: Annotated[tuple[Affected, ...], Field(max_length=AFFECTED_MAX), Data.PERSONAL] = (
        Field(
            (),
            description="For whom; whoever is named twice counts once. More than 500 are announced in several events of one id.",
        )
    )
    occurred_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When it happens or happened; null if unknown."
    )
    place: Annotated[PlaceName, Data.PERSONAL] = Field(
        None, description="Where at the site, as people there call it; null if unknown."
    )

    def key(self) -> str:
        """The site; publishers choose their own key, since order does not matter."""
        return self.site
