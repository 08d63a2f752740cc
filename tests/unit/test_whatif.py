"""A draft of the policy on trial: what it shows, what it does not, and that it changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.compensation.whatif.command import show
from services.compensation.whatif.handlers import RECORDS_MAX
from services.compensation.whatif.rules import (
    EMPLOYEES_MIN,
    RUNS_MAX,
    Of,
    Tally,
    Verdict,
    Wish,
    groups_of,
)
from services.compensation.whatif.trial import Trial
from shared.contracts.compensation import (
    TRIED_GROUPS_MAX,
    Basis,
    CheckIssued,
    CheckRefused,
    OfferMade,
    PolicyTried,
    Scope,
)
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.history import Part
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.described import undescribed
from tests.suites.services import SITE, Aboard, demo_policy, state
from tests.unit.test_compensation_incidents import changed

#: Days after which the block of today is over and tried.
OVER = 31
MATES = tuple(f"e-mate-{number}" for number in range(6))


def draft(**changes: Any) -> dict[str, Any]:
    """The demo's policy as JSON, with other parts."""
    return {**json.loads(demo_policy().model_dump_json(exclude_none=True)), **changes}


def authority(**roles: dict[str, int]) -> dict[str, Any]:
    """The demo's authority, with other ceilings for some roles."""
    found: dict[str, Any] = draft()["authority"]
    return {**found, "roles": {**found["roles"], **roles}}


@pytest.fixture
async def ship(tmp_path: Path) -> Aboard:
    """Six employees of one role, whose wishes of yesterday are on record."""
    aboard = await Aboard(tmp_path).begin()
    mates = [
        EmployeeListed(
            employee_id=name, site=SITE, listing=Listing(role="mate"), listed_at=aboard.clock()
        )
        for name in MATES
    ]
    listed = [record(one, 100 + number) for number, one in enumerate(mates)]
    await aboard.feed("compensation", EmployeeListed.TOPIC, listed)
    return aboard


async def wish(aboard: Aboard, who: str, item: str, key: str, **more: Any) -> Any:
    asked = {"on_the_spot": {}, "item": item, "reason": "food", **more}
    return await aboard.post("checks", key, asked, aboard.bearer(who))


async def a_day(aboard: Aboard, names: tuple[str, ...] = MATES) -> None:
    """Each of them gives two dinners, and cannot give 1,000 kroner twice."""
    wishes = {"dinner-for-two": (201, 201), "taxfree-card/100000": (201, 409)}
    for name in names:
        for item, statuses in wishes.items():
            for number, status in enumerate(statuses):
                answer = await wish(aboard, name, item, f"{name}-{item}-{number}")
                assert answer.status_code == status
    aboard.later(days=OVER)


async def tried(aboard: Aboard, policy: Any, key: str = "t-1", **more: Any) -> Any:
    who = aboard.bearer("m-1", "manager")
    return await aboard.post("policy/whatif", key, {"draft": policy, "since": "P30D", **more}, who)


async def test_a_draft_with_lower_ceilings_shows_what_it_would_have_refused(ship: Aboard):
    await a_day(ship)
    answer = await tried(
        ship, draft(authority=authority(any={"per_check": 400_00, "per_day": 800_00}))
    )
    assert answer.status_code == 200, answer.text
    found = {one["item"]: one for one in answer.json()["groups"]}
    assert found["dinner-for-two"] == {
        "item": "dinner-for-two",
        "reason": "food",
        "role": "mate",
        # Of 12 wishes, 6 are granted: a ceiling of 400 kroner holds a dinner for 480 by a stretch, once a shift.
        "wishes": 10,
        "granted_before": 10,
        "granted": 5,
        "newly_granted": 0,
        "newly_refused": 5,
        "stretched": 5,
        "cost_before_minor": 10 * 480_00,
        "cost_minor": 5 * 480_00,
        "bound_by": {"check": 5},
        "refused_for": {},
    }
    cards = found["taxfree-card"]
    assert (cards["wishes"], cards["granted_before"], cards["granted"]) == (10, 5, 0)
    assert (cards["newly_refused"], cards["cost_minor"]) == (5, 0)
    assert cards["bound_by"] == {"check": 5}


