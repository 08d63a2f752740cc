"""Who lists employees, and whose."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, employee_name
from shared.testing.builders import record
from tests.suites.services import Aboard, demo_roster

OTHER_SITE = "ms-borealis"
RECEPTION = {"site": "ms-aurora", "listing": {"role": "reception"}}
GONE = {"site": "ms-aurora", "listing": {"role": "any", "active": False}}


async def put(
    aboard: Aboard, employee: str, body: dict, kind: str = "personnel", site: str = "ms-aurora"
) -> httpx.Response:
    async with aboard.http("compensation", aboard.bearer("hr", kind, site=site)) as caller:
        key = {"Idempotency-Key": f"{site}-{employee}-{body}"[:255]}
        return await caller.put(f"/v1/employees/{employee}", json=body, headers=key)


@pytest.fixture
async def two_sites(aboard: Aboard) -> Aboard:
    policy = aboard.policy.model_copy(update={"site": OTHER_SITE})
    head = PolicyPublished(site=OTHER_SITE, version=1, policy=policy)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, 1)])
    return aboard


@pytest.mark.parametrize("kind", ["till", "employee", "manager", "customer", "system"])
async def test_only_a_sites_personnel_system_lists_employees(aboard: Aboard, kind):
    assert (await put(aboard, "e-new", RECEPTION, kind)).status_code == 403
    assert (await put(aboard, "e-new", RECEPTION)).status_code == 200


async def test_an_employee_id_belongs_to_its_site(two_sites: Aboard):
    """Two sites that number their people alike have two people, who never touch one another."""
    here = {"site": OTHER_SITE, "listing": {"role": "any"}}
    there = two_sites.bearer("e-ingrid", site=OTHER_SITE)
    ours = (await two_sites.get("me/authority")).json()
    assert (await two_sites.get("me/authority", there)).status_code == 403
    assert (await put(two_sites, "e-ingrid", here, site=OTHER_SITE)).status_code == 200
    assert (await two_sites.post("me/shift", "in", {}, there)).status_code == 200
    log = {"text": "Cold soup.", "customer": "cabin 7"}
    wish = {"on_the_spot": log, "item": "dinner-for-two", "reason": "food"}
    given = await two_sites.post("checks", "g", wish, there)
    assert given.status_code == 201, given.text
    assert (await two_sites.get("me/authority")).json() == ours, "neither role nor room changed"
    assert (await two_sites.get("checks")).json()["checks"] == []
    assert len((await two_sites.get("checks", there)).json()["checks"]) == 1
    for path in (f"checks/{given.json()['check_id']}", f"checks/{given.json()['check_id']}/qr.svg"):
        assert (await two_sites.get(path)).status_code == 404
    gone = {**here, "listing": {"role": "any", "active": False}}
    assert (await put(two_sites, "e-ingrid", gone, site=OTHER_SITE)).status_code == 200
    assert (await two_sites.get("me/authority", there)).status_code == 403
    assert (await two_sites.get("me/authority")).json() == ours


async def test_a_site_without_a_policy_lists_nobody(aboard: Aboard):
    here = {"site": OTHER_SITE, "listing": {"role": "reception"}}
    refused = await put(aboard, "e-new", here, site=OTHER_SITE)
    assert (refused.status_code, refused.json()["type"]) == (404, Reason.UNKNOWN_SITE)
    assert "employee.listed" not in await aboard.types("compensation")


@pytest.mark.parametrize(("site", "employee_id"), [("s" * 128, "e-1"), ("s", "e" * 128)])
def test_the_longest_names_are_as_long_as_an_id_and_two_are_never_one(site, employee_id):
    name = employee_name(site, employee_id)
    assert len(name) <= 128
    assert len({name, employee_name(site, employee_id[:-1]), employee_name(site[:-1], "e-1")}) == 3
    assert employee_name("a/b", "c") != employee_name("a", "b/c")


@pytest.mark.parametrize(
    "wrong",
    [{"actve": False}, {"shift": {"starts": "08:00", "ends": "16:00", "day": ["mon"]}}],
    ids=["of the listing", "of the shift"],
)
async def test_a_misspelt_field_is_refused_and_not_left_out(aboard: Aboard, wrong):
    body = {"site": "ms-aurora", "listing": {"role": "reception", **wrong}}
    answer = await put(aboard, "e-ingrid", body)
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)


async def test_the_same_name_at_two_sites_is_two_principals(two_sites: Aboard):
    first = await put(two_sites, "e-new", RECEPTION)
    key = {"Idempotency-Key": "the same"}
    for site, status in (("ms-aurora", 200), (OTHER_SITE, 404)):
        bearer = two_sites.bearer("hr", "personnel", site=site)
        async with two_sites.http("compensation", bearer) as caller:
            answer = await caller.put("/v1/employees/e-new", json=RECEPTION, headers=key)
        assert answer.status_code == status
    assert first.json()["employee_id"] == "e-new"


async def test_a_deactivation_is_not_lost_to_a_roster_from_a_clock_that_is_ahead(aboard: Aboard):
    listing = demo_roster().employees["e-ingrid"]
    ahead = aboard.clock() + timedelta(minutes=2)
    fact = EmployeeListed(
        employee_id="e-ingrid", site="ms-aurora", listing=listing, listed_at=ahead
    )
    await aboard.feed("compensation", EmployeeListed.TOPIC, [record(fact, 100)])
    assert (await put(aboard, "e-ingrid", GONE)).status_code == 200
    assert (await aboard.get("me/authority")).status_code == 403


async def test_only_who_gave_it_explains_a_stretch_and_not_their_namesake_at_another_site(
    two_sites: Aboard,
):
    complaint = await two_sites.raise_complaint()
    for number in range(2):
        await two_sites.give(complaint, "taxfree-card/100000", f"k{number}", "e-jonas")
    check = (await two_sites.give(complaint, "onboard-credit/50000", "s", "e-jonas")).json()
    here = {"site": OTHER_SITE, "listing": {"role": "deck"}}
    assert (await put(two_sites, "e-jonas", here, site=OTHER_SITE)).status_code == 200
    line = {"explanation": "Third delay this week."}
    path = f"checks/{check['check_id']}/explain"
    there = two_sites.bearer("e-jonas", site=OTHER_SITE)
    assert (await two_sites.post(path, "x", line, there)).status_code == 404
    ours = two_sites.bearer("e-jonas")
    assert (await two_sites.post(path, "x", line, ours)).status_code == 200


async def test_a_ship_that_sets_its_clock_back_closes_no_day_twice(aboard: Aboard):
    west = Policy.model_validate(
        {**aboard.policy.model_dump(mode="json"), "timezone": "Europe/London"}
    )
    head = PolicyPublished(site=west.site, version=2, policy=west)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, 1)])
    for hours in (14, 2):
        aboard.later(hours=hours, minutes=3)
        await aboard.ring("compensation")
    facts = await aboard.facts("compensation")
    days = [fact["day"] for fact in facts if fact["type"].endswith("window.closed.v1")]
    assert days == ["2026-06-03"]
