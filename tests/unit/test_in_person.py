"""What an employee tells a customer in person counts as told: no letter says it once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from services.notifier.messages.rules import (
    Message,
    State,
    bounced,
    delivered,
    message_said,
    not_sent,
    said,
    sent,
)
from shared.contracts.complaints import Language
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import Occasion
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.testing.clock import START
from tests.suites.services import Aboard
from tests.unit.test_digests import FIXES, busy, next_day, title
from tests.unit.test_lifecycle import do, seen
from tests.unit.test_notifications import again, read
from tests.unit.test_occasions import changed, english, fates, flat, last, settled


async def say(
    aboard: Aboard,
    complaint_id: str,
    occasion: str,
    who: str = "e-ingrid",
    key: str = "k",
    **more: Any,
) -> httpx.Response:
    async with aboard.http("notifier", aboard.bearer(who)) as phone:
        answer = await phone.post(
            "/v1/notifications/said",
            json={"complaint_id": complaint_id, "occasion": occasion, **more},
            headers={"Idempotency-Key": key},
        )
    await aboard.carry()
    return answer


async def resolved(aboard: Aboard) -> str:
    """A complaint about whose cause something was done, of which the letter has not gone."""
    name = await english(aboard)
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="fixed")
    await aboard.carry()
    return name


async def shown(aboard: Aboard, complaint_id: str, occasion: str) -> list[dict[str, Any]]:
    found = (await read(aboard, "", subject=complaint_id)).json()["notifications"]
    return [one for one in found if one["occasion"] == occasion]


async def timeline(aboard: Aboard, complaint_id: str) -> list[tuple[str, str, str | None]]:
    entries = (await seen(aboard, f"/{complaint_id}/timeline"))["entries"]
    return [(one["what"], one["who"], one.get("occasion")) for one in entries]


async def test_a_letter_about_what_was_said_in_person_does_not_go(aboard: Aboard):
    name = await resolved(aboard)
    answer = await say(aboard, name, "resolution_told")
    assert answer.status_code == 200, answer.text
    await settled(aboard)
    assert not [one for one in aboard.postbox.letters if "cause" in one.body]
    (one,) = await shown(aboard, name, "resolution_told")
    assert (one["status"], one["attempts"]) == ("said", [])
    assert one["message_id"] == answer.json()["message_id"]
    assert one["said_at"] == answer.json()["said_at"]
    assert one["next_at"] is None
    assert "e-ingrid" not in str(
        one
    )  # who reads it is shown figures of the site, and no employee's
    assert ("told_in_person", "employee", "resolution_told") in await timeline(aboard, name)


async def test_other_letters_of_the_complaint_go_all_the_same(aboard: Aboard):
    name = await resolved(aboard)
    await say(aboard, name, "acknowledgement")
    await settled(aboard)
    assert (await fates(aboard))["resolution_told"] == ["sent"]


async def test_of_a_letter_that_went_already_it_is_recorded_that_it_was_said_too(aboard: Aboard):
    name = await english(aboard)
    assert (await say(aboard, name, "acknowledgement")).status_code == 200
    (one,) = await shown(aboard, name, "acknowledgement")
    assert one["status"] == "sent"
    assert one["said_at"] is not None
    assert len(aboard.postbox.letters) == 1
    told = [what for what, _, occasion in await timeline(aboard, name) if occasion]
    assert told == ["letter_sent", "told_in_person"]


async def test_a_letter_that_failed_and_was_said_is_not_sent_again(aboard: Aboard):
    aboard.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    name = await english(aboard)
    (one,) = await shown(aboard, name, "acknowledgement")
    assert one["status"] == "permanent-failure"
    await say(aboard, name, "acknowledgement")
    (one,) = await shown(aboard, name, "acknowledgement")
    assert (one["status"], one["reason"]) == ("said", None)
    assert [attempt["failed_because"] for attempt in one["attempts"]] == [Reason.ADDRESS_REFUSED]
    assert (await again(aboard, one["message_id"])).json()["type"] == Reason.NOT_FAILED


async def test_a_letter_that_is_tried_again_is_not_tried_any_more(aboard: Aboard):
    aboard.postbox.failures = [Unavailable(Reason.MAIL_UNAVAILABLE)]
    name = await english(aboard)
    await say(aboard, name, "acknowledgement")
    aboard.later(minutes=10)
    await settled(aboard)
    assert aboard.postbox.letters == []


async def test_what_was_said_is_not_sent_by_the_next_channel_either(tmp_path: Path):
    both = {"channels": (MessageChannel.EMAIL, MessageChannel.SMS), "calling_code": "47"}
    aboard = await Aboard(tmp_path, changed(**both)).begin()
    aboard.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    contact = {"email": "kari@example.org", "phone": "91234567"}
    name = await aboard.raise_complaint(text="The soup was salty.", language="en", contact=contact)
    aboard.later(seconds=1)
    await aboard.ring()
    failed, waits = await shown(aboard, name, "acknowledgement")
    assert (failed["next_channel"], waits["status"]) == ("sms", "created")
    await say(aboard, name, "acknowledgement")
    await settled(aboard)
    assert aboard.phone.letters == []
    assert [one["status"] for one in await shown(aboard, name, "acknowledgement")] == [
        "permanent-failure", "said",
    ]  # fmt: skip


async def test_what_was_said_is_not_in_the_digest_that_it_waited_for(tmp_path: Path):
    aboard, name = await busy(tmp_path)
    assert (await say(aboard, name, "fix_done")).status_code == 200
    await next_day(aboard)
    assert title(FIXES[-1]) not in flat(last(aboard))
    assert all(title(fix) in flat(last(aboard)) for fix in FIXES[1:-1])
    assert [one["status"] for one in await shown(aboard, name, "fix_done")] == [
        "sent", "sent", "sent", "said",
    ]  # fmt: skip


async def test_a_digest_of_which_all_was_said_does_not_go(tmp_path: Path):
    aboard, name = await busy(tmp_path, FIXES[:2])
    letters = len(aboard.postbox.letters)
    await say(aboard, name, "fix_done")
    await next_day(aboard)
    assert len(aboard.postbox.letters) == letters


async def test_a_customer_whom_no_message_reaches_is_told_in_person(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was salty.", language="en", contact=None)
    await settled(aboard)
    assert await shown(aboard, name, "resolution_told") == []
    for key in ("k", "k", "another"):
        assert (await say(aboard, name, "resolution_told", key=key)).status_code == 200
        aboard.later(seconds=1)
    await settled(aboard)
    (one,) = await shown(aboard, name, "resolution_told")
    assert one["status"] == "said"
    assert aboard.postbox.letters == []


async def test_what_is_not_to_be_told_is_not_said(aboard: Aboard):
    name = await english(aboard)
    assert (await say(aboard, name, "check_given")).json()["type"] == Reason.UNKNOWN_MESSAGE
    other = {"about": "ck-none"}
    refused = await say(aboard, name, "acknowledgement", key="other", **other)
    assert refused.json()["type"] == Reason.UNKNOWN_MESSAGE


@pytest.mark.parametrize("occasion", ["safety", "confirmation", "contact_changed", "digest"])
async def test_what_is_told_in_writing_alone_is_not_said(aboard: Aboard, occasion: str):
    """A changed address is told to the address of before, whatever whoever changed it says."""
    name = await english(aboard)
    refused = await say(aboard, name, occasion)
    assert (refused.status_code, refused.json()["type"]) == (422, Reason.SCHEMA_INVALID)


async def test_only_employees_of_the_site_say_so(aboard: Aboard):
    name = await english(aboard)
    for bearer in (
        aboard.bearer("e-nobody"),
        aboard.bearer("m-1", "manager"),
        aboard.bearer("e-ingrid", site="ms-borealis"),
    ):
        async with aboard.http("notifier", bearer) as phone:
            refused = await phone.post(
                "/v1/notifications/said",
                json={"complaint_id": name, "occasion": "acknowledgement"},
                headers={"Idempotency-Key": "k"},
            )
        assert refused.status_code in (403, 404)
    assert "message.said" not in await aboard.types("notifier")


async def test_of_several_checks_the_one_that_is_named_is_said(aboard: Aboard):
    name = await english(aboard)
    checks = []
    for number in range(2):
        given = await aboard.give(name, "cinema", f"k{number}", again=True)
        checks.append(given.json()["check_id"])
        await aboard.carry()
        aboard.later(seconds=1)
    await say(aboard, name, "check_given", about=checks[0])
    assert [one["status"] for one in await shown(aboard, name, "check_given")] == [
        "said", "created",
    ]  # fmt: skip


async def test_it_is_on_the_customers_page_without_the_employee(aboard: Aboard):
    name = await english(aboard)
    await say(aboard, name, "acknowledgement")
    link = next(word for word in aboard.postbox.letters[0].body.split() if "/m/" in word)
    async with aboard.http("complaints", "") as customer:
        page = (await customer.get("/m/" + link.partition("/m/")[2])).text
    assert "We told you in person" in page
    assert "e-ingrid" not in page


# ---- while a provider has the letter -------------------------------------------------------------


def under_way(**changes: Any) -> Message:
    return Message(
        complaint_id="co-1", customer_ref="c-1", site="ms-aurora", occasion=Occasion.THANKED,
        language=Language.EN, about="co-1/1", state=State.ATTEMPTED, queued_at=START, attempt=1,
        next_at=START, provider="smtp", **changes,
    )  # fmt: skip


def told(message: Message) -> Message:
    (fact,) = said([("me-1", message)], "e-ingrid", START)
    return message_said(message, fact)


def test_a_letter_that_a_provider_has_at_that_moment_is_neither_repeated_nor_followed():
    message = told(under_way())
    channels = (MessageChannel.EMAIL, MessageChannel.SMS)
    assert not not_sent(
        message, "me-1", Reason.ADDRESS_REFUSED, None, START, channels=channels
    ).facts
    assert not sent(message, "me-1", START).facts
    assert not bounced(message, "me-1", "smtp", channels, START).facts
    assert message.next_at is None


def test_that_it_was_delivered_is_recorded_all_the_same():
    (report,) = delivered(told(under_way()), "me-1", "smtp", START).facts
    assert report.TYPE == "recovery.message.delivered.v1"


def test_who_said_it_first_counts():
    once = told(under_way())
    (fact,) = said([("me-1", once)], "e-jonas", START)
    assert message_said(once, fact) == once
