"""Steps of a trace: what caused what, across services, with nobody's name and at no cost to what is done."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError

from devstack.stack import ROOT, free_port
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.event import encode, trace_in
from shared.contracts.intake import ComplaintRaised
from shared.runtime import settings as runtime_settings
from shared.runtime.engine.store import Commit, Line
from shared.runtime.engine.transaction import TRACE_KEPT_S, trace_key
from shared.runtime.otlp import CLOSE_S, OtlpSpans
from shared.runtime.settings import TraceSettings
from shared.runtime.tracing import Kind, Tracer
from shared.testing.builders import published, record
from shared.testing.memory_store import MemoryStore
from tests.suites.services import SITE, Aboard, raised
from tests.suites.tally import INBOX, Heard, settler
from tests.unit.test_ids import NO_TRACES, TRACE
from tests.unit.test_relay import Producer, relay

CANARY = "Zqvxcanary"
EMAIL = f"{CANARY}@guests.example"
WORDS = {
    "text": f"The soup in booking {CANARY}-7 was cold, said {CANARY}.",
    "site": SITE,
    "contact": {"name": CANARY, "email": EMAIL, "phone": "+47 99 88 77 66"},
}


class Seen:
    """The spans that tracers made, in this process."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def on(self, tracer: Tracer) -> None:
        tracer.start(OtlpSpans(self._provider))

    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def of(self, trace: str) -> dict[str, ReadableSpan]:
        """The latest span of each name in the trace that a `traceparent` names."""
        wanted = int(trace[3:35], 16)
        return {span.name: span for span in self.spans() if span.context.trace_id == wanted}


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def raise_by_phone(aboard: Aboard, key: str = "k", **headers: str) -> str:
    async with aboard.http("complaints") as phone:
        answer = await phone.post(
            "/v1/complaints", json=WORDS, headers={"Idempotency-Key": key, **headers}
        )
    assert answer.status_code == 201
    return str(answer.json()["complaint_id"])


def traced(aboard: Aboard, seen: Seen) -> None:
    for app in aboard.apps.values():
        seen.on(app.parts.tracer)


# ---- one trace -----------------------------------------------------------------------------------


async def test_a_trace_goes_from_a_request_to_the_letter_that_it_causes(aboard: Aboard, seen):
    traced(aboard, seen)
    await raise_by_phone(aboard, traceparent=TRACE)
    await aboard.carry()
    await aboard.ring()
    assert len(aboard.postbox.letters) == 1
    spans = seen.of(TRACE)
    path = [
        "POST /v1/complaints",
        "settle",
        "process recovery.complaints.v1",
        "timer send",
        "do send",
    ]
    assert spans[path[0]].parent.span_id == int(TRACE[36:52], 16)
    for before, after in pairwise(path):
        assert spans[after].parent.span_id in {
            span.context.span_id for span in seen.spans() if span.name == before
        }, after
    outcomes = {name: spans[name].attributes.get("service_check.outcome") for name in path}
    assert outcomes == {
        path[0]: None, path[1]: "committed", path[2]: "committed", path[3]: None, path[4]: "delivered",
    }  # fmt: skip
    sent = [one for one in await aboard.events("notifier") if ".message.sent." in one["type"]]
    assert sent[0]["traceparent"][3:35] == TRACE[3:35]


async def test_what_no_step_caused_begins_a_trace_and_each_complaint_its_own(aboard: Aboard, seen):
    traced(aboard, seen)
    records = [record(raised(f"Soup {n}"), n, f"e-{n}") for n in range(3)]
    await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
    begun = [span for span in seen.spans() if span.name == f"process {ComplaintRaised.TOPIC}"]
    assert len({span.context.trace_id for span in begun}) == 3
    assert all(span.parent is None for span in begun)


async def test_a_repeated_request_and_a_dead_letter_say_what_became_of_them(aboard: Aboard, seen):
    traced(aboard, seen)
    for _ in range(2):
        await raise_by_phone(aboard)
    settled = [span for span in seen.spans() if span.name == "settle"]
    assert [span.attributes["service_check.outcome"] for span in settled] == [
        "committed", "repeated",
    ]  # fmt: skip
    bad = record(raised(site="ms-nowhere"), 0, traceparent=TRACE)
    broken = bad._replace(offset=1, value=b"{", headers=[("traceparent", TRACE.encode())])
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [bad])
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [broken])
    refused = [span for span in seen.spans() if span.name == f"process {ComplaintRaised.TOPIC}"]
    assert [span.attributes["service_check.outcome"] for span in refused] == [
        "unknown_site", "malformed_bytes",
    ]  # fmt: skip
    assert {span.context.trace_id for span in refused} == {int(TRACE[3:35], 16)}
    assert {span.status.status_code.name for span in refused} == {"ERROR"}


