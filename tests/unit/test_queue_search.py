"""Employees find complaints of their site by reference, customer, place and category."""

from __future__ import annotations

from typing import Any

import pytest

from services.complaints.lifecycle.rules import Complaint, forgotten, stands
from services.complaints.selfservice.rules import reached
from shared.contracts.complaints import (
    ComplaintForgotten,
    ContactChanged,
    Language,
    reference_of,
)
from shared.contracts.intake import ComplaintRaised
from shared.contracts.lifecycle import State
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard

OTHER = "ms-borealis"
PLACE = "Restaurant, deck 5"


async def search(aboard: Aboard, who: str = "e-ingrid", site: str = SITE, **by: Any) -> list[str]:
    """The complaints that are found."""
    async with aboard.http("complaints", aboard.bearer(who, site=site)) as phone:
        answer = await phone.post("/v1/complaints/search", json=by)
    assert answer.status_code == 200, answer.text
    return [one["complaint_id"] for one in answer.json()["complaints"]]


async def refused(aboard: Aboard, path: str = "complaints/search", **by: Any) -> tuple[int, str]:
    async with aboard.http("complaints") as phone:
        answer = await phone.post(f"/v1/{path}", json=by)
    return answer.status_code, answer.json()["type"]


async def listed(aboard: Aboard, **by: str) -> list[str]:
    async with aboard.http("complaints") as phone:
        answer = await phone.get("/v1/complaints", params=by)
    assert answer.status_code == 200, answer.text
    return [one["complaint_id"] for one in answer.json()["complaints"]]


async def shown(aboard: Aboard, about: str) -> dict[str, Any]:
    async with aboard.http("complaints") as phone:
        found: dict[str, Any] = (await phone.get(f"/v1/complaints/{about}")).json()
    return found


async def with_another_site(aboard: Aboard) -> None:
    """Somebody works at another site, which has the same policy."""
    policy = aboard.policy.model_copy(update={"site": OTHER})
    head = PolicyPublished(site=OTHER, version=1, policy=policy)
    for service in aboard.apps:
        await aboard.feed(service, PolicyPublished.TOPIC, [record(head, 0)], 9)
    listing = EmployeeListed(
        employee_id="e-boreal", site=OTHER, listing=Listing(role="any"), listed_at=aboard.clock()
    )
    await aboard.feed("complaints", EmployeeListed.TOPIC, [record(listing, 0)], 9)


# ---- by contact ----------------------------------------------------------------------------------

KIM = {"email": "kim@example.org", "phone": "+47 912 34 567"}


async def test_a_complaint_is_found_by_its_customers_address_and_telephone(
    aboard: Aboard, caplog: pytest.LogCaptureFixture
):
    """Whatever the customer is called, and however the address and the number are written."""
    unnamed = await aboard.raise_complaint(1, contact=KIM)
    named = await aboard.raise_complaint(2, contact=KIM, customer="cabin 7214")
    await aboard.raise_complaint(3, contact={"email": "lee@example.org", "phone": "91234568"})
    await aboard.raise_complaint(4)
    for by in (
        {"email": "KIM@example.org"},
        {"email": "kim+aurora@example.org"},
        {"phone": "91234567"},
        {"phone": "0047 91 23 45 67"},
    ):
        assert set(await search(aboard, **by)) == {unnamed, named}, by
    assert await search(aboard, email="nobody@example.org") == []
    assert await search(aboard, phone="(---)") == []
    assert await refused(aboard, email="kim@example.org", phone="91234567") == (
        422,
        "schema_invalid",
    )
    kept = str(aboard.stores["complaints"].kept.documents) + caplog.text
    assert not [one for one in ("kim@", "91234567", "912 34") if one in kept.lower()]


async def test_a_telephone_alone_finds_a_complaint_and_of_another_site_nothing(aboard: Aboard):
    await with_another_site(aboard)
    name = await aboard.raise_complaint(contact={"phone": "91 23 45 67"})
    assert await search(aboard, phone="91234567") == [name]
    assert await search(aboard, "e-boreal", OTHER, phone="91234567") == []


async def test_a_contact_that_was_changed_is_found_by_the_new_address_alone(aboard: Aboard):
    contact = ContactChanged(
        complaint_id="co-1", site=SITE, contact="v1.x", contact_refs=("ct-2",), changed_at=START
    )
    known = Complaint(
        state=State.TRIAGED, customer_ref="c-1", site=SITE, language=Language.EN, text="v1.x",
        contact_refs=("ct-1",),
    )  # fmt: skip
    assert f"contact/{SITE} ct-1" in stands(known)
    changed = stands(reached(known, contact))
    assert (f"contact/{SITE} ct-1" in changed, f"contact/{SITE} ct-2" in changed) == (False, True)
    assert stands(forgotten(known, ComplaintForgotten(
        complaint_id="co-1", customer_ref="c-1", more=False, forgotten_at=START
    ))) == {}  # fmt: skip


