"""Follows a complaint: who has it, and what its customer said."""

from __future__ import annotations

from services.complaints.lifecycle.rules import Complaint, claim, take_feedback
from shared.contracts.compensation import CheckIssued
from shared.contracts.event import Event
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.seal import Vault


class Lifecycle:
    """What moves a complaint on, and what employees read of it."""

    def __init__(self, vault: Vault) -> None:
        self._keys = Keys(vault)
        self._policies = Policies()

    async def on_issued(self, event: Event[CheckIssued], view: View) -> Decision:
        """An employee gave the customer something: they own the complaint now.

        A check given on the spot may arrive before ComplaintLogged, which claims the complaint itself.
        """
        fact = event.data
        complaint = await view.get(Complaint, fact.complaint_id)
        if complaint is None:
            return Decision()
        return claim(complaint, fact.complaint_id, fact.employee_id, view.now)

    async def on_feedback(self, event: Event[FeedbackReceived], view: View) -> Decision:
        """Confirm or reopen the complaint as the customer answered "did it help?".

        Nothing comes of a no of a customer who was erased meanwhile: nobody could be written to.
        """
        fact = event.data
        complaint = await known(fact.complaint_id, view)
        if fact.helped is Helped.NO and await self._keys.erased(complaint.customer_ref, view):
            return Decision()
        policy, _ = await self._policies.at(complaint.site, view)
        return take_feedback(
            complaint,
            fact.complaint_id,
            fact.helped,
            policy,
            view.now,
            answered_at=fact.answered_at,
        )

    async def read_text(self, complaint: Complaint, view: View) -> str | None:
        """The customer's words; None once the customer was erased or the words' time is over; raises Unavailable."""
        return await words_of(complaint, self._keys, view)


async def words_of(complaint: Complaint, keys: Keys, view: View) -> str | None:
    """A complaint's words; None once its customer was erased or the words' time is over; raises Unavailable."""
    return await keys.open_words(
        complaint.customer_ref, "text", complaint.text, complaint.received_at, view
    )


async def known(complaint_id: str, view: View) -> Complaint:
    """The complaint of this id; raises Rejected(unknown_complaint)."""
    return await view.require(
        Complaint, complaint_id, Reason.UNKNOWN_COMPLAINT, where=("/data/complaint_id",)
    )