@pytest.mark.parametrize(
    ("on", "early_s", "kept"), [(True, 0, True), (True, 2 * TRACE_KEPT_S, False), (False, 0, False)]
)
async def test_the_store_has_the_trace_of_a_timer_that_fires_soon_for_an_hour(
    seen, on, early_s, kept
):
    """A timer of tomorrow begins a trace of its own; while traces are off nothing is kept."""
    store = MemoryStore()
    await store.begin_generation("first", 0)
    ours = settler(store)
    ours._now.advance(timedelta(seconds=-early_s))
    if on:
        seen.on(ours.tracer)
    await ours.settle_records(INBOX, 0, [record(Heard(name="a"), 0, traceparent=TRACE)])
    (member,) = store.kept.timers
    assert (trace_key(member) in store.kept.documents) is kept
    if kept:
        assert store.kept.ttls[trace_key(member)] == TRACE_KEPT_S


# ---- nobody's name -------------------------------------------------------------------------------


async def test_no_span_names_anybody_whatever_is_told_asked_or_refused(aboard: Aboard, seen):
    """INV-07: names are of routes, topics and facts; attributes are numbers and codes."""
    traced(aboard, seen)
    complaint = await raise_by_phone(aboard, key=CANARY)
    await aboard.feed(
        "complaints",
        ComplaintRaised.TOPIC,
        [
            record(raised(customer=CANARY, raised_by=CANARY, contact={"email": EMAIL}), 0, CANARY),
            record(raised(site=CANARY), 1, f"{CANARY}-1"),
            record(raised(), 2, f"{CANARY}-2", type=CANARY),
        ],
    )
    await aboard.carry()
    await aboard.ring()
    given = await aboard.give(complaint, "cinema", CANARY)
    await aboard.carry()
    await aboard.ring()
    links = [
        word for letter in aboard.postbox.letters for word in letter.body.split() if "/" in word
    ]
    async with aboard.http("notifier", "") as anybody:
        for link in links:
            await anybody.get("/" + link.partition("//")[2].partition("/")[2])
        await anybody.get(f"/{CANARY}?name={CANARY}", headers={"traceparent": CANARY})
        await anybody.request(CANARY, "/v1/none")
    async with aboard.http("complaints") as phone:
        await phone.get(f"/v1/complaints/{CANARY}")
        await phone.get(f"/v1/complaints/{complaint}")

    told = "\n".join(span.to_json() for span in seen.spans())
    secrets = {CANARY, "99 88", complaint, aboard.bearer(), given.json()["check_id"]}
    secrets |= {link.rpartition("/")[2] for link in links}
    assert given.status_code == 201 and links
    assert not [secret for secret in secrets if secret.lower() in told.lower()]
    assert "POST /v1/complaints" in told and "GET /v1/complaints/{complaint_id}" in told


# ---- no other facts ------------------------------------------------------------------------------


async def test_a_trace_changes_no_hash_of_the_record(tmp_path):
    """It is in the envelope and in a header, and of neither is anything on the record."""
    source = await Aboard(tmp_path).begin()
    await source.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 0)])
    plain = await published(source.stores["complaints"], ComplaintReceived.TOPIC)
    headed = [one._replace(headers=[("traceparent", TRACE.encode())]) for one in plain]
    told = []
    for records in (plain, headed):
        audit = await Aboard(tmp_path, recording=True).begin()
        await audit.feed("audit", ComplaintReceived.TOPIC, records)
        told.append(await audit.events("audit"))
    assert [one["data"] for one in told[0]] == [one["data"] for one in told[1]]
    assert told[0][-1]["type"] == "recovery.fact.recorded.v1"
    assert {one.get("traceparent") for one in told[1][-len(plain) :]} == {TRACE}


async def test_facts_have_the_same_ids_and_causes_with_traces_and_without(tmp_path, seen):
    told = []
    for traces in (False, True):
        aboard = await Aboard(tmp_path, recording=True).begin()
        if traces:
            traced(aboard, seen)
        records = [
            record(raised(contact={"email": EMAIL}), 0, "e-0", traceparent=TRACE),
            record(raised("Another."), 1, "e-1", traceparent=TRACE),
        ]
        await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
        await aboard.carry()
        await aboard.ring()
        await aboard.carry()
        told.append(
            {
                name: [
                    (one["type"], one["id"], one["cause"], one["causationid"])
                    for one in await aboard.events(name)
                ]
                for name in aboard.apps
            }
        )
    assert told[0] == told[1]
    assert any(".fact.recorded." in one[0] for one in told[1]["audit"])


# ---- on to Kafka ---------------------------------------------------------------------------------


def line_of(trace: str | None) -> bytes:
    value = encode(
        Heard(name="a"), source="/x", event_id="e", time="2026-06-03T14:00:00.000Z",
        correlation="c", causation="c", cause="timer/x/y/1", trace=trace,
    )  # fmt: skip
    return Line(Heard.TOPIC, "a", value).encode()


