"""Partners are told of facts: signed, at least once, without personal data, and at public addresses alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import REGISTRY
from pydantic_core import from_json
from structlog.testing import capture_logs

from services.notifier.webhooks import post as posting
from services.notifier.webhooks.breakers import FAILURES_MAX, TRIES_FOR, Breakers
from services.notifier.webhooks.endpoints import load
from services.notifier.webhooks.post import (
    AddressRefused,
    Post,
    Poster,
    PublicAddresses,
    is_public,
    outcome,
)
from services.notifier.webhooks.rules import (
    ATTEMPT_LASTS,
    JITTER,
    KEPT_FOR,
    RETRY_FIRST,
    RETRY_LONGEST,
    SHOWN,
    WEBHOOK,
    Webhook,
    attempt,
    delay,
    not_taken,
    queue,
)
from shared.contracts.complaints import ComplaintConfirmed
from shared.contracts.data import Data, of_employee, tag_of
from shared.contracts.reasons import Reason
from shared.contracts.webhooks import WebhookDelayed, WebhookDropped
from shared.kernel import Decision, Fact
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome
from shared.runtime.engine.store import system_of
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.signatures import check_standard, secret_bytes
from shared.runtime.strict_yaml import BrokenFile
from shared.testing.clock import START, Clock
from tests.suites.services import Aboard
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import english

NEW, OLD = "whsec_" + "bmV3" * 8, "whsec_" + "b2xk" * 8
ID = "wh-1"
FILE = """\
endpoints:
  loyalty:
    url: https://hooks.partner.example/service-check
    types: [recovery.complaint.triaged.v1, recovery.resolution.recorded.v1]
    sites: [ms-aurora]
    secrets: [SECRETS]
""".replace("SECRETS", f"{NEW}, {OLD}")
HELD = Webhook(endpoint="loyalty", event_id="ev-1", payload="{}", queued_at=START, next_at=START)


class Partner:
    """Answers webhooks as it is told to, and keeps what was posted."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.posts: list[Post] = []

    async def send(self, post: Post) -> Outcome:
        self.posts.append(post)
        return self.answers.pop(0) if self.answers else Delivered()


async def telling(directory: Path, partner: Partner, text: str = FILE, **given: Any) -> Aboard:
    path = directory / "webhooks.yaml"
    path.write_text(text, encoding="utf-8")
    poster: Any = partner
    aboard = Aboard(directory, webhooks=path, poster=poster, **given)
    return aboard if given else await aboard.begin()


# ---- what partners may see -----------------------------------------------------------------------


@pytest.mark.parametrize("fact", SHOWN, ids=lambda fact: fact.TYPE)
def test_partners_see_no_personal_data(fact: type[Fact]):
    for name in SHOWN[fact]:
        assert tag_of(fact, name) in (Data.PUBLIC, Data.INTERNAL), name
        assert not of_employee(fact, name), name
        assert not name.endswith("_id"), name


def test_the_page_for_partners_names_every_type_and_field():
    page = (Path(__file__).parents[2] / "docs/webhooks.md").read_text(encoding="utf-8")
    for fact, fields in SHOWN.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{fact.TYPE}`")]
        assert set(row.split("|")[2].replace("`", "").replace(",", "").split()) == fields


# ---- rules ---------------------------------------------------------------------------------------


def test_delays_double_with_jitter_until_a_day_is_over():
    at, attempts = START, 0
    while True:
        attempts += 1
        webhook = HELD.model_copy(update={"attempt": attempts})
        (fact,) = not_taken(webhook, ID, Reason.ENDPOINT_UNAVAILABLE, timedelta(0), at).facts
        if isinstance(fact, WebhookDropped):
            break
        assert isinstance(fact, WebhookDelayed)
        wanted = min(RETRY_FIRST * 2 ** (attempts - 1), RETRY_LONGEST)
        assert wanted <= fact.retry_at - at <= wanted * (1 + JITTER)
        at = fact.retry_at
    assert KEPT_FOR - RETRY_LONGEST * (1 + JITTER) <= at - START <= KEPT_FOR
    assert 15 < attempts < 40


