"""Spans by OpenTelemetry's SDK, sent by OTLP over HTTP. Needs requirements-traces.txt.

Collector, sampling, queue and time limits are what the SDK's own variables say (`OTEL_…`). The queue is bounded and
drops what does not fit; a thread of the SDK sends, so that a collector that is away or slow delays nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan

from shared.runtime.faults import Rejected
from shared.runtime.tracing import OUTCOME, Kind, reason_of

#: How long a stop waits for the last spans. They are few, and a stop has other things to do.
CLOSE_S = 3.0


class Recorded:
    """A span of the SDK."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: SdkSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        )

    def rename(self, name: str) -> None:
        """See Span."""
        self._span.update_name(name)

    def set(self, name: str, value: str | int) -> None:
        """See Span."""
        self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        """See Span."""
        self._span.set_attribute(OUTCOME, reason)
        self._span.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See Span. A refusal is no failure: the step did what it should."""
        if isinstance(error, Rejected):
            self._span.set_attribute(OUTCOME, reason_of(error))
        elif error is not None:
            self.fail(reason_of(error))
        self._span.end()


class OtlpSpans:
    """`Spans` of one provider of the SDK."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("service_check")

    def begin(
        self, name: str, kind: Kind, parent: str | None, attributes: Mapping[str, str | int]
    ) -> Recorded:
        """See Spans."""
        behind = None if parent is None else set_span_in_context(NonRecordingSpan(_named(parent)))
        return Recorded(
            self._tracer.start_span(name, behind, SpanKind(kind.value), attributes=attributes)
        )

    async def close(self) -> None:
        """See Spans. The SDK's own shutdown may take half a minute, so it gets a thread that nothing waits for."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended without waiting
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="traces", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await closed.wait()


def _named(traceparent: str) -> SpanContext:
    """The span that a `traceparent` names; it was validated where it came in."""
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), True, TraceFlags(int(flags, 16)))


def otlp_spans(service: str) -> OtlpSpans:
    """Spans of a service, sent where the SDK's variables say; starts the thread that sends."""
    # The name is ours also where a variable names one for a whole cluster: all services have one image.
    resource = Resource.create({"service.name": service, "service.namespace": "service-check"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtlpSpans(provider)
