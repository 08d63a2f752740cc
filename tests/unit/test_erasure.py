"""A customer is erased everywhere, for good, and what was given stays true."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic_core import from_json

import services.complaints.customer.handlers as module
from services.complaints.customer.rules import BACKUPS_GO_WITHIN, CERTIFIED_AFTER
from shared.contracts.catalogue import WITH_CUSTOMERS
from shared.contracts.complaints import ComplaintForgotten
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated, CustomerKeyDestroyed
from shared.runtime.engine.store import Commit, Outcome
from shared.runtime.engine.view import _parsed, parsed
from shared.runtime.faults import Unavailable
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.privacy.seal import SealBroken
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard, outbox, raised, state
from tests.unit.test_one_customer import on_the_spot, write_down
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt

ADDRESS = "kari@example.org"


async def ask(
    aboard: Aboard, method: str, ref: str, key: str = "k", kind: Any = "privacy", **how: Any
) -> httpx.Response:
    async with aboard.http("complaints", aboard.bearer("guest-relations", kind, **how)) as caller:
        path = f"/v1/customers/{ref}/erasure"
        return await caller.request(method, path, headers={"Idempotency-Key": key})


async def erase(aboard: Aboard, ref: str) -> None:
    """Erase a customer, and let everybody hear of it and do their part."""
    assert (await ask(aboard, "POST", ref, f"erase-{ref}")).status_code == 201
    await aboard.ring("complaints")
    await aboard.carry()


async def ref_of(aboard: Aboard, complaint_id: str) -> str:
    return str(document(aboard, "complaints", f"complaint:{complaint_id}")["customer_ref"])


def document(aboard: Aboard, service: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = from_json(aboard.stores[service].kept.documents[key].body)
    return found


def sealed(aboard: Aboard) -> list[str]:
    """Every sealed text, wherever one is kept, waits or was published."""
    everything = repr([store.kept for store in aboard.stores.values()])
    return re.findall(r"v1\.[A-Za-z0-9_-]+", everything)


async def test_an_erased_customers_keys_are_in_no_service_and_their_complaints_have_no_words(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    await aboard.give(complaint, "cinema", "k")
    await aboard.carry()
    ref = await ref_of(aboard, complaint)
    await erase(aboard, ref)
    for service in WITH_CUSTOMERS:
        assert document(aboard, service, f"key:{ref}") == {"wrapped": []}
    kept = document(aboard, "complaints", f"complaint:{complaint}")
    assert (kept["text"], kept.get("contact"), kept.get("content")) == ("", None, None)
    assert "contact" not in document(aboard, "notifier", f"story:{complaint}")
    assert document(aboard, "compensation", f"history:{ref}")["check_ids"] == []
    async with aboard.http("complaints") as phone:
        shown = await phone.get(f"/v1/complaints/{complaint}")
    assert (shown.status_code, shown.json()["text"]) == (200, None)


async def test_what_was_sealed_can_be_opened_before_and_by_nothing_that_is_kept_after(
    aboard: Aboard,
):
    """INV-07: with the master key and every store; on the topics compaction takes the wrapped keys away."""
    complaint = await aboard.raise_complaint(text="canary in words")
    ref = await ref_of(aboard, complaint)
    vault = aboard.apps["complaints"].parts.vault

    def opened() -> set[str]:
        stored = repr([store.kept.documents for store in aboard.stores.values()])
        found = set()
        for wrapped in re.findall(r"v1\.[A-Za-z0-9_-]+", stored):
            for text in sealed(aboard):
                for field in ("text", "contact"):
                    try:
                        found.add(vault.unwrap(ref, wrapped).open(field, text))
                    except SealBroken:
                        continue
        return found

    assert any("canary" in one for one in opened())
    assert any(ADDRESS in one for one in opened())
    await erase(aboard, ref)
    assert opened() == set()


async def test_an_erased_reference_is_never_used_again_whoever_hears_of_the_person_next(
    aboard: Aboard,
):
    """Each service finds the same new reference, and a second erasure leads to a third."""
    refs = []
    for number in range(3):
        complaint = await write_down(aboard, f"k{number}", ADDRESS)
        refs.append(await ref_of(aboard, complaint))
        await on_the_spot(aboard, f"s{number}", contact={"email": ADDRESS.upper()})
        logged = [one for one in await aboard.facts("compensation") if "logged_at" in one][-1]
        assert logged["customer_ref"] == refs[-1]
        await erase(aboard, refs[-1])
    assert len(set(refs)) == 3
    fourth = await write_down(aboard, "k4", ADDRESS)
    async with aboard.http("complaints") as phone:
        shown = await phone.get(f"/v1/complaints/{fourth}")
    assert shown.json()["text"] == "The soup was cold."


async def test_a_person_who_was_erased_is_shown_none_of_their_history(aboard: Aboard):
    await on_the_spot(aboard, "s", "cinema", customer="cab-7")
    found = (await aboard.get("options?customer=cab-7")).json()
    assert [gift["item"] for gift in found["history"]] == ["cinema"]
    (logged,) = [one for one in await aboard.facts("compensation") if "logged_at" in one]
    await erase(aboard, logged["customer_ref"])
    assert (await aboard.get("options?customer=cab-7")).json()["history"] == []


async def test_a_key_that_comes_late_for_an_erased_reference_is_destroyed_too(tmp_path):
    """INV-06: also after a rebuild; what was sealed under it is forgotten as it comes."""
    aboard = await Sailing(tmp_path).begin()
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    # Compensation has never heard of the customer, nor of the erasure.
    compensation = aboard.stores["compensation"].kept.documents
    del compensation[f"key:{ref}"]
    assert (await ask(aboard, "POST", ref)).status_code == 201
    wish = {"on_the_spot": {"text": "Cold.", "contact": {"email": ADDRESS}}, "reason": "food"}
    assert (await aboard.post("checks", "k", {**wish, "item": "cinema"})).status_code == 201
    await aboard.carry()
    await aboard.ring("complaints")
    await aboard.carry()
    assert (await aboard.types("complaints")).count("customer-key.destroyed") == 4
    assert document(aboard, "compensation", f"key:{ref}") == {"wrapped": []}
    (logged,) = [one for one in await aboard.facts("compensation") if "logged_at" in one]
    assert logged["customer_ref"] == ref
    kept = document(aboard, "complaints", f"complaint:{logged['complaint_id']}")
    assert (kept["text"], kept["forgotten"]) == ("", True)
    for owner in WITH_CUSTOMERS:
        again = comparable(await rebuilt(aboard, owner), aboard)
        assert differing(again, comparable(aboard.stores[owner], aboard)) == []
        assert from_json(again["documents"][f"key:{ref}"]) == {"wrapped": []}


async def test_a_late_key_changes_nothing_that_was_erased(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    await erase(aboard, ref)
    _, wrapped = aboard.apps["complaints"].parts.vault.new_key(ref)
    late = record(CustomerKeyCreated(customer_ref=ref, wrapped=wrapped), 0)
    for service in WITH_CUSTOMERS:
        await aboard.feed(service, CustomerKeyCreated.TOPIC, [late], 9)
        assert document(aboard, service, f"key:{ref}") == {"wrapped": []}
    assert (await aboard.types("complaints"))[-1] == "customer-key.destroyed"


async def test_sums_stay_true_and_a_check_that_was_given_is_still_taken(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "taxfree-card/20000", "k")).json()
    await aboard.carry()
    before = state(aboard.stores["compensation"])["accounts"]
    await erase(aboard, await ref_of(aboard, complaint))
    assert state(aboard.stores["compensation"])["accounts"] == before
    till = aboard.bearer("taxfree", "till")
    taken = {"code": check["code"], "amount_minor": 5000}
    assert (await aboard.post("redemptions", "r", taken, till)).status_code == 200
    again = await aboard.give(complaint, "taxfree-card/20000", "k")
    assert again.json()["check_id"] == check["check_id"]


async def test_nothing_more_is_given_shown_or_sent_under_an_erased_reference(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    await erase(aboard, await ref_of(aboard, complaint))
    refused = await aboard.give(complaint, "cinema", "k")
    assert (refused.status_code, refused.json()["type"]) == (409, Reason.CUSTOMER_ERASED)
    await aboard.ring()  # the acknowledgement was queued before
    assert aboard.postbox.letters == []
    (failed,) = [one for one in await aboard.facts("notifier") if "failed_at" in one]
    assert failed["reason"] == Reason.CUSTOMER_ERASED


async def test_an_erased_customers_links_open_nothing_and_reopen_nothing(aboard: Aboard):
    """Neither that of a check nor that of an offer, and no promise is made or broken that nobody can keep."""
    complaint = await aboard.raise_complaint()
    await aboard.give(complaint, "cinema", "k")
    wish = {"complaint_id": complaint, "items": ["cinema", "dinner-for-two"], "reason": "food"}
    offer = (await aboard.post("offers", "o", {**wish, "again": True})).json()
    await aboard.carry()
    await aboard.ring()
    words = [word for one in aboard.postbox.letters for word in one.body.split()]
    answer = "/f/" + next(word for word in words if "/f/" in word).partition("/f/")[2]
    choice = urlsplit(offer["link"]).path
    await erase(aboard, await ref_of(aboard, complaint))
    async with aboard.http("notifier", "") as customer:
        for headers in ({}, {"Accept": "text/html"}):
            for helped in ("no", "yes"):
                refused = await customer.post(f"{answer}/{helped}", headers=headers)
                assert refused.status_code == 404
    async with aboard.http("compensation", "") as customer:
        assert (await customer.get(choice)).status_code == 404
        assert (await customer.post(choice, data={"item": "cinema"})).status_code == 404
        chosen = await customer.post(choice, json={"item": "cinema"})
    assert (chosen.status_code, chosen.json()["type"]) == (404, Reason.LINK_INVALID)
    refused = await aboard.post("offers", "o-2", {**wish, "again": True})
    assert (refused.status_code, refused.json()["type"]) == (409, Reason.CUSTOMER_ERASED)
    aboard.later(days=3)
    await aboard.ring()
    await aboard.carry()
    assert not {"feedback.received", "complaint.reopened", "complaint.overdue"} & {
        kind for name in aboard.apps for kind in await aboard.types(name)
    }


async def test_a_no_that_was_said_before_the_erasure_and_heard_after_it_reopens_nothing(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    assert (await ask(aboard, "POST", await ref_of(aboard, complaint))).status_code == 201
    for offset, helped in enumerate((Helped.NO, Helped.YES)):
        said = FeedbackReceived(
            complaint_id=complaint, check_id=f"ck-{helped}", helped=helped, answered_at=aboard.clock(),
        )  # fmt: skip
        await aboard.feed("complaints", FeedbackReceived.TOPIC, [record(said, offset)])
    assert (await aboard.types("complaints"))[-1] == "complaint.confirmed"
    assert "complaint.reopened" not in await aboard.types("complaints")


async def test_a_promise_to_an_erased_customer_is_not_broken(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    await erase(aboard, await ref_of(aboard, complaint))
    aboard.later(days=3)
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")


async def test_the_same_event_published_again_after_the_erasure_brings_nothing_back(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    await erase(aboard, ref)
    before = sealed(aboard)
    for offset, text in enumerate(("The soup was cold and nobody came.", "Other words."), start=1):
        again = record(raised(text), offset, "event-0")
        await aboard.feed("complaints", ComplaintRaised.TOPIC, [again])
    assert (await aboard.types("complaints"))[-2:] == ["complaint.repeated"] * 2
    assert sealed(aboard) == before


async def test_many_complaints_are_forgotten_some_at_a_time(tmp_path, monkeypatch):
    """INV-06: each once, and a rebuild after any step gives the same state."""
    monkeypatch.setattr(module, "STEP", 2)
    aboard = await Sailing(tmp_path).begin()
    for number in range(5):
        complaint = await aboard.raise_complaint(number, customer="cab-7")
    ref = await ref_of(aboard, complaint)
    assert (await ask(aboard, "POST", ref)).status_code == 201
    for done in (2, 4, 5):
        await aboard.ring("complaints")
        types = await aboard.types("complaints")
        assert types.count("complaint.forgotten") == done
        aboard.later(seconds=1)
    await aboard.ring("complaints")
    again = comparable(await rebuilt(aboard, "complaints"), aboard)
    assert differing(again, comparable(aboard.stores["complaints"], aboard)) == []
    assert f"customer/{ref}" not in again["indexes"]
    ids = {event["id"] for event in await aboard.events("complaints")}
    assert len(ids) == len(await aboard.events("complaints"))


async def test_a_complaint_that_comes_in_at_the_same_moment_is_forgotten_too(
    aboard: Aboard, monkeypatch
):
    """It is committed after the erasure has read everything and before the erasure is committed."""
    ref = await ref_of(aboard, await aboard.raise_complaint(0, customer="cab-7"))
    store = aboard.stores["complaints"]
    commit = store.commit

    async def comes_between(erasure: Commit) -> Outcome:
        monkeypatch.setattr(store, "commit", commit)
        between = record(raised("Second words.", customer="cab-7"), 1)
        await aboard.feed("complaints", ComplaintRaised.TOPIC, [between])
        return await commit(erasure)

    monkeypatch.setattr(store, "commit", comes_between)
    await erase(aboard, ref)
    assert (await aboard.types("complaints")).count("complaint.forgotten") == 2
    complaints = [key for key in store.kept.documents if key.startswith("complaint:")]
    assert [document(aboard, "complaints", key)["text"] for key in complaints] == ["", ""]


async def test_the_certificate_comes_once_nothing_from_before_is_left_in_the_clear_topics(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    await erase(aboard, ref)
    shown = await ask(aboard, "GET", ref)
    assert (shown.status_code, shown.json()["certified_at"]) == (200, None)
    expected = aboard.clock() + CERTIFIED_AFTER
    assert datetime.fromisoformat(shown.json()["certified_from"]) == expected
    certifies = aboard.apps["complaints"].on_timer["certify"]
    due_ms = aboard.stores["complaints"].kept.timers[f"certify|{ref}"]
    assert due_ms == int((aboard.clock() + CERTIFIED_AFTER).timestamp() * 1000)
    aboard.clock.advance(CERTIFIED_AFTER)
    with pytest.raises(Unavailable) as waits:
        await certifies(ref, due_ms)
    assert waits.value.reason is Reason.STILL_KEPT
    aboard.topics.empty = True
    for _ in range(2):
        await certifies(ref, due_ms)
    assert (await aboard.types("complaints")).count("erasure.certified") == 1
    assert f"certify|{ref}" not in aboard.stores["complaints"].kept.timers
    shown = await ask(aboard, "GET", ref)
    assert shown.json()["certified_at"] is not None
    assert timedelta(days=14) < CERTIFIED_AFTER < timedelta(days=15)


async def test_every_service_hears_from_a_restored_backup_that_a_key_was_destroyed(aboard: Aboard):
    """Complaints too, which otherwise says so itself: its store may be rebuilt from the restored topic."""
    gone = CustomerKeyDestroyed(
        customer_ref="c-erased", name="0123456789abcdef", destroyed_at=aboard.clock()
    )
    for service in WITH_CUSTOMERS:
        await aboard.feed(service, gone.TOPIC, [record(gone, 0)])
        assert document(aboard, service, "key:c-erased") == {"wrapped": []}


async def test_the_certificate_waits_for_backups_that_are_kept_for_longer(aboard: Aboard):
    """A backup from just before the erasure may hold the customer's wrapped keys."""
    ref = await ref_of(aboard, await aboard.raise_complaint())
    await erase(aboard, ref)
    aboard.topics.empty = True
    parts, kept = aboard.apps["complaints"].parts, timedelta(days=30)
    customers = module.Customers(
        parts.settler, parts.vault, aboard.topics.gone, aboard.topics.on_vault, kept
    )
    due_ms = aboard.stores["complaints"].kept.timers[f"certify|{ref}"]
    aboard.clock.advance(kept)
    with pytest.raises(Unavailable) as waits:
        await customers.certifies(ref, due_ms)
    assert waits.value.reason is Reason.STILL_KEPT
    aboard.clock.advance(BACKUPS_GO_WITHIN)
    await customers.certifies(ref, due_ms)
    assert (await aboard.types("complaints")).count("erasure.certified") == 1


