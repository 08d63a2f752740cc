"""What other systems publish: the one fact that travels in clear text.

The intake topic is short-lived and has its own access rights; from here on words and addresses
travel sealed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.data import Data
from shared.contracts.event import EmployeeId, SiteId
from shared.contracts.names import CustomerName, PlaceName, uncontrolled
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


class Told(Fact):
    """The fields of a complaint, from HTTP or from the intake topic."""

    site: SiteId
    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX), Data.SPECIAL] = (
        Field(
            description="What the customer said, in their own words; at most 20,000 characters of clear text."
        )
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
    stay_ends_at: Annotated[AwareDatetime | None, Data.PERSONAL] = Field(
        None,
        description="When the customer leaves the site, if the source knows it: they hear from us before.",
    )


class ComplaintRaised(Told):
    """A customer complained, by themselves, through an employee or through another system."""

    TYPE: ClassVar[str] = "recovery.complaint.raised.v1"
    TOPIC: ClassVar[str] = "recovery.intake.v1"

    channel: Annotated[Channel, Data.INTERNAL] = Field(
        Channel.PARTNER, description="Channel on which the complaint came."
    )
    raised_by: EmployeeId | None = Field(
        None,
        description="Pseudonymous id of the employee who raised it for the customer; null if nobody did.",
    )

    def key(self) -> str:
        """The site; publishers choose their own key, since order between complaints does not matter."""
        return self.site
