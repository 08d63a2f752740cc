"""What topics hold of a customer in clear: the part of an export that the service complaints does not keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.compensation import (
    CheckIssued,
    CheckVoided,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    RedemptionCaptured,
    RedemptionRolledBack,
    Safety,
    SafetyNoted,
)
from shared.contracts.complaints import ComplaintReceived, ComplaintTriaged, SafetyFound
from shared.contracts.event import AmountMinor, CheckId, ComplaintId, Currency, CustomerRef, Id
from shared.contracts.intake import Channel
from shared.contracts.notifier import (
    FeedbackReceived,
    Helped,
    MessageFailed,
    MessageQueued,
    MessageSaid,
    MessageSent,
    Occasion,
)
from shared.contracts.reasons import Reason
from shared.kernel import Fact
from shared.ops.topics import BootstrapOption, broker_or_exit
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.history import Part, read_history
from shared.runtime.rebuild.sources import RawEvent

#: Records of one topic that are read: what a large site publishes in the three years that facts are kept.
RECORDS_MAX = 50_000_000
#: Complaints, offers, voids, redemptions, letters and answers in one export, together: far more than a person has.
FOUND_MAX = 10_000
#: From the beginning of a topic on.
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)

#: Reads all of a topic.
Read = Callable[[str], AsyncIterator[Part]]

app = typer.Typer(
    name="customer",
    help="What topics hold of a customer. Words, contact and checks: `python -m services.complaints customer export`.",
    no_args_is_help=True,
)


class _Exported(BaseModel):
    model_config = ConfigDict(frozen=True)


class ExportedTelling(_Exported):
    """How the customer complained; the words are in the other part of the export."""

    complaint_id: ComplaintId
    channel: Annotated[Channel, Field(description="How the complaint came.")]
    occurred_at: Annotated[
        datetime | None, Field(description="When it happened, as was said; null if nobody said.")
    ]
    safety: Annotated[
        bool,
        Field(
            description="Whether the words, then or later, were taken to be about somebody's safety."
        ),
    ] = False
    noted: Annotated[
        list[Safety], Field(description="What an employee said that somebody's safety is about.")
    ] = []


class ExportedVoid(_Exported):
    """A check that was taken back, so that no till takes it."""

    check_id: CheckId
    voided_at: Annotated[datetime, Field(description="When it was taken back.")]


class ExportedOffer(_Exported):
    """An offer that the customer could choose from."""

    offer_id: Annotated[Id, Field(description="The offer's id.")]
    complaint_id: ComplaintId
    offered_at: Annotated[datetime, Field(description="When it was offered.")]
    options: Annotated[list[Id], Field(description="What they could choose, by item.")]
    chosen: Annotated[Id | None, Field(description="What was chosen; null if nothing.")] = None
    chosen_at: Annotated[datetime | None, Field(description="When; null if not.")] = None
    lapsed_at: Annotated[
        datetime | None, Field(description="When the time to choose was over; null if not.")
    ] = None


class ExportedRedemption(_Exported):
    """A check, or a part of one, that a till took."""

    redemption_id: Annotated[Id, Field(description="The redemption's id.")]
    check_id: CheckId
    amount_minor: Annotated[
        AmountMinor, Field(description="What was redeemed, in minor units of `currency`.")
    ]
    currency: Currency
    captured_at: Annotated[datetime, Field(description="When it was redeemed.")]
    rolled_back_at: Annotated[
        datetime | None, Field(description="When it was undone; null if it was not.")
    ] = None


class ExportedLetter(_Exported):
    """A letter to the customer, without its text, which is not kept."""

    message_id: Annotated[Id, Field(description="The letter's id.")]
    complaint_id: ComplaintId
    occasion: Annotated[Occasion, Field(description="Why it was written.")]
    queued_at: Annotated[datetime, Field(description="When it was to be sent.")]
    sent_at: Annotated[datetime | None, Field(description="When it was sent; null if not.")] = None
    said_at: Annotated[
        datetime | None,
        Field(description="When an employee told the customer in person; null if none did."),
    ] = None
    failed_because: Annotated[
        Reason | None, Field(description="Why it could not be sent; null if it was, or waits.")
    ] = None


class ExportedAnswer(_Exported):
    """The customer's answer to "did it help?"."""

    check_id: CheckId
    helped: Annotated[Helped, Field(description="The answer.")]
    answered_at: Annotated[datetime, Field(description="When it was given.")]


