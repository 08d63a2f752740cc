"""What customers are told of, as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from services.notifier.messages.rules import Message, message_id_of, queue
from services.notifier.preferences.handlers import wanted_by
from services.notifier.preferences.rules import Preferences
from services.notifier.subjects.moves import (
    fix_of,
    promise_of,
    question_of,
    resolution_of,
)
from services.notifier.subjects.rules import Story, moment_of
from shared.contracts.compensation import CheckIssued, CheckVoided, OfferMade
from shared.contracts.complaints import (
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintOverdue,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    ConfirmationAsked,
    ContactChanged,
    FixDone,
    InfoAsked,
    PromiseWarned,
    ResolutionRecorded,
    TouchpointAsked,
)
from shared.contracts.event import Event
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import MessageQueued, Occasion
from shared.contracts.policy import Notify
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.kafka.inbox import Prepared, only_folds
from shared.runtime.policies import Policies, PolicyHead

#: A fix is told this long after it was done, so that the letter about a resolution, which says more, goes in its place.
FIX_TOLD_AFTER = timedelta(minutes=1)
#: Facts that say themselves to whom, where and in which language is written.
Told = ComplaintTriaged | ComplaintReopened | CheckIssued | OfferMade | ConfirmationAsked
#: Facts of a complaint for which the notifier looks that up.
Move = (
    InfoAsked
    | FixDone
    | ResolutionRecorded
    | PromiseWarned
    | ComplaintOverdue
    | ComplaintConfirmed
    | ComplaintClosed
    | ComplaintReferred
    | ContactChanged
    | ComplaintWithdrawn
    | ComplaintUnfounded
)


class About(NamedTuple):
    """A message to queue: why, about what, and when it is due; at once if `due_at` is None."""

    occasion: Occasion
    id: str
    due_at: datetime | None = None
    promise_id: str | None = None

    @property
    def message_ids(self) -> Sequence[str]:
        """The message's id on each channel."""
        return [message_id_of(self.occasion, self.id, channel) for channel in MessageChannel]


#: The messages that remind of one, by what the site's policy says.
Reminders = Callable[[Notify], Iterable[About]]


def reminders_of_check(fact: CheckIssued, notify: Notify) -> Iterable[About]:
    """Whether it helped is asked once more, but for delight; before its end, a check with something on it is remembered."""
    if notify.feedback_again_after is not None and fact.delight is None:
        due_at = fact.issued_at + notify.feedback_again_after
        yield About(Occasion.FEEDBACK_ASKED, fact.check_id, due_at)
    if notify.check_ends_before is not None and fact.value_minor:
        due_at = fact.valid_until - notify.check_ends_before
        if due_at > fact.issued_at:
            yield About(Occasion.CHECK_EXPIRING, fact.check_id, due_at)


def reminders_of_resolution(fact: ResolutionRecorded, notify: Notify) -> Iterable[About]:
    """Whether it helped is asked once more, if the complaint is not closed before."""
    if notify.feedback_again_after is not None:
        due_at = fact.recorded_at + notify.feedback_again_after
        if due_at < fact.closes_at:
            yield About(Occasion.FEEDBACK_ASKED, resolution_of(fact), due_at)


def queued(
    about: About,
    complaint_id: str,
    to: Told | TouchpointAsked | Story | Message,
    channel: MessageChannel,
    now: datetime,
) -> MessageQueued:
    """A message to the customer, queued."""
    return queue(
        message_id_of(about.occasion, about.id, channel),
        about.occasion,
        about.id,
        complaint_id=complaint_id,
        customer_ref=to.customer_ref,
        site=to.site,
        language=to.language,
        now=now,
        promise_id=about.promise_id,
        due_at=about.due_at,
        channel=channel,
    )


def keys_of(about: About) -> Sequence[str]:
    """The keys of the message on each channel."""
    return [Message.key(message_id) for message_id in about.message_ids]


