"""The face: problems with a reason, one effect per key, and a health that says what is wrong."""

from __future__ import annotations

import re
from itertools import chain
from typing import ClassVar, NoReturn

import prometheus_client
import pytest

from services.complaints.intake.api import KnownComplaint
from shared.contracts.complaints import ComplaintRepeated
from shared.contracts.intake import TEXT_MAX
from shared.contracts.reasons import Reason
from shared.runtime.engine.store import Versioned
from shared.runtime.faults import Unavailable
from shared.runtime.http.answers import Answer, shown_by
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import BODY_BYTES_MAX
from shared.runtime.http.routes import Ask, Route, as_recorded
from tests.suites.services import Aboard

BODY = {"site": "ms-aurora", "text": "cold soup"}
PATH = "/v1/complaints"


@pytest.fixture
def phone(aboard: Aboard):
    return aboard.http("complaints")


def is_problem(answer, status: int, reason: Reason) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert {"type", "title", "status"} <= answer.json().keys()
    assert answer.json()["status"] == status


@pytest.mark.parametrize("key", [None, "", "x" * 256, '""', '"', "\tx"])
async def test_a_write_needs_an_idempotency_key_of_bounded_length(phone, key):
    headers = {} if key is None else {"Idempotency-Key": key}
    is_problem(
        await phone.post(PATH, json=BODY, headers=headers), 400, Reason.IDEMPOTENCY_KEY_MISSING
    )


async def test_the_meaning_of_a_reason_covers_everything_that_is_refused_for_it(phone):
    """A key of another form than is taken; a text that is too long for its field."""
    answer = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "x" * 256})
    is_problem(answer, 400, Reason.IDEMPOTENCY_KEY_MISSING)
    assert "not of the form" in Reason.IDEMPOTENCY_KEY_MISSING.meaning
    long = {**BODY, "text": "x" * (TEXT_MAX + 1)}
    answer = await phone.post(PATH, json=long, headers={"Idempotency-Key": "k"})
    is_problem(answer, 422, Reason.SCHEMA_INVALID)
    assert f"`{answer.json()['type']}`" in Reason.TOO_LARGE.meaning


async def test_a_key_in_quotes_and_the_same_key_bare_are_one(phone):
    first = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    again = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": '"k"'})
    assert (first.status_code, first.json()) == (201, again.json())
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_key_with_another_body_is_refused(phone):
    await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    other = await phone.post(PATH, json={**BODY, "text": "x"}, headers={"Idempotency-Key": "k"})
    is_problem(other, 422, Reason.IDEMPOTENCY_KEY_REUSED)


async def test_two_peoples_keys_do_not_meet(aboard: Aboard, phone):
    await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    async with aboard.http("complaints", aboard.bearer("e-jonas")) as other:
        answer = await other.post(
            PATH, json={**BODY, "text": "x"}, headers={"Idempotency-Key": "k"}
        )
    assert answer.status_code == 201