class Published(_Exported):
    """What was published of one customer, as long as topics keep it."""

    customer_ref: CustomerRef
    complaints: list[ExportedTelling]
    voided: list[ExportedVoid]
    offers: list[ExportedOffer]
    redemptions: list[ExportedRedemption]
    letters: list[ExportedLetter]
    answers: list[ExportedAnswer]
    complete: Annotated[
        bool, Field(description=f"Whether these are all; false if there are more than {FOUND_MAX}.")
    ]


class Collected:
    """Collects what was published of one customer: of complaints first, then of compensation and the notifier.

    The facts of a check, an offer or a letter come in their order, and the first of them names the customer.
    """

    def __init__(self, customer_ref: str) -> None:
        self._ref = customer_ref
        self._complaints: dict[str, ExportedTelling] = {}
        self._checks: set[str] = set()
        self._voided: dict[str, ExportedVoid] = {}
        self._offers: dict[str, ExportedOffer] = {}
        self._redeemed: dict[str, ExportedRedemption] = {}
        self._letters: dict[str, ExportedLetter] = {}
        self._answers: dict[str, ExportedAnswer] = {}
        self._complete = True
        self._takes: Mapping[bytes, tuple[type[Fact], Callable[[Any], None]]] = {
            fact.TYPE.encode(): (fact, take)
            for fact, take in (
                (ComplaintReceived, self._received),
                (ComplaintTriaged, self._triaged),
                (SafetyFound, self._endangered),
                (SafetyNoted, self._noted),
                (CheckIssued, self._issued),
                (CheckVoided, self._void),
                (OfferMade, self._offered),
                (OfferChosen, self._chosen),
                (OfferLapsed, self._lapsed),
                (RedemptionCaptured, self._captured),
                (RedemptionRolledBack, self._rolled_back),
                (MessageQueued, self._queued),
                (MessageSent, self._sent),
                (MessageFailed, self._failed),
                (MessageSaid, self._said),
                (FeedbackReceived, self._answered),
            )
        }

    def take(self, event: RawEvent) -> None:
        """One event of a topic; most are of others, and are not kept."""
        known = self._takes.get(event.type)
        if known is None:
            return
        fact, take = known
        try:
            found = fact.model_validate_json(event.data)
        except ValidationError:  # no fact of ours: no service could settle it either
            return
        take(found)

    @property
    def found(self) -> Published:
        """Everything that was collected."""
        return Published(
            customer_ref=self._ref,
            complaints=list(self._complaints.values()),
            voided=list(self._voided.values()),
            offers=list(self._offers.values()),
            redemptions=list(self._redeemed.values()),
            letters=list(self._letters.values()),
            answers=list(self._answers.values()),
            complete=self._complete,
        )

    def _room(self) -> bool:
        """Whether one more is kept."""
        kept = len(self._offers) + len(self._redeemed) + len(self._letters) + len(self._answers)
        kept += len(self._complaints) + len(self._voided)
        self._complete = self._complete and kept < FOUND_MAX
        return self._complete

    def _received(self, fact: ComplaintReceived) -> None:
        if fact.customer_ref == self._ref and self._room():
            self._complaints[fact.complaint_id] = ExportedTelling(
                complaint_id=fact.complaint_id, channel=fact.channel, occurred_at=fact.occurred_at
            )

    def _triaged(self, fact: ComplaintTriaged) -> None:
        self._now(self._complaints, fact.complaint_id, safety=fact.safety)

    def _endangered(self, fact: SafetyFound) -> None:
        self._now(self._complaints, fact.complaint_id, safety=True)

    def _noted(self, fact: SafetyNoted) -> None:
        if (known := self._complaints.get(fact.complaint_id)) is not None:
            noted = sorted({*known.noted, fact.safety})
            self._now(self._complaints, fact.complaint_id, noted=noted)

    def _void(self, fact: CheckVoided) -> None:
        if fact.check_id in self._checks and self._room():
            self._voided[fact.check_id] = ExportedVoid(
                check_id=fact.check_id, voided_at=fact.voided_at
            )

    def _issued(self, fact: CheckIssued) -> None:
        if fact.customer_ref == self._ref:
            self._checks.add(fact.check_id)

    def _offered(self, fact: OfferMade) -> None:
        if fact.customer_ref == self._ref and self._room():
            self._offers[fact.offer_id] = ExportedOffer(
                offer_id=fact.offer_id,
                complaint_id=fact.complaint_id,
                offered_at=fact.offered_at,
                options=[option.item for option in fact.options],
            )

    def _chosen(self, fact: OfferChosen) -> None:
        self._now(self._offers, fact.offer_id, chosen=fact.item, chosen_at=fact.chosen_at)

    def _lapsed(self, fact: OfferLapsed) -> None:
        self._now(self._offers, fact.offer_id, lapsed_at=fact.lapsed_at)

    def _captured(self, fact: RedemptionCaptured) -> None:
        if fact.check_id in self._checks and self._room():
            self._redeemed[fact.redemption_id] = ExportedRedemption(
                redemption_id=fact.redemption_id,
                check_id=fact.check_id,
                amount_minor=fact.amount_minor,
                currency=fact.currency,
                captured_at=fact.captured_at,
            )

    def _rolled_back(self, fact: RedemptionRolledBack) -> None:
        self._now(self._redeemed, fact.redemption_id, rolled_back_at=fact.rolled_back_at)

    def _queued(self, fact: MessageQueued) -> None:
        # A letter to a role mailbox is about the customer's complaint, and not to the customer.
        if fact.customer_ref == self._ref and fact.mailbox is None and self._room():
            self._letters[fact.message_id] = ExportedLetter(
                message_id=fact.message_id,
                complaint_id=fact.complaint_id,
                occasion=fact.occasion,
                queued_at=fact.queued_at,
            )

    def _sent(self, fact: MessageSent) -> None:
        self._now(self._letters, fact.message_id, sent_at=fact.sent_at)

    def _said(self, fact: MessageSaid) -> None:
        self._now(self._letters, fact.message_id, said_at=fact.said_at)

    def _failed(self, fact: MessageFailed) -> None:
        self._now(self._letters, fact.message_id, failed_because=fact.reason)

    def _answered(self, fact: FeedbackReceived) -> None:
        if fact.check_id in self._checks and self._room():
            self._answers[fact.check_id] = ExportedAnswer(
                check_id=fact.check_id, helped=fact.helped, answered_at=fact.answered_at
            )

    @staticmethod
    def _now(kept: dict[str, Any], of: str, **changes: object) -> None:
        """What is kept of this id with changes, if it is the customer's."""
        if of in kept:
            kept[of] = kept[of].model_copy(update=changes)


