"""What browsers may do at web, and what they never see: sessions and cross-site requests as OWASP ASVS 5 asks.

The issuer and the store are real; behind web is a service that tells what it got.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import redis

from devstack.stack import free_port, redis_binary
from services.web.proxy.rules import PAGES
from services.web.sessions.api import IDLE_HEADER
from services.web.sessions.handlers import RENEWAL_S
from services.web.sessions.issuer import ANSWER
from services.web.sessions.store import TIMEOUT_S
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from tests.suites.web import SESSION, SIGN_IN, Browser, Web, serving

MINE = "/api/compensation/v1/me"
SECRETS = ("eyJ", "access_token", "refresh")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis-compatible server of our own; no test here needs Kafka."""
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    url = f"redis://127.0.0.1:{port}/0"
    with subprocess.Popen([redis_binary(), *words], stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis.from_url(url) as client:
                deadline = time.monotonic() + 20
                while time.monotonic() < deadline:
                    with suppress(redis.ConnectionError):
                        if client.ping():
                            break
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A build of the front end, as small as one can be."""
    files = {
        "app/index.html": "<!doctype html><title>app</title>",
        "board/index.html": "<!doctype html><title>board</title>",
        "app/sw.js": "self",
        "assets/index-Ab12Cd34.js": "export {}",
    }
    for name, content in files.items():
        path = tmp_path / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "secret.txt").write_text("not to be served")
    return tmp_path / "dist"


@pytest.fixture
async def web(store: str, dist: Path) -> AsyncIterator[Web]:
    with redis.Redis.from_url(store) as client:
        client.flushall()
    async with serving(store, dist) as running:
        yield running


async def signed_in(browser: Browser) -> bool:
    """Whether a browser's session goes on."""
    answer = await browser.get("/session")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def reason(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["type"])


# Signing in


async def test_a_sign_in_leads_to_the_page_that_was_asked_for_and_says_who_it_is(web: Web):
    browser = web.browser()
    came = await browser.get(await web.chosen(browser, after="/board/now?x=1"))
    assert came.headers["location"] == "/board/now?x=1"
    told = (await browser.get("/session")).json()
    assert (told["subject"], told["kind"], told["site"], told["name"]) == (
        "e-ingrid", "employee", "ms-aurora", "Ingrid",
    )  # fmt: skip


async def test_who_uses_the_device_is_asked_before_a_sign_in(web: Web):
    page = await web.browser().get("/sign-in?next=/board/", headers={"Accept-Language": "nb"})
    assert "Hvem bruker denne enheten?" in page.text
    assert "/sign-in?next=%2Fboard%2F&amp;device=shared" in page.text


@pytest.mark.parametrize("device", ["own", "shared"])
async def test_the_issuer_is_told_to_ask_who_it_is_whoever_signed_in_there_before(
    web: Web, device: str
):
    answer = await web.browser().get(f"/sign-in?device={device}")
    assert "prompt=login" in answer.headers["location"]


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/", "//evil.example/app/", "/\\evil.example", "\\\\evil.example",
        "/app/../../evil", "/api/audit/v1/heads", "javascript:alert(1)", "/app//evil.example",
        "/app/\r\nSet-Cookie: a=b", "app/", "/application", "/app/%2e%2e/", "/app/" + "a" * 600,
    ],
)  # fmt: skip
async def test_a_sign_in_leads_nowhere_but_to_our_faces(web: Web, after: str):
    browser = web.browser()
    came = await browser.get(await web.chosen(browser, after=after))
    assert came.headers["location"] == "/app/"


async def test_a_cookie_is_for_this_host_alone_and_no_script_reads_it(web: Web):
    browser = await web.sign_in()
    assert browser.attributes[SESSION] == {
        "path": "/", "secure": True, "httponly": True, "samesite": "lax", "max-age": "43200",
    }  # fmt: skip
    assert browser.attributes[SIGN_IN]["max-age"] == "0"


async def test_on_a_shared_device_the_cookie_ends_with_the_browser(web: Web):
    browser = await web.sign_in(device="shared")
    assert "max-age" not in browser.attributes[SESSION]


