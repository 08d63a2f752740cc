"""Facts about dead letters: an operator opened one, had it settled again, or put it away for good.

A dead letter is named by the service that could not accept a record, and by the record's place. It may
be refused more than once, so its burials are numbered. Of what operators decide about one burial the
first on the topic counts, and all facts about a dead letter are in one partition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from shared.contracts.data import Data
from shared.contracts.event import EmployeeId, Id
from shared.kernel import Document, Fact, Fold

TopicName = Annotated[
    str, Data.INTERNAL, StringConstraints(pattern=r"^[a-z0-9.-]+$", max_length=100)
]
Partition = Annotated[int, Data.INTERNAL, Field(ge=0, le=100_000)]
Offset = Annotated[int, Data.INTERNAL, Field(ge=0, lt=2**63)]

#: So often nobody sends one letter again.
BURIALS_MAX = 1000
Burial = Annotated[
    int,
    Data.INTERNAL,
    Field(ge=1, le=BURIALS_MAX, description="Number of the burial that it is about, from 1."),
]


class Purpose(StrEnum):
    """Why an operator acts on a dead letter. A closed list, because a sentence may name a person."""

    INVESTIGATION = "investigation"
    CAUSE_REMOVED = "cause_removed"
    PUBLISHER_ASKED = "publisher_asked"
    CUSTOMER_ASKED = "customer_asked"
    SENT_AGAIN = "sent_again"
    NOT_NEEDED = "not_needed"


class DeadLetterFact(Fact):
    """A fact about one dead letter; those about one letter keep their order."""

    TOPIC: ClassVar[str] = "recovery.deadletters.v1"

    consumer: Annotated[Id, Data.INTERNAL] = Field(
        description="The service that could not accept the record."
    )
    topic: TopicName = Field(description="The topic that the record is on.")
    partition: Partition = Field(description="Number of the record's partition, from 0.")
    offset: Offset = Field(description="The record's offset, from 0.")
    burial: Burial
    by: EmployeeId = Field(description="The operator, by a pseudonymous id.")
    why: Annotated[Purpose, Data.INTERNAL] = Field(description="Why the operator did it.")
    ticket: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="Where the operator's reasons are kept, like the number of a ticket."
    )

    def key(self) -> str:
        """The dead letter's name."""
        return dead_letter_name(self.consumer, self.topic, self.partition, self.offset)


class DeadLetterOpened(DeadLetterFact):
    """An operator read the original bytes of a dead letter; published before they were opened."""

    TYPE: ClassVar[str] = "recovery.dead-letter.opened.v1"


class DeadLetterReplayed(DeadLetterFact):
    """An operator sent a dead letter again: its service settles the original bytes, once."""

    TYPE: ClassVar[str] = "recovery.dead-letter.replayed.v1"

    dead_partition: Partition = Field(
        description="Number of the partition in which the dead letter is, from 0."
    )
    dead_offset: Offset = Field(description="Offset of the dead letter, from 0.")


class DeadLetterDiscarded(DeadLetterFact):
    """An operator put a dead letter away: it will not be sent again."""

    TYPE: ClassVar[str] = "recovery.dead-letter.discarded.v1"


class ReplayTaken(Fact):
    """A service settled a dead letter that was sent again.

    It is on the service's own topic behind what came of the letter, so that a rebuild knows when that was.
    """

    letter: Annotated[str, Data.INTERNAL, StringConstraints(max_length=256)] = Field(
        description="The dead letter: service, topic, partition and offset of its record."
    )
    burial: Burial

    def key(self) -> str:
        """The dead letter's name."""
        return self.letter


class ComplaintsReplayTaken(ReplayTaken):
    """Complaints settled a dead letter that an operator had sent again."""

    TYPE: ClassVar[str] = "recovery.complaints-replay.taken.v1"
    TOPIC: ClassVar[str] = "recovery.complaints.v1"


class CompensationReplayTaken(ReplayTaken):
    """Compensation settled a dead letter that an operator had sent again."""

    TYPE: ClassVar[str] = "recovery.compensation-replay.taken.v1"
    TOPIC: ClassVar[str] = "recovery.compensation.v1"


class NotifierReplayTaken(ReplayTaken):
    """The notifier settled a dead letter that an operator had sent again."""

    TYPE: ClassVar[str] = "recovery.notifier-replay.taken.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"


#: The fact by which each service says that it took a letter.
TAKEN: Mapping[str, type[ReplayTaken]] = {
    "complaints": ComplaintsReplayTaken,
    "compensation": CompensationReplayTaken,
    "notifier": NotifierReplayTaken,
}


class DeadLetter(Document):
    """What was decided about a dead letter: the highest burial that an operator decided on."""

    KIND: ClassVar[str] = "deadletter"

    burial: int


def dead_letter_name(consumer: str, topic: str, partition: int, offset: int) -> str:
    """The name of the dead letter that a service made of a record."""
    return f"{consumer}/{topic}/{partition}/{offset}"


def decided(
    letter: DeadLetter | None, fact: DeadLetterReplayed | DeadLetterDiscarded
) -> DeadLetter:
    """The dead letter once a decision is heard; a later one about the same burial changes nothing."""
    return DeadLetter(burial=max(fact.burial, letter.burial if letter is not None else 0))


#: How every service knows which of its dead letters were decided on.
DEAD_LETTER_FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    fact: (Fold(DeadLetter, DeadLetterFact.key, decided),)
    for fact in (DeadLetterReplayed, DeadLetterDiscarded)
}
