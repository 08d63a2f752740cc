"""An employee told the customer in person, so that no letter has to."""

from __future__ import annotations

from collections.abc import Sequence

from services.notifier.messages.rules import (
    Message,
    message_id_of,
    message_queued,
    messages_of,
    queue,
    said,
)
from services.notifier.subjects.rules import Story, moment_of
from shared.contracts.notifier import MessageQueued, Occasion
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.roster import employed

#: What nobody can say in a letter's place: one goes to those who must know, one brings a code to the address that it
#: proves, one goes to the address of before, and one holds other messages, each of which can be said.
IN_WRITING = frozenset(
    {Occasion.SAFETY, Occasion.CONFIRMATION, Occasion.CONTACT_CHANGED, Occasion.DIGEST}
)


async def told_in_person(
    complaint_id: str, occasion: Occasion, about: str | None, who: Principal, view: View
) -> Decision:
    """An employee told the customer of a complaint what the last message of an occasion says, or that about `about`.

    A customer whom no message reaches has none: then what was said is a message of its own, which never goes.
    Raises Rejected(unknown_employee, unknown_complaint, customer_erased, unknown_message), Unavailable.
    """
    await employed(who, view)
    story = await view.require(Story, complaint_id, Reason.UNKNOWN_COMPLAINT, site=who.site)
    if story.forgotten:
        raise Rejected(Reason.CUSTOMER_ERASED)
    messages = [
        (message_id, message)
        for message_id, message in await messages_for(complaint_id, view)
        if message.occasion is occasion and about in (None, message.about)
    ]
    if messages:
        return Decision(said(messages, who.subject, view.now))
    if story.reachable is not False or about is not None:
        raise Rejected(Reason.UNKNOWN_MESSAGE)
    queued = _unwritten(complaint_id, story, occasion, view)
    written = message_queued(None, queued)
    return Decision((queued, *said([(queued.message_id, written)], who.subject, view.now)))


def _unwritten(complaint_id: str, story: Story, occasion: Occasion, view: View) -> MessageQueued:
    """A message that is said, because there is nowhere to write to."""
    about = moment_of(complaint_id, view.now)
    return queue(
        message_id_of(occasion, about),
        occasion,
        about,
        complaint_id=complaint_id,
        customer_ref=story.customer_ref,
        site=story.site,
        language=story.language,
        now=view.now,
    )


async def messages_for(complaint_id: str, view: View) -> Sequence[tuple[str, Message]]:
    """All messages of a complaint, of which there is a handful, in the order of their queueing; raises Unavailable."""
    found: list[tuple[str, Message]] = []
    after: Cursor | None = None
    while True:
        page = await view.range(Message, messages_of(complaint_id), after, RANGE_MAX)
        found += page.documents
        after = page.next
        if after is None:
            return found