def test_two_webhooks_of_one_outage_come_back_apart_and_a_rebuild_finds_the_same():
    assert delay("wh-1", 3) != delay("wh-2", 3)
    assert delay("wh-1", 3) == delay("wh-1", 3)


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks():
    hour = timedelta(hours=1)
    webhook = HELD.model_copy(update={"attempt": 1})
    (fact,) = not_taken(webhook, ID, Reason.ENDPOINT_UNAVAILABLE, hour, START).facts
    assert isinstance(fact, WebhookDelayed)
    assert fact.retry_at == START + hour


def test_a_webhook_is_taken_in_hand_when_it_is_due_and_not_once_its_fate_is_known():
    assert len(attempt(HELD, ID, START).facts) == 1
    for next_at in (START + timedelta(milliseconds=1), None):
        assert attempt(HELD.model_copy(update={"next_at": next_at}), ID, START).facts == ()


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("https://", "http://", "https"),
        ("hooks.", "me:secret@hooks.", "no user"),
        ("recovery.resolution.recorded.v1", "recovery.contact.changed.v1", "are not told"),
        ("hooks.partner", "%68ooks.partner", "no % in its host"),
        (NEW, "whsec_c2hvcnQ=", "24 to 64 bytes"),
        (NEW, "whsec_%%%", "not base64"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong_and_without_secrets(
    tmp_path: Path, right: str, wrong: str, says: str
):
    path = tmp_path / "webhooks.yaml"
    path.write_text(FILE.replace(right, wrong), encoding="utf-8")
    with pytest.raises(BrokenFile, match=says) as broken:
        load(path)
    for secret in (NEW, OLD, "me:secret", "c2hvcnQ"):
        assert secret not in str(broken.value)


# ---- addresses (OWASP API7) ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255"
    " 168.63.129.16 ::1 :: fe80::1 fe80::1%eth0 fd00:ec2::254 fec0::1 ff02::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1"
    " 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2001:0:4136:e378:8000:63bf:f5ff:fffe"
    # Blocks of the IANA registries of special-purpose addresses, whole.
    " 192.0.0.1 192.0.0.9 192.0.0.10 192.0.0.171 192.0.0.255 64:ff9b:1::1 64:ff9b:1:ffff::808:808 3fff::1 5f00::1"
    # Addresses of IPv4 in those of IPv6: compatible, translated, ISATAP.
    " ::127.0.0.1 ::10.0.0.1 ::8.8.8.8 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 2606:2800:21f:cb07:0:5efe:10.0.0.1"
    " 2606:2800:21f:cb07:200:5efe:169.254.169.254 2606:2800:21f:cb07:0:5efe:192.0.0.9".split(),
)
def test_an_address_inside_is_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    "93.184.215.14 192.0.1.1 2606:2800:21f:cb07::1 2606:2800:21f:cb07:0:5efe:8.8.8.8 64:ff9b::808:808".split(),
)
def test_an_address_of_the_internet_is_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    "127.0.0.1 localhost [::1] [::ffff:127.0.0.1] 2130706433 0x7f.1 127.1 127.0.0.1."
    # Digits and dots of other scripts, which are read as those of ASCII.
    " １２７.0.0.1 ①②⑦.0.0.1 127。0。0。1 ⓛocalhost".split(),
)
async def test_api7_an_endpoint_inside_is_refused_and_is_sent_nothing(host: str, server: Server):
    """OWASP API7, server-side request forgery."""
    found = await Poster(Clock()).send(sending(f"http://{host}:{server.port}/"))
    assert found == Never(Reason.ENDPOINT_ADDRESS_REFUSED)
    assert server.requests == []