async def sent(trace: str | None, seen: Seen | None = None) -> tuple[bytes, list]:
    """Value and headers of a record that the relay made of a line."""
    store = MemoryStore()
    await store.begin_generation("first", 0)
    await store.commit(Commit((), (), (), [line_of(trace)]))
    ours, producer = relay(store), Producer(1)
    if seen:
        seen.on(ours._tracer)
    await ours._turn(producer)
    ((_, value, headers),) = producer.topics[Heard.TOPIC, 0]
    return value, headers[1:]


async def test_a_record_has_its_trace_as_a_header_and_the_step_that_sent_it_if_there_is_one(seen):
    assert (await sent(None))[1] == []
    assert (await sent(None, seen))[1] == [] and not seen.spans()
    assert (await sent(TRACE))[1] == [("traceparent", TRACE.encode())]
    value, ((name, told),) = await sent(TRACE, seen)
    (span,) = seen.spans()
    assert (name, span.name) == ("traceparent", f"send {Heard.TOPIC}")
    assert told.decode()[36:52] == f"{span.context.span_id:016x}"
    assert span.parent.span_id == int(TRACE[36:52], 16)
    assert f'"traceparent":"{TRACE}"'.encode() in value, "the event says who made it"


@pytest.mark.parametrize("found", [one for one in NO_TRACES if isinstance(one, str)])
async def test_what_is_no_trace_is_no_header(found):
    assert trace_in(line_of(found)) is None
    if "\n" not in found:  # which no JSON has
        assert (await sent(found))[1] == []


# ---- a collector that is away --------------------------------------------------------------------


async def test_a_collector_that_is_away_delays_and_fails_nothing(aboard: Aboard):
    provider = TracerProvider(shutdown_on_exit=False)
    away = OTLPSpanExporter(f"http://127.0.0.1:{free_port()}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(away, max_queue_size=4, max_export_batch_size=2))
    tracer = aboard.apps["complaints"].parts.tracer
    tracer.start(OtlpSpans(provider))
    for number in range(8):
        await raise_by_phone(aboard, key=f"k-{number}")
    for _ in range(100):
        with tracer.span("more than the queue takes", Kind.INTERNAL, None):
            pass
    began = time.monotonic()
    await tracer.close()
    assert time.monotonic() - began < CLOSE_S + 2
    await raise_by_phone(aboard, key="after")


async def test_a_stop_waits_for_the_last_spans_and_no_longer_than_it_may(monkeypatch):
    monkeypatch.setattr("shared.runtime.otlp.CLOSE_S", 0.05)

    class Stuck(TracerProvider):
        def shutdown(self) -> None:
            time.sleep(1)

    tracer = Tracer()
    tracer.start(OtlpSpans(Stuck(shutdown_on_exit=False)))
    began = time.monotonic()
    await tracer.close()
    assert time.monotonic() - began < 0.9
    assert not tracer.recording
    await asyncio.to_thread(time.sleep, 1)


# ---- off -----------------------------------------------------------------------------------------


def test_without_a_collector_nothing_of_the_exporter_is_imported():
    """Redis's client imports the SDK's metrics by itself where it is installed."""
    ours = "import services.complaints.app, sys\nfrom shared.runtime.service import App\n"
    shown = "print([name for name in sys.modules if 'otlp' in name or 'sdk.trace' in name])"
    done = subprocess.run(
        [sys.executable, "-c", ours + shown],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


SET = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example/v1/traces",
}


@pytest.mark.parametrize("name", SET)
def test_a_collector_that_is_named_is_sent_traces_unless_they_are_disabled(monkeypatch, name):
    for one in os.environ:
        if one.startswith("OTEL_"):
            monkeypatch.delenv(one)
    assert not TraceSettings().traces
    monkeypatch.setenv(name, SET[name])
    assert TraceSettings().traces
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not TraceSettings().traces


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:{CANARY}@collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ],
)
def test_a_collector_that_cannot_be_sent_traces_is_a_wrong_setting(monkeypatch, name, wrong):
    monkeypatch.setenv(name, wrong)
    with pytest.raises(ValidationError) as refused:
        TraceSettings()
    (sentence,) = runtime_settings.refused(refused.value)
    assert sentence.startswith(name) and CANARY not in sentence


def test_a_collector_without_the_packages_for_it_is_a_wrong_setting(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setattr(runtime_settings, "exporter_installed", lambda: False)
    with pytest.raises(ValidationError, match=r"requirements-traces\.txt"):
        TraceSettings()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    TraceSettings()


def test_the_lock_of_traces_has_what_the_exporter_is_made_of():
    lock = Path(ROOT / "requirements-traces.txt").read_text(encoding="utf-8")
    whole = Path(ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = [line.split()[0] for line in lock.splitlines() if "==" in line]
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= {
        pin.partition("==")[0] for pin in pins
    }
    assert all(f"{pin} " in whole for pin in pins), "one version of each in all locks"
