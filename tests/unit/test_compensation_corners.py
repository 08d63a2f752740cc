"""Corners of compensation that nobody thinks of until somebody stands in them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.compensation.checks.handlers import Explain, OnTheSpot
from tests.unit.test_fault_cases import Aboard, Reason, policy


async def test_a_closed_incident_is_not_opened_again_by_the_next_complaint(tmp_path):
    a = await _closed(tmp_path)
    await a.raise_complaint(3, text="Cold soup, the soup was cold.", customer="c3")
    assert (await a.get("incidents")).json()["incidents"] == []


async def test_as_many_complaints_after_a_closed_incident_open_another(tmp_path):
    a = await _closed(tmp_path)
    for n in range(3, 6):
        await a.raise_complaint(n, text="Cold soup, the soup was cold.", customer=f"c{n}")
    (another,) = (await a.get("incidents")).json()["incidents"]
    assert another["reason"] == "food"


async def _closed(tmp_path) -> Aboard:
    """Three complaints opened an incident, and it was closed."""
    rule = {"open_when": {"count": 3, "within": "PT30M"}, "give": "cinema", "budget": 10**6}
    a = await Aboard(tmp_path, policy(incidents=rule)).begin()
    for n in range(3):
        await a.raise_complaint(n, text="Cold soup, the soup was cold.", customer=f"c{n}")
    (one,) = (await a.get("incidents")).json()["incidents"]
    assert (await a.post(f"incidents/{one['incident_id']}/close", "c")).status_code == 200
    return a


async def test_a_chosen_check_for_an_injury_is_noted_for_those_who_must_know(tmp_path):
    a = await Aboard(tmp_path, policy()).begin()
    c = await a.raise_complaint(text="I slipped on the wet deck and broke my arm, an injury.")
    wish = {"complaint_id": c, "items": ["sum/300", "sum/200"], "reason": "safety"}
    offer = (await a.post("offers", "o", wish)).json()["offer_id"]
    assert (await a.post(f"offers/{offer}/choice", "c", {"item": "sum/300"})).status_code == 201
    assert "safety.noted" in await a.types("compensation")


async def test_an_amount_has_one_spelling(tmp_path):
    a = await Aboard(tmp_path, policy()).begin()
    c = await a.raise_complaint()
    assert (await a.give(c, "sum/0100", "k")).status_code == 422


async def test_a_timer_that_rings_before_its_time_stays_set(tmp_path):
    """A clock that jumps back between finding what is due and settling it (case 31)."""
    a = await Aboard(tmp_path, policy()).begin()
    c = await a.raise_complaint()
    check = (await a.give(c, "sum/400", "k")).json()["check_id"]
    due = a.stores["compensation"].kept.timers[f"expire|{check}"]
    await a.apps["compensation"].on_timer["expire"](check, due)
    assert f"expire|{check}" in a.stores["compensation"].kept.timers


async def test_an_offer_after_a_colleagues_check_is_asked_about_too(tmp_path):
    """Case 12 by way of an offer."""
    a = await Aboard(tmp_path, policy()).begin()
    c = await a.raise_complaint()
    assert (await a.give(c, "sum/100", "a")).status_code == 201
    wish = {"complaint_id": c, "items": ["sum/300", "sum/200"], "reason": "food"}
    r = await a.post("offers", "o", wish, a.bearer("e-jonas"))
    assert (r.status_code, r.json().get("type")) == (409, Reason.ALREADY_COMPENSATED)


async def test_another_till_does_not_capture_what_this_one_holds(tmp_path):
    a = await Aboard(tmp_path, policy()).begin()
    c = await a.raise_complaint()
    code = (await a.give(c, "sum/100", "a")).json()["code"]
    held = (await a.post("redemptions", "r", {"code": code}, a.bearer("till-1", "till"))).json()
    r = await a.post(
        f"redemptions/{held['redemption_id']}/capture", "c", {}, a.bearer("till-2", "till")
    )
    assert r.status_code == 404


@pytest.mark.parametrize("unseen", ["\u200b", "\x00\x1b", "\u2060 \u3164"])
def test_a_log_and_an_explanation_of_which_nothing_is_seen_are_refused(unseen: str):
    with pytest.raises(ValidationError):
        OnTheSpot(text=unseen)
    with pytest.raises(ValidationError):
        Explain(explanation=unseen)
