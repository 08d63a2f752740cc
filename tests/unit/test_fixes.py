"""What is done about the cause of a complaint: recorded, asked for, declined, and late."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.complaints.fixes.rules import FIXES_MAX, Fixes, FixOf, FixState
from shared.contracts.policy import Policy
from tests.suites.services import SITE, Aboard, demo_policy
from tests.unit.test_colleagues import says_no
from tests.unit.test_lifecycle import do, names, seen


async def asked(aboard: Aboard, who: str = "e-jonas", **query: Any) -> list[tuple[str, str]]:
    """The fixes that somebody is asked for, with their complaints."""
    found = await seen(aboard, "/fixes", who, **query)
    return [(one["complaint_id"], one["fix"]) for one in found["fixes"]]


async def test_a_fix_is_recorded_and_shows_in_the_complaint(aboard: Aboard):
    name = await aboard.raise_complaint()
    done = await do(aboard, name, "fix", "e-sofia", fix="cook-again")
    assert done.status_code == 200, done.text
    shown = await seen(aboard, f"/{name}")
    assert (shown["state"], shown["employee_id"]) == ("claimed", "e-sofia")
    (fix,) = shown["fixes"]
    assert (fix["fix"], fix["state"], fix["employee_id"]) == ("cook-again", "done", "e-sofia")
    assert (fix["asked_by"], fix["due_by"], fix["late"]) == (None, None, False)


async def test_a_department_is_asked_for_what_it_does_and_one_of_it_does_it(aboard: Aboard):
    name = await aboard.raise_complaint()
    told = await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    assert told.json()["department"] == "housekeeping"
    assert await asked(aboard, department="housekeeping") == [(name, "clean-again")]
    assert await asked(aboard) == []
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200
    assert await asked(aboard, department="housekeeping") == []
    shown = await seen(aboard, f"/{name}")
    assert shown["employee_id"] == "e-ingrid"
    (fix,) = shown["fixes"]
    assert (fix["asked_by"], fix["employee_id"], fix["state"]) == ("e-ingrid", "e-jonas", "done")


@pytest.mark.parametrize("how", ["fix", "fix/ask", "check"])
@pytest.mark.parametrize("reopened", [False, True])
async def test_who_helps_takes_no_complaint_from_its_owner(
    aboard: Aboard, how: str, reopened: bool
):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-aino")
    if reopened:
        await says_no(aboard, name)
    before = await seen(aboard, f"/{name}")
    assert before["state"] == ("reopened" if reopened else "claimed")
    if how == "check":
        assert (await aboard.give(name, "cinema", "k1")).status_code == 201
        await aboard.carry()
    else:
        assert (await do(aboard, name, how, "e-jonas", fix="clean-again")).status_code == 200
    after = await seen(aboard, f"/{name}")
    assert (after["state"], after["employee_id"]) == (before["state"], "e-aino")
    assert [one["fix"] for one in after["fixes"]] == ([] if how == "check" else ["clean-again"])


async def test_the_owner_of_a_reopened_complaint_is_at_work_on_it_again_by_a_fix(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-aino")
    await says_no(aboard, name)
    await do(aboard, name, "fix", "e-aino", fix="cook-again")
    assert (await seen(aboard, f"/{name}"))["state"] == "claimed"


async def test_a_colleague_is_asked_in_place_of_the_department(aboard: Aboard):
    name = await aboard.raise_complaint()
    told = await do(aboard, name, "fix/ask", "e-ingrid", fix="bring-fan", colleague_id="e-lars")
    assert told.status_code == 200, told.text
    assert await asked(aboard, "e-lars") == [(name, "bring-fan")]
    assert await asked(aboard, department="housekeeping") == []


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"fix": "a-yacht"}, "unknown_fix"),
        ({"fix": "talk-to-neighbours"}, "unknown_department"),
        ({"fix": "clean-again", "department": "managers"}, "unknown_department"),
        ({"fix": "clean-again", "colleague_id": "e-nobody"}, "unknown_colleague"),
        ({"fix": "clean-again", "colleague_id": "e-ingrid"}, "unknown_colleague"),
        (
            {"fix": "clean-again", "colleague_id": "e-lars", "department": "reception"},
            "schema_invalid",
        ),
    ],
)
async def test_a_fix_is_asked_of_nobody_who_cannot_do_it(
    aboard: Aboard, wish: dict[str, str], reason: str
):
    name = await aboard.raise_complaint()
    assert (await do(aboard, name, "fix/ask", "e-ingrid", **wish)).json()["type"] == reason


async def test_a_fix_is_asked_for_once_until_it_is_done_or_declined(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    again = await do(aboard, name, "fix/ask", "e-lars", fix="clean-again")
    assert again.json()["type"] == "fix_asked"
    assert (await do(aboard, name, "fix/decline", "e-jonas", fix="clean-again")).status_code == 200
    assert (await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")).status_code == 200


async def test_who_was_asked_declines_or_who_asked_and_nobody_else(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    stranger = await do(aboard, name, "fix/decline", "e-sofia", fix="clean-again")
    assert stranger.json()["type"] == "fix_not_asked"
    other = await do(aboard, name, "fix/decline", "e-jonas", fix="bring-fan")
    assert other.json()["type"] == "fix_not_asked"
    assert (await do(aboard, name, "fix/decline", "e-ingrid", fix="clean-again")).status_code == 200
    assert await asked(aboard, department="housekeeping") == []


async def test_a_fix_that_is_not_done_in_its_time_is_late_and_said_so_once(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    aboard.later(minutes=44)
    await aboard.ring("complaints")
    assert "fix.late" not in await aboard.types("complaints")
    for _ in range(3):
        aboard.later(minutes=1)
        await aboard.ring("complaints")
    assert (await aboard.types("complaints")).count("fix.late") == 1
    late = next(f for f in await aboard.facts("complaints") if f["type"] == "recovery.fix.late.v1")
    assert (late["employee_id"], late["department"]) == ("e-ingrid", "housekeeping")
    (fix,) = (await seen(aboard, f"/{name}"))["fixes"]
    assert (fix["late"], fix["state"]) == (True, "asked")
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200


@pytest.mark.parametrize("end", ["fix", "fix/decline"])
async def test_a_fix_that_was_done_or_declined_is_never_late(aboard: Aboard, end: str):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    await do(aboard, name, end, "e-jonas", fix="clean-again")
    timers = aboard.stores["complaints"].kept.timers
    assert not any(member.startswith("fix|") for member in timers)
    await aboard.apps["complaints"].on_timer["fix"](f"{name}/clean-again", 0)
    aboard.later(hours=1)
    await aboard.apps["complaints"].on_timer["fix"](f"{name}/clean-again", 0)
    assert "fix.late" not in await aboard.types("complaints")


@pytest.mark.parametrize(
    ("end", "told"),
    [("withdraw", {}), ("unfounded", {}), ("refer", {"body": "transport-complaints-board"})],
)
async def test_nobody_waits_for_the_fix_of_a_complaint_that_ended(
    aboard: Aboard, end: str, told: dict[str, str]
):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    await do(aboard, name, end, **told)
    aboard.later(hours=1)
    await aboard.ring("complaints")
    assert "fix.late" not in await aboard.types("complaints")
    assert await asked(aboard, department="housekeeping") == []
    refused = await do(aboard, name, "fix", "e-jonas", fix="bring-fan")
    assert refused.json()["type"] == "wrong_state"
    # What was asked for and done after all is on record.
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200


async def test_a_fix_keeps_the_promise_of_its_round_and_of_no_later_one(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix", "e-ingrid", fix="cook-again")
    aboard.later(days=1)
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")
    await says_no(aboard, name)
    aboard.later(days=1)
    await aboard.ring("complaints")
    assert (await aboard.types("complaints"))[-1] == "complaint.overdue"


@pytest.mark.parametrize("is_asked", [True, False])
async def test_a_fix_is_done_once_in_a_round_and_again_if_asked_for(aboard: Aboard, is_asked: bool):
    name = await aboard.raise_complaint()
    if is_asked:
        await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200
    for who in ("e-jonas", "e-sofia"):
        again = await do(aboard, name, "fix", who, fix="clean-again")
        assert (again.status_code, again.json()["type"]) == (409, "fix_done")
    assert (await aboard.types("complaints")).count("fix.done") == 1
    assert (await do(aboard, name, "fix", "e-jonas", fix="bring-fan")).status_code == 200
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200
    await says_no(aboard, name)
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200


@pytest.mark.parametrize("path", ["/fixes", "/colleagues", "?view=offered"])
async def test_a_list_of_a_department_that_is_not_there_is_refused(aboard: Aboard, path: str):
    async with aboard.http("complaints", aboard.bearer("e-jonas", "employee")) as caller:
        for name, status in (("housekeeping", 200), ("housekeping", 422)):
            url = httpx.URL(f"/v1/complaints{path}").copy_merge_params({"department": name})
            answer = await caller.get(url)
            assert answer.status_code == status, answer.text
    assert answer.json()["type"] == "unknown_department"
    assert answer.json()["errors"][0]["pointer"] == "/department"


async def test_a_check_has_its_own_life_beside_a_fix(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix", "e-ingrid", fix="cook-again")
    assert (await aboard.give(name, "cinema", "k1")).status_code == 201
    await aboard.carry()
    assert [one["fix"] for one in (await seen(aboard, f"/{name}"))["fixes"]] == ["cook-again"]


async def test_the_fix_of_a_policy_that_changed_can_still_be_done(aboard: Aboard):
    name = await aboard.raise_complaint()
    gone = await do(aboard, name, "fix", "e-jonas", fix="paint-it-blue")
    assert gone.json()["type"] == "unknown_fix"
    assert await names(aboard, "open") == [name]


def test_as_many_fixes_are_kept_as_are_of_use_and_asked_ones_longest():
    fixes = Fixes(site=SITE).with_one(
        FixOf("asked", FixState.ASKED, 0, "e-1", None, "d", due_by=None)
    )
    for number in range(2 * FIXES_MAX):
        fixes = fixes.with_one(FixOf(f"f-{number}", FixState.DONE, 0))
    assert len(fixes.fixes) == FIXES_MAX
    assert fixes.asked("asked") is not None
    assert fixes.fixes[-1].fix == f"f-{2 * FIXES_MAX - 1}"


def changed(**fix: Any) -> Policy:
    """The demo policy with one fix, changed."""
    written = demo_policy().model_dump(mode="json")
    written["fixes"] = {"clean-again": {**written["fixes"]["clean-again"], **fix}}
    return Policy.model_validate(written)


@pytest.mark.parametrize(
    ("fix", "where", "why"),
    [
        ({"department": "cleaners"}, "department", "is not one of the departments"),
        ({"title": {"nb": "Rengjøre", "en": "Clean"}}, "title", "is missing sv, da"),
        ({"within": "PT0S"}, "within", "greater than 0"),
    ],
)
def test_a_fix_that_nobody_can_do_is_a_mistake_in_the_file(
    fix: dict[str, Any], where: str, why: str
):
    with pytest.raises(ValueError, match=why) as found:
        changed(**fix)
    assert f"fixes.clean-again.{where}" in str(found.value)


def test_every_fix_has_a_clock_of_its_own():
    within = {name: fix.within for name, fix in demo_policy().fixes.items()}
    assert within["clean-again"] == timedelta(minutes=45)
    assert len(set(within.values())) > 2


async def test_a_fix_that_is_asked_for_stays_in_the_list_when_the_complaint_is_answered(
    aboard: Aboard,
):
    name = await aboard.raise_complaint()
    await do(aboard, name, "fix/ask", "e-ingrid", fix="clean-again")
    await do(aboard, name, "resolve", "e-ingrid", outcome="fixed")
    assert await asked(aboard, department="housekeeping") == [(name, "clean-again")]
    assert (await do(aboard, name, "fix", "e-jonas", fix="clean-again")).status_code == 200
    assert await asked(aboard, department="housekeeping") == []


async def test_a_refused_fix_points_at_what_was_sent_and_says_what_there_is(aboard: Aboard):
    name = await aboard.raise_complaint()
    policy = demo_policy()
    unknown = (await do(aboard, name, "fix", fix="a-yacht")).json()
    assert unknown["fixes"] == list(policy.fixes)
    nobodys = (await do(aboard, name, "fix/ask", fix="talk-to-neighbours")).json()
    assert nobodys["departments"] == list(policy.departments)
    assert "/fix" in repr(nobodys["errors"])
    assert "/department" not in repr(nobodys["errors"])
    nobody = (await do(aboard, name, "fix/ask", fix="clean-again", colleague_id="e-x")).json()
    assert "e-lars" in nobody["colleagues"]
    assert "e-ingrid" not in nobody["colleagues"]
    await do(aboard, name, "fix/ask", fix="clean-again")
    stranger = (await do(aboard, name, "fix/decline", "e-sofia", fix="clean-again")).json()
    assert stranger["department"] == "housekeeping"