async def test_an_id_that_somebody_planted_never_becomes_a_session(web: Web):
    """Session fixation: the id is new at each sign-in, whatever the browser brought."""
    victim = web.browser()
    victim.cookies[SESSION] = "planted"
    await victim.get(await web.chosen(victim))
    assert victim.cookies[SESSION] != "planted"
    attacker = web.browser()
    attacker.cookies[SESSION] = "planted"
    assert not await signed_in(attacker)


async def test_a_second_sign_in_ends_the_session_that_the_browser_had(web: Web):
    browser = await web.sign_in()
    before = web.browser()
    before.cookies = dict(browser.cookies)
    await browser.get(await web.chosen(browser, "e-jonas"))
    assert before.cookies[SESSION] != browser.cookies[SESSION]
    assert not await signed_in(before)
    assert (await browser.get("/session")).json()["subject"] == "e-jonas"


async def test_a_way_back_is_taken_only_from_the_browser_that_began(web: Web):
    """Login cross-site request forgery: nobody is signed in as somebody else by a link."""
    attacker, victim = web.browser(), web.browser()
    path = await web.chosen(attacker)
    assert (await victim.get(path)).status_code == 400
    await web.chosen(victim)
    assert (await victim.get(path)).status_code == 400
    assert not await signed_in(victim)


async def test_a_way_back_is_taken_once(web: Web):
    browser = web.browser()
    path = await web.chosen(browser)
    begun = dict(browser.cookies)
    assert (await browser.get(path)).status_code == 303
    again = web.browser()
    again.cookies = begun
    assert (await again.get(path)).status_code == 400


async def test_a_code_without_the_verifier_it_was_asked_with_is_refused(web: Web):
    """PKCE: a code that was stolen on its way opens nothing."""
    stolen = (await web.chosen(web.browser())).partition("code=")[2].partition("&")[0]
    form = {
        "grant_type": "authorization_code",
        "code": stolen,
        "client_id": "service-check",
        "redirect_uri": f"{web.origin}/sign-in/back",
        "code_verifier": "a" * 64,
    }
    assert web.idp.tokens(form) is None


async def test_the_issuer_leads_back_to_nobody_else(web: Web):
    browser = web.browser()
    begun = await browser.get("/sign-in?device=own")
    elsewhere = begun.headers["location"].replace(
        "redirect_uri=http%3A%2F%2F127.0.0.1", "redirect_uri=http%3A%2F%2Fevil.example"
    )
    async with httpx.AsyncClient() as outside:
        assert (await outside.get(elsewhere + "&who=e-ingrid")).status_code == 400


async def test_a_refused_sign_in_says_so_in_the_reader_s_language(web: Web):
    page = await web.browser().get(
        "/sign-in/back?code=x&state=y", headers={"Accept-Language": "sv"}
    )
    assert page.status_code == 400
    assert "Inloggningen fungerade inte" in page.text


@pytest.mark.parametrize(("language", "again"), [("da", "Prøv igen"), ("en", "Try again")])
async def test_while_the_issuer_is_away_the_way_back_says_so_and_leads_to_another_sign_in(
    web: Web, monkeypatch: pytest.MonkeyPatch, language: str, again: str
):
    browser = web.browser()
    path = await web.chosen(browser, after="/board/")

    async def away(*_: object) -> None:
        raise Unavailable(Reason.ISSUER_UNAVAILABLE)

    monkeypatch.setattr("services.web.sessions.issuer.Issuer._answer", away)
    page = await browser.get(path, headers={"Accept-Language": language})
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert again in page.text
    assert page.headers["retry-after"]
    assert SIGN_IN not in browser.cookies, "a code is good once"
    monkeypatch.undo()
    assert (await browser.get(path)).status_code == 400


@pytest.mark.parametrize("path", ["/sign-in?device=own", "/sign-in/back?code=x&state=y"])
async def test_a_sign_in_without_the_store_says_so_on_a_page(dist: Path, path: str):
    async with serving(f"redis://127.0.0.1:{free_port()}/0", dist) as web:
        browser = web.browser()
        browser.cookies[SIGN_IN] = "a-sign-in"
        page = await browser.get(path, headers={"Accept-Language": "nb"})
        assert page.status_code == 503
        assert "Prøv igjen" in page.text


