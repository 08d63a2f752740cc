"""Measures: what is counted and shown, to whom, in which form; and what is never shown of few employees."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.measures import privacy
from services.audit.measures.declared import MEASURES, quantile, variation
from services.audit.measures.handlers import OBSERVED
from services.audit.measures.rules import (
    AMOUNTS,
    COUNTERS,
    SECONDS,
    Buckets,
    accounts_of,
)
from shared.contracts.catalogue import AUDIT, FACTS, subscriptions
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.reasons import Reason
from shared.money import AMOUNT_MINOR_MAX, BALANCE_MAX
from shared.ops import dashboard
from shared.runtime.observe import MEASURE_TODAY
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.described import undescribed
from tests.suites.measured import COUNTED, Slow, Told, compare, computed, fact, records
from tests.suites.services import SITE, Aboard
from tests.unit.test_rebuild import Sailing, Voyage
from tests.unit.test_selfservice import resolved, sent

ROOT = Path(__file__).parents[2]
TODAY = START.date()
#: When the values of today that are derived from employees may be shown.
SHOWN_AT = privacy.closed_at(TODAY) + privacy.SHOWN_AFTER


@pytest.fixture
async def aboard(tmp_path: Path) -> AsyncIterator[Aboard]:
    aboard = await Aboard(tmp_path, recording=True).begin()
    yield aboard
    assert undescribed(aboard) == [], "a test was answered as no document says"


def number_in(one: dict[str, Any]) -> Any:
    """The number that an answer has of a measure, also where it is an amount."""
    return one["amount_minor"] if one["currency"] else one["value"]


class Shown(dict[tuple[str, str], dict[str, Any]]):
    """An answer by measure and part."""

    def value(self, measure: str, part: str = "") -> Any:
        return number_in(self[measure, part])


async def asked(aboard: Aboard, query: str = "", **how: Any) -> Any:
    bearer = aboard.bearer("m-1", how.pop("kind", "manager"), **how.pop("token", {}))
    async with aboard.http(AUDIT, bearer) as caller:
        return await caller.get(f"/v1/measures{query}", headers=how)


async def shown(aboard: Aboard, query: str = "") -> Shown:
    answer = await asked(aboard, query)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return Shown(
        {(one["measure"], one["part"]): one for one in found["leading"] + found["lagging"]}
    )


async def hear(aboard: Aboard, *told: Told) -> None:
    """Audit hears of these at once, in partitions that it has not heard of."""
    aboard.partition = getattr(aboard, "partition", 20) + 1  # type: ignore[attr-defined]
    for heard_at, topic, one in records(sorted(told, key=lambda one: one.heard_at)):
        aboard.clock.moment = max(aboard.clock.moment, heard_at)
        await aboard.feed(AUDIT, topic, [one], aboard.partition)  # type: ignore[attr-defined]


def check(
    employee: int, minutes: float = 0, late: timedelta = timedelta(0), **changes: Any
) -> Told:
    at = START + timedelta(minutes=minutes)
    given = {"employee_id": f"e-{employee}", "issued_at": at, "reason": "food", **changes}
    return Told(fact("check.issued", **given), at, at + late)


def stretch(employee: int, minutes: float = 0, late: timedelta = timedelta(0)) -> Told:
    return check(employee, minutes, late, explain_by=START)


def distinct(number: int) -> Sequence[int]:
    """Employees whose marks differ."""
    from tests.suites.measured import NAMES

    found: dict[int, int] = {}
    for employee in range(200):
        mark = privacy.mark_of(NAMES.employee(SITE, "2026-06", f"e-{employee}"))
        found.setdefault(mark, employee)
    return list(found.values())[:number]


# ---- declarations ------------------------------------------------------------------------------


def test_every_measure_and_its_formula_is_in_the_glossary_and_every_one_there_is_declared():
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    part = page.partition("\n## Measures\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| ([a-z ]+) \| (.+) \|$", part, re.M)
    assert rows == [
        (one.name, one.leads.value, one.unit.value.replace("_", " "), one.formula)
        for one in MEASURES
    ]


def test_names_of_measures_and_counters_are_unique_and_accounts_are_of_one_counter_each():
    assert len({one.name for one in MEASURES}) == len(MEASURES)
    names = [path for one in COUNTERS for path, _ in one.paths]
    assert len(set(names)) == len(names)
    assert {one for measure in MEASURES for one in measure.counters} <= set(COUNTERS)
    assert all(one.groups for measure in MEASURES for one in measure.employees)


def test_every_counter_counts_facts_that_are_recorded():
    recorded = {kind for facts in subscriptions(AUDIT).values() for kind in facts}
    assert {kind for one in COUNTERS for kind in one.facts} <= recorded


async def test_every_account_that_a_record_posts_to_is_one_that_is_read(aboard: Aboard):
    """Account names are of a closed set: a site, a day, a counter, a cell, a currency."""
    names = {name for name, _ in accounts_of(SITE, TODAY, "NOK", COUNTERS)}
    await hear(aboard, *(check(n, n, first=True, complained_at=START) for n in range(9)))
    posted = {name for name in aboard.stores[AUDIT].kept.accounts if name.startswith("m/")}
    assert posted
    assert posted <= names


# ---- buckets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("buckets", "most"), [(SECONDS, 2**25), (AMOUNTS, AMOUNT_MINOR_MAX)])
def test_a_number_is_never_farther_from_its_bucket_than_is_said(buckets: Buckets, most: int):
    @given(
        st.one_of(st.integers(0, most), st.sampled_from([b for b in buckets.bounds if b <= most]))
    )
    def near(number: int) -> None:
        found = buckets.number(buckets.cell(number))
        assert abs(found - number) <= number * buckets.error * (1 + 1e-9)

    near()
    assert (round(SECONDS.error, 3), round(AMOUNTS.error, 3)) == (0.091, 0.189)


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_the_nearest_rank_within_the_stated_error(waits: list[int], part: float):
    counts: dict[str, int] = {}
    for one in waits:
        counts[SECONDS.cell(one)] = counts.get(SECONDS.cell(one), 0) + 1
    exact = sorted(waits)[max(0, -int(-part * len(waits) // 1) - 1)]
    found = quantile(SECONDS, counts, part)
    assert found is not None
    assert abs(found - exact) <= exact * SECONDS.error * (1 + 1e-9)


def test_nothing_counted_is_no_value_and_not_zero():
    assert quantile(SECONDS, {}, 0.5) is None
    assert variation(AMOUNTS, {"3": 1}) is None
    assert variation(AMOUNTS, {"3": 2}) == 0


# ---- a record never waits for a measure ----------------------------------------------------------


async def test_a_day_of_the_largest_amounts_is_counted_and_stops_nothing(aboard: Aboard):
    most = {"value_minor": AMOUNT_MINOR_MAX, "cost_minor": AMOUNT_MINOR_MAX}
    await hear(aboard, *(check(n, n, **most) for n in range(12)))
    found = await shown(aboard)
    assert found.value("value_given") == 12 * AMOUNT_MINOR_MAX
    assert 1000 * AMOUNT_MINOR_MAX < BALANCE_MAX
    assert await aboard.dead(AUDIT) == []


# ---- what is counted apart ------------------------------------------------------------------------


async def test_messages_without_an_address_are_no_failures_and_are_told_apart(aboard: Aboard):
    failed = [
        Told(fact("message.failed", reason=reason), START, START)
        for reason in ("no_contact", "customer_erased", "address_refused")
    ]
    await hear(aboard, Told(fact("message.sent"), START, START), *failed)
    found = await shown(aboard)
    assert found.value("delivery_success") == 50.0
    assert found["delivery_success", ""]["counted"] == 2
    assert found.value("messages_without_address") == 2


async def test_a_message_that_goes_on_by_another_channel_counts_by_that_channels_fate(
    aboard: Aboard,
):
    goes_on = fact("message.failed", reason="address_refused", next_channel="sms")
    await hear(aboard, Told(goes_on, START, START), Told(fact("message.sent"), START, START))
    found = await shown(aboard)
    assert found.value("delivery_success") == 100.0
    assert found["delivery_success", ""]["counted"] == 1


async def test_checks_taken_back_are_counted_beside_those_given(aboard: Aboard):
    taken_back = Told(fact("check.voided"), START, START)
    await hear(aboard, check(1, first=True, complained_at=START), check(2, 1), taken_back)
    found = await shown(aboard)
    assert (found.value("checks_given"), found.value("checks_taken_back")) == (2, 1)
    assert found["time_to_compensation", "p50"]["counted"] == 1


@pytest.mark.parametrize("helped", ["yes", "partly", "no"])
async def test_an_answer_counts_once_on_the_customers_page_and_to_a_letter(
    aboard: Aboard, helped: str
):
    """On the page it is the fact of complaints alone; to a letter, complaints makes a second one of the notifier's."""
    _, path = await resolved(aboard)
    assert (await sent(aboard, f"{path}/helped", action=helped)).status_code == 303
    await aboard.carry()
    rate = 100.0 if helped == "yes" else 0.0
    found = await shown(aboard)
    assert (found.value("helped_rate"), found["helped_rate", ""]["counted"]) == (rate, 1)
    other = await aboard.raise_complaint(1)
    answer = FeedbackReceived(
        complaint_id=other, check_id="ck-1", helped=Helped(helped), answered_at=START, site=SITE
    )
    for service in ("complaints", AUDIT):
        await aboard.feed(service, FeedbackReceived.TOPIC, [record(answer, 4_000)], partition=9)
    await aboard.carry()
    found = await shown(aboard)
    assert (found.value("helped_rate"), found["helped_rate", ""]["counted"]) == (rate, 2)
    counted = aboard.stores[AUDIT].kept.accounts
    said = {name: n for name, n in counted.items() if "/feedback/" in name and n}
    assert [name.rpartition("/")[2] for name in said] == [helped], said


