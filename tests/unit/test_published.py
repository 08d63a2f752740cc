"""An export also has what compensation and the notifier published of the customer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import shared.ops.customer as module
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.notifier import Occasion
from shared.ops.customer import Collected, Published, published_of
from shared.runtime.kafka.history import Part
from shared.runtime.rebuild.sources import RawEvent, event_of
from shared.testing.builders import published
from tests.suites.services import Aboard
from tests.unit.test_erasure import ref_of

OWNERS = {
    "recovery.complaints.v1": "complaints",
    "recovery.compensation.v1": "compensation",
    "recovery.notifier.v1": "notifier",
}
TILL = "till-1"


async def found(aboard: Aboard, ref: str) -> Published:
    """What the command prints, over what the services published aboard."""

    async def read(topic: str) -> AsyncIterator[Part]:
        records = await published(aboard.stores[OWNERS[topic]], topic)
        events = [event for record in records if (event := event_of(record)) is not None]
        yield Part(events, len(events), len(events))

    return await published_of(ref, read, lambda _topic, _done, _total: None)


async def lived(aboard: Aboard, offset: int, customer: str) -> str:
    """Somebody complains, chooses from an offer, uses it, and gets letters; their reference."""
    complaint = await aboard.raise_complaint(offset, customer=customer)
    wish = {
        "complaint_id": complaint,
        "items": ["cinema", "onboard-credit/20000"],
        "reason": "food",
    }
    offer = (await aboard.post("offers", f"o-{offset}", wish)).json()
    chosen = await aboard.post(
        f"offers/{offer['offer_id']}/choice", f"c-{offset}", {"item": "onboard-credit/20000"}
    )
    assert chosen.status_code in (200, 201), chosen.text
    till = aboard.bearer(TILL, "till")
    taken = {"code": chosen.json()["code"], "amount_minor": 5000, "capture": True}
    redeemed = await aboard.post("redemptions", f"r-{offset}", taken, till)
    assert redeemed.status_code == 200, redeemed.text
    await aboard.carry()
    await aboard.ring()
    return await ref_of(aboard, complaint)


async def test_offers_redemptions_and_letters_of_a_customer_are_found_and_nobody_elses(
    aboard: Aboard,
):
    mine, other = await lived(aboard, 0, "cab-0"), await lived(aboard, 1, "cab-1")
    told = await found(aboard, mine)
    (offer,) = told.offers
    assert (offer.options, offer.chosen) == (
        ["cinema", "onboard-credit/20000"],
        "onboard-credit/20000",
    )
    (redeemed,) = told.redemptions
    assert (redeemed.amount_minor, redeemed.currency, redeemed.rolled_back_at) == (
        5000,
        "NOK",
        None,
    )
    assert {Occasion.ACKNOWLEDGEMENT, Occasion.CHECK_OFFERED} <= {
        one.occasion for one in told.letters
    }
    assert any(one.sent_at is not None for one in told.letters)
    assert told.complete
    text = told.model_dump_json()
    assert other not in text
    assert "kari@example.org" not in text
    assert TILL not in text


async def test_a_voided_check_is_said_to_be_voided_and_how_its_complaint_came(aboard: Aboard):
    complaint = await aboard.raise_complaint(text="The soup was cold.")
    given = await aboard.give(complaint, "cinema", "k", safety="allergy")
    assert given.status_code == 201, given.text
    kept = await aboard.give(complaint, "dinner-for-two", "k-2", again=True)
    check = given.json()["check_id"]
    assert (await aboard.post(f"checks/{check}/void", "v", {})).status_code == 200
    await aboard.carry()
    told = await found(aboard, await ref_of(aboard, complaint))
    (voided,) = told.voided
    assert voided.check_id == check != kept.json()["check_id"]
    (one,) = told.complaints
    assert (one.complaint_id, one.noted) == (complaint, ["allergy"])
    (received,) = [
        fact for fact in await aboard.facts("complaints") if fact["type"].endswith("received.v1")
    ]
    assert (one.channel, one.occurred_at) == (received["channel"], received.get("occurred_at"))


async def test_more_than_fits_is_said(aboard: Aboard, monkeypatch):
    monkeypatch.setattr(module, "FOUND_MAX", 2)
    told = await found(aboard, await lived(aboard, 0, "cab-0"))
    kept = [*told.complaints, *told.offers, *told.redemptions, *told.letters, *told.answers]
    assert (len(kept), told.complete) == (2, False)


def test_a_record_that_is_no_fact_is_passed_over():
    collected = Collected("c-1")
    for data in (b"", b"no JSON", b'{"customer_ref":"c-1"}'):
        collected.take(RawEvent(b"/complaints", ComplaintReceived.TYPE.encode(), b"", b"", 1, data))
    assert (collected.found.complaints, collected.found.complete) == ([], True)


async def test_of_nobody_there_is_nothing(aboard: Aboard):
    await lived(aboard, 0, "cab-0")
    told = await found(aboard, "c-nobody")
    assert not (told.offers or told.redemptions or told.letters or told.answers)
