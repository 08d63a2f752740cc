"""A customer gets everything that complaints knows of them, as data and as a page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic_core import from_json

import services.complaints.customer.export as module
from services.complaints.customer import handlers
from shared.contracts.complaints import Language, reference_of
from shared.contracts.intake import ComplaintRaised
from shared.contracts.reasons import Reason
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard, demo_policy, raised
from tests.unit.test_dead_letters import publish
from tests.unit.test_erasure import ADDRESS, erase, ref_of
from tests.unit.test_one_customer import on_the_spot, write_down
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt

#: What no browser may run, wherever a customer wrote it.
ATTACK = "<script>alert(1)</script>"


async def ask(aboard: Aboard, path: str, kind: Any = "privacy", **how: Any) -> httpx.Response:
    async with aboard.http("complaints", aboard.bearer("guest-relations", kind, **how)) as caller:
        return await caller.get(f"/v1/customers/{path}")


async def exported(aboard: Aboard, ref: str) -> dict[str, Any]:
    answer = await ask(aboard, f"{ref}/export")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_export_has_each_complaint_opened_with_what_was_given_for_it(aboard: Aboard):
    first = await write_down(aboard, "k1", ADDRESS)
    aboard.later(minutes=1)
    await on_the_spot(aboard, "k2", "cinema", contact={"email": ADDRESS, "name": "Kari"})
    check = (await aboard.give(first, "taxfree-card/20000", "k3")).json()
    await aboard.carry()
    await write_down(aboard, "k4", "somebody-else@example.org")
    ref = await ref_of(aboard, first)
    found = await exported(aboard, ref)
    assert (found["customer_ref"], found["complete"], len(found["complaints"])) == (ref, True, 2)
    one, two = found["complaints"]
    assert (one["text"], two["text"]) == ("The soup was cold.", "Cold soup.")
    assert (one["contact"]["email"], two["contact"]["name"]) == (ADDRESS, "Kari")
    assert (one["site"], one["state"]) == (SITE, "claimed")
    (given,) = one["given"]
    assert given == {
        "issued_at": given["issued_at"],
        "check_id": check["check_id"],
        "item": "taxfree-card/20000",
        "value_minor": 20000,
        "currency": "NOK",
        "voided_at": None,
    }
    assert [entry["what"] for entry in one["happened"]] == ["promised", "claimed", "check_given"]
    assert [gift["item"] for gift in two["given"]] == ["cinema"]


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_says_the_same_in_the_customers_language_and_runs_nothing(
    aboard: Aboard, language: Language
):
    contact = {"name": ATTACK, "email": ADDRESS}
    complaint = await aboard.raise_complaint(
        text=f"{ATTACK} cold soup", contact=contact, language=language
    )
    await aboard.give(complaint, "cinema", "k")
    await aboard.carry()
    page = await ask(aboard, f"{await ref_of(aboard, complaint)}/export.html")
    assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert f'<html lang="{language}">' in page.text
    assert "<script" not in page.text
    policy = demo_policy()
    title = policy.checks["cinema"].title[language]
    for shown in ("&lt;script&gt;", "cold soup", ADDRESS, title, policy.site_name):
        assert shown in page.text
    assert reference_of(complaint) in page.text
    for name in (complaint, SITE, ">cinema"):
        assert name not in page.text, name


async def test_a_check_that_was_taken_back_says_so_and_does_after_a_rebuild(tmp_path):
    aboard = await Sailing(tmp_path).begin()
    complaint = await aboard.raise_complaint()
    for item in ("cinema", "taxfree-card/20000"):
        given = (await aboard.give(complaint, item, f"k-{item}", again=True)).json()
        aboard.later(minutes=1)
    assert (await aboard.post(f"checks/{given['check_id']}/void", "v", {})).status_code == 200
    await aboard.carry()
    ref = await ref_of(aboard, complaint)
    (one,) = (await exported(aboard, ref))["complaints"]
    assert [check["voided_at"] for check in one["given"]] == [None, "2026-06-03T14:02:00Z"]
    page = (await ask(aboard, f"{ref}/export.html")).text
    assert page.count(" – withdrawn") + page.count(" – trukket tilbake") == 1
    again = comparable(await rebuilt(aboard, "complaints"), aboard)
    assert differing(again, comparable(aboard.stores["complaints"], aboard)) == []
    assert f"voided:{given['check_id']}" in again["documents"]


async def test_an_erased_customer_cannot_be_exported_any_more(aboard: Aboard):
    ref = await ref_of(aboard, await aboard.raise_complaint())
    await erase(aboard, ref)
    for form in ("export", "export.html"):
        answer = await ask(aboard, f"{ref}/{form}")
        assert (answer.status_code, answer.json()["type"]) == (409, Reason.CUSTOMER_ERASED)


async def test_another_sites_customer_is_not_exported(aboard: Aboard):
    """INV-11"""
    ref = await ref_of(aboard, await aboard.raise_complaint())
    for form in ("export", "export.html"):
        answer = await ask(aboard, f"{ref}/{form}", site="ms-borealis")
        assert (answer.status_code, answer.json()["type"]) == (404, Reason.UNKNOWN_CUSTOMER)


async def test_a_site_gets_what_was_said_there_wherever_else_its_customer_complained(
    aboard: Aboard, monkeypatch
):
    """INV-11: also if their complaint there is the last of many; an erasure is of the person, at every site."""
    monkeypatch.setattr(handlers, "STEP", 2)
    await publish(aboard, "ms-new")
    for number in range(5):
        complaint = await aboard.raise_complaint(number, customer="cab-7")
    aboard.later(minutes=1)
    there = record(raised("Said elsewhere.", site="ms-new", customer="cab-7"), 5, "e-new")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [there])
    ref = await ref_of(aboard, complaint)
    assert {one["site"] for one in (await exported(aboard, ref))["complaints"]} == {SITE}
    found = (await ask(aboard, f"{ref}/export", site="ms-new")).json()
    assert [one["text"] for one in found["complaints"]] == ["Said elsewhere."]
    assert (found["complete"], found["customer_ref"]) == (True, ref)
    page = (await ask(aboard, f"{ref}/export.html", site="ms-new")).text
    assert ("Said elsewhere." in page, "soup" in page) == (True, False)
    assert (await ask(aboard, f"{ref}/export", site="ms-borealis")).status_code == 404
    async with aboard.http("complaints", aboard.bearer("r", "privacy", site="ms-new")) as office:
        path = f"/v1/customers/{ref}/erasure"
        erased = await office.post(path, headers={"Idempotency-Key": "k"})
    assert erased.status_code == 201
    assert (await ask(aboard, f"{ref}/export")).json()["type"] == Reason.CUSTOMER_ERASED


async def test_an_export_reads_page_after_page_and_says_if_it_is_not_all(
    aboard: Aboard, monkeypatch
):
    monkeypatch.setattr(module, "RANGE_MAX", 2)
    for number in range(5):
        ref = await ref_of(aboard, await aboard.raise_complaint(number, customer="cab-7"))
    found = await exported(aboard, ref)
    assert (len(found["complaints"]), found["complete"]) == (5, True)
    monkeypatch.setattr(module, "EXPORTED_MAX", 3)
    found = await exported(aboard, ref)
    assert (len(found["complaints"]), found["complete"]) == (3, False)


async def test_what_was_given_is_listed_in_the_same_order_after_a_rebuild(tmp_path):
    """INV-06"""
    aboard = await Sailing(tmp_path).begin()
    complaint = await aboard.raise_complaint()
    for number, item in enumerate(("cinema", "sincere-words", "taxfree-card/20000")):
        aboard.later(minutes=1)
        assert (await aboard.give(complaint, item, f"k{number}", again=True)).status_code == 201
    await aboard.carry()
    again = comparable(await rebuilt(aboard, "complaints"), aboard)
    assert differing(again, comparable(aboard.stores["complaints"], aboard)) == []
    kept = from_json(again["documents"][f"heard:{complaint}"])
    assert [check[2] for check in kept["given"]] == [
        "cinema",
        "sincere-words",
        "taxfree-card/20000",
    ]
