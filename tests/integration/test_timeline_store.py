"""A complaint's timeline on the real store: what comes early lies where it is looked for."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import httpx
import pytest
import redis.asyncio as redis

from devstack.stack import Stack
from services.complaints.app import DOMAIN, build
from services.complaints.settings import Settings
from shared.contracts.compensation import (
    CheckIssued,
    ComplaintLogged,
    RedemptionCaptured,
)
from shared.contracts.notifier import FeedbackReceived, Helped, MessageSent, Occasion
from shared.contracts.policy import PolicyPublished
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Fact
from shared.ops import roster as roster_file
from shared.ops import token
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.service import App
from shared.testing.builders import record
from shared.testing.clock import START, Clock
from tests.suites.services import MASTER, SITE, AllRead, demo_policy, demo_roster, triage
from tests.unit.test_timeline import example

pytestmark = pytest.mark.integration
MINUTE = timedelta(minutes=1)
offsets = count()


@pytest.fixture
async def app(stack: Stack, tmp_path) -> AsyncIterator[App]:
    """Complaints on a shard of its own, with the demo's policy and roster."""
    shard = secrets.token_hex(4)
    store = RedisStore(stack.redis_url, DOMAIN.owner, shard, DOMAIN.schemas)
    await store.open()
    await store.begin_generation("first", 0)
    token.demo_key(tmp_path)
    settings = Settings(
        KAFKA_BOOTSTRAP_SERVERS="nowhere.invalid:1",
        REDIS_URL="redis://nowhere.invalid",
        master_key=b64encode(MASTER).decode(),
        jwks=tmp_path / token.JWKS_FILE,
        publish_wait_ms=0,
    )
    made = build(
        settings, now=Clock(START + 10 * MINUTE), store=store, triage=triage(), news=AllRead()
    )
    await feed(made, PolicyPublished(site=SITE, version=1, policy=demo_policy()))
    for listed in roster_file.listed(demo_roster(), START):
        await feed(made, listed)
    yield made
    await store.close()
    server = redis.Redis.from_url(stack.redis_url)
    await server.delete(*await server.keys(f"complaints:{{{shard}}}:*"))
    await server.aclose()


async def feed(app: App, fact: Fact) -> None:
    inbox = next(one for one in app.inboxes if one.topic == fact.TOPIC)
    await app.parts.settler.settle_records(inbox, 0, [record(fact, next(offsets))])


async def read(app: App, tmp_path) -> httpx.Response:
    bearer = token.sign(
        token.demo_key(tmp_path),
        subject="e-ingrid",
        kind="employee",
        site=SITE,
        now=START + 10 * MINUTE,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app.api),
        base_url="http://test",
        headers={"Authorization": f"Bearer {bearer}"},
    ) as phone:
        return await phone.get("/v1/complaints/co-1/timeline")


async def test_what_is_heard_before_its_complaint_and_its_check_is_in_the_timeline(app, tmp_path):
    check = {"complaint_id": "co-1", "check_id": "ck-1", "site": SITE}
    early = [
        MessageSent(
            message_id="me-1",
            complaint_id="co-1",
            occasion=Occasion.CHECK_GIVEN,
            attempt=1,
            sent_at=START + 3 * MINUTE,
        ),
        RedemptionCaptured(
            check_id="ck-1",
            site=SITE,
            redemption_id="re-1",
            amount_minor=5,
            currency="NOK",
            captured_at=START + 4 * MINUTE,
        ),
        example(CheckIssued).model_copy(update={**check, "issued_at": START + 2 * MINUTE}),
    ]
    for fact in early:
        await feed(app, fact)
    assert (await read(app, tmp_path)).status_code == 404
    key, wrapped = app.parts.vault.new_key("c-1")
    logged = {
        "complaint_id": "co-1",
        "customer_ref": "c-1",
        "site": SITE,
        "employee_id": "e-ingrid",
        "text": key.seal("text", "Cold soup."),
        "contact": None,
    }
    await feed(app, example(ComplaintLogged).model_copy(update=logged))
    await feed(app, CustomerKeyCreated(customer_ref="c-1", wrapped=wrapped))
    helped = FeedbackReceived(
        complaint_id="co-1", check_id="ck-1", helped=Helped.YES, answered_at=START + 5 * MINUTE
    )
    await feed(app, helped)
    answer = await read(app, tmp_path)
    assert answer.status_code == 200, answer.text
    found = answer.json()["entries"]
    assert [one["what"] for one in found] == [
        "check_given",
        "letter_sent",
        "check_redeemed",
        "feedback",
        "received",
        "promised",
        "claimed",
        "confirmed",
    ]
    assert found[4]["text"] == "Cold soup."
    assert found[2]["check_id"] == "ck-1"
