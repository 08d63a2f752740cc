"""Signals after the fact: raised on an obvious history, not on a near miss, once, and never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic_core import to_json

from services.audit.signals.api import sentence
from services.audit.signals.rules import (
    AT_END_MIN,
    CUSTOMER_CHECKS_MIN,
    CUSTOMER_DAYS_MIN,
    EACH_MIN,
    LOOK_AFTER,
    LOOK_BACK,
    RULES,
    SHIFT_END,
    SIGNALS_MAX,
    STREAK_DAYS,
)
from shared.contracts.audit import FactRecorded, Notice, SignalKind, SignalRaised
from shared.contracts.catalogue import AUDIT, TABLE
from shared.contracts.compensation import Basis, CheckIssued
from shared.contracts.complaints import Category
from shared.kernel import Fact
from shared.runtime.kafka.inbox import Record
from shared.testing.builders import event
from tests.suites.described import undescribed
from tests.suites.services import SITE, Aboard
from tests.suites.signals import (
    COST,
    Telling,
    closed,
    issued,
    moment,
    one_signal,
    reserved,
    shift_opened,
    voided,
)
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt, serve_again

#: The day after which most histories are looked at.
LAST = 8
MANAGER = "manager"


@pytest.fixture
async def aboard(tmp_path: Path) -> AsyncIterator[Aboard]:
    found = await Aboard(tmp_path).begin()
    found.clock.moment = moment(LAST + 1)
    yield found
    assert undescribed(found) == [], "a test was answered as no document says"


async def looked_at(
    aboard: Aboard, facts: Sequence[Fact], day: int = LAST, partition: int = 5
) -> None:
    """The facts come, the day is closed, and some minutes later the site's month is looked at."""
    await Telling(aboard).tell(*facts, closed(day), partition=partition)
    await look(aboard)


async def look(aboard: Aboard) -> None:
    aboard.clock.advance(LOOK_AFTER)
    await aboard.ring(AUDIT)


async def raised(aboard: Aboard) -> list[SignalRaised]:
    return [
        SignalRaised.model_validate(one["data"])
        for one in await aboard.events(AUDIT)
        if one["type"] == SignalRaised.TYPE
    ]


async def kinds(aboard: Aboard) -> list[SignalKind]:
    return [one.signal for one in await raised(aboard)]


def name_of(aboard: Aboard, who: str, month: str = "2026-06") -> str:
    return aboard.apps[AUDIT].parts.vault.pseudonyms.employee(SITE, month, who)


async def listed(aboard: Aboard, query: str = "", site: str = SITE, status: int = 200) -> Any:
    async with aboard.http(AUDIT, aboard.bearer("m-1", MANAGER, site=site)) as board:
        answer = await board.get(f"/v1/signals{query}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def dismissed(
    aboard: Aboard, signal_id: str, status: int = 200, key: str = "", **how: str
) -> Any:
    bearer = aboard.bearer("m-1", MANAGER, site=how.get("site", SITE))
    async with aboard.http(AUDIT, bearer) as board:
        answer = await board.post(
            f"/v1/signals/{signal_id}/dismissal",
            json={"reason": how.get("reason", "explained")},
            headers={"Idempotency-Key": key or f"{signal_id}{status}"},
        )
    assert answer.status_code == status, answer.text
    return answer.json()


# ---- each signal, and what is nearly one ---------------------------------------------------------


def streak(days: Sequence[int], others: Sequence[int] = ()) -> list[Fact]:
    """One employee gives nearly all that is left on some days, and a part of it on others."""
    near = [issued(f"n{day}", "e-jonas", day, left_minor=20_00) for day in days]
    return [*near, *(issued(f"o{day}", "e-jonas", day) for day in others)]


def at_shift_end(late: int, early: int, minutes_before: float) -> list[Fact]:
    """One employee's checks of some shifts: early ones first, then so many at the end of theirs."""
    found: list[Fact] = []
    for number in range(early + late):
        turn, day = divmod(number, LAST + 1)
        end, name = moment(day, hours=10 + turn), f"14{turn:02}"
        before = 240 if number < early else minutes_before
        at = end - timedelta(minutes=before)
        found.append(shift_opened(day, name, end))
        found.append(issued(f"s{number}", "e-jonas", day, at, shift=name))
    return found


