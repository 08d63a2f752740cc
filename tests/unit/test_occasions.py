"""Customers are told what concerns them, once, first by us, and nothing that is no longer true."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.notifier.channels.ports import Letter
from services.notifier.messages.rules import Attempt, Message, State, may_have_arrived
from shared.contracts.complaints import Category, Language
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.runtime.words import about, outcome_key, say
from shared.testing.clock import START
from tests.suites.services import Aboard, demo_policy
from tests.unit.test_compensation_life import redeem
from tests.unit.test_erasure import document, erase
from tests.unit.test_lifecycle import do, seen
from tests.unit.test_selfservice import opened

#: Food that is mild is promised within four hours by the demo policy.
PROMISED = timedelta(hours=4)
QUESTION = "Which of the two lifts was it?"
NOTE = "A fan is in your cabin, and the neighbours were spoken to."


async def settled(aboard: Aboard) -> None:
    """All services have heard of each other, and what is due was sent."""
    for _ in range(3):
        await aboard.carry()
        await aboard.ring()


async def english(aboard: Aboard, offset: int = 0) -> str:
    """A mild complaint that was acknowledged."""
    name = await aboard.raise_complaint(offset, text="The soup was a bit salty.", language="en")
    await settled(aboard)
    return name


async def fates(aboard: Aboard) -> dict[str, Sequence[str]]:
    """By occasion, what became of its messages: `sent`, a reason, or `queued`."""
    found: dict[str, dict[str, str]] = {}
    for fact in await aboard.facts("notifier"):
        match fact["type"].split(".")[1:3]:
            case ["message", "queued"]:
                found.setdefault(fact["occasion"], {})[fact["message_id"]] = "queued"
            case ["message", "sent"]:
                found[fact["occasion"]][fact["message_id"]] = "sent"
            case ["message", "failed"]:
                found[fact["occasion"]][fact["message_id"]] = fact["reason"]
    return {occasion: list(of.values()) for occasion, of in found.items()}


def last(aboard: Aboard) -> Letter:
    return aboard.postbox.letters[-1]


def flat(letter: Letter) -> str:
    return " ".join(letter.body.split())


def link_in(letter: Letter, kind: str) -> str:
    """The path of the link of this kind."""
    (url,) = [word for word in letter.body.split() if f"/{kind}/" in word]
    return f"/{kind}/" + url.partition(f"/{kind}/")[2]


async def answers(aboard: Aboard, check_letter: Letter, helped: str) -> None:
    """The customer answers on a check's page."""
    async with aboard.http("notifier", "") as customer:
        answer = await customer.post(f"{link_in(check_letter, 'f')}/{helped}")
    assert answer.status_code == 200
    await settled(aboard)


def changed(**notify: Any) -> Policy:
    policy = demo_policy().model_dump(mode="json")
    return Policy.model_validate({**policy, "notify": {**policy["notify"], **notify}})


async def reminding(tmp_path: Path) -> Aboard:
    policy = changed(feedback_again_after="P2D", check_ends_before="P2D")
    return await Aboard(tmp_path, policy).begin()


# ---- a question ----------------------------------------------------------------------------------


async def test_a_question_comes_by_mail_with_the_link_where_it_is_answered(aboard: Aboard):
    name = await english(aboard)
    assert (await do(aboard, name, "ask", question=QUESTION)).status_code == 200
    await settled(aboard)
    assert QUESTION in last(aboard).body
    assert "?" not in last(aboard).subject
    async with aboard.http("complaints", "") as customer:
        page = await customer.get(link_in(last(aboard), "m"))
    assert QUESTION in page.text
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == ["sent"]
    assert QUESTION not in repr(aboard.stores["notifier"].kept)


async def test_each_question_has_its_letter(aboard: Aboard):
    name = await english(aboard)
    for number in range(2):
        await do(aboard, name, "ask", question=f"{number + 1}. {QUESTION}")
        await settled(aboard)
        await do(aboard, name, "answer", answer="The one by the pool.")
        aboard.later(minutes=1)
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == ["sent", "sent"]


