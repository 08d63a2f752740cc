"""Lists complaints from their sorted sets."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from services.complaints.lifecycle.rules import (
    DEPARTMENT,
    Complaint,
    done_at,
    offered_to,
    open_at,
    overdue_at,
    owned_by,
)
from shared.runtime.engine.store import Cursor
from shared.runtime.engine.view import Page, View
from shared.runtime.http.auth import Principal


class Listed(StrEnum):
    """Which complaints of a site are listed."""

    OPEN = "open"
    MINE = "mine"
    OFFERED = "offered"
    OVERDUE = "overdue"
    DONE = "done"


async def queue(
    which: Listed,
    department: str | None,
    after: Cursor | None,
    limit: int,
    who: Principal,
    view: View,
) -> Page[Complaint]:
    """A page of complaints of the employee's site; `department` is the one they are offered to. Raises Unavailable."""
    asked = who.subject if department is None else f"{DEPARTMENT}{department}"
    names = {
        Listed.OPEN: open_at(who.site),
        Listed.MINE: owned_by(who.site, who.subject),
        Listed.OFFERED: offered_to(who.site, asked),
        Listed.OVERDUE: overdue_at(who.site),
        Listed.DONE: done_at(who.site),
    }
    return await view.range(Complaint, names[which], after, limit)


async def changed(names: Sequence[str], view: View) -> list[Complaint | None]:
    """Complaints as they stand now, by their ids, all read in one trip; None where there is none. Raises Unavailable."""
    await view.prefetch([Complaint.key(name) for name in names])
    return [await view.get(Complaint, name) for name in names]
