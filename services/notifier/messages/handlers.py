"""What customers are told of, as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from services.notifier.messages.rules import Message, message_id_of, queue
from shared.contracts.compensation import CheckIssued, OfferMade
from shared.contracts.complaints import (
    ComplaintReopened,
    ComplaintTriaged,
    ConfirmationAsked,
)
from shared.contracts.event import Event
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import (
    Occasion,
)
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import Prepared, only_folds
from shared.runtime.policies import Policies

#: What a customer is told of.
Told = ComplaintTriaged | ComplaintReopened | CheckIssued | OfferMade | ConfirmationAsked


class Messages:
    """Queues a message for what a customer is told of."""

    def __init__(self) -> None:
        self._policies = Policies()

    def on_triaged(self, event: Event[ComplaintTriaged]) -> Prepared:
        """Queue the acknowledgement, which says by when the customer hears from us; one for each matter."""
        fact = event.data
        if not fact.has_contact or fact.answered or fact.acknowledged:
            return only_folds(event)
        return self._queues(Occasion.ACKNOWLEDGEMENT, fact.complaint_id, fact)

    def on_issued(self, event: Event[CheckIssued]) -> Prepared:
        """Queue the letter that says what was given and asks whether it helped."""
        return self._queues(Occasion.CHECK_GIVEN, event.data.check_id, event.data)

    def on_offered(self, event: Event[OfferMade]) -> Prepared:
        """Queue the letter with the link to choose by."""
        return self._queues(Occasion.CHECK_OFFERED, event.data.offer_id, event.data)

    def on_reopened(self, event: Event[ComplaintReopened]) -> Prepared:
        """Queue the letter after a no: the case is open again, and by when the customer hears from us."""
        fact = event.data
        if not fact.has_contact:
            return only_folds(event)
        return self._queues(Occasion.REOPENED, f"{fact.complaint_id}/{fact.round}", fact)

    def on_confirmation_asked(self, event: Event[ConfirmationAsked]) -> Prepared:
        """Queue the letter with the one-time code."""
        return self._queues(Occasion.CONFIRMATION, event.data.confirmation_id, event.data)

    def _queues(self, occasion: Occasion, about: str, fact: Told) -> Prepared:
        ids = [message_id_of(occasion, about, channel) for channel in MessageChannel]
        decide = partial(self._queue, ids, occasion, about, fact)
        return Prepared(decide, [Message.key(message_id) for message_id in ids])

    async def _queue(
        self, ids: Sequence[str], occasion: Occasion, about: str, fact: Told, view: View
    ) -> Decision:
        """Queue a message on the first channel, unless it was queued before on any: a cause may come twice."""
        for message_id in ids:
            if await view.get(Message, message_id) is not None:
                return Decision()
        channel = await self._first_channel(fact.site, view)
        return queue(
            message_id_of(occasion, about, channel),
            occasion,
            about,
            complaint_id=fact.complaint_id,
            customer_ref=fact.customer_ref,
            site=fact.site,
            language=fact.language,
            now=view.now,
            promise_id=fact.promise_id
            if isinstance(fact, ComplaintTriaged | ComplaintReopened)
            else None,
            channel=channel,
        )

    async def _first_channel(self, site: str, view: View) -> MessageChannel:
        """The policy's first channel; e-mail of a site whose policy has not come, for which letters wait."""
        try:
            policy, _ = await self._policies.at(site, view)
        except Rejected:
            return MessageChannel.EMAIL
        return policy.notify.channels[0]