async def test_the_answer_says_whether_its_facts_are_on_kafka(aboard: Aboard, phone):
    answer = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    assert answer.headers["published"] == "false"
    store = aboard.stores["complaints"]
    await store.lease("relay", "me", 1000)
    await store.trim("me", await store.last_sequence())
    again = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    assert again.headers["published"] == "true"


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [(None, 401, Reason.UNAUTHENTICATED), ("manager", 403, Reason.FORBIDDEN)],
)
async def test_who_may_not_ask_is_told_so(aboard: Aboard, kind, status, reason):
    bearer = aboard.bearer(kind=kind) if kind else ""
    async with aboard.http("complaints", bearer) as stranger:
        answer = await stranger.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    is_problem(answer, status, reason)
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**BODY, "customr": "x"}, "/customr"),
        ({"site": "ms-aurora"}, "/text"),
        ({**BODY, "contact": {"email": "x"}}, "/contact/email"),
        ({**BODY, "text": "x" * 20_001}, "/text"),
    ],
)
async def test_a_wrong_field_is_named_by_its_place_and_its_value_is_not_repeated(
    phone, body, pointer
):
    answer = await phone.post(PATH, json=body, headers={"Idempotency-Key": "k"})
    is_problem(answer, 422, Reason.SCHEMA_INVALID)
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert set(answer.json()["errors"][0]) == {"pointer", "rule", "detail"}
    assert "xxx" not in answer.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**BODY, "channel": "telepathy-4711"}, "'app'"),
        ({**BODY, "text": "x" * 20_001}, "at most 20000 characters"),
        ({**BODY, "contact": {"email": "4711"}}, "such as kim@example.org"),
        ({**BODY, "occurred_at": "the day 4711"}, "a valid datetime"),
        ({**BODY, "4711": "x"}, "no field of this name"),
        ({**BODY, "text": "\u200b"}, "nothing of it is seen"),
        ({"site": "ms-aurora"}, "It is needed"),
        ({**BODY, "language": 4711}, "a valid string"),
    ],
)
async def test_a_refusal_says_what_is_taken_and_never_what_was_sent(phone, body, said):
    answer = await phone.post(PATH, json=body, headers={"Idempotency-Key": "k"})
    (error,) = answer.json()["errors"]
    assert said in error["detail"], error
    assert "4711" not in error["detail"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_over_the_bound_is_refused(phone, streamed):
    async def pieces():
        for _ in range(5):
            yield b"x" * (BODY_BYTES_MAX // 4)

    content = pieces() if streamed else b"x" * (BODY_BYTES_MAX + 1)
    answer = await phone.post(PATH, content=content, headers={"Idempotency-Key": "k"})
    is_problem(answer, 413, Reason.TOO_LARGE)


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nowhere", 404, Reason.UNKNOWN_ROUTE),
        ("DELETE", PATH, 405, Reason.METHOD_NOT_ALLOWED),
        ("GET", f"{PATH}/%20", 422, Reason.SCHEMA_INVALID),
    ],
)
async def test_what_is_not_there_is_a_problem_too(phone, method, path, status, reason):
    is_problem(await phone.request(method, path), status, reason)


async def test_a_store_that_lost_its_state_answers_503_and_when_to_come_back(aboard: Aboard, phone):
    """Never "allowed" because a key is missing."""
    assert (await phone.get("/ready")).json()["store"] is True
    aboard.stores["complaints"].lose()
    answer = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    is_problem(answer, 503, Reason.STORE_STALE)
    assert int(answer.headers["retry-after"]) >= 1
    assert (await phone.get("/ready")).status_code == 503
    aboard.stores["complaints"].kept.marker = "first"
    ready = await phone.get("/ready")
    assert (ready.status_code, ready.json()["store"]) == (503, False)
    assert (await phone.get("/live")).text == "live"


async def test_a_wait_of_a_part_of_a_second_is_a_whole_one_over_http(aboard: Aboard, phone):
    async def away(_: object) -> None:
        raise Unavailable(Reason.STORE_UNAVAILABLE, retry_after_s=0.1)

    aboard.stores["complaints"].commit = away
    answer = await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    is_problem(answer, 503, Reason.STORE_UNAVAILABLE)
    assert answer.headers["retry-after"] == "1"


async def test_a_defect_of_ours_is_a_problem_without_words(aboard: Aboard, phone, monkeypatch):
    def fail(_keys: object) -> NoReturn:
        raise ZeroDivisionError("canary")

    monkeypatch.setattr(aboard.stores["complaints"], "read", fail)
    answer = await phone.get(f"{PATH}/co-1")
    is_problem(answer, 500, Reason.HANDLER_FAILED)
    assert "canary" not in answer.text


async def test_a_document_of_another_build_is_a_problem_without_words(aboard: Aboard, phone):
    store = aboard.stores["complaints"]
    store.kept.documents["complaint:co-1"] = Versioned(1, b"canary")
    answer = await phone.get(f"{PATH}/co-1")
    is_problem(answer, 503, Reason.STORE_UNREADABLE)
    assert "canary" not in answer.text
    assert (await phone.get("/ready")).json()["schema"] is False