# ---- by reference --------------------------------------------------------------------------------


async def test_a_complaint_is_found_by_what_its_letters_call_it(aboard: Aboard):
    about = [await aboard.raise_complaint(number) for number in range(3)]
    for one in about:
        reference = (await shown(aboard, one))["reference"]
        assert reference == reference_of(one)
        assert await search(aboard, reference=reference) == [one]
        assert await search(aboard, reference=reference.lower()) == [one]
    await aboard.ring()
    assert any(reference_of(about[0]) in letter.body for letter in aboard.postbox.letters)


async def test_an_ended_complaint_is_found_by_its_reference_too(aboard: Aboard):
    about = await aboard.raise_complaint()
    async with aboard.http("complaints") as phone:
        path, key = f"/v1/complaints/{about}/withdraw", {"Idempotency-Key": "w"}
        assert (await phone.post(path, headers=key)).status_code == 200
    assert await search(aboard, reference=reference_of(about)) == [about]


async def test_complaints_of_one_reference_are_all_found_and_those_beside_it_are_not(
    aboard: Aboard,
):
    about = await aboard.raise_complaint()
    reference = reference_of(about)
    kept = aboard.stores["complaints"].kept
    document = kept.documents[f"complaint:{about}"]
    score = kept.indexes[f"reference/{SITE}"][f"complaint:{about}"]
    beside = document.body.replace(f'"reference":"{reference}"'.encode(), b'"reference":"zzzzzz"')
    for name, body, at in (("co-a", document.body, score), ("co-b", beside, score + 1)):
        kept.documents[f"complaint:{name}"] = document._replace(body=body)
        kept.indexes[f"reference/{SITE}"][f"complaint:{name}"] = at
    assert await search(aboard, reference=reference) == sorted([about, "co-a"])


async def test_what_is_no_reference_is_refused(aboard: Aboard):
    for reference in ("", "4C7D6", "4C7D650", "4C 7D6", "4C7D6é"):
        assert await refused(aboard, reference=reference) == (422, Reason.SCHEMA_INVALID), reference
    assert await search(aboard, reference="000000") == []


# ---- by customer ---------------------------------------------------------------------------------


async def test_a_customers_complaints_are_found_from_one_of_them_the_latest_first(aboard: Aboard):
    first = await aboard.raise_complaint(0, customer="778120")
    aboard.later(hours=1)
    second = await aboard.raise_complaint(1, customer="778120")
    await aboard.raise_complaint(2, customer="778121")
    customer_ref = (await shown(aboard, first))["customer_ref"]
    assert await search(aboard, customer_ref=customer_ref) == [second, first]


async def test_a_customer_is_found_by_the_name_that_their_source_gives_them(aboard: Aboard):
    async with aboard.http("complaints") as phone:
        told = {"site": SITE, "text": "The soup was cold.", "customer": "Cabin 7214"}
        answer = await phone.post("/v1/complaints", json=told, headers={"Idempotency-Key": "told"})
    by_desk = answer.json()["complaint_id"]
    by_system = await aboard.raise_complaint(5, customer="Cabin 7214")
    assert await search(aboard, customer="cabin  7214") == [by_desk]
    source = record(ComplaintRaised(site=SITE, text="x"), 0).value
    assert source is not None
    assert b'"source":"/test"' in source
    assert await search(aboard, customer="cabin 7214", source="/test") == [by_system]
    assert await search(aboard, customer="cabin 7215") == []


async def test_an_erased_customer_is_not_found_by_name_reference_or_place(aboard: Aboard):
    about = await aboard.raise_complaint(customer="778120", place=PLACE)
    customer_ref = (await shown(aboard, about))["customer_ref"]
    async with aboard.http("complaints", aboard.bearer("p-1", "privacy")) as office:
        path, key = f"/v1/customers/{customer_ref}/erasure", {"Idempotency-Key": "erase"}
        assert (await office.post(path, headers=key)).status_code < 300
    await aboard.ring("complaints")
    assert await search(aboard, customer_ref=customer_ref) == []
    assert await search(aboard, customer="778120", source="/test") == []
    assert await search(aboard, reference=reference_of(about)) == []
    assert await search(aboard, place=PLACE) == []
    assert not [
        name
        for name, found in aboard.stores["complaints"].kept.indexes.items()
        if found and f"complaint:{about}" in found
    ]


# ---- by place ------------------------------------------------------------------------------------


