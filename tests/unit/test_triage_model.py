"""A model on top of the rules: what it may decide, what it never decides, and which files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.complaints.app import triage_of
from services.complaints.settings import Settings
from services.complaints.triage import features as triage_features
from services.complaints.triage.features import (
    CUSTOMERS_MIN,
    LOOKED_AT_MAX,
    features,
    parts,
    signs,
    tokens,
    vocabulary,
)
from services.complaints.triage.model import (
    FILE_BYTES_MAX,
    Answer,
    Model,
    answer_of,
    learnable,
    load,
    merged,
    scores,
)
from services.complaints.triage.rules import SAFETY_FLAGS, Understood
from shared.contracts.complaints import Category, Flag, Intent, Service, Severity
from shared.contracts.intake import TEXT_MAX
from shared.runtime.settings import refused
from shared.runtime.strict_yaml import BrokenFile
from tests.suites.services import triage
from tests.unit.test_settings import NEEDED

pytestmark = pytest.mark.unit

TINY = Path(__file__).parents[1] / "data" / "triage" / "tiny.json"
NOTHING = Understood(Category.OTHER, Severity.MILD, safety=False)


@pytest.fixture(scope="module")
def tiny() -> Model:
    return load(TINY)


def understood(text: str) -> Understood:
    return triage().understand(text, "en")


# What a text is to a model ------------------------------------------------------------------------


def test_numbers_and_addresses_are_the_same_word_whosever_they_are():
    assert tokens("Mail kari.nord@example.org or @kari, ref 47.123, https://x.example/kari") == [
        *("mail", "name", "or", "name", "ref", "0", "url")
    ]


def test_words_are_lower_case_and_keep_apostrophes_signs_of_feeling_and_pictures():
    assert tokens("I DON’T know!! 😡 (really)?") == [
        "i",
        "don't",
        "know",
        "!!",
        "😡",
        "really",
        "?",
    ]


def test_characters_that_nobody_sees_do_not_hide_a_word():
    assert tokens("lug\u200bgage") == tokens("luggage")


def test_a_part_says_whether_it_begins_or_ends_its_word():
    assert parts("late") == ("lat-", "-ate")
    assert parts("delay") == ("del-", "-ela-", "-lay", "dela-", "-elay")
    assert parts("at") == ()


def test_features_are_words_pairs_and_parts():
    assert features("Late bag") == {"late", "bag", "late bag", "lat-", "-ate"}


def test_the_beginning_of_a_long_text_is_looked_at_and_no_more():
    assert "end" not in features("a " * LOOKED_AT_MAX + "end")


def test_what_the_rules_found_is_named_in_words_of_ours():
    found = understood("My bag never arrived, and the flight was late.")
    assert {f"category {found.category}", f"severity {found.severity}"} <= signs(found)


def test_how_much_words_speak_of_a_category_is_a_sign_by_steps():
    found = NOTHING._replace(scores={"baggage": 4.0, "baggage.lost": 1.0, "food": 0.0})
    assert {one for one in signs(found) if one.startswith("speaks")} == {
        *("speaks of baggage", "speaks of baggage, 2", "speaks of baggage, 4"),
        "speaks of baggage.lost",
    }


# What it decides ----------------------------------------------------------------------------------


def test_a_score_is_the_bias_the_mean_weight_of_known_words_and_the_signs(tiny):
    head = tiny.heads["category", "en"]
    # "bag" and "hours" are known, so each counts by the square root of a half.
    found = scores(head, {"bag", "hours", "unheard"}, {"category baggage", "unheard"})
    assert found == pytest.approx(
        [-1 + 4.5 * 0.5**0.5 + 1, -0.5 + 1.0 * 0.5**0.5 - 0.5, -1.5 - 1.5 * 0.5**0.5 - 0.5]
    )


@pytest.mark.parametrize(
    ("text", "label", "confidence"),
    [
        ("They lost bag number two", "baggage.lost", 0.914),
        ("Hours late again!", "delay.late", 0.781),
        ("Cold soup, cold soup", "food", 0.889),
        ("The bag came two hours late", "delay.late", 0.548),
        ("Hm.", "delay.late", 0.46),
    ],
)
def test_the_tiny_model_says_of_a_text_what_it_always_said(tiny, text, label, confidence):
    answer = answer_of(tiny.heads["category", "en"], features(text), set())
    assert answer.label == label
    assert answer.confidence == pytest.approx(confidence, abs=0.005)


def test_without_a_known_word_bias_and_signs_decide(tiny):
    assert scores(tiny.heads["category", "en"], set(), set()) == [-1.0, -0.5, -1.5]


def test_a_sure_answer_takes_the_place_of_the_rules_word_and_says_why(tiny):
    found = tiny.improve("They lost bag number two", "en", NOTHING)
    assert (found.category, found.subcategory) == (Category.BAGGAGE, "lost")
    (why,) = (one for one in found.reasons if one.rule == "model.category.baggage.lost")
    assert why.words == ("lost bag", "bag")
    assert why.confidence == pytest.approx(0.92, abs=0.02)


def test_an_unsure_answer_leaves_the_rules_word(tiny):
    head = tiny.heads["category", "en"]
    answer = answer_of(head, features("Hm."), set())
    assert answer.confidence < head.confident
    assert tiny.improve("Hm.", "en", NOTHING) == NOTHING


def test_another_language_is_left_to_the_rules(tiny):
    assert tiny.improve("My bag is lost", "nb", NOTHING) is NOTHING


@given(st.text(max_size=300), st.sampled_from(Flag))
def test_what_the_rules_flag_is_never_changed(text, flag):
    """Any flag stands; danger also keeps its category, its severity and that it is a complaint."""
    danger = flag in SAFETY_FLAGS
    category = Category.SAFETY if danger else Category.OTHER
    severity = Severity.SEVERE if danger else Severity.MILD
    before = Understood(category, severity, danger, intent=Intent.COMPLAINT, flags=(flag,))
    after = load_once().improve(f"{text} lost bag thank you", "en", before)
    assert (after.flags, after.safety) == ((flag,), danger)
    assert after.category is not Category.SAFETY or danger
    if danger:
        assert after == before


def load_once(kept: dict[str, Model] = {}) -> Model:  # noqa: B006 - Hypothesis takes no fixture per example
    return kept.setdefault("tiny", load(TINY))


@pytest.mark.parametrize(
    ("label", "before", "service"),
    [
        ("delay.late", Service.DEPARTURE, Service.DEPARTURE),
        ("delay.late", Service.EXCURSION, Service.EXCURSION),
        ("food", Service.DEPARTURE, Service.MEAL),
        ("baggage", Service.DEPARTURE, None),
    ],
)
def test_the_service_that_failed_follows_the_category(tiny, label, before, service):
    found = Understood(Category.DELAY, Severity.MILD, safety=False, service=before)
    head = tiny.heads["category", "en"]
    assert merged(found, head, Answer(label, 0.9, ())).service is service


@pytest.mark.parametrize(
    ("labels", "chosen", "subcategory"),
    [
        (("baggage", "food"), "baggage", "lost"),
        (("baggage", "food"), "food", None),
        (("baggage", "baggage.lost"), "baggage", None),
    ],
)
def test_a_label_without_a_subcategory_keeps_the_one_that_the_rules_found_unless_it_was_a_choice(
    tiny, labels, chosen, subcategory
):
    found = NOTHING._replace(category=Category.BAGGAGE, subcategory="lost")
    head = tiny.heads["category", "en"].model_copy(update={"labels": labels})
    assert merged(found, head, Answer(chosen, 0.9, ())).subcategory == subcategory


def test_a_long_text_without_spaces_is_read_like_any_other(tiny):
    assert tiny.improve("x" * TEXT_MAX, "en", NOTHING).category in set(Category)


@pytest.mark.parametrize(
    "label", ["safety", "safety.fire", "weather", "complaint", "", "Food", "food.general"]
)
def test_no_model_may_choose_safety_or_a_category_that_is_not_ours(label):
    assert not learnable("category", label)


# The file -----------------------------------------------------------------------------------------


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    file = json.loads(TINY.read_text(encoding="utf-8"))
    change(file)
    return json.dumps(file)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Invalid JSON"),
        ('{"version": 1', "Invalid JSON"),
        ("[]", "object"),
        (changed(lambda f: f.update(version=2)), "version"),
        (changed(lambda f: f.update(code="import os")), "code"),
        (changed(lambda f: f.update(heads=[])), "heads"),
        (changed(lambda f: f["heads"].append(f["heads"][0])), "two heads decide the same"),
        (changed(lambda f: f["heads"][0]["bias"].pop()), '"bias" has 2 weights for 3 labels'),
        (changed(lambda f: f["heads"][0]["features"]["bag"].append(1)), '"bag" has 4 weights'),
        (changed(lambda f: f["heads"][0]["features"].update(bag=[1, 2, "3"])), "number"),
        (changed(lambda f: f["heads"][0]["features"].update(bag=[1, 2, 1e9])), "1000"),
        (changed(lambda f: f["heads"][0]["features"].update(bag=[1, 2, float("nan")])), "heads.0"),
        (changed(lambda f: f["heads"][0]["labels"].__setitem__(0, "safety")), '"safety" is no category'),
        (changed(lambda f: f["heads"][1]["labels"].__setitem__(0, "rude")), '"rude" is no intent'),
        (changed(lambda f: f["heads"][0].update(language="xx")), "language"),
        (changed(lambda f: f["heads"][0].update(confident=1.5)), "confident"),
        (changed(lambda f: f["card"].update(customers_min=1)), "customers_min"),
    ],
)  # fmt: skip
def test_a_file_with_anything_wrong_in_it_is_refused_whole(tmp_path, content, why):
    path = tmp_path / "model.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BrokenFile) as broken:
        load(path)
    assert why in str(broken.value)
    assert len(str(broken.value).splitlines()) == 1


def test_a_file_that_is_not_there_or_is_too_large_is_refused(tmp_path):
    with pytest.raises(BrokenFile, match="cannot be read"):
        load(tmp_path / "nowhere.json")
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (FILE_BYTES_MAX + 1))
    with pytest.raises(BrokenFile, match="is larger than"):
        load(large)


def test_the_service_does_not_start_with_a_broken_model(tmp_path):
    path = tmp_path / "model.json"
    path.write_text(changed(lambda file: file.update(version=2)), encoding="utf-8")
    with pytest.raises(ValidationError) as wrong:
        Settings(triage_model=path, **NEEDED)
    (sentence,) = refused(wrong.value)
    assert sentence.startswith("SERVICE_CHECK_TRIAGE_MODEL: ")
    assert "model.json" in sentence and "version" in sentence
    assert Settings(triage_model=TINY, **NEEDED).triage_model == TINY


def test_the_service_understands_by_the_model_that_its_settings_name():
    text = "They lost bag number two"
    by_model = triage_of(Settings(triage_model=TINY, **NEEDED)).understand(text, "en")
    assert "model.category.baggage.lost" in {one.rule for one in by_model.reasons}
    by_rules = triage_of(Settings(**NEEDED)).understand(text, "en")
    assert not [one for one in by_rules.reasons if one.rule.startswith("model")]


# Whose words get weights --------------------------------------------------------------------------


def test_a_word_gets_a_weight_only_if_enough_different_customers_used_it():
    rows = [(customer, "late kari" if customer == 1 else "late") for customer in range(5)]
    again = [(1, "kari nord")] * 50
    assert vocabulary(rows + again) == ["-ate", "lat-", "late"]
    assert vocabulary(rows[: CUSTOMERS_MIN - 1]) == []


def test_counting_words_takes_bounded_memory(monkeypatch):
    monkeypatch.setattr(triage_features, "COUNTED_MAX", 50)
    letters = {48: "a", 49: "b"}
    rows = [(customer, f"late {customer:020b}".translate(letters)) for customer in range(100)]
    assert "late" in vocabulary(rows)
