"""What becomes of a check: redeemed in parts, given back, taken back, chosen, explained."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections import Counter
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from stdnum import luhn

from services.compensation.app import build
from services.compensation.cases.rules import LISTED_MAX
from services.compensation.checks.codes import ALPHABET, Codes
from services.compensation.redemptions.handlers import Reserve
from services.compensation.redemptions.tries import TRIES_MAX
from shared.contracts.compensation import REDEMPTIONS_MAX
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.testing.builders import record
from tests.suites.services import Aboard, YieldingStore, demo_policy, state

TILL = {"subject": "taxfree", "kind": "till"}


async def given(aboard: Aboard, item: str = "taxfree-card/100000", **more):
    """A check that was just given, as its answer."""
    complaint = await aboard.raise_complaint()
    return (await aboard.give(complaint, item, f"give-{item}", **more)).json()


def till(aboard: Aboard, **changes) -> str:
    return aboard.bearer(**{**TILL, **changes})


async def redeem(aboard: Aboard, code: str, key: str, amount: int | None = None, **more):
    command = {"code": code, "amount_minor": amount, **more}
    return await aboard.post("redemptions", key, command, till(aboard))


async def step(aboard: Aboard, redemption: str, what: str, key: str = "k", **command):
    body = command or ({} if what == "capture" else None)
    return await aboard.post(f"redemptions/{redemption}/{what}", key, body, till(aboard))


def used(aboard: Aboard, kind: str) -> int:
    accounts = aboard.stores["compensation"].kept.accounts
    return sum(n for name, n in accounts.items() if name.startswith(f"{kind}/"))


async def look(aboard: Aboard, check_id: str) -> dict:
    return (await aboard.get(f"checks/{check_id}")).json()


async def test_a_gift_card_is_redeemed_in_parts_and_never_for_more_than_its_value(aboard: Aboard):
    """INV-03."""
    check = await given(aboard)
    first = await redeem(aboard, check["code"], "a", 400_00)
    assert (first.status_code, first.json()["amount_minor"]) == (200, 400_00)
    less = await step(aboard, first.json()["redemption_id"], "capture", amount_minor=350_00)
    assert less.json()["amount_minor"] == 350_00
    assert (await redeem(aboard, check["code"], "b", 650_01)).status_code == 409
    rest = await redeem(aboard, check["code"], "c", capture=True)
    assert rest.json()["amount_minor"] == 650_00
    assert (await look(aboard, check["check_id"]))["state"] == "redeemed"
    assert (await redeem(aboard, check["code"], "d", 1)).json()[
        "type"
    ] == Reason.CODE_NOT_REDEEMABLE


async def test_however_many_parts_a_gift_card_is_taken_in_nothing_of_it_is_stranded(aboard: Aboard):
    """INV-03."""
    check = await given(aboard)
    parts = [
        (await redeem(aboard, check["code"], f"p{number}", 1_00, capture=True)).json()
        for number in range(REDEMPTIONS_MAX + 8)
    ]
    assert (await look(aboard, check["check_id"]))["redeemed_minor"] == len(parts) * 1_00
    latest, oldest = parts[-1]["redemption_id"], parts[0]["redemption_id"]
    assert (await step(aboard, latest, "rollback")).status_code == 200
    too_old = await step(aboard, oldest, "rollback")
    assert (too_old.status_code, too_old.json()["type"]) == (409, Reason.NOT_CAPTURED)
    rest = await redeem(aboard, check["code"], "rest", capture=True)
    assert rest.json()["amount_minor"] == 1000_00 - (len(parts) - 1) * 1_00
    found = await look(aboard, check["check_id"])
    assert (found["state"], found["left_minor"]) == ("redeemed", 0)
    assert (await redeem(aboard, check["code"], "more", 1)).status_code == 409


async def test_what_was_redeemed_long_before_is_not_given_back(aboard: Aboard):
    """INV-03: also where everything that can be rolled back is."""
    check = await given(aboard)
    before = used(aboard, "employee")
    parts = [
        (await redeem(aboard, check["code"], f"p{number}", 10_00, capture=True)).json()
        for number in range(REDEMPTIONS_MAX + 2)
    ]
    for part in parts[2:]:
        answer = await step(aboard, part["redemption_id"], "rollback", part["redemption_id"])
        assert answer.status_code == 200
    voided = await aboard.post(f"checks/{check['check_id']}/void", "v")
    assert voided.json()["unredeemed_minor"] == 980_00
    assert used(aboard, "employee") == before * 20_00 // 1000_00
    history = (await aboard.get(f"options?complaint={check['complaint_id']}")).json()["history"]
    assert [gift["check_id"] for gift in history] == [check["check_id"]]


async def test_a_gift_card_is_held_in_a_bounded_number_of_parts_at_once(aboard: Aboard):
    check = await given(aboard)
    for number in range(REDEMPTIONS_MAX):
        assert (await redeem(aboard, check["code"], f"h{number}", 1)).status_code == 200
    assert (await redeem(aboard, check["code"], "one-more", 1)).status_code == 409
    aboard.later(minutes=10)
    assert (await redeem(aboard, check["code"], "later", 1)).status_code == 200


async def test_what_is_held_is_free_again_when_it_is_cancelled_or_its_time_is_over(aboard: Aboard):
    check = await given(aboard)
    hold = (await redeem(aboard, check["code"], "a")).json()
    assert (await redeem(aboard, check["code"], "b")).status_code == 409
    assert (await step(aboard, hold["redemption_id"], "cancel")).status_code == 200
    late = (await redeem(aboard, check["code"], "c")).json()
    aboard.later(minutes=10)
    refused = await step(aboard, late["redemption_id"], "capture")
    assert (refused.status_code, refused.json()["type"]) == (409, Reason.HOLD_GONE)
    await aboard.ring("compensation")
    assert (await look(aboard, check["check_id"]))["left_minor"] == 1000_00
    assert (await aboard.types("compensation"))[-1] == "redemption.cancelled"


async def test_an_experience_is_redeemed_whole_or_not(aboard: Aboard):
    check = await given(aboard, "dinner-for-two")
    part = await redeem(aboard, check["code"], "a", 100_00)
    assert (part.status_code, part.json()["type"]) == (409, Reason.NOT_IN_PARTS)
    hold = (await redeem(aboard, check["code"], "b")).json()
    part = await step(aboard, hold["redemption_id"], "capture", amount_minor=100_00)
    assert (part.status_code, part.json()["type"]) == (409, Reason.NOT_IN_PARTS)
    more = await step(aboard, hold["redemption_id"], "capture", "m", amount_minor=1200_01)
    assert (more.status_code, more.json()["type"]) == (409, Reason.AMOUNT_TOO_LARGE)
    assert (await step(aboard, hold["redemption_id"], "capture", "k2")).status_code == 200


async def test_what_was_redeemed_can_be_rolled_back_once(aboard: Aboard):
    check = await given(aboard)
    done = (await redeem(aboard, check["code"], "a", 300_00, capture=True)).json()
    assert (await step(aboard, done["redemption_id"], "rollback")).status_code == 200
    again = await step(aboard, done["redemption_id"], "rollback", "other")
    assert (again.status_code, again.json()["type"]) == (409, Reason.NOT_CAPTURED)
    assert (await look(aboard, check["check_id"]))["left_minor"] == 1000_00


async def test_a_void_gives_back_what_was_not_redeemed_exactly_once(aboard: Aboard):
    check = await given(aboard)
    before = used(aboard, "employee")
    await redeem(aboard, check["code"], "a", 250_00, capture=True)
    first = await aboard.post(f"checks/{check['check_id']}/void", "v")
    assert (first.status_code, first.json()["unredeemed_minor"]) == (200, 750_00)
    again = await aboard.post(f"checks/{check['check_id']}/void", "w")
    assert (again.status_code, again.json()["type"]) == (409, Reason.CHECK_ENDED)
    # In every window of the employee, which is day and week for this role.
    assert used(aboard, "employee") == before * 250_00 // 1000_00
    assert (await redeem(aboard, check["code"], "b", 1)).status_code == 409


async def test_while_a_till_holds_a_part_a_check_cannot_be_voided(aboard: Aboard):
    check = await given(aboard)
    await redeem(aboard, check["code"], "a", 250_00)
    held = await aboard.post(f"checks/{check['check_id']}/void", "v")
    assert held.json()["type"] == Reason.CHECK_ENDED
    aboard.later(minutes=10)
    assert (await aboard.post(f"checks/{check['check_id']}/void", "w")).status_code == 200


async def test_a_check_expires_by_itself_and_what_was_not_redeemed_is_authority_again(
    aboard: Aboard,
):
    check = await given(aboard)
    assert used(aboard, "site") == 1000_00
    aboard.later(days=90)
    late = await redeem(aboard, check["code"], "a", 1)
    assert late.json()["type"] == Reason.CODE_NOT_REDEEMABLE
    await aboard.ring("compensation")
    assert used(aboard, "site") == 0
    assert (await look(aboard, check["check_id"]))["state"] == "expired"


async def test_no_hold_outlasts_its_check_also_before_the_check_is_rung_out(aboard: Aboard):
    """INV-03."""
    check = await given(aboard)
    aboard.later(days=90, minutes=-5)
    hold = (await redeem(aboard, check["code"], "a")).json()
    assert hold["expires_at"] == check["valid_until"]
    aboard.later(minutes=5)
    late = await step(aboard, hold["redemption_id"], "capture")
    assert (late.status_code, late.json()["type"]) == (409, Reason.HOLD_GONE)


async def test_suspending_also_stops_what_a_till_held_before(aboard: Aboard):
    check = await given(aboard)
    hold = (await redeem(aboard, check["code"], "a")).json()["redemption_id"]
    await aboard.post(f"checks/{check['check_id']}/suspend", "s")
    stopped = await step(aboard, hold, "capture")
    assert (stopped.status_code, stopped.json()["type"]) == (409, Reason.HOLD_GONE)
    await aboard.post(f"checks/{check['check_id']}/resume", "r")
    assert (await step(aboard, hold, "capture", "again")).status_code == 200


async def test_a_suspended_check_is_not_taken_until_it_is_resumed(aboard: Aboard):
    check = await given(aboard)
    assert (await aboard.post(f"checks/{check['check_id']}/suspend", "s")).status_code == 200
    assert (await look(aboard, check["check_id"]))["state"] == "suspended"
    assert (await redeem(aboard, check["code"], "a")).status_code == 409
    assert (await aboard.post(f"checks/{check['check_id']}/resume", "r")).status_code == 200
    assert (await redeem(aboard, check["code"], "b")).status_code == 200


async def test_unknown_used_and_ended_codes_look_the_same_to_a_stranger(aboard: Aboard):
    used_up = await given(aboard, "taxfree-card/20000")
    ended = await given(aboard, "taxfree-card/50000")
    elsewhere = await given(aboard, "cinema")
    await redeem(aboard, used_up["code"], "u", capture=True)
    await aboard.post(f"checks/{ended['check_id']}/void", "v")
    other_site = till(aboard, site="ms-borealis")
    answers = [
        await redeem(aboard, "00000-00000-0", "x"),
        await redeem(aboard, used_up["code"], "y"),
        await redeem(aboard, ended["code"], "z"),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (409, answers[0].content)
    }
    foreign = await aboard.post("redemptions", "f", {"code": elsewhere["code"]}, other_site)
    assert foreign.status_code == 404  # no policy for that site: it has no tills


async def test_no_code_can_be_guessed_from_what_is_published_and_stored(aboard: Aboard):
    check = await given(aboard)
    await redeem(aboard, check["code"], "a", 100_00)
    wish = Reserve(code=check["code"], amount_minor=100_00).model_dump_json().encode()
    kept = aboard.stores["compensation"].kept
    everything = b"".join([*kept.lines, *(found.body for found in kept.documents.values())])
    assert sha256(wish).hexdigest().encode() not in everything


async def test_a_code_is_taken_as_people_read_and_type_it(aboard: Aboard):
    check = await given(aboard)
    code = check["code"]
    spelt = [code.lower(), code.replace("-", " "), f" {code}\n", code.replace("0", "o")]
    spelt += [code.replace("1", letter) for letter in "lIiL"]
    for number, as_read in enumerate(spelt):
        assert (await redeem(aboard, as_read, f"k{number}", 1)).status_code == 200, as_read


def test_the_letters_that_are_read_as_digits_are():
    codes = Codes(b"secret")
    assert codes.hash("IlLi-oO") == codes.hash("1111 00") != codes.hash("1111 0U")


def test_the_code_of_each_example_is_one():
    for example in Reserve.model_config["json_schema_extra"]["examples"]:
        luhn.validate(example["code"].replace("-", ""), ALPHABET)


async def test_a_hold_whose_time_is_over_stands_in_nobodys_way(aboard: Aboard):
    """Also while the process that frees holds is away; INV-03."""
    check = await given(aboard)
    first = (await redeem(aboard, check["code"], "a")).json()["redemption_id"]
    aboard.later(minutes=10)
    again = await redeem(aboard, check["code"], "b")
    assert again.status_code == 200
    assert (await look(aboard, check["check_id"]))["left_minor"] == 0
    assert (await step(aboard, first, "capture")).json()["type"] == Reason.HOLD_GONE
    await aboard.ring("compensation")
    types = await aboard.types("compensation")
    assert types.count("redemption.cancelled") == 1
    assert (await step(aboard, again.json()["redemption_id"], "capture")).status_code == 200


async def test_what_was_redeemed_whole_is_not_suspended(aboard: Aboard):
    check = await given(aboard)
    await redeem(aboard, check["code"], "a", capture=True)
    answer = await aboard.post(f"checks/{check['check_id']}/suspend", "s")
    assert (answer.status_code, answer.json()["type"]) == (409, Reason.CHECK_ENDED)


async def test_what_was_taken_back_was_not_given_before(aboard: Aboard):
    kept, back = await given(aboard, "cinema"), await given(aboard, again=True)
    await aboard.post(f"checks/{back['check_id']}/void", "v")
    answer = await aboard.get(f"options?complaint={kept['complaint_id']}")
    assert [gift["check_id"] for gift in answer.json()["history"]] == [kept["check_id"]]


async def test_a_command_without_a_body_takes_none(aboard: Aboard):
    check = await given(aboard)
    for body, status in (({"status": "redeemed"}, 422), ({}, 200)):
        answer = await aboard.post(f"checks/{check['check_id']}/void", "v", body)
        assert answer.status_code == status


async def test_the_next_page_goes_on_where_the_last_one_ended(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    for number in range(LISTED_MAX):
        await aboard.give(complaint, "sincere-words", f"k{number}")
    first = (await aboard.get("checks?limit=50")).json()
    aboard.later(seconds=1)
    for number in range(10):
        await aboard.give(complaint, "sincere-words", f"more-{number}")
    shown, cursor = first["checks"], first["next"]
    while cursor:
        page = (await aboard.get(f"checks?limit=50&cursor={cursor}")).json()
        shown, cursor = shown + page["checks"], page["next"]
    # Ten came before the first page meanwhile; none is shown twice, and none is passed over.
    assert len({check["check_id"] for check in shown}) == len(shown) == LISTED_MAX


async def test_a_till_that_tries_many_codes_in_vain_waits_and_others_do_not(aboard: Aboard):
    """Case 49."""
    check = await given(aboard, "onboard-credit/50000")
    for number in range(TRIES_MAX):
        assert (await redeem(aboard, "00000-00000-0", f"guess-{number}")).status_code == 409
    for code in ("00000-00000-0", check["code"]):
        refused = await redeem(aboard, code, f"then-{code}")
        assert (refused.status_code, refused.json()["type"]) == (429, Reason.TOO_MANY_TRIES)
        assert refused.headers["Retry-After"] == "60"
    other = till(aboard, subject="till-2")
    command = {"code": check["code"], "amount_minor": 1}
    assert (await aboard.post("redemptions", "other", command, other)).status_code == 200
    aboard.later(minutes=1)
    assert (await redeem(aboard, check["code"], "later", 1)).status_code == 200
    assert (await redeem(aboard, "00000-00000-0", "guess")).status_code == 409


async def test_a_burst_of_codes_is_bounded_like_codes_one_after_another(aboard: Aboard):
    """Case 49: also the right code is not compared once the bound is reached."""
    check = await given(aboard)
    codes = ["00000-00000-0"] * TRIES_MAX + [check["code"]] * 10
    store = aboard.stores["compensation"]
    slow = YieldingStore(store, (3,))
    settings = aboard.apps["compensation"].parts.settings
    aboard.apps["compensation"] = build(settings, now=aboard.clock, store=slow)
    burst = [redeem(aboard, code, f"k{number}", 1) for number, code in enumerate(codes)]
    answers = await asyncio.gather(*burst)
    assert Counter(answer.status_code for answer in answers) == {409: TRIES_MAX, 429: 10}
    assert "redemption.reserved" not in await aboard.types("compensation")


async def test_a_till_learns_what_it_takes_and_what_is_left_of_it(aboard: Aboard):
    card, dinner = await given(aboard), await given(aboard, "dinner-for-two", again=True)
    hold = (await redeem(aboard, card["code"], "a", 400_00)).json()
    told = ("item", "kind", "title", "value_minor", "left_minor")
    assert [hold[name] for name in told] == [
        "taxfree-card/100000", "gift_card", title_of(aboard, "taxfree-card"), 1000_00, 600_00,
    ]  # fmt: skip
    less = await step(aboard, hold["redemption_id"], "capture", amount_minor=350_00)
    assert [less.json()[name] for name in told] == [*(hold[name] for name in told[:4]), 650_00]
    again = await step(aboard, hold["redemption_id"], "capture", amount_minor=350_00)
    assert again.content == less.content
    whole = (await redeem(aboard, dinner["code"], "b", capture=True)).json()
    assert [whole[name] for name in told] == [
        "dinner-for-two", "experience", title_of(aboard, "dinner-for-two"), 1200_00, 0,
    ]  # fmt: skip
    assert "percent" not in whole


async def test_a_till_is_told_the_percentage_it_takes_and_of_how_large_a_bill(aboard: Aboard):
    check = await given(aboard, "bar-discount/20")
    command = {"code": check["code"], "amount_minor": 100_00}
    hold = await aboard.post("redemptions", "r", command, till(aboard, subject="sky-bar"))
    percentage = aboard.policy.checks["bar-discount"]
    assert (hold.json()["percent"], hold.json()["bill_up_to_minor"]) == (20, percentage.bill_up_to)
    assert hold.json()["left_minor"] == 0


async def test_what_a_till_takes_is_called_what_it_was_called_when_it_was_given(aboard: Aboard):
    check = await given(aboard)
    checks = {name: kind for name, kind in aboard.policy.checks.items() if name != "taxfree-card"}
    policy = aboard.policy.model_copy(update={"checks": checks, "playbooks": {}, "incidents": None})
    head = PolicyPublished(site=policy.site, version=2, policy=policy)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, 2)])
    hold = (await redeem(aboard, check["code"], "a", 1)).json()
    assert hold["title"] == title_of(aboard, "taxfree-card")
    await step(aboard, hold["redemption_id"], "cancel")
    # As it was stored before it said under which policy it was given.
    kept = aboard.stores["compensation"].kept.documents
    key = f"check:{check['check_id']}"
    body = kept[key].body.replace(b'"policy_version":1,', b"")
    kept[key] = kept[key]._replace(body=body)
    assert (await redeem(aboard, check["code"], "b", 1)).json()["title"] == "taxfree-card"


def title_of(aboard: Aboard, item: str) -> str:
    return aboard.policy.checks[item].title[aboard.policy.languages[0]]


async def test_a_till_is_told_why_it_may_not_take_a_check_of_its_site_and_a_stranger_is_not(
    tmp_path: Path,
):
    aboard = await Aboard(tmp_path).begin()
    policy = aboard.policy.model_copy(update={"site": "ms-borealis"})
    head = PolicyPublished(site="ms-borealis", version=1, policy=policy)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, 0)], 9)
    card, dinner = await given(aboard), await given(aboard, "dinner-for-two", again=True)
    spa = await given(aboard, "spa-card/40000", reason="noise", again=True)
    wishes = {
        Reason.AMOUNT_TOO_LARGE: {"code": card["code"], "amount_minor": 1000_01},
        Reason.NOT_IN_PARTS: {"code": dinner["code"], "amount_minor": 1},
        Reason.NOT_VALID_HERE: {"code": spa["code"]},
        Reason.CODE_NOT_REDEEMABLE: {"code": "00000-00000-0"},
    }
    foreign = set()
    for reason, wish in wishes.items():
        told = await aboard.post("redemptions", f"k-{reason}", wish, till(aboard))
        assert (told.status_code, told.json()["type"]) == (409, reason)
        stranger = till(aboard, site="ms-borealis")
        answer = await aboard.post("redemptions", f"k-{reason}", wish, stranger)
        foreign.add((answer.status_code, answer.content))
    assert foreign == {(409, told.content)}


async def test_nobody_redeems_a_check_that_they_gave_and_a_colleague_at_the_till_does(
    aboard: Aboard,
):
    """INV-12: one employee alone cannot turn their authority into money."""
    check = await given(aboard, "onboard-credit/50000")
    wish, giver = {"code": check["code"]}, aboard.bearer("e-ingrid")
    for more in ({}, {"amount_minor": 1}, {"capture": True}):
        answer = await aboard.post("redemptions", f"own-{more}", {**wish, **more}, giver)
        assert (answer.status_code, answer.json()["type"]) == (409, Reason.OWN_CHECK)
    # Whoever the token says, not whoever is called so: a till may have any name.
    namesake = till(aboard, subject="e-ingrid")
    held = (await aboard.post("redemptions", "a", {**wish, "amount_minor": 1}, namesake)).json()
    capture = f"redemptions/{held['redemption_id']}/capture"
    answer = await aboard.post(capture, "b", {}, giver)
    assert (answer.status_code, answer.json()["type"]) == (409, Reason.OWN_CHECK)
    assert (await look(aboard, check["check_id"]))["redeemed_minor"] == 0
    colleague = await aboard.post(
        "redemptions", "c", {**wish, "capture": True}, aboard.bearer("e-jonas")
    )
    assert (colleague.status_code, colleague.json()["left_minor"]) == (200, 0)


async def test_what_a_till_is_told_of_a_check_of_its_site_is_no_wrong_code(aboard: Aboard):
    check = await given(aboard)
    for number in range(TRIES_MAX + 1):
        answer = await redeem(aboard, check["code"], f"k{number}", 1000_01)
        assert answer.json()["type"] == Reason.AMOUNT_TOO_LARGE
    assert (await redeem(aboard, check["code"], "good")).status_code == 200


async def test_a_check_is_taken_where_it_is_valid(aboard: Aboard):
    complaint = await aboard.raise_complaint(text="The music was loud all night.")
    check = (await aboard.give(complaint, "spa-card/40000", "k", reason="noise")).json()
    assert (await redeem(aboard, check["code"], "a")).status_code == 409
    spa = await aboard.post(
        "redemptions", "b", {"code": check["code"]}, till(aboard, subject="spa")
    )
    assert spa.status_code == 200


async def test_the_line_about_a_stretch_is_sealed_and_shown_to_who_wrote_it(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "taxfree-card/50000", "a", "e-jonas")).json()
    assert check["explain_by"] is None
    for key in ("b", "c"):
        check = (await aboard.give(complaint, "taxfree-card/100000", key, "e-jonas")).json()
    assert check["explain_by"] is not None
    line = {"explanation": "The third cold meal of this family."}
    path = f"checks/{check['check_id']}/explain"
    not_mine = await aboard.post(path, "n", line)
    assert not_mine.json()["type"] == Reason.UNKNOWN_CHECK
    jonas = aboard.bearer("e-jonas")
    assert (await aboard.post(path, "e", line, jonas)).status_code == 200
    assert (await look(aboard, check["check_id"]))["explanation"] is None
    mine = await aboard.get(f"checks/{check['check_id']}", jonas)
    assert mine.json()["explanation"] == line["explanation"]
    assert (await aboard.post(path, "f", line, jonas)).json()["type"] == Reason.NOTHING_TO_EXPLAIN
    assert "third cold meal" not in str(await aboard.facts("compensation"))


async def test_a_stretch_that_nobody_explains_shows_and_lowers_nothing(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    for key in ("a", "b"):
        await aboard.give(complaint, "taxfree-card/100000", key, "e-jonas")
    stretched = (await aboard.give(complaint, "taxfree-card/50000", "c", "e-jonas")).json()
    aboard.later(hours=24)
    await aboard.ring("compensation")
    assert "check.unexplained" in await aboard.types("compensation")
    assert (await look(aboard, stretched["check_id"]))["unexplained"] is True
    next_day = await aboard.give(complaint, "taxfree-card/100000", "d", "e-jonas")
    assert next_day.status_code == 201


async def test_a_stretch_is_praised_once_and_who_gave_it_sees_that(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    plain = (await aboard.give(complaint, "taxfree-card/100000", "a", "e-jonas")).json()
    await aboard.give(complaint, "taxfree-card/100000", "b", "e-jonas")
    stretched = (await aboard.give(complaint, "taxfree-card/50000", "c", "e-jonas")).json()
    assert stretched["explain_by"] is not None
    reader, path = aboard.bearer("m-hotel", "manager"), f"checks/{stretched['check_id']}/good-call"
    before = state(aboard.stores["compensation"])["accounts"]
    first = await aboard.post(path, "p", None, reader)
    # Whose check it is stays unsaid.
    assert first.json() == {
        "check_id": stretched["check_id"],
        "site": "ms-aurora",
        "praised_at": "2026-06-03T14:00:00Z",
    }
    again = await aboard.post(path, "p", None, reader)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    for check, key, reason in (
        (stretched, "q", Reason.ALREADY_PRAISED),
        (plain, "r", Reason.NOTHING_TO_PRAISE),
    ):
        found = await aboard.post(f"checks/{check['check_id']}/good-call", key, None, reader)
        assert (found.status_code, found.json()["type"]) == (409, reason)
    assert (await look(aboard, stretched["check_id"]))["praised_at"] == "2026-06-03T14:00:00Z"
    (fact,) = [one for one in await aboard.facts("compensation") if "praised_at" in one]
    assert (fact["employee_id"], fact["by"]) == ("e-jonas", "m-hotel")
    assert state(aboard.stores["compensation"])["accounts"] == before


async def test_a_stretch_that_was_taken_back_is_not_praised(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    for key in ("a", "b"):
        await aboard.give(complaint, "taxfree-card/100000", key, "e-jonas")
    stretched = (await aboard.give(complaint, "taxfree-card/50000", "c", "e-jonas")).json()
    await aboard.post(f"checks/{stretched['check_id']}/void", "v", None, aboard.bearer("e-jonas"))
    reader = aboard.bearer("m-hotel", "manager")
    found = await aboard.post(f"checks/{stretched['check_id']}/good-call", "p", None, reader)
    assert found.json()["type"] == Reason.NOTHING_TO_PRAISE


# ---- the customer chooses ------------------------------------------------------------------------


async def offered(aboard: Aboard, other: str = "cinema", **more: Any) -> dict:
    complaint = await aboard.raise_complaint(**more)
    wish = {"complaint_id": complaint, "items": ["dinner-for-two", other], "reason": "food"}
    made = await aboard.post("offers", "o", wish)
    assert made.status_code == 201, made.text
    return made.json()


async def test_an_offer_holds_the_dearest_and_the_choice_is_charged_its_own_cost(aboard: Aboard):
    offer = await offered(aboard)
    day = (await aboard.get("me/authority")).json()["scopes"][0]
    assert (day["held_minor"], day["used_minor"], day["left_minor"]) == (480_00, 0, 7520_00)
    chosen = await aboard.post(f"offers/{offer['offer_id']}/choice", "c", {"item": "cinema"})
    assert chosen.status_code == 201
    day = (await aboard.get("me/authority")).json()["scopes"][0]
    assert (day["held_minor"], day["used_minor"], day["left_minor"]) == (0, 90_00, 7910_00)
    again = await aboard.post(f"offers/{offer['offer_id']}/choice", "d", {"item": "dinner-for-two"})
    assert (again.status_code, again.json()["type"]) == (409, Reason.OFFER_CLOSED)


async def test_a_choice_by_link_changes_nothing_until_the_button_and_is_made_once(aboard: Aboard):
    path = urlsplit((await offered(aboard))["link"]).path
    async with aboard.http("compensation", "") as customer:
        page = await customer.get(path)
        assert "Dinner for two" in page.text
        assert "check.issued" not in await aboard.types("compensation")
        first = await customer.post(path, data={"item": "cinema"})
        same = await customer.post(path, data={"item": "cinema"})
        other = await customer.post(path, data={"item": "dinner-for-two"})
        yacht = await customer.post(path, data={"item": "yacht"})
        closed = await customer.get(path)
    assert [a.status_code for a in (page, first, same, other, yacht, closed)] == [
        200, 200, 200, 409, 422, 200,
    ]  # fmt: skip
    assert first.text == same.text
    assert "cinema for two" in closed.text, "what was chosen is shown again"
    assert (await aboard.types("compensation")).count("check.issued") == 1


@pytest.mark.parametrize(
    ("body", "accept"),
    [
        ({"json": {"item": "cinema"}}, "*/*"),
        ({"json": {"item": "cinema"}}, "application/json"),
        ({"data": {"item": "cinema"}}, "application/json"),
    ],
)
async def test_a_choice_by_link_is_taken_as_json_or_as_a_form_and_answered_in_json(
    aboard: Aboard, body: dict, accept: str
):
    offer = await offered(aboard)
    path = urlsplit(offer["link"]).path
    async with aboard.http("compensation", "") as customer:
        customer.headers["Accept"] = accept
        first = await customer.post(path, **body)
        again = await customer.post(path, **body)
        other = await customer.post(path, json={"item": "dinner-for-two"})
        page = await customer.get(path)
    assert (first.status_code, again.status_code) == (200, 200)
    chosen = first.json()
    assert chosen == again.json()
    assert (chosen["offer_id"], chosen["item"]) == (offer["offer_id"], "cinema")
    assert chosen["code"] in page.text
    assert first.headers["published"] in ("true", "false")
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["type"]) == (409, Reason.OFFER_CLOSED)
    assert (await aboard.types("compensation")).count("check.issued") == 1


async def test_a_choice_in_json_leads_a_browser_and_is_refused_if_it_names_nothing(aboard: Aboard):
    path = urlsplit((await offered(aboard))["link"]).path
    async with aboard.http("compensation", "") as customer:
        wrong = [
            await customer.post(path, json={}),
            await customer.post(path, json={"item": "cinema", "more": 1}),
            await customer.post(path, content=b"{", headers={"Content-Type": "application/json"}),
            await customer.post(path, content=b"x", headers={"Content-Type": "text/plain"}),
        ]
        refused = [(422, "schema_invalid")] * 4
        refused[2] = (400, "malformed_bytes")
        assert [(a.status_code, a.json()["type"]) for a in wrong] == refused
        (missing,) = wrong[0].json()["errors"]
        assert (missing["pointer"], missing["rule"]) == ("/item", "missing")
        for accept in ("text/html", "text/html, application/json"):
            led = await customer.post(path, json={"item": "cinema"}, headers={"Accept": accept})
            assert (led.status_code, led.headers["location"]) == (303, path)


async def test_an_offer_that_nobody_chooses_from_lapses_and_gives_back_what_it_held(
    aboard: Aboard,
):
    offer = await offered(aboard)
    aboard.later(days=1)
    await aboard.ring("compensation")
    assert used(aboard, "employee") == used(aboard, "held") == 0
    late = await aboard.post(f"offers/{offer['offer_id']}/choice", "c", {"item": "cinema"})
    assert late.json()["type"] == Reason.OFFER_CLOSED


async def test_a_timer_never_rings_before_its_moment_and_is_never_lost(aboard: Aboard):
    aboard.later(microseconds=900)
    await offered(aboard)
    aboard.later(days=1, microseconds=-500)
    await aboard.ring("compensation")
    assert "offer.lapsed" not in await aboard.types("compensation")
    aboard.later(microseconds=1000)
    await aboard.ring("compensation")
    assert "offer.lapsed" in await aboard.types("compensation")


@pytest.mark.parametrize("ending", ["chosen", "over", "lapsed"])
async def test_an_employee_sees_the_offers_that_they_made_and_nobody_has_chosen_from(
    aboard: Aboard, ending: str
):
    first = await offered(aboard)
    aboard.later(hours=1)
    other = await aboard.raise_complaint(7, customer="booking-7")
    wish = {"complaint_id": other, "items": ["cinema", "sincere-words"], "reason": "food"}
    second = (await aboard.post("offers", "second", wish)).json()

    async def mine(employee: str = "e-ingrid") -> list[dict]:
        async with aboard.http("compensation", aboard.bearer(employee)) as phone:
            return (await phone.get("/v1/offers")).json()["offers"]

    shown = ("offer_id", "complaint_id", "expires_at")
    assert await mine() == [
        {**{name: one[name] for name in shown}, "reason": "food"} for one in (first, second)
    ]
    assert await mine("e-jonas") == [], "a colleague's are theirs"
    if ending == "chosen":
        await aboard.post(f"offers/{first['offer_id']}/choice", "c", {"item": "cinema"})
    else:
        aboard.later(hours=23)
    if ending == "lapsed":
        await aboard.ring("compensation")
    assert [one["offer_id"] for one in await mine()] == [second["offer_id"]]


async def test_an_offer_beyond_authority_is_answered_with_what_fits(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    wish = {"complaint_id": complaint, "reason": "food"}
    for number in range(2):
        await aboard.give(complaint, "taxfree-card/100000", f"k{number}", "e-jonas")
    wish["items"] = ["taxfree-card/50000", "cinema"]
    refused = await aboard.post("offers", "o", wish, aboard.bearer("e-jonas"))
    assert (refused.status_code, refused.json()["bound_by"]) == (409, "employee_day")
    assert refused.json()["alternatives"]


async def test_a_damaged_or_foreign_link_opens_nothing(aboard: Aboard):
    path = urlsplit((await offered(aboard))["link"]).path
    async with aboard.http("compensation", "") as stranger:
        assert (await stranger.get(path[:-2])).status_code == 404
        assert (await stranger.post("/o/x", data={"item": "cinema"})).status_code == 404


async def test_a_link_of_any_shape_is_no_defect_of_ours(aboard: Aboard):
    head = urlsafe_b64encode(b'{"alg":"HS256","crit":1}').rstrip(b"=").decode()
    async with aboard.http("compensation", "") as stranger:
        assert (await stranger.get(f"/o/{head}.e30.eHg")).status_code == 404


async def test_an_expired_link_says_so_on_a_page_in_the_customers_language_and_in_no_frame(
    aboard: Aboard,
):
    path = urlsplit((await offered(aboard))["link"]).path
    aboard.later(days=1)
    async with aboard.http("compensation", "") as customer:
        page = await customer.get(path)
        late = await customer.post(path, data={"item": "cinema"})
        aboard.later(days=31)
        gone = await customer.get(path)
    assert "not open any more" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (late.status_code, "not open any more" in late.text) == (409, True)
    assert gone.status_code == 404


async def test_what_cannot_be_chosen_any_more_is_not_shown(aboard: Aboard):
    """After a rebuild the version in force stands in for the one it was offered under."""
    path = urlsplit((await offered(aboard))["link"]).path
    kept = aboard.stores["compensation"].kept.documents
    for version, gone in ((2, {"cinema"}), (3, {"cinema", "dinner-for-two"})):
        checks = {name: kind for name, kind in aboard.policy.checks.items() if name not in gone}
        policy = aboard.policy.model_copy(update={"checks": checks, "playbooks": {}})
        head = PolicyPublished(site=policy.site, version=version, policy=policy)
        await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, version)])
        kept.pop("policy-version:ms-aurora/1", None)
        old = aboard.apps["compensation"].parts
        aboard.apps["compensation"] = build(old.settings, now=aboard.clock, store=old.store)
        async with aboard.http("compensation", "") as customer:
            page = await customer.get(path)
        assert page.status_code == 200
        assert ("Dinner for two" in page.text) is ("dinner-for-two" not in gone)
        assert "Cinema" not in page.text


async def test_whoever_left_does_not_choose_what_is_of_use_during_the_stay_alone(aboard: Aboard):
    """An employee may still give it to them, and then it has its whole time."""
    leaves = aboard.clock() + timedelta(hours=2)
    offer = await offered(aboard, "taxfree-card/20000", stay_ends_at=leaves)
    path = urlsplit(offer["link"]).path
    async with aboard.http("compensation", "") as customer:
        before = await customer.get(path)
        aboard.later(hours=2)
        after = await customer.get(path)
        late = await customer.post(path, json={"item": "dinner-for-two"})
        assert (await customer.post(path, json={"item": "taxfree-card/20000"})).status_code == 200
    assert ["Dinner for two" in page.text for page in (before, after)] == [True, False]
    assert "taxfree-card/20000" in after.text
    assert (late.status_code, late.json()["type"]) == (409, Reason.OFFER_CLOSED)


async def test_an_employee_chooses_for_whoever_left(aboard: Aboard):
    offer = await offered(aboard, stay_ends_at=aboard.clock() + timedelta(hours=2))
    aboard.later(hours=2)
    path = f"offers/{offer['offer_id']}/choice"
    assert (await aboard.post(path, "c", {"item": "dinner-for-two"})).status_code == 201


async def test_the_same_choice_is_the_same_also_when_its_answer_was_forgotten(aboard: Aboard):
    """An answer is kept two days, and a policy may leave two years to choose."""
    path = urlsplit((await offered(aboard))["link"]).path
    kept = aboard.stores["compensation"].kept.documents
    async with aboard.http("compensation", "") as customer:
        await customer.post(path, data={"item": "cinema"})
        for key in [key for key in kept if key.startswith("answer:")]:
            del kept[key]
        assert (await customer.post(path, data={"item": "cinema"})).status_code == 200
        assert (await customer.post(path, data={"item": "dinner-for-two"})).status_code == 409
    assert (await aboard.types("compensation")).count("check.issued") == 1


@pytest.mark.parametrize("minutes", [0, 60])
async def test_while_an_offer_is_open_a_colleague_is_told_that_something_is_given(
    aboard: Aboard, minutes: int
):
    """Two checks for one complaint within moments are meant, or they are one."""
    offer = await offered(aboard)
    about = offer["complaint_id"]
    aboard.later(minutes=minutes)
    second = await aboard.give(about, "cinema", "a", "e-sofia")
    assert (second.status_code, second.json()["type"]) == (409, Reason.ALREADY_COMPENSATED)
    wish = {"complaint_id": about, "items": ["dinner-for-two", "cinema"], "reason": "food"}
    third = await aboard.post("offers", "b", wish, aboard.bearer("e-sofia"))
    assert third.json()["type"] == Reason.ALREADY_COMPENSATED
    assert (await aboard.give(about, "cinema", "c")).status_code == 201
    assert (await aboard.give(about, "cinema", "d", "e-sofia", again=True)).status_code == 201


@pytest.mark.parametrize("ending", ["chosen", "lapsed"])
async def test_an_offer_that_is_over_stands_in_nobodys_way(aboard: Aboard, ending: str):
    offer = await offered(aboard)
    if ending == "chosen":
        await aboard.post(f"offers/{offer['offer_id']}/choice", "c", {"item": "cinema"})
        soon = await aboard.give(offer["complaint_id"], "cinema", "a", "e-sofia")
        assert soon.json()["type"] == Reason.ALREADY_COMPENSATED
        aboard.later(minutes=10)
    else:
        aboard.later(days=1)
    assert (await aboard.give(offer["complaint_id"], "cinema", "b", "e-sofia")).status_code == 201


async def test_an_open_offer_is_in_the_customers_history_until_it_is_over(aboard: Aboard):
    before = await given(aboard, "sincere-words")
    wish = {"complaint_id": before["complaint_id"], "items": ["dinner-for-two", "cinema"]}
    aboard.later(minutes=1)
    offer = (await aboard.post("offers", "o", {**wish, "reason": "food"})).json()
    path = f"options?complaint={before['complaint_id']}"
    first, second = (await aboard.get(path)).json()["history"]
    assert (first["check_id"], first["offer_id"], first["item"]) == (
        None, offer["offer_id"], "dinner-for-two",
    )  # fmt: skip
    assert first["choose_by"] == offer["expires_at"]
    assert (second["check_id"], second["offer_id"]) == (before["check_id"], None)
    chosen = await aboard.post(f"offers/{offer['offer_id']}/choice", "c", {"item": "cinema"})
    history = (await aboard.get(path)).json()["history"]
    assert [one["check_id"] for one in history] == [chosen.json()["check_id"], before["check_id"]]


async def test_an_offer_and_a_colleagues_check_at_the_same_moment_are_not_both_given(
    aboard: Aboard,
):
    about = await aboard.raise_complaint()
    store = YieldingStore(aboard.stores["compensation"], (2,))
    settings = aboard.apps["compensation"].parts.settings
    aboard.apps["compensation"] = build(settings, now=aboard.clock, store=store)
    wish = {"complaint_id": about, "items": ["dinner-for-two", "cinema"], "reason": "food"}
    answers = await asyncio.gather(
        aboard.post("offers", "o", wish), aboard.give(about, "cinema", "g", "e-sofia")
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_an_offer_at_the_limit_names_a_colleague_like_a_check_does(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    for number in range(2):
        await aboard.give(complaint, "taxfree-card/100000", f"k{number}", "e-jonas")
    items = ["taxfree-card/100000", "cinema"]
    wish = {"complaint_id": complaint, "reason": "food", "items": items}
    refused = await aboard.post("offers", "o", wish, aboard.bearer("e-jonas"))
    assert refused.json()["colleague_id"] in {"e-ingrid", "e-lars"}


async def test_an_offer_tells_what_the_law_says(aboard: Aboard):
    complaint = await aboard.raise_complaint(text="Bussen var tre timer forsinket.", language="nb")
    items = ["dinner-for-two", "cinema"]
    wish = {"complaint_id": complaint, "reason": "delay", "items": items}
    made = (await aboard.post("offers", "o", wish)).json()
    assert made["regime"]
    assert made["information"]
    chosen = await aboard.post(f"offers/{made['offer_id']}/choice", "c", {"item": "cinema"})
    assert chosen.json()["information"] == made["information"]


async def test_a_check_chosen_the_next_day_is_counted_and_listed_in_that_day(aboard: Aboard):
    offer = (await offered(aboard))["offer_id"]
    aboard.later(hours=16)
    await aboard.ring("compensation")
    assert (await aboard.post(f"offers/{offer}/choice", "c", {"item": "cinema"})).status_code == 201
    assert len((await aboard.get("checks")).json()["checks"]) == 1
    aboard.later(days=1)
    await aboard.ring("compensation")
    facts = await aboard.facts("compensation")
    closed = [fact for fact in facts if fact["type"].endswith("window.closed.v1")]
    assert [day["checks"] for day in closed] == [0, 1]


async def test_words_that_were_chosen_are_listed_like_any_check(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    items = ["sincere-words", "cinema"]
    wish = {"complaint_id": complaint, "items": items, "reason": "food"}
    offer = (await aboard.post("offers", "o", wish)).json()["offer_id"]
    await aboard.post(f"offers/{offer}/choice", "c", {"item": "sincere-words"})
    assert len((await aboard.get("checks")).json()["checks"]) == 1


async def test_a_percentage_is_redeemed_once_for_what_its_bill_comes_to(aboard: Aboard):
    check = await given(aboard, "bar-discount/20")
    bar = till(aboard, subject="sky-bar")
    command = {"code": check["code"], "amount_minor": 100_00, "capture": True}
    assert (await aboard.post("redemptions", "r", command, bar)).status_code == 200
    again = {"code": check["code"], "amount_minor": 1}
    assert (await aboard.post("redemptions", "s", again, bar)).status_code == 409
    shown = await look(aboard, check["check_id"])
    assert (shown["state"], shown["left_minor"]) == ("redeemed", 0)
    day = used(aboard, "employee")
    assert (await aboard.post(f"checks/{check['check_id']}/void", "v")).status_code == 200
    assert used(aboard, "employee") < day


async def test_a_percentage_without_an_amount_takes_nothing_and_says_what_to_send(aboard: Aboard):
    """A till that leaves it out would take the discount of the largest bill, whatever the bill was."""
    check = await given(aboard, "bar-discount/20")
    bar, most = till(aboard, subject="sky-bar"), aboard.policy.checks["bar-discount"].bill_up_to
    for capture in (False, True):
        command = {"code": check["code"], "capture": capture}
        answer = await aboard.post("redemptions", f"r{capture}", command, bar)
        told = {
            "percent": 20, "bill_up_to_minor": most, "left_minor": most * 20 // 100,
        }  # fmt: skip
        assert (answer.status_code, answer.json()) == (
            409,
            {"type": "amount_missing", "title": "amount missing", "status": 409, **told},
        )
    assert (await look(aboard, check["check_id"]))["left_minor"] == told["left_minor"]
    command = {"code": check["code"], "amount_minor": told["left_minor"]}
    assert (await aboard.post("redemptions", "good", command, bar)).status_code == 200


async def test_too_much_is_told_with_the_rest_and_what_another_holds_by_a_reason_of_its_own(
    aboard: Aboard,
):
    card = await given(aboard)
    await redeem(aboard, card["code"], "part", 300_00, capture=True)
    more = (await redeem(aboard, card["code"], "more", 700_01)).json()
    assert (more["type"], more["left_minor"]) == (Reason.AMOUNT_TOO_LARGE, 700_00)
    hold = (await redeem(aboard, card["code"], "hold", 500_00)).json()
    for number, (amount, reason, left) in enumerate(
        [
            (700_01, Reason.AMOUNT_TOO_LARGE, 200_00),
            (700_00, Reason.ON_HOLD, 200_00),
            (200_01, Reason.ON_HOLD, 200_00),
        ]
    ):
        answer = (await redeem(aboard, card["code"], f"n{number}", amount)).json()
        assert (answer["type"], answer["left_minor"]) == (reason, left)
    large = (await step(aboard, hold["redemption_id"], "capture", amount_minor=500_01)).json()
    assert (large["type"], large["left_minor"]) == (Reason.AMOUNT_TOO_LARGE, 500_00)
    assert (await redeem(aboard, card["code"], "rest")).json()["amount_minor"] == 200_00
    none = (await redeem(aboard, card["code"], "none")).json()
    assert (none["type"], none["left_minor"]) == (Reason.ON_HOLD, 0)


async def test_a_check_that_was_taken_back_compensated_nobody(aboard: Aboard):
    check = await given(aboard, "cinema")
    await aboard.post(f"checks/{check['check_id']}/void", "v")
    second = await aboard.give(check["complaint_id"], "cinema", "b", "e-sofia")
    assert second.status_code == 201


async def test_a_stretch_that_was_taken_back_needs_no_explanation(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    for number in range(2):
        await aboard.give(complaint, "taxfree-card/100000", f"k{number}", "e-jonas")
    check = (await aboard.give(complaint, "onboard-credit/50000", "s", "e-jonas")).json()
    path = f"checks/{check['check_id']}/void"
    await aboard.post(path, "v", None, aboard.bearer("e-jonas"))
    aboard.later(days=2)
    await aboard.ring("compensation")
    assert "check.unexplained" not in await aboard.types("compensation")


async def test_a_sum_that_the_playbook_suggests_is_offered_as_suggested(tmp_path: Path):
    suggest = {"promise": "PT1H", "suggest": ["onboard-credit/20000"]}
    playbooks = {"food": dict.fromkeys(("mild", "moderate", "severe"), suggest)}
    plain = {**demo_policy().model_dump(mode="json"), "playbooks": playbooks}
    a = await Aboard(tmp_path, Policy.model_validate(plain)).begin()
    complaint = await a.raise_complaint()
    best = (await a.get(f"options?complaint={complaint}")).json()["options"][0]
    assert (best["item"], best["why"]) == ("onboard-credit/20000", "suggested")


# ---- a customer's stay ---------------------------------------------------------------------------


@pytest.fixture
async def voyage(tmp_path: Path) -> Aboard:
    """Stays of three days, and a thousand crowns for each; the clock stands at a morning."""
    plain = demo_policy().model_dump(mode="json")
    customer = {"per_stay": 1000_00, "stay_days": 3, "checks_per_day": 10}
    limits = {**plain["limits"], "customer": customer}
    return await Aboard(tmp_path, Policy.model_validate({**plain, "limits": limits})).begin()


async def left_of_stay(aboard: Aboard, who: str) -> tuple[int, str]:
    """What is left of a customer's stay, and the day on which it is over."""
    found = (await aboard.get(f"options?{who}")).json()["left"]
    (stay,) = [one for one in found if one["scope"] == "customer_stay"]
    return stay["left_minor"], stay["until"][:10]