async def test_a_flood_of_sign_ins_does_not_fill_the_store(
    web: Web, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.web.sessions.store.SIGN_INS_PER_MINUTE_MAX", 2)
    answers = [await web.browser().get("/sign-in?device=own") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 503]
    assert answers[-1].headers["retry-after"] == "60"


# How a session ends


async def test_a_session_ends_after_twelve_hours_however_much_it_is_used(web: Web):
    browser = await web.sign_in()
    for _ in range(11):
        web.clock.advance(timedelta(hours=1))
        assert await signed_in(browser)
    web.clock.advance(timedelta(hours=1))
    assert not await signed_in(browser)


async def test_on_a_shared_device_a_session_is_kept_for_fifteen_minutes_from_its_last_use(
    web: Web, store: str
):
    browser = await web.sign_in(device="shared")
    with redis.Redis.from_url(store) as client:
        (key,) = [key for key in client.keys("web:*session:*") if client.ttl(key) <= 900]
        client.expire(key, 60)
        assert await signed_in(browser)
        assert 890 <= client.ttl(key) <= 900
        client.pexpire(key, 1)
        deadline = time.monotonic() + 5
        while client.exists(key) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    assert reason(await browser.get(MINE), 401) == "not_signed_in"


@pytest.mark.parametrize("path", ["/session", "/session/key", MINE, "/api/audit/v1/live"])
async def test_a_request_that_a_page_makes_by_itself_keeps_no_session_longer(
    web: Web, store: str, path: str
):
    browser = await web.sign_in(device="shared")
    with redis.Redis.from_url(store) as client:
        (key,) = [key for key in client.keys("web:*session:*") if client.ttl(key) <= 900]

        async def kept_s(idle_s: str) -> int:
            headers = {IDLE_HEADER: idle_s}
            async with browser.client.stream(
                "GET",
                path,
                headers={**headers, "Cookie": f"{SESSION}={browser.cookies[SESSION]}"},
            ) as answer:
                assert answer.status_code == 200
            return int(client.ttl(key))

        client.expire(key, 60)
        assert await kept_s("840") <= 60
        assert await kept_s("900") <= 60
        assert await kept_s("999999999999999999999") <= 60
        assert 290 <= await kept_s("600") <= 300
        assert 290 <= await kept_s("700") <= 300, "another page of it was used later"
        assert 890 <= await kept_s("-1") <= 900


async def test_a_sign_out_ends_the_session_and_clears_what_the_browser_kept(web: Web):
    browser = await web.sign_in()
    kept = dict(browser.cookies)
    answer = await browser.post("/sign-out")
    assert answer.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert answer.json()["next"].startswith(web.settings.issuer_url + "/sign-out?")
    assert SESSION not in browser.cookies
    browser.cookies = kept
    assert not await signed_in(browser)


async def test_a_sign_out_everywhere_ends_the_sessions_at_other_devices_and_nobody_else_s(web: Web):
    here, there, other = [await web.sign_in(who) for who in ("e-ingrid", "e-ingrid", "e-jonas")]
    await here.post("/sign-out")
    assert await signed_in(there)
    here = await web.sign_in("e-ingrid")
    await here.post("/sign-out?everywhere=1")
    assert not await signed_in(there)
    assert await signed_in(other)


async def test_a_session_that_ends_elsewhere_ends_the_stream_that_it_opened(
    web: Web, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.web.proxy.handlers.SESSION_LOOK_S", 0.0)
    browser = await web.sign_in()
    other = web.browser()
    other.cookies = dict(browser.cookies)
    headers = {"Cookie": f"{SESSION}={browser.cookies[SESSION]}", "Sec-Fetch-Site": "same-origin"}
    async with web.client.stream("GET", "/api/complaints/v1/live", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        parts = stream.aiter_bytes()
        assert await anext(parts) == b": here\n\n"
        web.told.saying.set()
        assert await anext(parts) == b": here\n\n"
        await other.post("/sign-out")
        web.told.saying.set()
        assert [part async for part in parts] == []


async def test_no_more_than_twenty_sessions_are_one_person_s(web: Web):
    first = await web.sign_in("e-jonas")
    assert await signed_in(first)
    for _ in range(20):
        web.clock.advance(timedelta(seconds=1))
        await web.sign_in("e-jonas")
    assert not await signed_in(first)


# The key of drafts


async def key_of(browser: Browser) -> dict[str, str]:
    answer = await browser.get("/session/key")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    key: dict[str, str] = answer.json()["key"]
    return key


async def test_the_key_of_drafts_is_the_employee_s_at_every_device_and_sign_in(web: Web):
    here, there, other = [await web.sign_in(who) for who in ("e-ingrid", "e-ingrid", "e-jonas")]
    key = await key_of(here)
    assert key.keys() == {"kty", "crv", "x", "y", "d"}
    assert await key_of(there) == key
    assert await key_of(other) != key
    await here.post("/sign-out?everywhere=1")
    assert await key_of(await web.sign_in("e-ingrid")) == key


async def test_the_key_of_drafts_is_for_a_session_and_for_a_page_of_ours(web: Web):
    browser = await web.sign_in()
    kept = dict(browser.cookies)
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert reason(await browser.get("/session/key", headers=headers), 403) == "cross_site"
    await browser.post("/sign-out")
    for cookies in (kept, {}):
        browser.cookies = dict(cookies)
        assert reason(await browser.get("/session/key"), 401) == "not_signed_in"


async def test_the_key_of_drafts_ends_long_after_the_drafts(web: Web, store: str):
    browser = await web.sign_in()
    await key_of(browser)
    with redis.Redis.from_url(store) as client:
        (place,) = client.keys("web:*drafts:*")
        client.expire(place, 60)
        await key_of(browser)
        assert 71 * 3600 < client.ttl(place) <= 72 * 3600


async def test_two_devices_that_ask_first_at_once_get_one_key(web: Web):
    browsers = [await web.sign_in() for _ in range(5)]
    keys = await asyncio.gather(*(key_of(one) for one in browsers))
    assert all(key == keys[0] for key in keys)


# Tokens


async def test_a_token_is_renewed_before_it_ends_and_the_session_ends_no_later(web: Web):
    browser = await web.sign_in()
    ends_at = (await browser.get("/session")).json()["ends_at"]
    first = (await browser.get(MINE)).json()["headers"]["authorization"]
    web.clock.advance(timedelta(minutes=14, seconds=30))
    second = (await browser.get(MINE)).json()["headers"]["authorization"]
    assert first != second
    assert (await browser.get("/session")).json()["ends_at"] == ends_at


async def test_requests_at_once_renew_a_token_once(web: Web):
    """The issuer takes a refresh token once: a second use would end the session."""
    browser = await web.sign_in()
    web.clock.advance(timedelta(minutes=20))
    answers = await asyncio.gather(*(browser.get(MINE) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["headers"]["authorization"] for answer in answers}) == 1


def test_no_second_renewal_begins_while_the_first_may_still_be_answered():
    """The issuer is asked for its description and for tokens, and the store before and after."""
    assert ANSWER.total is not None
    assert 2 * ANSWER.total + 2 * TIMEOUT_S < RENEWAL_S


async def test_a_session_ends_when_the_issuer_renews_nothing(web: Web):
    browser = await web.sign_in()
    web.idp.gone.add("e-ingrid")
    web.clock.advance(timedelta(minutes=20))
    assert reason(await browser.get(MINE), 401) == "not_signed_in"
    web.idp.gone.clear()
    assert not await signed_in(browser)


async def test_a_token_never_reaches_a_browser(web: Web):
    browser = await web.sign_in()
    web.told.headers = {"Set-Cookie": "theirs=1", "WWW-Authenticate": "Bearer", "Server": "x"}
    answers = [
        await browser.get("/session"),
        await browser.post("/sign-out"),
        await browser.get("/app/"),
    ]
    for answer in answers:
        everything = answer.text + str(answer.headers)
        assert not [secret for secret in SECRETS if secret in everything]
    browser = await web.sign_in()
    assert not [value for value in browser.cookies.values() if value.startswith("eyJ")]
    passed = await browser.get(MINE)
    assert not {"set-cookie", "www-authenticate", "server"} & {*passed.headers}


async def test_a_copy_of_the_store_opens_no_session(web: Web, store: str):
    browser = await web.sign_in()
    with redis.Redis.from_url(store, decode_responses=False) as client:
        for key in client.keys("web:*"):
            assert browser.cookies[SESSION].encode() not in key
            assert b"ingrid" not in key
            if client.type(key) == b"string":
                value = client.get(key)
                assert isinstance(value, bytes)
                assert not [word for word in (b"eyJ", b"ingrid", b"refresh") if word in value]


# What is passed on


async def test_a_service_gets_the_token_and_never_a_cookie(web: Web):
    browser = await web.sign_in()
    answer = await browser.post(
        "/api/compensation/v1/complaints/c-1/checks?after=a%20b",
        headers={
            "Idempotency-Key": "k-1",
            "Content-Type": "application/json",
            "Authorization": "Bearer mine",
            "X-Forwarded-For": "1.2.3.4",
            "X-Real-IP": "1.2.3.4",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
        },
        content='{"a": 1}',
    )
    told = answer.json()
    assert (told["method"], told["path"]) == ("POST", "/v1/complaints/c-1/checks")
    assert (told["query"], told["body"]) == ("after=a%20b", '{"a": 1}')
    headers = told["headers"]
    assert headers["authorization"].startswith("Bearer eyJ")
    assert headers["idempotency-key"] == "k-1"
    assert headers["x-real-ip"] == "127.0.0.1"
    assert not {"cookie", "x-forwarded-for", "x-hop", "origin"} & {*headers}


async def test_of_a_list_of_addresses_the_last_is_the_client_s(store: str, dist: Path):
    """A client may write others before it, and proxies add a line of their own."""
    async with serving(store, dist, client_address_header="X-Forwarded-For") as web:
        written = [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8, 192.0.2.7")]
        answer = await web.client.get("/c/ms-aurora/cabin", headers=written)
        assert answer.json()["headers"]["x-real-ip"] == "192.0.2.7"


async def test_without_a_session_nothing_is_passed_on(web: Web):
    assert reason(await web.browser().get(MINE), 401) == "not_signed_in"
    assert web.told.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "", "Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "OURS"},
    ],
)
async def test_a_write_from_a_page_of_another_site_is_refused(web: Web, headers: dict[str, str]):
    browser = await web.sign_in()
    sent = {name: value.replace("OURS", web.origin) for name, value in headers.items()}
    for path in (MINE, "/sign-out"):
        assert reason(await browser.post(path, headers=sent), 403) == "cross_site"
    assert web.told.requests == []
    assert await signed_in(browser)


async def test_a_write_of_a_browser_without_fetch_metadata_is_taken_by_its_origin(web: Web):
    browser = await web.sign_in()
    answer = await browser.post(MINE, headers={"Sec-Fetch-Site": "", "Origin": web.origin})
    assert answer.status_code == 200


async def test_another_site_reads_nothing_and_is_given_no_permission_to(web: Web):
    browser = await web.sign_in()
    web.told.headers = {"Access-Control-Allow-Origin": "*"}
    sent = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert reason(await browser.get(MINE, headers=sent), 403) == "cross_site"
    mine = await browser.get(MINE)
    asked = await browser.ask("OPTIONS", MINE, headers={"Access-Control-Request-Method": "POST"})
    assert asked.status_code == 405
    for answer in (mine, asked):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_no_cache_keeps_an_answer_to_a_person(web: Web):
    browser = await web.sign_in()
    web.told.headers = {"Cache-Control": "public, max-age=600", "ETag": 'W/"a"'}
    passed = await browser.get(MINE)
    assert passed.headers["etag"] == 'W/"a"'
    for answer in (passed, await browser.get("/session"), await browser.post("/sign-out")):
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/api/other/v1/me", "/api/compensation/live", "/api/compensation/ready", "/api/compensation",
        "/api/compensation/v1/%2e%2e/live", "/api/compensation/v1/..%2flive", "/api/complaints//v1/me",
        "/api/compensation/v1/..%5clive", "/api/http:%2f%2fevil.example/v1/me", "/metrics", "/docs",
    ],
)  # fmt: skip
async def test_only_named_services_and_what_they_have_outside_are_reached(web: Web, path: str):
    browser = await web.sign_in()
    assert reason(await browser.get(path), 404) == "unknown_route"
    assert web.told.requests == []


