"""Fills the inboxes of employees, and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from services.notifier.inbox.rules import (
    EmployeeInbox,
    Entry,
    Giver,
    Holder,
    Line,
    Praise,
    Told,
    inbox_of,
    is_new,
    line_of,
    read_up_to,
    told_by,
    told_by_answer,
    told_by_praise,
)
from services.notifier.subjects.rules import Story
from shared.contracts.complaints import PraiseReceived
from shared.contracts.event import Event
from shared.contracts.notifier import FeedbackReceived
from shared.contracts.roster import employee_name
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Principal
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.roster import employed, employee_key


class ShownEntry(NamedTuple):
    """An entry, and what the customer wrote with it; None if nothing, or if those words are over."""

    entry: Entry
    line: str | None


class Portion(NamedTuple):
    """Entries of an inbox, the newest first; `last` is the number that older ones are left before, if any are."""

    entries: Sequence[ShownEntry]
    unread: int
    read_up_to: int
    last: int | None


class Inboxes:
    """The inboxes of all employees."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def tells(self, event: Event[Any]) -> Prepared:
        """Tell an employee what a fact of a complaint says to them, if it says something."""
        fact = event.data

        async def decide(view: View) -> Decision:
            holder = await view.get(Holder, fact.complaint_id)
            told = told_by(fact, holder or Holder())
            return Decision(await self._new(told, view) if told is not None else ())

        return Prepared(decide, [Holder.key(fact.complaint_id)])

    async def praised(self, event: Event[PraiseReceived], view: View) -> Decision:
        """Tell the employees for whom a praise is."""
        told = told_by_praise(event.data)
        await view.prefetch([EmployeeInbox.key(inbox_of(one)) for one in told])
        return Decision([fact for one in told for fact in await self._new(one, view)])

    async def told_of(self, answer: FeedbackReceived, view: View) -> Sequence[Fact]:
        """The fact that tells who gave a check what its customer answered; none if that is not known. May block."""
        giver = await view.get(Giver, answer.check_id)
        return await self._new(told_by_answer(answer, giver), view) if giver is not None else ()

    async def _new(self, told: Told, view: View) -> Sequence[Fact]:
        inbox = await view.get(EmployeeInbox, inbox_of(told))
        return (told,) if is_new(inbox, told) else ()

    async def of(
        self, who: Principal, *, before: int | None, since: int, limit: int, view: View
    ) -> Portion:
        """The newest entries of an employee with numbers above `since` and below `before`.

        Without those of customers who were erased. Raises Rejected(unknown_employee), Unavailable.
        """
        name = employee_name(who.site, who.subject)
        await view.prefetch([employee_key(who.site, who.subject), EmployeeInbox.key(name)])
        await employed(who, view)
        inbox = await view.get(EmployeeInbox, name) or EmployeeInbox()
        wanted = [
            entry
            for entry in reversed(inbox.entries)
            if since < entry.number and (before is None or entry.number < before)
        ]
        found = wanted[:limit]
        both = (*found, *inbox.unread)
        about = dict.fromkeys(one.complaint_id for one in both if one.complaint_id)
        thanked = dict.fromkeys(one.praise_id for one in both if one.praise_id)
        await view.prefetch(
            [Story.key(one) for one in about]
            + [Praise.key(one) for one in thanked]
            + [Line.key(line) for one in found if (line := line_of(one)) is not None]
        )
        stories = {one: await view.get(Story, one) for one in about}
        praise = {one: await view.get(Praise, one) for one in thanked}
        known = [one for one in (*stories.values(), *praise.values()) if one is not None]
        await view.prefetch([CustomerKey.key(one.customer_ref) for one in known])
        erased = {one for one, story in stories.items() if story and story.forgotten}
        erased |= {
            name
            for name, one in praise.items()
            if one and await self._keys.erased(one.customer_ref, view)
        }

        def stays(entry: Entry) -> bool:
            return erased.isdisjoint({entry.complaint_id, entry.praise_id})

        shown = [ShownEntry(one, await self._words(one, view)) for one in found if stays(one)]
        unread = sum(map(stays, inbox.unread))
        last = found[-1].number if len(wanted) > limit else None
        return Portion(shown, unread, inbox.read_up_to, last)

    async def _words(self, entry: Entry, view: View) -> str | None:
        """What the customer praised, or wrote with their answer; None if nothing, or if their words are over."""
        if entry.praise_id is not None:
            return await self._praise(entry.praise_id, view)
        line_id = line_of(entry)
        line = await view.get(Line, line_id) if line_id is not None else None
        story = await view.get(Story, entry.complaint_id or "")
        if story is None or line is None:
            return None
        return await self._keys.open_words(
            story.customer_ref, "line", line.line, line.answered_at, view
        )

    async def _praise(self, praise_id: str, view: View) -> str | None:
        praise = await view.get(Praise, praise_id)
        if praise is None:
            return None
        return await self._keys.open_words(
            praise.customer_ref, "text", praise.text, praise.received_at, view
        )

    async def read(self, who: Principal, up_to: int, view: View) -> Decision:
        """The employee read their inbox up to this entry; raises Rejected(unknown_employee), Unavailable."""
        await employed(who, view)
        inbox = await view.get(EmployeeInbox, employee_name(who.site, who.subject))
        return Decision.of(read_up_to(inbox, who.subject, who.site, up_to, view.now))
