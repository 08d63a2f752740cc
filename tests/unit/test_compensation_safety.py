"""Somebody's safety: whatever is given or not, those who must know hear of it, once."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.reasons import Reason
from tests.suites.services import Aboard
from tests.unit.test_fault_cases import policy

HURT = "I slipped on the wet deck and broke my arm, an injury."


async def noted(aboard: Aboard) -> list[str]:
    facts = await aboard.facts("compensation")
    return [fact["safety"] for fact in facts if fact["type"].endswith("safety.noted.v1")]


async def test_an_offer_tells_of_it_at_once_and_the_choice_not_again(tmp_path: Path):
    a = await Aboard(tmp_path, policy()).begin()
    complaint = await a.raise_complaint(text=HURT)
    wish = {"complaint_id": complaint, "items": ["sum/300", "sum/200"], "reason": "safety"}
    made = await a.post("offers", "o", {**wish, "safety": "injury"})
    assert made.status_code == 201
    assert await noted(a) == ["injury"]
    chosen = await a.post(f"offers/{made.json()['offer_id']}/choice", "c", {"item": "sum/200"})
    assert chosen.status_code == 201
    assert await noted(a) == ["injury"]


async def test_an_offer_beyond_authority_tells_of_it_all_the_same(tmp_path: Path):
    a = await Aboard(tmp_path, policy()).begin()
    complaint = await a.raise_complaint(text=HURT)
    wish = {"complaint_id": complaint, "items": ["sum/300", "sum/2000"], "reason": "safety"}
    assert (await a.post("offers", "o", wish)).status_code == 409
    assert await noted(a) == ["other"]


async def test_where_a_colleague_gave_something_a_moment_ago_it_is_told_all_the_same(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    await aboard.give(complaint, "cinema", "a")
    for _ in range(2):
        second = await aboard.give(complaint, "cinema", "b", "e-sofia", safety="injury")
        assert (second.status_code, second.json()["type"]) == (409, Reason.ALREADY_COMPENSATED)
    assert await noted(aboard) == ["injury"]
    third = await aboard.give(complaint, "cinema", "c", "e-sofia")
    assert third.json() == second.json()


async def test_what_was_said_on_the_spot_marks_the_complaint(aboard: Aboard):
    log = {"text": "Bad soup", "customer": "cabin-1"}
    wish = {"on_the_spot": log, "item": "cinema", "reason": "food", "safety": "allergy"}
    assert (await aboard.post("checks", "s", wish)).status_code == 201
    await aboard.carry()
    facts = await aboard.facts("complaints")
    assert [one["safety"] for one in facts if one["type"].endswith("triaged.v1")] == [True]


async def test_what_did_not_fit_on_the_spot_marks_the_complaint_too(tmp_path: Path):
    a = await Aboard(tmp_path, policy()).begin()
    log = {"text": "Nuts in the soup", "customer": "cabin-1"}
    wish = {"on_the_spot": log, "item": "sum/2000", "reason": "food", "safety": "allergy"}
    refused = await a.post("checks", "s", wish)
    assert refused.status_code == 409
    await a.carry()
    (noted,) = [one for one in await a.facts("compensation") if one["type"].endswith("noted.v1")]
    (triaged,) = [one for one in await a.facts("complaints") if one["type"].endswith("triaged.v1")]
    assert noted["complaint_id"] == triaged["complaint_id"] == refused.json()["complaint_id"]
    assert (triaged["safety"], triaged["answered"]) == (True, False)


async def test_what_was_told_on_the_spot_learns_from_triage_that_it_is_about_safety(
    aboard: Aboard,
):
    log = {"text": "The rail came off in my hand.", "customer": "cabin-1"}
    wish = {"on_the_spot": log, "item": "cinema", "reason": "safety"}
    given = await aboard.post("checks", "s", wish)
    assert (given.status_code, await noted(aboard)) == (201, [])
    await aboard.carry()
    assert (await aboard.give(given.json()["complaint_id"], "cinema", "k")).status_code == 201
    assert await noted(aboard) == ["other"]
