"""Dead letters: what is sealed in one, what its headers say, and how one is found to be settled again."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from shared.contracts.catalogue import LARGE_MESSAGE_BYTES, dead_letters
from shared.contracts.deadletters import (
    Burial,
    DeadLetterDiscarded,
    DeadLetterReplayed,
    Offset,
    Partition,
    TopicName,
    dead_letter_name,
)
from shared.contracts.reasons import Reason
from shared.runtime.engine.store import Line
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import EVENT_BYTES_MAX, Handler, Inbox, Record
from shared.runtime.observe import log
from shared.runtime.privacy.seal import SealBroken

#: Value and headers that a letter keeps at most: what the broker takes as one message. A compressed
#: record may unpack to far more, and a letter that did not fit its topic would block the outbox.
KEPT_BYTES_MAX = LARGE_MESSAGE_BYTES
#: What is kept of a longer one: so much that it is `too_large` whenever it is read again.
CUT_BYTES = EVENT_BYTES_MAX + 1
#: Places are numbers of at most 19 digits; anything else in a header was not written by us.
DIGITS = re.compile(r"[0-9]{1,19}")
#: A letter's place as the facts about it have it: what does not fit them could not be decided on.
PLACE = TypeAdapter[tuple[str, int, int, int]](tuple[TopicName, Partition, Offset, Burial])
#: Reasons and places of a refusal as services write them.
REASON, WHERE = re.compile(r"[a-z0-9_]{0,64}"), re.compile(r"[A-Za-z0-9_/,.-]{0,200}")

#: What operators decide about dead letters: folded by everybody, and settled by the letter's service.
DEAD_LETTERS_INBOX = Inbox(
    DeadLetterReplayed.TOPIC, [Handler(DeadLetterReplayed), Handler(DeadLetterDiscarded)]
)

#: The record at a topic, partition and offset, or None where there is none (any more).
ReadRecord = Callable[[str, int, int], Awaitable[Record | None]]


def kept(name: str) -> bool:
    """Whether the border reads this header, so that a letter keeps it beside the value."""
    return name in ("content-type", "traceparent") or name.startswith("ce_")


def packed(record: Record) -> tuple[bytes, int | None]:
    """What a letter seals: headers and value, and the value's length if only its beginning is kept."""
    headers = [
        (name, text.decode("latin-1")) for name, text in record.headers if text and kept(name)
    ]
    head, value = to_json(headers), record.value or b""
    if len(head) + len(value) <= KEPT_BYTES_MAX:
        return head + b"\n" + value, None
    return b"[]\n" + value[:CUT_BYTES].ljust(CUT_BYTES), len(value)


def unpacked(offset: int, sealed: bytes) -> Record:
    """The inverse of `packed`; raises ValueError."""
    head, _, value = sealed.partition(b"\n")
    headers = [(name, text.encode("latin-1")) for name, text in from_json(head)]
    return Record(offset, value, headers)


class Buried(NamedTuple):
    """A dead letter as its headers have it."""

    consumer: str
    topic: str
    partition: int
    offset: int
    burial: int
    reason: str
    where: str
    #: The length of its value if that was too long to be kept whole.
    cut: int | None = None

    @property
    def name(self) -> str:
        """The letter's name."""
        return dead_letter_name(self.consumer, self.topic, self.partition, self.offset)

    @staticmethod
    def of(consumer: str, headers: Sequence[tuple[str, bytes | None]]) -> Buried | None:
        """The letter that these headers mark, or None if no service wrote them.

        Whoever may write to the topic may write headers of this form: they say where a record may have
        been, and prove nothing.
        """
        found = {name: (text or b"").decode(errors="replace") for name, text in headers}
        numbers = [found.get(f"origin-{part}", "") for part in ("partition", "offset")]
        # Letters of earlier builds have no burial, and most letters are not cut.
        numbers += [found.get("burial", "1"), found.get("cut", "0")]
        reason, where = found.get("reason", ""), found.get("where", "")
        if not (
            all(map(DIGITS.fullmatch, numbers))
            and REASON.fullmatch(reason)
            and WHERE.fullmatch(where)
        ):
            return None
        *numbered, cut = map(int, numbers)
        try:
            place = PLACE.validate_python((found.get("origin-topic"), *numbered))
        except ValidationError:
            return None
        return Buried(consumer, *place, reason, where, cut if "cut" in found else None)


def dead_letter_line(
    letter: Buried, record: Record, seal: Callable[[bytes, str], bytes], *, as_it_is: bool = False
) -> Line:
    """The outbox line that buries a record: bytes sealed, reason and origin in headers, never a value.

    `as_it_is`: the record's value is sealed already.
    """
    value, cut = (record.value or b"", None) if as_it_is else packed(record)
    headers = [
        ("reason", letter.reason),
        ("where", letter.where),
        ("origin-topic", letter.topic),
        ("origin-partition", str(letter.partition)),
        ("origin-offset", str(letter.offset)),
        ("burial", str(letter.burial)),
    ]
    length = cut if letter.cut is None else letter.cut
    if length is not None:
        headers.append(("cut", str(length)))
    key = f"{letter.topic}/{letter.partition}/{letter.offset}"
    sealed = value if as_it_is else seal(value, letter.name)
    return Line(dead_letters(letter.consumer), key, sealed, tuple(headers))


@dataclass(frozen=True, slots=True)
class Replay:
    """A dead letter to be settled again, with its record as it came; `refused` if it cannot be opened."""

    buried: Buried
    inbox: Inbox
    record: Record
    refused: Rejected | None = None


class DeadLetters:
    """Finds the letters of one service that operators send again, and opens them."""

    def __init__(
        self, inboxes: Sequence[Inbox], read: ReadRecord, open_dead: Callable[[bytes, str], bytes]
    ) -> None:
        self._inboxes: Mapping[str, Inbox] = {inbox.topic: inbox for inbox in inboxes}
        self._read = read
        self._open_dead = open_dead

    async def of(self, fact: DeadLetterReplayed) -> Replay | None:
        """The letter that a fact names, or None, with a log line, if it does not lie where the fact says.

        Waits for the broker; raises what `read` raises.
        """
        topic = dead_letters(fact.consumer)
        record = await self._read(topic, fact.dead_partition, fact.dead_offset)
        buried = Buried.of(fact.consumer, record.headers) if record is not None else None
        inbox = self._inboxes.get(fact.topic)
        if (
            record is None
            or buried is None
            or inbox is None
            or (buried.name, buried.burial) != (fact.key(), fact.burial)
        ):
            place = {"partition": fact.dead_partition, "offset": fact.dead_offset}
            log.error("dead_letter_not_found", topic=topic, **place)
            return None
        try:
            opened = unpacked(fact.offset, self._open_dead(record.value or b"", buried.name))
        except (SealBroken, ValueError):
            unreadable = Rejected(Reason.DEAD_LETTER_UNREADABLE)
            return Replay(buried, inbox, Record(fact.offset, record.value), unreadable)
        return Replay(buried, inbox, opened)
