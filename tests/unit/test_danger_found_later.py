"""Danger that is spoken of only later reaches those who must know, as if the first words had said it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.complaints.lifecycle import moves
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import (
    Category,
    ComplaintCorrected,
    Language,
    SafetyFound,
    Severity,
    reference_of,
)
from shared.runtime.words import say
from shared.testing.clock import START
from tests.suites.services import Aboard, demo_policy
from tests.unit.test_alarms import told
from tests.unit.test_asking import asked, page, send
from tests.unit.test_erasure import document
from tests.unit.test_lifecycle import STANDING, do, names, seen
from tests.unit.test_matters import complains, merges
from tests.unit.test_occasions import flat, settled
from tests.unit.test_selfservice import link_of, opened, sent
from tests.unit.test_timeline import entries

DANGER = "Now my child has an allergic reaction and cannot breathe."
SAFETY = ("severe", True)


async def marked(aboard: Aboard, name: str) -> tuple[str, bool]:
    """How bad the complaint is, and whether somebody's safety is concerned."""
    (row,) = [
        one
        for one in (await seen(aboard, ""))["complaints"]
        if one["complaint_id"] == name
    ]  # fmt: skip
    return row["severity"], row["safety"]


async def reached(aboard: Aboard) -> list[Any]:
    """The letters to the duty officer, and that they say nothing of the words."""
    await aboard.carry()
    letters = await told(aboard)
    assert not [letter for letter in letters if "allergic" in letter.body]
    return letters


async def by_link(aboard: Aboard, name: str, path: str) -> None:
    assert name
    assert (await sent(aboard, f"{path}/words", text=DANGER)).status_code == 303


async def answered_by_link(aboard: Aboard, name: str, path: str) -> None:
    await do(aboard, name, "ask", question="How is it now?")
    await by_link(aboard, name, path)


async def written_down(aboard: Aboard, name: str, path: str) -> None:
    assert path
    await do(aboard, name, "ask", question="How is it now?")
    assert (await do(aboard, name, "answer", answer=DANGER)).status_code == 200


async def corrected(aboard: Aboard, name: str, path: str) -> None:
    assert path
    assert (await do(aboard, name, "correct", category="safety")).status_code == 200


def at(aboard: Aboard, **later: float) -> str:
    """A moment from now, as answers have it."""
    return f"{aboard.clock() + timedelta(**later):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("speak", [by_link, answered_by_link, written_down, corrected])
async def test_danger_that_is_spoken_of_later_is_first_in_the_list_and_told_once(
    aboard: Aboard, speak: Any
):
    name, path = await link_of(aboard)
    await aboard.raise_complaint(1, text="The soup was cold, and it stank awfully. Horrible!")
    before = await seen(aboard, f"/{name}")
    assert await reached(aboard) == []
    await speak(aboard, name, path)
    (letter,) = await reached(aboard)
    assert reference_of(name) in letter.body
    assert await marked(aboard, name) == SAFETY
    assert (await names(aboard, "open"))[0] == name
    assert document(aboard, "compensation", f"case:{name}")["safety"] is True
    after = await seen(aboard, f"/{name}")
    assert after["promised_by"] == at(aboard, minutes=5), "as the playbook for safety promises"
    assert after["promised_by"] < before["promised_by"]
    assert after["promise_id"] == before["promise_id"]
    await by_link(aboard, name, path)
    assert len(await reached(aboard)) == 1
    facts = await aboard.facts("complaints")
    assert [one["type"] for one in facts].count(SafetyFound.TYPE) == 1


@pytest.mark.parametrize(
    ("later", "is_danger"),
    [
        ("The guests next door were drunk and it ended with fists in our corridor.", True),
        ("Nobody was hurt when the shelf came down, but we were in the cabin with it.", False),
        ("Det luktar eld från hytten här intill, och vi vet inte varför.", True),
        ("Fists.", False),
    ],
)
async def test_later_words_that_are_plainly_in_another_language_are_read_in_it(
    aboard: Aboard, later: str, is_danger: bool
):
    name, path = await link_of(aboard, language="nb")
    assert (await sent(aboard, f"{path}/words", text=later)).status_code == 303
    assert (await marked(aboard, name) == SAFETY) is is_danger


