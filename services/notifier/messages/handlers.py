"""What customers are told of, as it comes."""

from __future__ import annotations

from functools import partial

from services.notifier.messages.rules import Message, message_id_of, queue
from shared.contracts.compensation import CheckIssued, OfferMade
from shared.contracts.complaints import (
    ComplaintReopened,
    ComplaintTriaged,
    ConfirmationAsked,
)
from shared.contracts.event import Event
from shared.contracts.notifier import (
    Occasion,
)
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.kafka.inbox import Prepared, only_folds

#: What a customer is told of.
Told = ComplaintTriaged | ComplaintReopened | CheckIssued | OfferMade | ConfirmationAsked


class Messages:
    """Queues a message for what a customer is told of."""

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
        message_id = message_id_of(occasion, about)
        decide = partial(self._queue, message_id, occasion, about, fact)
        return Prepared(decide, [Message.key(message_id)])

    async def _queue(
        self, message_id: str, occasion: Occasion, about: str, fact: Told, view: View
    ) -> Decision:
        """Queue a message unless it was queued before: a cause may come twice."""
        if await view.get(Message, message_id) is not None:
            return Decision()
        return queue(
            message_id,
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
        )