async def test_a_draft_with_higher_ceilings_shows_what_it_would_have_granted_and_what_it_costs(
    ship: Aboard,
):
    await a_day(ship)
    answer = await tried(
        ship, draft(authority=authority(mate={"per_check": 1500_00, "per_day": 3000_00}))
    )
    cards = {one["item"]: one for one in answer.json()["groups"]}["taxfree-card"]
    assert (cards["granted_before"], cards["granted"], cards["newly_granted"]) == (5, 10, 5)
    assert (cards["cost_before_minor"], cards["cost_minor"]) == (5 * 1000_00, 10 * 1000_00)
    assert cards["bound_by"] == {}


async def test_the_policy_in_force_as_the_draft_comes_out_as_recorded(ship: Aboard):
    await a_day(ship)
    for one in (await tried(ship, draft())).json()["groups"]:
        assert one["granted"] == one["granted_before"]
        assert one["newly_granted"] == one["newly_refused"] == 0
        assert one["cost_minor"] == one["cost_before_minor"]


async def test_an_item_that_the_draft_no_longer_has_is_refused_for_that(ship: Aboard):
    await a_day(ship)
    checks = {name: it for name, it in draft()["checks"].items() if name != "taxfree-card"}
    answer = await tried(ship, draft(checks=checks, incidents=None, playbooks={}))
    assert answer.status_code == 200, answer.text
    cards = {one["item"]: one for one in answer.json()["groups"]}["taxfree-card"]
    assert (cards["granted"], cards["refused_for"]) == (0, {"amount_not_offered": 5})


async def test_wishes_of_fewer_than_five_employees_are_not_shown(ship: Aboard):
    await a_day(ship, MATES[:4])
    answer = (await tried(ship, draft())).json()
    assert (answer["groups"], answer["withheld"]) == ([], True)
    assert answer["wishes"] is None
    assert not any(name in json.dumps(answer) for name in MATES)


async def test_an_empty_answer_says_that_no_wish_was_read_or_how_many_were(ship: Aboard):
    assert (await tried(ship, draft(), "t-0")).json()["wishes"] == 0
    for name, item in zip(
        MATES, ("cinema", "sincere-words", "cinema", "cinema", "cinema"), strict=False
    ):
        await wish(ship, name, item, f"{name}-1")
    ship.later(days=OVER)
    answer = (await tried(ship, draft())).json()
    assert (answer["groups"], answer["wishes"]) == ([], 5)


async def test_what_was_wished_today_is_not_shown_until_the_block_has_ended(ship: Aboard):
    for name in MATES:
        await wish(ship, name, "cinema", f"{name}-1")
    assert (await tried(ship, draft())).json()["groups"] == []
    ship.later(days=OVER)
    assert len((await tried(ship, draft(), "t-2")).json()["groups"]) == 1
    ship.later(days=OVER)
    assert (await tried(ship, draft(), "t-3")).json()["groups"] == []
    assert len((await tried(ship, draft(), "t-4", since="P90D")).json()["groups"]) == 1


async def test_a_trial_changes_nothing_and_is_on_record_with_who_asked(ship: Aboard):
    await a_day(ship)
    before, facts = state(ship.stores["compensation"]), len(await ship.facts("compensation"))
    answer = (await tried(ship, draft())).json()
    after = state(ship.stores["compensation"])
    (account,) = after["accounts"].keys() - before["accounts"].keys()
    assert account == f"whatif/{SITE}/{answer['day']}"
    answers = {name for name in after["documents"] if name.startswith("answer:")}
    assert after["documents"].keys() - answers == before["documents"].keys() - answers
    for part in ("timers", "indexes"):
        assert after[part] == before[part]
    made = (await ship.facts("compensation"))[facts:]
    assert [(one["type"], one["by"], one["run_id"]) for one in made] == [
        (PolicyTried.TYPE, "m-1", answer["run_id"])
    ]