@pytest.mark.parametrize("how", ["answer", "withdraw"])
async def test_a_question_that_is_over_is_not_sent(aboard: Aboard, how: str):
    name = await english(aboard)
    await do(aboard, name, "ask", question=QUESTION)
    command = {"answer": "The one by the pool."} if how == "answer" else {}
    assert (await do(aboard, name, how, **command)).status_code == 200
    await settled(aboard)
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == [Reason.NO_LONGER_TRUE]
    assert not any(QUESTION in flat(letter) for letter in aboard.postbox.letters)


async def test_whoever_has_no_address_is_asked_nothing_by_mail(aboard: Aboard):
    name = await aboard.raise_complaint(contact=None)
    await do(aboard, name, "ask", question=QUESTION)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    assert await fates(aboard) == {}


async def test_a_letter_names_what_the_complaint_is_about_since_an_employee_put_it_right(
    aboard: Aboard,
):
    name = await english(aboard)
    assert (await do(aboard, name, "correct", category="cleanliness")).status_code == 200
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    letter = flat(last(aboard))
    assert about(Category.CLEANLINESS, Language.EN) in letter
    assert about(Category.FOOD, Language.EN) not in letter


# ---- what was done -------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["fixed", "explained", "not_possible"])
@pytest.mark.parametrize("note", [NOTE, None])
async def test_what_was_done_is_told_in_the_employees_words_and_asks_whether_it_helped(
    aboard: Aboard, outcome: str, note: str | None
):
    name = await english(aboard)
    more = {"note": note} if note else {}
    assert (await do(aboard, name, "resolve", outcome=outcome, **more)).status_code == 200
    await settled(aboard)
    letter = last(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"]
    assert (NOTE in letter.body) is (note is not None)
    said = say(Language.EN, outcome_key(outcome, noted=note is not None))
    assert said in " ".join(letter.body.split())
    (page,) = [word for word in letter.body.split() if "/m/" in word]
    assert said in (await opened(aboard, urlsplit(page).path)).text
    assert ("explained" in letter.body, "What we have done" in letter.subject) == (
        False,
        outcome == "fixed",
    )
    assert "Did it help?" in letter.body
    assert "/m/" in letter.body
    assert NOTE not in repr(aboard.stores["notifier"].kept)


async def test_what_was_done_is_not_told_to_whoever_said_meanwhile_that_it_helped(aboard: Aboard):
    name = await english(aboard)
    given = await aboard.give(name, "cinema", "k1")
    assert given.status_code == 201
    await settled(aboard)
    check = last(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await aboard.carry()
    async with aboard.http("notifier", "") as customer:
        await customer.post(f"{link_in(check, 'f')}/yes")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == [Reason.NO_LONGER_TRUE]
    assert (await fates(aboard))[Occasion.THANKED] == ["sent"]


async def test_a_fix_is_told_with_what_it_is_called_and_where_to_write_if_it_did_not_help(
    aboard: Aboard,
):
    name = await english(aboard)
    await do(aboard, name, "fix", fix="bring-fan")
    aboard.later(minutes=1)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.FIX_DONE] == ["sent"]
    assert demo_policy().fixes["bring-fan"].done["en"] in last(aboard).body
    assert "Did it help?" not in last(aboard).body
    assert "write to us here" in flat(last(aboard))
    page = await opened(aboard, link_in(last(aboard), "m"))
    assert 'action="helped"' not in page.text and "/words" in page.text
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await settled(aboard)
    assert Occasion.PROMISE_BROKEN not in await fates(aboard)


async def test_a_fix_is_not_told_beside_the_resolution_that_followed_at_once(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "fix", fix="bring-fan")
    await do(aboard, name, "resolve", outcome="fixed", note=NOTE)
    await settled(aboard)
    aboard.later(minutes=1)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"]
    assert (await fates(aboard))[Occasion.FIX_DONE] == [Reason.NO_LONGER_TRUE]


async def test_of_each_fix_the_customer_is_told_once(aboard: Aboard):
    name = await english(aboard)
    for fix in ("bring-fan", "clean-again"):
        await do(aboard, name, "fix", fix=fix)
        aboard.later(minutes=1)
        await settled(aboard)
    assert (await fates(aboard))[Occasion.FIX_DONE] == ["sent", "sent"]


async def test_a_fix_of_a_merged_complaint_is_told_to_its_customer(aboard: Aboard):
    name, head = await english(aboard), await english(aboard, 1)
    await do(aboard, name, "fix", fix="bring-fan")
    assert (await do(aboard, name, "merge", into=head)).status_code == 200
    aboard.later(minutes=1)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.FIX_DONE] == ["sent"]


