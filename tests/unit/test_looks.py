"""Whoever looks at one employee says first what for; it is on the record, and the employee sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from typer.testing import CliRunner

from services.audit.looks import commands
from services.audit.looks.handlers import take
from services.audit.looks.rules import SHOWN_MAX, months
from shared.contracts.audit import LookTaken
from shared.contracts.catalogue import AUDIT, REBUILD_RETENTION
from shared.ops.__main__ import app as operators
from shared.runtime.privacy.seal import Vault
from shared.testing.clock import START
from tests.suites.described import undescribed
from tests.suites.services import MASTER, SITE, Aboard
from tests.unit.test_audit_chain import OWN, chained

PSEUDONYM = Vault(MASTER).pseudonyms.employee
WHY = "a signal about checks redeemed by their giver"


@pytest.fixture
async def aboard(tmp_path) -> AsyncIterator[Aboard]:
    aboard = await Aboard(tmp_path).begin()
    yield aboard
    assert undescribed(aboard) == [], "a test was answered as no document says"


async def look(aboard: Aboard, name: str, person: str, purpose: str = WHY) -> None:
    fact = LookTaken(
        look_id=name, person=person, site=SITE, purpose=purpose, by="op-7", looked_at=aboard.clock()
    )
    decide = partial(take, fact, pseudonym=PSEUDONYM)
    settler = aboard.apps[AUDIT].parts.settler
    await settler.settle_internal(f"command/look/{name}", name, decide)


async def shown(aboard: Aboard, employee: str = "e-ingrid", **changes: str) -> list[str]:
    bearer = aboard.bearer(employee, **changes)
    async with aboard.http(AUDIT, bearer) as phone:
        answer = await phone.get("/v1/me/looks")
    assert answer.status_code == 200, answer.text
    return [one["purpose"] for one in answer.json()["looks"]]


async def test_an_employee_sees_every_look_at_them_by_a_pseudonym_of_any_month_and_no_other(aboard):
    for name, site, month, employee in (
        ("long-ago", SITE, f"{START - timedelta(days=900):%Y-%m}", "e-ingrid"),
        ("now", SITE, f"{START:%Y-%m}", "e-ingrid"),
        ("colleague", SITE, f"{START:%Y-%m}", "e-jonas"),
        ("elsewhere", "ms-borealis", f"{START:%Y-%m}", "e-ingrid"),
    ):
        await look(aboard, name, PSEUDONYM(site, month, employee), name)
        aboard.later(minutes=1)
    assert await shown(aboard) == ["now", "long-ago"]
    assert await shown(aboard, "e-jonas") == ["colleague"]
    assert await shown(aboard, site="ms-borealis") == ["elsewhere"]


async def test_a_look_is_on_the_record_with_its_purpose_before_it_is_answered(aboard):
    person = PSEUDONYM(SITE, "2026-06", "e-ingrid")
    await look(aboard, "lk-1", person)
    (data,) = (await chained(aboard))[OWN]
    record = json.loads(data)["record"]
    assert record["what"] == LookTaken.TYPE
    assert record["site"] == SITE
    assert record["details"] == {
        "by": PSEUDONYM(SITE, "2026-06", "op-7"),
        "look_id": "lk-1",
        "looked_at": "2026-06-03T14:00:00Z",
        "person": person,
        "purpose": WHY,
    }


async def test_of_very_many_looks_the_newest_are_shown(aboard):
    for number in range(SHOWN_MAX + 1):
        await look(aboard, f"lk-{number}", PSEUDONYM(SITE, "2026-06", "e-ingrid"), f"no {number}")
        aboard.later(seconds=1)
    found = await shown(aboard)
    assert (len(found), found[0], found[-1]) == (SHOWN_MAX, f"no {SHOWN_MAX}", "no 1")


def test_months_are_all_those_from_which_there_may_be_records():
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    found = list(months(now))
    assert found[:2] == ["2026-01", "2025-12"]
    assert found[-1] == f"{now - REBUILD_RETENTION:%Y-%m}"
    assert len(set(found)) == len(found) == 37


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--site", SITE], "say with --purpose what the look is for"),
        (["--site", SITE, "--purpose", WHY], "say who you are, with --by"),
        (["--purpose", WHY, "--by", "op-7"], "say with --site where the employee works"),
        (["--site", SITE, "--by", "op-7", "--purpose", "x"], "a line of 3 to 200 characters"),
        (["--site", SITE, "--by", "op-7", "--purpose", "a@b.example"], "without @"),
        (["--site", SITE, "--by", "op-7", "--purpose", "x" * 201], "a line of 3 to 200"),
        (["--site", SITE, "--by", "Kari Nordmann", "--purpose", WHY], "must be ids"),
    ],
)
def test_without_a_purpose_an_operator_and_a_site_nothing_is_read(words, said):
    told = CliRunner().invoke(commands.app, ["tail", "--employee", "e-ingrid", *words])
    assert (told.exit_code, said in told.output) == (2, True), told.output
    if "--site" in words:
        told = CliRunner().invoke(commands.app, ["export", "--employee", "e-ingrid", *words])
        assert (told.exit_code, said in told.output) == (2, True), told.output


@pytest.mark.parametrize("month", ["june", "2026-13", "2026-6"])
def test_a_month_that_is_none_is_a_sentence(month):
    words = ["tail", "--employee", "e-ingrid", "--site", SITE, "--purpose", WHY, "--by", "op-7"]
    told = CliRunner().invoke(commands.app, [*words, "--month", month])
    assert (told.exit_code, "a year and a month" in told.output) == (2, True), told.output


def test_of_a_month_only_its_records_are_printed(monkeypatch):
    found = [
        {"time": f"2026-0{month}-02T10:00:00Z", "what": "recovery.x.y.v1", "key": f"k-{month}"}
        for month in (6, 7)
    ]
    monkeypatch.setattr(commands, "_look", lambda *given: given[3](found, lambda _: "em-x"))
    words = ["tail", "--employee", PSEUDONYM(SITE, "2026-06", "e-ingrid"), "--purpose", WHY]
    told = CliRunner().invoke(commands.app, [*words, "--by", "op-7", "--month", "2026-06"])
    assert (told.exit_code, "k-6" in told.output, "k-7" in told.output) == (0, True, False)


def test_only_records_that_name_the_employee_in_their_month_are_shown():
    june, july = (PSEUDONYM(SITE, month, "e-ingrid") for month in ("2026-06", "2026-07"))

    def line(time: str, who: str) -> bytes:
        record = {"time": time, "what": "x", "key": who, "who": who}
        return b'{"hash":"' + b"0" * 64 + b'","record":' + json.dumps(record).encode() + b"}"

    class Topics:
        def partitions(self):
            return [0]

        def records(self, _partition):
            gap = b'{"hash":"' + b"0" * 64 + b'","record":{"missing":1}}'
            times = ("2026-06-30T23:59:59Z", "2026-07-01T00:00:00Z")
            return [gap, *(line(time, who) for time in times for who in (june, july, "em-x"))]

    by_id = list(commands.about(Topics(), lambda month: PSEUDONYM(SITE, month, "e-ingrid")))
    assert [(one["time"][:7], one["who"]) for one in by_id] == [
        ("2026-06", june),
        ("2026-07", july),
    ]
    by_name = list(commands.about(Topics(), lambda _month: june))
    assert {one["who"] for one in by_name} == {june}


def test_an_export_of_an_employee_has_each_month_under_its_pseudonym(monkeypatch):
    def names(month: str) -> str:
        return PSEUDONYM(SITE, month, "e-ingrid")

    found = [{"time": f"2026-0{month}-02T10:00:00Z", "what": "x"} for month in (7, 6, 7)]
    told = commands.by_month(found, names)
    assert list(told["months"]) == ["2026-06", "2026-07"]
    assert told["complete"]
    assert [len(month["records"]) for month in told["months"].values()] == [1, 2]
    assert {month: of["pseudonym"] for month, of in told["months"].items()} == {
        month: names(month) for month in ("2026-06", "2026-07")
    }
    assert "e-ingrid" not in json.dumps(told)
    monkeypatch.setattr(commands, "EXPORTED_MAX", 2)
    told = commands.by_month(found, names)
    assert (sum(len(of["records"]) for of in told["months"].values()), told["complete"]) == (
        2,
        False,
    )


def test_the_story_of_an_employee_is_told_by_no_command_that_asks_for_no_purpose():
    person = PSEUDONYM(SITE, "2026-06", "e-ingrid")
    told = CliRunner().invoke(operators, ["audit", "explain", person])
    assert told.exit_code == 2
    assert "python -m services.audit tail --employee" in told.output