async def test_the_same_request_again_gets_the_same_answer_and_is_not_another_run(ship: Aboard):
    await a_day(ship)
    first, again = await tried(ship, draft()), await tried(ship, draft())
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await ship.types("compensation")).count("policy.tried") == 1
    assert undescribed(ship) == []


async def test_a_site_may_try_so_many_drafts_a_day_and_more_the_next_day(ship: Aboard):
    for number in range(RUNS_MAX):
        assert (await tried(ship, draft(), f"t-{number}")).status_code == 200
    answer = await tried(ship, draft(), "t-more")
    assert (answer.status_code, answer.json()["type"]) == (429, Reason.TOO_MANY_RUNS)
    ship.later(days=1)
    assert (await tried(ship, draft(), "t-tomorrow")).status_code == 200
    assert undescribed(ship) == []


@pytest.mark.parametrize(
    ("wrong", "status", "pointer"),
    [
        ({"site": "ms-elsewhere"}, 404, "/draft/site"),
        ({"currency": "SEK"}, 422, "/draft/currency"),
        ({"currency": "XQX"}, 422, "/draft/currency"),
        ({"site_name": "Aurora\r\nBcc: all@example.org"}, 422, "/draft/site_name"),
        ({"mispelt": 1}, 422, "/draft/mispelt"),
        (
            {"limits": {**draft()["limits"], "site": {"per_day": "600"}}},
            422,
            "/draft/limits/site/per_day",
        ),
        ({"timezone": "Mars/Olympus"}, 422, "/draft/timezone"),
    ],
    ids=[
        "another-site",
        "another-currency",
        "no-currency",
        "name-of-two-lines",
        "unknown-field",
        "text",
        "contradiction",
    ],
)
async def test_a_draft_is_read_as_strictly_as_a_file(ship: Aboard, wrong, status, pointer):
    answer = await tried(ship, draft(**wrong))
    assert answer.status_code == status
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert "policy.tried" not in await ship.types("compensation")
    assert undescribed(ship) == []


async def test_one_process_tries_one_draft_at_a_time_and_bounds_what_it_reads(ship: Aboard):
    asked: list[int] = []

    async def too_many(_since, records_max):
        asked.append(records_max)
        (other,) = [await tried(ship, draft(), "t-2")]
        assert (other.status_code, other.json()["type"]) == (503, Reason.RUN_UNDER_WAY)
        assert other.headers["Retry-After"]
        raise Rejected(Reason.HISTORY_TOO_LONG)
        yield

    ship.past = too_many
    answer = await tried(ship, draft())
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.HISTORY_TOO_LONG)
    assert asked == [RECORDS_MAX]

    async def away(_since, _records_max):
        raise Unavailable(Reason.LOG_UNAVAILABLE)
        yield

    ship.past = away
    answer = await tried(ship, draft())
    assert (answer.status_code, answer.json()["type"]) == (503, Reason.LOG_UNAVAILABLE)
    assert "policy.tried" not in await ship.types("compensation")
    assert undescribed(ship) == []


async def older(aboard: Aboard, since, records_max):
    """What compensation published, by a build that did not record roles."""
    async for events, done, total in aboard.history(since, records_max):
        bare = [one._replace(data=one.data.replace(b'"role":"mate",', b"")) for one in events]
        yield Part(bare, done, total)


async def test_wishes_whose_facts_lack_the_role_are_counted_and_not_decided(ship: Aboard):
    await a_day(ship)
    ship.past = partial(older, ship)
    answer = (await tried(ship, draft())).json()
    assert (answer["groups"], answer["withheld"], answer["undecided"]) == ([], False, 25)


async def test_of_too_few_employees_it_is_not_even_said_how_many_wishes_were_not_decided(
    ship: Aboard,
):
    await a_day(ship, MATES[:4])
    ship.past = partial(older, ship)
    assert (await tried(ship, draft())).json()["undecided"] is None


