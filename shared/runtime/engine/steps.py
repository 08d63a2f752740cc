"""The spans of what is settled: of records, each from its parsing to the commit, and of timers that fire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from shared.contracts.event import trace_of
from shared.runtime.engine.store import Reads
from shared.runtime.engine.transaction import Transaction, trace_key
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import Inbox, Input, Record
from shared.runtime.tracing import FACT, OUTCOME, Kind, Span, Tracer

#: A record as it was parsed: an event and its handler, why it is none, or None if it is not for us.
Parsed = Input | Rejected | None


class Steps:
    """The spans of one settler; while traces are off there are none, and nothing is read or kept for them."""

    def __init__(self, tracer: Tracer, store: Reads) -> None:
        self._tracer = tracer
        self._store = store
        #: Of the records that are being settled, by topic, partition and offset.
        self._spans: dict[tuple[str, int, int], Span] = {}

    @contextmanager
    def settling(
        self, inbox: Inbox, partition: int, records: Sequence[Record], parsed: Sequence[Parsed]
    ) -> Iterator[Sequence[Parsed]]:
        """The same inputs, whose events name their own step now; the steps end with the block."""
        if not self._tracer.recording:
            yield parsed
            return
        with ExitStack() as steps:
            found: list[Parsed] = []
            for record, result in zip(records, parsed, strict=True):
                if result is None:
                    found.append(None)
                    continue
                place = (inbox.topic, partition, record.offset)
                span = steps.enter_context(self._span(place, record, result))
                self._spans[place] = span
                steps.callback(self._spans.pop, place)
                found.append(_behind(span, result))
            yield found

    def refused(self, topic: str, partition: int, offset: int, reason: str) -> None:
        """The record became a dead letter."""
        span = self._spans.get((topic, partition, offset))
        if span is not None:
            span.fail(reason)

    async def keep(self, transaction: Transaction) -> None:
        """Put the traces of the timers that it sets into a commit; raises Unavailable."""
        if self._tracer.recording:
            await transaction.keep_traces()

    async def timer_fired(self, name: str, timer_id: str) -> Span:
        """The step that begins as a timer fires, behind the one that set it; raises Unavailable."""
        trace = None
        if self._tracer.recording:
            (kept,) = await self._store.read([trace_key(f"{name}|{timer_id}")])
            trace = trace_of(kept.body.decode())
        return self._tracer.span(f"timer {name}", Kind.INTERNAL, trace)

    def _span(self, place: tuple[str, int, int], record: Record, result: Input | Rejected) -> Span:
        topic, partition, offset = place
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
            OUTCOME: "committed",
        }
        if isinstance(result, Input):
            attributes[FACT] = result.handler.fact.TYPE
            trace = result.event.traceparent
        else:
            told = [text for name, text in record.headers if name == "traceparent" and text]
            trace = trace_of(told[-1].decode("latin-1")) if told else None
        return self._tracer.span(f"process {topic}", Kind.CONSUMER, trace, attributes)


def _behind(span: Span, result: Input | Rejected) -> Input | Rejected:
    """The input as the next step from a span."""
    if isinstance(result, Rejected):
        return result
    return replace(result, event=result.event.model_copy(update={"traceparent": span.traceparent}))
