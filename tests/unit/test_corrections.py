"""What employees put right becomes rows that a model learns from, and no more than that."""

from __future__ import annotations

import json
from pathlib import Path

from services.complaints.triage import history
from services.complaints.triage.corrections import (
    ROWS,
    SAFETY,
    SCORE_ONLY,
    UNREADABLE,
    UNSUPPORTED,
    corrections,
)
from services.complaints.triage.history import Example
from shared.contracts.complaints import Language
from shared.runtime.privacy.keys import Keys
from tests.suites.services import SITE, Aboard
from tests.unit.test_asking import asked, of_type, send
from tests.unit.test_erasure import erase, ref_of
from tests.unit.test_lifecycle import do
from tests.unit.test_words_end import KEPT, time_passes, until_over


async def put_right(aboard: Aboard, site: str = SITE) -> tuple[list[str], dict[str, int]]:
    """The lines of a site, and what the command counts."""
    parts, lines = aboard.apps["complaints"].parts, list[str]()
    counts = await corrections(site, parts.settler.view, Keys(parts.vault), lines.append)
    return lines, dict(counts)


async def test_what_an_employee_put_right_is_a_row_that_training_reads(
    aboard: Aboard, tmp_path: Path
):
    name = await aboard.raise_complaint(text="Suppen var kald.", language="nb")
    await do(aboard, name, "correct", category="noise")
    aboard.later(minutes=1)
    later = await aboard.raise_complaint(1, text="The soup was a bit salty.")
    await do(aboard, later, "correct", severity="moderate")
    lines, counts = await put_right(aboard)
    assert counts == {ROWS: 2}
    assert json.loads(lines[0])["severity"] == "moderate", "the latest first"
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = history.read(path)
    assert not found.refused
    _, first = found.examples
    assert isinstance(first, Example)
    assert (first.text, first.language) == ("Suppen var kald.", Language.NB)
    assert first.labels["category"] == "noise"
    assert json.loads(lines[1])["customer"] == await ref_of(aboard, name)


async def test_a_complaint_that_was_understood_is_no_row(aboard: Aboard):
    await aboard.raise_complaint(text="The soup was cold.")
    same = await aboard.raise_complaint(1, text="The soup was salty.")
    await do(aboard, same, "correct", category="food", flags_added=["vulnerable"])
    assert await put_right(aboard) == ([], {})


async def test_a_row_is_of_its_own_site(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    await do(aboard, name, "correct", category="noise")
    assert await put_right(aboard, "ms-borealis") == ([], {})


async def test_no_word_about_somebodys_safety_leaves_the_store(aboard: Aboard):
    name = await aboard.raise_complaint(text="My son is allergic to nuts and cannot breathe.")
    await do(aboard, name, "correct", category="food", severity="mild")
    assert await put_right(aboard) == ([], {SAFETY: 1})


async def test_words_in_a_language_that_is_not_read_are_no_row_of_english(aboard: Aboard):
    name = await aboard.raise_complaint(text="Das Zimmer war schmutzig, und niemand hat geholfen.")
    await do(aboard, name, "correct", category="cleanliness")
    assert await put_right(aboard) == ([], {UNSUPPORTED: 1})


async def test_a_question_of_ours_that_was_answered_by_a_score_is_no_row(aboard: Aboard):
    await send(aboard, await asked(aboard, language="en"), experience="1")
    (name,) = [one["complaint_id"] for one in await of_type(aboard, "complaint.received")]
    await do(aboard, name, "correct", category="noise")
    assert await put_right(aboard) == ([], {SCORE_ONLY: 1})


async def test_no_word_of_an_erased_customer_leaves_the_store(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    await do(aboard, name, "correct", category="noise")
    await erase(aboard, await ref_of(aboard, name))
    assert await put_right(aboard) == ([], {})


async def test_words_whose_time_is_over_are_counted_and_not_written(aboard: Aboard):
    name = await aboard.raise_complaint(text="The soup was a bit salty.")
    await do(aboard, name, "correct", category="noise")
    await time_passes(aboard, until_over(aboard, KEPT))
    assert await put_right(aboard) == ([], {UNREADABLE: 1})
