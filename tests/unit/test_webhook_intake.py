"""Other systems raise complaints by webhook: signed, lately, for their own sites, and each received once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from services.complaints.intake import sources
from shared.contracts.intake import ComplaintRaised
from shared.contracts.reasons import Reason
from shared.runtime.http.face import BODY_BYTES_MAX
from shared.runtime.http.signatures import check_standard, standard_signature
from shared.runtime.strict_yaml import BrokenFile
from shared.testing.clock import START
from tests.suites.receipts import by_webhook
from tests.suites.services import SITE, SOURCE_KEY, Aboard, forget_answers

TOLD = {"site": SITE, "text": "The soup was cold.", "contact": {"email": "kim@example.org"}}
EVENT = {"specversion": "1.0", "type": ComplaintRaised.TYPE, "source": "/theirs", "id": "c-1"}


async def received(aboard: Aboard) -> list[dict[str, Any]]:
    return [one for one in await aboard.facts("complaints") if "received_at" in one]


async def find(aboard: Aboard, event_id: str, source: str = "/webhooks/booking") -> int:
    asked = {"source": source, "id": event_id}
    async with aboard.http("complaints", aboard.bearer("x-1", "system")) as system:
        return (await system.post("/v1/complaints/find", json=asked)).status_code


@pytest.mark.parametrize(
    ("body", "event_id"),
    [
        (TOLD, "wh-1"),
        ({"type": "complaint.raised", "data": TOLD}, "wh-1"),
        ({"type": ComplaintRaised.TYPE, "timestamp": "2026-06-03T13:58:00Z", "data": TOLD}, "wh-1"),
        ({**EVENT, "data": TOLD}, "c-1"),
    ],
)
async def test_each_form_of_a_body_is_a_complaint_and_a_repeat_changes_nothing(
    aboard: Aboard, body: Any, event_id: str
):
    for _ in range(2):
        answer = await by_webhook(aboard, body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert len(await received(aboard)) == 1
    assert await find(aboard, event_id) == 200
    assert await find(aboard, event_id, "/theirs") == 404  # a source is what the operator calls it


async def test_a_repeat_after_its_answer_was_forgotten_is_the_same_complaint(aboard: Aboard):
    for _ in range(2):
        assert (await by_webhook(aboard, TOLD)).status_code == 204
        forget_answers(aboard.stores["complaints"])
    assert len(await received(aboard)) == 1


async def test_an_event_under_another_webhook_is_the_same_complaint(aboard: Aboard):
    for name in ("wh-1", "wh-2"):
        assert (await by_webhook(aboard, {**EVENT, "data": TOLD}, name)).status_code == 204
    assert len(await received(aboard)) == 1
    other = await by_webhook(aboard, {**EVENT, "data": {**TOLD, "text": "Warm."}}, "wh-3")
    assert other.json()["type"] == Reason.CONFLICTING_REPEAT
    other = await by_webhook(aboard, {**TOLD, "text": "Warm."}, "wh-1")
    assert other.json()["type"] == Reason.IDEMPOTENCY_KEY_REUSED


REFUSED = {
    "forged": ({"key": b"f" * 32}, 401),
    "no signature": ({"webhook_signature": ""}, 401),
    "a signature of another version": ({"webhook_signature": "v1a,AAAA"}, 401),
    "old": ({"age_s": 301}, 401),
    "ahead": ({"age_s": -301}, 401),
    "no time": ({"webhook_timestamp": "now"}, 401),
    "another id": ({"webhook_id": "wh-1", "webhook-id": "wh-2"}, 401),
    "an unknown source": ({"source": "loyalty"}, 401),
    "another site": ({"body": {**TOLD, "site": "ms-borealis"}}, 404),
    "another type": ({"body": {"type": "complaint.closed", "data": TOLD}}, 422),
    "an event of another type": ({"body": {**EVENT, "type": "x", "data": TOLD}}, 422),
    "no text": ({"body": {"site": SITE}}, 422),
    "a list": ({"body": [TOLD]}, 422),
    "nothing that is seen": ({"body": {**TOLD, "text": "\u200b \u2060"}}, 422),
    "a misspelt field": ({"body": {**TOLD, "custommer": "7"}}, 422),
    "a misspelt part of the contact": ({"body": {**EVENT, "data": {**TOLD, "contact": {"emial": "kim@example.org"}}}}, 422),
    "an event of long ago": ({"body": {**EVENT, "time": "1999-01-01T00:00:00Z", "data": TOLD}}, 422),
    "an id of control characters": ({"webhook_id": "a\x01"}, 422),
    "a long id": ({"webhook_id": "x" * 257}, 422),
    "not json": ({"body": b"{"}, 400),
    "deep": ({"body": b"[" * 200_000}, 400),
    "not utf-8": ({"body": b'{"text": "\xff"}'}, 422),
    "too large": ({"body": b" " * (BODY_BYTES_MAX + 1)}, 413),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_forged_old_of_another_site_or_wrong_is_refused_and_leaves_nothing(
    aboard: Aboard, name: str
):
    how, status = REFUSED[name]
    how = dict(how)
    answer = await by_webhook(aboard, how.pop("body", TOLD), **how)
    assert answer.status_code == status, answer.text
    assert await aboard.types("complaints") == []


async def test_a_webhook_without_an_id_is_refused_though_it_is_signed(aboard: Aboard):
    sent_at = str(round(aboard.clock().timestamp()))
    headers = {
        "webhook-timestamp": sent_at,
        "webhook-signature": standard_signature(SOURCE_KEY, "", sent_at, to_json(TOLD)),
    }
    async with aboard.http("complaints", "") as system:
        answer = await system.post("/v1/webhooks/booking", content=to_json(TOLD), headers=headers)
    assert answer.status_code == 422


async def test_an_unknown_source_is_answered_as_a_wrong_signature_is(aboard: Aboard):
    unknown = await by_webhook(aboard, TOLD, source="loyalty")
    forged = await by_webhook(aboard, TOLD, key=b"f" * 32)
    assert unknown.content == forged.content


async def test_who_raised_it_for_a_customer_is_a_pseudonym_of_the_source(aboard: Aboard):
    await by_webhook(aboard, {**TOLD, "raised_by": "kari.nordmann"})
    (fact,) = await received(aboard)
    assert fact["raised_by"] != "kari.nordmann"
    assert "kari.nordmann" not in repr(aboard.stores["complaints"].kept)


def test_old_and_new_secret_are_good_while_it_is_changed(tmp_path: Path):
    new, old = (b64encode(bytes([one]) * 32).decode() for one in (1, 2))
    path = tmp_path / "sources.yaml"
    path.write_text(f"sources: {{a: {{sites: [{SITE}], secrets: [whsec_{new}, whsec_{old}]}}}}")
    assert sources.load(path)["a"].keys == [b"\x01" * 32, b"\x02" * 32]


@pytest.mark.parametrize(
    "wrong", ["sites: []", "secrets: [whsec_AAAA]", "secrets: ['whsec_secret!']", "secrets: []"]
)
def test_a_file_of_sources_that_is_wrong_is_refused_whole_without_its_secrets(
    tmp_path: Path, wrong: str
):
    good = b64encode(SOURCE_KEY).decode()
    parts = {"sites": f"sites: [{SITE}]", "secrets": f"secrets: [whsec_{good}]"}
    parts[wrong.partition(":")[0]] = wrong
    path = tmp_path / "sources.yaml"
    path.write_text("sources: {a: {" + ", ".join(parts.values()) + "}}")
    with pytest.raises(BrokenFile) as broken:
        sources.load(path)
    assert "secret!" not in str(broken.value)
    assert good not in str(broken.value)


def test_the_commands_of_the_page_sign_as_the_service_checks(tmp_path: Path):
    if not (shutil.which("openssl") and shutil.which("bash")):
        pytest.skip("needs bash and openssl")
    page = (Path(__file__).parents[2] / "docs/publishing.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    posted = tmp_path / "curl"
    posted.write_text('#!/bin/sh\nfor one in "$@"; do printf "%s\\n" "$one"; done\n')
    posted.chmod(0o755)
    done = subprocess.run(
        ["bash", "-eu", "-c", commands.replace("$(date +%s)", str(int(START.timestamp())))],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SECRET": b64encode(SOURCE_KEY).decode(),
            "COMPLAINTS": "http://test",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    sent = done.stdout.splitlines()
    body = sent[sent.index("-d") + 1]
    headers = dict(one.split(": ", 1) for one in sent if one.startswith("webhook-"))
    check_standard([SOURCE_KEY], headers, body.encode(), START)
