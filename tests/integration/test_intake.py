"""What is wrong is refused with a reason, by Kafka and by HTTP, and nothing behind it waits.

INV-07 with it: every bad record and every good one carries a canary in each field a person wrote or
can be reached at, and in everything that a publisher or caller may call something: ids, correlation
ids, source, headers, keys. The canary is looked for everywhere it must not be.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import OctKey, OKPKey
from redis import Redis

from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintClaimed, ComplaintReceived
from shared.contracts.intake import ComplaintRaised
from shared.ops import token
from tests.system import auditor
from tests.system.world import (
    EMPLOYEES,
    SITE,
    Read,
    World,
    complaint,
    complaint_id,
    until,
    world,
)

OWNERS = ("complaints", "compensation", "notifier")
CANARY = "Zqvxcanary"
#: Digits alone may be in a telephone number, so its canary is a number nobody has.
PHONE = "+47 90417263 5501"
EMAIL = f"{CANARY}@guests.example"
WORDS = f"The soup was cold, said {CANARY}."
CONTACT = {"name": f"{CANARY} Guest", "email": EMAIL, "phone": PHONE}
NOW = datetime.now(UTC)
MEGABYTE = 1024 * 1024


#: A publisher that calls everything by somebody's address.
SOURCE = f"/crm/{CANARY}"
NAMES = {"source": SOURCE, "correlationid": EMAIL, "subject": EMAIL, "traceparent": EMAIL}
HEADERS = ((CANARY, EMAIL.encode()), ("traceparent", EMAIL.encode()))
GOOD = f"good-{{}}-{EMAIL}"


def raised(name: str, **data: object) -> bytes:
    """A complaint full of canaries."""
    words = {"text": WORDS, "contact": CONTACT, "customer": f"{CANARY}-customer", **data}
    event = json.loads(complaint(f"bad-{name}-{EMAIL}", at=NOW, raised_by=EMAIL, **words))
    return json.dumps(event | NAMES).encode()


def changed(name: str, **attributes: object) -> bytes:
    """A complaint with other attributes of its event; None leaves one out."""
    event = {**json.loads(raised(name)), **attributes}
    return json.dumps({key: value for key, value in event.items() if value is not None}).encode()


INTAKE = {
    "malformed_bytes": (raised("malformed_bytes")[:-2], "malformed_bytes", ""),
    "no_bytes_of_json": (f"help, says {CANARY}".encode(), "malformed_bytes", ""),
    "a_list": (b"[" + raised("a_list") + b"]", "schema_invalid", ""),
    "invalid_utf8": (raised("invalid_utf8").replace(b"soup", b"so\xff\xfep"), "invalid_utf8", ""),
    "unknown_type": (changed("unknown_type", type="recovery.poem.v1"), "unknown_type", "type"),
    "missing_id": (changed("missing_id", id=None), "missing_id", "id"),
    "missing_source": (changed("missing_source", source=None), "schema_invalid", "/source"),
    "control_character": (changed("control", id=f"{EMAIL}\u001f1"), "schema_invalid", "/id"),
    "text_of_5_megabytes": (raised("long", text=WORDS * 5 * 30_000), "too_large", ""),
    # The largest record the topic takes; its dead letter is sealed and printable, and so longer.
    "text_of_8_megabytes": (raised("longest", text="x" * (8 * MEGABYTE - 2000)), "too_large", ""),
    "text_over_its_bound": (raised("bound", text="x" * 20_001), "schema_invalid", "/data/text"),
    "time_in_year_9999": (
        changed("time", time="9999-12-31T23:59:59-12:00"),
        "time_out_of_range",
        "/time",
    ),
    "occurred_in_year_9999": (
        raised("occurred", occurred_at="9999-12-31T23:59:59Z"),
        "time_out_of_range",
        "/data/occurred_at",
    ),
    "occurred_in_no_zone": (
        raised("no_zone", occurred_at="2026-06-01T12:00:00"),
        "schema_invalid",
        "/data/occurred_at",
    ),
    "unknown_site": (raised("site", site="ms-nowhere"), "unknown_site", "/data/site"),
    "not_a_number": (
        raised("nan").replace(b'"text"', b'"amount": NaN, "text"'),
        "malformed_bytes",
        "",
    ),
}
#: What the fact of a check may not say: field → value as JSON.
AMOUNTS = {
    "negative_amount": ('"value_minor": 25000', '"value_minor": -25000', "schema_invalid"),
    "float_amount": ('"value_minor": 25000', '"value_minor": 25000.5', "schema_invalid"),
    "float_that_is_whole": ('"value_minor": 25000', '"value_minor": 25000.0', "schema_invalid"),
    "amount_not_a_number": ('"value_minor": 25000', '"value_minor": NaN', "malformed_bytes"),
    "amount_too_large": ('"value_minor": 25000', '"value_minor": 1e300', "schema_invalid"),
    "unknown_currency": ('"currency": "NOK"', '"currency": "kroner"', "schema_invalid"),
}


def issued(name: str, before: str, after: str) -> bytes:
    """A check that compensation would never say it issued."""
    data = {
        "check_id": f"ck-{name}",
        "complaint_id": complaint_id(GOOD.format(0), SOURCE),
        "customer_ref": "c-somebody",
        "employee_id": EMPLOYEES[0],
        "site": SITE,
        "item": "cinema",
        "policy_version": 1,
        "kind": "experience",
        "language": "en",
        "value_minor": 25000,
        "cost_minor": 9000,
        "currency": "NOK",
        "code": "v1.aaaa",
        "code_hash": "0" * 64,
        "valid_until": "2026-12-01T00:00:00Z",
        "issued_at": "2026-11-24T00:00:00Z",
        "debits": {},
        "left": {},
    }
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "/tests/a-stranger",
        "type": CheckIssued.TYPE,
        "data": data,
    }
    return json.dumps(event).replace(before, after).encode()


@dataclass
class Seen:
    """The system after everything bad was published, each bad record with a good one behind it."""

    world: World
    reads: list[Read]
    places: dict[str, str]
    dead: dict[str, dict[str, dict[str, str]]]
    received: set[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Iterator[Seen]:
    with world(tmp_path_factory.mktemp("intake")) as everything:
        services = [everything.start(owner) for owner in OWNERS]
        for service in services:
            service.wait_ready()
        for number, (value, _, _) in enumerate(INTAKE.values()):
            good = raised(f"behind-{number}").replace(b'"bad-behind', b'"good')
            everything.publish(
                [value, good], headers=HEADERS, partition=number % 4, key=EMAIL.encode()
            )
        for number, (name, (before, after, _)) in enumerate(AMOUNTS.items()):
            bad = issued(name, before, after)
            everything.publish([bad], CheckIssued.TOPIC, partition=number % 4)
        everything.settle_down(*OWNERS)
        reads = everything.read()
        places: dict[str, str] = {}
        for read in reads:
            place = f"{read.topic}/{read.partition}/{read.offset}"
            for name, (value, _, _) in INTAKE.items():
                if read.value == value:
                    places[name] = place
            for name in AMOUNTS:
                if f'"ck-{name}"'.encode() in read.value and read.topic == CheckIssued.TOPIC:
                    places[name] = place
        dead = {owner: auditor.dead_letters(reads, owner) for owner in OWNERS}
        found = auditor.of(auditor.facts(reads), ComplaintReceived.TYPE)
        yield Seen(everything, reads, places, dead, {one["complaint_id"] for one in found})


# ---- by Kafka -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INTAKE)
def test_a_bad_record_is_a_dead_letter_with_its_reason_and_the_next_one_is_received(
    seen: Seen, name: str
):
    place = seen.places[name]
    topic, partition, offset = place.split("/")
    _, reason, where = INTAKE[name]
    assert seen.dead["complaints"][place] == {
        "reason": reason,
        "where": where,
        "origin-topic": topic,
        "origin-partition": partition,
        "origin-offset": offset,
        "burial": "1",
    }
    assert complaint_id(GOOD.format(list(INTAKE).index(name)), SOURCE) in seen.received


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("owner", ["complaints", "notifier"])
def test_a_fact_with_an_impossible_amount_is_a_dead_letter_of_everybody_who_reads_it(
    seen: Seen, name: str, owner: str
):
    letter = seen.dead[owner][seen.places[name]]
    assert letter["reason"] == AMOUNTS[name][2]
    assert letter["origin-topic"] == CheckIssued.TOPIC


def test_nothing_else_is_a_dead_letter_and_nothing_is_lost(seen: Seen):
    assert auditor.not_settled_once(seen.reads) == []
    assert len(seen.dead["complaints"]) == len(INTAKE) + len(AMOUNTS)
    assert len(seen.dead["notifier"]) == len(AMOUNTS)
    assert not seen.dead["compensation"]
    assert len(seen.received) == len(INTAKE)


# ---- by HTTP ------------------------------------------------------------------------------------


def body(**fields: object) -> bytes:
    return json.dumps({"site": SITE, "text": WORDS, "contact": CONTACT, **fields}).encode()


def wish(**fields: object) -> bytes:
    return json.dumps(
        {
            "complaint_id": complaint_id(GOOD.format(0), SOURCE),
            "item": "cinema",
            "reason": "food",
            **fields,
        }
    ).encode()


def is_problem(answer: httpx.Response, status: int, reason: str) -> bool:
    found = answer.json()
    return (
        answer.headers["content-type"] == "application/problem+json"
        and (answer.status_code, found["status"], found["type"]) == (status, status, reason)
        and CANARY not in answer.text
    )


TELL, GIVE = ("complaints", "/v1/complaints"), ("compensation", "/v1/checks")
REQUESTS = {
    "malformed_bytes": (TELL, body()[:-1], 400, "malformed_bytes"),
    "invalid_utf8": (TELL, body().replace(b"soup", b"so\xff\xfep"), 422, "invalid_utf8"),
    "text_of_5_megabytes": (TELL, body(text=WORDS * 5 * 30_000), 413, "too_large"),
    "text_over_its_bound": (TELL, body(text="x" * 20_001), 422, "schema_invalid"),
    "year_9999": (TELL, body(occurred_at="9999-12-31T23:59:59-12:00"), 422, "time_out_of_range"),
    "unknown_field": (TELL, body(status="confirmed"), 422, "schema_invalid"),
    "not_a_number": (TELL, body(text=float("nan")), 422, "schema_invalid"),
    "other_site": (TELL, body(site="ms-nowhere"), 404, "unknown_site"),
    "negative_amount": (GIVE, wish(item="taxfree-card/-20000"), 422, "amount_not_offered"),
    "float_amount": (GIVE, wish(item="taxfree-card/200.5"), 422, "amount_not_offered"),
    "amount_not_a_number": (GIVE, wish(item=float("nan")), 422, "schema_invalid"),
    "amount_of_ones_own": (GIVE, wish(value_minor=-1), 422, "schema_invalid"),
    "unknown_currency": (GIVE, wish(currency="EUR"), 422, "currency_unknown"),
    "no_currency": (GIVE, wish(currency="kroner"), 422, "schema_invalid"),
    "unknown_complaint": (GIVE, wish(complaint_id="co-nobody"), 404, "unknown_complaint"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_bad_request_is_a_problem_with_its_reason_and_the_next_one_is_answered(
    seen: Seen, name: str
):
    (owner, path), content, status, reason = REQUESTS[name]
    headers = {"Idempotency-Key": f"bad-{name}", "Content-Type": "application/json"}
    with seen.world.phone(owner) as phone:
        answer = phone.post(path, content=content, headers=headers)
        assert is_problem(answer, status, reason), answer.text
        # The same key is free still: what was refused like this was never begun.
        good = body() if owner == "complaints" else wish(item="sincere-words")
        assert phone.post(path, content=good, headers=headers).status_code == 201


def test_a_long_body_of_unknown_length_is_refused_as_well(seen: Seen):
    with seen.world.phone("complaints") as phone:
        answer = phone.post(
            "/v1/complaints",
            content=(body(text=WORDS * 5 * 30_000) for _ in range(1)),
            headers={"Idempotency-Key": "unknown-length", "Content-Type": "application/json"},
        )
        assert is_problem(answer, 413, "too_large"), answer.text


def test_an_employee_nobody_knows_may_give_nothing(seen: Seen):
    with seen.world.phone("compensation", "e-nobody") as phone:
        headers = {"Idempotency-Key": "nobody", "Content-Type": "application/json"}
        answer = phone.post("/v1/checks", content=wish(), headers=headers)
        assert is_problem(answer, 403, "unknown_employee"), answer.text


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def tokens(world: World) -> dict[str, str]:
    """Tokens that must not be taken, each wrong in one way only."""
    now = datetime.now(UTC)
    who = {"subject": EMPLOYEES[0], "kind": "employee", "site": SITE}
    good = token.sign(world.key, **who, now=now)
    claims = jwt.decode(good, world.key, algorithms=[token.ALGORITHM]).claims
    public = json.dumps(world.key.as_dict(private=False)).encode()
    # Deeper than any parser of JSON in Python follows.
    nested = json.dumps(claims)[:-1] + ', "x": ' + "[" * 1400 + "]" * 1400 + "}"
    return {
        "alg_none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        "alg_none_with_a_signature": f"{part({'alg': 'None'})}.{part(claims)}.{good.split('.')[2]}",
        "signed_with_the_public_key": jwt.encode(
            {"alg": "HS256", "kid": world.key.kid}, claims, OctKey.import_key(public)
        ),
        "another_key": token.sign(OKPKey.generate_key("Ed25519", auto_kid=True), **who, now=now),
        "wrong_audience": token.sign(world.key, **who, audience="another-service", now=now),
        "wrong_issuer": token.sign(world.key, **who, issuer="another-issuer", now=now),
        "expired": token.sign(world.key, **who, ttl_s=60, now=now - timedelta(seconds=91)),
        "other_claims": ".".join(
            (good.split(".")[0], part({**claims, "sub": EMPLOYEES[1]}), good.split(".")[2])
        ),
        "nested_deeply": jws.serialize_compact(
            {"alg": token.ALGORITHM, "kid": world.key.kid},
            nested,
            world.key,
            algorithms=[token.ALGORITHM],
        ),
        "no_token": "x",
    }


@pytest.mark.parametrize(
    "name",
    [
        "alg_none",
        "alg_none_with_a_signature",
        "signed_with_the_public_key",
        "another_key",
        "wrong_audience",
        "wrong_issuer",
        "expired",
        "other_claims",
        "nested_deeply",
        "no_token",
    ],
)
def test_a_token_that_is_wrong_in_one_way_opens_nothing(seen: Seen, name: str):
    headers = {
        "Authorization": f"Bearer {tokens(seen.world)[name]}",
        "Idempotency-Key": f"token-{name}",
        "Content-Type": "application/json",
    }
    for (owner, path), content in ((TELL, body()), (GIVE, wish())):
        answer = httpx.post(f"{seen.world.url(owner)}{path}", content=content, headers=headers)
        assert is_problem(answer, 401, "unauthenticated"), answer.text
        assert answer.headers["www-authenticate"] == "Bearer"


# ---- people's words -----------------------------------------------------------------------------


def everything_redis_holds(client: Redis) -> Iterator[tuple[str, bytes]]:
    for name in client.scan_iter(match="*", count=5000):
        match client.type(name):
            case b"string":
                held = [client.get(name) or b""]
            case b"list":
                held = client.lrange(name, 0, -1)
            case b"zset":
                held = client.zrange(name, 0, -1)
            case other:
                raise AssertionError(f"{name!r} is a {other!r}; look into it too")
        yield name.decode(), b"\n".join([name, *held])


def test_what_a_person_wrote_is_nowhere_but_in_the_intake_and_in_the_letter(seen: Seen, tmp_path):
    """INV-07."""
    told = {
        "Idempotency-Key": f"canary-{EMAIL}",
        "traceparent": EMAIL,
        "X-Request-Id": EMAIL,
        "Content-Type": "application/json",
    }
    with seen.world.phone("complaints") as phone:
        answer = phone.post("/v1/complaints", content=body(), headers=told)
        assert answer.status_code == 201
        shown = phone.get(f"/v1/complaints/{answer.json()['complaint_id']}").json()
        assert shown["text"] == WORDS, "its employees can read it"
        place = {
            "complaint_id": answer.json()["complaint_id"],
            "item": "cinema",
            "reason": "food",
        }
    with seen.world.phone("compensation") as phone:
        until(
            lambda: phone.post("/v1/checks", json=place, headers=told).status_code == 201,
            "the complaint to come to compensation",
        )
    seen.world.settle_down(*OWNERS)
    reads = seen.world.read()
    claimed = auditor.of(auditor.facts(reads), ComplaintClaimed.TYPE)
    assert place["complaint_id"] in {one["complaint_id"] for one in claimed}
    letters = seen.world.mailbox.to(EMAIL)
    assert any(CANARY in letter.body for letter in letters), "the customer is greeted by name"

    canaries = (CANARY.encode(), PHONE.encode(), PHONE.replace(" ", "").encode())
    found: list[str] = []
    for read in reads:
        if read.topic != ComplaintRaised.TOPIC:
            parts = [read.key or b"", read.value]
            parts += [one for name, value in read.headers for one in (name.encode(), value)]
            if any(canary in one for canary in canaries for one in parts):
                found.append(f"{read.topic}/{read.partition}/{read.offset}")
    with closing(Redis.from_url(seen.world.stack.redis_url)) as client:
        for name, held in everything_redis_holds(client):
            if any(canary in held for canary in canaries):
                found.append(name)
    files = [*seen.world.services.directory.iterdir()]
    if seen.world.stack.can_be_killed:
        seen.world.stack.copy_redis(tmp_path / "redis")
        files += (tmp_path / "redis").rglob("*.aof")
        assert any(file.suffix == ".aof" and file.stat().st_size > MEGABYTE for file in files)
    for file in files:
        written = file.read_bytes()
        assert written or file.suffix != ".log"
        if any(canary in written for canary in canaries):
            found.append(str(file))
    for service in seen.world.services.running:
        metrics = httpx.get(f"{service.ops_url}/metrics").content
        assert b"requests_total" in metrics
        if any(canary in metrics for canary in canaries):
            found.append(f"metrics of {service.name}")
    assert found == []
    assert any(canaries[0] in read.value for read in reads), "the canary was never planted"
    assert any(canaries[1] in read.value for read in reads)