# ---- late records --------------------------------------------------------------------------------


async def test_a_late_record_corrects_the_day_in_which_it_happened(aboard: Aboard):
    first = fact("feedback.received", helped="yes")
    await hear(aboard, Told(first, START, START))
    late = fact("feedback.received", helped="no", check_id="k-2")
    await hear(aboard, Told(late, START, START + timedelta(days=2)))
    assert (await shown(aboard, f"?from={TODAY}&to={TODAY}")).value("helped_rate") == 50.0
    assert (await shown(aboard)).value("helped_rate") is None


# ---- few employees -------------------------------------------------------------------------------


@pytest.mark.parametrize("employees", [1, 4])
async def test_nothing_derived_from_fewer_than_five_employees_is_shown(
    aboard: Aboard, employees: int
):
    """INV-13: however much they do, and whatever is asked: a day, or days around it."""
    who = distinct(employees)
    await hear(aboard, *(stretch(one, n) for n, one in enumerate([*who] * 9)))
    aboard.clock.moment = SHOWN_AT + timedelta(days=3)
    for query in ("", f"?from={TODAY}&to={TODAY}", f"?from=2026-05-20&to={aboard.clock().date()}"):
        found = await shown(aboard, query)
        for name in ("stretch_rate", "limit_hit_rate"):
            assert found.value(name) is None
            assert found[name, ""]["counted"] == 0
        assert found.value("value_spread", "food") is None


