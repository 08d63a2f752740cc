"""Training: the file says what scikit-learn says, nobody's name is in it, and it is better than the usual choice.

Skipped where scikit-learn is not installed: requirements-train.txt.
"""

from __future__ import annotations

import csv
import json
import random
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import triage_report
from services.complaints.triage import lexicon
from services.complaints.triage.commands import PEER, app
from services.complaints.triage.features import vocabulary
from services.complaints.triage.history import Example, split
from services.complaints.triage.model import FEATURES_MAX, Head, ModelFile, load, scores
from services.complaints.triage.quality import RULES, WITH_MODEL, look
from shared.contracts.complaints import Language
from tests.suites.services import triage

sklearn = pytest.importorskip("sklearn", reason="training needs requirements-train.txt")
training = pytest.importorskip("services.complaints.triage.training")

pytestmark = pytest.mark.unit

ABOUT = {
    "baggage.lost": "bag suitcase luggage lost missing carousel gone",
    "delay.late": "late delayed hours waiting runway gate departure",
    "staff.crew": "rude crew attendant attitude shouted ignored unfriendly",
}
FILLING = "the we our my was and then they so again today really flight with this very it at to"


def made(count: int, seed: int = 1) -> list[Example]:
    """Texts of words by chance, most of which are of what they are about; each customer has a name."""
    dice = random.Random(seed)
    found = []
    for number in range(count):
        label = dice.choice(sorted(ABOUT))
        other = dice.choice(sorted(ABOUT))
        words = [
            *dice.sample(ABOUT[label].split(), 2),
            dice.choice(ABOUT[other].split()),
            *dice.sample(FILLING.split(), 6),
            f"guest{''.join(dice.sample('abcdefghijklm', 6))}",
        ]
        dice.shuffle(words)
        labels = {"category": label, "intent": "complaint" if number % 3 else "praise"}
        found.append(Example(" ".join(words), Language.EN, labels, number))
    return found


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return made(1_200)


TOLD: list[str] = []


@pytest.fixture(scope="module")
def trained(examples: list[Example]) -> ModelFile:
    model: ModelFile = training.train(
        examples,
        triage().understand,
        seed=1,
        held_share=0.2,
        history="Made by chance.",
        today=date(2026, 11, 30),
        tell=TOLD.append,
    )
    return model


def test_the_file_scores_a_thousand_texts_as_scikit_learn_does(examples, monkeypatch):
    """What scikit-learn's models say of a matrix is what the service says of the words."""
    fitted = []

    class Watched(training.LogisticRegression):
        def fit(self, values, right, sample_weight=None):
            fitted.append(self)
            return super().fit(values, right, sample_weight)

    monkeypatch.setattr(training, "LogisticRegression", Watched)
    monkeypatch.setattr(training, "DECIMALS", 12)
    scales = []
    scaled = training._scales
    monkeypatch.setattr(
        training, "_scales", lambda *given: scales.append(scaled(*given)) or scales[-1]
    )
    names = vocabulary((one.customer, one.text) for one in examples)
    rows = look(examples, triage().understand, names)
    labels = sorted(ABOUT)
    head: Head = training.fit(rows, names, "category", labels, Language.EN)
    asked = look(made(1_000, seed=2), triage().understand, names)
    values = training.matrix(asked, list(head.features), list(head.signs))
    for place, (model, scale) in enumerate(zip(fitted[-3:], scales[-3:], strict=True)):
        by_scikit_learn = model.decision_function(values @ training.sparse.diags(scale))
        by_us = [scores(head, one.features, one.signs)[place] for one in asked]
        assert by_us == pytest.approx(list(by_scikit_learn), abs=1e-6)


def test_a_head_is_trained_for_each_thing_that_has_rows(trained):
    assert [(head.decides, head.language) for head in trained.heads] == [("category", Language.EN)]
    category = trained.heads[0]
    assert category.labels == tuple(sorted(ABOUT))
    assert len(category.features) <= FEATURES_MAX


def test_a_head_that_is_no_better_than_the_rules_is_left_out_and_told_of(trained):
    """Here "complaint" and "praise" are by chance, so nothing can be learnt."""
    (told,) = [one for one in TOLD if "is left out" in one]
    assert told.startswith("en intent is left out: it is right for ")
    assert "intent" not in {head.decides for head in trained.heads}


