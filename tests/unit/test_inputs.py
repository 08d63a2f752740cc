"""What a route takes of a request: each part from its own place, and a body only where it says that it is JSON."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from shared.contracts.reasons import Reason
from shared.runtime.http.inputs import values_of
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
    assert [(one["pointer"], one["rule"]) for one in errors] == [("/", "json_type")]


async def test_a_body_that_is_missing_or_broken_is_told_apart(aboard: Aboard):
    kind = {**KEY, "Content-Type": "application/json"}
    assert await told(aboard, b"", kind) == (
        422,
        Reason.SCHEMA_INVALID,
        [{"pointer": "/", "rule": "missing", "detail": "It is needed"}],
    )
    assert (await told(aboard, BODY[:-1], kind))[:2] == (400, Reason.MALFORMED_BYTES)
    broken = BODY.replace(b"soup", b"so\xff\xfep")
    assert (await told(aboard, broken, kind))[:2] == (422, Reason.INVALID_UTF8)


async def test_a_key_in_the_address_is_no_key(aboard: Aboard):
    """Addresses are logged by proxies, and a link could carry one."""
    kind = {"Content-Type": "application/json"}
    status, reason, errors = await told(aboard, BODY, kind, f"{PATH}?Idempotency-Key=k")
    assert (status, reason) == (422, Reason.SCHEMA_INVALID)
    assert [(one["pointer"], one["rule"]) for one in errors] == [
        ("/Idempotency-Key", "extra_forbidden")
    ]


@pytest.mark.parametrize(
    ("query", "pointer", "rule"),
    [
        ("complaint_id=co-1", "/complaint_id", "extra_forbidden"),
        ("reason=food&reason=noise", "/reason", "repeated"),
    ],
)
async def test_a_query_that_would_be_passed_over_is_refused(aboard: Aboard, query, pointer, rule):
    answer = await aboard.get(f"options?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["rule"]) == (pointer, rule)


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization"])
async def test_a_header_that_says_two_things_is_refused(aboard: Aboard, name: str):
    """A proxy in front may go by the other one."""
    bearer = f"Bearer {aboard.bearer()}"
    headers = [("Content-Type", "application/json"), ("Idempotency-Key", "k")]
    headers += [("Authorization", bearer), (name, "l" if name == "Idempotency-Key" else bearer)]
    async with aboard.http("complaints", "") as phone:
        answer = await phone.post(PATH, content=BODY, headers=headers)
    assert answer.status_code == {"Idempotency-Key": 400, "Authorization": 401}[name]


async def test_an_address_with_a_newline_behind_it_is_another_address(aboard: Aboard):
    """It would make two wishes of one key."""
    assert (await aboard.get("me")).status_code == 200
    assert (await aboard.get("me%0a")).status_code == 404


@pytest.mark.parametrize("field", ["consent", "again"])
async def test_a_word_that_may_mean_yes_is_no_yes(aboard: Aboard, field: str):
    complaint_id = await aboard.raise_complaint()
    answer = await aboard.give(complaint_id, "cinema", "k", **{field: "yes"})
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [
            {
                "pointer": f"/{field}",
                "rule": "bool_type",
                "detail": "Input should be a valid boolean",
            }
        ],
    )


async def test_a_list_of_a_hundred_thousand_wrong_things_costs_no_more_than_one(aboard: Aboard):
    wish = {"complaint_id": "co-1", "reason": "food", "items": [1] * 100_000}
    answer = await aboard.post("offers", "k", wish)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) < 5


async def test_a_place_in_a_body_is_named_as_the_body_has_it(aboard: Aboard):
    kind = {**KEY, "Content-Type": "application/json"}
    late = BODY[:-1] + b', "occurred_at": "9999-12-31T23:59:59-12:00"}'
    status, reason, errors = await told(aboard, late, kind)
    assert (status, reason) == (422, Reason.TIME_OUT_OF_RANGE)
    assert errors == [{"pointer": "/occurred_at"}]


async def test_what_a_client_has_is_known_by_a_tag_in_either_form(aboard: Aboard):
    tag = (await aboard.get("site")).headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        assert (await aboard.get("site", **{"If-None-Match": known})).status_code == 304
    assert (await aboard.get("site", **{"If-None-Match": f'x{tag}"x'})).status_code == 200


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


async def test_a_browser_that_leaves_while_sending_a_form_is_no_failure_of_ours():
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(HTTPException) as refused:
        await values_of(Request({"type": "http", "method": "POST", "headers": []}, receive), 10)
    assert refused.value.status_code == 400