class Messages:
    """Queues messages for what a customer is told of."""

    def __init__(self) -> None:
        self._policies = Policies()

    def on_triaged(self, event: Event[ComplaintTriaged]) -> Prepared:
        """Queue the acknowledgement, which says by when the customer hears from us; one for each matter."""
        fact = event.data
        if not fact.has_contact or fact.answered or fact.acknowledged:
            return only_folds(event)
        about = About(Occasion.ACKNOWLEDGEMENT, fact.complaint_id, promise_id=fact.promise_id)
        return self._queues(fact, about)

    def on_issued(self, event: Event[CheckIssued]) -> Prepared:
        """Queue the letter that says what was given and asks whether it helped, and the reminders of both.

        Of what is given to delight, nobody is told who cannot be written to, and nobody is asked.
        """
        fact = event.data
        if fact.delight is not None and not fact.reachable:
            return only_folds(event)
        about = About(Occasion.CHECK_GIVEN, fact.check_id)
        return self._queues(fact, about, partial(reminders_of_check, fact))

    def on_voided(self, event: Event[CheckVoided]) -> Prepared:
        """Queue the letter that says that a check was taken back, if one says that it was given.

        An apology is worth nothing that could be taken back.
        """
        fact = event.data
        given = About(Occasion.CHECK_GIVEN, fact.check_id)
        about = About(Occasion.CHECK_WITHDRAWN, fact.check_id)

        async def decide(view: View) -> Decision:
            told = [await view.get(Message, message_id) for message_id in given.message_ids]
            to = next((one for one in told if one is not None), None)
            if to is None or not fact.unredeemed_minor:
                return Decision()
            return await self._queue(to.complaint_id, to, about, None, view)

        return Prepared(decide, [*keys_of(given), *keys_of(about)])

    def on_offered(self, event: Event[OfferMade]) -> Prepared:
        """Queue the letter with the link to choose by."""
        return self._queues(event.data, About(Occasion.CHECK_OFFERED, event.data.offer_id))

    def on_reopened(self, event: Event[ComplaintReopened]) -> Prepared:
        """Queue the letter after a no: the case is open again, and by when the customer hears from us."""
        fact = event.data
        if not fact.has_contact:
            return only_folds(event)
        round_id = f"{fact.complaint_id}/{fact.round}"
        return self._queues(fact, About(Occasion.REOPENED, round_id, promise_id=fact.promise_id))

    def on_confirmation_asked(self, event: Event[ConfirmationAsked]) -> Prepared:
        """Queue the letter with the one-time code."""
        return self._queues(event.data, About(Occasion.CONFIRMATION, event.data.confirmation_id))

    def on_contact_changed(self, event: Event[ContactChanged]) -> Prepared:
        """Queue the letter that says to the address of before that another one took its place."""
        fact = event.data
        about = moment_of(fact.complaint_id, fact.changed_at)
        return self._tells(fact, About(Occasion.CONTACT_CHANGED, about))

    def on_asked(self, event: Event[InfoAsked]) -> Prepared:
        """Queue the letter with the question that the promise waits for."""
        return self._tells(event.data, About(Occasion.QUESTION_ASKED, question_of(event.data)))

    def on_fixed(self, event: Event[FixDone]) -> Prepared:
        """Queue the letter that says what was done about the cause; one per fix."""
        fact = event.data
        due_at = fact.done_at + FIX_TOLD_AFTER
        return self._tells(fact, About(Occasion.FIX_DONE, fix_of(fact), due_at))

    def on_resolved(self, event: Event[ResolutionRecorded]) -> Prepared:
        """Queue the letter that says what was done and asks whether it helped, and its reminder."""
        fact = event.data
        about = About(Occasion.RESOLUTION_TOLD, resolution_of(fact))
        return self._tells(fact, about, partial(reminders_of_resolution, fact))

    def on_warned(self, event: Event[PromiseWarned]) -> Prepared:
        """Queue the letter that says that a promise may not be kept, if the policy wants customers told so early."""
        fact = event.data
        about = About(Occasion.PROMISE_AT_RISK, promise_of(fact))

        async def decide(view: View) -> Decision:
            notify = await self._notify(fact.site, view)
            wanted = notify is not None and notify.at_risk
            return await self._of_story(fact, about, None, view) if wanted else Decision()

        return Prepared(decide, [*keys_of(about), Story.key(fact.complaint_id)])

    def on_overdue(self, event: Event[ComplaintOverdue]) -> Prepared:
        """Queue the letter that says that a promise was not kept: we say it first."""
        about = About(
            Occasion.PROMISE_BROKEN, promise_of(event.data), promise_id=event.data.promise_id
        )
        return self._tells(event.data, about)

    def on_confirmed(self, event: Event[ComplaintConfirmed]) -> Prepared:
        """Queue the thanks for the customer's yes."""
        fact = event.data
        about = moment_of(fact.complaint_id, fact.confirmed_at)
        return self._tells(fact, About(Occasion.THANKED, about))

    def on_closed(self, event: Event[ComplaintClosed]) -> Prepared:
        """Queue the letter that says that the case was closed, because the customer said nothing more."""
        fact = event.data
        about = moment_of(fact.complaint_id, fact.closed_at)
        return self._tells(fact, About(Occasion.CLOSED, about))

    def on_withdrawn(self, event: Event[ComplaintWithdrawn]) -> Prepared:
        """Queue the letter that says that an employee wrote down that the customer took it back; they may not have."""
        fact = event.data
        if fact.employee_id is None:
            return only_folds(event)
        about = moment_of(fact.complaint_id, fact.withdrawn_at)
        return self._tells(fact, About(Occasion.CLOSED, about))

    def on_unfounded(self, event: Event[ComplaintUnfounded]) -> Prepared:
        """Queue the letter that says that it was taken for no complaint, and how to say that it is one."""
        fact = event.data
        about = moment_of(fact.complaint_id, fact.found_at)
        return self._tells(fact, About(Occasion.CLOSED, about))

    def on_referred(self, event: Event[ComplaintReferred]) -> Prepared:
        """Queue the letter that says which outside body looks at the case, and how to reach them."""
        fact = event.data
        about = moment_of(fact.complaint_id, fact.referred_at)
        return self._tells(fact, About(Occasion.REFERRED, about))

    def on_touchpoint_asked(self, event: Event[TouchpointAsked]) -> Prepared:
        """Queue the question how a moment of the journey was, due when the policy says; there is no complaint."""
        fact = event.data
        about = About(Occasion.TOUCHPOINT_ASKED, fact.asking_id, fact.due_at)

        async def decide(view: View) -> Decision:
            return await self._queue(fact.asking_id, fact, about, None, view)

        return Prepared(decide, [*keys_of(about), Preferences.key(fact.customer_ref)])

    def _queues(self, fact: Told, about: About, reminders: Reminders | None = None) -> Prepared:
        """Queue what a fact tells its customer, and what reminds of it later."""

        async def decide(view: View) -> Decision:
            return await self._queue(fact.complaint_id, fact, about, reminders, view)

        return Prepared(decide, [*keys_of(about), Preferences.key(fact.customer_ref)])

    def _tells(self, fact: Move, about: About, reminders: Reminders | None = None) -> Prepared:
        """The same for a fact that does not say who its customer is."""
        decide = partial(self._of_story, fact, about, reminders)
        return Prepared(decide, [*keys_of(about), Story.key(fact.complaint_id)])

    async def _of_story(
        self, fact: Move, about: About, reminders: Reminders | None, view: View
    ) -> Decision:
        """Queue it for the complaint's customer, if they can be written to; raises Rejected(unknown_complaint)."""
        story = await view.require(Story, fact.complaint_id, Reason.UNKNOWN_COMPLAINT)
        if story.reachable is False:
            return Decision()
        return await self._queue(fact.complaint_id, story, about, reminders, view)

    async def to_customer(
        self, complaint_id: str, story: Story, about: About, view: View
    ) -> Decision:
        """Queue a message to the customer of a complaint, if they can be written to and it was not queued before."""
        if story.reachable is False:
            return Decision()
        return await self._queue(complaint_id, story, about, None, view)

    async def _queue(
        self,
        complaint_id: str,
        to: Told | TouchpointAsked | Story | Message,
        about: About,
        reminders: Reminders | None,
        view: View,
    ) -> Decision:
        """Queue a message and its reminders on the first channel, unless it was queued before on any: a cause may come twice."""
        for message_id in about.message_ids:
            if await view.get(Message, message_id) is not None:
                return Decision()
        notify, wanted = await self._notify(to.site, view), [about]
        if reminders is not None and notify is not None:
            wanted += reminders(notify)
        # E-mail of a site whose policy has not come, for which letters wait.
        channels = notify.channels if notify is not None else (MessageChannel.EMAIL,)
        channel = (await wanted_by(to.customer_ref, view)).channels(channels)[0]
        return Decision.of(*(queued(one, complaint_id, to, channel, view.now) for one in wanted))

    async def _notify(self, site: str, view: View) -> Notify | None:
        """What a site's policy says of messages; None while there is none: then nothing is reminded of."""
        if await view.get(PolicyHead, site) is None:
            return None
        policy, _ = await self._policies.at(site, view)
        return policy.notify