async def test_the_command_prints_each_group_and_what_it_leaves_out(ship: Aboard, capsys):
    await a_day(ship)
    answer = await tried(
        ship, draft(authority=authority(any={"per_check": 400_00, "per_day": 800_00}))
    )
    found = PolicyTried.model_validate(answer.json())
    show(found.model_copy(update={"withheld": True, "undecided": 3}), demo_policy())
    told = capsys.readouterr().out
    (cards,) = [line for line in told.splitlines() if "taxfree-card" in line]
    cells = [cell.strip() for cell in cards.strip("│ ").split("│")]
    assert cells[:7] == ["taxfree-card", "food", "mate", "10", "5 → 0", "0", "5"]
    assert "5\xa0000\xa0kr" in cells[7]
    assert cells[8] == "check 5"
    assert "more wishes are withheld" in told
    assert "– is withheld" not in told
    assert "3 wishes were not decided again" in told
    assert found.run_id in told
    effect = dict.fromkeys(["granted", "newly_granted", "newly_refused", "cost_minor"])
    groups = tuple(group.model_copy(update=effect) for group in found.groups)
    show(found.model_copy(update={"groups": groups}), demo_policy())
    told = capsys.readouterr().out
    assert "5 → –" in told
    assert "– is withheld" in told


# ---- the ledgers ----------------------------------------------------------------------------------


async def heard(aboard: Aboard, policy: Policy) -> list[tuple[str, bool, Verdict]]:
    """Everything aboard under a policy: each wish with its type, whether it was granted, and the verdict."""
    trial, found = Trial(lambda _: policy), []
    async for events, _, _ in aboard.history(START - timedelta(days=1), RECORDS_MAX):
        for event in events:
            kinds = {kind.TYPE.encode(): kind for kind in (CheckIssued, CheckRefused)}
            if event.type in kinds:
                fact = kinds[event.type].model_validate_json(event.data)
                verdict = await trial.hear(fact)
                assert verdict is not None
                found.append((fact.item, isinstance(fact, CheckIssued), verdict))
    return found


async def test_what_was_granted_never_gives_way_to_what_the_draft_grants_beyond(tmp_path):
    """500 kroner more a day hold the card that was refused, or the dinner that was given after it."""
    plain = changed(demo_policy(), authority={**authority(), "stretch": None})
    ship = await Aboard(tmp_path, plain).begin()
    card, dinner = "taxfree-card/100000", "dinner-for-two"
    for key, item, status in (
        ("a", card, 201), ("b", dinner, 201), ("c", card, 409), ("d", dinner, 201),
    ):  # fmt: skip
        assert (await wish(ship, "e-lars", item, key)).status_code == status
    more = authority(any={"per_check": 1500_00, "per_day": 2500_00})
    verdicts = await heard(ship, changed(plain, authority={**more, "stretch": None}))
    assert [verdict.granted for *_, verdict in verdicts] == [True, True, True, True]


async def test_what_the_draft_grants_beyond_counts_for_what_else_it_grants_beyond(ship: Aboard):
    for number in range(4):
        await wish(ship, "e-mate-1", "taxfree-card/100000", f"k-{number}")
    policy = changed(
        demo_policy(), authority=authority(any={"per_check": 1500_00, "per_day": 3000_00})
    )
    verdicts = await heard(ship, policy)
    assert [granted for _, granted, _ in verdicts] == [True, True, False, False]
    assert [verdict.granted for *_, verdict in verdicts] == [True, True, True, False]
    assert verdicts[-1][2].bound_by is Scope.EMPLOYEE_DAY


def offered(number: int, *items: str) -> OfferMade:
    """An offer of these items under the demo's policy, of one employee in one complaint."""
    options = tuple(option for item in items if (option := demo_policy().option(item)) is not None)
    return OfferMade(
        offer_id=f"of-{number}",
        complaint_id=f"co-{number}",
        site=SITE,
        customer_ref=f"c-{number}",
        employee_id=f"e-{number}",
        role="mate",
        language=Language.EN,
        reason=Category.FOOD,
        severity=Severity.MILD,
        policy_version=1,
        options=options,
        held={},
        expires_at=START + timedelta(days=1),
        offered_at=START,
    )


