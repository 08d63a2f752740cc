"""Facts owned by the notifier: what customers and employees were told, and what customers answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from shared.contracts.compensation import Safety
from shared.contracts.complaints import Language
from shared.contracts.data import About, Data
from shared.contracts.event import (
    CheckId,
    ComplaintId,
    CustomerRef,
    EmployeeId,
    Id,
    PraiseId,
    PromiseId,
    Sealed,
    SiteId,
)
from shared.contracts.intake import MessageChannel
from shared.contracts.policy import ItemId, QuietHours, Scale
from shared.contracts.reasons import Reason
from shared.kernel import Fact

#: The name of an account that counts letters.
LetterAccount = Annotated[str, StringConstraints(max_length=256)]
#: A time zone, by its IANA name.
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64)]
#: The site, in facts that had none at first.
OfSite = Annotated[
    SiteId | None,
    Field(description="The site's id; absent in facts older than this field."),
]


class Occasion(StrEnum):
    """Why a message is sent; one message per occasion, channel and what it is about.

    All go to the customer, except `safety`, which goes to the site's role mailboxes.
    """

    ACKNOWLEDGEMENT = "acknowledgement"
    CHECK_GIVEN = "check_given"
    REOPENED = "reopened"
    CHECK_OFFERED = "check_offered"
    SAFETY = "safety"
    CONFIRMATION = "confirmation"
    CONTACT_CHANGED = "contact_changed"
    QUESTION_ASKED = "question_asked"
    FIX_DONE = "fix_done"
    RESOLUTION_TOLD = "resolution_told"
    PROMISE_AT_RISK = "promise_at_risk"
    PROMISE_BROKEN = "promise_broken"
    THANKED = "thanked"
    CLOSED = "closed"
    REFERRED = "referred"
    FEEDBACK_ASKED = "feedback_asked"
    CHECK_EXPIRING = "check_expiring"
    CHECK_WITHDRAWN = "check_withdrawn"
    DIGEST = "digest"
    INCIDENT = "incident"
    TOUCHPOINT_ASKED = "touchpoint_asked"


class Tells(StrEnum):
    """What a customer wants to be told of; what they must know, they are always told."""

    EVERYTHING = "everything"
    #: No reminders and no thanks: what is not about an open complaint.
    NO_REMINDERS = "no_reminders"
    #: Besides, nothing of how a promise stands: answers, questions and what they are given alone.
    ANSWERS = "answers"


class Author(StrEnum):
    """Who changed how a customer is told."""

    #: On the customer's own page.
    CUSTOMER = "customer"
    #: With the one click in a mail program, which anybody who has the letter can do, as can a mail program.
    ONE_CLICK = "one_click"
    #: An employee wrote down what the customer told them.
    EMPLOYEE = "employee"
    #: Another system of the site's operator.
    SYSTEM = "system"


#: The channel that goes on, in facts about a message that did not arrive.
NextChannel = Annotated[
    MessageChannel | None,
    Data.INTERNAL,
    Field(description="The channel by which the customer is told instead; absent if by none."),
]


#: What a message waits for that goes together with others.
DigestId = Annotated[
    Id | None,
    Data.PERSONAL,
    Field(description="The digest that it goes in, by its id; absent if it goes by itself."),
]


class Helped(StrEnum):
    """The answer to "did it help?"."""

    YES = "yes"
    #: As after a no, there is more to do.
    PARTLY = "partly"
    NO = "no"


class Notice(StrEnum):
    """What an employee is told in their inbox, besides thanks."""

    HELPED_PARTLY = "helped_partly"
    HELPED_NOT = "helped_not"
    HANDOVER_OFFERED = "handover_offered"
    HANDOVER_ACCEPTED = "handover_accepted"
    HANDOVER_DECLINED = "handover_declined"
    PROMISE_NEAR = "promise_near"
    PROMISE_BROKEN = "promise_broken"
    FIX_ASKED = "fix_asked"
    CAME_BACK = "came_back"
    #: One more line with an answer that was given before.
    WROTE_MORE = "wrote_more"


class MessageFact(Fact):
    """A fact about one message; they keep their order."""

    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    message_id: Annotated[Id, Data.PERSONAL] = Field(
        description="The message's id; follows from its occasion, what it is about, and its channel."
    )
    complaint_id: ComplaintId

    def key(self) -> str:
        """The complaint: its messages and answers stay in order."""
        return self.complaint_id


class MessageQueued(MessageFact):
    """A message is due; its content is read when it is sent."""

    TYPE: ClassVar[str] = "recovery.message.queued.v1"

    customer_ref: CustomerRef
    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it is sent.")
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which it is written."
    )
    site: SiteId
    about: Annotated[Id, Data.PERSONAL] = Field(
        description="Id of the complaint, check, offer, confirmation or digest that it is about; of a promise `<complaint_id>/<round>`, and of one after the n-th of its round that was broken `<complaint_id>/<round>/<n>`, of another move of a complaint `<complaint_id>/<µs since the epoch>`, of an incident `<complaint_id>/<incident_id>`, of a second message about safety `<complaint_id>/again`."
    )
    mailbox: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="The role mailbox it goes to, by its id; absent for the customer."
    )
    queued_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was queued.")
    promise_id: PromiseId | None = Field(
        None, description="The promise that it tells the customer of; absent if of none."
    )
    due_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When it is due, and sent if what it says is still true then; absent if that is at once.",
    )
    channel: Annotated[MessageChannel, Data.INTERNAL] = Field(
        MessageChannel.EMAIL, description="The channel that it goes by."
    )
    instead_of: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Id of the message on another channel that it is sent instead of; absent if of none.",
    )


class MessageAttempted(MessageFact):
    """A message is being handed to the provider; its fate is unknown until a later fact."""

    TYPE: ClassVar[str] = "recovery.message.attempted.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it is sent.")
    attempt: Annotated[int, Field(ge=1, le=1000), Data.INTERNAL] = Field(
        description="Number of this attempt, from 1."
    )
    repeats_unknown: Annotated[bool, Data.INTERNAL] = Field(
        description="Whether nobody knows the fate of the attempt before, so that the customer may get it twice."
    )
    counted: Annotated[tuple[LetterAccount, ...], Field(max_length=4), Data.PERSONAL] = Field(
        (),
        description="Accounts in which the letter counts once: today's letters of its occasion to this address, and because of this sender.",
    )
    attempted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was handed to the provider."
    )
    provider: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="The provider, by its id; absent in facts older than this field."
    )


class MessageDelayed(MessageFact):
    """The provider did not accept the message; the next attempt is at `retry_at`."""

    TYPE: ClassVar[str] = "recovery.message.delayed.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it is sent.")
    attempt: Annotated[int, Field(ge=1, le=1000), Data.INTERNAL] = Field(
        description="Number of the attempt that failed, from 1."
    )
    reason: Annotated[Reason, Data.INTERNAL] = Field(
        description="Why the provider did not take it."
    )
    retry_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it is tried again.")


class MessageDeferred(MessageFact):
    """The customer is not told now: the message waits, and is sent at `due_at` if it is still true then."""

    TYPE: ClassVar[str] = "recovery.message.deferred.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it is sent.")
    reason: Annotated[Reason, Data.INTERNAL] = Field(description="Why it waits.")
    due_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it is due.")
    digest_id: DigestId = None


class MessageSent(MessageFact):
    """The provider accepted the message."""

    TYPE: ClassVar[str] = "recovery.message.sent.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it was sent.")
    attempt: Annotated[int, Field(ge=1, le=1000), Data.INTERNAL] = Field(
        description="Number of the attempt that succeeded, from 1."
    )
    sent_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the provider accepted it."
    )
    site: OfSite = None
    in_digest: Annotated[Id | None, Data.PERSONAL] = Field(
        None, description="Id of the digest's message that it went in; absent if it went by itself."
    )


class MessageFailed(MessageFact):
    """The message cannot be delivered and is not tried again; the reason is recorded."""

    TYPE: ClassVar[str] = "recovery.message.failed.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it was to be sent.")
    reason: Annotated[Reason, Data.INTERNAL] = Field(description="Why it cannot be delivered.")
    failed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was given up.")
    site: OfSite = None
    next_channel: NextChannel = None


#: Why a message failed that nobody lacks.
NOT_LACKED = frozenset({Reason.NO_LONGER_TRUE, Reason.NOT_WANTED, Reason.ENOUGH_TODAY})


class MessageDelivered(MessageFact):
    """The provider reported that the message was delivered; counts whatever was reported before."""

    TYPE: ClassVar[str] = "recovery.message.delivered.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it was sent.")
    provider: Annotated[Id, Data.INTERNAL] = Field(
        description="The provider that reported it, by its id."
    )
    delivered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the report came."
    )
    site: OfSite = None


class MessageBounced(MessageFact):
    """The provider had accepted the message and reported that it could not be delivered."""

    TYPE: ClassVar[str] = "recovery.message.bounced.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why it was sent.")
    provider: Annotated[Id, Data.INTERNAL] = Field(
        description="The provider that reported it, by its id."
    )
    reason: Annotated[Reason, Data.INTERNAL] = Field(description="Why it was not delivered.")
    bounced_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When the report came.")
    site: OfSite = None
    next_channel: NextChannel = None


class MessageSaid(MessageFact):
    """An employee told the customer in person what the message says: it is not sent any more.

    Of a message that was sent already it says that the customer was told in person as well.
    """

    TYPE: ClassVar[str] = "recovery.message.said.v1"

    occasion: Annotated[Occasion, Data.INTERNAL] = Field(description="Why the customer is told.")
    site: SiteId
    employee_id: EmployeeId = Field(description="Employee who told the customer.")
    said_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the employee said so."
    )


def _none_without_length(hours: object) -> object:
    """None in place of hours that begin and end at one time: earlier builds let fractions of a second through, and wrote such."""
    if isinstance(hours, dict) and hours.get("starts") == hours.get("ends"):
        return None
    return hours


#: The quiet hours that a customer chose, as they are stored.
ChosenHours = Annotated[QuietHours | None, BeforeValidator(_none_without_length)]


class PreferencesChanged(Fact):
    """A customer said how they want to be told; it holds for every message from now on, also for those that wait."""

    TYPE: ClassVar[str] = "recovery.preferences.changed.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    customer_ref: CustomerRef
    site: SiteId
    tells: Annotated[Tells, Data.PERSONAL] = Field(
        description="What the customer wants to be told of."
    )
    channel: Annotated[MessageChannel | None, Data.PERSONAL] = Field(
        None, description="The channel that the customer wants first; absent for the site's first."
    )
    language: Annotated[Language | None, Data.PERSONAL] = Field(
        None, description="Language of messages; absent for that of the complaint."
    )
    quiet_hours: Annotated[ChosenHours, Data.PERSONAL] = Field(
        None, description="Time of each day in which messages wait; absent for the site's."
    )
    timezone: Annotated[TimeZone | None, Data.PERSONAL] = Field(
        None, description="Where the customer's clock is, by its IANA name; absent for the site's."
    )
    changed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer said so."
    )
    author: Annotated[Author | None, Data.INTERNAL] = Field(
        None, description="Who changed it; absent in facts older than this field."
    )

    def key(self) -> str:
        """The customer: what they say last counts."""
        return self.customer_ref


class SafetyRouted(Fact):
    """The role mailboxes that are told about somebody's safety; once per complaint.

    The facts of each message say what became of its letter. Without mailboxes the policy names none,
    and nobody is told.
    """

    TYPE: ClassVar[str] = "recovery.safety.routed.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: ComplaintId
    site: SiteId
    kinds: Annotated[tuple[Safety, ...], Field(max_length=16), Data.SPECIAL] = Field(
        description="What employees said it is about; empty where only the customer's words say so."
    )
    mailboxes: Annotated[tuple[Id, ...], Field(max_length=16), Data.INTERNAL] = Field(
        description="Role mailboxes that are told, by their ids; empty where the policy names none, and nobody is told."
    )
    routed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was decided who is told."
    )
    seen_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When they are told once more, unless somebody has said by then that they saw it; absent where nobody is told, and in facts older than this field.",
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class SafetySeen(Fact):
    """Somebody who must know of a safety concern said that they saw it; the first one ends the wait for it."""

    TYPE: ClassVar[str] = "recovery.safety.seen.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: ComplaintId
    site: SiteId
    mailbox: Annotated[Id | None, Data.INTERNAL] = Field(
        None,
        description="The role mailbox whose letter it was said by, by its id; absent if an employee said it.",
    )
    employee_id: EmployeeId | None = Field(
        None, description="Employee who said it; absent if it was said by a letter's link."
    )
    seen_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they said so.")

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class SafetyRetold(Fact):
    """Nobody said in time that they saw a safety concern: all are told once more, by another channel where there is one."""

    TYPE: ClassVar[str] = "recovery.safety.retold.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: ComplaintId
    site: SiteId
    mailboxes: Annotated[tuple[Id, ...], Field(max_length=16), Data.INTERNAL] = Field(
        description="Role mailboxes that are told once more, by their ids."
    )
    retold_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was decided to tell them once more."
    )
    seen_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it counts as unseen, unless somebody has said by then that they saw it."
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class SafetyUnseen(Fact):
    """Nobody said that they saw a safety concern, also after they were told once more: people must see to it."""

    TYPE: ClassVar[str] = "recovery.safety.unseen.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: ComplaintId
    site: SiteId
    unseen_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the wait for it ended."
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class FeedbackReceived(Fact):
    """The customer answered "did it help?"."""

    TYPE: ClassVar[str] = "recovery.feedback.received.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: ComplaintId
    check_id: CheckId
    helped: Annotated[Helped, Data.PERSONAL] = Field(description="The answer.")
    answered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer answered."
    )
    site: OfSite = None
    line: Annotated[Sealed | None, Data.SPECIAL] = Field(
        None,
        description="What the customer wrote with it, sealed under a key of the customer and the month; absent if nothing.",
    )
    added_line: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether the customer only wrote one more line: the answer is the one that they gave before.",
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class SurveyAnswered(Fact):
    """The customer answered one question of the site's survey, after a complaint was closed; once for each close."""

    TYPE: ClassVar[str] = "recovery.survey.answered.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: ComplaintId
    site: SiteId
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Number of times that the complaint was opened again before it was closed."
    )
    question_id: Annotated[ItemId, Data.INTERNAL] = Field(
        description="The question, by its name in the site's policy."
    )
    scale: Annotated[Scale, Data.INTERNAL] = Field(description="Which answers there were.")
    score: Annotated[int, Field(ge=0, le=10), Data.PERSONAL] = Field(
        description="The answer on that scale, from 0; of yes and no, 1 and 0."
    )
    answered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer answered."
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class ToEmployee(Fact):
    """A fact that puts an entry into the inbox of one employee."""

    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    employee_id: EmployeeId = Field(description="Employee who is told.")
    site: SiteId
    complaint_id: ComplaintId

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class EmployeeThanked(ToEmployee):
    """A customer said that it helped: who gave the check is told, or who recorded what was done.

    It is between the two: nothing counts it, and nobody else is shown it.
    """

    TYPE: ClassVar[str] = "recovery.employee.thanked.v1"

    check_id: CheckId | None = Field(
        None, description="The check that helped; absent if the customer said it of the complaint."
    )
    noted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer said so."
    )


