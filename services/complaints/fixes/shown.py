"""A fix as employees see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.complaints.fixes.rules import Fixes, FixState
from shared.contracts.event import Id
from shared.runtime.http.answers import Answer


class ShownFix(Answer):
    """A fix that was done for a complaint, or that somebody was asked for."""

    fix: Annotated[str, Field(description="The fix, by its name in the site's policy.")]
    state: Annotated[FixState, Field(description="Whether it is asked for, done or declined.")]
    round: Annotated[int, Field(description="In which round of the complaint.")]
    asked_by: Annotated[
        Id | None, Field(description="Who asked for it; null if it was done without being asked.")
    ]
    colleague_id: Annotated[
        Id | None, Field(description="Who was asked for it; null for a department.")
    ]
    department: Annotated[
        Id | None, Field(description="The department that was asked for it; null for a colleague.")
    ]
    due_by: Annotated[
        datetime | None, Field(description="By when it is to be done; null if nobody asked for it.")
    ]
    late: Annotated[bool, Field(description="Whether its time passed before it was done.")]
    employee_id: Annotated[
        Id | None, Field(description="Who did or declined it; null while it is asked for.")
    ]
    at: Annotated[datetime | None, Field(description="When they did; null while it is asked for.")]


def shown(fixes: Fixes | None) -> list[ShownFix]:
    """The fixes of a complaint, the latest last."""
    return [ShownFix.about(one) for one in fixes.fixes] if fixes is not None else []
