"""Employees follow the complaints of their site: each change with its row, and no word of a customer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.complaints.app import CHANGING
from shared.contracts.complaints import (
    ComplaintClaimed,
    ComplaintRepeated,
    FixAsked,
    FixDeclined,
    FixDone,
    FixLate,
    WordsAdded,
)
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.runtime.http import changes
from shared.testing.builders import record
from tests.suites.followers import Follower, Told
from tests.suites.services import SITE, Aboard
from tests.unit.test_selfservice import link_of, sent

LIVE = "/v1/complaints/live"
OTHER = "ms-borealis"
CLAIMED = ComplaintClaimed.TYPE


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LOOK_S", 0.01)


@pytest.fixture
async def told(aboard: Aboard) -> AsyncIterator[Aboard]:
    async with aboard.telling():
        yield aboard


def follow(aboard: Aboard, who: str = "e-ingrid", last: str = "", **changes: Any) -> Follower:
    app = aboard.apps["complaints"].api
    return Follower(app, LIVE, aboard.bearer(who, **changes), last)


async def following(aboard: Aboard, who: str = "e-ingrid", **changes: Any) -> Follower:
    """Somebody who comes anew, once they were told to read their list."""
    follower = follow(aboard, who, **changes)
    assert (await follower.next()).name == "reload"
    return follower


async def listed(aboard: Aboard) -> list[dict[str, Any]]:
    async with aboard.http("complaints") as phone:
        return (await phone.get("/v1/complaints")).json()["complaints"]


async def do(aboard: Aboard, about: str, what: str, command: Any = None) -> None:
    async with aboard.http("complaints", aboard.bearer("e-jonas")) as phone:
        key = {"Idempotency-Key": f"{about} {what}"}
        answer = await phone.post(f"/v1/complaints/{about}/{what}", json=command, headers=key)
        assert answer.status_code < 300, answer.text


async def until(follower: Follower, change: str) -> Told:
    """The next event of a change of this type."""
    while (event := await follower.next()) is not None:
        if event.data.get("change") == change:
            return event
    raise AssertionError(f"the stream ended before {change}")


async def test_who_follows_is_told_each_change_with_the_row_of_the_list(told: Aboard):
    follower = follow(told)
    assert (await follower.next())[:2] == ("reload", {})
    assert follower.status == 200
    assert follower.headers[b"content-type"].startswith(b"text/event-stream")
    assert follower.headers[b"x-accel-buffering"] == b"no"
    about = await told.raise_complaint()
    await do(told, about, "claim")
    event = await until(follower, CLAIMED)
    assert event.name == "change"
    assert event.data == {
        "complaint_id": about,
        "change": CLAIMED,
        "complaint": {
            name: value
            for name, value in (await listed(told))[0].items()
            if name not in {"place", "beginning"}
        },
    }
    assert event.data["complaint"]["employee_id"] == "e-jonas"
    await follower.leave()


async def test_no_word_of_a_customer_is_told(told: Aboard):
    follower = await following(told)
    about = await told.raise_complaint(text="The soup was zanzibarian, says Kari.")
    await do(told, about, "claim")
    kept = told.stores["complaints"].kept.documents[f"complaint:{about}"].body.decode()
    event = await until(follower, CLAIMED)
    said = str(event.data)
    assert "zanzibarian" not in said
    assert "v1." not in said
    assert event.data["complaint"].keys() <= set((await listed(told))[0])
    assert kept.split('"customer_ref":"')[1].split('"')[0] not in said
    await follower.leave()


async def test_added_words_and_fixes_are_told_with_the_row_of_their_complaint(told: Aboard):
    about, path = await link_of(told)
    follower = await following(told)
    await sent(told, f"{path}/words", text="And the wine was warm.")
    for what, fix in (
        ("fix/ask", "clean-again"),
        ("fix/decline", "clean-again"),
        ("fix", "cook-again"),
    ):
        await do(told, about, what, {"fix": fix})
    for fact in (WordsAdded, FixAsked, FixDeclined, FixDone):
        event = await until(follower, fact.TYPE)
        assert event.data["complaint"]["complaint_id"] == about
        assert "wine" not in str(event.data)
    assert FixLate.TYPE in CHANGING
    await follower.leave()


async def test_who_comes_back_hears_what_they_missed_and_nothing_twice(told: Aboard):
    follower = await following(told)
    about = await told.raise_complaint()
    await do(told, about, "claim")
    last = (await until(follower, CLAIMED)).id
    await follower.leave()
    await do(told, about, "resolve", {"outcome": "fixed"})
    again = follow(told, last=last)
    event = await again.next()
    assert event.data["change"] == "recovery.resolution.recorded.v1"
    assert event.data["complaint"]["state"] == "resolution_recorded"
    await again.leave()


async def test_a_colleague_cannot_go_on_from_another_ones_position(told: Aboard):
    follower = follow(told)
    last = (await follower.next()).id
    await follower.leave()
    other = follow(told, "e-jonas", last)
    assert (await other.next()).name == "reload"
    await other.leave()


async def test_nothing_is_told_of_another_site(told: Aboard):
    listing = EmployeeListed(
        employee_id="e-boreal", site=OTHER, listing=Listing(role="deck"), listed_at=told.clock()
    )
    await told.feed("complaints", EmployeeListed.TOPIC, [record(listing, 900)])
    there, here = await following(told, "e-boreal", site=OTHER), await following(told)
    about = await told.raise_complaint()
    await do(told, about, "claim")
    await until(here, CLAIMED)
    told.apps["complaints"].parts.health["running"] = lambda: False
    assert await there.next() is None
    await there.leave()
    await here.leave()


async def test_who_is_let_go_hears_no_more_and_does_not_get_in_again(told: Aboard):
    follower = await following(told)
    told.later(minutes=1)
    gone = EmployeeListed(
        employee_id="e-ingrid",
        site=SITE,
        listing=Listing(role="reception", active=False),
        listed_at=told.clock(),
    )
    await told.feed("complaints", EmployeeListed.TOPIC, [record(gone, 900)])
    assert await follower.next() is None
    async with told.http("complaints") as phone:
        answer = await phone.get(LIVE)
    assert (answer.status_code, answer.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)
    await follower.leave()


async def test_a_stream_ends_with_its_token(told: Aboard):
    follower = await following(told, ttl_s=60)
    told.later(minutes=2)
    assert await follower.next() is None
    await follower.leave()


async def test_a_stream_ends_when_the_process_stops(told: Aboard):
    follower = await following(told)
    told.apps["complaints"].parts.health["running"] = lambda: False
    assert await follower.next() is None
    await follower.leave()


async def test_who_leaves_makes_room(told: Aboard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changes, "LISTENERS_OF_ONE_MAX", 1)
    first = await following(told)
    async with told.http("complaints") as phone:
        answer = await phone.get(LIVE)
    assert (answer.status_code, answer.json()["type"]) == (503, Reason.OVERLOADED)
    await first.leave()
    again = await following(told)
    await again.leave()


async def test_without_its_topic_a_process_refuses_to_be_followed(
    aboard: Aboard, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(changes, "READY_S", 0.01)
    async with aboard.http("complaints") as phone:
        answer = await phone.get(LIVE)
    assert (answer.status_code, answer.json()["type"]) == (503, Reason.LOG_UNAVAILABLE)


async def test_an_erased_customers_complaint_is_taken_out_of_every_list(told: Aboard):
    about = await told.raise_complaint()
    (fact,) = [one for one in await told.facts("complaints") if "received_at" in one]
    follower = await following(told)
    async with told.http("complaints", told.bearer("p-1", "privacy")) as office:
        path = f"/v1/customers/{fact['customer_ref']}/erasure"
        answer = await office.post(path, headers={"Idempotency-Key": "erase"})
        assert answer.status_code < 300, answer.text
    await told.ring("complaints")
    event = await until(follower, "recovery.complaint.forgotten.v1")
    assert event.data == {
        "complaint_id": about,
        "change": "recovery.complaint.forgotten.v1",
        "complaint": None,
    }
    await follower.leave()


def test_a_repeat_changes_nothing_and_is_not_told():
    assert CLAIMED in CHANGING
    assert ComplaintRepeated.TYPE not in CHANGING
