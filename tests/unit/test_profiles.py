"""What hotel and booking systems say of a customer helps where it can, and is kept no longer than their words."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from pydantic import ValidationError

from services.complaints.customer.profiles import Profiles
from shared.contracts.complaints import Language
from shared.contracts.intake import (
    Affected,
    ComplaintRaised,
    Contact,
    CustomerDescribed,
    CustomerPurchased,
    Disruption,
    DisruptionAnnounced,
)
from shared.contracts.reasons import Reason
from shared.runtime.words import say
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard, outbox
from tests.unit.test_erasure import ADDRESS, document, erase, ref_of, sealed
from tests.unit.test_export import ask, exported
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import settled
from tests.unit.test_one_customer import write_down
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt

#: The same person, as their booking system and a desk call them.
NAME = "booking-7/1"


def describes(aboard: Aboard, **changes: Any) -> CustomerDescribed:
    known = {"site": SITE, "email": ADDRESS, "described_at": aboard.clock()}
    return CustomerDescribed(**{**known, **changes})


class Told:
    """Gives complaints what other systems publish, each time at the next offset."""

    def __init__(self, aboard: Aboard) -> None:
        self._aboard = aboard
        self._offset = 1000

    async def __call__(self, *facts: Any, event_id: str | None = None, **attributes: Any) -> None:
        for fact in facts:
            self._offset += 1
            one = record(fact, self._offset, event_id, **attributes)
            await self._aboard.feed("complaints", ComplaintRaised.TOPIC, [one])
        await self._aboard.carry()


@pytest.fixture
def tell(aboard: Aboard) -> Told:
    return Told(aboard)


async def triaged(aboard: Aboard) -> dict[str, Any]:
    return [one for one in await aboard.facts("complaints") if "promised_by" in one][-1]


async def dead_reasons(aboard: Aboard) -> list[str]:
    return [dict(line.headers)["reason"] for line in await aboard.dead("complaints")]


async def test_a_customers_known_language_goes_before_the_words_and_after_what_the_complaint_says(
    aboard: Aboard, tell: Told
):
    await tell(describes(aboard, language="sv-SE"))
    text = "The soup was cold and nobody came."
    await write_down(aboard, "k1", ADDRESS, text=text)
    assert (await triaged(aboard))["language"] == "sv"
    await write_down(aboard, "k2", ADDRESS, text=text, language="da")
    assert (await triaged(aboard))["language"] == "da"
    await write_down(aboard, "k3", "somebody-else@example.org", text=text)
    assert (await triaged(aboard))["language"] == "en"


async def test_praise_is_in_the_customers_known_language(aboard: Aboard, tell: Told):
    await tell(describes(aboard, language="sv"))
    text = "Thank you for a wonderful evening, the waiters were friendly!"
    await tell(ComplaintRaised(site=SITE, text=text, contact=Contact(email=ADDRESS)))
    (praise,) = [one for one in await aboard.facts("complaints") if "praised" in one]
    assert praise["language"] == "sv"


async def test_a_question_and_a_withdrawn_check_are_told_in_the_customers_known_language(
    aboard: Aboard, tell: Told
):
    await tell(describes(aboard, language="sv"))
    complaint = await write_down(aboard, "k1", ADDRESS, text="The soup was cold and nobody came.")
    await do(aboard, complaint, "claim")
    given = (await aboard.give(complaint, "cinema", "g1")).json()
    await settled(aboard)
    assert (await aboard.post(f"checks/{given['check_id']}/void", "v1")).status_code == 200
    asked = await do(aboard, complaint, "ask", question="Which table?")
    assert asked.status_code < 300, asked.text
    await settled(aboard)
    told = [" ".join(letter.body.split()) for letter in aboard.postbox.letters]
    for said in ("letter.check_withdrawn.mistake", "letter.question_asked.waits"):
        assert any(say(Language.SV, said) in body for body in told), said
    assert len(told) >= 3
    assert not any(say(Language.EN, "letter.regards") in body for body in told)


async def test_what_is_announced_is_told_in_the_customers_known_language(
    aboard: Aboard, tell: Told
):
    who = {"customer": "kari", "email": None}
    await tell(describes(aboard, language="sv", **who), source="/operations")
    kari = Affected(customer="kari", contact=Contact(email=ADDRESS))
    delay = DisruptionAnnounced(
        site=SITE, kind=Disruption.DELAY, text="The departure is late.", customers=(kari,)
    )
    await tell(delay, source="/operations")
    await settled(aboard)
    (letter,) = aboard.postbox.letters
    assert say(Language.SV, "letter.acknowledgement.delay") in " ".join(letter.body.split())


async def test_words_are_understood_in_their_own_language_whatever_the_customer_prefers(
    aboard: Aboard, tell: Told
):
    await tell(describes(aboard, language="sv"))
    await write_down(aboard, "k1", ADDRESS, text="We waited two hours for cold soup.")
    found = await triaged(aboard)
    assert (found["language"], found["category"], found["severity"]) == ("sv", "food", "moderate")


async def test_a_promise_is_for_before_the_customer_leaves_also_where_only_the_hotel_knows_when(
    aboard: Aboard, tell: Told
):
    leaves = aboard.clock() + timedelta(minutes=5)
    await tell(describes(aboard, stay_ends_at=leaves, segment="gold"))
    await write_down(aboard, "k1", ADDRESS)
    one = await triaged(aboard)
    assert datetime.fromisoformat(one["promised_by"]) == leaves
    assert (datetime.fromisoformat(one["stay_ends_at"]), one["segment"]) == (leaves, "gold")
    said = leaves - timedelta(minutes=2)
    await write_down(aboard, "k2", ADDRESS, stay_ends_at=said.isoformat())
    assert datetime.fromisoformat((await triaged(aboard))["stay_ends_at"]) == said


async def test_a_stay_at_another_site_says_nothing_of_this_one(aboard: Aboard, tell: Told):
    profiles = aboard.apps["complaints"].parts
    leaves = aboard.clock() + timedelta(hours=5)
    await tell(describes(aboard, stay_ends_at=leaves, language="sv"))
    ref = await ref_of(aboard, await write_down(aboard, "k1", ADDRESS))
    found = await Profiles(profiles.vault).of(ref, "another-site", profiles.settler.view())
    assert (found.language, found.stay_ends_at) == ("sv", None)


async def test_whoever_names_the_customer_by_another_sources_name_means_the_same_person(
    aboard: Aboard, tell: Told
):
    await tell(
        describes(aboard, email=None, customer=NAME, named_by="/partners/booking", language="sv")
    )
    text = "The soup was cold and nobody came."
    one = ComplaintRaised(site=SITE, text=text, customer=NAME)
    await tell(one, source="/partners/booking")
    assert (await triaged(aboard))["language"] == "sv"


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_latest_description_counts_in_whatever_order_they_come(
    aboard: Aboard, tell: Told, order: tuple[int, ...]
):
    at = aboard.clock()
    said = [
        describes(aboard, segment="gold", described_at=at - timedelta(hours=2)),
        describes(aboard, segment="silver", described_at=at),
        describes(
            aboard, segment="none", described_at=at
        ),  # of the same moment: the same one of the two
    ]
    await tell(*(said[number] for number in order))
    await write_down(aboard, "k", ADDRESS)
    assert (await triaged(aboard))["segment"] == "silver"


async def test_a_description_that_comes_again_changes_nothing(aboard: Aboard, tell: Told):
    one = describes(aboard, segment="gold", needs=("vegan",))
    await tell(one, event_id="e1")
    before = comparable(aboard.stores["complaints"], aboard)["documents"]
    await tell(one, event_id="e1")
    await tell(one, event_id="e2")
    after = comparable(aboard.stores["complaints"], aboard)["documents"]
    assert {key: after[key] for key in before if not key.startswith("fence:")} == {
        key: body for key, body in before.items() if not key.startswith("fence:")
    }
    assert (await aboard.types("complaints")).count("profile.recorded") == 1


async def test_what_cannot_be_right_is_a_dead_letter_with_its_reason(aboard: Aboard, tell: Told):
    days = timedelta(days=1)
    await tell(
        describes(aboard, described_at=aboard.clock() + 2 * days),
        describes(aboard, stay_ends_at=aboard.clock() + 2000 * days),
        describes(aboard, site="no-such-site"),
        CustomerPurchased(site=SITE, email=ADDRESS, purchased_at=aboard.clock() + 2 * days),
    )
    late, site = Reason.TIME_OUT_OF_RANGE, Reason.UNKNOWN_SITE
    assert await dead_reasons(aboard) == [late, late, site, late]


async def test_a_description_of_later_today_replaces_nothing_and_does_not_outlive_an_erasure(
    aboard: Aboard, tell: Told
):
    """The latest counts, so one of tomorrow would beat every correction; clocks differ by minutes and not by hours."""
    at, minutes = aboard.clock(), timedelta(minutes=1)
    await tell(
        describes(aboard, segment="silver", described_at=at + 4 * minutes),
        describes(aboard, segment="gold", described_at=at + 6 * minutes),
    )
    (letter,) = [dict(line.headers) for line in await aboard.dead("complaints")]
    assert (letter["reason"], letter["where"]) == (Reason.TIME_OUT_OF_RANGE, "/data/described_at")
    aboard.later(minutes=5)
    await tell(describes(aboard, segment="gold"))
    await write_down(aboard, "k", ADDRESS)
    assert (await triaged(aboard))["segment"] == "gold"
    tomorrow = describes(aboard, segment="silver", described_at=aboard.clock() + timedelta(hours=9))
    ref = aboard.apps["complaints"].parts.vault.pseudonyms.customer_at(SITE, ADDRESS)
    await erase(aboard, ref)
    await tell(tomorrow)
    assert document(aboard, "complaints", f"profile:{ref}").get("profile") is None


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (CustomerDescribed, {"email": None}),
        (CustomerDescribed, {"stay_begins_at": "2026-06-04T00:00:00Z", "stay_ends_at": "2026-06-03T00:00:00Z"}),
        (CustomerDescribed, {"needs": ["champagne"]}),
        (CustomerPurchased, {"amount_minor": 100}),
        (CustomerPurchased, {"currency": "NOK"}),
        (CustomerPurchased, {"amount_minor": -1, "currency": "NOK"}),
    ],
)  # fmt: skip
def test_an_event_that_contradicts_itself_is_refused(model: Any, wrong: dict[str, Any]):
    at = "2026-06-03T14:00:00Z"
    right = {"site": SITE, "email": ADDRESS, "described_at": at, "purchased_at": at}
    model.model_validate(right)
    with pytest.raises(ValidationError):
        model.model_validate(right | wrong)


async def test_nothing_of_a_description_is_in_clear_or_on_the_record(aboard: Aboard, tell: Told):
    """INV-07"""
    await tell(describes(aboard, segment="canary-gold", language="sv", needs=("kosher", "child")))
    ref = aboard.apps["complaints"].parts.vault.pseudonyms.customer_at(SITE, ADDRESS)
    everything = repr([store.kept for store in aboard.stores.values()])
    for word in ("canary", "kosher", ADDRESS):
        assert word not in everything
    assert document(aboard, "complaints", f"profile:{ref}")["profile"] in sealed(aboard)


async def test_a_description_is_exported_and_erased_with_the_customer(aboard: Aboard, tell: Told):
    leaves = aboard.clock() + timedelta(days=2)
    one = describes(aboard, segment="gold", language="sv", stay_ends_at=leaves, needs=("vegan",))
    await tell(one)
    ref = aboard.apps["complaints"].parts.vault.pseudonyms.customer_at(SITE, ADDRESS)
    found = await exported(aboard, ref)
    assert (found["complaints"], found["profile"]["needs"]) == ([], ["vegan"])
    assert (found["profile"]["segment"], found["profile"]["site"]) == ("gold", SITE)
    page = await ask(aboard, f"{ref}/export.html")
    assert page.status_code == 200
    assert "vegansk" in page.text
    await erase(aboard, ref)
    assert document(aboard, "complaints", f"profile:{ref}").get("profile") is None
    await tell(one)  # It is still in the export of the hotel's system.
    assert (await aboard.types("complaints")).count("profile.recorded") == 1
    aboard.later(days=1)
    await tell(describes(aboard, segment="gold"))
    assert (await aboard.types("complaints")).count("profile.recorded") == 2


async def handled(aboard: Aboard, key: str = "k") -> str:
    """A complaint of which the customer was told what was done."""
    complaint = await write_down(aboard, key, ADDRESS)
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        for path, body in (
            ("claim", None),
            ("resolve", {"outcome": "fixed", "note": "Warm soup."}),
        ):
            answer = await phone.post(
                f"/v1/complaints/{complaint}/{path}",
                json=body,
                headers={"Idempotency-Key": f"{path}-{key}"},
            )
            assert answer.status_code < 300, answer.text
    await aboard.carry()
    aboard.later(minutes=1)
    return complaint


def buys(aboard: Aboard, **changes: Any) -> CustomerPurchased:
    known = {"site": SITE, "email": ADDRESS, "purchased_at": aboard.clock()}
    return CustomerPurchased(**{**known, "amount_minor": 90000, "currency": "NOK", **changes})


async def test_a_customer_who_buys_after_a_handled_complaint_has_returned_once(
    aboard: Aboard, tell: Told
):
    complaint = await handled(aboard)
    await tell(buys(aboard), event_id="e1")
    await tell(buys(aboard), event_id="e1")
    aboard.later(days=3)
    await tell(buys(aboard))
    back = [one for one in await aboard.facts("complaints") if "purchased_at" in one]
    assert [(one["complaint_id"], one["amount_minor"]) for one in back] == [(complaint, 90000)]
    second = await handled(aboard, "k2")
    await tell(buys(aboard))
    back = [one for one in await aboard.facts("complaints") if "purchased_at" in one]
    assert [one["complaint_id"] for one in back] == [complaint, second]
    (first, _) = (await exported(aboard, back[0]["customer_ref"]))["complaints"]
    assert first["returned_at"] == back[0]["purchased_at"]


async def suggested(aboard: Aboard, complaint: str) -> tuple[list[str], list[str]]:
    """What the options of a complaint suggest, and what its playbook does."""
    options = (await aboard.get(f"options?complaint={complaint}")).json()["options"]
    async with aboard.http("complaints") as phone:
        playbook = (await phone.get(f"/v1/complaints/{complaint}/playbook")).json()
    return (
        [one["item"] for one in options if one["why"] == "suggested"],
        [one["item"] for one in playbook["checks"]],
    )


async def test_a_segment_adds_to_what_is_suggested_and_takes_nothing(aboard: Aboard, tell: Told):
    usual = await suggested(aboard, await write_down(aboard, "k1", "other@example.org"))
    await tell(describes(aboard, segment="gold"))
    more = await suggested(aboard, await write_down(aboard, "k2", ADDRESS))
    assert all(more[way] == [*usual[way], "spa-card/40000"] for way in (0, 1))
    await tell(describes(aboard, segment="of-no-policy", email="new@example.org"))
    assert await suggested(aboard, await write_down(aboard, "k3", "new@example.org")) == usual


async def test_employees_see_beside_the_playbook_what_the_customer_needs(
    aboard: Aboard, tell: Told
):
    complaint = await write_down(aboard, "k", ADDRESS)
    await tell(describes(aboard, segment="gold", needs=("vegan", "child")))
    async with aboard.http("complaints") as phone:
        playbook = (await phone.get(f"/v1/complaints/{complaint}/playbook")).json()
    assert playbook["needs"] == ["vegan", "child"]


async def test_a_dinner_on_board_ends_with_the_stay_and_is_not_offered_to_who_left(
    aboard: Aboard, tell: Told
):
    leaves = aboard.clock() + timedelta(days=1)
    await tell(describes(aboard, stay_ends_at=leaves))
    complaint = await write_down(aboard, "k", ADDRESS)
    dinner = (await aboard.give(complaint, "dinner-for-two", "g1")).json()
    card = (await aboard.give(complaint, "taxfree-card/20000", "g2", again=True)).json()
    assert datetime.fromisoformat(dinner["valid_until"]) == leaves
    assert datetime.fromisoformat(card["valid_until"]) == aboard.clock() + timedelta(days=90)
    options = (await aboard.get(f"options?complaint={complaint}")).json()["options"]
    assert "dinner-for-two" in [one["item"] for one in options]
    aboard.later(days=2)
    options = (await aboard.get(f"options?complaint={complaint}")).json()["options"]
    assert "dinner-for-two" not in [one["item"] for one in options]
    assert "dinner-for-two" not in (await suggested(aboard, complaint))[1]
    late = (await aboard.give(complaint, "cinema", "g3", again=True)).json()
    assert datetime.fromisoformat(late["valid_until"]) == aboard.clock() + timedelta(days=3)


async def test_who_left_is_not_offered_a_dinner_on_board_instead_of_what_does_not_fit(
    aboard: Aboard, tell: Told
):
    card = "taxfree-card/100000"
    await tell(describes(aboard, stay_ends_at=aboard.clock() + timedelta(days=1)))
    complaint = await write_down(aboard, "k", ADDRESS)
    aboard.later(days=2)
    for number, item in enumerate((card, card, card, "cinema")):
        given = await aboard.give(complaint, item, f"g{number}", again=True)
        assert given.status_code == 201
    refused = await aboard.give(complaint, card, "g", again=True)
    instead = [one["item"] for one in refused.json()["alternatives"]]
    assert "taxfree-card/50000" in instead  # which costs more than the dinner
    assert "dinner-for-two" not in instead


async def test_compensation_forgets_segment_and_stay_of_an_erased_customer(
    aboard: Aboard, tell: Told
):
    leaves = aboard.clock() + timedelta(days=1)
    await tell(describes(aboard, segment="gold", stay_ends_at=leaves))
    complaint = await write_down(aboard, "k", ADDRESS)
    known = document(aboard, "compensation", f"case:{complaint}")
    assert (known["segment"], datetime.fromisoformat(known["stay_ends_at"])) == ("gold", leaves)
    await erase(aboard, await ref_of(aboard, complaint))
    for service, key in (("compensation", "case"), ("complaints", "complaint")):
        left = document(aboard, service, f"{key}:{complaint}")
        assert (left.get("segment"), left.get("stay_ends_at")) == (None, None)


async def test_of_a_purchase_that_is_no_return_nothing_is_kept(aboard: Aboard, tell: Told):
    await tell(buys(aboard))
    before = aboard.clock()
    await write_down(aboard, "k1", ADDRESS)
    await tell(buys(aboard))
    await handled(aboard, "k2")
    await tell(buys(aboard, purchased_at=before), buys(aboard, email="other@example.org"))
    assert "customer.returned" not in await aboard.types("complaints")


async def test_the_timeline_says_nothing_of_profiles_and_purchases(aboard: Aboard, tell: Told):
    await tell(describes(aboard, segment="gold", needs=("vegan",)))
    complaint = await handled(aboard)
    async with aboard.http("complaints") as phone:
        before = (await phone.get(f"/v1/complaints/{complaint}/timeline")).json()
        await tell(buys(aboard))
        after = (await phone.get(f"/v1/complaints/{complaint}/timeline")).json()
    assert before == after
    assert "vegan" not in str(after)
    assert "gold" not in str(after)


async def test_a_rebuild_knows_customers_and_returns_as_before(tmp_path):
    """INV-06"""
    aboard = await Sailing(tmp_path).begin()
    tell = Told(aboard)
    await tell(describes(aboard, segment="gold", needs=("vegan",)))
    await handled(aboard)
    await tell(buys(aboard))
    again = comparable(await rebuilt(aboard, "complaints"), aboard)
    assert differing(again, comparable(aboard.stores["complaints"], aboard)) == []
    assert any(key.startswith("profile:") for key in again["documents"])
    assert await outbox(aboard.stores["complaints"])
