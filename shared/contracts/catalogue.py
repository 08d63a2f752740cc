"""The catalogue: which fact is on which topic, which program makes it, which services read it.

Topics, subscriptions, AsyncAPI, the reference pages and the tests come from these two tables and
from nothing else. A new fact is a new row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from shared.contracts.audit import (
    FactRecorded,
    GapRecorded,
    HeadsSigned,
    LookTaken,
    SignalDismissed,
    SignalRaised,
)
from shared.contracts.compensation import (
    AuthorityCounted,
    AuthorityOpened,
    CaseOpened,
    CheckExpired,
    CheckExplained,
    CheckIssued,
    CheckPraised,
    CheckRefused,
    CheckResumed,
    CheckSuspended,
    CheckUnexplained,
    CheckVoided,
    ComplaintLogged,
    IncidentClosed,
    IncidentGiven,
    IncidentGiving,
    IncidentJoined,
    IncidentOpened,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    PolicyTried,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
    SafetyNoted,
    ShiftEnded,
    ShiftStarted,
    WindowClosed,
    WindowOpened,
)
from shared.contracts.complaints import (
    CauseActionTaken,
    CauseNamed,
    ComplaintClaimed,
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintCorrected,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintOverdue,
    ComplaintReceived,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintRepeated,
    ComplaintSplit,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    ConfirmationAsked,
    ConfirmationFailed,
    ConfirmationGiven,
    ContactChanged,
    CustomerErased,
    CustomerReturned,
    ErasureCertified,
    FixAsked,
    FixDeclined,
    FixDone,
    FixLate,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    InfoAsked,
    InfoReceived,
    MatterChanged,
    PraiseReceived,
    PraiseRepeated,
    ProfileRecorded,
    PromiseWarned,
    ResolutionRecorded,
    SafetyFound,
    TouchpointAnswered,
    TouchpointAsked,
    WordsAdded,
    WordsExpired,
)
from shared.contracts.deadletters import (
    CompensationReplayTaken,
    ComplaintsReplayTaken,
    DeadLetterDiscarded,
    DeadLetterOpened,
    DeadLetterReplayed,
    NotifierReplayTaken,
)
from shared.contracts.intake import (
    ComplaintRaised,
    CustomerDescribed,
    CustomerPurchased,
    DisruptionAnnounced,
    TouchpointPassed,
)
from shared.contracts.notifier import (
    EmployeeNotified,
    EmployeePraised,
    EmployeeThanked,
    FeedbackReceived,
    InboxRead,
    MessageAttempted,
    MessageBounced,
    MessageDeferred,
    MessageDelayed,
    MessageDelivered,
    MessageFailed,
    MessageQueued,
    MessageSaid,
    MessageSent,
    PreferencesChanged,
    SafetyRetold,
    SafetyRouted,
    SafetySeen,
    SafetyUnseen,
    SurveyAnswered,
)
from shared.contracts.policy import PolicyPublished
from shared.contracts.roster import EmployeeListed
from shared.contracts.topics import TopicRaised
from shared.contracts.vault import (
    CustomerKeyCreated,
    CustomerKeyDestroyed,
    CustomerKeyRewrapped,
)
from shared.contracts.webhooks import (
    WebhookAttempted,
    WebhookDelayed,
    WebhookDelivered,
    WebhookDisabled,
    WebhookDropped,
    WebhookQueued,
)
from shared.kernel import Fact

OTHER_SYSTEMS = "other systems"
OPERATOR = "operator"
COMPLAINTS = "complaints"
COMPENSATION = "compensation"
NOTIFIER = "notifier"
AUDIT = "audit"
SERVICES = (COMPLAINTS, COMPENSATION, NOTIFIER, AUDIT)
#: The services that deal with customers; audit looks at what they did.
WITH_CUSTOMERS = (COMPLAINTS, COMPENSATION, NOTIFIER)

#: State is rebuilt from these topics, so they outlive everything in them: the longest validity and
#: the longest promise a policy may state (731 days), and a year to find out that one is missing.
REBUILD_RETENTION = timedelta(days=1096)
#: Clear text is kept short: long enough for a service that is down over a long weekend.
INTAKE_RETENTION = timedelta(days=7)
#: How long a dead letter is kept for an operator to look at.
DEAD_LETTER_RETENTION = timedelta(days=14)
#: How long a backup is kept, unless a setting says otherwise: it may hold the wrapped keys of an erased customer.
BACKUP_RETENTION = DEAD_LETTER_RETENTION
#: A destroyed key must be gone within an hour, also from the segment that is being written.
COMPACTION_LAG_MAX = timedelta(hours=1)
#: A rebuild finds answers to requests that come again in facts: a listing may be one, and a policy has
#: the titles in others.
COMPACTION_LAG_MIN = timedelta(hours=48)
#: Long letters from other systems (5 MB and more) must arrive, to be refused with a reason.
LARGE_MESSAGE_BYTES = 8 * 1024 * 1024
#: A sealed record in base64 is four thirds as long. A dead letter that did not fit its topic would
#: block the outbox for ever.
DEAD_LETTER_BYTES = LARGE_MESSAGE_BYTES * 3 // 2
#: As many workers as one service can have; more is an option of `topics create`, and later of `topics raise`.
PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One fact: who makes it and which services read it.

    `also_from`: other programs that write the same fact to the same topic. Only a compacted topic may
    have them, because a service compares itself with the lines of its own topic.
    """

    fact: type[Fact]
    producer: str
    consumers: tuple[str, ...] = ()
    also_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; `retention` is None where compaction alone decides what stays."""

    name: str
    key: str
    description: str
    retention: timedelta | None = REBUILD_RETENTION
    cleanup: Literal["delete", "compact"] = "delete"
    partitions: int = PARTITIONS
    compaction_lag_max: timedelta | None = None
    compaction_lag_min: timedelta | None = None
    message_bytes_max: int | None = None
    #: Whether it may be given more partitions. A compacted topic may not: a key's earlier record would stay in
    #: its earlier partition for good. Those of operators, heads, notices and dead letters stay small.
    grows: bool = False


_ROWS: tuple[Row, ...] = (
    Row(ComplaintRaised, OTHER_SYSTEMS, (COMPLAINTS,)),
    Row(CustomerDescribed, OTHER_SYSTEMS, (COMPLAINTS,)),
    Row(CustomerPurchased, OTHER_SYSTEMS, (COMPLAINTS,)),
    Row(DisruptionAnnounced, OTHER_SYSTEMS, (COMPLAINTS,)),
    Row(TouchpointPassed, OTHER_SYSTEMS, (COMPLAINTS,)),
    # The notifier finds the sealed address in the received fact and nowhere else.
    Row(ComplaintReceived, COMPLAINTS, (NOTIFIER,)),
    Row(ComplaintRepeated, COMPLAINTS),
    Row(ComplaintTriaged, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(ComplaintClaimed, COMPLAINTS, (NOTIFIER,)),
    Row(HandoverOffered, COMPLAINTS, (NOTIFIER,)),
    Row(HandoverAccepted, COMPLAINTS, (NOTIFIER,)),
    Row(HandoverDeclined, COMPLAINTS, (NOTIFIER,)),
    Row(InfoAsked, COMPLAINTS, (NOTIFIER,)),
    Row(InfoReceived, COMPLAINTS, (NOTIFIER,)),
    Row(ResolutionRecorded, COMPLAINTS, (NOTIFIER,)),
    Row(FixAsked, COMPLAINTS, (NOTIFIER,)),
    Row(FixDone, COMPLAINTS, (NOTIFIER,)),
    Row(FixDeclined, COMPLAINTS),
    Row(FixLate, COMPLAINTS),
    Row(CauseNamed, COMPLAINTS),
    Row(CauseActionTaken, COMPLAINTS),
    Row(PraiseReceived, COMPLAINTS, (NOTIFIER,)),
    Row(PraiseRepeated, COMPLAINTS),
    Row(TouchpointAsked, COMPLAINTS, (NOTIFIER,)),
    Row(TouchpointAnswered, COMPLAINTS),
    Row(ComplaintClosed, COMPLAINTS, (NOTIFIER,)),
    Row(ComplaintWithdrawn, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(ComplaintUnfounded, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(ComplaintReferred, COMPLAINTS, (NOTIFIER,)),
    Row(ComplaintCorrected, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(SafetyFound, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(ComplaintMerged, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(ComplaintSplit, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(MatterChanged, COMPLAINTS, (COMPENSATION,)),
    Row(ComplaintConfirmed, COMPLAINTS, (NOTIFIER,)),
    Row(ComplaintReopened, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(PromiseWarned, COMPLAINTS, (NOTIFIER,)),
    Row(ComplaintOverdue, COMPLAINTS, (NOTIFIER,)),
    Row(ComplaintForgotten, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(WordsAdded, COMPLAINTS),
    Row(ConfirmationAsked, COMPLAINTS, (NOTIFIER,)),
    Row(ConfirmationFailed, COMPLAINTS),
    Row(ConfirmationGiven, COMPLAINTS),
    Row(ContactChanged, COMPLAINTS, (NOTIFIER,)),
    Row(ProfileRecorded, COMPLAINTS),
    Row(CustomerReturned, COMPLAINTS),
    Row(CustomerErased, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    Row(ErasureCertified, COMPLAINTS),
    Row(WordsExpired, COMPLAINTS),
    Row(CheckIssued, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(CheckRefused, COMPENSATION),
    Row(CheckExplained, COMPENSATION),
    Row(CheckUnexplained, COMPENSATION),
    Row(CheckPraised, COMPENSATION),
    Row(CheckVoided, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(CheckExpired, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(CheckSuspended, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(CheckResumed, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(RedemptionReserved, COMPENSATION),
    Row(RedemptionCaptured, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(RedemptionCancelled, COMPENSATION),
    Row(RedemptionRolledBack, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(OfferMade, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(OfferChosen, COMPENSATION, (COMPLAINTS,)),
    Row(OfferLapsed, COMPENSATION, (COMPLAINTS,)),
    Row(CaseOpened, COMPENSATION),
    Row(ComplaintLogged, COMPENSATION, (COMPLAINTS,)),
    Row(SafetyNoted, COMPENSATION, (NOTIFIER,)),
    Row(IncidentOpened, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(IncidentJoined, COMPENSATION, (NOTIFIER,)),
    Row(IncidentGiving, COMPENSATION, (NOTIFIER,)),
    Row(IncidentGiven, COMPENSATION),
    Row(IncidentClosed, COMPENSATION, (COMPLAINTS, NOTIFIER)),
    Row(WindowOpened, COMPENSATION),
    Row(WindowClosed, COMPENSATION),
    Row(AuthorityOpened, COMPENSATION),
    Row(AuthorityCounted, COMPENSATION),
    Row(ShiftStarted, COMPENSATION, (COMPLAINTS,)),
    Row(ShiftEnded, COMPENSATION, (COMPLAINTS,)),
    Row(PolicyTried, COMPENSATION),
    Row(MessageQueued, NOTIFIER),
    Row(MessageAttempted, NOTIFIER),
    Row(MessageDelayed, NOTIFIER),
    Row(MessageDeferred, NOTIFIER),
    Row(MessageSent, NOTIFIER, (COMPLAINTS,)),
    Row(MessageFailed, NOTIFIER, (COMPLAINTS,)),
    Row(MessageSaid, NOTIFIER, (COMPLAINTS,)),
    Row(MessageDelivered, NOTIFIER),
    Row(MessageBounced, NOTIFIER),
    Row(PreferencesChanged, NOTIFIER, (COMPLAINTS, COMPENSATION)),
    Row(SafetyRouted, NOTIFIER),
    Row(SafetySeen, NOTIFIER),
    Row(SafetyRetold, NOTIFIER),
    Row(SafetyUnseen, NOTIFIER),
    Row(FeedbackReceived, NOTIFIER, (COMPLAINTS,)),
    Row(SurveyAnswered, NOTIFIER),
    Row(EmployeeThanked, NOTIFIER),
    Row(EmployeePraised, NOTIFIER),
    Row(EmployeeNotified, NOTIFIER),
    Row(InboxRead, NOTIFIER),
    Row(WebhookQueued, NOTIFIER),
    Row(WebhookAttempted, NOTIFIER),
    Row(WebhookDelayed, NOTIFIER),
    Row(WebhookDelivered, NOTIFIER),
    Row(WebhookDropped, NOTIFIER),
    Row(WebhookDisabled, NOTIFIER),
    # The first service to seal makes the key, so the services that seal read each other's keys.
    Row(CustomerKeyCreated, COMPLAINTS, WITH_CUSTOMERS, also_from=(COMPENSATION, NOTIFIER)),
    Row(CustomerKeyRewrapped, COMPLAINTS, (COMPENSATION, NOTIFIER)),
    # A restored backup says it of keys that were destroyed since, which complaints must hear as well.
    Row(CustomerKeyDestroyed, COMPLAINTS, WITH_CUSTOMERS, also_from=(OPERATOR,)),
    Row(PolicyPublished, OPERATOR, WITH_CUSTOMERS, also_from=(COMPENSATION,)),
    Row(EmployeeListed, OPERATOR, WITH_CUSTOMERS, also_from=(COMPENSATION,)),
    Row(DeadLetterOpened, OPERATOR),
    Row(DeadLetterReplayed, OPERATOR, WITH_CUSTOMERS),
    Row(DeadLetterDiscarded, OPERATOR, WITH_CUSTOMERS),
    Row(TopicRaised, OPERATOR),
    Row(ComplaintsReplayTaken, COMPLAINTS),
    Row(CompensationReplayTaken, COMPENSATION),
    Row(NotifierReplayTaken, NOTIFIER),
    Row(FactRecorded, AUDIT),
    Row(GapRecorded, AUDIT),
    Row(HeadsSigned, AUDIT),
    Row(LookTaken, AUDIT),
    Row(SignalRaised, AUDIT),
    Row(SignalDismissed, AUDIT),
)


def _audited(row: Row) -> Row:
    """The row, read by audit as well: every fact but its own and what other systems say in clear text."""
    if row.producer in (AUDIT, OTHER_SYSTEMS):
        return row
    return replace(row, consumers=(*row.consumers, AUDIT))


TABLE: tuple[Row, ...] = tuple(map(_audited, _ROWS))


def dead_letters(consumer: str) -> str:
    """The topic for what this service could not accept."""
    return f"recovery.{consumer}.dlq.v1"


TOPICS: tuple[Topic, ...] = (
    Topic(
        "recovery.intake.v1",
        key="the publisher's choice",
        description="Complaints, descriptions of customers, purchases, disruptions and passed touchpoints from other systems, in clear text; short-lived, own access rights.",
        retention=INTAKE_RETENTION,
        message_bytes_max=LARGE_MESSAGE_BYTES,
        grows=True,
    ),
    Topic(
        "recovery.complaints.v1",
        key="the complaint, customer or site it is about",
        description="The life of each complaint, words and addresses sealed; customers who were erased; words whose time is over.",
        grows=True,
    ),
    Topic(
        "recovery.compensation.v1",
        key="the check, offer, complaint, incident, site or employee it is about",
        description="Service checks and what became of them, offers, incidents, use of authority.",
        grows=True,
    ),
    Topic(
        "recovery.notifier.v1",
        key="the complaint, employee, webhook or endpoint it is about",
        description="What customers, employees, role mailboxes and partners were told, and what customers answered.",
        grows=True,
    ),
    Topic(
        "recovery.audit.v1",
        key="that of the recorded fact, or its employee's pseudonym",
        description=(
            "A record of every fact, in a chain of hashes per source partition; in the partition of the"
            " fact's number."
        ),
        grows=True,
    ),
    Topic(
        "recovery.heads.v1",
        key="`heads`",
        description="Signed heads of all chains of records.",
    ),
    Topic(
        "recovery.notices.v1",
        key="the notice, or what it is about",
        description="What audit itself says: looks at what the record says of one employee, signals. Also on the record.",
    ),
    Topic(
        "recovery.vault.v1",
        key="customer_ref and which key",
        description=(
            "Wrapped keys of customers and of their words by month; the word that a key was destroyed takes its place. Own access rights."
        ),
        retention=None,
        cleanup="compact",
        compaction_lag_max=COMPACTION_LAG_MAX,
    ),
    Topic(
        "recovery.policy.v1",
        key="site",
        description="What each site decides; the latest version stays.",
        retention=None,
        cleanup="compact",
        compaction_lag_min=COMPACTION_LAG_MIN,
    ),
    Topic(
        "recovery.roster.v1",
        key="site and employee_id",
        description="Who works where, by pseudonymous ids; the latest listing stays.",
        retention=None,
        cleanup="compact",
        compaction_lag_min=COMPACTION_LAG_MIN,
    ),
    Topic(
        "recovery.deadletters.v1",
        key="the dead letter: service, topic, partition and offset of its record",
        description="What operators did with dead letters: who, why and when; no content.",
    ),
    Topic(
        "recovery.topics.v1",
        key="topic and number of its partitions",
        description="Topics that were given more partitions: where each partition ended, so that a rebuild knows what lies behind.",
        retention=None,
        cleanup="compact",
    ),
    *(
        Topic(
            dead_letters(consumer),
            # Not the original key: other systems choose it, and it may name a person.
            key="origin topic/partition/offset",
            description=(
                f"What {consumer} could not accept: its value sealed, reason and origin in headers."
                " The original key is not kept; of its headers those of CloudEvents are sealed with the value."
            ),
            retention=DEAD_LETTER_RETENTION,
            message_bytes_max=DEAD_LETTER_BYTES,
        )
        for consumer in SERVICES
    ),
)

#: Every fact by its CloudEvents type.
FACTS: Mapping[str, type[Fact]] = {row.fact.TYPE: row.fact for row in TABLE}


def topics() -> tuple[Topic, ...]:
    """Every topic the product needs."""
    return TOPICS


def subscriptions(consumer: str) -> dict[str, tuple[type[Fact], ...]]:
    """The fact types that a service reads, by topic. It ignores other types on the topic.

    Raises KeyError for a name that is no service.
    """
    if consumer not in SERVICES:
        raise KeyError(consumer)
    found: dict[str, tuple[type[Fact], ...]] = {}
    for row in TABLE:
        if consumer in row.consumers:
            found[row.fact.TOPIC] = (*found.get(row.fact.TOPIC, ()), row.fact)
    return found


def produced(producer: str) -> tuple[type[Fact], ...]:
    """The facts that this producer makes, also those with other producers (`also_from`)."""
    return tuple(row.fact for row in TABLE if producer == row.producer or producer in row.also_from)
