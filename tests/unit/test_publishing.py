"""What docs/publishing.md tells publishers to send is taken as it stands there, in both modes."""

from __future__ import annotations

import re
from pathlib import Path

from shared.contracts.intake import ComplaintRaised
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


def test_the_command_of_the_page_sends_the_headers_of_its_example():
    _, binary = examples()
    sent = re.findall(r"-H ([a-z_-]+)=(\S+)", PAGE)
    assert sent == [(name, (text or b"").decode()) for name, text in binary.headers]
