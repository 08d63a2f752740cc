"""The border where bytes become events: a malformed record is refused here, with a reason."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from itertools import islice
from typing import Any, ClassVar, Generic, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from shared.contracts.event import OUTSIDE_ATTRIBUTES, Event, F
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected

#: A whole event; the longest text in four-byte characters fits three times over.
EVENT_BYTES_MAX = 256 * 1024
#: What `content-type` begins with where the value is a whole event.
STRUCTURED = b"application/cloudevents"
#: Unknown fields of one event that are told.
UNKNOWN_MAX = 5
#: What a field may be called to be told by its name.
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
#: How like the name of a known field it must be besides, or else it may be a guest's name: `emial` is 0.8 like `email`,
#: and `occurredAt` 0.86 like `occurred_at`.
ALIKE_MIN = 0.75


class Record(NamedTuple):
    """One record as it came from a topic."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Prepared(NamedTuple):
    """How one event is handled: its decision, and what is read beside the documents it changes.

    Whatever is computed for both is computed once, when the event is prepared.
    """

    decide: Callable[[View], Awaitable[Decision]]
    reads: Sequence[str] = ()


async def decide_nothing(_view: View) -> Decision:
    """For facts that only fold into our documents."""
    return Decision()


def only_folds(_event: Event[Any]) -> Prepared:
    """For facts that only fold into our documents."""
    return Prepared(decide_nothing)


def deciding(
    decide: Callable[[Event[F], View], Awaitable[Decision]], *read: Callable[[Event[F]], str]
) -> Callable[[Event[F]], Prepared]:
    """Prepares a decision by an event and a view; `read` give the keys of documents to read ahead."""
    return lambda event: Prepared(partial(decide, event), [key(event) for key in read])


@dataclass(frozen=True)
class Handler(Generic[F]):
    """How one type of fact is handled."""

    fact: type[F]
    prepare: Callable[[Event[F]], Prepared] = only_folds


@dataclass(frozen=True)
class Input:
    """An event and its handler. It is prepared once, however often it is decided about.

    `replay`: why the dead letter that it sends again is refused, once our code has failed on it. `unknown`: fields that
    another system wrote and this build does not know, as JSON pointers.
    """

    event: Event[Any]
    handler: Handler[Any]
    replay: Rejected | None = None
    unknown: Sequence[str] = ()

    @cached_property
    def prepared(self) -> Prepared:
        """What its handler makes of it; raises what the handler raises."""
        return self.handler.prepare(self.event)


class Unread(Fact):
    """A fact of a type or form that this build does not know: nothing of its data is read."""

    TYPE: ClassVar[str] = ""
    TOPIC: ClassVar[str] = ""