async def test_a_body_over_the_bound_is_refused_before_it_is_passed_on(web: Web):
    browser = await web.sign_in()
    answer = await browser.post(MINE, content=b"a" * (256 * 1024 + 1))
    assert reason(answer, 413) == "too_large"
    assert web.told.requests == []


async def test_a_service_that_is_away_is_said_to_be(store: str, dist: Path):
    async with serving(store, dist, compensation_api=f"http://127.0.0.1:{free_port()}") as web:
        browser = await web.sign_in()
        assert reason(await browser.get(MINE), 503) == "service_unavailable"


async def test_a_redirect_of_a_service_is_passed_on_and_not_followed(web: Web):
    web.told.status, web.told.headers = 303, {"Location": "/m/abc"}
    answer = await web.browser().post("/c/ms-aurora/cabin", content="text=a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/m/abc")
    assert len(web.told.requests) == 1


@pytest.mark.parametrize("name", PAGES)
async def test_a_customer_s_page_is_passed_to_its_service_with_its_own_headers(web: Web, name: str):
    browser = await web.sign_in()
    web.told.headers = {
        "Content-Security-Policy": "default-src 'none'",
        "Cache-Control": "no-store",
    }
    answer = await browser.get(f"/{name}/link", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.json()["path"] == f"/{name}/link"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert not {"authorization", "cookie"} & {*answer.json()["headers"]}


async def test_a_customer_s_page_whose_name_is_sent_with_escapes_is_none(web: Web):
    answer = await web.browser().get("/%63/ms-aurora/cabin")
    assert answer.status_code == 404
    assert web.told.requests == []


# The faces


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("/app/", "no-cache"), ("/app/give/what", "no-cache"), ("/board/", "no-cache"),
        ("/app/sw.js", "no-cache"),
        ("/assets/index-Ab12Cd34.js", "public, max-age=31536000, immutable"),
    ],
)  # fmt: skip
async def test_a_face_is_framed_by_nobody_and_runs_no_script_of_a_page(
    web: Web, path: str, cached: str
):
    answer = await web.browser().get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == cached
    again = await web.browser().get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/app/../../secret.txt", "/app/%2e%2e/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"],
)
async def test_no_path_leads_out_of_the_build(web: Web, path: str):
    answer = await web.browser().get(path)
    assert "not to be served" not in answer.text