# ---- promises ------------------------------------------------------------------------------------


async def test_a_broken_promise_is_told_by_us_first_once(aboard: Aboard):
    name = await english(aboard)
    promised = aboard.postbox.letters[-1].body.partition("hear from us by ")[2].split(".")[0]
    for _ in range(3):
        aboard.clock.advance(PROMISED)
        await aboard.ring("complaints")
        await settled(aboard)
    assert (await fates(aboard))[Occasion.PROMISE_BROKEN] == ["sent"]
    assert "late" in last(aboard).subject
    assert promised in flat(last(aboard))
    queued = [fact for fact in await aboard.facts("notifier") if "queued" in fact["type"]]
    assert (queued[-1]["about"], queued[-1]["promise_id"]) == (f"{name}/0", f"{name}/0")


@pytest.mark.parametrize("taken", [True, False])
async def test_of_a_late_answer_the_customer_is_told_whether_anybody_has_it(
    tmp_path: Path, taken: bool
):
    aboard = await Aboard(tmp_path, changed(at_risk=True)).begin()
    name = await english(aboard)
    if taken:
        await do(aboard, name, "claim")
    aboard.clock.advance(PROMISED - timedelta(minutes=10))
    await aboard.ring("complaints")
    await settled(aboard)
    letter = last(aboard)
    assert ("One of us has taken it on." in flat(letter)) == taken
    assert ("Nobody has taken it on yet." in flat(letter)) != taken
    (page,) = [word for word in letter.body.split() if "/m/" in word]
    assert (
        "We wrote to you that it may take longer"
        in (await opened(aboard, urlsplit(page).path)).text
    )
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await settled(aboard)
    assert ("One of us had taken it on." in flat(last(aboard))) == taken
    assert ("By then nobody had taken it on." in flat(last(aboard))) != taken
    assert "You will hear from us as soon as we have an answer" in flat(last(aboard))


async def test_whose_safety_is_concerned_waits_for_no_late_answer(aboard: Aboard):
    await aboard.raise_complaint(text="I am allergic, and my soup had nuts.", language="en")
    await settled(aboard)
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await settled(aboard)
    late = next(one for one in aboard.postbox.letters if "late" in one.subject)
    assert "turn to the nearest one of us" in flat(late)


async def test_danger_that_is_spoken_of_later_makes_letters_grave(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "ask", question=QUESTION)
    await do(aboard, name, "answer", answer="The soup had nuts, and my daughter is in hospital.")
    await settled(aboard)
    assert "safety.found" in await aboard.types("complaints")
    story = document(aboard, "notifier", f"story:{name}")
    promised_by = (await seen(aboard, f"/{name}"))["promised_by"]
    assert datetime.fromisoformat(story["promised_by"]) == datetime.fromisoformat(promised_by)
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await settled(aboard)
    # Whoever must see it is told once more at the same time.
    told = [one for one in aboard.postbox.letters if one.recipient == "kari@example.org"]
    assert "turn to the nearest one of us" in flat(told[-1])


async def test_a_promise_is_not_at_risk_once_something_was_given(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(at_risk=True)).begin()
    name = await english(aboard)
    aboard.clock.advance(PROMISED - timedelta(minutes=10))
    await aboard.ring("complaints")
    await aboard.carry()
    aboard.later(seconds=1)
    assert (await aboard.give(name, "cinema", "k1")).status_code == 201
    await settled(aboard)
    assert (await fates(aboard))[Occasion.PROMISE_AT_RISK] == [Reason.NO_LONGER_TRUE]


async def test_of_each_broken_promise_of_one_round_the_customer_is_told(aboard: Aboard):
    """The first complaint's own, and later that of one that was merged into it."""
    first = await english(aboard)
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await settled(aboard)
    second = await english(aboard, 1)
    assert (await do(aboard, second, "merge", into=first)).status_code == 200
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.PROMISE_BROKEN] == ["sent", "sent"]
    overdue = [one for one in await aboard.facts("complaints") if "overdue_at" in one]
    assert [(one["round"], one.get("broken_before")) for one in overdue] == [(0, None), (0, 1)]