async def test_the_certificate_waits_until_no_wrapped_key_is_on_the_vault_topic(aboard: Aboard):
    """A quiet partition is not compacted, so each look appends to it once more that the key was destroyed."""
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)

    async def on_the_vault() -> list[tuple[str, bytes]]:
        lines = [
            line for line in await outbox(aboard.stores["complaints"]) if "vault" in line.topic
        ]
        return [(line.key, line.value) for line in lines]

    await erase(aboard, ref)
    aboard.topics.empty = True
    aboard.topics.vault = [*await on_the_vault(), ("c-other/0123456789abcdef", b"{}")]
    made, destroyed = len(aboard.topics.vault) // 2, len(aboard.topics.vault) // 2
    assert made >= 1
    certifies = aboard.apps["complaints"].on_timer["certify"]
    due_ms = aboard.stores["complaints"].kept.timers[f"certify|{ref}"]
    for _ in range(2):
        aboard.clock.advance(CERTIFIED_AFTER)
        with pytest.raises(Unavailable) as waits:
            await certifies(ref, due_ms)
        assert waits.value.reason is Reason.STILL_KEPT
        destroyed += made
        types = await aboard.types("complaints")
        assert types.count("customer-key.destroyed") == destroyed
        assert "erasure.certified" not in types
    events = await aboard.events("complaints")
    assert len({one["id"] for one in events}) == len(events)
    keys = [key for key, _ in await on_the_vault()]
    assert set(keys[-made:]) == set(keys[:made])
    aboard.topics.vault = [
        (key, value) for key, value in await on_the_vault() if b"destroyed" in value
    ]
    await certifies(ref, due_ms)
    types = await aboard.types("complaints")
    assert (types[-1], types.count("customer-key.destroyed")) == ("erasure.certified", destroyed)