async def test_api7_the_metadata_of_a_cloud_is_refused():
    for host in ("169.254.169.254", "[fd00:ec2::254]", "168.63.129.16"):
        found = await Poster(Clock()).send(sending(f"http://{host}/latest/meta-data"))
        assert found == Never(Reason.ENDPOINT_ADDRESS_REFUSED)


async def test_api7_a_name_with_one_address_inside_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Whoever owns a name can let it mean our own network: also for one of two look-ups, or one of two addresses."""
    resolver = PublicAddresses(())

    async def both(*_: Any) -> list[dict[str, Any]]:
        return [{"host": "93.184.215.14"}, {"host": "10.0.0.7"}]

    monkeypatch.setattr(resolver._resolver, "resolve", both)
    with pytest.raises(AddressRefused):
        await resolver.resolve("hooks.partner.example", 443, socket.AF_INET)


async def test_api7_the_connection_is_made_to_the_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, server: Server
):
    """A second look-up, which may say something else, is not made."""
    asked: list[str] = []

    async def once(_self: Any, host: str, port: int, family: Any) -> list[dict[str, Any]]:
        asked.append(host)
        at = {"hostname": host, "host": "127.0.0.1", "port": port}
        return [{**at, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(posting.ThreadedResolver, "resolve", once)
    host = "hooks.partner.example"
    poster = Poster(Clock(), exempt={host})
    assert await poster.send(sending(f"http://{host}:{server.port}/")) == Delivered()
    assert asked == [host]
    assert len(server.requests) == 1


# ---- posts ---------------------------------------------------------------------------------------


class Server:
    """A partner's server on this machine; `answer` says what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[], web.Response] = lambda: web.Response(status=204)
        self.slow = asyncio.Event()
        self.slow.set()
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        await self.slow.wait()
        return self.answer()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found, app = Server(), web.Application()
    app.router.add_route("*", "/{path:.*}", found.take)
    running = TestServer(app, host="127.0.0.1")
    await running.start_server()
    found.port = running.port or 0
    yield found
    found.slow.set()
    await running.close()


def sending(url: str) -> Post:
    keys = [secret_bytes(NEW), secret_bytes(OLD)]
    return Post("loyalty", url, keys, "ev-1", '{"type":"recovery.complaint.closed.v1"}')


def local(server: Server) -> tuple[Poster, Post]:
    poster = Poster(Clock(), exempt={"127.0.0.1"})
    return poster, sending(f"http://127.0.0.1:{server.port}/hook")


async def test_a_webhook_is_signed_by_each_secret_as_standard_webhooks_says(server: Server):
    poster, post = local(server)
    assert await poster.send(post) == Delivered()
    ((headers, body),) = server.requests
    assert (headers["webhook-id"], body.decode()) == ("ev-1", post.payload)
    for secret in (NEW, OLD):
        check_standard([secret_bytes(secret)], headers, body, START)
    with pytest.raises(Rejected):
        check_standard([secret_bytes(NEW)], headers, body + b" ", START)


async def test_case_47_a_timestamp_of_six_minutes_ago_is_refused_by_our_own_verifier(
    server: Server,
):
    poster, post = local(server)
    await poster.send(post)
    ((headers, body),) = server.requests
    check_standard([secret_bytes(NEW)], headers, body, START + timedelta(minutes=5))
    for off in (timedelta(minutes=6), timedelta(minutes=-6)):
        with pytest.raises(Rejected):
            check_standard([secret_bytes(NEW)], headers, body, START + off)


async def test_an_endpoint_that_begins_to_fail_is_logged_once_with_its_status(server: Server):
    """Also where it begins again after it took one; what its URL may hold is not logged."""
    poster, post = local(server)
    with capture_logs() as lines:
        for status in (500, 500, 204, 403, 410):
            server.answer = partial(web.Response, status=status)
            await poster.send(post)
    said = [(line["log_level"], line["event"], line["endpoint"], line["status"]) for line in lines]
    assert said == [("warning", "webhook_waits", "loyalty", status) for status in (500, 403)]
    assert post.url not in str(lines)


