"""Who runs the site sees what customers were told and what became of it, and sends again what failed."""

from __future__ import annotations

from typing import Any

import httpx

from services.notifier.messages.rules import message_id_of
from shared.contracts.notifier import MessageQueued, Occasion
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from tests.suites.services import Aboard
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import english, settled

ADDRESS = "kari@example.org"


async def read(aboard: Aboard, path: str, **query: Any) -> httpx.Response:
    async with aboard.http("notifier", aboard.bearer("m-1", "manager")) as desk:
        return await desk.get(f"/v1/notifications{path}", params=query)


async def again(aboard: Aboard, message_id: str, key: str = "k") -> httpx.Response:
    async with aboard.http("notifier", aboard.bearer("m-1", "manager")) as desk:
        path = f"/v1/notifications/{message_id}/resend"
        return await desk.post(path, headers={"Idempotency-Key": key})


async def failed(aboard: Aboard) -> tuple[str, str]:
    """A complaint whose acknowledgement failed, and the id of that message."""
    aboard.postbox.failures = [
        Unavailable(Reason.MAIL_UNAVAILABLE),
        Rejected(Reason.ADDRESS_REFUSED),
    ]
    name = await english(aboard)
    aboard.later(minutes=1)
    await aboard.ring()
    return name, message_id_of(Occasion.ACKNOWLEDGEMENT, name)


async def test_the_messages_of_a_complaint_are_listed_in_order_by_pages_without_an_address(
    aboard: Aboard,
):
    name = await english(aboard)
    for number in range(3):
        aboard.later(minutes=1)
        await do(aboard, name, "ask", question=f"{number + 1}. Which lift?")
        await settled(aboard)
        await do(aboard, name, "answer", answer="The one by the pool.")
    found, cursor = [], None
    while True:
        page = (
            await read(aboard, "", subject=name, limit=3, **({"cursor": cursor} if cursor else {}))
        ).json()
        assert len(page["notifications"]) <= 3
        found += page["notifications"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [one["occasion"] for one in found] == ["acknowledgement", *3 * ["question_asked"]]
    assert {one["status"] for one in found} == {"sent"}
    assert [one["queued_at"] for one in found] == sorted(one["queued_at"] for one in found)
    assert ADDRESS not in str(found)


async def test_a_message_has_its_attempts_and_why_each_failed(aboard: Aboard):
    _, message_id = await failed(aboard)
    found = (await read(aboard, f"/{message_id}")).json()
    assert (found["status"], found["reason"]) == ("permanent-failure", Reason.ADDRESS_REFUSED)
    assert [
        (one["number"], one["provider"], one["failed_because"]) for one in found["attempts"]
    ] == [
        (1, "smtp", Reason.MAIL_UNAVAILABLE),
        (2, "smtp", Reason.ADDRESS_REFUSED),
    ]
    assert found["next_at"] is None


async def test_a_failed_message_is_sent_again_once_and_the_same_wish_is_one(aboard: Aboard):
    name, message_id = await failed(aboard)
    first, repeat = await again(aboard, message_id), await again(aboard, message_id)
    assert (first.status_code, first.content) == (201, repeat.content)
    assert first.json()["instead_of"] == message_id
    assert (await again(aboard, message_id, "other")).json()["type"] == Reason.ALREADY_RESENT
    assert len(aboard.postbox.letters) == 0
    await settled(aboard)
    assert [letter.message_id for letter in aboard.postbox.letters] == [first.json()["message_id"]]
    now = (await read(aboard, "", subject=name)).json()["notifications"]
    assert [one["status"] for one in now] == ["permanent-failure", "sent"]


async def test_what_was_sent_is_not_sent_again(aboard: Aboard):
    name = await english(aboard)
    answer = await again(aboard, message_id_of(Occasion.ACKNOWLEDGEMENT, name))
    assert answer.json()["type"] == Reason.NOT_FAILED


async def test_what_is_sent_again_goes_only_if_it_is_still_true(aboard: Aboard):
    name = await english(aboard)
    aboard.later(minutes=1)
    await do(aboard, name, "ask", question="Which lift?")
    aboard.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    await settled(aboard)
    queued = [f for f in await aboard.facts("notifier") if f["type"] == MessageQueued.TYPE]
    aboard.later(minutes=1)
    assert (await again(aboard, queued[-1]["message_id"])).status_code == 201
    await do(aboard, name, "answer", answer="The one by the pool.")
    letters = len(aboard.postbox.letters)
    await settled(aboard)
    found = (await read(aboard, "", subject=name)).json()["notifications"]
    assert [(one["status"], one["reason"]) for one in found[1:]] == [
        ("permanent-failure", Reason.ADDRESS_REFUSED),
        ("suppressed", Reason.NO_LONGER_TRUE),
    ]
    assert len(aboard.postbox.letters) == letters


async def test_an_acknowledgement_is_not_sent_again_once_the_customer_was_told_what_was_done(
    aboard: Aboard,
):
    name, message_id = await failed(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    aboard.later(minutes=1)
    assert (await again(aboard, message_id)).status_code == 201
    letters = len(aboard.postbox.letters)
    await settled(aboard)
    found = (await read(aboard, "", subject=name)).json()["notifications"]
    assert (found[-1]["occasion"], found[-1]["status"], found[-1]["reason"]) == (
        "acknowledgement",
        "suppressed",
        Reason.NO_LONGER_TRUE,
    )
    assert len(aboard.postbox.letters) == letters


async def test_nobody_is_told_of_messages_that_are_not_there(aboard: Aboard):
    assert (await read(aboard, "", subject="co-none")).json()["type"] == Reason.UNKNOWN_COMPLAINT
    assert (await read(aboard, "/me-none")).json()["type"] == Reason.UNKNOWN_MESSAGE
    assert (await again(aboard, "me-none")).json()["type"] == Reason.UNKNOWN_MESSAGE
    name = await english(aboard)
    wrong = await read(aboard, "", subject=name, cursor="1.x")
    assert wrong.json()["type"] == Reason.CURSOR_INVALID
