"""Facts owned by the compensation service: what employees gave, and what did not fit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.complaints import Language
from shared.contracts.event import AmountMinor, Currency, Fact, Id, Sealed


class CheckKind(StrEnum):
    """What form a service check has."""

    EXPERIENCE = "experience"
    GIFT_CARD = "gift_card"
    APOLOGY = "apology"


class Scope(StrEnum):
    """Whose limit an account holds; the answer at a limit names the one that bound."""

    CHECK = "check"
    EMPLOYEE_DAY = "employee_day"
    CUSTOMER_STAY = "customer_stay"
    COMPLAINT = "complaint"
    SITE_DAY = "site_day"


class Remainder(BaseModel):
    """What is left in one scope after a decision, in minor units."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    scope: Scope
    ceiling_minor: AmountMinor
    left_minor: AmountMinor
    until: AwareDatetime | None = None


class Debit(BaseModel):
    """One account a check was charged to."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    scope: Scope
    account: Annotated[str, StringConstraints(max_length=256)]
    amount_minor: AmountMinor


class Option(BaseModel):
    """A check that can be given: a catalogue item, with its cost to us and its value to them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    item: Id
    kind: CheckKind
    value_minor: AmountMinor
    cost_minor: AmountMinor
    currency: Currency
    fits_reason: bool = False


class CompensationFact(Fact):
    """Common to all: facts of one check keep their order."""

    TOPIC: ClassVar[str] = "recovery.compensation.v1"

    check_id: Id
    complaint_id: Id
    customer_ref: Id
    employee_id: Id
    site: Id
    item: Id
    policy_version: Annotated[int, Field(ge=1)]

    def key(self) -> str:
        """The check."""
        return self.check_id


class CheckIssued(CompensationFact):
    """An employee gave a service check; the code is sealed for the customer."""

    TYPE: ClassVar[str] = "recovery.check.issued.v1"

    kind: CheckKind
    language: Language
    value_minor: AmountMinor
    cost_minor: AmountMinor
    currency: Currency
    code: Sealed
    code_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    valid_until: AwareDatetime
    issued_at: AwareDatetime
    debits: Annotated[tuple[Debit, ...], Field(max_length=16)]
    left: Annotated[tuple[Remainder, ...], Field(max_length=16)]


class CheckRefused(CompensationFact):
    """A wish did not fit; the scope that bound, and what did fit then."""

    TYPE: ClassVar[str] = "recovery.check.refused.v1"

    currency: Currency
    cost_minor: AmountMinor
    bound_by: Scope
    left: Annotated[tuple[Remainder, ...], Field(max_length=16)]
    alternatives: Annotated[tuple[Option, ...], Field(max_length=32)]
    refused_at: AwareDatetime