async def test_case_47_a_slow_receiver_is_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(posting, "POST_TIMEOUT_S", 0.1)
    server.slow.clear()
    poster, post = local(server)
    assert await poster.send(post) == Later(Reason.ENDPOINT_UNAVAILABLE)


async def test_case_47_a_redirect_is_not_followed(server: Server):
    poster, post = local(server)
    server.answer = lambda: web.Response(
        status=307, headers={"Location": f"http://127.0.0.1:{server.port}/elsewhere"}
    )
    assert await poster.send(post) == Later(Reason.ENDPOINT_REFUSED)
    assert len(server.requests) == 1


async def test_api10_of_an_answer_nothing_is_read_but_its_status(server: Server):
    """OWASP API10, unsafe consumption of APIs: an endless body costs nothing, and a cookie is not kept."""
    poster, post = local(server)
    server.answer = lambda: web.Response(
        status=200, body=b"x" * 5_000_000, headers={"Set-Cookie": "a=b"}
    )
    assert await poster.send(post) == Delivered()
    assert await poster.send(post) == Delivered()
    assert all("cookie" not in headers for headers, _ in server.requests)


async def test_an_endpoint_that_nobody_listens_at_is_tried_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        poster = Poster(Clock(), exempt={"127.0.0.1"})
        found = await poster.send(sending(f"http://127.0.0.1:{port}/"))
    assert found == Later(Reason.ENDPOINT_UNAVAILABLE)


@pytest.mark.parametrize(
    ("status", "retry_after", "wanted"),
    [
        (200, "", Delivered()),
        (204, "", Delivered()),
        (410, "", Never(Reason.ENDPOINT_GONE)),
        (400, "", Later(Reason.ENDPOINT_REFUSED)),
        (301, "60", Later(Reason.ENDPOINT_REFUSED)),
        (429, "60", Later(Reason.ENDPOINT_UNAVAILABLE, timedelta(seconds=60))),
        (503, "nonsense", Later(Reason.ENDPOINT_UNAVAILABLE)),
        (503, "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", Later(Reason.ENDPOINT_UNAVAILABLE)),
        (503, "999999999", Later(Reason.ENDPOINT_UNAVAILABLE, timedelta(days=1))),
    ],
)
def test_the_status_says_what_became_of_it(status: int, retry_after: str, wanted: Outcome):
    assert outcome(status, retry_after, START) == wanted


# ---- aboard --------------------------------------------------------------------------------------


async def test_a_partner_is_told_once_of_what_it_asked_for(tmp_path: Path):
    partner = Partner()
    aboard = await telling(tmp_path, partner)
    name = await english(aboard)
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="fixed", note="A fan is in your cabin.")
    await aboard.carry()
    for _ in range(2):
        await aboard.ring()
    told = [from_json(post.payload) for post in partner.posts]
    assert [one["type"] for one in told] == [
        "recovery.complaint.triaged.v1",
        "recovery.resolution.recorded.v1",
    ]
    assert told[1]["data"].keys() == {"site", "outcome", "recorded_at"}
    everything = " ".join(post.payload for post in partner.posts)
    assert name not in everything
    assert "e-ingrid" not in everything
    events = {event["id"] for event in await aboard.events("complaints")}
    assert {post.event_id for post in partner.posts} <= events
    kept = [
        from_json(one.body)
        for key, one in aboard.stores["notifier"].kept.documents.items()
        if key.startswith("webhook:")
    ]
    assert [one["payload"] for one in kept] == ["", ""], "what was told is kept no longer"


async def test_other_sites_and_other_types_are_not_told(tmp_path: Path):
    for text in (
        FILE.replace("ms-aurora", "ms-borealis"),
        FILE.replace("complaint.triaged", "complaint.closed"),
    ):
        partner = Partner()
        aboard = await telling(tmp_path, partner, text)
        await english(aboard)
        assert partner.posts == []
        assert "webhook.queued" not in await aboard.types("notifier")


