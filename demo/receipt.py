"""The receipt: what happened, read from the topics, and whether accounts, answers and letters agree with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from demo.eyes import Eyes
from shared.contracts.audit import FactRecorded
from shared.contracts.compensation import CheckIssued, CheckRefused
from shared.contracts.complaints import ComplaintReceived, ComplaintRepeated, ComplaintTriaged
from shared.contracts.notifier import MessageFailed, MessageSent, Occasion, SafetyRetold, SafetySeen

#: What those who have a complaint and its customer do in the story.
STORY = frozenset(
    {
        "claimed",
        "handover_offered",
        "handover_accepted",
        "words_added",
        "resolved",
    }
)
#: And of one whose cause a fix of the policy mends.
FIXED = frozenset({"fix_asked", "fix_done"})


@dataclass
class Told:
    """What the story did and was answered, to compare the facts with."""

    published: int = 0
    employee_id: str = ""
    given: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    account_used_minor: int = 0
    letters: int = 0
    returned_to: str | None = None
    followed: str | None = None
    #: The complaint that nobody answers.
    unanswered: str | None = None
    fixed: bool = False
    timeline: list[str] = field(default_factory=list)
    #: Complaints about somebody's safety that somebody said they saw.
    seen: list[str] = field(default_factory=list)
    #: What a customer wrote with their yes, and what the inbox of who gave the check says.
    thanks: list[str] = field(default_factory=list)
    thanks_read: list[str | None] = field(default_factory=list)
    seconds_to_first_check: float = 0.0


def agreements(eyes: Eyes, told: Told) -> dict[str, bool]:
    """Every statement that must hold between accounts, answers, letters and facts."""
    received, repeats = eyes.count(ComplaintReceived), eyes.count(ComplaintRepeated)
    issued = list(eyes.of(CheckIssued))
    sent = list(eyes.of(MessageSent))
    mine = [check for check in issued if check.employee_id == told.employee_id]
    triaged = {fact.complaint_id for fact in eyes.of(ComplaintTriaged)}
    sequences: dict[str, list[int]] = {}
    for event in eyes.events:
        if event.get("sequence"):
            sequences.setdefault(event["partition"], []).append(int(event["sequence"]))
    ids = [event["id"] for event in eyes.events]
    recorded = [fact.record.event_id for fact in eyes.of(FactRecorded)]
    return {
        "every published event is received, a repeat, or a dead letter": received
        + repeats
        + len(eyes.dead)
        == told.published,
        "every received complaint is triaged and promised an answer": triaged
        == {fact.complaint_id for fact in eyes.of(ComplaintReceived)},
        "every complaint with an address is acknowledged once": sum(
            fact.has_contact for fact in eyes.of(ComplaintTriaged)
        )
        == sum(fact.occasion is Occasion.ACKNOWLEDGEMENT for fact in sent)
        + sum(fact.occasion is Occasion.ACKNOWLEDGEMENT for fact in eyes.of(MessageFailed)),
        "every word about safety was sent to those who must know": {
            fact.complaint_id for fact in eyes.of(ComplaintTriaged) if fact.safety
        }
        <= {fact.complaint_id for fact in sent if fact.occasion is Occasion.SAFETY},
        "every word about safety was seen, whoever saw it is on record, and nobody was told of it again": all_seen(
            eyes, told
        ),
        "the thanks of a customer, with their words, reached who gave the check": told.thanks
        == told.thanks_read,
        "checks answered are the checks issued": sorted(answer["check_id"] for answer in told.given)
        == sorted(check.check_id for check in issued),
        "refusals answered are the refusals recorded": told.refused == eyes.count(CheckRefused),
        "the employee's account holds the sum of the checks": told.account_used_minor
        == sum(check.cost_minor for check in mine),
        "a customer whom nobody answered was told first": [
            fact.complaint_id for fact in sent if fact.occasion is Occasion.PROMISE_BROKEN
        ]
        == [told.unanswered],
        "letters in the mailbox are the messages sent": told.letters == len(sent),
        "a complaint not helped is back with the same employee": told.returned_to
        in (None, told.employee_id),
        "a complaint that was followed has its whole story in one timeline": (
            STORY | FIXED if told.fixed else STORY
        )
        <= {*told.timeline}
        if told.followed is not None
        else True,
        "facts of each partition are in commit order": all(
            numbers == sorted(numbers) for numbers in sequences.values()
        ),
        "no fact is there twice": len(ids) == len(set(ids)),
        "every fact is on the record, once": not eyes.unrecorded()
        and len(recorded) == len(set(recorded)),
        "every fact is in the catalogue": not eyes.unknown(),
    }


def all_seen(eyes: Eyes, told: Told) -> bool:
    """Whether each complaint about somebody's safety was seen, as the story did it, and told to nobody after that.

    With many complaints, the time in which one must be seen may be over before the story has come to it.
    """
    concerned = {fact.complaint_id for fact in eyes.of(ComplaintTriaged) if fact.safety}
    seen = {fact.complaint_id: fact.seen_at for fact in eyes.of(SafetySeen)}
    return (
        concerned <= seen.keys()
        and sorted(told.seen) == sorted(fact.complaint_id for fact in eyes.of(SafetySeen))
        and all(
            fact.complaint_id in seen and fact.retold_at <= seen[fact.complaint_id]
            for fact in eyes.of(SafetyRetold)
        )
    )


def receipt(eyes: Eyes, told: Told) -> dict[str, Any]:
    """The receipt as data."""
    issued = list(eyes.of(CheckIssued))
    sums: Counter[str] = Counter()
    for check in issued:
        sums[check.currency] += check.cost_minor
    return {
        "complaints": {
            "received": eyes.count(ComplaintReceived),
            "repeats": eyes.count(ComplaintRepeated),
            "dead_lettered": len(eyes.dead),
            "acknowledged": sum(
                fact.occasion is Occasion.ACKNOWLEDGEMENT for fact in eyes.of(MessageSent)
            ),
        },
        "checks": {
            "given": len(issued),
            "refused": eyes.count(CheckRefused),
            "amount_minor": dict(sums),
        },
        "messages": dict(Counter(str(fact.occasion) for fact in eyes.of(MessageSent))),
        "facts": dict(sorted(eyes.by_topic.items())),
        "agreements": agreements(eyes, told),
        "seconds_to_first_check": round(told.seconds_to_first_check, 3),
    }