@pytest.mark.parametrize("how", ["check", "resolve", "ask", "withdraw"])
async def test_of_a_broken_promise_nobody_is_told_who_was_answered_meanwhile(
    aboard: Aboard, how: str
):
    name = await english(aboard)
    aboard.clock.advance(PROMISED)
    await aboard.ring("complaints")
    await aboard.carry()
    aboard.later(seconds=1)
    match how:
        case "check":
            assert (await aboard.give(name, "cinema", "k1")).status_code == 201
        case "resolve":
            await do(aboard, name, "resolve", outcome="fixed")
        case "ask":
            await do(aboard, name, "ask", question=QUESTION)
        case "withdraw":
            await do(aboard, name, "withdraw")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.PROMISE_BROKEN] == [Reason.NO_LONGER_TRUE]


@pytest.mark.parametrize("at_risk", [True, False])
async def test_customers_are_told_of_a_promise_at_risk_only_if_the_policy_says_so(
    tmp_path: Path, at_risk: bool
):
    aboard = await Aboard(tmp_path, changed(at_risk=at_risk)).begin()
    await english(aboard)
    aboard.clock.advance(PROMISED - timedelta(minutes=10))
    await aboard.ring("complaints")
    await settled(aboard)
    found = await fates(aboard)
    assert found.get(Occasion.PROMISE_AT_RISK) == (["sent"] if at_risk else None)


async def test_a_promise_that_was_broken_is_not_at_risk_any_more(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(at_risk=True)).begin()
    await english(aboard)
    aboard.clock.advance(PROMISED - timedelta(minutes=10))
    await aboard.ring("complaints")
    await aboard.carry()
    aboard.later(minutes=10)
    await aboard.ring("complaints")
    await settled(aboard)
    found = await fates(aboard)
    assert found[Occasion.PROMISE_AT_RISK] == [Reason.NO_LONGER_TRUE]
    assert found[Occasion.PROMISE_BROKEN] == ["sent"]


# ---- the end -------------------------------------------------------------------------------------


async def test_who_says_that_it_helped_is_thanked_once(aboard: Aboard):
    name = await english(aboard)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    await answers(aboard, last(aboard), "yes")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.THANKED] == ["sent"]
    assert last(aboard).subject.startswith("Your case is settled")


async def test_a_case_that_is_closed_without_an_answer_says_so_and_how_it_is_opened_again(
    aboard: Aboard,
):
    name = await english(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    aboard.clock.advance(aboard.policy.close_after)
    await aboard.ring("complaints")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.CLOSED] == ["sent"]
    async with aboard.http("complaints", "") as customer:
        page = await customer.get(link_in(last(aboard), "m"))
    assert "/helped" in page.text


async def test_a_customer_is_written_to_which_body_looks_at_the_case_and_how_to_reach_it(
    aboard: Aboard,
):
    name = await english(aboard)
    await do(aboard, name, "refer", body="transport-complaints-board")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.REFERRED] == ["sent"]
    body = demo_policy().bodies["transport-complaints-board"]
    assert last(aboard).subject.startswith(body.title[Language.EN])
    assert body.pages[Language.EN] in last(aboard).body
    async with aboard.http("complaints", "") as customer:
        page = await customer.get(link_in(last(aboard), "m"))
    assert body.title[Language.EN] in page.text


async def test_a_second_chance_says_who_has_it_as_it_is(aboard: Aboard):
    """With who has it already; nobody is named where nobody took it on."""
    name = await english(aboard)
    await do(aboard, name, "claim", "e-jonas")
    await do(aboard, name, "handover", "e-jonas", colleague_id="e-ingrid")
    await do(aboard, name, "accept", "e-ingrid")
    await aboard.give(name, "cinema", "k1", "e-ingrid")
    await settled(aboard)
    await answers(aboard, last(aboard), "no")
    assert "and the same person still has it" in flat(last(aboard))
    assert "open again" not in flat(last(aboard)), "it was never closed"
    assert "all along" not in flat(last(aboard))


# ---- reminders -----------------------------------------------------------------------------------