def with_cinema(cinema: Any) -> Policy:
    """The demo's policy with another cinema, or none."""
    checks = {**draft()["checks"], "cinema": cinema}
    checks = {name: item for name, item in checks.items() if item is not None}
    return changed(demo_policy(), checks=checks, playbooks={}, incidents=None)


async def test_an_offer_costs_what_its_dearest_costs_under_the_draft():
    dear = {**draft()["checks"]["cinema"], "cost": 1400_00}
    trial = Trial(lambda _: with_cinema(dear))
    verdicts = [
        await trial.hear(offered(number, "dinner-for-two", "cinema")) for number in range(5)
    ]
    assert [verdict and (verdict.granted, verdict.cost_minor) for verdict in verdicts] == [
        (True, 1400_00)
    ] * 5
    assert set(trial.accounts.values()) >= {1400_00, 5 * 1400_00}


@pytest.mark.parametrize(
    ("cinema", "bound_by", "refused_for"),
    [
        ({**draft()["checks"]["cinema"], "cost": 1600_00}, Scope.CHECK, None),
        (None, None, Reason.AMOUNT_NOT_OFFERED),
    ],
    ids=["beyond-per-check", "gone"],
)
async def test_an_offer_of_what_the_draft_does_not_hold_or_have_is_refused(
    cinema, bound_by, refused_for
):
    """Though the dinner, which was its dearest, would be granted."""
    trial = Trial(lambda _: with_cinema(cinema))
    verdict = await trial.hear(offered(1, "dinner-for-two", "cinema"))
    assert verdict is not None
    assert (verdict.bound_by, verdict.refused_for) == (bound_by, refused_for)
    assert not trial.accounts


# ---- what is shown --------------------------------------------------------------------------------

ITEM_NAMES = ("dinner", "cinema", "card")


@st.composite
def many_wishes(draw: st.DrawFn) -> list[tuple[Of, str]]:
    of = st.builds(
        Of,
        st.sampled_from(ITEM_NAMES),
        st.just(Category.FOOD),
        st.sampled_from(["deck", "reception"]),
        st.booleans(),
    )
    who = st.integers(0, 9).map(lambda number: f"e-{number}")
    return draw(st.lists(st.tuples(of, who), max_size=60))


def a_wish(of: Of, employee_id: str) -> Wish:
    return Wish(
        item=of.item,
        items=(of.item,),
        cost_minor=100,
        currency="NOK",
        reason=of.reason,
        employee_id=employee_id,
        role=of.role,
        customer_ref="c-1",
        complaint_id="co-1",
        at=START,
        version=1,
        basis=Basis.GOODWILL,
        consent=False,
        service=None,
        again=False,
        offer=False,
        granted=of.granted,
    )


def tallies_of(wishes: list[tuple[Of, str]]) -> dict[Of, Tally]:
    tallies: dict[Of, Tally] = {}
    for of, who in wishes:
        tallies.setdefault(of, Tally()).count(a_wish(of, who), Verdict(100, {}))
    return tallies


@given(many_wishes())
@settings(max_examples=100)
def test_every_group_has_five_employees_and_so_has_what_is_withheld(wishes):
    groups, withheld = groups_of([tallies_of(wishes)])
    told = {
        Of(one.item, one.reason, one.role, granted)
        for one in groups
        for granted in (True, False)
        if (one.granted_before if granted else one.wishes > one.granted_before)
    }
    for of in told:
        assert len({who for one, who in wishes if one == of}) >= EMPLOYEES_MIN
    rest = {who for one, who in wishes if one not in told}
    assert withheld == bool(rest)
    assert not told or len(rest) not in range(1, EMPLOYEES_MIN)


def test_there_are_never_more_groups_than_a_page_holds():
    names = [f"item-{number}" for number in range(TRIED_GROUPS_MAX + 5)]
    ofs = [Of(name, Category.FOOD, "deck", granted=True) for name in names]
    crowd = [(of, f"e-{who}") for of in ofs for who in range(EMPLOYEES_MIN)]
    groups, withheld = groups_of([tallies_of(crowd)])
    assert (len(groups), withheld) == (TRIED_GROUPS_MAX, True)
