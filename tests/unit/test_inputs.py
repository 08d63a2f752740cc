"""What a route takes of a request: each part from its own place, and a body only where it says that it is JSON."""

from __future__ import annotations

import pytest

from shared.contracts.reasons import Reason
from tests.suites.services import Aboard

PATH = "/v1/complaints"
BODY = b'{"site": "ms-aurora", "text": "cold soup"}'
KEY = {"Idempotency-Key": "k"}


async def told(aboard: Aboard, content: bytes, headers: dict[str, str], path: str = PATH):
    async with aboard.http("complaints") as phone:
        answer = await phone.post(path, content=content, headers=headers)
    return answer.status_code, answer.json().get("type"), answer.json().get("errors", [])


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/x.y+json"]
)
async def test_a_body_that_says_it_is_json_is_read(aboard: Aboard, kind: str):
    status, _, _ = await told(aboard, BODY, {**KEY, "Content-Type": kind})
    assert status == 201


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "json"])
async def test_a_body_that_any_page_could_send_is_not_read(aboard: Aboard, kind: str | None):
    headers = KEY if kind is None else {**KEY, "Content-Type": kind}
    status, reason, errors = await told(aboard, BODY, headers)
    assert (status, reason) == (422, Reason.SCHEMA_INVALID)
    assert errors == [{"pointer": "/", "rule": "json_type"}]


async def test_a_body_that_is_missing_or_broken_is_told_apart(aboard: Aboard):
    kind = {**KEY, "Content-Type": "application/json"}
    assert await told(aboard, b"", kind) == (
        422,
        Reason.SCHEMA_INVALID,
        [{"pointer": "/", "rule": "missing"}],
    )
    assert (await told(aboard, BODY[:-1], kind))[:2] == (422, Reason.SCHEMA_INVALID)
    broken = BODY.replace(b"soup", b"so\xff\xfep")
    assert (await told(aboard, broken, kind))[:2] == (400, Reason.MALFORMED_BYTES)


async def test_a_key_in_the_address_is_no_key(aboard: Aboard):
    """Addresses are logged by proxies, and a link could carry one."""
    kind = {"Content-Type": "application/json"}
    status, reason, _ = await told(aboard, BODY, kind, f"{PATH}?Idempotency-Key=k&key=k")
    assert (status, reason) == (400, Reason.IDEMPOTENCY_KEY_MISSING)


async def test_who_may_not_ask_is_told_so_before_their_body_is_read(aboard: Aboard):
    async with aboard.http("complaints", "") as stranger:
        answer = await stranger.post(PATH, content=b"{", headers=KEY)
    assert answer.status_code == 401


async def test_a_caller_who_leaves_while_sending_is_no_failure_of_ours(aboard: Aboard, caplog):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = {"authorization": f"Bearer {aboard.bearer()}", "idempotency-key": "k"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await aboard.apps["complaints"].api(scope, receive, send)
    assert sent[0]["status"] == 400
    assert "request_failed" not in caplog.text