async def test_five_employees_are_shown_when_the_day_is_closed_and_not_before(aboard: Aboard):
    await hear(aboard, *(check(one, n) for n, one in enumerate(distinct(5))))
    query = f"?from={TODAY}&to={TODAY}"
    assert (await shown(aboard, query)).value("stretch_rate") is None
    assert (await shown(aboard, query))["stretch_rate", ""]["withheld"]
    aboard.clock.moment = SHOWN_AT - timedelta(seconds=1)
    assert (await shown(aboard, query)).value("stretch_rate") is None
    aboard.clock.moment = SHOWN_AT
    found = await shown(aboard, query)
    assert (found.value("stretch_rate"), found["stretch_rate", ""]["counted"]) == (0.0, 5)
    assert not found["stretch_rate", ""]["withheld"]


async def test_a_day_that_was_shown_does_not_change_by_what_one_employee_did(aboard: Aboard):
    """A sixth employee whose record comes late counts in the day on which it is recorded."""
    *five, sixth = distinct(6)
    await hear(aboard, *(check(one, n) for n, one in enumerate(five)))
    aboard.clock.moment = SHOWN_AT
    query = f"?from={TODAY}&to={TODAY}"
    before = await shown(aboard, query)
    await hear(aboard, stretch(sixth, 30, late=timedelta(days=1)))
    after = await shown(aboard, query)
    for name in ("stretch_rate", "limit_hit_rate"):
        assert after[name, ""] == before[name, ""]
    assert after["value_spread", "food"] == before["value_spread", "food"]
    assert after.value("checks_given") == before.value("checks_given") + 1


