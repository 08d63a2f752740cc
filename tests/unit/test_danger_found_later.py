"""Danger that is spoken of only later reaches those who must know, as if the first words had said it."""

from __future__ import annotations

from typing import Any

import pytest

from services.complaints.lifecycle import moves
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import Category, ComplaintCorrected, SafetyFound, Severity
from shared.testing.clock import START
from tests.suites.services import Aboard
from tests.unit.test_alarms import told
from tests.unit.test_erasure import document
from tests.unit.test_lifecycle import STANDING, do, names, seen
from tests.unit.test_matters import complains, merges
from tests.unit.test_selfservice import link_of, sent

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
    assert name in letter.body
    assert await marked(aboard, name) == SAFETY
    assert (await names(aboard, "open"))[0] == name
    assert document(aboard, "compensation", f"case:{name}")["safety"] is True
    after = await seen(aboard, f"/{name}")
    assert after["promised_by"] == before["promised_by"]
    await by_link(aboard, name, path)
    assert len(await reached(aboard)) == 1
    facts = await aboard.facts("complaints")
    assert [one["type"] for one in facts].count(SafetyFound.TYPE) == 1


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
    facts = moves.correct(STANDING, "co-1", "e-1", Category.SAFETY, severity, START)
    assert not isinstance(facts, moves.No)
    found, put_right = facts
    assert isinstance(found, SafetyFound)
    assert isinstance(put_right, ComplaintCorrected)
    assert put_right.severity == (severity or Severity.SEVERE)


def test_a_complaint_about_safety_is_found_to_be_so_once():
    known: Complaint = STANDING.model_copy(update={"safety": True})
    assert moves.find_danger(known, "co-1", START) == ()
