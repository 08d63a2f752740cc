"""Delight: a check without a complaint, from a budget of its own, within everybody's limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from services.notifier.channels.text import fitted
from services.notifier.preferences.rules import Preferences
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from tests.suites.services import SITE, Aboard, demo_policy
from tests.unit.test_compensation_incidents import changed, publish
from tests.unit.test_erasure import ask, document, erase
from tests.unit.test_occasions import fates, settled

KARI = {"name": "Kari Nordmann", "email": "kari@guest.example"}
BIRTHDAY: dict[str, Any] = {"occasion": "birthday", "item": "cinema", "customer": "cabin-7112"}
#: What one evening at the cinema costs, and what the budget of these tests holds of them.
CINEMA, TIMES = 90_00, 2


def small_delight(**changes: Any) -> Policy:
    """A budget for two evenings at the cinema a week."""
    policy = demo_policy()
    assert policy.delight is not None
    delight = {**policy.delight.model_dump(mode="json"), "budget": CINEMA * TIMES + 1}
    return changed(policy, delight={**delight, **changes})


@pytest.fixture
async def aboard(tmp_path) -> Aboard:
    return await Aboard(tmp_path, small_delight()).begin()


def account(aboard: Aboard) -> dict[str, int]:
    """What the accounts of the budget hold."""
    kept = aboard.stores["compensation"].kept.accounts
    return {name: n for name, n in kept.items() if n and name.startswith("delight/")}


async def test_a_delight_that_is_taken_back_is_told_without_a_case(aboard: Aboard):
    given = (await aboard.post("delights", "k", {**BIRTHDAY, "contact": KARI})).json()
    for _ in range(2):
        await aboard.carry()
        await aboard.ring()
    assert (await aboard.post(f"checks/{given['check_id']}/void", "v")).status_code == 200
    for _ in range(2):
        await aboard.carry()
        await aboard.ring()
    letter = aboard.postbox.letters[-1]
    assert len(aboard.postbox.letters) == 2
    assert given["code"] not in letter.body
    assert "/m/" not in letter.body


async def test_a_customer_is_delighted_without_a_complaint(aboard: Aboard):
    answer = await aboard.post("delights", "k", {**BIRTHDAY, "contact": KARI})
    assert answer.status_code == 201, answer.text
    got = answer.json()
    assert (got["item"], got["complaint_id"], got["regime"]) == ("cinema", None, None)
    assert got["code"]
    assert {one["scope"]: one["left_minor"] for one in got["left"]}["delight"] == CINEMA + 1
    (fact,) = [one for one in await aboard.facts("compensation") if "basis" in one]
    assert (fact["basis"], fact["delight"], fact["first"]) == ("delight", "birthday", False)
    assert "complained_at" not in fact
    await aboard.carry()
    assert await aboard.types("complaints") == []
    for name in ("complaints", "compensation"):
        documents = aboard.stores[name].kept.documents
        about = fact["complaint_id"]
        assert not [key for key in documents if key.endswith(about)], name
    assert [await aboard.dead(name) for name in aboard.stores] == [[], [], [], []]


async def test_the_letter_is_of_joy_and_asks_nothing(aboard: Aboard):
    await aboard.post("delights", "k", {**BIRTHDAY, "contact": KARI, "language": "en"})
    await aboard.carry()
    await aboard.ring()
    (letter,) = aboard.postbox.letters
    assert letter.recipient == KARI["email"]
    assert "Happy birthday!" in letter.body
    assert "An evening at the cinema for two" in letter.subject
    for word in ("sorry", "case", "Did it help", "/f/"):
        assert word not in letter.body, word
    queued = [one["occasion"] for one in await aboard.facts("notifier") if "occasion" in one]
    assert Occasion.FEEDBACK_ASKED not in queued


async def test_an_occasion_without_words_of_the_site_has_some_of_ours(tmp_path):
    occasions = {"arrival": {"title": dict.fromkeys(["nb", "sv", "da", "en"], "Arrival")}}
    aboard = await Aboard(tmp_path, small_delight(occasions=occasions)).begin()
    wish = {**BIRTHDAY, "occasion": "arrival", "contact": KARI, "language": "da"}
    await aboard.post("delights", "k", wish)
    await aboard.carry()
    await aboard.ring()
    assert "Hvor er det dejligt at have dig hos os!" in aboard.postbox.letters[0].body


async def test_who_cannot_be_written_to_shows_the_page_which_asks_nothing(aboard: Aboard):
    got = (await aboard.post("delights", "k", {**BIRTHDAY, "language": "en"})).json()
    await aboard.carry()
    await aboard.ring()
    assert aboard.postbox.letters == []
    assert "message.failed" not in await aboard.types("notifier")
    path = "/f/" + got["link"].rpartition("/f/")[2]
    async with aboard.http("notifier", "") as browser:
        page = await browser.get(path)
        assert page.status_code == 200, page.text
        assert got["code"].split("-")[0] in page.text
        assert "keep this page" in page.text
        assert "Did it help" not in page.text
        answered = await browser.post(f"{path}/no")
    assert answered.json()["type"] == Reason.LINK_INVALID
    assert "feedback.received" not in await aboard.types("notifier")


async def test_at_the_limit_the_answer_is_what_does_fit(aboard: Aboard):
    for number in range(TIMES):
        wish = {**BIRTHDAY, "customer": f"cabin-{number}"}
        assert (await aboard.post("delights", f"k{number}", wish)).status_code == 201
    answer = await aboard.post("delights", "more", BIRTHDAY)
    got = answer.json()
    assert (answer.status_code, got["bound_by"], got["complaint_id"]) == (409, "delight", None)
    assert got["colleague_id"] is None
    left = {one["scope"]: one["left_minor"] for one in got["left"]}
    assert left["delight"] == 1
    assert left["employee_day"] > CINEMA
    assert got["alternatives"] == []
    bad = {**BIRTHDAY, "item": "onboard-credit/50000"}
    await publish(aboard, 2, small_delight(budget=1000_00))
    fits = (
        await aboard.post("delights", "yet-more", {**bad, "item": "taxfree-card/100000"})
    ).json()
    assert fits["bound_by"] == "delight"
    kinds = {one["kind"] for one in fits["alternatives"]}
    assert kinds and not kinds & {"apology", "refund"}
    assert fits["alternatives"][0]["item"] == "taxfree-card/50000"
    assert fits["alternatives"][0]["why"] == "smaller_wish"


async def test_it_counts_against_everybodys_limits_and_never_stretches(aboard: Aboard):
    await publish(aboard, 2, small_delight(budget=90_000_00))
    (await aboard.post("delights", "k", {**BIRTHDAY, "item": "taxfree-card/50000"})).json()
    (fact,) = [one for one in await aboard.facts("compensation") if "basis" in one]
    scopes = sorted(name.partition("/")[0] for name in fact["debits"])
    assert set(scopes) == {"employee", "customer", "site", "delight"}
    assert "complaint" not in scopes
    # A restaurant's employee may give 1,500 at once, and a quarter more for a complaint.
    dear = {**BIRTHDAY, "customer": "cabin-2", "item": "taxfree-card/100000"}
    for number, expected in enumerate([201, 201, 409]):
        wish = {**dear, "customer": f"cabin-{number + 2}"}
        bearer = aboard.bearer("e-jonas")
        answer = await aboard.post("delights", f"d{number}", wish, bearer)
        assert answer.status_code == expected, answer.text
    assert answer.json()["bound_by"].startswith("employee_")


async def test_what_is_taken_back_or_expires_is_budget_again(aboard: Aboard):
    got = (await aboard.post("delights", "k", BIRTHDAY)).json()
    other = (await aboard.post("delights", "l", {**BIRTHDAY, "customer": "cabin-2"})).json()
    (held,) = account(aboard).values()
    assert held == 2 * CINEMA
    assert (await aboard.post(f"checks/{got['check_id']}/void", "v")).status_code == 200
    assert list(account(aboard).values()) == [CINEMA]
    aboard.later(days=3)
    await aboard.ring("compensation")
    assert account(aboard) == {}
    assert other["check_id"] != got["check_id"]


async def test_a_window_begins_with_the_whole_budget(tmp_path):
    aboard = await Aboard(tmp_path, small_delight(per="day")).begin()
    for day in range(2):
        for number in range(TIMES):
            wish = {**BIRTHDAY, "customer": f"cabin-{day}{number}"}
            bearer = aboard.bearer()
            answer = await aboard.post("delights", f"k{day}{number}", wish, bearer)
            assert answer.status_code == 201
        assert (await aboard.post("delights", f"m{day}", BIRTHDAY)).status_code == 409
        aboard.later(days=1)
    assert len(account(aboard)) == 2


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"occasion": "divorce"}, Reason.UNKNOWN_OCCASION),
        ({"item": "sincere-words"}, Reason.AMOUNT_NOT_OFFERED),
        ({"item": "excursion-refund/10000"}, Reason.AMOUNT_NOT_OFFERED),
        ({"item": "moon"}, Reason.AMOUNT_NOT_OFFERED),
        ({"currency": "EUR"}, Reason.CURRENCY_UNKNOWN),
        ({"reason": "food"}, Reason.SCHEMA_INVALID),
    ],
)
async def test_what_delights_nobody_is_refused(aboard: Aboard, wish, reason):
    answer = await aboard.post("delights", "k", {**BIRTHDAY, **wish})
    assert answer.json()["type"] == reason


async def test_nothing_is_given_to_delight_where_the_policy_has_no_delight(tmp_path):
    aboard = await Aboard(tmp_path, changed(demo_policy(), delight=None)).begin()
    got = (await aboard.post("delights", "k", BIRTHDAY)).json()
    assert got["type"] == Reason.UNKNOWN_OCCASION
    assert got["occasions"] == []
    shown = (await aboard.get("delights")).json()
    assert (shown["occasions"], shown["options"]) == ([], [])


async def test_a_check_for_a_complaint_is_never_called_a_delight(aboard: Aboard):
    about = await aboard.raise_complaint()
    answer = await aboard.give(about, "cinema", "k", basis="delight")
    assert answer.json()["type"] == Reason.SCHEMA_INVALID


async def test_the_note_is_its_authors_and_sealed(aboard: Aboard):
    note = "She turns seventy, and loves films."
    got = (await aboard.post("delights", "k", {**BIRTHDAY, "note": note})).json()
    for bearer, expected in ((None, note), (aboard.bearer("e-jonas"), None)):
        shown = (await aboard.get(f"checks/{got['check_id']}", bearer)).json()
        assert (shown["note"], shown["delight"], shown["complaint_id"]) == (
            expected,
            "birthday",
            None,
        )
    assert note not in str(await aboard.facts("compensation"))


async def test_a_phone_is_told_of_occasions_and_what_fits(aboard: Aboard):
    headers = {"Accept-Language": "sv"}
    await aboard.post("delights", "k", BIRTHDAY)
    shown = (await aboard.get("delights?customer=cabin-7112", **headers)).json()
    titles = {one["occasion"]: one["title"] for one in shown["occasions"]}
    assert titles["birthday"] == "Födelsedag"
    assert [one["item"] for one in shown["history"]] == ["cinema"]
    left = {one["scope"]: (one["left_minor"], one["until"]) for one in shown["left"]}
    assert left["delight"][0] == CINEMA + 1
    assert left["delight"][1] is not None
    assert all(one["cost_minor"] <= CINEMA + 1 for one in shown["options"])
    assert "cinema" in [one["item"] for one in shown["options"]]
    wrong = await aboard.get("delights?customer=%20")
    assert wrong.json()["type"] == Reason.SCHEMA_INVALID


async def test_the_day_and_the_customers_wait_are_counted_without_it(aboard: Aboard):
    await aboard.post("delights", "k", BIRTHDAY)
    accounts = aboard.stores["compensation"].kept.accounts
    assert not [name for name, n in accounts.items() if n and name.startswith("tally/")]


async def test_the_same_wish_again_gives_nothing_more(aboard: Aboard):
    first, again = [await aboard.post("delights", "k", BIRTHDAY) for _ in range(2)]
    assert first.json() == again.json()
    assert list(account(aboard).values()) == [CINEMA]


async def test_a_check_that_ends_soon_is_remembered_without_a_case(tmp_path):
    notify = {**demo_policy().notify.model_dump(mode="json"), "check_ends_before": "PT24H"}
    aboard = await Aboard(tmp_path, changed(small_delight(), notify=notify)).begin()
    await aboard.post("delights", "k", {**BIRTHDAY, "contact": KARI, "language": "en"})
    await aboard.carry()
    await aboard.ring()
    aboard.later(days=2, hours=1)
    await aboard.ring()
    letter = aboard.postbox.letters[-1]
    assert letter.subject.startswith("Still yours")
    assert "reference" not in letter.body


async def test_a_text_of_what_waited_leads_to_the_check_that_was_given_to_delight(tmp_path):
    """There is no case whose page it could open; the words are cut, and the link is whole."""
    notify = {
        **demo_policy().notify.model_dump(mode="json"),
        **{"check_ends_before": "PT24H", "per_day": 1, "segments_max": 1},
        **{"channels": ["sms"], "calling_code": "47", "sms_from": "Aurora"},
    }
    policy = changed(small_delight(budget=CINEMA * 3), notify=notify)
    aboard = await Aboard(tmp_path, policy).begin()
    wish = {**BIRTHDAY, "contact": {"phone": "+4791234567"}, "language": "en"}
    first = (await aboard.post("delights", "k", wish)).json()
    await settled(aboard)
    aboard.later(days=2)
    await aboard.post("delights", "l", wish)
    await settled(aboard)
    aboard.later(hours=20)
    await settled(aboard)
    digest = aboard.phone.letters[-1]
    assert (await fates(aboard))[Occasion.DIGEST] == ["sent"]
    assert (await fates(aboard))[Occasion.CHECK_EXPIRING] == ["sent", "queued"]
    assert fitted(digest.short, digest.link, digest.segments_max).endswith(f" {digest.link}")
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(urlsplit(digest.link).path)
    assert (page.status_code, first["code"] in page.text) == (200, True)


async def test_what_was_taken_back_before_its_letter_is_not_told(aboard: Aboard):
    got = (await aboard.post("delights", "k", {**BIRTHDAY, "contact": KARI})).json()
    await aboard.post(f"checks/{got['check_id']}/void", "v")
    await aboard.carry()
    await aboard.ring()
    assert aboard.postbox.letters == []


async def test_a_customer_known_by_a_delight_alone_is_shown_it_and_erased(aboard: Aboard):
    wish = {**BIRTHDAY, "contact": KARI, "language": "nb"}
    got = (await aboard.post("delights", "k", wish)).json()
    await aboard.carry()
    (fact,) = [one for one in await aboard.facts("compensation") if "basis" in one]
    ref = fact["customer_ref"]
    of_customer = f"/v1/customers/{ref}"
    async with aboard.http("complaints", aboard.bearer("guest-relations", "privacy")) as officer:
        exported = (await officer.get(f"{of_customer}/export")).json()
        page = (await officer.get(f"{of_customer}/export.html")).text
    assert (exported["complaints"], exported["complete"]) == ([], True)
    (shown,) = exported["delights"]
    assert (shown["site"], shown["occasion"]) == (SITE, "birthday")
    assert shown["contact"]["email"] == KARI["email"]
    assert (shown["given"]["check_id"], shown["given"]["voided_at"]) == (got["check_id"], None)
    assert all(word in page for word in ("Bursdag", "Kari Nordmann", "Gitt til deg"))
    elsewhere = await ask(aboard, "POST", ref, site="ms-borealis")
    assert elsewhere.json()["type"] == Reason.UNKNOWN_CUSTOMER
    await erase(aboard, ref)
    for service in ("complaints", "compensation", "notifier"):
        assert document(aboard, service, f"key:{ref}") == {"wrapped": []}
    async with aboard.http("complaints", aboard.bearer("guest-relations", "privacy")) as officer:
        gone = await officer.get(f"{of_customer}/export")
    assert gone.json()["type"] == Reason.CUSTOMER_ERASED


async def test_what_a_delighted_customer_wanted_is_forgotten_when_they_are_erased(aboard: Aboard):
    await aboard.post("delights", "k", {**BIRTHDAY, "contact": KARI})
    await aboard.carry()
    (fact,) = [one for one in await aboard.facts("compensation") if "basis" in one]
    ref = fact["customer_ref"]
    path, headers = f"/v1/preferences/{ref}", {"Idempotency-Key": "p", "If-Match": "*"}
    async with aboard.http("notifier", aboard.bearer()) as desk:
        said = await desk.put(path, json={"tells": "answers"}, headers=headers)
    assert said.status_code == 200, said.text
    await erase(aboard, ref)
    kept = Preferences.model_validate(document(aboard, "notifier", f"preferences:{ref}"))
    assert kept == Preferences(forgotten_at=kept.forgotten_at)


async def test_nobody_waits_for_a_delight_that_was_taken_back(tmp_path):
    aboard = await Aboard(tmp_path, small_delight(), recording=True).begin()
    got = (await aboard.post("delights", "k", BIRTHDAY)).json()
    assert (await aboard.post(f"checks/{got['check_id']}/void", "v")).status_code == 200
    await aboard.carry()
    documents = aboard.stores["audit"].kept.documents
    assert not [name for name in documents if name.startswith("answered:")]
