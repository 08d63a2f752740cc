"""A fact about topics: one was at rest, and was given more partitions."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from shared.contracts.data import Data
from shared.contracts.deadletters import Offset, TopicName
from shared.contracts.event import Id
from shared.kernel import Fact

#: More partitions than one installation could use; it catches typing errors.
PARTITIONS_MAX = 1000


class TopicRaised(Fact):
    """A topic was at rest, and is given more partitions.

    At rest: nobody published, and every service that reads the topic had settled all of it. A key that moves
    to another partition has its earlier facts before `ends` and its later ones behind them. It is published
    before the partitions are added, so it may be of a raise that was never done; what it says of that moment
    is true all the same.
    """

    TYPE: ClassVar[str] = "recovery.topic.raised.v1"
    TOPIC: ClassVar[str] = "recovery.topics.v1"

    topic: TopicName = Field(description="The topic.")
    partitions: Annotated[int, Data.INTERNAL, Field(ge=2, le=PARTITIONS_MAX)] = Field(
        description="Number of partitions that it has from then on."
    )
    ends: Annotated[tuple[Offset, ...], Data.INTERNAL, Field(max_length=PARTITIONS_MAX)] = Field(
        description="Where each partition of before ended: the offset of its next record, from 0, in the order of their numbers."
    )
    sequences: Annotated[dict[Id, Offset], Data.INTERNAL, Field(max_length=64)] = Field(
        description="Number of each service's last fact at that moment (its `sequence`), by the service's name."
    )
    raised_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was at rest.")

    def key(self) -> str:
        """The topic and its partitions; compaction keeps one fact of each raise."""
        return f"{self.topic}/{self.partitions}"