async def test_no_answers_of_any_times_and_periods_differ_by_one_employee(aboard: Aboard):
    """INV-13: one who joins during the day, a day of few between days of many: nothing can be subtracted."""
    people = distinct(7)
    seen: dict[tuple[str, str], set[int]] = {}

    async def look() -> None:
        for back in range(3):
            for length in range(3):
                tomorrow = aboard.clock().date() + timedelta(days=1)
                last = min(TODAY + timedelta(days=2 - back), tomorrow)
                query = f"?from={last - timedelta(days=length)}&to={last}"
                found = await shown(aboard, query)
                for name in (
                    ("stretch_rate", ""),
                    ("limit_hit_rate", ""),
                    ("value_spread", "food"),
                ):
                    seen.setdefault(name, set()).add(found[name]["counted"])

    day = 24 * 60
    for n, one in enumerate(people[:6]):
        await hear(aboard, stretch(one, n))
        await look()
    for n, one in enumerate(people[:3]):
        await hear(aboard, stretch(one, day + n))
        await look()
    for n, one in enumerate(people):
        await hear(aboard, check(one, 2 * day + n))
        await look()
    aboard.clock.moment = SHOWN_AT + timedelta(days=5)
    await look()
    # Six of the first day, seven of the third, both together, and never the three of the second.
    assert all(found == {0, 6, 7, 13} for found in seen.values())


def test_marks_are_never_more_than_employees_and_five_are_enough():
    names = [f"em-{n}" for n in range(200)]
    for most in range(1, 40):
        assert len({privacy.mark_of(one) for one in names[:most]}) <= most
    assert not privacy.are_enough([1, 2, 3, 4, 4, 4])
    assert privacy.are_enough([1, 2, 3, 4, 5])


def window(kind: str, day: int, employees: int, used: int, hour: int = 12) -> Told:
    at = START.replace(hour=hour) + timedelta(days=day)
    changes = {
        "employees": employees,
        "employees_idle": 1,
        "used_minor": used,
        "ceiling_minor": 1000,
    }
    return Told(fact(kind, **changes), at, at)


async def test_authority_is_shown_during_the_day_from_each_shift_that_ended(aboard: Aboard):
    await hear(aboard, window("authority.counted", 0, 6, 300, hour=6))
    found = await shown(aboard)
    assert (found.value("authority_utilisation"), found.value("non_use_rate")) == (30.0, 16.7)