class EmployeePraised(Fact):
    """A customer praised, and an employee who was there reads it; nothing counts it, and nobody else is shown it."""

    TYPE: ClassVar[str] = "recovery.employee.praised.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    employee_id: EmployeeId = Field(description="Employee who reads it.")
    site: SiteId
    praise_id: PraiseId
    noted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When the praise came.")

    def key(self) -> str:
        """The praise."""
        return self.praise_id


class EmployeeNotified(ToEmployee):
    """An employee is told of something in a case of theirs."""

    TYPE: ClassVar[str] = "recovery.employee.notified.v1"

    notice: Annotated[Notice, Data.PERSONAL, About.EMPLOYEE] = Field(description="What it is.")
    check_id: CheckId | None = Field(
        None, description="The check that the customer spoke of; absent if none."
    )
    fix: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="The fix that is asked for, by its name in the policy; absent if none."
    )
    noted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it happened.")


class InboxRead(Fact):
    """An employee read their inbox up to an entry."""

    TYPE: ClassVar[str] = "recovery.inbox.read.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    employee_id: EmployeeId = Field(description="Employee whose inbox it is.")
    site: SiteId
    up_to: Annotated[int, Field(ge=0), Data.PERSONAL, About.EMPLOYEE] = Field(
        description="Number of the last entry that they read; 0 if they read none."
    )
    read_at: Annotated[AwareDatetime, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="When they read it."
    )

    def key(self) -> str:
        """The employee."""
        return self.employee_id