class Inbox:
    """The handlers of one topic, and the border where bytes become events.

    `strict`: other systems write to the topic (the intake), so an unknown type is a dead letter, and
    their `sequence` is ignored. Otherwise our services alone write to it: an unknown type is for
    another service, and a record without a value is a tombstone, which only compaction needs.

    `ahead`: decisions depend on the topic, so it is read to its end before the group is joined.

    `otherwise`: the handler, of `Unread`, for facts that have no handler here or cannot be read as
    what they say they are.

    `gapless`: each decision is told what is missing before its record (`Arrival`).
    """

    def __init__(
        self,
        topic: str,
        handlers: Sequence[Handler[Any]],
        *,
        strict: bool = False,
        ahead: bool = False,
        otherwise: Handler[Unread] | None = None,
        gapless: bool = False,
    ) -> None:
        self.topic = topic
        self.strict = strict
        self.ahead = ahead
        self.gapless = gapless
        self._otherwise = otherwise
        self._handlers = {handler.fact.TYPE: handler for handler in handlers}
        self._models = {handler.fact.TYPE: Event[handler.fact] for handler in handlers}  # type: ignore[name-defined]  # a generic model of a run-time type

    def parse(self, record: Record) -> Input | None:
        """The event and its handler, or None if it is not for us; raises Rejected."""
        if record.value is None and not self.strict:
            return None
        body = self._attributes(record)
        event_type = body.get("type")
        if not body.get("id"):
            raise Rejected(Reason.MISSING_ID, where=("id",))
        handler = self._handlers.get(event_type) if isinstance(event_type, str) else None
        if handler is None and self._otherwise is None:
            if self.strict:
                raise Rejected(Reason.UNKNOWN_TYPE, where=("type",))
            return None
        try:
            if handler is not None:
                event = self._models[handler.fact.TYPE].model_validate(body)
                # Our own services write newer facts while they are rolled out; others misspell.
                unknown = unknown_fields(body["data"], event.data, "/data") if self.strict else ()
                return Input(event, handler, unknown=tuple(islice(unknown, UNKNOWN_MAX)))
        except ValidationError as error:
            if self._otherwise is None:
                raise Rejected(Reason.SCHEMA_INVALID, where=locations(error)) from None
        return self._unread(body)

    def _unread(self, body: dict[str, Any]) -> Input:
        """The event without its data; raises Rejected if it is none."""
        assert self._otherwise is not None
        try:
            return Input(Event[Unread].model_validate(body), self._otherwise)
        except ValidationError as error:
            raise Rejected(Reason.SCHEMA_INVALID, where=locations(error)) from None

    def _attributes(self, record: Record) -> dict[str, Any]:
        """CloudEvents structured or binary mode as one dictionary; raises Rejected."""
        value = record.value
        if not value:
            raise Rejected(Reason.MALFORMED_BYTES)
        if len(value) > EVENT_BYTES_MAX:
            raise Rejected(Reason.TOO_LARGE)
        body = json_of(value)
        if binary := _binary_attributes(record.headers):
            body = {"data": body}
            for name in OUTSIDE_ATTRIBUTES:
                if name in binary:
                    body[name] = binary[name].decode(errors="replace")
        if not isinstance(body, dict):
            raise Rejected(Reason.SCHEMA_INVALID)
        for name, text in record.headers:
            if name == "traceparent" and text:  # the transport's, so it is of the latest step
                body["traceparent"] = text.decode(errors="replace")
        return body


def unknown_fields(found: object, read: object, at: str) -> Iterator[str]:
    """Where JSON has fields that the model which was read from it does not have, as JSON pointers; never a value."""
    if isinstance(read, BaseModel) and isinstance(found, dict):
        for name, part in found.items():
            if name in type(read).model_fields:
                yield from unknown_fields(part, getattr(read, name), f"{at}/{name}")
            else:
                yield f"{at}/{name if misspelt(name, type(read)) else '…'}"
    elif isinstance(read, tuple) and isinstance(found, list):
        for number, (part, one) in enumerate(zip(found, read, strict=True)):
            yield from unknown_fields(part, one, f"{at}/{number}")


@lru_cache(maxsize=1024)  # a publisher that misspells a field does so in each event
def misspelt(name: str, model: type[BaseModel]) -> bool:
    """Whether a name is nearly that of a field of the model: any other may be what somebody wrote."""
    known = model.model_fields
    return bool(FIELD_NAME.fullmatch(name) and get_close_matches(name, known, 1, ALIKE_MIN))


def _binary_attributes(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """The attributes of an event in binary mode, by name; none if it is in structured mode.

    The header `content-type` decides, as the specification says, and a record without it may be in
    either mode: old publishers send an event in structured mode without any header.
    """
    if any(
        name == "content-type" and (text or b"").startswith(STRUCTURED) for name, text in headers
    ):
        return {}
    return {name[3:]: text for name, text in headers if name.startswith("ce_") and text}


def json_of(value: bytes) -> Any:
    """What JSON of another system says; raises Rejected(malformed_bytes, invalid_utf8)."""
    try:
        return from_json(value, allow_inf_nan=False)
    except ValueError:
        try:
            value.decode()
        except UnicodeDecodeError:
            raise Rejected(Reason.INVALID_UTF8) from None
        raise Rejected(Reason.MALFORMED_BYTES) from None


def locations(error: ValidationError) -> tuple[str, ...]:
    """Where the schema was not met, as JSON pointers of bounded number; never a value."""
    return tuple("/" + "/".join(str(part) for part in item["loc"]) for item in error.errors()[:5])