async def test_a_shift_of_few_is_not_the_difference_between_a_day_and_its_other_shifts(
    aboard: Aboard,
):
    await hear(
        aboard,
        window("authority.counted", 0, 6, 300, hour=15),
        window("authority.counted", 0, 2, 500, hour=23),
        window("window.closed", 1, 8, 800, hour=4),
    )
    tomorrow = TODAY + timedelta(days=1)
    for first, last in ((TODAY, TODAY), (tomorrow, tomorrow), (TODAY, tomorrow)):
        found = await shown(aboard, f"?from={first}&to={last}")
        assert found.value("authority_utilisation") in (30.0, None)


async def test_a_site_without_shifts_shows_its_days(aboard: Aboard):
    await hear(aboard, window("window.closed", 0, 8, 800))
    assert (await shown(aboard)).value("authority_utilisation") == 80.0


# ---- whom, and in which form ---------------------------------------------------------------------


async def test_another_sites_measures_are_not_there(aboard: Aboard):
    for query in ("?site=ms-borealis", "?site=nowhere"):
        answer = await asked(aboard, query)
        assert (answer.status_code, answer.json()["type"]) == (404, Reason.UNKNOWN_SITE)
    assert (await asked(aboard, f"?site={SITE}")).status_code == 200
    answer = await asked(aboard, token={"site": "ms-borealis"})
    assert (answer.status_code, answer.json()["type"]) == (404, Reason.UNKNOWN_SITE)


async def test_a_manager_of_several_sites_sees_the_measures_of_each(aboard: Aboard):
    await hear(aboard, check(1))
    region = {"site": "ms-borealis", "sites": [SITE]}
    answer = await asked(aboard, f"?site={SITE}&measure=checks_given", token=region)
    assert answer.json()["site"] == SITE
    assert [one["value"] for one in answer.json()["leading"]] == [1]


async def test_the_measures_that_are_named_are_shown_and_no_others(aboard: Aboard):
    answer = await asked(aboard, "?measure=recovery_roi&measure=complaints_by_hour")
    found = answer.json()
    assert {one["measure"] for one in found["leading"]} == {"complaints_by_hour"}
    assert {one["measure"] for one in found["lagging"]} == {"recovery_roi"}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?measure=no_such", Reason.SCHEMA_INVALID),
        ("?measure=complaints&measure=complaints%0A", Reason.SCHEMA_INVALID),
        ("?from=2026-06-02&to=2026-06-01", Reason.PERIOD_REVERSED),
        ("?from=2026-03-03&to=2026-06-03", Reason.PERIOD_TOO_LONG),
        ("?from=0001-01-01&to=0001-01-02", Reason.TIME_OUT_OF_RANGE),
        ("?to=9999-12-31", Reason.TIME_OUT_OF_RANGE),
        ("?to=2026-06-05", Reason.TIME_OUT_OF_RANGE),
        ("?from=2026-06-05", Reason.TIME_OUT_OF_RANGE),
        ("?from=soon", Reason.SCHEMA_INVALID),
        ("?retained_percent=101", Reason.SCHEMA_INVALID),
        ("?margin_minor=-1", Reason.SCHEMA_INVALID),
    ],
)
async def test_a_period_or_an_assumption_out_of_bounds_is_refused(
    aboard: Aboard, query: str, reason: Reason
):
    answer = await asked(aboard, query)
    assert (answer.status_code, answer.json()["type"]) == (422, reason)


async def test_the_longest_period_and_the_day_that_has_begun_in_the_east_are_shown(aboard: Aboard):
    for query in ("?from=2026-03-04&to=2026-06-03", "?to=2026-06-04"):
        assert (await asked(aboard, query)).status_code == 200