async def test_whoever_did_not_say_whether_it_helped_is_asked_once_more(tmp_path: Path):
    aboard = await reminding(tmp_path)
    name = await english(aboard)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    link = link_in(last(aboard), "f")
    aboard.later(days=2, seconds=-1)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.FEEDBACK_ASKED] == ["queued"]
    aboard.later(seconds=1)
    await settled(aboard)
    assert link_in(last(aboard), "f") == link
    aboard.later(days=2)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.FEEDBACK_ASKED] == ["sent"]


async def test_it_is_asked_once_more_what_came_of_what_was_done(tmp_path: Path):
    aboard = await reminding(tmp_path)
    name = await english(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    aboard.later(days=2)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.FEEDBACK_ASKED] == ["sent"]
    assert "/m/" in last(aboard).body


@pytest.mark.parametrize("how", ["yes", "no", "withdraw", "another", "resolve", "void", "erased"])
async def test_nobody_is_reminded_who_answered_or_of_what_something_came_after(
    tmp_path: Path, how: str
):
    aboard = await reminding(tmp_path)
    name = await english(aboard)
    given = (await aboard.give(name, "cinema", "k1")).json()
    await settled(aboard)
    aboard.later(hours=1)
    wanted: list[str] = [Reason.NO_LONGER_TRUE]
    match how:
        case "yes" | "no":
            await answers(aboard, last(aboard), how)
        case "withdraw":
            await do(aboard, name, "withdraw")
        case "another":
            more = await aboard.give(name, "cinema", "k2", again=True)
            assert more.status_code == 201
            wanted.append("sent")
        case "resolve":
            await do(aboard, name, "resolve", outcome="fixed")
            wanted.append("sent")
        case "void":
            voided = await aboard.post(f"checks/{given['check_id']}/void", "k2")
            assert voided.status_code == 200, voided.text
        case "erased":
            (ref,) = {
                fact["customer_ref"]
                for fact in await aboard.facts("notifier")
                if "queued" in fact["type"]
            }
            await erase(aboard, ref)
            wanted = [Reason.CUSTOMER_ERASED]
    await settled(aboard)
    aboard.later(days=2)
    await settled(aboard)
    assert sorted((await fates(aboard))[Occasion.FEEDBACK_ASKED]) == sorted(wanted)


@pytest.mark.parametrize("how", ["whole", "used", "void"])
async def test_a_check_is_remembered_before_it_ends_if_something_is_left_on_it(
    tmp_path: Path, how: str
):
    aboard = await reminding(tmp_path)
    given = (await aboard.give(await english(aboard), "dinner-for-two", "k1")).json()
    await settled(aboard)
    aboard.later(hours=1)
    if how == "used":
        used = await redeem(aboard, given["code"], "k2", capture=True)
        assert used.status_code == 200, used.text
    if how == "void":
        await aboard.post(f"checks/{given['check_id']}/void", "k2")
    aboard.clock.advance(
        datetime.fromisoformat(given["valid_until"]) - timedelta(days=2) - aboard.clock()
    )
    await settled(aboard)
    sent = how == "whole"
    fate = "sent" if sent else Reason.NO_LONGER_TRUE
    assert (await fates(aboard))[Occasion.CHECK_EXPIRING] == [fate]
    told = [one for one in aboard.postbox.letters if one.subject.startswith("Still yours")]
    assert [given["code"] in one.body for one in told] == [True] * sent


async def void(aboard: Aboard, given: Any) -> int:
    answer = await aboard.post(f"checks/{given['check_id']}/void", "void")
    await settled(aboard)
    return answer.status_code


async def test_whoever_was_told_of_a_check_is_told_that_it_was_taken_back(aboard: Aboard):
    """Whoever stands at a till with it must not hear it from the till."""
    given = (await aboard.give(await english(aboard), "dinner-for-two", "k1")).json()
    await settled(aboard)
    assert given["code"] in last(aboard).body
    assert await void(aboard, given) == 200
    assert (await fates(aboard))[Occasion.CHECK_WITHDRAWN] == ["sent"]
    assert last(aboard).subject == "We have had to take this back: Dinner for two"
    for told in ("given by mistake", "can no longer be used", "ours, not yours"):
        assert told in flat(last(aboard))
    assert given["code"] not in last(aboard).body
    assert "already stays yours" not in flat(last(aboard))
    async with aboard.http("complaints", "") as customer:
        assert (await customer.get(link_in(last(aboard), "m"))).status_code == 200


