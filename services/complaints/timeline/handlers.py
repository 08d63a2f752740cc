"""Puts a complaint's timeline together, and opens its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import dropwhile

from services.complaints.lifecycle.rules import Complaint
from services.complaints.timeline.rules import (
    SEALED_AS,
    Entry,
    Timeline,
    checks_of,
    together,
    whole,
)
from shared.contracts.reasons import Reason
from shared.kernel import score_at
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.privacy.seal import Vault

#: An entry as a cursor names it: the moment in µs since the epoch, a dot and a hash of 128 bits.
NAME = re.compile(r"[0-9]{1,17}\.[0-9a-f]{32}")


class Timelines:
    """Reads timelines; changes nothing."""

    def __init__(self, vault: Vault) -> None:
        self._keys = Keys(vault)

    async def of(
        self, complaint_id: str, complaint: Complaint, view: View, merged_ids: Sequence[str] = ()
    ) -> tuple[Sequence[Entry], int]:
        """Everything that happened to a complaint, oldest first, and how many older entries are not kept any more.

        With what happened to those of `merged_ids`, which are merged into it. Raises Unavailable.
        """
        names = (complaint_id, *merged_ids)
        await view.prefetch(
            [
                *(Timeline.key(name) for name in names),
                *(Complaint.key(name) for name in merged_ids),
                CustomerKey.key(complaint.customer_ref),
            ]
        )
        timelines = {name: await view.get(Timeline, name) for name in names}
        given = [check_id for one in timelines.values() for check_id in checks_of(one)]
        await view.prefetch([Timeline.key(check_id) for check_id in given])
        checks = {
            check_id: timeline
            for check_id in given
            if (timeline := await view.get(Timeline, check_id)) is not None
        }
        merged = {
            name: whole(one, timelines[name], checks)
            for name in merged_ids
            if (one := await view.get(Complaint, name)) is not None
        }
        own = whole(complaint, timelines[complaint_id], checks)
        every = [one for one in (*timelines.values(), *checks.values()) if one is not None]
        return together(own, merged), sum(one.left_out for one in every)

    async def words(self, entry: Entry, complaint: Complaint, view: View) -> str | None:
        """An entry's words; None if it has none, its customer was erased, or the words' time is over; raises Unavailable."""
        if entry.words is None:
            return None
        if entry.complaint_id is not None:
            complaint = await view.get(Complaint, entry.complaint_id) or complaint
        return await self._keys.open_words(
            complaint.customer_ref, SEALED_AS[entry.what], entry.words, entry.at, view
        )


def behind(entries: Sequence[Entry], cursor: str | None) -> Sequence[Entry]:
    """The entries behind the one that the cursor names, or behind its moment; raises Rejected(cursor_invalid)."""
    if cursor is None:
        return entries
    if NAME.fullmatch(cursor) is None:
        raise Rejected(Reason.CURSOR_INVALID, where=("/cursor",))
    found = list(dropwhile(lambda entry: entry.name != cursor, entries))
    return found[1:] or [
        entry for entry in entries if score_at(entry.at) > int(cursor.partition(".")[0])
    ]
