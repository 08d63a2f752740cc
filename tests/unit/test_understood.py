"""What is understood of a complaint, as facts say it and employees see and correct it."""

from __future__ import annotations

import pytest

from tests.suites.services import Aboard

pytestmark = pytest.mark.unit

TEXT = "My son, 8, has a nut allergy. Our flight was cancelled and I want a refund."


async def of(aboard: Aboard, kind: str) -> dict[str, object]:
    (found,) = [
        event["data"]
        for event in await aboard.events("complaints")
        if event["type"] == f"recovery.complaint.{kind}.v1"
    ]
    return found


async def correct(aboard: Aboard, name: str, key: str, **command: str) -> tuple[int, str]:
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        answer = await phone.post(
            f"/v1/complaints/{name}/correct", json=command, headers={"Idempotency-Key": key}
        )
    return answer.status_code, answer.text


async def seen(aboard: Aboard, name: str) -> dict[str, object]:
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        found: dict[str, object] = (await phone.get(f"/v1/complaints/{name}")).json()
    return found


async def test_a_triaged_complaint_says_what_it_needs_and_why(aboard: Aboard) -> None:
    name = await aboard.raise_complaint(text=TEXT, language="en")
    triaged = await of(aboard, "triaged")
    assert triaged["flags"] == ["allergy", "child"]
    assert (triaged["safety"], triaged["intent"]) == (True, "complaint")
    assert triaged["remedy"] == "money"
    reasons = triaged["reasons"]
    assert isinstance(reasons, list)
    assert {one["rule"] for one in reasons} >= {"flag.allergy", "flag.child", "remedy.money"}
    assert (await seen(aboard, name))["flags"] == ["allergy", "child"]


async def test_an_employee_corrects_what_it_is_about_in_particular(aboard: Aboard) -> None:
    name = await aboard.raise_complaint(text="They lost my suitcase.", language="en")
    assert (await of(aboard, "triaged"))["subcategory"] == "lost"
    assert (await correct(aboard, name, "k-1", subcategory="damaged"))[0] == 200
    assert (await of(aboard, "corrected"))["subcategory"] == "damaged"
    found = await seen(aboard, name)
    assert (found["category"], found["subcategory"]) == ("baggage", "damaged")


async def test_another_category_ends_the_subcategory(aboard: Aboard) -> None:
    name = await aboard.raise_complaint(text="They lost my suitcase.", language="en")
    assert (await correct(aboard, name, "k-1", category="staff"))[0] == 200
    found = await seen(aboard, name)
    assert (found["category"], found["subcategory"]) == ("staff", None)


async def test_a_subcategory_that_the_policy_does_not_have_is_refused(aboard: Aboard) -> None:
    name = await aboard.raise_complaint(text="They lost my suitcase.", language="en")
    status, said = await correct(aboard, name, "k-1", subcategory="queue")
    assert status == 422
    assert "/subcategory" in said