async def test_a_stranger_on_the_vault_topic_keeps_the_certificate_away_and_breaks_nothing(
    aboard: Aboard,
):
    ref = await ref_of(aboard, await aboard.raise_complaint())
    await erase(aboard, ref)
    aboard.topics.empty = True
    for value in (b"\xff", b"[]", b"{}", b'{"type": 1}'):
        aboard.topics.vault = [(f"{ref}/no name", value)]
        with pytest.raises(Unavailable):
            await aboard.apps["complaints"].on_timer["certify"](ref, 1)
    assert "erasure.certified" not in await aboard.types("complaints")


async def test_the_broker_that_is_away_certifies_nothing(aboard: Aboard, monkeypatch):
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    await erase(aboard, ref)

    async def away(_moment):
        raise OSError

    parts = aboard.apps["complaints"].parts
    timers = module.Customers(
        parts.settler, parts.vault, away, aboard.topics.on_vault, timedelta(days=14)
    )
    with pytest.raises(Unavailable):
        await timers.certifies(ref, 1)


@pytest.mark.parametrize("kind", ["employee", "customer", "manager", "till", "system", "personnel"])
async def test_an_erasure_is_for_privacy_systems_alone(aboard: Aboard, kind):
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    assert (await ask(aboard, "POST", ref, kind=kind)).status_code == 403


