"""What of a timeline's entry employees and customers are shown alike; a field that says nothing of it is absent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.complaints.timeline.rules import What
from shared.contracts.complaints import Outcome
from shared.contracts.event import AmountMinor, Currency, Id, absent
from shared.contracts.notifier import Occasion

EntryAt = Annotated[datetime, Field(description="When it happened.")]
EntryWhat = Annotated[What, Field(description="What happened.")]
EntryItem = Annotated[
    Id | None, Field(exclude_if=absent, description="Name of the check in the catalogue.")
]
EntryAmount = Annotated[
    AmountMinor | None,
    Field(
        exclude_if=absent,
        description="What a check is worth, or the part of it that was redeemed, in minor units of `currency`.",
    ),
]
EntryCurrency = Annotated[
    Currency | None, Field(exclude_if=absent, description="Currency code of ISO 4217.")
]
EntryPromise = Annotated[
    datetime | None,
    Field(exclude_if=absent, description="By when the customer hears from us."),
]
EntryOutcome = Annotated[
    Outcome | None, Field(exclude_if=absent, description="What was done about the cause.")
]
EntryFix = Annotated[
    Id | None,
    Field(exclude_if=absent, description="What is done about the cause, by the policy."),
]
EntryBody = Annotated[
    Id | None,
    Field(
        exclude_if=absent, description="The outside body that it was referred to, by the policy."
    ),
]
EntryOccasion = Annotated[
    Occasion | None, Field(exclude_if=absent, description="What the letter is about.")
]
