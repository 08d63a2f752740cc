"""Traces: which step caused which, across services, for operators. Off unless the environment names a collector.

A span is one step: a request, a commit, a record sent or handled, a letter handed over. Its `traceparent` (W3C
Trace Context) is how the next step names it: it goes on with the facts, in their envelope, and on to Kafka, in a
header. While traces are off no span is made, and the `traceparent` that came goes on as it is.

Names and attributes are of closed alphabets: patterns of routes, types of facts, topics, numbers, reason codes.
Never an id, a path or a text, because those may name a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from shared.runtime.faults import Rejected, Unavailable

NO_ATTRIBUTES: Mapping[str, str | int] = MappingProxyType({})
#: How a step ended: `committed`, `repeated`, `delivered`, or a reason code.
OUTCOME = "service_check.outcome"
#: The type of the fact that a record carries.
FACT = "service_check.fact"


class Kind(Enum):
    """What a span is to the steps before and behind it, as OpenTelemetry has it."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4


class Span(Protocol):
    """One step, from its beginning to the end of its `with` block."""

    @property
    def traceparent(self) -> str | None:
        """How the steps that this one causes name it."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that was not known as it began."""
        ...

    def set(self, name: str, value: str | int) -> None:
        """Set an attribute."""
        ...

    def fail(self, reason: str) -> None:
        """Mark it as failed, for a reason code or a class's name."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; an error that passes marks it by its reason code or its class, never by its text."""
        ...


class PassedOn:
    """No span: what came goes on."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def rename(self, name: str) -> None:
        """See Span."""

    def set(self, name: str, value: str | int) -> None:
        """See Span."""

    def fail(self, reason: str) -> None:
        """See Span."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """See Span."""


class Spans(Protocol):
    """What makes spans and hands them to a collector. Nothing here may block or raise."""

    def begin(
        self, name: str, kind: Kind, parent: str | None, attributes: Mapping[str, str | int]
    ) -> Span:
        """A new span behind the one that `parent` names, or the first of a new trace."""
        ...

    async def close(self) -> None:
        """Hand over what is left, in a bounded time."""
        ...


class Tracer:
    """Makes the spans of one service, from `start` on."""

    def __init__(self) -> None:
        self._spans: Spans | None = None

    def start(self, spans: Spans) -> None:
        """From now on there are spans."""
        self._spans = spans

    @property
    def recording(self) -> bool:
        """Whether there are spans."""
        return self._spans is not None

    def span(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        attributes: Mapping[str, str | int] = NO_ATTRIBUTES,
    ) -> Span:
        """A step that `parent` caused; without one it is the first of a new trace."""
        if self._spans is None:
            return PassedOn(parent)
        return self._spans.begin(name, kind, parent, attributes)

    async def close(self) -> None:
        """Hand over what is left, in a bounded time, and make no more spans."""
        spans, self._spans = self._spans, None
        if spans is not None:
            await spans.close()


def reason_of(error: BaseException) -> str:
    """What an error is called on a span: a reason code, or the name of its class."""
    return error.reason.value if isinstance(error, Rejected | Unavailable) else type(error).__name__