async def test_a_face_without_its_slash_and_no_path_lead_to_the_app(web: Web):
    for path, to in (("/", "/app/"), ("/app", "/app/"), ("/board", "/board/")):
        assert (await web.browser().get(path)).headers["location"] == to


async def test_a_page_says_that_nothing_is_built(store: str, tmp_path: Path):
    async with serving(store, tmp_path / "nothing") as web:
        answer = await web.browser().get("/app/", headers={"Accept-Language": "da"})
        assert answer.status_code == 503
        assert "Appen er her ikke endnu" in answer.text


async def test_without_the_store_customers_pages_are_passed_on_and_nobody_is_signed_in(dist: Path):
    async with serving(f"redis://127.0.0.1:{free_port()}/0", dist) as web:
        browser = web.browser()
        browser.cookies[SESSION] = "a-session"
        assert (await browser.get("/m/link")).status_code == 200
        assert reason(await browser.get(MINE), 503) == "store_unavailable"
        assert (await web.client.get("/ready")).json() == {"running": True, "store": False}


async def test_while_the_issuer_is_away_a_session_goes_on_until_its_token_ends(
    web: Web, monkeypatch: pytest.MonkeyPatch
):
    browser = await web.sign_in()

    async def away(*_: object) -> None:
        raise Unavailable(Reason.ISSUER_UNAVAILABLE)

    monkeypatch.setattr("services.web.sessions.issuer.Issuer._answer", away)
    web.clock.advance(timedelta(minutes=14, seconds=30))
    assert (await browser.get(MINE)).status_code == 200
    web.clock.advance(timedelta(minutes=1))
    assert reason(await browser.get(MINE), 503) == "issuer_unavailable"
    monkeypatch.undo()
    assert (await browser.get(MINE)).status_code == 200, "it was not ended"


async def test_it_is_ready_while_its_store_answers(web: Web):
    answer = await web.client.get("/ready")
    assert answer.json() == {"running": True, "store": True}