def to_one_customer(checks: int, days: int) -> list[Fact]:
    return [
        issued(f"c{n}", f"e-{n}", n % days, customer_ref="c-often", value_minor=100_00)
        for n in range(checks)
    ]


def values(*of_each: int, each: int = EACH_MIN) -> list[Fact]:
    """Employees who gave checks of a value each, for the same reason."""
    return [
        issued(f"v{who}-{n}", f"e-{who}", n, value_minor=value, reason="noise")
        for who, value in enumerate(of_each)
        for n in range(each)
    ]


UNEVEN = (100_00, 100_00, 100_00, 100_00, 500_00)
OBVIOUS: dict[SignalKind, Callable[[], list[Fact]]] = {
    SignalKind.JUST_BELOW_LIMIT: lambda: streak(range(STREAK_DAYS)),
    SignalKind.SHIFT_END_SPIKE: lambda: at_shift_end(AT_END_MIN, AT_END_MIN - 1, 20),
    SignalKind.SAME_CUSTOMER: lambda: to_one_customer(CUSTOMER_CHECKS_MIN, CUSTOMER_DAYS_MIN),
    SignalKind.UNEVEN_VALUES: lambda: values(*UNEVEN),
}
NEARLY: dict[str, Callable[[], list[Fact]]] = {
    "a streak of a day less": lambda: streak(range(STREAK_DAYS - 1)),
    "a streak with a day between": lambda: streak((0, 1, 3, 4), others=(2,)),
    "a little more left": lambda: [
        issued(f"n{day}", "e-jonas", day, left_minor=COST // 8) for day in range(STREAK_DAYS)
    ],
    "a stretch each day": lambda: [
        issued(f"n{day}", "e-jonas", day, left_minor=0, explain_by=moment(day, days=1))
        for day in range(STREAK_DAYS)
    ],
    "two who take turns": lambda: [
        issued(f"n{day}", f"e-{day % 2}", day, left_minor=20_00) for day in range(6)
    ],
    "group checks of an incident": lambda: [
        issued(f"n{day}", "e-jonas", day, left_minor=0, incident_id="in-1") for day in range(6)
    ],
    "what the law gives": lambda: [
        issued(f"n{day}", "e-jonas", day, left_minor=0, basis="statutory") for day in range(6)
    ],
    "one check less at the end of shifts": lambda: at_shift_end(AT_END_MIN - 1, 0, 20),
    "more checks earlier": lambda: at_shift_end(AT_END_MIN, AT_END_MIN + 1, 20),
    "a minute before the end begins": lambda: at_shift_end(
        AT_END_MIN, 0, SHIFT_END / timedelta(minutes=1) + 1
    ),
    "a check less to one customer": lambda: to_one_customer(
        CUSTOMER_CHECKS_MIN - 1, CUSTOMER_DAYS_MIN
    ),
    "one evening of one customer": lambda: to_one_customer(
        CUSTOMER_CHECKS_MIN, CUSTOMER_DAYS_MIN - 1
    ),
    "four employees": lambda: values(*UNEVEN[1:]),
    "a fifth with one check less": lambda: [
        *values(*UNEVEN[:4]),
        *(
            issued(f"x{n}", "e-x", n, value_minor=500_00, reason="noise")
            for n in range(EACH_MIN - 1)
        ),
    ],
    "values that differ less": lambda: values(100_00, 100_00, 100_00, 100_00, 250_00),
    "reasons that differ": lambda: [
        one.model_copy(update={"reason": Category.DELAY}) if one.employee_id == "e-4" else one
        for one in values(*UNEVEN)
    ],
}


async def raised_by_case(
    aboard: Aboard, cases: Mapping[Any, Callable[[], list[Fact]]]
) -> dict[Any, list[SignalKind]]:
    """What is raised on each history, each at a site of its own."""
    telling = Telling(aboard)
    for number, facts in enumerate(cases.values()):
        site, found = f"site-{number}", list[Fact]()
        for fact in facts():
            check_id = getattr(fact, "check_id", None)
            own = {"check_id": f"{check_id}-{number}"} if check_id is not None else {}
            found.append(fact.model_copy(update={"site": site, **own}))
        await telling.tell(*found, closed(LAST, site))
    await look(aboard)
    signals = await raised(aboard)
    return {
        case: [one.signal for one in signals if one.site == f"site-{number}"]
        for number, case in enumerate(cases)
    }


async def test_a_signal_is_raised_on_an_obvious_history(aboard):
    assert await raised_by_case(aboard, OBVIOUS) == {kind: [kind] for kind in OBVIOUS}


async def test_what_is_given_to_delight_is_looked_at_as_goodwill_is(aboard):
    """Otherwise whoever wants nobody to look would give on birthdays."""
    birthday = {"basis": Basis.DELIGHT, "delight": "birthday"}
    cases = {
        kind: lambda facts=facts: [
            one.model_copy(update=birthday) if isinstance(one, CheckIssued) else one
            for one in facts()
        ]
        for kind, facts in OBVIOUS.items()
    }
    assert await raised_by_case(aboard, cases) == {kind: [kind] for kind in OBVIOUS}


async def test_and_not_on_what_is_nearly_one(aboard):
    assert await raised_by_case(aboard, NEARLY) == {case: [] for case in NEARLY}


def test_every_signal_of_a_month_has_an_obvious_history():
    at_tills = {SignalKind.OWN_CHECK_REDEEMED, SignalKind.REDEEMED_ELSEWHERE}
    assert OBVIOUS.keys() | at_tills == set(SignalKind) == RULES.keys()


async def test_whoever_puts_their_own_check_through_a_till_is_named_also_in_another_month(aboard):
    """In which they have another pseudonym."""
    telling, later = Telling(aboard), moment(40)
    checks = [issued(name, "e-jonas", 28) for name in ("a", "b", "c")]
    await telling.tell(*checks)
    aboard.clock.moment = later
    await telling.tell(reserved("a", "e-ingrid", later), reserved("b", "till-1", later))
    assert await raised(aboard) == []
    await telling.tell(reserved("c", "e-jonas", later))
    (one,) = await raised(aboard)
    assert (one.signal, one.check_id) == (SignalKind.OWN_CHECK_REDEEMED, "ck-c")
    assert one.persons == (name_of(aboard, "e-jonas"),)
    # A second part of the same check is the same signal.
    await telling.tell(reserved("c", "e-jonas", later))
    assert await raised(aboard) == [one]


async def test_a_check_that_is_taken_at_another_site_is_told_to_the_site_that_gave_it(aboard):
    telling = Telling(aboard)
    await telling.tell(issued("a", "e-jonas"), issued("b", "e-jonas"))
    await telling.tell(reserved("a", "till-1", moment(2), site="ms-borealis"))
    await telling.tell(reserved("b", "till-1", moment(2)))
    (one,) = await raised(aboard)
    assert (one.signal, one.check_id) == (SignalKind.REDEEMED_ELSEWHERE, "ck-a")
    assert (one.site, one.other_site) == (SITE, "ms-borealis")


async def test_a_redemption_of_a_check_that_is_not_on_the_record_raises_nothing(aboard):
    telling = Telling(aboard)
    await telling.tell(voided("a", "e-jonas", moment(1)), reserved("a", "e-jonas", moment(2)))
    await telling.tell(reserved("b", "e-jonas", moment(2)))
    assert await raised(aboard) == []


async def test_a_check_whose_data_this_build_cannot_read_is_recorded_and_raises_nothing(aboard):
    """Audit need not be deployed first."""
    unread = Record(0, to_json(event(issued("a", "e-jonas"), "e-1", data={"check_id": "ck-a"})))
    telling = Telling(aboard)
    await telling.settle(5, [unread])
    assert (await aboard.types(AUDIT))[-1] == "fact.recorded"
    assert await aboard.dead(AUDIT) == []


async def test_a_check_that_was_taken_back_does_not_count(aboard):
    facts = OBVIOUS[SignalKind.SAME_CUSTOMER]()
    await looked_at(aboard, [*facts, voided("c0", "e-0", moment(1))])
    assert await raised(aboard) == []


async def test_a_month_is_looked_at_alone(aboard):
    """Employees have other pseudonyms in the next one."""
    aboard.clock.moment = moment(35)
    await looked_at(aboard, streak(range(28, 32)), day=31)
    assert await raised(aboard) == []


async def test_another_sites_checks_do_not_count(aboard):
    facts = to_one_customer(CUSTOMER_CHECKS_MIN, CUSTOMER_DAYS_MIN)
    elsewhere = [facts[0].model_copy(update={"site": "ms-borealis"}), *facts[1:]]
    await looked_at(aboard, [*elsewhere, closed(LAST, "ms-borealis")])
    assert await raised(aboard) == []


# ---- what a signal says --------------------------------------------------------------------------


async def test_each_signal_explains_itself_in_a_sentence_with_its_numbers(aboard):
    telling = Telling(aboard)
    await telling.tell(issued("own", "e-own"), issued("far", "e-own"))
    await telling.tell(reserved("own", "e-own", moment(1)))
    await telling.tell(reserved("far", "till-1", moment(1), site="ms-borealis"))
    for number, facts in enumerate(OBVIOUS.values()):
        await telling.tell(*facts(), partition=10 + number)
    await telling.tell(closed(LAST))
    await look(aboard)
    found = {one.signal: one for one in await raised(aboard)}
    assert found.keys() == set(SignalKind)
    for one in found.values():
        said = sentence(one)
        assert said.endswith(".")
        assert "{" not in said
        for name, number in one.numbers.items():
            assert (
                f"{number / 100:,.2f}".removesuffix(".00") in said
                if name.endswith("_minor")
                else str(number) in said
            )
        assert all(person in said for person in one.persons)
    assert sentence(found[SignalKind.JUST_BELOW_LIMIT]) == (
        f"On 4 days in a row on which they gave something, {name_of(aboard, 'e-jonas')} gave a check that took at"
        " least 90 % of what was left of their authority: 4 checks, costing NOK\xa0480 on average."
        " The limit may be too low."
    )
    uneven = found[SignalKind.UNEVEN_VALUES]
    assert uneven.persons[1] == name_of(aboard, "e-4"), "who gives most comes last"


async def test_a_signal_says_of_which_month_its_pseudonyms_are(aboard):
    telling = Telling(aboard)
    await telling.tell(issued("own", "e-own"), reserved("own", "e-own", moment(1)))
    facts = [*OBVIOUS[SignalKind.JUST_BELOW_LIMIT](), *OBVIOUS[SignalKind.SAME_CUSTOMER]()]
    await telling.tell(*facts, closed(LAST), partition=6)
    await look(aboard)
    months = {one["signal"]: one["month"] for one in (await listed(aboard))["signals"]}
    assert months == {
        "own_check_redeemed": "2026-06",
        "just_below_limit": "2026-06",
        "same_customer": None,
    }
    (own,) = [one for one in await raised(aboard) if one.signal is SignalKind.OWN_CHECK_REDEEMED]
    assert own.persons == (name_of(aboard, "e-own", own.month),)


async def test_no_employees_id_is_in_a_signal_or_its_record(aboard):
    """INV-07: pseudonyms alone, also where a look names somebody."""
    await looked_at(aboard, [fact for facts in OBVIOUS.values() for fact in facts()])
    events = str([one["data"] for one in await aboard.events(AUDIT)])
    assert "em-" in events
    assert not any(f"'{who}'" in events for who in ("e-jonas", "e-0", "e-4"))


# ---- once ----------------------------------------------------------------------------------------


async def test_a_signal_is_raised_once_whatever_comes_again(aboard):
    """INV-02: records that come again, a day that is looked at again, a check that comes late."""
    telling = Telling(aboard)
    await telling.tell(*OBVIOUS[SignalKind.SAME_CUSTOMER](), closed(LAST))
    await look(aboard)
    for partition, records in telling.told:
        await telling.settle(partition, records)
    await telling.tell(issued("late", "e-9", LAST, customer_ref="c-often"), closed(LAST))
    await look(aboard)
    await telling.tell(closed(LAST + 1))
    await look(aboard)
    assert await kinds(aboard) == [SignalKind.SAME_CUSTOMER]


async def test_a_signal_is_on_the_record_itself_and_nobody_reads_its_topic(aboard):
    signal_id = await one_signal(aboard)
    records = [
        one["data"]["record"]
        for one in await aboard.events(AUDIT)
        if one["type"] == FactRecorded.TYPE and one["data"]["record"]["what"] == SignalRaised.TYPE
    ]
    (told,) = records
    assert (told["key"], told["site"]) == (signal_id, SITE)
    assert told["chain"].startswith(Notice.TOPIC)
    consumers = [row.consumers for row in TABLE if issubclass(row.fact, Notice)]
    assert not any(consumers), "nothing at a counter can wait for a signal"


def test_the_order_of_partitions_and_batches_changes_nothing(tmp_path):
    """INV-06: the same signals, with the same numbers."""
    facts = [fact for facts in OBVIOUS.values() for fact in facts()]
    ends = set()

    async def run(number: int) -> None:
        chance = Random(number)
        aboard = await Aboard(tmp_path).begin()
        aboard.clock.moment = moment(LAST + 1)
        telling = Telling(aboard)
        told = chance.sample(facts, len(facts))
        while told:
            some, told = told[: (size := chance.randint(1, 9))], told[size:]
            await telling.tell(*some, partition=chance.randint(5, 8))
            if chance.random() < 0.3:
                partition, records = chance.choice(telling.told)
                await telling.settle(partition, records)
        await telling.tell(closed(LAST), partition=9)
        await look(aboard)
        found = await raised(aboard)
        ends.add(tuple((one.signal_id, tuple(one.numbers.items()), one.persons) for one in found))
        assert len(found) == len(OBVIOUS)

    for number in range(4):
        asyncio.run(run(number))
    assert len(ends) == 1


async def test_a_late_check_has_its_day_looked_at_again(aboard):
    facts = OBVIOUS[SignalKind.SAME_CUSTOMER]()
    telling = Telling(aboard)
    await telling.tell(*facts[1:], closed(LAST))
    await look(aboard)
    assert await raised(aboard) == []
    await telling.tell(facts[0])
    await look(aboard)
    assert await kinds(aboard) == [SignalKind.SAME_CUSTOMER]


async def test_days_of_long_ago_are_not_looked_at(aboard):
    """Audit that is new reads years at once, and nobody remembers what happened then."""
    aboard.clock.moment = moment(LAST + 2) + LOOK_BACK
    await looked_at(aboard, OBVIOUS[SignalKind.SAME_CUSTOMER]())
    assert await raised(aboard) == []


async def test_a_site_has_so_many_signals_a_day_and_the_next_day_brings_the_others(aboard):
    facts = [
        issued(f"b{customer}-{n}", "e-1", n, customer_ref=f"c-{customer}")
        for customer in range(SIGNALS_MAX + 3)
        for n in range(CUSTOMER_CHECKS_MIN)
    ]
    await looked_at(aboard, facts)
    assert len(await raised(aboard)) == SIGNALS_MAX
    aboard.clock.moment = moment(LAST + 2)
    await Telling(aboard).tell(closed(LAST + 1), partition=6)
    await look(aboard)
    assert len({one.signal_id for one in await raised(aboard)}) == SIGNALS_MAX + 3


async def test_a_rebuild_gives_the_same_list(tmp_path):
    """INV-06."""
    sailing = await Sailing(tmp_path, recording=True).begin()
    sailing.clock.moment = moment(LAST + 1)
    facts = [fact for facts in OBVIOUS.values() for fact in facts()]
    own = [issued("own", "e-own"), reserved("own", "e-own", moment(1))]
    await looked_at(sailing, [*facts, *own], partition=0)
    before = await listed(sailing)
    await dismissed(sailing, before["signals"][1]["signal_id"])
    before = await listed(sailing)
    made = await rebuilt(sailing, AUDIT)
    assert differing(comparable(made, sailing), comparable(sailing.stores[AUDIT], sailing)) == []
    await serve_again(sailing, AUDIT, made)
    await sailing.ring(AUDIT)
    assert await listed(sailing) == before


# ---- the list ------------------------------------------------------------------------------------


async def test_open_signals_stand_first_and_dismissed_ones_stay(aboard):
    names = []
    for number in range(4):
        names.append(await one_signal(aboard, f"x{number}"))
        aboard.later(minutes=1)
    fact = await dismissed(aboard, names[3], reason="usual_here")
    assert (fact["by"], fact["reason"], fact["site"]) == ("m-1", "usual_here", SITE)
    aboard.later(minutes=1)
    await dismissed(aboard, names[0])
    found = (await listed(aboard))["signals"]
    assert [one["signal_id"] for one in found] == [names[2], names[1], names[0], names[3]]
    gone = found[3]
    assert (gone["dismissed_for"], gone["dismissed_by"]) == ("usual_here", "m-1")
    assert [one["dismissed_at"] is None for one in found] == [True, True, False, False]


async def test_the_list_is_read_in_pages(aboard):
    for number in range(5):
        await one_signal(aboard, f"x{number}")
        aboard.later(minutes=1)
    whole = (await listed(aboard))["signals"]
    pages, following = [], "?limit=2"
    while following:
        page = await listed(aboard, following)
        pages += page["signals"]
        following = f"?limit=2&cursor={page['next']}" if page["next"] else ""
    assert pages == whole
    assert (await listed(aboard, "?cursor=x", status=422))["type"] == "cursor_invalid"


async def test_a_signal_is_dismissed_once_and_a_repeat_has_the_same_answer(aboard):
    signal_id = await one_signal(aboard)
    first = await dismissed(aboard, signal_id, key="k")
    assert await dismissed(aboard, signal_id, key="k") == first
    assert (await dismissed(aboard, signal_id, 409))["type"] == "already_dismissed"
    assert (await aboard.types(AUDIT)).count("signal.dismissed") == 1
    assert (await dismissed(aboard, signal_id, 422, reason="Kim said so"))["type"] == (
        "schema_invalid"
    )


async def looked(
    aboard: Aboard, signal_id: str, person: str, status: int = 201, key: str = "k", **how: str
) -> Any:
    bearer = aboard.bearer("m-1", MANAGER, site=how.pop("site", SITE))
    said = {"person": person, "purpose": "checks just below a limit", **how}
    async with aboard.http(AUDIT, bearer) as board:
        headers = {"Idempotency-Key": key}
        answer = await board.post(f"/v1/signals/{signal_id}/look", json=said, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_whom_a_signal_names_is_asked_about_with_a_purpose_and_sees_it(aboard):
    await looked_at(aboard, [*streak(range(STREAK_DAYS)), issued("x", "e-other")])
    (signal,) = (await listed(aboard))["signals"]
    (person,) = signal["persons"]
    found = await looked(aboard, signal["signal_id"], person)
    assert (found["person"], found["month"]) == (person, "2026-06")
    days = [one["day"] for one in found["checks"]]
    assert days == sorted(days, reverse=True)
    assert [one["check_id"] for one in found["checks"]] == ["ck-n3", "ck-n2", "ck-n1", "ck-n0"]
    assert found["checks"][0]["cost_minor"] == COST
    assert await looked(aboard, signal["signal_id"], person) == found
    assert (await aboard.types(AUDIT)).count("look.taken") == 1
    for who, seen in (("e-jonas", 1), ("e-ingrid", 0)):
        async with aboard.http(AUDIT, aboard.bearer(who)) as phone:
            assert len((await phone.get("/v1/me/looks")).json()["looks"]) == seen


async def test_nobody_is_asked_about_whom_no_signal_of_the_site_names(aboard):
    await looked_at(aboard, streak(range(STREAK_DAYS)))
    (signal,) = (await listed(aboard))["signals"]
    signal_id, (person,) = signal["signal_id"], signal["persons"]
    other = name_of(aboard, "e-ingrid")
    assert (await looked(aboard, signal_id, other, 422))["errors"] == [{"pointer": "/person"}]
    await looked(aboard, signal_id, person, 404, site="ms-borealis")
    await looked(aboard, "sg-none", person, 404)
    await looked(aboard, signal_id, person, 422, purpose="x")
    assert "look.taken" not in await aboard.types(AUDIT)


async def test_signals_are_of_one_site(aboard):
    signal_id = await one_signal(aboard)
    assert (await listed(aboard, f"?site={SITE}"))["signals"]
    assert (await listed(aboard, site="ms-borealis"))["signals"] == []
    assert (await listed(aboard, "?site=ms-borealis", status=404))["type"] == "unknown_site"
    refused = await dismissed(aboard, signal_id, 404, site="ms-borealis")
    assert refused["type"] == "unknown_signal"