async def test_a_webhook_that_was_not_taken_is_tried_again_with_the_same_id(tmp_path: Path):
    partner = Partner(Later(Reason.ENDPOINT_UNAVAILABLE), Later(Reason.ENDPOINT_REFUSED))
    aboard = await telling(tmp_path, partner)
    await english(aboard)
    for _ in range(3):
        aboard.later(seconds=15)
        await aboard.ring()
    assert len(partner.posts) == 3
    assert len({post.event_id for post in partner.posts}) == 1
    assert (await aboard.types("notifier")).count("webhook.delayed") == 2
    assert (await aboard.types("notifier")).count("webhook.delivered") == 1


async def test_operators_see_how_each_partner_takes_what_it_is_told(tmp_path: Path):
    def counted(fate: str) -> float:
        told = {"endpoint": "loyalty", "fate": fate}
        return REGISTRY.get_sample_value("webhooks_total", told) or 0

    def at(fate: str) -> float | None:
        told = {"endpoint": "loyalty", "fate": fate}
        return REGISTRY.get_sample_value("webhook_timestamp_seconds", told)

    fates = ("delayed", "delivered", "dropped")
    before = {fate: counted(fate) for fate in fates}
    partner = Partner(Later(Reason.ENDPOINT_UNAVAILABLE))
    aboard = await telling(tmp_path, partner)
    assert (at("taken"), at("not_taken")) == (0, 0)
    await english(aboard)
    await aboard.ring()
    assert at("taken") == 0
    assert at("not_taken")
    aboard.clock.advance(RETRY_FIRST * (1 + JITTER))
    await aboard.ring()
    assert at("taken")
    assert {fate: counted(fate) - before[fate] for fate in fates} == {
        "delayed": 1,
        "delivered": 1,
        "dropped": 0,
    }


async def test_an_attempt_of_a_process_that_died_is_made_again(tmp_path: Path):
    class Dies(Partner):
        async def send(self, post: Post) -> Outcome:
            await super().send(post)
            if len(self.posts) == 1:
                raise ConnectionAbortedError
            return Delivered()

    partner = Dies()
    aboard = await telling(tmp_path, partner)
    with pytest.raises(ConnectionAbortedError):
        await english(aboard)
    aboard.clock.advance(ATTEMPT_LASTS)
    await aboard.ring()
    assert len({post.event_id for post in partner.posts}) == 1
    assert (await aboard.types("notifier")).count("webhook.delivered") == 1


async def test_a_partner_that_is_away_for_a_day_is_not_told_any_more(tmp_path: Path):
    partner = Partner(*[Later(Reason.ENDPOINT_UNAVAILABLE)] * 100)
    aboard = await telling(tmp_path, partner)
    await english(aboard)
    for _ in range(30):
        aboard.later(hours=1)
        await aboard.ring()
    (dropped,) = [
        fact
        for fact in await aboard.facts("notifier")
        if fact["type"] == "recovery.webhook.dropped.v1"
    ]
    assert dropped["reason"] == Reason.ENDPOINT_UNAVAILABLE


async def waiting(aboard: Aboard, count: int) -> None:
    """So many webhooks to one endpoint are due."""
    closed = ComplaintConfirmed(complaint_id="co-1", site="ms-aurora", confirmed_at=START)

    async def decide(view: View) -> Decision:
        facts = [queue("loyalty", f"ev-{n}", closed, "ms-aurora", view.now) for n in range(count)]
        return Decision.of(*facts)

    await aboard.apps["notifier"].parts.settler.settle_internal("many", "many", decide)


async def ring(aboard: Aboard) -> None:
    """Ring those that are due, until their endpoint is left alone."""
    with suppress(Unavailable):
        await aboard.ring()


