"""The board of a site: what is open, what is at risk and how full budgets are, as facts say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_core import from_json

from services.audit.board import handlers
from services.audit.board.rules import (
    BROKEN_FOR,
    Answered,
    GivenCheck,
    Promise,
    broken,
    given,
    offered,
    over,
    promise_stands,
    promised_again,
    taken_back,
)
from shared.contracts.compensation import CheckIssued, CheckVoided, OfferMade
from shared.contracts.complaints import ComplaintConfirmed, ComplaintOverdue, ComplaintReopened
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.runtime.http import face, live
from shared.runtime.http.server import http_server
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites import followers
from tests.suites.described import undescribed
from tests.suites.services import SITE, Aboard
from tests.suites.signals import one_signal
from tests.unit.test_compensation_incidents import (
    changed,
    complaints,
    small_incidents,
    the_incident,
)

#: Food that is mild, by the demo policy.
PROMISED = timedelta(hours=4)
OTHER = "ms-borealis"


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Aboard]:
    aboard = await Aboard(tmp_path, small_incidents(), recording=True).begin()
    await aboard.carry()
    yield aboard
    assert undescribed(aboard) == [], "a test was answered as no document says"


def reader(aboard: Aboard, **changes: Any) -> str:
    return aboard.bearer("m-hotel", "manager", **changes)


async def board(aboard: Aboard, path: str = f"board/{SITE}", **changes: Any) -> Any:
    """What is answered under a path to somebody who reads the figures of the site."""
    await aboard.carry()
    async with aboard.http("audit", reader(aboard, **changes)) as asked:
        return (await asked.get(f"/v1/{path}")).json()


async def waiting(aboard: Aboard) -> tuple[int, list[str], list[str]]:
    """How many customers wait, and the complaints whose promises end soon, and whose are broken."""
    found = (await board(aboard))["promises"]
    assert found["more"] is False
    listed = [[one["complaint_id"] for one in found[name]] for name in ("soon", "broken")]
    return found["waiting"], *listed


async def mild(aboard: Aboard, offset: int = 0) -> str:
    return await aboard.raise_complaint(offset, text="The soup was a bit salty.")


async def pass_by(aboard: Aboard, by: timedelta) -> None:
    aboard.clock.advance(by)
    await aboard.ring("complaints")
    await aboard.carry()


# ---- promises ------------------------------------------------------------------------------------


async def test_a_promise_is_listed_from_half_an_hour_before_its_time(recorded: Aboard):
    complaint = await mild(recorded)
    assert await waiting(recorded) == (1, [], [])
    await pass_by(recorded, PROMISED - handlers.SOON)
    (found,) = (await board(recorded))["promises"]["soon"]
    assert found == {
        "complaint_id": complaint,
        "reference": complaint[-6:].upper(),
        "category": "food",
        "severity": "mild",
        "round": 0,
        "promise_id": f"{complaint}/0",
        "promised_by": "2026-06-03T18:00:00Z",
    }


async def test_a_broken_promise_is_listed_as_one_for_a_week_while_the_customer_waits(
    recorded: Aboard,
):
    complaint = await mild(recorded)
    await pass_by(recorded, PROMISED + timedelta(minutes=1))
    assert await waiting(recorded) == (1, [], [complaint])
    await pass_by(recorded, BROKEN_FOR)
    assert await waiting(recorded) == (0, [], [])


async def test_a_promise_that_passed_a_moment_ago_is_listed_before_anybody_said_that_it_is_broken(
    recorded: Aboard,
):
    complaint = await mild(recorded)
    recorded.clock.advance(PROMISED + timedelta(minutes=1))
    assert await waiting(recorded) == (1, [complaint], [])


async def test_who_was_given_or_offered_something_waits_no_more(recorded: Aboard):
    one, other = await mild(recorded), await mild(recorded, 1)
    assert (await waiting(recorded))[0] == 2
    assert (await recorded.give(one, "cinema", "a")).status_code == 201
    assert (await waiting(recorded))[0] == 1
    offer = {"complaint_id": other, "items": ["cinema", "sincere-words"], "reason": "food"}
    assert (await recorded.post("offers", "o", offer)).status_code == 201
    await pass_by(recorded, PROMISED - handlers.SOON)
    assert await waiting(recorded) == (0, [], [])


async def test_who_was_given_something_on_the_spot_never_waited(recorded: Aboard):
    wish = {"on_the_spot": {"text": "Cold soup."}, "item": "cinema", "reason": "food"}
    assert (await recorded.post("checks", "s", wish)).status_code == 201
    assert await waiting(recorded) == (0, [], [])


@pytest.mark.parametrize("at_the_desk", [True, False])
async def test_whoever_is_in_danger_waits_for_more_than_a_gift(
    recorded: Aboard, *, at_the_desk: bool
):
    if at_the_desk:
        spot = {"on_the_spot": {"text": "My son is bleeding."}}
    else:
        complaint = await recorded.raise_complaint(0, text="My son is bleeding, we need a doctor.")
        spot = {"complaint_id": complaint}
    wish = {**spot, "item": "sincere-words", "reason": "safety"}
    assert (await recorded.post("checks", "s", wish)).status_code == 201
    await recorded.carry()
    await pass_by(recorded, timedelta(days=2))
    waits, _, broken = await waiting(recorded)
    assert (waits, len(broken)) == (1, 1)


async def test_a_customer_whom_it_did_not_help_waits_again_for_the_new_promise(recorded: Aboard):
    complaint = await mild(recorded)
    check = (await recorded.give(complaint, "cinema", "a")).json()
    await recorded.carry()
    recorded.later(hours=1)
    said = FeedbackReceived(
        complaint_id=complaint,
        check_id=check["check_id"],
        helped=Helped.NO,
        answered_at=recorded.clock(),
    )
    await recorded.feed("complaints", FeedbackReceived.TOPIC, [record(said, 0)])
    assert (await waiting(recorded))[0] == 1
    await pass_by(recorded, PROMISED - handlers.SOON)
    (found,) = (await board(recorded))["promises"]["soon"]
    assert (found["complaint_id"], found["round"]) == (complaint, 1)


def test_a_closed_complaint_stands_nowhere_and_facts_of_unknown_ones_break_nothing():
    """State is bounded, and a record that was lost is no reason to stop."""
    confirmed = ComplaintConfirmed(complaint_id="co-1", confirmed_at=START)
    assert promise_stands(over(None, confirmed)) == {}
    again = ComplaintReopened(
        complaint_id="co-1",
        customer_ref="cu-1",
        site=SITE,
        language="en",
        round=2,
        promised_by=START,
        has_contact=False,
    )
    reopened = promised_again(over(None, confirmed), again)
    assert promise_stands(reopened).keys() == {f"promises/{SITE}"}
    assert promise_stands(over(reopened, confirmed)) == {}
    late = ComplaintOverdue(
        complaint_id="co-1",
        customer_ref="cu-1",
        site=SITE,
        category="food",
        severity="mild",
        round=1,
        promised_by=START,
        overdue_at=START,
    )
    assert not broken(reopened, late).broken  # that of an earlier round
    assert promise_stands(broken(None, late)).keys() == {f"broken/{SITE}"}


async def taken_back_from(aboard: Aboard) -> list[str]:
    found = (await board(aboard))["promises"]["taken_back"]
    return [one["complaint_id"] for one in found]


async def take_back(aboard: Aboard, check: Any) -> None:
    path = f"checks/{check.json()['check_id']}/void"
    assert (await aboard.post(path, f"v-{path}")).status_code == 200


async def test_whose_only_check_was_taken_back_waits_again_before_the_promised_time_and_after_it(
    recorded: Aboard,
):
    complaint = await mild(recorded)
    check = await recorded.give(complaint, "cinema", "a")
    assert await waiting(recorded) == (0, [], [])
    await take_back(recorded, check)
    assert await waiting(recorded) == (1, [], [])
    assert await taken_back_from(recorded) == [complaint]
    await pass_by(recorded, PROMISED + timedelta(hours=1))
    assert (await waiting(recorded))[0] == 1
    assert await taken_back_from(recorded) == [complaint]
    await recorded.give(complaint, "cinema", "b")
    assert await waiting(recorded) == (0, [], [])
    assert await taken_back_from(recorded) == []


async def test_who_still_has_another_check_does_not_wait(recorded: Aboard):
    complaint = await mild(recorded)
    first = await recorded.give(complaint, "cinema", "a")
    second = await recorded.give(complaint, "sincere-words", "b", again=True)
    await take_back(recorded, second)
    assert (await waiting(recorded))[0] == 0
    await take_back(recorded, first)
    assert await taken_back_from(recorded) == [complaint]


async def test_from_whom_all_that_was_given_on_the_spot_was_taken_back_waits(recorded: Aboard):
    wish = {"on_the_spot": {"text": "Cold soup."}, "item": "cinema", "reason": "food"}
    check = await recorded.post("checks", "s", wish)
    await take_back(recorded, check)
    assert await taken_back_from(recorded) == [check.json()["complaint_id"]]
    assert (await waiting(recorded))[0] == 1


async def test_what_was_taken_back_is_listed_for_a_week_and_not_of_closed_complaints(
    recorded: Aboard,
):
    complaint = await mild(recorded)
    await take_back(recorded, await recorded.give(complaint, "cinema", "a"))
    await pass_by(recorded, BROKEN_FOR + timedelta(minutes=1))
    assert await taken_back_from(recorded) == []
    other = await mild(recorded, 1)
    check = await recorded.give(other, "cinema", "b")
    await recorded.carry()
    said = FeedbackReceived(
        complaint_id=other,
        check_id=check.json()["check_id"],
        helped=Helped.YES,
        answered_at=recorded.clock(),
    )
    await recorded.feed("complaints", FeedbackReceived.TOPIC, [record(said, 0)])
    await take_back(recorded, check)
    assert await taken_back_from(recorded) == []


def a_check(hours: int, name: str = "ck-1", **more: Any) -> CheckIssued:
    fields = {"offer_id": None, "value_minor": 250_00, **more}
    at = START + timedelta(hours=hours)
    return CheckIssued.model_construct(check_id=name, site=SITE, issued_at=at, **fields)


def an_offer(hours: int, name: str = "of-1") -> OfferMade:
    at = START + timedelta(hours=hours)
    return OfferMade.model_construct(offer_id=name, site=SITE, offered_at=at)


def a_void(name: str = "ck-1", unredeemed_minor: int = 250_00) -> CheckVoided:
    return CheckVoided.model_construct(
        check_id=name,
        site=SITE,
        unredeemed_minor=unredeemed_minor,
        voided_at=START + timedelta(hours=9),
    )


def test_the_latest_answer_counts_in_whichever_order_partitions_arrive():
    latest = START + timedelta(hours=2)
    assert offered(offered(None, an_offer(1)), an_offer(2, "of-2")).last_at == latest
    assert offered(offered(None, an_offer(2, "of-2")), an_offer(1)).last_at == latest
    assert given(offered(None, an_offer(1)), a_check(2)).last_at == latest
    kept = Answered(offers={"of-1": latest})
    assert not kept.keeps(Promise(since=latest))
    assert kept.keeps(Promise())


def test_a_chosen_offer_whose_check_was_taken_back_is_no_answer_in_whichever_order_they_come():
    check = a_check(2, offer_id="of-1")
    late = offered(taken_back(given(None, check), a_void()), an_offer(1))
    early = taken_back(given(offered(None, an_offer(1)), check), a_void())
    assert (late.at, early.at) == (None, None)
    assert late == early


def test_a_check_that_was_used_in_part_before_it_was_taken_back_is_an_answer():
    assert taken_back(given(None, a_check(2)), a_void(unredeemed_minor=1)).last_at is not None
    assert taken_back(given(None, a_check(2, value_minor=0)), a_void(unredeemed_minor=0)).at is None
    assert taken_back(None, a_void()).at is None


def test_what_is_kept_of_a_complaint_is_bounded():
    found: Answered | None = None
    for number in range(100):
        found = given(
            offered(found, an_offer(number, f"of-{number}")), a_check(number, f"{number}")
        )
    assert found is not None
    assert len(found.checks) == len(found.offers) == 20
    # What is not kept any more is taken back without a trace, in whichever order that comes.
    assert taken_back(found, a_void("1")) == found
    assert found.checks["99"] == GivenCheck(at=START + timedelta(hours=99), value_minor=250_00)


# ---- budgets and incidents -----------------------------------------------------------------------


async def test_a_budget_fills_with_what_is_given_or_held_and_empties_with_what_comes_back(
    recorded: Aboard,
):
    async def used() -> int:
        return int((await board(recorded))["budget"]["used_minor"])

    complaint, other = await mild(recorded), await mild(recorded, 1)
    check = (await recorded.give(complaint, "taxfree-card/50000", "a")).json()
    assert await used() == 500_00
    offer = {"complaint_id": other, "items": ["cinema", "sincere-words"], "reason": "food"}
    await recorded.post("offers", "o", offer)
    assert await used() == 500_00 + 90_00
    await recorded.post(f"checks/{check['check_id']}/void", "v")
    assert await used() == 90_00
    found = (await board(recorded))["budget"]
    assert (found["granted_minor"], found["currency"]) == (60000_00, "NOK")
    assert (found["day"], found["until"]) == ("2026-06-03", "2026-06-04T06:00:00+02:00")
    accounts = recorded.stores["compensation"].kept.accounts
    assert accounts[f"site/{SITE}/NOK/2026-06-03"] == found["used_minor"]


async def test_a_budget_is_empty_again_on_the_next_business_day(recorded: Aboard):
    await recorded.give(await mild(recorded), "taxfree-card/50000", "a")
    recorded.later(hours=15)
    await recorded.ring("compensation")
    found = (await board(recorded))["budget"]
    assert (found["day"], found["used_minor"]) == ("2026-06-04", 0)


async def test_an_open_incident_shows_how_far_it_is_and_how_full_its_budget(recorded: Aboard):
    await complaints(recorded, 4)
    incident = await the_incident(recorded)
    path = f"incidents/{incident['incident_id']}"
    await recorded.post(f"{path}/give", "g")
    for _ in range(3):
        await recorded.ring("compensation")
    (found,) = (await board(recorded))["incidents"]
    assert found["incident_id"] == incident["incident_id"]
    assert (found["reason"], found["affected"], found["given"], found["skipped"]) == (
        "food",
        4,
        4,
        0,
    )
    budget = found["budget"]
    assert (budget["granted_minor"], budget["used_minor"]) == (1000_00, 4 * 200_00)
    await recorded.post(f"{path}/close", "c")
    assert (await board(recorded))["incidents"] == []


# ---- signals --------------------------------------------------------------------------------------


async def test_the_board_says_how_many_signals_nobody_dismissed(recorded: Aboard):
    assert (await board(recorded))["signals"] == {"open": 0, "more": False}
    first = await one_signal(recorded, "a")
    await one_signal(recorded, "b")
    assert (await board(recorded))["signals"] == {"open": 2, "more": False}
    async with recorded.http("audit", reader(recorded)) as asked:
        path = f"/v1/signals/{first}/dismissal"
        said = {"reason": "explained"}
        dismissed = await asked.post(path, json=said, headers={"Idempotency-Key": "d"})
    assert dismissed.status_code == 200
    assert (await board(recorded))["signals"] == {"open": 1, "more": False}


# ---- measures ------------------------------------------------------------------------------------


async def test_each_number_of_today_says_its_measure_and_its_day(recorded: Aboard):
    await recorded.give(await mild(recorded), "cinema", "a")
    found = await board(recorded)
    today = {(one["measure"], one["part"]): one for one in found["today"]}
    assert {one.name for one in handlers.TODAY} == {measure for measure, _ in today}
    assert today["complaints", ""]["value"] == 1
    assert today["checks_given", ""]["value"] == 1
    assert today["value_given", ""]["amount_minor"] == 250_00
    assert today["value_given", ""]["currency"] == "NOK"
    assert {one["first_day"] for one in found["today"]} == {"2026-06-03"}
    for name, measures in (
        ("under_use", handlers.UNDER_USE),
        ("over_use", handlers.OVER_USE),
        ("roi", handlers.ROI),
    ):
        assert {one["measure"] for one in found[name]} == {one.name for one in measures}
    assert found["assumptions"].keys() == {"retained_percent", "margin_minor", "handling_minor"}


async def test_causes_say_what_complaints_are_about_today_and_usually(recorded: Aboard):
    for number in range(2):
        await mild(recorded, number)
    recorded.later(days=1)
    await mild(recorded, 2)
    await recorded.raise_complaint(3, text="No towels in the cabin, and the floor was dirty.")
    await recorded.raise_complaint(4, text="The cabin is dirty again.")
    found = [
        (one["reason"], one["today"], one["usual"]) for one in (await board(recorded))["causes"]
    ]
    assert found == [("cleanliness", 2, 0.0), ("food", 1, 0.1)]


# ---- whose sites ---------------------------------------------------------------------------------


@pytest.fixture
async def region(recorded: Aboard) -> Aboard:
    """A second site with a policy."""
    policy = changed(small_incidents(), site=OTHER)
    head = PolicyPublished(site=OTHER, version=1, policy=policy)
    for service in recorded.apps:
        await recorded.feed(service, PolicyPublished.TOPIC, [record(head, 0)], 9)
    return recorded


async def sites(aboard: Aboard, query: str = "", **changes: Any) -> Any:
    found = await board(aboard, f"board{query}", **changes)
    return [one["site"] for one in found["boards"]] if "boards" in found else found["type"]


async def test_several_sites_are_shown_together_those_of_the_token_or_some_of_them(region: Aboard):
    both = {"sites": [OTHER]}
    assert await sites(region) == [SITE]
    assert await sites(region, **both) == [SITE, OTHER]
    assert await sites(region, f"?site={OTHER}", **both) == [OTHER]
    assert await sites(region, f"?site={OTHER}&site={SITE}&site={OTHER}", **both) == [OTHER, SITE]


async def test_a_site_that_the_token_does_not_name_looks_like_one_that_nobody_has(region: Aboard):
    assert await sites(region, f"?site={SITE}&site={OTHER}") == Reason.UNKNOWN_SITE
    for site in (OTHER, "ms-none"):
        for path in (f"board/{site}", f"board/{site}/stream"):
            assert (await board(region, path))["type"] == Reason.UNKNOWN_SITE
    assert (await board(region, "board/ms-none", sites=["ms-none"]))["type"] == Reason.UNKNOWN_SITE


async def test_a_site_without_a_policy_is_named_beside_the_boards_of_the_others(region: Aboard):
    found = await board(region, "board", sites=["ms-none", OTHER])
    assert [one["site"] for one in found["boards"]] == [SITE, OTHER]
    assert found["without_policy"] == ["ms-none"]
    alone = await board(region, "board?site=ms-none", sites=["ms-none"])
    assert alone == {"boards": [], "without_policy": ["ms-none"]}


# ---- live ----------------------------------------------------------------------------------------


class Follower(followers.Follower):
    """Somebody who follows the board of a site: its events as they come."""

    def __init__(self, aboard: Aboard, bearer: str) -> None:
        super().__init__(aboard.apps["audit"].api, f"/v1/board/{SITE}/stream", bearer)

    async def next(self) -> Any:
        """The next board; None at the end."""
        event = await super().next()
        return None if event is None else event.data


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_EVERY_S", 0.01)
    monkeypatch.setattr(handlers, "BOARD_KEPT_S", 0.0)


@pytest.mark.usefixtures("fast")
async def test_who_follows_a_board_gets_it_whole_at_once_and_whenever_it_changes(recorded: Aboard):
    follower = Follower(recorded, reader(recorded))
    assert (await follower.next()) == await board(recorded)
    assert follower.status == 200
    assert follower.headers[b"content-type"].startswith(b"text/event-stream")
    assert follower.headers[b"cache-control"] == b"no-store"
    await mild(recorded)
    while (found := await follower.next())["promises"]["waiting"] != 1:
        pass
    assert found == await board(recorded)
    await follower.leave()


@pytest.mark.usefixtures("fast")
async def test_a_stream_ends_with_its_token(recorded: Aboard):
    follower = Follower(recorded, reader(recorded, ttl_s=60))
    assert await follower.next() is not None
    recorded.later(minutes=2)
    while await follower.next() is not None:
        pass
    await follower.leave()


@pytest.mark.usefixtures("fast")
async def test_a_stream_ends_when_the_process_stops(recorded: Aboard):
    follower = Follower(recorded, reader(recorded))
    assert await follower.next() is not None
    recorded.apps["audit"].parts.health["running"] = lambda: False
    assert await follower.next() is None
    await follower.leave()


@pytest.mark.usefixtures("fast")
async def test_too_many_streams_are_refused_and_one_that_ended_makes_room(
    recorded: Aboard, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(face, "STREAMS_MAX", 1)
    first = Follower(recorded, reader(recorded))
    assert await first.next() is not None
    second = Follower(recorded, reader(recorded))
    await second.leave()
    assert second.status == 503
    await first.leave()
    third = Follower(recorded, reader(recorded))
    assert await third.next() is not None
    await third.leave()


class Held(Follower):
    """A client that takes nothing of its answer until it is told to."""

    def __init__(self, aboard: Aboard, bearer: str) -> None:
        self.answered, self.takes = asyncio.Event(), asyncio.Event()
        super().__init__(aboard, bearer)

    async def _send(self, message: Any) -> None:
        self.answered.set()
        await self.takes.wait()
        await super()._send(message)


@pytest.mark.usefixtures("fast")
async def test_a_stream_counts_before_its_client_takes_anything(
    recorded: Aboard, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(face, "STREAMS_MAX", 1)
    first = Held(recorded, reader(recorded))
    await first.answered.wait()
    second = Follower(recorded, reader(recorded))
    second.gone.set()
    await asyncio.wait({second.answering}, timeout=30)
    assert second.status == 503
    first.takes.set()
    assert await first.next() is not None
    await first.leave()


async def test_those_who_follow_one_site_share_what_is_read(
    recorded: Aboard, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(handlers, "BOARD_KEPT_S", 60.0)
    reads = 0
    store = recorded.stores["audit"]
    plain = store.fetch

    async def counted(keys: Any, accounts: Any) -> Any:
        nonlocal reads
        reads += 1
        return await plain(keys, accounts)

    store.fetch = counted  # type: ignore[method-assign]
    followers = [Follower(recorded, reader(recorded)) for _ in range(3)]
    found = []
    for follower in followers:
        found.append(await follower.next())
        if follower is followers[0]:
            once = reads
    assert (found[0], once > 0, reads) == (found[1], True, once)
    for follower in followers:
        await follower.leave()


@pytest.mark.usefixtures("fast")
async def test_over_a_connection_events_come_as_things_happen_and_who_leaves_makes_room(
    recorded: Aboard,
):
    app = recorded.apps["audit"]
    server, listening = http_server(app.api, stop_s=1), socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/board/{SITE}/stream"
    bearer = {"Authorization": f"Bearer {reader(recorded)}"}
    async with asyncio.timeout(60), httpx.AsyncClient(headers=bearer) as client:
        async with client.stream("GET", address) as answer:
            boards = (
                from_json(line.removeprefix("data: "))
                async for line in answer.aiter_lines()
                if line.startswith("data: ")
            )
            assert (await anext(boards))["promises"]["waiting"] == 0
            await mild(recorded)
            await recorded.carry()
            while (await anext(boards))["promises"]["waiting"] != 1:
                pass
        while app.parts.face._streams:
            await asyncio.sleep(0.01)
    server.should_exit = True
    await serving