async def test_what_happened_at_a_place_is_found_the_latest_first_and_page_by_page(aboard: Aboard):
    about = []
    for number in range(5):
        about.append(await aboard.raise_complaint(number, place=PLACE))
        aboard.later(minutes=1)
    await aboard.raise_complaint(9, place="Deck 5")
    assert await search(aboard, place="restaurant,  deck 5") == about[::-1]
    assert (await shown(aboard, about[0]))["place"] == PLACE
    found, cursor = [], None
    async with aboard.http("complaints") as phone:
        while True:
            params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            path = "/v1/complaints/search"
            page = (await phone.post(path, params=params, json={"place": PLACE})).json()
            found += [one["complaint_id"] for one in page["complaints"]]
            if (cursor := page["next"]) is None:
                break
    assert found == about[::-1]


async def test_a_place_is_in_no_key_and_in_no_fact_in_clear(aboard: Aboard):
    await aboard.raise_complaint(place="Zanzibar Lounge")
    kept = aboard.stores["complaints"].kept
    said = str([*kept.documents.items(), *kept.indexes.items(), *kept.lines]).lower()
    assert "zanzibar" not in said


async def test_a_complaint_without_a_place_is_about_none(aboard: Aboard):
    about = await aboard.raise_complaint()
    assert (await shown(aboard, about))["place"] is None
    assert await search(aboard, place=PLACE) == []


# ---- by category ---------------------------------------------------------------------------------


async def test_open_and_ended_complaints_are_listed_by_category(aboard: Aboard):
    food = [await aboard.raise_complaint(number) for number in range(2)]
    noise = await aboard.raise_complaint(5, text="The music next door was so loud all night.")
    assert sorted(await listed(aboard, category="food")) == sorted(food)
    assert await listed(aboard, category="noise") == [noise]
    async with aboard.http("complaints") as phone:
        path, key = f"/v1/complaints/{food[0]}/withdraw", {"Idempotency-Key": "w"}
        assert (await phone.post(path, headers=key)).status_code == 200
    assert await listed(aboard, category="food") == [food[1]]
    assert await listed(aboard, category="food", view="done") == [food[0]]
    assert await listed(aboard, category="noise", view="done") == []


async def test_a_corrected_complaint_is_listed_under_its_new_category_alone(aboard: Aboard):
    about = await aboard.raise_complaint()
    async with aboard.http("complaints") as phone:
        path, key = f"/v1/complaints/{about}/correct", {"Idempotency-Key": "c"}
        assert (await phone.post(path, json={"category": "noise"}, headers=key)).status_code == 200
    assert await listed(aboard, category="food") == []
    assert await listed(aboard, category="noise") == [about]


async def test_a_list_that_is_not_kept_by_category_says_so(aboard: Aboard):
    async with aboard.http("complaints") as phone:
        for view in ("mine", "offered", "overdue"):
            answer = await phone.get("/v1/complaints", params={"view": view, "category": "food"})
            assert answer.status_code == 422
            assert [one["pointer"] for one in answer.json()["errors"]] == ["/category"]


# ---- what it costs -------------------------------------------------------------------------------


async def test_a_page_of_the_queue_is_one_trip_to_the_store_and_one_for_the_keys_of_its_words(
    aboard: Aboard, monkeypatch: pytest.MonkeyPatch
):
    """The employee who asks is read with it."""
    for number in range(3):
        await aboard.raise_complaint(number)
    store, trips = aboard.stores["complaints"], list[str]()
    for name in ("read", "balances", "fetch", "range"):
        plain = getattr(store, name)

        def counted(*words: Any, name: str = name, plain: Any = plain) -> Any:
            trips.append(name)
            return plain(*words)

        monkeypatch.setattr(store, name, counted)
    async with aboard.http("complaints") as phone:
        for path in ("", "?limit=1", "?view=done", "?category=food", "?view=mine"):
            trips.clear()
            assert (await phone.get(f"/v1/complaints{path}")).status_code == 200
            is_empty = path in {"?view=done", "?view=mine"}
            # In memory, a fetch consists of the other two.
            words = [] if is_empty else ["fetch", "read", "balances"]
            expected = ["range", *words]
            assert trips == expected, path


# ---- who may find what ---------------------------------------------------------------------------


async def test_nothing_of_another_site_is_found_whatever_is_named(aboard: Aboard):
    await with_another_site(aboard)
    about = await aboard.raise_complaint(0, customer="778120", place=PLACE)
    customer_ref = (await shown(aboard, about))["customer_ref"]
    for by in (
        {"reference": reference_of(about)},
        {"customer_ref": customer_ref},
        {"customer": "778120", "source": "/test"},
        {"place": PLACE},
    ):
        assert await search(aboard, **by) == [about], by
        assert await search(aboard, "e-boreal", OTHER, **by) == [], by
    # Of a customer of both sites each site finds its own.
    there = await aboard.raise_complaint(1, site=OTHER, customer="778120", place=PLACE)
    assert await search(aboard, customer_ref=customer_ref) == [about]
    assert await search(aboard, "e-boreal", OTHER, customer_ref=customer_ref) == [there]
    assert await search(aboard, "e-boreal", OTHER, place=PLACE) == [there]


