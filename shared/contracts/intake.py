"""What other systems publish: the one fact that travels in clear text.

The intake topic is short-lived and has its own access rights; from here on words and addresses
travel sealed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from shared.contracts.event import Id
from shared.contracts.names import CustomerName
from shared.kernel import Fact

#: The longest letter in review collections is below 20,000 characters; beyond is abuse or a mistake.
TEXT_MAX = 20_000


class Channel(StrEnum):
    """How the complaint reached us."""

    APP = "app"
    WEB = "web"
    MAIL = "mail"
    DESK = "desk"
    PHONE = "phone"
    PARTNER = "partner"


class Contact(BaseModel):
    """Where the customer can be reached; every part optional."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    email: (
        Annotated[
            str, StringConstraints(max_length=254, pattern=r"^[^@\s<>\"',;:]+@[^@\s<>\"',;:]+$")
        ]
        | None
    ) = None
    phone: (
        Annotated[str, StringConstraints(max_length=32, pattern=r"^\+?[0-9 ()-]{4,}$")] | None
    ) = None

    @property
    def reachable(self) -> bool:
        """Whether we can tell this customer anything: mail is the one channel there is."""
        return self.email is not None

    @property
    def empty(self) -> bool:
        """Whether it says nothing at all."""
        return self.name is None and self.email is None and self.phone is None


class Told(Fact):
    """What is told of a complaint, by whichever door it comes."""

    site: Id
    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX)]
    customer: CustomerName = None
    language: Annotated[str, StringConstraints(max_length=35)] | None = None
    contact: Contact | None = None
    occurred_at: AwareDatetime | None = None


class ComplaintRaised(Told):
    """Somebody was let down and said so: a customer, an employee for them, another system."""

    TYPE: ClassVar[str] = "recovery.complaint.raised.v1"
    TOPIC: ClassVar[str] = "recovery.intake.v1"

    channel: Channel = Channel.PARTNER
    raised_by: Id | None = None

    def key(self) -> str:
        """Publishers choose their key; order between complaints does not matter."""
        return self.site
