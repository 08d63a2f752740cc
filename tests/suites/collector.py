"""A small collector: takes spans by OTLP over HTTP, as they come from processes, and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Exported(NamedTuple):
    """One span, with the service that it is of; ids in hex."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    told: str


@dataclass
class Collector:
    """What came so far."""

    url: str
    spans: list[Exported] = field(default_factory=list)

    def of(self, trace: str) -> dict[str, Exported]:
        """The spans of one trace by id."""
        return {span.span: span for span in list(self.spans) if span.trace == trace}

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Exported(
                        named["service.name"],
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        f"{resource.resource} {span}",
                    )
                    for span in scope.spans
                ]


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a port of its own, until the end of the block."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = decompress(body)
            found.take(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
