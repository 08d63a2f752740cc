"""What goes wrong is announced: everybody affected has a case, and is told, before they say anything."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.complaints import Category, Language
from shared.contracts.intake import (
    AFFECTED_MAX,
    Affected,
    Channel,
    ComplaintRaised,
    Contact,
    Disruption,
    DisruptionAnnounced,
)
from shared.contracts.notifier import Occasion
from shared.contracts.reasons import Reason
from shared.runtime.words import say
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard, raised
from tests.unit.test_erasure import document, erase

TEXT = "The departure at 14:00 is two hours late."


def announced(*customers: str, **changes: Any) -> DisruptionAnnounced:
    affected = [
        Affected(customer=one, language="nb", contact=Contact(name=one, email=f"{one}@example.org"))
        for one in customers
    ]
    told = {"site": SITE, "kind": Disruption.DELAY, "text": TEXT, "customers": affected}
    return DisruptionAnnounced(**{**told, **changes})


async def announce(aboard: Aboard, fact: DisruptionAnnounced, offset: int = 0, **ids: Any) -> None:
    letter = record(fact, offset, **{"event_id": "departure-1", **ids})
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [letter])
    await aboard.carry()


async def of_type(aboard: Aboard, service: str, name: str) -> list[dict[str, Any]]:
    return [one for one in await aboard.facts(service) if one["type"] == f"recovery.{name}.v1"]


async def test_everybody_affected_has_a_case_of_their_own_with_a_promise(aboard: Aboard):
    await announce(aboard, announced("kari", "ola"))
    received = await of_type(aboard, "complaints", "complaint.received")
    triaged = await of_type(aboard, "complaints", "complaint.triaged")
    assert {(one["channel"], one["disruption"]) for one in received} == {
        (Channel.PREEMPTIVE, Disruption.DELAY)
    }
    assert len({one["complaint_id"] for one in received}) == 2
    assert len({one["customer_ref"] for one in received}) == 2
    assert [one["category"] for one in triaged] == [Category.DELAY, Category.DELAY]
    policy, now = aboard.policy, aboard.clock()
    by = policy.promised_by(Category.DELAY, triaged[0]["severity"], now, None)
    assert {one["promised_by"] for one in triaged} == {by.isoformat().replace("+00:00", "Z")}


async def test_they_are_told_that_we_saw_it_and_that_they_need_do_nothing(aboard: Aboard):
    await announce(aboard, announced("kari"))
    await aboard.ring()
    (letter,) = aboard.postbox.letters
    assert say(Language.NB, "letter.acknowledgement.delay") in letter.body
    assert TEXT not in letter.body
    (queued,) = await of_type(aboard, "notifier", "message.queued")
    assert queued["occasion"] == Occasion.ACKNOWLEDGEMENT


async def test_the_same_announcement_again_changes_nothing_and_a_longer_one_opens_the_others(
    aboard: Aboard,
):
    await announce(aboard, announced("kari", "ola"))
    await announce(aboard, announced("kari", "ola"), 1)
    assert len(await of_type(aboard, "complaints", "complaint.received")) == 2
    await announce(aboard, announced("ola", "eva"), 2)
    assert len(await of_type(aboard, "complaints", "complaint.received")) == 3
    assert await aboard.dead("complaints") == []
    await announce(aboard, announced("mia", "eva", text="Three hours."), 3)
    (dead,) = await aboard.dead("complaints")
    assert dict(dead.headers)["reason"] == Reason.CONFLICTING_REPEAT
    assert len(await of_type(aboard, "complaints", "complaint.received")) == 3


async def test_whoever_is_named_twice_is_one_customer(aboard: Aboard):
    await announce(aboard, announced("kari", "KARI"))
    assert len(await of_type(aboard, "complaints", "complaint.received")) == 1


async def test_however_many_are_named_the_store_is_read_once(aboard: Aboard, monkeypatch):
    await announce(aboard, announced("kari"))
    store, trips = aboard.stores["complaints"], 0
    fetch = store.fetch

    async def counted(keys, accounts):
        nonlocal trips
        trips += 1
        return await fetch(keys, accounts)

    monkeypatch.setattr(store, "fetch", counted)
    await announce(aboard, announced("ola", "eva", "mia"), 1, event_id="departure-2")
    assert len(await of_type(aboard, "complaints", "complaint.received")) == 4
    assert trips == 1


async def test_an_erased_customer_is_left_out(aboard: Aboard):
    """They did not come back; others did not leave."""
    await announce(aboard, announced("kari"))
    (received,) = await of_type(aboard, "complaints", "complaint.received")
    await erase(aboard, received["customer_ref"])
    await announce(aboard, announced("kari", "ola"), 1, event_id="departure-2")
    refs = [
        one["customer_ref"] for one in await of_type(aboard, "complaints", "complaint.received")
    ]
    assert len(refs) == 2
    assert refs[1] != refs[0]


async def said(aboard: Aboard, key: str, text: str, **more: Any) -> str:
    """What Kari says with her own token; the complaint's id."""
    async with aboard.http("complaints", aboard.bearer("kari", "customer")) as phone:
        told = {"site": SITE, "text": text, **more}
        answer = await phone.post("/v1/complaints", json=told, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    await aboard.carry()
    return str(answer.json()["complaint_id"])


LATE = "We are two hours delayed, and nobody says why."


@pytest.mark.parametrize("email", ["kari@example.org", None])
async def test_own_words_of_the_same_customer_about_the_same_join_the_case(
    aboard: Aboard, email: str | None
):
    affected = Affected(customer="kari", contact=Contact(email=email) if email else None)
    await announce(aboard, announced("ola", customers=[affected]))
    head = (await of_type(aboard, "complaints", "complaint.received"))[0]["complaint_id"]
    contact = {"contact": {"email": email}} if email else {}
    for key, text in (("k-1", LATE), ("k-2", "The soup was cold.")):
        await said(aboard, key, text, **contact)
    (merged,) = await of_type(aboard, "complaints", "complaint.merged")
    assert merged["into"] == head


@pytest.mark.parametrize("contact", [{}, {"contact": {"email": "the-real-kari@example.org"}}])
async def test_own_words_join_no_case_that_is_written_to_elsewhere_and_staff_are_shown_it(
    aboard: Aboard, contact: dict[str, Any]
):
    """Any publisher may name any customer, and say where letters about the case go."""
    await announce(aboard, announced("kari"))
    (head,) = await of_type(aboard, "complaints", "complaint.received")
    own = await said(aboard, "k-1", LATE, **contact)
    assert await of_type(aboard, "complaints", "complaint.merged") == []
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        shown = (await phone.get(f"/v1/complaints/{own}")).json()
    assert shown["looks_like"] == [head["complaint_id"]]


async def test_whoever_has_the_link_of_an_announced_case_withdraws_no_words_of_others(
    aboard: Aboard,
):
    """Also where an employee merged what a customer of the same name said."""
    await announce(aboard, announced("kari"))
    (head,) = await of_type(aboard, "complaints", "complaint.received")
    own = await said(aboard, "k-1", LATE)
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        merged = await phone.post(
            f"/v1/complaints/{own}/merge",
            json={"into": head["complaint_id"]},
            headers={"Idempotency-Key": "m-1"},
        )
    assert merged.status_code == 200, merged.text
    await aboard.ring()
    (letter,) = aboard.postbox.letters
    token = letter.body.split("/m/")[1].split()[0]
    async with aboard.http("complaints", "") as phone:
        assert (await phone.post(f"/m/{token}/withdraw")).is_success
    assert (
        document(aboard, "complaints", f"complaint:{head['complaint_id']}")["state"] == "withdrawn"
    )
    assert document(aboard, "complaints", f"complaint:{own}")["state"] == "reopened"


async def test_where_nobody_is_named_nothing_is_opened_and_nothing_is_a_dead_letter(aboard: Aboard):
    await announce(aboard, announced())
    assert await aboard.types("complaints") == []
    assert await aboard.dead("complaints") == []


async def test_as_many_as_an_event_names_are_taken_together(aboard: Aboard):
    await announce(aboard, announced(*(f"k-{number}" for number in range(AFFECTED_MAX))))
    received = await of_type(aboard, "complaints", "complaint.received")
    assert len({one["complaint_id"] for one in received}) == AFFECTED_MAX
    with pytest.raises(ValueError, match="at most 500"):
        announced(*(f"k-{number}" for number in range(AFFECTED_MAX + 1)))


async def test_their_page_says_that_we_saw_it_and_not_that_they_told_us(aboard: Aboard):
    await announce(aboard, announced("kari"))
    await aboard.ring()
    (letter,) = aboard.postbox.letters
    token = letter.body.split("/m/")[1].split()[0]
    async with aboard.http("complaints", "") as phone:
        page = (await phone.get(f"/m/{token}")).text
    assert say(Language.NB, "mine.what.announced") in page
    assert say(Language.NB, "mine.what.received") not in page
    assert TEXT in page


def test_no_publisher_says_that_a_customer_said_nothing(aboard: Aboard):
    with pytest.raises(ValueError, match="customers say nothing on it"):
        raised(channel=Channel.PREEMPTIVE)


async def test_the_case_remembers_what_goes_wrong(aboard: Aboard):
    await announce(aboard, announced("kari", kind=Disruption.OUTAGE, text="No hot water."))
    (received,) = await of_type(aboard, "complaints", "complaint.received")
    kept = document(aboard, "complaints", f"complaint:{received['complaint_id']}")
    assert (kept["disruption"], kept["category"]) == (Disruption.OUTAGE, Category.FACILITIES)
