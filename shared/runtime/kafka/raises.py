"""What raises of topics say of order: what lies before a raise was settled before everything behind it.

A key that moved to another partition has its earlier facts in one partition and its later ones in another, and
partitions by themselves have no order. Each raise is a fact (`TopicRaised`) that says where the partitions ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from shared.contracts.catalogue import TABLE
from shared.contracts.topics import TopicRaised

PRODUCERS: Mapping[str, str] = {row.fact.TOPIC: row.producer for row in TABLE}


class Border(NamedTuple):
    """A moment at which a topic was at rest, as one of its readers has it.

    `sequence` is that of the reader's last fact at that moment, `published` that of the topic's last line.
    """

    sequence: int
    topic: str
    ends: tuple[int, ...]
    published: int

    def end(self, partition: int) -> int:
        """Where a partition ended; 0 for one that was added."""
        return self.ends[partition] if partition < len(self.ends) else 0


class Raises:
    """The raises of all topics, as one service has them; `borders` are in the order in which they were."""

    def __init__(self, facts: Iterable[TopicRaised] = (), service: str = "") -> None:
        facts = list(facts)
        #: Topics that were raised before the service was there: what lies in which order it cannot know.
        self.unknown = {fact.topic for fact in facts if service not in fact.sequences}
        found = {
            Border(
                fact.sequences[service],
                fact.topic,
                fact.ends,
                fact.sequences.get(PRODUCERS[fact.topic], 0),
            )
            for fact in facts
            if service in fact.sequences and fact.topic in PRODUCERS
        }
        self.borders: Sequence[Border] = sorted(found)
        self._of: dict[str, list[Border]] = {}
        for border in self.borders:
            self._of.setdefault(border.topic, []).append(border)

    def after(self, topic: str, partition: int, offset: int) -> int:
        """The sequence of our last fact that was surely decided before this record was settled; 0 if none is known."""
        behind = (one for one in self._of.get(topic, ()) if offset >= one.end(partition))
        return max((one.sequence for one in behind), default=0)

    def ends(self) -> Mapping[tuple[str, int], int]:
        """The offset before which each partition was settled, where a raise says so."""
        found: dict[tuple[str, int], int] = {}
        for border in self.borders:
            for partition, end in enumerate(border.ends):
                place = border.topic, partition
                found[place] = max(end, found.get(place, 0))
        return found

    def heard(self, topic: str, partition: int) -> dict[str, int]:
        """What a fence begins with in a partition that was added: the last line that lies in earlier partitions.

        A relay that was frozen since before the raise may send such lines once more, and into the new partition.
        """
        added = [one for one in self._of.get(topic, ()) if partition >= len(one.ends)]
        return {f"/{PRODUCERS[topic]}": max(one.published for one in added)} if added else {}
