"""What a phone asks once: its site, who holds it, and what may be given to anybody."""

from __future__ import annotations

import pytest

from shared.contracts.complaints import Category, Severity
from shared.contracts.reasons import Reason
from tests.suites.services import SITE, Aboard


async def test_a_site_tells_its_catalogue_its_categories_and_its_promises(aboard: Aboard):
    """Once: the same again is a 304."""
    answer = await aboard.get("site", **{"Accept-Language": "en-GB,nb;q=0.5"})
    site, policy = answer.json(), aboard.policy
    assert (site["site"], site["name"], site["currency"]) == (SITE, policy.site_name, "NOK")
    assert [one["category"] for one in site["categories"]] == list(Category)
    assert {"category": "food", "title": "Food and service"} in site["categories"]
    titles = {one["item"]: one["title"] for one in site["catalogue"]}
    assert titles == {name: item.title["en"] for name, item in policy.checks.items()}
    offered = [option["item"] for one in site["catalogue"] for option in one["options"]]
    assert offered == [option.item for option in policy.options()]
    promised = {(one["category"], one["severity"]): one["within_s"] for one in site["promises"]}
    assert len(promised) == len(Category) * len(Severity)
    food = policy.promise(Category.FOOD, Severity.SEVERE)
    assert promised["food", "severe"] == food.total_seconds()
    known = {"If-None-Match": answer.headers["etag"], "Accept-Language": "en"}
    assert (await aboard.get("site", **known)).status_code == 304


@pytest.mark.parametrize(("asked", "told"), [("da", "da"), ("", "nb"), ("fr", "nb")])
async def test_titles_are_in_the_callers_language_else_in_the_sites_first(
    aboard: Aboard, asked, told
):
    assert aboard.policy.languages[0] == "nb"
    headers = {"Accept-Language": asked} if asked else {}
    complaint = await aboard.raise_complaint()
    options = (await aboard.get(f"options?complaint={complaint}", **headers)).json()["options"]
    for one in options:
        assert one["title"] == aboard.policy.checks[one["item"].partition("/")[0]].title[told]
    issued = (await aboard.give(complaint, "cinema", "k")).json()
    title = aboard.policy.checks["cinema"].title
    assert issued["title"] == title["nb"]
    for path in (f"checks/{issued['check_id']}", "checks", f"checks?complaint={complaint}"):
        shown = (await aboard.get(path, **headers)).json()
        assert shown.get("title", shown.get("checks", [{}])[0].get("title")) == title[told]
    shown = (await aboard.get(f"options?complaint={complaint}", **headers)).json()
    assert [one["title"] for one in shown["history"]] == [title[told]]


async def test_an_answer_with_titles_says_that_it_varies_with_the_language(aboard: Aboard):
    """A cache must not show one caller the titles of another; a 304 says so too."""
    complaint = await aboard.raise_complaint()
    issued = await aboard.give(complaint, "cinema", "k")
    wish = {"complaint_id": complaint, "items": ["cinema", "dinner-for-two"], "reason": "food"}
    made = await aboard.post("offers", "o", {**wish, "again": True})
    path = f"offers/{made.json()['offer_id']}/choice"
    answers = [issued, made, await aboard.post(path, "c", {"item": "cinema"})]
    for path in ("site", "options", "checks", f"checks/{issued.json()['check_id']}"):
        answers.append(await aboard.get(path))
        answers.append(await aboard.get(path, **{"If-None-Match": answers[-1].headers["etag"]}))
    assert [a.status_code for a in answers] == [201] * 3 + [200, 304] * 4
    # A longer answer is compressed as well, and then varies with the encoding too.
    assert [a for a in answers if "Accept-Language" not in a.headers.get("vary", "")] == []
    assert "Accept-Language" not in (await aboard.get("me")).headers.get("vary", "")


async def test_an_employee_is_told_who_they_are_and_whether_they_are_on_shift(aboard: Aboard):
    me = (await aboard.get("me")).json()
    assert (me["employee_id"], me["site"], me["checked_in_until"]) == ("e-ingrid", SITE, None)
    await aboard.post("me/shift", "k", {"hours": 2})
    me = (await aboard.get("me")).json()
    assert me["on_shift"] is True
    assert me["checked_in_until"] is not None


async def test_options_are_told_for_a_situation_without_complaint_and_customer(aboard: Aboard):
    """And what is said of a complaint stands in for what is known of it."""
    found = (await aboard.get("options?reason=noise&severity=severe&language=da")).json()
    assert (found["reason"], found["severity"], found["history"]) == ("noise", "severe", [])
    assert found["options"]
    complaint = await aboard.raise_complaint()
    found = (await aboard.get(f"options?complaint={complaint}&reason=noise")).json()
    assert found["reason"] == "noise"
    both = await aboard.get(f"options?complaint={complaint}&customer=cabin-1")
    assert (both.status_code, both.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    assert (await aboard.get("options?reason=weather")).status_code == 422


async def test_on_the_spot_the_reason_is_enough(aboard: Aboard):
    """Nobody has to write before the customer is given something; the log says what it is about."""
    wish = {"on_the_spot": {}, "item": "cinema", "reason": "noise"}
    issued = await aboard.post("checks", "k", wish)
    assert issued.status_code == 201
    await aboard.carry()
    async with aboard.http("complaints") as phone:
        shown = (await phone.get(f"/v1/complaints/{issued.json()['complaint_id']}")).json()
    assert (shown["category"], shown["text"]) == ("noise", "")


async def test_a_complaint_with_a_phone_number_alone_keeps_it(aboard: Aboard):
    """It is sealed with the complaint, and says that no message of ours reaches the customer."""
    contact = {"name": "Kari", "phone": "+47 900 00 000"}
    async with aboard.http("complaints") as phone:
        answer = await phone.post(
            "/v1/complaints",
            json={"site": SITE, "text": "cold soup", "contact": contact},
            headers={"Idempotency-Key": "k"},
        )
    assert answer.json()["reachable"] is False
    (received,) = [fact for fact in await aboard.facts("complaints") if "received" in fact["type"]]
    assert received["contact"] is not None