async def test_a_measure_without_a_value_says_why_and_from_when_there_may_be_one(aboard: Aboard):
    def why(found: Shown, name: str, part: str = "") -> tuple[str | None, str | None]:
        return found[name, part]["absent"], found[name, part]["shown_from"]

    await hear(aboard, *(check(one, n) for n, one in enumerate(distinct(4))))
    await hear(aboard, window("authority.counted", 0, 2, 300, hour=15))
    query = f"?from={TODAY}&to={TODAY}"
    found = await shown(aboard, query)
    assert why(found, "checks_given") == (None, None)
    assert why(found, "helped_rate") == ("nothing_counted", None)
    assert why(found, "stretch_rate") == ("not_closed", "2026-06-04T06:15:00Z")
    assert why(found, "authority_utilisation") == ("too_few_employees", None)
    aboard.clock.moment = SHOWN_AT
    assert why(await shown(aboard, query), "stretch_rate") == ("too_few_employees", None)
    before = TODAY - timedelta(days=1)
    found = await shown(aboard, f"?from={before}&to={before}")
    assert why(found, "stretch_rate") == ("nothing_counted", None)
    assert why(found, "authority_utilisation") == ("nothing_counted", None)


async def test_money_is_an_amount_in_minor_units_with_its_currency(aboard: Aboard):
    await hear(aboard, check(1, value_minor=120_000))
    found = await shown(aboard)
    one = found["value_given", ""]
    assert (one["amount_minor"], one["currency"], one["value"]) == (120_000, "NOK", None)
    assert one["absent"] is None
    assert found["cost_per_helped_customer", ""]["absent"] == "nothing_counted"
    assert found["checks_given", ""]["currency"] is None


async def test_a_site_that_spent_nothing_lacks_no_answers(aboard: Aboard):
    await hear(aboard, Told(fact("complaint.triaged"), START, START))
    found = await asked(aboard, "?measure=recovery_roi&handling_minor=0")
    assert [one["absent"] for one in found.json()["lagging"]] == ["nothing_counted"]


