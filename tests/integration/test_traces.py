"""Traces through processes and a broker: from a request in one service to the letter that another hands over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from devstack.stack import free_port
from shared.contracts.complaints import ComplaintReceived
from tests.suites.collector import Collector, collector
from tests.system.world import SITE, World, until, world

CANARY = "Zqvxcanary"
EMAIL = f"{CANARY}@guests.example"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WORDS = {
    "site": SITE,
    "text": f"The soup in booking {CANARY}-7 was cold, said {CANARY}.",
    "contact": {"name": CANARY, "email": EMAIL},
}
COMPLAINTS, NOTIFIER = "complaints", "notifier"
#: What causes what, from the caller's request to the letter.
PATH = [
    (COMPLAINTS, "POST /v1/complaints"),
    (COMPLAINTS, "settle"),
    (COMPLAINTS, f"send {ComplaintReceived.TOPIC}"),
    (NOTIFIER, f"process {ComplaintReceived.TOPIC}"),
    (NOTIFIER, "timer send"),
    (NOTIFIER, "do send"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def collected() -> Iterator[Collector]:
    with collector() as made:
        yield made


def to(here: World, url: str) -> None:
    """Where services that start from now on send traces."""
    here.services.environment = {**here.services.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": url}


def raise_complaint(here: World, key: str, **headers: str) -> int:
    with here.phone(COMPLAINTS) as phone:
        answer = phone.post(
            "/v1/complaints", json=WORDS, headers={"Idempotency-Key": key, **headers}
        )
    return answer.status_code


def test_one_trace_goes_from_a_request_to_the_letter_in_another_process(here, collected):
    to(here, collected.url)
    for name in (COMPLAINTS, NOTIFIER):
        here.start(name)
    for service in here.services.running:
        service.wait_ready()
    assert raise_complaint(here, "soup-1", traceparent=f"00-{TRACE}-{CALLER}-01") == 201
    until(lambda: here.mailbox.letters, "the letter")
    for service in here.services.running:  # a stop hands over what is left
        assert service.stop() == 0

    spans = collected.of(TRACE)
    (step,) = [span for span in spans.values() if (span.service, span.name) == PATH[-1]]
    way = [step]
    while way[0].parent in spans:
        way.insert(0, spans[way[0].parent])
    assert [(span.service, span.name) for span in way] == PATH
    assert way[0].parent == CALLER

    received = [one for one in here.read(ComplaintReceived.TOPIC) if TRACE.encode() in one.value]
    headers = [dict(one.headers)["traceparent"].decode() for one in received]
    assert headers and all(header[3:35] == TRACE for header in headers)
    assert {spans[header[36:52]].name for header in headers} == {f"send {ComplaintReceived.TOPIC}"}

    told = "".join(span.told for span in collected.spans)
    assert CANARY not in told, "INV-07: nobody's name, words or address"
    assert not any(TRACE in letter.body for letter in here.mailbox.letters)


def test_a_collector_that_is_away_fails_no_request_and_holds_up_no_stop(here):
    to(here, f"http://127.0.0.1:{free_port()}")
    service = here.start(COMPLAINTS)
    service.wait_ready()
    assert [raise_complaint(here, f"away-{number}") for number in range(5)] == [201] * 5
    # The exporter tries again and again, and says so.
    until(lambda: "exporting" in service.log.read_text(encoding="utf-8"), "a failed export")
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 25
    lines = service.log.read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["event"] for line in lines} >= {"library", "stopped"}