async def test_while_an_endpoint_fails_one_tries_and_the_others_wait_without_a_fact(tmp_path: Path):
    partner = Partner(*[Later(Reason.ENDPOINT_REFUSED)] * 1000)  # such as a redirect
    aboard = await telling(tmp_path, partner)
    await waiting(aboard, 200)
    for _ in range(12 * 60):
        aboard.later(minutes=1)
        await ring(aboard)
    posts = len(partner.posts)
    assert 40 <= posts <= 70  # one in a quarter of an hour, after the first
    assert len(await aboard.types("notifier")) <= 200 + 2 * posts + 10
    partner.answers.clear()
    for _ in range(120):
        aboard.later(minutes=1)
        await ring(aboard)
    told = {post.event_id for post in partner.posts[posts:]}
    assert told == {f"ev-{n}" for n in range(200)}, "each is told within the day"
    assert "webhook.dropped" not in await aboard.types("notifier")


async def test_those_that_waited_for_an_endpoint_for_a_day_are_dropped_with_a_fact(tmp_path: Path):
    partner = Partner(*[Later(Reason.ENDPOINT_UNAVAILABLE)] * 1000)
    aboard = await telling(tmp_path, partner)
    await waiting(aboard, 50)
    for _ in range(25 * 4):
        aboard.later(minutes=15)
        await ring(aboard)
    assert (await aboard.types("notifier")).count("webhook.dropped") == 50
    assert len(partner.posts) <= 110


async def test_another_endpoint_does_not_wait():
    breakers = Breakers(["loyalty", "booking"])
    for _ in range(FAILURES_MAX):
        assert not breakers.left_alone("loyalty", START)
        breakers.fared("loyalty", Later(Reason.ENDPOINT_UNAVAILABLE), START)
    assert breakers.left_alone("loyalty", START) == RETRY_FIRST
    assert not breakers.left_alone("booking", START)


def test_when_an_endpoint_was_left_alone_one_tries_and_its_answer_counts_for_all():
    breakers = Breakers(["loyalty"])
    for _ in range(FAILURES_MAX):
        breakers.fared("loyalty", Later(Reason.ENDPOINT_UNAVAILABLE), START)
    then = START + RETRY_FIRST
    assert not breakers.left_alone("loyalty", then)
    assert breakers.left_alone("loyalty", then) == TRIES_FOR
    breakers.fared("loyalty", Later(Reason.ENDPOINT_UNAVAILABLE, timedelta(minutes=30)), then)
    assert breakers.left_alone("loyalty", then) == timedelta(minutes=30)
    breakers.fared("loyalty", Later(Reason.ENDPOINT_UNAVAILABLE, timedelta(days=1)), then)
    assert breakers.left_alone("loyalty", then) == RETRY_LONGEST
    breakers.fared("loyalty", Delivered(), then)
    assert not breakers.left_alone("loyalty", then)


async def test_case_47_gone_disables_the_endpoint_until_its_entry_changes(tmp_path: Path):
    partner = Partner(Never(Reason.ENDPOINT_GONE))
    aboard = await telling(tmp_path, partner)
    await english(aboard)
    await english(aboard, 1)
    types = await aboard.types("notifier")
    counts = [types.count(f"webhook.{one}") for one in ("queued", "dropped", "disabled")]
    assert (len(partner.posts), counts) == (1, [1, 1, 1])

    changed = FILE.replace("/service-check", "/service-check-2")
    again = await telling(tmp_path, partner, changed, stores=aboard.stores)
    again._fed = aboard._fed
    await english(again, 2)
    assert len(partner.posts) == 2


def test_timers_know_the_endpoint_of_a_webhook_by_its_id():
    fact = ComplaintConfirmed(complaint_id="co-1", site="ms-aurora", confirmed_at=START)
    systems = [
        system_of(f"{WEBHOOK}|{queue(endpoint, event, fact, 'ms-aurora', START).webhook_id}")
        for endpoint in ("loyalty", "booking")
        for event in ("ev-1", "ev-2")
    ]
    assert systems[0] == systems[1] != systems[2] == systems[3]
