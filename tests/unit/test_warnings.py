"""A warning comes before a promise breaks, once; and a playbook says what to do about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.policy import Policy
from shared.ops.policy import doubts
from tests.suites.services import Aboard, demo_policy
from tests.unit.test_colleagues import says_no
from tests.unit.test_lifecycle import do, seen
from tests.unit.test_promises import mild

#: Food that is mild is promised within four hours by the demo policy, which warns ten minutes before.
NEAR = timedelta(hours=3, minutes=50)


async def warned(aboard: Aboard) -> list[dict[str, Any]]:
    return [
        fact
        for fact in await aboard.facts("complaints")
        if fact["type"] == "recovery.promise.warned.v1"
    ]


async def passes(aboard: Aboard, by: timedelta) -> None:
    aboard.clock.advance(by)
    await aboard.ring("complaints")


def changed(**fields: Any) -> Policy:
    return Policy.model_validate({**demo_policy().model_dump(mode="json"), **fields})


async def test_whoever_has_a_complaint_is_warned_before_its_promise_breaks_once(aboard: Aboard):
    name = await mild(aboard)
    await do(aboard, name, "claim", "e-jonas")
    await passes(aboard, NEAR - timedelta(seconds=1))
    assert await warned(aboard) == []
    await passes(aboard, timedelta(seconds=1))
    (fact,) = await warned(aboard)
    assert (fact["complaint_id"], fact["employee_id"], fact["round"]) == (name, "e-jonas", 0)
    for _ in range(3):
        await passes(aboard, timedelta(minutes=5))
    types = await aboard.types("complaints")
    assert (types.count("promise.warned"), types.count("complaint.overdue")) == (1, 1)


@pytest.mark.parametrize("how", ["check", "fix", "resolve", "withdraw"])
async def test_nobody_is_warned_of_a_promise_that_is_kept_or_over(aboard: Aboard, how: str):
    name = await mild(aboard)
    if how == "check":
        await aboard.give(name, "cinema", "k1")
        await aboard.carry()
    else:
        more = {"fix": {"fix": "cook-again"}, "resolve": {"outcome": "fixed"}}
        assert (await do(aboard, name, how, **more.get(how, {}))).status_code == 200
    await passes(aboard, NEAR)
    assert await warned(aboard) == []


async def test_nobody_is_warned_while_the_customer_is_asked_something(aboard: Aboard):
    name = await mild(aboard)
    await do(aboard, name, "ask", question="Which?")
    aboard.later(hours=3, minutes=55)
    # Also where the timer fired at the moment of the question.
    await aboard.apps["complaints"].on_timer["warn"](f"{name}/0", 0)
    await aboard.ring("complaints")
    assert await warned(aboard) == []
    await do(aboard, name, "answer", answer="That one.")
    await passes(aboard, NEAR)
    assert len(await warned(aboard)) == 1


async def test_who_was_warned_is_not_warned_again_of_the_same_round_and_is_of_the_next(
    aboard: Aboard,
):
    name = await mild(aboard)
    await passes(aboard, NEAR)
    await do(aboard, name, "ask", question="Which?")
    aboard.later(minutes=5)
    await do(aboard, name, "answer", answer="That one.")
    await aboard.ring("complaints")
    assert [fact["round"] for fact in await warned(aboard)] == [0]
    await says_no(aboard, name)
    await passes(aboard, NEAR)
    assert [fact["round"] for fact in await warned(aboard)] == [0, 1]


async def test_without_a_time_for_warnings_nobody_is_warned(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(warn_before=None)).begin()
    await mild(aboard)
    timers = aboard.stores["complaints"].kept.timers
    assert not any(one.startswith("warn|") for one in timers)


async def test_a_customer_who_leaves_sooner_hears_from_us_before(aboard: Aboard):
    leaves = aboard.clock() + timedelta(hours=1)
    name = await aboard.raise_complaint(text="The soup was a bit salty.", stay_ends_at=leaves)
    shown = await seen(aboard, f"/{name}/playbook")
    assert datetime.fromisoformat(shown["promised_by"]) == leaves
    assert datetime.fromisoformat(shown["stay_ends_at"]) == leaves
    await says_no(aboard, name)
    assert datetime.fromisoformat((await seen(aboard, f"/{name}"))["promised_by"]) == leaves


async def test_whoever_hears_of_danger_is_told_what_to_say_and_to_do(aboard: Aboard):
    name = await aboard.raise_complaint(text="My son had an allergic reaction.")
    shown = await seen(aboard, f"/{name}/playbook")
    assert shown["say"].keys() == {"nb", "sv", "da", "en"}
    assert [one["item"] for one in shown["checks"]] == ["sincere-words"]
    assert [one["fix"] for one in shown["fixes"]] == ["stay-with-them", "first-aid", "make-safe"]


async def test_a_playbook_says_what_to_say_and_to_do(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "correct", category="noise", severity="severe")
    shown = await seen(aboard, f"/{name}/playbook")
    assert shown["say"].keys() == {"nb", "sv", "da", "en"}
    assert [one["item"] for one in shown["checks"]] == ["dinner-for-two", "taxfree-card/50000"]
    fixes = {one["fix"]: one for one in shown["fixes"]}
    assert list(fixes) == ["move-room", "talk-to-neighbours", "bring-fan"]
    assert (fixes["bring-fan"]["department"], fixes["bring-fan"]["within_s"]) == (
        "housekeeping",
        1800,
    )
    assert (shown["hours"], shown["open_now"], shown["stay_ends_at"]) == ([], True, None)


async def test_without_a_playbook_everything_that_fits_is_shown(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "correct", category="cleanliness", severity="mild")
    shown = await seen(aboard, f"/{name}/playbook")
    assert [one["fix"] for one in shown["fixes"]] == ["clean-again", "move-room"]
    assert "cinema" in {one["item"] for one in shown["checks"]}
    assert (shown["say"], shown["channel"]) == ({}, None)


async def test_a_promise_of_a_site_that_is_closed_counts_from_when_it_opens(tmp_path: Path):
    policy = changed(hours=[{"starts": "20:00", "ends": "23:00"}])
    aboard = await Aboard(tmp_path, policy).begin()  # four in the afternoon
    name = await aboard.raise_complaint()
    shown = await seen(aboard, f"/{name}/playbook")
    assert shown["open_now"] is False
    assert shown["promised_by"] == "2026-06-03T19:00:00Z"  # an hour after eight, in Oslo
    assert shown["hours"][0]["starts"] == "20:00:00"


def playbook(**fields: Any) -> dict[str, Any]:
    """Playbooks of the demo, with that for mild food changed."""
    books = demo_policy().model_dump(mode="json")["playbooks"]
    return {**books, "food": {**books["food"], "mild": {**books["food"]["mild"], **fields}}}


@pytest.mark.parametrize(
    ("fields", "where", "why"),
    [
        ({"fixes": ["paint"]}, "fixes.0", "is not one of the fixes"),
        ({"say": {"en": "Sorry."}}, "say", "is missing nb, sv, da"),
        ({"suggest": ["yacht"]}, "suggest.0", "is not a check"),
    ],
)
def test_a_playbook_that_leads_nowhere_is_a_mistake_in_the_file(
    fields: dict[str, Any], where: str, why: str
):
    with pytest.raises(ValueError, match=why) as found:
        changed(playbooks=playbook(**fields))
    assert f"playbooks.food.mild.{where}" in str(found.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"suggest": ["spa-card/40000"]}, "playbooks.food.mild.suggest.0: spa-card/40000 does not fit food"),
        ({"fixes": ["move-room"]}, "playbooks.food.mild.fixes.0: move-room does not fit food"),
        (
            {"promise": "PT5M"},
            "playbooks.food.mild.promise: nobody is warned of it: warn_before is PT10M",
        ),
        ({"promise": "PT30M"}, "playbooks.food: moderate is promised within PT1H and mild within PT30M"),
    ],
)  # fmt: skip
def test_a_playbook_that_is_probably_a_mistake_is_doubted(fields: dict[str, Any], said: str):
    policy = changed(playbooks=playbook(**fields))
    assert said in [f"{'.'.join(map(str, loc))}: {why}" for loc, why in doubts(policy)]


def test_a_category_without_a_playbook_is_doubted():
    books = {name: one for name, one in playbook().items() if name != "noise"}
    found = [why for _, why in doubts(changed(playbooks=books))]
    assert found == ["no playbook for noise, so the promise is P1D"]
