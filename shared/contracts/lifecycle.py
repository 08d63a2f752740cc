"""Where a complaint stands, and which fact moves it from where to where: one table for all services.

The diagram in the documents is drawn from `MOVES`, complaints refuses by it what does not fit, and whoever reads
the facts finds by it where a complaint stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from shared.contracts.complaints import (
    ComplaintClaimed,
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintMerged,
    ComplaintReceived,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    InfoAsked,
    InfoReceived,
    ResolutionRecorded,
)
from shared.kernel import Fact


class State(StrEnum):
    """Where a complaint stands."""

    RECEIVED = "received"
    TRIAGED = "triaged"
    CLAIMED = "claimed"
    AWAITING_INFO = "awaiting_info"
    RESOLUTION_RECORDED = "resolution_recorded"
    CONFIRMED = "confirmed"
    REOPENED = "reopened"
    CLOSED_NO_RESPONSE = "closed_no_response"
    WITHDRAWN = "withdrawn"
    NOT_A_COMPLAINT = "not_a_complaint"
    #: An outside body looks at it.
    REFERRED_EXTERNAL = "referred_external"
    #: Another complaint goes on for both.
    MERGED = "merged"


class Move(NamedTuple):
    """From which states a fact moves a complaint, and to which."""

    of: frozenset[State]
    to: State


#: Somebody is still to do something for the customer.
OPEN = frozenset({State.TRIAGED, State.CLAIMED, State.AWAITING_INFO, State.REOPENED})
#: The customer may still say whether it helped.
ASKED = frozenset({State.RESOLUTION_RECORDED, State.CLOSED_NO_RESPONSE})

#: What the customer writes opens it again: it ended because they said so, or because we took it for no complaint.
AGAIN = frozenset({State.CONFIRMED, State.WITHDRAWN, State.NOT_A_COMPLAINT})

#: By type of fact; a fact that is not here moves no complaint.
MOVES: Mapping[type[Fact], Move] = {
    ComplaintReceived: Move(frozenset(), State.RECEIVED),
    ComplaintTriaged: Move(frozenset({State.RECEIVED}), State.TRIAGED),
    ComplaintClaimed: Move(OPEN - {State.AWAITING_INFO}, State.CLAIMED),
    InfoAsked: Move(frozenset({State.CLAIMED}), State.AWAITING_INFO),
    InfoReceived: Move(frozenset({State.AWAITING_INFO}), State.CLAIMED),
    ResolutionRecorded: Move(
        frozenset({State.CLAIMED, State.AWAITING_INFO}), State.RESOLUTION_RECORDED
    ),
    ComplaintConfirmed: Move(OPEN | ASKED, State.CONFIRMED),
    # A customer who said that a check helped may say of a later one that it did not, and one who withdrew
    # a complaint, or whose complaint another body looks at, has not forgotten it.
    ComplaintReopened: Move(OPEN | ASKED | AGAIN | {State.REFERRED_EXTERNAL}, State.REOPENED),
    ComplaintClosed: Move(frozenset({State.RESOLUTION_RECORDED}), State.CLOSED_NO_RESPONSE),
    ComplaintWithdrawn: Move(OPEN | {State.RESOLUTION_RECORDED}, State.WITHDRAWN),
    ComplaintUnfounded: Move(OPEN, State.NOT_A_COMPLAINT),
    # A customer whom what was done did not satisfy often goes on to such a body without a word to us.
    ComplaintReferred: Move(OPEN | ASKED, State.REFERRED_EXTERNAL),
    # The answer that one of them waits for is written down first.
    ComplaintMerged: Move(OPEN - {State.AWAITING_INFO}, State.MERGED),
    # Its owner has it again, as after a no of the customer.
    ComplaintSplit: Move(frozenset({State.MERGED}), State.REOPENED),
}


def may(state: State, fact: type[Fact]) -> bool:
    """Whether a fact of this type moves a complaint that stands here."""
    return state in MOVES[fact].of


def diagram() -> Iterator[str]:
    """The lines of a state diagram (Mermaid) of the table."""
    yield "stateDiagram-v2"
    for fact, move in MOVES.items():
        happened = fact.TYPE.removeprefix("recovery.").removesuffix(".v1")
        for state in State:
            if state in move.of:
                yield f"    {state} --> {move.to}: {happened}"
        if not move.of:
            yield f"    [*] --> {move.to}: {happened}"