async def test_who_is_no_employee_finds_nothing(aboard: Aboard):
    async with aboard.http("complaints", aboard.bearer("e-nobody")) as phone:
        answer = await phone.post("/v1/complaints/search", json={"place": PLACE})
    assert (answer.status_code, answer.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)


@pytest.mark.parametrize(
    "by",
    [
        {},
        {"reference": "4C7D65", "place": PLACE},
        {"source": "/booking"},
        {"place": PLACE, "source": "/booking"},
        {"place": "x" * 65},
        {"place": "\u200b"},
        {"text": "soup"},
    ],
)
async def test_one_thing_is_looked_for_at_once(aboard: Aboard, by: dict[str, str]):
    assert await refused(aboard, **by) == (422, Reason.SCHEMA_INVALID)


async def test_a_list_that_has_not_changed_is_not_sent_again(aboard: Aboard):
    await aboard.raise_complaint()
    async with aboard.http("complaints") as phone:
        first = await phone.get("/v1/complaints?category=food")
        known = {"If-None-Match": first.headers["etag"]}
        again = await phone.get("/v1/complaints?category=food", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        await aboard.raise_complaint(1)
        assert (await phone.get("/v1/complaints?category=food", headers=known)).status_code == 200


def test_a_document_of_before_stands_where_it_stood():
    old = Complaint(
        state="claimed",
        customer_ref="c-1",
        site=SITE,
        language="en",
        text="v1.x",
        employee_id="e-1",
    )
    assert {name.partition("/")[0] for name in stands(old)} == {"customer", "open", "mine"}


# ---- what a person recognises a complaint by -----------------------------------------------------


async def rows(aboard: Aboard, **by: Any) -> list[dict[str, Any]]:
    async with aboard.http("complaints") as phone:
        answer = await phone.get("/v1/complaints", params=by)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["complaints"]
    return found


async def test_a_row_has_the_place_the_category_and_the_beginning_of_the_words(aboard: Aboard):
    long = "The soup was cold.\n\n  And nobody came to our table for two hours, " + "again " * 40
    await aboard.raise_complaint(1, text=long, place=PLACE)
    await aboard.raise_complaint(2, text="The soup was cold.")
    first, second = sorted(await rows(aboard), key=lambda one: one["place"] is None)
    assert first["place"] == PLACE
    assert first["beginning"].startswith("The soup was cold. And nobody came to our table")
    assert (len(first["beginning"]), first["beginning"][-1]) == (80, "…")
    assert (second["place"], second["beginning"]) == (None, "The soup was cold.")
    assert first["category_title"]["en"] == "Food and service"
    assert first["category_title"].keys() == {"nb", "sv", "da", "en"}
    async with aboard.http("complaints") as phone:
        found = await phone.post("/v1/complaints/search", json={"place": PLACE})
    assert found.json()["complaints"] == [first]


async def test_a_list_is_shown_without_the_words_whose_key_is_missing(aboard: Aboard):
    for number in range(5):
        await aboard.raise_complaint(number, place=PLACE, customer=f"cab-{number}")
    store = aboard.stores["complaints"]
    kept = store.kept.documents
    missing = next(name for name in kept if name.startswith("key:"))
    kept.pop(missing)
    found = await rows(aboard)
    assert [one["beginning"] is None for one in found].count(True) == 1
    assert all((one["place"] is None) == (one["beginning"] is None) for one in found)


async def test_a_reference_is_found_as_people_write_it(aboard: Aboard):
    name = await aboard.raise_complaint()
    reference = reference_of(name)
    for written in (reference, f"#{reference.lower()}", f" {reference} ", name):
        assert await search(aboard, reference=written) == [name]
    for wrong in ("12", f"{reference}1", "#"):
        assert await refused(aboard, reference=wrong) == (422, Reason.SCHEMA_INVALID)


@pytest.mark.parametrize(
    ("field", "wrong", "looks"),
    [("email", "kim", "kim@example.org"), ("phone", "my mobile", "+47 912 34 567")],
)
async def test_who_mistypes_a_contact_is_told_what_one_looks_like(
    aboard: Aboard, field: str, wrong: str, looks: str
):
    async with aboard.http("complaints") as phone:
        answer = await phone.post("/v1/complaints/search", json={field: wrong})
    assert answer.status_code == 422
    assert looks in answer.text
    assert "^" not in answer.text