@pytest.mark.parametrize(
    ("speak", "flags"),
    [(by_link, ["allergy", "child"]), (written_down, ["allergy", "child"]), (corrected, [])],
)
async def test_what_later_words_speak_of_is_told_to_who_must_know_and_shown(
    aboard: Aboard, speak: Any, flags: list[str]
):
    name, path = await link_of(aboard)
    await speak(aboard, name, path)
    (letter,) = await reached(aboard)
    told_of = {
        flag: say(Language.NB, f"safety.{flag}") in letter.body for flag in ("allergy", "child")
    }
    assert [flag for flag, told in told_of.items() if told] == flags
    assert (await seen(aboard, f"/{name}"))["flags"] == flags
    (found,) = [one for one in await aboard.facts("complaints") if one["type"] == SafetyFound.TYPE]
    assert found["flags"] == flags


async def test_a_flag_of_danger_that_an_employee_adds_is_told_to_who_must_know(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    assert await reached(aboard) == []
    assert (await do(aboard, name, "correct", flags_added=["child", "allergy"])).status_code == 200
    (letter,) = await reached(aboard)
    assert say(Language.NB, "safety.allergy") in letter.body
    assert await marked(aboard, name) == SAFETY
    shown = await seen(aboard, f"/{name}")
    assert (shown["flags"], shown["promised_by"]) == (["allergy", "child"], at(aboard, minutes=5))
    found, put_right = (await aboard.facts("complaints"))[-2:]
    assert found["flags"] == put_right["flags_added"] == ["allergy", "child"]


async def test_a_flag_that_is_removed_takes_back_neither_danger_nor_its_promise(aboard: Aboard):
    name = await aboard.raise_complaint(text="My son is allergic to nuts and cannot breathe.")
    (letter,) = await reached(aboard)
    before = await seen(aboard, f"/{name}")
    assert "allergy" in before["flags"]
    removed = [*before["flags"], "legal"]
    aboard.later(minutes=1)
    assert (await do(aboard, name, "correct", flags_removed=removed)).status_code == 200
    after = await seen(aboard, f"/{name}")
    assert after == {**before, "flags": []}
    assert await reached(aboard) == [letter]
    put_right = (await aboard.facts("complaints"))[-1]
    assert put_right["flags_removed"] == before["flags"], "what it did not have is not removed"
    assert "promised_by" not in put_right


async def test_a_flag_that_is_no_danger_changes_nothing_else(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    before = await seen(aboard, f"/{name}")
    await do(aboard, name, "correct", flags_added=["vulnerable", "vulnerable"])
    assert await seen(aboard, f"/{name}") == {**before, "flags": ["vulnerable"]}
    assert await reached(aboard) == []


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"flags_added": []},
        {"flags_added": ["child"], "flags_removed": ["child"]},
        {"flags_added": ["hungry"]},
    ],
)
async def test_a_correction_names_something_and_no_flag_twice(
    aboard: Aboard, command: dict[str, list[str]]
):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    assert (await do(aboard, name, "correct", **command)).status_code == 422


async def test_a_promise_that_is_sooner_rings_at_its_new_time_and_once(aboard: Aboard):
    name, path = await link_of(aboard)
    await by_link(aboard, name, path)
    aboard.later(minutes=5)
    for _ in range(2):
        await aboard.ring("complaints")
        found = [one for one in await aboard.facts("complaints") if "overdue_at" in one]
        assert [one["promised_by"] for one in found] == [at(aboard)]
    aboard.later(hours=30)
    await aboard.ring("complaints")
    assert (await aboard.types("complaints")).count("complaint.overdue") == 1