class Counted:
    """How much the metrics of one service grew."""

    def __init__(self) -> None:
        self._before: dict[str, float] = {}

    def since(self) -> dict[tuple[str, str], float]:
        """Requests and timed requests since the last call, by (metric and status, route)."""
        text = prometheus_client.generate_latest().decode()
        now = {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(("requests_total{", "request_seconds_count{"))
            and 'service="complaints"' in line
        }
        grown = {name: n - self._before.get(name, 0) for name, n in now.items()}
        self._before = now
        return {
            (
                (re.findall(r'status="(\d+)"', name) or ["timed"])[0],
                re.findall(r'route="([^"]*)"', name)[0],
            ): n
            for name, n in grown.items()
            if n
        }


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "route"),
    [
        ("POST", PATH, {"json": BODY}, "201", PATH),
        ("POST", PATH, {"json": {"site": "ms-aurora"}}, "422", PATH),
        ("POST", PATH, {"json": BODY, "headers": {"Idempotency-Key": ""}}, "400", PATH),
        ("POST", PATH, {"json": BODY, "headers": {"Authorization": "Bearer x"}}, "401", PATH),
        ("POST", PATH, {"content": b"x" * (BODY_BYTES_MAX + 1)}, "413", "none"),
        ("GET", f"{PATH}/co-1", {}, "503", f"{PATH}/{{complaint_id}}"),
        ("GET", f"{PATH}/co-2", {}, "404", f"{PATH}/{{complaint_id}}"),
        ("DELETE", PATH, {}, "405", PATH),
        ("GET", "/nowhere/kari", {}, "404", "none"),
    ],
)
async def test_every_answer_is_counted_and_timed_once_by_the_route_as_it_is_written(
    aboard: Aboard, phone, method, path, sent, status, route
):
    aboard.stores["complaints"].kept.documents["complaint:co-1"] = Versioned(1, b"canary")
    counted = Counted()
    counted.since()
    headers = {"Idempotency-Key": "k", **sent.get("headers", {})}
    answer = await phone.request(method, path, **{**sent, "headers": headers})
    assert answer.status_code == int(status)
    assert counted.since() == {(status, route): 1, ("timed", route): 1}


async def test_a_store_that_is_away_is_counted_by_the_route_that_needed_it(aboard: Aboard, phone):
    counted = Counted()
    counted.since()
    aboard.stores["complaints"].lose()
    await phone.post(PATH, json=BODY, headers={"Idempotency-Key": "k"})
    await phone.get("/ready")
    assert counted.since() == {("503", PATH): 1, ("timed", PATH): 1}


def test_of_each_answer_to_a_write_what_it_is_made_from_is_kept(aboard: Aboard):
    listed = [
        (app.parts.domain.shown, model)
        for app in aboard.apps.values()
        for route in app.api.routes
        if isinstance(route, Route) and route.writes
        for model in chain.from_iterable(route.answers.values())
        if issubclass(model, Answer) and model.OF is not None
    ]
    assert len(listed) > 6
    for shown, model in listed:
        assert shown[model.OF] >= model.made_from(), model


def test_an_answer_that_needs_what_its_fact_does_not_have_is_refused_at_start():
    class Wrong(Answer):
        OF: ClassVar = ComplaintRepeated
        ANEW: ClassVar = {"title": ("item",)}
        complaint_id: str
        title: str

    with pytest.raises(ValueError, match="Wrong needs"):
        shown_by(KnownComplaint, Wrong)


async def test_a_fact_that_nobody_named_an_answer_is_shown_to_nobody(aboard: Aboard):
    fact = ComplaintRepeated(complaint_id="co-1")
    ask = Ask(
        Principal("e-ingrid", Kind.EMPLOYEE, "ms-aurora"),
        aboard.apps["complaints"].parts.face.view(),
    )
    assert await as_recorded({ComplaintRepeated: ComplaintRepeated}, fact, ask) is fact
    shown = await as_recorded({ComplaintRepeated: KnownComplaint}, fact, ask)
    assert shown == KnownComplaint(complaint_id="co-1")
    with pytest.raises(AssertionError, match="is no answer"):
        await as_recorded({}, fact, ask)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (PATH, "GET, HEAD, POST"),
        (f"{PATH}/co-1", "GET, HEAD"),
        (f"{PATH}/find", "GET, HEAD, POST"),
    ],
)
async def test_a_method_that_an_address_does_not_take_is_told_all_that_it_takes(
    phone, path, allowed
):
    """Whichever route each of them is."""
    answer = await phone.request("DELETE", path)
    is_problem(answer, 405, Reason.METHOD_NOT_ALLOWED)
    assert answer.headers["allow"] == allowed