async def test_who_comes_back_begins_a_new_stay_and_who_is_there_does_not(voyage: Aboard):
    async def give(key: str, item: str) -> int:
        log = {"text": "Waited an hour.", "customer": "booking-7"}
        wish = {"on_the_spot": log, "item": item, "reason": "delay"}
        return (await voyage.post("checks", key, wish)).status_code

    who = "customer=booking-7"
    assert await left_of_stay(voyage, who) == (1000_00, "2026-06-06")
    voyage.later(days=1)
    assert await give("a", "taxfree-card/100000") == 201
    voyage.later(days=2)
    assert await left_of_stay(voyage, who) == (0, "2026-06-07")
    assert await give("b", "cinema") == 409
    assert await give("c", "sincere-words") == 201
    voyage.later(days=1)
    assert await left_of_stay(voyage, who) == (1000_00, "2026-06-10")
    assert await give("d", "cinema") == 201
    assert await left_of_stay(voyage, who) == (910_00, "2026-06-10")


async def test_an_offer_begins_a_stay_and_what_is_chosen_is_of_that_stay(voyage: Aboard):
    complaint = await voyage.raise_complaint()
    who = f"complaint={complaint}"
    wish = {"complaint_id": complaint, "items": ["dinner-for-two", "cinema"], "reason": "food"}
    offer = (await voyage.post("offers", "o", wish)).json()
    voyage.later(hours=20)
    assert await left_of_stay(voyage, who) == (520_00, "2026-06-06")
    assert (
        await voyage.post(f"offers/{offer['offer_id']}/choice", "c", {"item": "cinema"})
    ).status_code == 201
    assert await left_of_stay(voyage, who) == (910_00, "2026-06-06")


async def test_a_percentage_is_told_as_one_wherever_an_employee_reads_of_it(aboard: Aboard):
    """With the largest bill it holds for: an amount of money alone would be another gift."""
    complaint = await aboard.raise_complaint()
    wish = {"complaint_id": complaint, "items": ["bar-discount/20", "cinema"], "reason": "food"}
    offered = (await aboard.post("offers", "o", wish)).json()
    check = (await aboard.give(complaint, "bar-discount/20", "g")).json()
    shown = (await aboard.get(f"options?complaint={complaint}")).json()
    listed = (await aboard.get("checks")).json()["checks"]
    told = [
        check,
        *offered["options"],
        *(one for one in shown["options"] if one["item"] == "bar-discount/20"),
        *shown["history"],
        *listed,
        await look(aboard, check["check_id"]),
        *(fact for fact in await aboard.facts("compensation") if "value_minor" in fact),
    ]
    assert len(told) == 9
    said = {(one["item"], one.get("percent"), one.get("bill_up_to_minor")) for one in told}
    assert said == {("bar-discount/20", 20, 800_00), ("cinema", None, None)}
