"""Causes: named on complaints, acted upon, and followed whether they come back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.complaints import Severity
from shared.contracts.reasons import Reason
from tests.suites.services import SITE, Aboard
from tests.unit.test_measures import shown

NOTE = "Two more at the grill from six to nine."


@pytest.fixture
async def aboard(tmp_path) -> Aboard:
    return await Aboard(tmp_path, recording=True).begin()


class Desk:
    """An employee, or a manager, who names causes and acts upon them."""

    def __init__(self, aboard: Aboard) -> None:
        self._aboard = aboard
        self._keys = 0

    async def post(self, path: str, command: Any, bearer: str | None = None):
        self._keys += 1
        async with self._aboard.http("complaints", bearer) as phone:
            headers = {"Idempotency-Key": f"k{self._keys}"}
            return await phone.post(f"/v1/{path}", json=command, headers=headers)

    async def name(self, about: str, cause: str, bearer: str | None = None):
        return await self.post(f"complaints/{about}/cause", {"cause": cause}, bearer)

    async def act(self, cause: str, bearer: str | None = None):
        return await self.post("causes/actions", {"cause": cause, "note": NOTE}, bearer)

    async def causes(self, query: str = "", bearer: str | None = None) -> Any:
        async with self._aboard.http("complaints", bearer) as phone:
            return (await phone.get(f"/v1/causes{query}")).json()

    async def cause(self, name: str) -> Any:
        found = (await self.causes())["causes"]
        return next(one for one in found if one["cause"] == name)


@pytest.fixture
def desk(aboard: Aboard) -> Desk:
    return Desk(aboard)


def accounts(aboard: Aboard) -> dict[str, int]:
    kept = aboard.stores["complaints"].kept.accounts
    return {name: n for name, n in kept.items() if n and name.startswith("cause")}


async def test_an_employee_or_a_manager_puts_a_complaint_down_to_a_cause(aboard, desk: Desk):
    for number, bearer in enumerate([None, aboard.bearer("m-1", "manager")]):
        about = await aboard.raise_complaint(number)
        answer = await desk.name(about, "kitchen-queue", bearer)
        assert answer.status_code == 200, answer.text
        assert answer.json()["cause"] == "kitchen-queue"
    found = await desk.cause("kitchen-queue")
    assert found["complaints"] == 2
    assert [one["complaints"] for one in found["weeks"]] == [0] * 7 + [2]
    assert found["last_action"] is None


async def test_a_cause_shows_in_the_timeline_and_no_customer_reads_it(aboard, desk: Desk):
    about = await aboard.raise_complaint()
    await desk.name(about, "kitchen-queue")
    async with aboard.http("complaints") as phone:
        entries = (await phone.get(f"/v1/complaints/{about}/timeline")).json()["entries"]
    (entry,) = [one for one in entries if one["what"] == "cause_named"]
    assert (entry["cause"], entry["employee_id"], entry["who"]) == (
        "kitchen-queue",
        "e-ingrid",
        "employee",
    )


async def test_another_cause_takes_the_place_of_the_first_and_of_what_it_counted(aboard, desk):
    about = await aboard.raise_complaint()
    await desk.name(about, "kitchen-queue")
    before = accounts(aboard)
    assert (await desk.name(about, "kitchen-queue")).json()["type"] == Reason.CAUSE_NAMED
    # How bad it seems since then changes nothing of what was counted.
    async with aboard.http("complaints") as phone:
        await phone.post(
            f"/v1/complaints/{about}/correct",
            json={"severity": "severe"},
            headers={"Idempotency-Key": "c"},
        )
    assert (await desk.name(about, "air-conditioning")).status_code == 200
    moved = {name.replace("kitchen-queue", "air-conditioning"): n for name, n in before.items()}
    assert accounts(aboard) == moved
    assert (await desk.name(about, "kitchen-queue")).status_code == 200
    assert accounts(aboard) == before


async def test_causes_are_ordered_by_how_often_and_how_bad(aboard, desk: Desk):
    async def raised(number: int, severity: Severity) -> str:
        about = await aboard.raise_complaint(number)
        async with aboard.http("complaints") as phone:
            await phone.post(
                f"/v1/complaints/{about}/correct",
                json={"severity": severity},
                headers={"Idempotency-Key": f"s{number}"},
            )
        return about

    for number in range(3):
        await desk.name(await raised(number, Severity.MILD), "price-display")
    await desk.name(await raised(8, Severity.SEVERE), "cabin-turnover")
    found = (await desk.causes())["causes"]
    assert [(one["cause"], one["complaints"], one["weight"]) for one in found[:2]] == [
        ("cabin-turnover", 1, 4),
        ("price-display", 3, 3),
    ]
    assert [one["weight"] for one in found[2:]] == [0] * (len(found) - 2)


async def test_an_action_is_followed_whether_the_cause_comes_back(aboard, desk: Desk):
    for number in range(4):
        await desk.name(await aboard.raise_complaint(number), "kitchen-queue")
    early = await aboard.raise_complaint(4)
    aboard.later(days=7)
    taken = (await desk.act("kitchen-queue")).json()
    # It came before the action, and says nothing of it.
    await desk.name(early, "kitchen-queue")
    last = (await desk.cause("kitchen-queue"))["last_action"]
    assert (last["note"], last["by"], last["came_back"]) == (NOTE, "e-ingrid", 0)
    assert (last["before_per_week"], last["after_per_week"]) == (1.2, None)
    aboard.later(days=7)
    back = await aboard.raise_complaint(5)
    await desk.name(back, "kitchen-queue")
    aboard.later(days=7)
    last = (await desk.cause("kitchen-queue"))["last_action"]
    assert (last["action_id"], last["came_back"], last["after_per_week"]) == (
        taken["action_id"],
        1,
        1.0,
    )
    # Named as something else, it did not come back after all.
    await desk.name(back, "other-cause")
    assert (await desk.cause("kitchen-queue"))["last_action"]["came_back"] == 0
    await desk.name(back, "kitchen-queue")
    aboard.later(days=20)
    await desk.name(await aboard.raise_complaint(6), "kitchen-queue")
    last = (await desk.cause("kitchen-queue"))["last_action"]
    assert (last["came_back"], last["after_per_week"]) == (1, 0.2)
    facts = [one for one in await aboard.facts("complaints") if "after_action" in one]
    assert {one["after_action"] for one in facts} == {taken["action_id"]}


async def test_a_complaint_says_that_the_cause_came_back_after_the_latest_action(aboard, desk):
    await desk.act("kitchen-queue")
    aboard.later(days=1)
    second = (await desk.act("kitchen-queue")).json()["action_id"]
    aboard.later(hours=1)
    await desk.name(await aboard.raise_complaint(), "kitchen-queue")
    assert accounts(aboard)[f"cause-back/{second}"] == 1
    assert len([name for name in accounts(aboard) if name.startswith("cause-back/")]) == 1


async def test_what_was_done_is_sealed_and_its_words_end(aboard, desk: Desk):
    await desk.act("kitchen-queue")
    assert NOTE not in str(await aboard.facts("complaints"))
    aboard.later(days=500)
    await aboard.ring("complaints")
    assert (await desk.cause("kitchen-queue"))["last_action"]["note"] is None


@pytest.mark.parametrize(
    ("path", "command", "reason"),
    [
        ("complaints/{about}/cause", {"cause": "witchcraft"}, Reason.UNKNOWN_CAUSE),
        ("complaints/co-none/cause", {"cause": "kitchen-queue"}, Reason.UNKNOWN_COMPLAINT),
        ("causes/actions", {"cause": "witchcraft", "note": "A cross."}, Reason.UNKNOWN_CAUSE),
        ("causes/actions", {"cause": "kitchen-queue", "note": " "}, Reason.SCHEMA_INVALID),
    ],
)
async def test_what_nobody_knows_is_refused(aboard, desk: Desk, path, command, reason):
    about = await aboard.raise_complaint()
    answer = await desk.post(path.format(about=about), command)
    assert answer.json()["type"] == reason


async def test_a_list_of_causes_takes_few_trips_however_many_they_are(
    aboard, desk: Desk, monkeypatch
):
    store, trips = aboard.stores["complaints"], 0
    fetch = store.fetch

    async def counted(keys, accounts):
        nonlocal trips
        trips += 1
        return await fetch(keys, accounts)

    monkeypatch.setattr(store, "fetch", counted)
    found = (await desk.causes())["causes"]
    assert trips < len(found)


async def test_causes_are_shown_to_their_own_site(aboard, desk: Desk):
    assert (await desk.causes(f"?site={SITE}"))["site"] == SITE
    assert (await desk.causes("?site=ms-borealis"))["type"] == Reason.UNKNOWN_SITE
    stranger = aboard.bearer("e-nobody")
    assert (await desk.causes("", stranger))["type"] == Reason.UNKNOWN_EMPLOYEE
    about = await aboard.raise_complaint()
    elsewhere = aboard.bearer("m-2", "manager", site="ms-borealis")
    answer = await desk.name(about, "kitchen-queue", elsewhere)
    assert answer.json()["type"] == Reason.UNKNOWN_COMPLAINT


async def test_measures_count_causes_what_was_done_and_what_came_back(aboard, desk: Desk):
    about = await aboard.raise_complaint()
    await desk.name(about, "kitchen-queue")
    await desk.name(about, "air-conditioning")
    await desk.act("air-conditioning")
    aboard.later(minutes=1)
    await desk.name(await aboard.raise_complaint(1), "air-conditioning")
    await aboard.carry()
    found = await shown(aboard)
    expected = {"causes_named": 2, "cause_actions": 1, "causes_came_back": 1}
    assert {name: found.value(name) for name in expected} == expected


async def test_an_action_counts_from_when_it_was_recorded(aboard, desk: Desk):
    """A complaint of the same moment came before anybody could have noticed."""
    await desk.act("kitchen-queue")
    await desk.name(await aboard.raise_complaint(), "kitchen-queue")
    assert not [name for name in accounts(aboard) if name.startswith("cause-back/")]
    aboard.clock.advance(timedelta(milliseconds=1))
    await desk.name(await aboard.raise_complaint(1), "kitchen-queue")
    assert [n for name, n in accounts(aboard).items() if name.startswith("cause-back/")] == [1]
