"""Rows of an operator's history: which are taken, which are refused and why, and how they are split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.complaints.triage import history
from services.complaints.triage.commands import app
from services.complaints.triage.history import NoHistory, read, split
from services.complaints.triage.quality import Quality, quality, said_by
from services.complaints.triage.rules import Understood
from shared.contracts.complaints import Category, Intent, Language, Severity
from shared.contracts.intake import TEXT_MAX
from tests.unit.test_triage_model import TINY

pytestmark = pytest.mark.unit

GOOD = {"text": "My bag is lost", "language": "en", "category": "baggage.lost"}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def word(number: int) -> str:
    """A word of its own for each number; digits would all be the same."""
    return f"{number:08b}".translate({48: "a", 49: "b"})


def test_a_row_has_a_text_a_language_and_labels(tmp_path):
    rows = [
        {**GOOD, "intent": "complaint", "customer": "c-1"},
        {"text": "Takk", "language": "nn", "intent": "praise"},
    ]
    found = read(written(tmp_path, *rows))
    assert found.refused == {}
    first, second = found.examples
    assert first.labels == {"category": "baggage.lost", "intent": "complaint"}
    assert (second.language, second.labels) == (Language.NB, {"intent": "praise"})


def test_csv_is_read_by_its_head_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('other,text,language,severity\n1,"Cold, and late",en,mild\n', encoding="utf-8")
    (example,) = read(path).examples
    assert (example.text, example.labels) == ("Cold, and late", {"severity": "mild"})


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("not json", "is not an object"),
        ("[1]", "is not an object"),
        ("[" * 100_000, "is not an object"),
        ({**GOOD, "text": " "}, "has no text"),
        ({**GOOD, "text": 5}, "has no text"),
        ({**GOOD, "text": "x" * (TEXT_MAX + 1)}, f"has more than {TEXT_MAX} characters"),
        ({**GOOD, "language": "de"}, "has no language of ours"),
        ({"text": "a", "language": "en"}, "has no label"),
        ({**GOOD, "category": "weather"}, "has an unknown category"),
        ({**GOOD, "intent": "angry"}, "has an unknown intent"),
        ({**GOOD, "severity": "9"}, "has an unknown severity"),
        ({**GOOD, "category": "safety"}, "is about safety, which is not learnt"),
        ({**GOOD, "text": "my  BAG is lost"}, "is a copy of an earlier row"),
    ],
)
def test_a_bad_row_is_counted_with_what_is_wrong_and_the_others_are_read(tmp_path, row, why):
    found = read(written(tmp_path, GOOD, row, {**GOOD, "text": "My other bag"}))
    assert len(found.examples) == 2
    assert set(found.refused) == {why}


def test_no_more_rows_are_kept_than_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "ROWS_MAX", 1)
    found = read(written(tmp_path, GOOD, {**GOOD, "text": "second"}))
    assert len(found.examples) == 1
    assert found.refused == {"comes after 1 rows": 1}


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text\n\xff\xfe")
    with pytest.raises(NoHistory, match="UTF-8"):
        read(path)
    with pytest.raises(NoHistory, match="cannot be read"):
        read(tmp_path / "nowhere.csv")


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_rows(tmp_path):
    found = read(written(tmp_path, *({**GOOD, "text": f"bag {word(n)}"} for n in range(200))))
    train, held = split(found.examples, 1, 0.25)
    assert split(found.examples[::-1], 1, 0.25)[1] == held[::-1]
    assert split(found.examples, 2, 0.25)[1] != held
    assert 25 < len(held) < 75
    assert len(train) + len(held) == 200


def test_all_rows_of_a_customer_are_on_one_side(tmp_path):
    rows = ({**GOOD, "text": f"bag {word(n)}", "customer": f"c-{n % 10}"} for n in range(100))
    train, held = split(read(written(tmp_path, *rows)).examples, 1, 0.5)
    assert {one.customer for one in train}.isdisjoint(one.customer for one in held)
    assert train and held


# Quality ------------------------------------------------------------------------------------------


def test_accuracy_is_the_share_that_is_right_and_macro_f1_the_mean_over_labels():
    # a: precision 2/3, recall 1, F1 0.8; b: precision 1, recall 1/2, F1 2/3.
    assert quality(list("aabb"), list("aaab")) == pytest.approx(Quality(4, 0.75, (0.8 + 2 / 3) / 2))
    assert quality([], []) == Quality(0, 0.0, 0.0)


def test_what_is_understood_is_compared_as_one_of_the_labels():
    found = Understood(Category.BAGGAGE, Severity.MILD, safety=False, subcategory="lost")
    assert said_by(found, "category", ["baggage.lost", "food"]) == "baggage.lost"
    assert said_by(found, "category", ["baggage", "food"]) == "baggage"
    praise = found._replace(intent=Intent.PRAISE)
    assert said_by(praise, "intent", ["complaint", "none"]) == "none"
    assert said_by(praise, "intent", ["complaint", "praise"]) == "praise"
    assert said_by(praise, "severity", ["mild", "severe"]) == "mild"


# Commands -----------------------------------------------------------------------------------------


def said(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "160"})
    assert done.exit_code == status, done.output
    return done.output


def test_explain_prints_the_words_that_decided_and_not_the_text(tmp_path):
    text = "They lost bag number two, says Kari Canary"
    rows = written(tmp_path, {"text": text, "language": "en"})
    printed = said("explain", rows, "--model", TINY)
    assert "model: category baggage.lost, confidence 0.9" in printed
    assert "for it: lost bag +4.24, bag +2.83" in printed
    assert "1 of 1 texts are explained." in printed
    assert "Canary" not in printed


def test_explain_without_a_model_gives_the_rules_reasons(tmp_path):
    printed = said("explain", written(tmp_path, {"text": "The soup was cold", "language": "en"}))
    assert "food.general (0.50): soup-" in printed
    assert "model: " not in printed


def test_explain_detects_the_language_of_a_row_that_gives_none_and_shows_it(tmp_path):
    rows = [
        {"text": "Soppan var kall och ingen kom"},
        {"text": "The soup was cold", "language": ""},
        {"text": "The soup was warm", "language": "en"},
        {"text": "Die Suppe war kalt", "language": "de"},
    ]
    printed = said("explain", written(tmp_path, *rows))
    shown = [line for line in printed.splitlines() if line.startswith("text ")]
    unread = "en (its own language is not read here)"
    assert shown == [
        "text 1, sv (detected)",
        "text 2, en (detected)",
        "text 3, en",
        f"text 4, {unread}",
    ]


def test_evaluate_measures_a_model_on_rows_that_it_was_not_trained_on(tmp_path):
    rows = written(tmp_path, *({**GOOD, "text": f"lost bag {word(n)}"} for n in range(100)))
    held = len(split(read(rows).examples, 1, 0.2)[1])
    printed = said("evaluate", rows, "--model", TINY)
    assert f"was measured on {held} of 100 rows, those that were kept from its training." in printed
    assert "1.000" in printed
    assert "was measured on 100 of 100 rows." in said(
        "evaluate", rows, "--model", TINY, "--every-row"
    )


def test_a_command_ends_with_a_sentence_where_its_input_cannot_be_used(tmp_path):
    rows, bad = written(tmp_path, GOOD), tmp_path / "bad.json"
    bad.write_text("{}", encoding="utf-8")
    assert "cannot be read" in said("explain", tmp_path / "nowhere.csv", status=1)
    assert "bad.json" in said("evaluate", rows, "--model", bad, status=1)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    assert "no row that can be used" in said("explain", empty, status=1)