async def published_of(
    customer_ref: str, read: Read, told: Callable[[str, int, int], None]
) -> Published:
    """What was published of a customer; `told` hears how far each topic is read.

    Raises Unavailable, and Rejected(history_too_long). Waits for Kafka.
    """
    collected = Collected(customer_ref)
    for topic in (ComplaintReceived.TOPIC, CheckIssued.TOPIC, MessageQueued.TOPIC):
        async for part in read(topic):
            for event in part.events:
                collected.take(event)
            told(topic, part.done, part.total)
    return collected.found


@app.callback()
def customer() -> None:
    """What topics hold of a customer."""


@app.command("published")
def published_command(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The customer_ref.")],
    bootstrap: BootstrapOption = None,
) -> None:
    """Print complaints' circumstances, voids, offers, redemptions, letters and answers of a customer as JSON; hand it to nobody else.

    What an employee explained about a stretch is sealed, and is not in it.
    """
    broker = broker_or_exit(bootstrap)
    shown: dict[str, int] = {}

    def told(topic: str, done: int, total: int) -> None:
        """A line for each tenth of a topic."""
        if done * 10 // max(total, 1) != shown.get(topic):
            shown[topic] = done * 10 // max(total, 1)
            typer.echo(f"{topic}: read {done} of {total} records", err=True)

    def read(topic: str) -> AsyncIterator[Part]:
        return read_history(broker, topic, ALWAYS, RECORDS_MAX)

    try:
        found = asyncio.run(published_of(ref, read, told))
    except (Rejected, Unavailable) as error:
        typer.echo(f"{error.reason}: {error.reason.meaning}", err=True)
        raise typer.Exit(1) from None
    typer.echo(found.model_dump_json(indent=2))