async def test_another_sites_customer_is_unknown_and_nobody_is_erased_twice(aboard: Aboard):
    """INV-11: a site erases whoever complained there."""
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    for who, site in ((ref, "ms-borealis"), ("c-nobody", SITE)):
        for method in ("POST", "GET"):
            answer = await ask(aboard, method, who, "else", site=site)
            assert (answer.status_code, answer.json()["type"]) == (404, Reason.UNKNOWN_CUSTOMER)
    first = await ask(aboard, "POST", ref, "one")
    repeated = await ask(aboard, "POST", ref, "one")
    assert (repeated.status_code, repeated.content) == (201, first.content)
    second = await ask(aboard, "POST", ref, "two")
    assert (second.status_code, second.json()["type"]) == (409, Reason.CUSTOMER_ERASED)
    types = await aboard.types("complaints")
    assert types.count("customer.erased") == 1
    assert ComplaintForgotten.TYPE not in types


def test_no_process_remembers_a_key():
    """Neither unwrapped nor in a parsed document: gone from the store is gone from every process."""
    before = _parsed.cache_info().currsize
    body = b'{"wrapped":["v1.only-here"]}'
    assert parsed(CustomerKey, body) == parsed(CustomerKey, body)
    assert _parsed.cache_info().currsize == before
    assert list(vars(Keys(None))) == ["_vault"]  # type: ignore[arg-type]  # only looked at