async def test_what_was_used_of_a_check_that_is_taken_back_stays_the_customers(aboard: Aboard):
    given = (await aboard.give(await english(aboard), "onboard-credit/50000", "k1")).json()
    await settled(aboard)
    used = await redeem(aboard, given["code"], "k2", 100_00, capture=True)
    assert used.status_code == 200, used.text
    assert await void(aboard, given) == 200
    assert "What you have used of it already stays yours." in flat(last(aboard))


async def test_whoever_was_not_told_of_a_check_is_not_told_that_it_was_taken_back(aboard: Aboard):
    given = (await aboard.give(await english(aboard), "dinner-for-two", "k1")).json()
    assert await void(aboard, given) == 200
    found = await fates(aboard)
    assert found[Occasion.CHECK_GIVEN] == [Reason.CHECK_ENDED]
    assert found[Occasion.CHECK_WITHDRAWN] == [Reason.NO_LONGER_TRUE]
    assert "Dinner" not in flat(last(aboard))


async def test_an_apology_that_is_taken_back_is_no_letter(aboard: Aboard):
    given = (await aboard.give(await english(aboard), "sincere-words", "k1")).json()
    await settled(aboard)
    await void(aboard, given)
    assert Occasion.CHECK_WITHDRAWN not in await fates(aboard)


async def test_of_a_check_that_was_used_no_letter_says_that_it_was_taken_back(aboard: Aboard):
    given = (await aboard.give(await english(aboard), "dinner-for-two", "k1")).json()
    await settled(aboard)
    assert (await redeem(aboard, given["code"], "k2", capture=True)).status_code == 200
    assert await void(aboard, given) == 409
    assert Occasion.CHECK_WITHDRAWN not in await fates(aboard)


async def test_an_erased_customer_is_not_told_that_a_check_was_taken_back(aboard: Aboard):
    given = (await aboard.give(await english(aboard), "dinner-for-two", "k1")).json()
    await settled(aboard)
    (ref,) = {
        fact["customer_ref"] for fact in await aboard.facts("notifier") if "queued" in fact["type"]
    }
    await erase(aboard, ref)
    await settled(aboard)
    await void(aboard, given)
    assert (await fates(aboard))[Occasion.CHECK_WITHDRAWN] == [Reason.CUSTOMER_ERASED]


def test_a_letter_may_have_arrived_unless_each_attempt_is_known_to_have_failed():
    def message(state: State, *failed_because: Reason | None) -> Message:
        attempts = tuple(
            Attempt(number, START, failed_because=why) for number, why in enumerate(failed_because)
        )
        return Message(
            complaint_id="co-1",
            customer_ref="cr-1",
            site="ms-aurora",
            occasion=Occasion.CHECK_GIVEN,
            language=Language.EN,
            about="ck-1",
            state=state,
            queued_at=START,
            attempts=attempts,
        )

    assert may_have_arrived(message(State.SENT, None))
    # Its fate was not known when the check was taken back.
    assert may_have_arrived(message(State.FAILED, Reason.CHECK_ENDED))
    assert may_have_arrived(message(State.FAILED, None, Reason.MAIL_UNAVAILABLE))
    assert not may_have_arrived(message(State.FAILED, Reason.NOT_DELIVERED))
    assert not may_have_arrived(message(State.QUEUED))


async def test_an_apology_does_not_end_and_is_not_remembered(tmp_path: Path):
    aboard = await reminding(tmp_path)
    await aboard.give(await english(aboard), "sincere-words", "k1")
    await settled(aboard)
    assert Occasion.CHECK_EXPIRING not in await fates(aboard)


async def test_a_site_that_says_nothing_of_reminders_sends_none(aboard: Aboard):
    await aboard.give(await english(aboard), "dinner-for-two", "k1")
    await settled(aboard)
    assert set(await fates(aboard)) == {Occasion.ACKNOWLEDGEMENT, Occasion.CHECK_GIVEN}


# ---- partly, and a line --------------------------------------------------------------------------