@pytest.mark.parametrize(
    ("text", "command", "minutes"),
    [
        ("The soup was a bit salty.", {"severity": "moderate"}, 60),
        ("The soup was a bit salty.", {"category": "noise", "severity": "severe"}, 30),
        ("The soup was a bit salty.", {"category": "other"}, None),
        ("The soup was cold.", {"severity": "mild"}, None),
    ],
)
async def test_a_correction_makes_a_promise_sooner_and_never_later(
    aboard: Aboard, text: str, command: dict[str, str], minutes: int | None
):
    name = await aboard.raise_complaint(text=text)
    aboard.later(minutes=7)
    before = (await seen(aboard, f"/{name}"))["promised_by"]
    assert (await do(aboard, name, "correct", **command)).status_code == 200
    after = await seen(aboard, f"/{name}")
    assert after["promised_by"] == (before if minutes is None else at(aboard, minutes=minutes))
    (told,) = [one for one in await entries(aboard, name) if one["what"] == "corrected"]
    assert told.get("promised_by") == (None if minutes is None else after["promised_by"])


async def test_a_promise_that_waits_is_sooner_once_its_customer_has_answered(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    await do(aboard, name, "ask", question="Which soup?")
    await do(aboard, name, "correct", severity="severe")
    aboard.later(hours=3)
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")
    await do(aboard, name, "answer", answer="The fish soup.")
    assert (await seen(aboard, f"/{name}"))["promised_by"] == at(aboard, minutes=15)


@pytest.mark.parametrize("answer", ["no", "yes"])
async def test_an_answer_that_speaks_of_danger_is_promised_what_danger_is(
    aboard: Aboard, answer: str
):
    name, path = await link_of(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await aboard.carry()
    await sent(aboard, f"{path}/helped", action=answer, text=DANGER)
    shown = await seen(aboard, f"/{name}")
    assert (shown["state"], shown["severity"]) == ("reopened", "severe")
    assert shown["promised_by"] == at(aboard, minutes=5)


async def test_a_yes_on_the_checks_page_that_speaks_of_danger_leaves_something_to_do(
    aboard: Aboard,
):
    name, _ = await link_of(aboard)
    link = (await aboard.give(name, "dinner-for-two", "k")).json()["link"]
    await do(aboard, name, "resolve", outcome="fixed")
    await aboard.carry()
    async with aboard.http("notifier", "") as phone:
        answer = await phone.post(f"/f/{link.rpartition('/')[2]}/yes", data={"text": DANGER})
    assert answer.status_code in (200, 303)
    await aboard.carry()
    shown = await seen(aboard, f"/{name}")
    assert (shown["state"], shown["severity"]) == ("reopened", "severe")


async def test_danger_found_while_merged_makes_both_promises_sooner(aboard: Aboard):
    first = await complains(aboard, who="a")
    second, path = await link_of(aboard)
    await merges(aboard, second, first)
    await by_link(aboard, second, path)
    assert (await seen(aboard, f"/{first}"))["promised_by"] == at(aboard, minutes=5)
    await do(aboard, second, "split")
    found = [(await seen(aboard, f"/{one}"))["promised_by"] for one in (first, second)]
    assert found == [at(aboard, minutes=5)] * 2


async def test_later_words_without_danger_change_nothing(aboard: Aboard):
    name, path = await link_of(aboard)
    before = await marked(aboard, name)
    await sent(aboard, f"{path}/words", text="The wine was warm, and the fire pit was lovely.")
    assert await marked(aboard, name) == before
    assert await reached(aboard) == []


async def test_a_merge_or_a_split_does_not_hide_danger_that_is_spoken_of_later(aboard: Aboard):
    first = await complains(aboard, who="a")
    second, path = await link_of(aboard)
    await merges(aboard, second, first)
    await by_link(aboard, second, path)
    letters = await reached(aboard)
    assert len(letters) == 2
    assert await marked(aboard, first) == SAFETY
    await do(aboard, second, "split")
    assert await marked(aboard, second) == SAFETY


@pytest.mark.parametrize("severity", [None, Severity.MILD])
def test_who_corrects_to_safety_may_say_how_bad_it_is(severity: Severity | None):
    facts = moves.correct(STANDING, "co-1", "e-1", Category.SAFETY, severity, demo_policy(), START)
    assert not isinstance(facts, moves.No)
    found, put_right = facts
    assert isinstance(found, SafetyFound)
    assert isinstance(put_right, ComplaintCorrected)
    assert put_right.severity == (severity or Severity.SEVERE)


def test_a_complaint_about_safety_is_found_to_be_so_once():
    known: Complaint = STANDING.model_copy(update={"safety": True})
    assert moves.find_danger(known, "co-1", demo_policy(), START) == ()


async def test_the_words_for_danger_stay_whatever_the_complaint_is_said_to_be_about(aboard: Aboard):
    name = await aboard.raise_complaint(text="My son is allergic to nuts and cannot breathe.")
    before = await seen(aboard, f"/{name}/playbook")
    assert (await do(aboard, name, "correct", category="food", severity="mild")).status_code == 200
    after = await seen(aboard, f"/{name}/playbook")
    assert (after["say"], after["channel"]) == (before["say"], before["channel"])
    assert after["fixes"][: len(before["fixes"])] == before["fixes"]
    plain = await aboard.raise_complaint(1, text="The soup was cold.")
    assert (await seen(aboard, f"/{plain}/playbook"))["say"] != before["say"]


# ---- what the customer is told -------------------------------------------------------------------

NEAREST = "letter.acknowledgement.help"


def letters_of(aboard: Aboard) -> list[str]:
    return [flat(one) for one in aboard.postbox.letters if one.recipient == "kari@example.org"]


@pytest.mark.parametrize("language", list(Language))
async def test_who_writes_of_danger_on_their_page_is_told_at_once_to_turn_to_the_nearest(
    aboard: Aboard, language: Language
):
    name, path = await link_of(aboard, language=language)
    assert say(language, NEAREST) not in (await opened(aboard, path)).text
    await by_link(aboard, name, path)
    assert say(language, NEAREST) in (await opened(aboard, path)).text
    await do(aboard, name, "withdraw")
    assert say(language, NEAREST) not in (await opened(aboard, path)).text, "it is over"


async def test_a_no_that_speaks_of_danger_is_answered_so_by_the_page_and_the_letter(aboard: Aboard):
    name, path = await link_of(aboard, language=Language.EN)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    await sent(aboard, f"{path}/helped", action="no", text=DANGER)
    nearest = say(Language.EN, NEAREST)
    assert nearest in (await opened(aboard, path)).text
    assert not any(nearest in one for one in letters_of(aboard))
    await settled(aboard)
    assert nearest in letters_of(aboard)[-1]


@pytest.mark.parametrize("helped", ["no", "partly"])
async def test_a_line_on_the_checks_page_is_answered_so_before_it_is_read_and_while_it_is_true(
    aboard: Aboard, helped: str
):
    name, _ = await link_of(aboard, language=Language.EN)
    link = (await aboard.give(name, "dinner-for-two", "k")).json()["link"]
    await aboard.carry()
    path, html = f"/f/{link.rpartition('/')[2]}", {"Accept": "text/html"}
    nearest = say(Language.EN, NEAREST)
    async with aboard.http("notifier", "") as phone:
        assert nearest not in (await phone.get(path, headers=html)).text
        answer = await phone.post(f"{path}/{helped}", data={"text": DANGER}, headers=html)
        assert nearest in (await phone.get(answer.headers["location"], headers=html)).text
        await settled(aboard)
        assert nearest in (await phone.get(path, headers=html)).text
    assert nearest in letters_of(aboard)[-1]


@pytest.mark.parametrize(("text", "danger"), [(DANGER, True), ("The soup was cold.", False)])
async def test_who_answers_a_question_with_danger_is_told_to_turn_to_the_nearest(
    aboard: Aboard, text: str, danger: bool
):
    path = await asked(aboard)
    await send(aboard, path, experience="1", text=text)
    assert (say(Language.EN, NEAREST) in (await page(aboard, path)).text) is danger


async def test_danger_in_an_answer_that_is_not_received_is_answered_so_as_well(aboard: Aboard):
    path = await asked(aboard)
    await send(aboard, path, experience="5")
    for text, danger in ((DANGER, True), ("The soup was cold.", False)):
        other = await send(aboard, path, experience="1", text=text)
        assert other.status_code == 409
        assert (say(Language.EN, NEAREST) in other.text) is danger