async def test_the_same_comes_as_a_table_for_who_accepts_csv(aboard: Aboard):
    await hear(aboard, check(1), *(Told(fact("message.sent"), START, START),))
    answer = await asked(aboard, accept="text/csv;q=1.0, */*;q=0.1")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["vary"] == "Accept"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    told = (await asked(aboard)).json()
    assert [(one["measure"], one["part"], one["formula"]) for one in rows] == [
        (one["measure"], one["part"], one["formula"]) for one in told["leading"] + told["lagging"]
    ]
    assert {one["kind"] for one in rows} == {"leading", "lagging"}
    (one,) = [one for one in rows if one["measure"] == "delivery_success"]
    assert (one["value"], one["withheld"], one["error_percent"]) == ("100", "false", "0")
    (one,) = [one for one in rows if one["measure"] == "stretch_rate"]
    assert (one["absent"], one["shown_from"]) == ("not_closed", "2026-06-04T06:15:00Z")
    again = await asked(aboard, accept="text/csv", **{"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_what_nobody_recorded_is_an_assumption_that_is_told_and_can_be_changed(
    aboard: Aboard,
):
    answer = Told(fact("feedback.received", helped="yes"), START, START)
    await hear(aboard, check(1, cost_minor=10_000), answer)
    found = await asked(aboard, "?retained_percent=50&margin_minor=60000&handling_minor=0")
    told = {one["name"]: one["value"] for one in found.json()["assumptions"]}
    assert told == {"retained_percent": 50, "margin_minor": 60_000, "handling_minor": 0}
    (roi,) = [one for one in found.json()["lagging"] if one["measure"] == "recovery_roi"]
    assert roi["value"] == 200.0
    defaults = (await asked(aboard)).json()["assumptions"]
    assert {one["name"]: one["value"] for one in defaults}["retained_percent"] == 63
    assert all(one["label"] for one in defaults)


# ---- Prometheus and Grafana ----------------------------------------------------------------------


def samples() -> dict[tuple[str, str, str], float]:
    return {
        (one.labels["site"], one.labels["measure"], one.labels["part"]): one.value
        for metric in MEASURE_TODAY.collect()
        for one in metric.samples
    }


async def test_prometheus_is_told_todays_measures_of_every_site_and_nothing_else(aboard: Aboard):
    await hear(aboard, *(stretch(one, n) for n, one in enumerate(distinct(6))))
    scrape = aboard.apps[AUDIT].on_scrape
    assert scrape is not None
    await scrape()
    found = samples()
    assert found[SITE, "checks_given", ""] == 6
    assert {name for _, name, _ in found} <= {one.name for one in OBSERVED}
    # Nobody reads the store at every scrape, and a value that is gone goes.
    await hear(aboard, check(1))
    await scrape()
    assert samples()[SITE, "checks_given", ""] == 6
    aboard.later(days=1)
    await scrape()
    assert samples()[SITE, "checks_given", ""] == 0
    aboard.later(days=1)
    aboard.stores[AUDIT].lose()
    await scrape()
    assert samples() == {}


def test_every_panel_of_measures_shows_a_declared_one_and_every_observed_one_is_shown():
    named = set(re.findall(r'measure=."([a-z_]+)', dashboard.measures()))
    assert named == {one.name for one in OBSERVED}


@pytest.mark.parametrize("text", [dashboard.text, dashboard.measures])
def test_no_panel_of_a_dashboard_is_beyond_its_edge_or_over_another_one(text: Callable[[], str]):
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for across in range(place["w"]):
            for down in range(place["h"]):
                cell = place["x"] + across, place["y"] + down
                assert cell not in taken, panel["title"]
                taken.add(cell)


def test_the_dashboard_of_measures_can_be_narrowed_to_sites():
    board = json.loads(dashboard.measures())
    assert "site" in {one["name"] for one in board["templating"]["list"]}
    queries = [one["expr"] for panel in board["panels"] for one in panel.get("targets", ())]
    assert queries
    assert all('site=~"$site"' in query for query in queries)


@pytest.mark.parametrize(
    ("heard_after", "day"), [(timedelta(0), 3), (timedelta(hours=15), 3), (timedelta(hours=16), 4)]
)
def test_values_of_employees_count_in_their_day_until_it_is_closed(
    heard_after: timedelta, day: int
):
    assert privacy.counted_on(START, START + heard_after) == date(2026, 6, day)


# ---- what the services really say ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_what_the_services_publish_is_counted_as_a_slow_computation_has_it(
    tmp_path: Path, seed: int
):
    """Sites, currencies, times and ends of windows as the services themselves write them."""
    sailing = await Sailing(tmp_path, recording=True).begin()
    await Voyage(sailing, seed).sail(80)
    for _ in range(4):
        sailing.later(hours=8)
        for service in ("compensation", "complaints", "notifier"):
            await sailing.ring(service)
        await sailing.carry()
    sailing.later(hours=16)
    heard = {
        one["data"]["record"]["event_id"]: one["data"]["recorded_at"]
        for one in await sailing.events(AUDIT)
        if "record" in one["data"]
    }
    kinds = {f"recovery.{kind}.v1" for kind in COUNTED}
    happened = [
        Told(
            FACTS[one["type"]].model_validate(one["data"]),
            datetime.fromisoformat(one["time"]),
            datetime.fromisoformat(heard[one["id"]]),
        )
        for service in ("complaints", "compensation", "notifier")
        for one in await sailing.events(service)
        if one["type"] in kinds
    ]
    assert {one.fact.TYPE for one in happened} >= {
        f"recovery.{kind}.v1" for kind in ("message.sent", "authority.counted", "check.issued")
    }
    last = sailing.clock().date()
    found = await shown(sailing, f"?from={TODAY}&to={last}")
    values = {name: number_in(one) for name, one in found.items()}
    compare(values, computed(Slow(happened, TODAY, last, sailing.clock(), sailing.policy.currency)))
    for measure in ("complaints", "checks_given", "delivery_success", "value_given"):
        assert found.value(measure)