@pytest.mark.parametrize("helped", ["yes", "partly", "no"])
async def test_a_line_with_the_answer_is_read_by_who_has_the_complaint_and_is_sealed(
    aboard: Aboard, helped: str
):
    line = "The second soup was warm, the bread was not."
    name = await english(aboard)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    path = link_in(last(aboard), "f")
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(path)
        assert f'formaction="{path}/partly"' in page.text
        assert "script" not in page.text
        first = await customer.post(f"{path}/{helped}", data={"text": line})
        again = await customer.post(f"{path}/{helped}", data={"text": line})
    assert (first.status_code, again.json()) == (200, first.json())
    await settled(aboard)
    entries = (await seen(aboard, f"/{name}/timeline"))["entries"]
    told = [one for one in entries if one["what"] == "feedback"]
    assert [(one["helped"], one["text"]) for one in told] == [(helped, line)]
    for store in aboard.stores.values():
        assert "second soup" not in repr(store.kept)


async def test_partly_is_no_end_who_has_it_goes_on_and_the_customer_hears_by_when(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "claim", "e-jonas")
    await aboard.give(name, "cinema", "k1", "e-jonas")
    await settled(aboard)
    check = last(aboard)
    await answers(aboard, check, "partly")
    assert (await fates(aboard))[Occasion.REOPENED] == ["sent"]
    found = await seen(aboard, f"/{name}")
    assert (found["state"], found["round"]) == ("reopened", 1)
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(link_in(check, "f"))
    assert "You will hear from us by" in page.text


async def test_the_page_of_a_check_says_by_when_also_where_another_complaint_goes_on(
    aboard: Aboard,
):
    """It promises with the one that goes on, and does not ask for ever to look again."""
    name, head = await english(aboard), await english(aboard, 1)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    check = last(aboard)
    assert (await do(aboard, name, "merge", into=head)).status_code == 200
    await settled(aboard)
    await answers(aboard, check, "no")
    assert (await seen(aboard, f"/{head}"))["round"] == 1
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(link_in(check, "f"))
    assert "You will hear from us by" in page.text


async def test_a_line_that_speaks_of_danger_is_heard(aboard: Aboard):
    name = await english(aboard)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    async with aboard.http("notifier", "") as customer:
        data = {"text": "And my daughter was taken to the hospital."}
        await customer.post(f"{link_in(last(aboard), 'f')}/partly", data=data)
    await settled(aboard)
    assert "safety.found" in await aboard.types("complaints")
    assert "safety.routed" in await aboard.types("notifier")


async def test_a_line_that_is_too_long_is_refused_and_nothing_is_answered(aboard: Aboard):
    name = await english(aboard)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    async with aboard.http("notifier", "") as customer:
        path = f"{link_in(last(aboard), 'f')}/no"
        assert (await customer.post(path, data={"text": "a" * 501})).status_code == 422
    assert "feedback.received" not in await aboard.types("notifier")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("withdraw", "One of us wrote down that you took back"),
        ("unfounded", "as a message and not as a complaint"),
    ],
)
async def test_whose_complaint_an_employee_ended_is_written_to_with_why(
    aboard: Aboard, how: str, said: str
):
    name = await english(aboard)
    await do(aboard, name, how)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.CLOSED] == ["sent"]
    assert said in flat(last(aboard))
    assert "/m/" in last(aboard).body


async def test_who_took_a_complaint_back_on_their_page_is_not_written_to(aboard: Aboard):
    await english(aboard)
    async with aboard.http("complaints", "") as customer:
        answer = await customer.post(f"{link_in(last(aboard), 'm')}/withdraw")
    assert answer.status_code == 200
    await settled(aboard)
    assert Occasion.CLOSED not in await fates(aboard)


# ---- asked again ---------------------------------------------------------------------------------


async def test_after_every_close_the_customer_is_asked_whether_it_helped(aboard: Aboard):
    """Not only after the first one: a case that was opened again and closed again is asked about again."""
    name = await english(aboard)
    for round_ in range(3):
        await do(aboard, name, "resolve", outcome="fixed", note=f"{round_}. {NOTE}")
        await settled(aboard)
        letter = last(aboard)
        assert f"{round_}. {NOTE}" in flat(letter)
        assert "Did it help?" in flat(letter)
        link = link_in(letter, "m")
        async with aboard.http("complaints", "") as customer:
            told = {"action": "no", "text": "Not yet.", "once": f"no-{round_}"}
            answer = await customer.post(f"{link}/helped", data=told)
        assert answer.status_code == 200, answer.text
        aboard.later(minutes=5)
        await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"] * 3