def test_no_customers_name_gets_a_weight(trained):
    for head in trained.heads:
        assert not [name for name in head.features if "guest" in name and " " in name]
        assert not [name for name in head.features if name.startswith("guest") and "-" not in name]


def test_the_card_says_how_good_it_is_on_rows_that_it_did_not_see(trained, examples):
    held = split(examples, 1, 0.2)[1]
    category = trained.heads[0].measured
    assert category.rows == len(held)
    assert category.accuracy > 0.85 > category.rules_accuracy


def test_training_twice_gives_the_same_file(trained, examples):
    again = training.train(
        examples,
        triage().understand,
        seed=1,
        held_share=0.2,
        history="Made by chance.",
        today=date(2026, 11, 30),
        tell=lambda _: None,
    )
    assert again == trained


def test_a_label_of_few_customers_is_not_learnt(examples):
    """Its rows could all be on one side of a split, and its words would be those of a few people."""
    often = [one._replace(customer=one.customer % 19) for one in examples]
    seen = look(often, triage().understand, ())
    assert training.labels_of(seen, "category") == []
    assert training.labels_of(look(examples, triage().understand, ()), "category") == sorted(ABOUT)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="no head has 200 rows"):
        training.train(
            made(100), triage().understand, seed=1, held_share=0.2, history="", today=date(2026, 1, 1),
            tell=lambda _: None,
        )  # fmt: skip


def test_the_commands_train_a_file_that_the_service_reads_and_measure_it_beside_the_usual_choice(
    tmp_path: Path, examples: list[Example]
):
    rows, out = tmp_path / "rows.jsonl", tmp_path / "model.json"
    rows.write_text(
        "\n".join(
            json.dumps({"text": one.text, "language": one.language, **one.labels})
            for one in examples
        ),
        encoding="utf-8",
    )

    def said(*words: object) -> str:
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 0, done.output
        return done.output

    printed = said("train", rows, "--out", out, "--history", "Made by chance.")
    assert f"{out} has 1 head," in printed.replace("\n", "")
    assert load(out).card.history == "Made by chance."
    compared = said("evaluate", rows, "--seeds", 2)
    assert "TF-IDF and SVM" in compared
    assert "2 splits (seeds 1 to 2)" in compared


def test_the_report_trains_on_splits_of_a_set_and_measures_on_rows_that_no_training_saw(
    tmp_path: Path, examples: list[Example]
):
    reasons = {
        "baggage.lost": "Lost Luggage",
        "delay.late": "Late Flight",
        "staff.crew": "Flight Attendant Complaints",
    }
    folder = tmp_path / "twitter_us_airline"
    folder.mkdir()
    with (folder / "dev.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "airline_sentiment", "negativereason"])
        for one in [*examples, *examples[:50]]:  # A copy counts once.
            rows.writerow([one.text, "negative", reasons[one.labels["category"]]])
        rows.writerows([f"{one.text} thanks", "positive", ""] for one in examples[:300])
    to = tmp_path / "report.json"
    triage_report.report(tmp_path, to, None, lexicon.SHIPPED, splits=2)
    told = json.loads(to.read_text(encoding="utf-8"))
    lines = {(line[0], line[2]): line[3] for line in told["twitter_us_airline/splits"]}
    assert set(lines) == {
        (decides, by) for decides in ("intent", "category") for by in (RULES, WITH_MODEL, PEER)
    }
    for each in lines.values():
        assert len(each) == 2
    # The rows of a split are the same for all three, and a fifth of what there is.
    for decides, whole in (("intent", 1_500), ("category", 1_200)):
        (of_rules,), (of_model,), (of_peer,) = (
            {rows for rows, _, _ in lines[decides, by][:1]} for by in (RULES, WITH_MODEL, PEER)
        )
        assert of_rules == of_model == of_peer
        assert 0.15 < of_rules / whole < 0.25
    assert lines["category", WITH_MODEL][0][1] > lines["category", RULES][0][1]
    assert told["twitter_us_airline/trained"]["rows"] == lines["intent", RULES][0][0]
    assert len(told["twitter_us_airline/trained"]["confusion"]) == len(reasons)
