"""What docs/publishing.md tells publishers to send is taken as it stands there, in both modes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import to_structured_event
from cloudevents.core.v1.event import CloudEvent

from shared.contracts.intake import ComplaintRaised
from shared.contracts.reasons import Reason
from shared.runtime.kafka.inbox import Record
from tests.suites.services import Aboard

PAGE = (Path(__file__).parents[2] / "docs/publishing.md").read_text(encoding="utf-8")


def examples() -> list[Record]:
    """The records of the page: headers, and the value below them."""
    found = re.findall(r"```headers\n(.*?)```\s+```json\n(.*?)```", PAGE, re.DOTALL)
    return [
        Record(
            offset,
            value.encode(),
            [
                (name, text.encode())
                for name, _, text in (line.partition(": ") for line in headers.splitlines())
            ],
        )
        for offset, (headers, value) in enumerate(found)
    ]


async def test_the_event_of_the_page_is_one_complaint_in_whichever_mode_it_comes(aboard: Aboard):
    structured, binary = examples()
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [binary])
    assert "complaint.received" in await aboard.types("complaints")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [structured._replace(offset=2)])
    assert (await aboard.types("complaints"))[-1] == "complaint.repeated"
    asked = {"source": "/booking", "id": "complaint-778120"}
    async with aboard.http("complaints", aboard.bearer("x-1", "system")) as publisher:
        answer = await publisher.post("/v1/complaints/find", json=asked)
    assert (answer.status_code, answer.json()["source"]) == (200, "/booking")


class Producer:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Record] = []

    def send(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        assert topic == ComplaintRaised.TOPIC
        self.sent.append(Record(10 + len(self.sent), value, list(headers)))


async def test_the_program_of_the_page_sends_the_event_of_the_page(aboard: Aboard):
    _, program = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    producer = Producer()
    exec(program, {"producer": producer})
    structured, _ = examples()
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [structured, *producer.sent])
    assert (await aboard.types("complaints"))[-1] == "complaint.repeated"


@pytest.mark.parametrize("data", [b'{"site": "ms-aurora", "text": "x"}', '{"site": "ms-aurora"}'])
async def test_data_that_the_sdk_writes_as_base64_or_as_one_text_is_a_dead_letter_as_the_page_says(
    aboard: Aboard, data: bytes | str
):
    assert "`data_base64` is not read" in " ".join(PAGE.split())
    attributes = {"type": ComplaintRaised.TYPE, "source": "/booking", "id": "e-1"}
    message = to_structured_event(CloudEvent(attributes, data))
    sent = Record(1, message.value, list(message.headers.items()))
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [sent])
    (line,) = await aboard.dead("complaints")
    assert dict(line.headers)["reason"] == Reason.SCHEMA_INVALID


async def find(aboard: Aboard, event_id: str) -> tuple[int, str]:
    """The status of an answer, and its reason or the id of the event it is about."""
    asked = {"source": "/booking", "id": event_id}
    async with aboard.http("complaints", aboard.bearer("x-1", "system")) as publisher:
        answer = await publisher.post("/v1/complaints/find", json=asked)
    said = answer.json()
    return answer.status_code, said.get("type", said.get("id"))


async def test_a_publisher_finds_its_dead_letter_by_the_position_as_the_page_says(aboard: Aboard):
    structured, _ = examples()
    value = structured.value or b""
    wrong = value.replace(b"complaint-778120", b"wrong").replace(b"ms-aurora", b"")
    other = value.replace(b"cold soup", b"cold fish")
    records = [
        structured._replace(offset=offset, value=text)
        for offset, text in ((4710, value), (4711, wrong), (4712, other))
    ]
    await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
    dead = {line.key: dict(line.headers) for line in await aboard.dead("complaints")}
    place = f"{ComplaintRaised.TOPIC}/0"
    assert {key: one["reason"] for key, one in dead.items()} == {
        f"{place}/4711": "schema_invalid",
        f"{place}/4712": "conflicting_repeat",
    }
    for name in dead[f"{place}/4711"]:
        assert f"`{name}`" in PAGE
    assert await find(aboard, "complaint-778120") == (200, "complaint-778120")
    assert await find(aboard, "wrong") == (404, "unknown_complaint")
    right = structured._replace(
        offset=4713, value=wrong.replace(b'"site": ""', b'"site": "ms-aurora"')
    )
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [right])
    assert await find(aboard, "wrong") == (200, "wrong")


def test_the_command_of_the_page_sends_the_headers_of_its_example():
    _, binary = examples()
    sent = re.findall(r"-H ([a-z_-]+)=(\S+)", PAGE)
    assert sent == [(name, (text or b"").decode()) for name, text in binary.headers]


@pytest.mark.parametrize("root", ["c", "causes", "http", "mail", "webhooks", "site", "cafe"])
@pytest.mark.parametrize("rest", ["", "/ms-aurora"])
async def test_a_source_that_complaints_gives_itself_is_a_dead_letter_as_the_page_says(
    aboard: Aboard, root: str, rest: str
):
    """Else a publisher would be taken for a customer with a token, for a form, or for another system."""
    taken = root in ("site", "cafe")
    assert taken or f"`/{root}`" in PAGE
    structured, _ = examples()
    value = (structured.value or b"").replace(b"/booking", f"/{root}{rest}".encode())
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [structured._replace(value=value)])
    dead = [dict(line.headers) for line in await aboard.dead("complaints")]
    assert [(one["reason"], one["where"]) for one in dead] == (
        [] if taken else [(Reason.SCHEMA_INVALID, "/source")]
    )
