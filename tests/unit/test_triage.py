"""What the words of a complaint are taken to say, in four languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.complaints.triage.languages import Detected, Languages
from services.complaints.triage.rules import Understood
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.intake import TEXT_MAX
from shared.contracts.policy import Policy
from shared.runtime.policy_file import load
from tests.suites.services import triage as read

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages()


def triage(text: str, language: str) -> Understood:
    return read().understand(text, language)


def safe(found: Understood) -> tuple[Category, Severity, bool]:
    return found.category, found.severity, found.safety


@pytest.mark.parametrize(
    ("text", "language", "category"),
    [
        ("Maten var iskald og kelneren glemte oss.", "nb", Category.FOOD),
        ("Kofferten min kom aldri fram.", "nb", Category.BAGGAGE),
        ("Bråk hele natten, vi fikk ikke sove.", "nb", Category.NOISE),
        ("Hytten var smutsig och full av damm.", "sv", Category.CLEANLINESS),
        ("Vi fick vänta, bussen var försenad.", "sv", Category.DELAY),
        ("Vi er blevet opkrævet dobbelt på fakturaen.", "da", Category.BILLING),
        ("Medarbejderen var uforskammet.", "da", Category.STAFF),
        ("The shower has no hot water.", "en", Category.FACILITIES),
        ("The bed was dirty", "en", Category.CLEANLINESS),
        ("There were hairs in the bed", "en", Category.CLEANLINESS),
        ("Our room was not clean", "en", Category.CLEANLINESS),
        ("Sengen var skitten", "nb", Category.CLEANLINESS),
        ("Det var hår i sengen", "nb", Category.CLEANLINESS),
        ("Sängen var smutsig", "sv", Category.CLEANLINESS),
        ("Vårt rum var inte rent", "sv", Category.CLEANLINESS),
        ("Sengen var beskidt", "da", Category.CLEANLINESS),
        ("Vores værelse var ikke rent", "da", Category.CLEANLINESS),
        ("The bed was so hard that I could not sleep", "en", Category.FACILITIES),
        ("There was no bed for our child", "en", Category.FACILITIES),
        ("Hm.", "en", Category.OTHER),
    ],
)
def test_the_category_is_what_most_words_are_about(
    text: str, language: str, category: Category
) -> None:
    assert triage(text, language).category is category


@pytest.mark.parametrize(
    "text",
    [
        "Sønnen min fikk en kraftig nøtteallergireaksjon.",
        "Hun slo hodet og blødde.",
        "Vi kjente RØYKLUKT i gangen.",
        "Min dotter halkade vid poolen och fick åka till sjukhus.",
        "Det var jordnötter i efterrätten och jag är allergiker.",
        "Det började brinna i köket, brandlarmet tjöt.",
        "Han blev diskrimineret på grund af sin hudfarve.",
        "Vores barn brændte sig på kaffemaskinen.",
        "My child was hurt on the stairs.",
        "There was a fire in the galley.",
        "The waiter harassed my wife.",
        "We all got food poisoning.",
        "The fire in our cabin was put out by the crew.",
        "He burned his hand on the grill.",
        "My son was hurt by the door, the deck is unsafe.",
        "She was choking and nobody came.",
        "There was a smell, they said a gas leak.",
        "We were trapped in the lift.",
        "Det brinner i korridoren!",
        "Min man bröt armen.",
        "Vi satt fast i hissen i två timmar.",
        "Det brant på kjøkkenet.",
        "Branden i kabyssen skrämde oss.",
        "Vi lugtede gaslugt på værelset.",
        "There was a fire, her cabin was next to it.",
        "A fire the night before, and nobody told us.",
        "The camp fire was nice until my coat caught fire.",
        "There was no fire exit near the fire pit.",
        # Beside words that are harmless elsewhere.
        "Please, fire in cabin 214",
        "Det brinner för fullt i köket",
        "The driver fell asleep and hit the rail",
        "My father fell short of breath",
    ],
)
@pytest.mark.parametrize("language", ["nb", "sv", "da", "en", "xx"])
def test_danger_to_a_person_is_severe_whatever_language_was_claimed(
    text: str, language: str
) -> None:
    assert safe(triage(text, language)) == (Category.SAFETY, Severity.SEVERE, True)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Vi var fire personer til middag.", "nb"),
        ("Der var fire på værelset.", "da"),
        ("A great brand, but the coffee was cold.", "en"),
        ("Tomatsuppen var god.", "nb"),
        ("The ship is brand new.", "nb"),
        ("Jeg er virkelig chokeret over betjeningen.", "da"),
        ("Vi var fire i lugaren, og maten var kald.", "nb"),
        ("Ni brinner för era gäster, det märks.", "sv"),
        ("The service fell short. It fell short of expectations.", "en"),
        ("They lost the bag and, to add insult to injury, the stroller.", "en"),
        ("My code is invalid, and I was tryna book a cabin.", "en"),
        ("Would it kill you to answer? I fell asleep on hold.", "en"),
        ("Such poor hospitality, please fire your manager.", "en"),
        ("I hope your system is up again soon.", "en"),
        ("Personalen brinner för sitt jobb.", "sv"),
        ("Butiken i Kista svarar inte.", "sv"),
        *(
            (text, language)
            for language in ("nb", "sv", "da", "en")
            for text in (
                "The fire pit was dirty.",
                "A fireplace that did not work.",
                "We missed a fireworks display, and the fire works too.",
                "He was fired, said the waiter.",
                "A camp fire that was never lit.",
                "You should fire the manager.",
                "The fire drill was boring, and a smile wouldn't hurt.",
                "Music drowned out the guide.",
            )
        ),
    ],
)
def test_a_word_that_means_danger_in_another_language_alarms_nobody(
    text: str, language: str
) -> None:
    assert not triage(text, language).safety


def test_what_is_harmless_counts_for_what_else_is_said() -> None:
    found = triage("The fire pit was filthy, ash and dirt everywhere.", "en")
    assert (found.category, found.safety) == (Category.CLEANLINESS, False)


def test_a_stem_is_found_in_a_compound_but_a_short_word_only_at_the_start_of_one() -> None:
    assert triage("Sjokkerende kundebehandling.", "nb").category is Category.STAFF
    assert triage("Automaten tok det.", "nb").category is Category.OTHER


@pytest.mark.parametrize(
    ("rude", "cold", "language"),
    [
        ("The waiter was rude.", "The soup was cold and the waiter rude.", "en"),
        ("The waiter and the waitress ignored us.", "No meat left, said a rude waiter.", "en"),
        ("Kelneren var frekk.", "Maten var kald og kelneren frekk.", "nb"),
        ("Serveringspersonalet var uhøflig.", "Suppen var kald og serveringen uhøflig.", "nb"),
        ("Servitören var otrevlig.", "Maten var kall och servitören otrevlig.", "sv"),
        ("Kocken var nonchalant.", "Soppan var kall och kocken nonchalant.", "sv"),
        ("Tjeneren var uforskammet.", "Maden var kold og tjeneren uforskammet.", "da"),
    ],
)
def test_the_conduct_of_those_who_serve_is_about_staff_and_what_they_served_about_food(
    rude: str, cold: str, language: str
) -> None:
    assert triage(rude, language).category is Category.STAFF
    assert triage(cold, language).category is Category.FOOD


@pytest.mark.parametrize(
    ("text", "language", "service"),
    [
        ("The excursion was three hours late.", "en", Service.EXCURSION),
        ("Our tour left 3 hrs late.", "en", Service.EXCURSION),
        ("We waited for hours for our soup.", "en", Service.MEAL),
        ("Utflukten var tre timer for sen.", "nb", Service.EXCURSION),
        ("Bussen var forsinket.", "nb", Service.DEPARTURE),
        ("Vi ventet i timevis.", "nb", None),
        ("Utflykten var tre timmar sen.", "sv", Service.EXCURSION),
        ("Bussen var försenad.", "sv", Service.DEPARTURE),
        ("Udflugten var tre timer for sen.", "da", Service.EXCURSION),
        ("Bussen var forsinket.", "da", Service.DEPARTURE),
    ],
)
def test_a_wait_of_hours_or_a_delayed_departure_is_not_mild(
    text: str, language: str, service: Service | None
) -> None:
    found = triage(text, language)
    assert (found.severity, found.service) == (Severity.MODERATE, service)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("We waited ten minutes in line.", "en"),
        ("Vi ventet ti minutter i kø.", "nb"),
        ("Vi väntade en halvtimme.", "sv"),
        ("Vi ventede en halv time.", "da"),
    ],
)
def test_a_short_wait_is_mild(text: str, language: str) -> None:
    assert triage(text, language).severity is Severity.MILD


def test_severity_grows_with_the_words() -> None:
    severities = [
        triage(text, "en").severity
        for text in (
            "The soup could be warmer.",
            "The soup was cold and the waiter rude.",
            "The worst soup ever, absolutely disgusting.",
        )
    ]
    assert severities == [Severity.MILD, Severity.MODERATE, Severity.SEVERE]


@pytest.mark.parametrize(
    "text", ["", " ", "🤬" * 5_000, "\x00\ud800", "a" * 100_000, "’«»“”", "İıſK"]
)
def test_any_text_has_an_answer(text: str, languages: Languages) -> None:
    assert safe(triage(text, "nb")) == (Category.OTHER, Severity.MILD, False)
    assert languages.detect(text, None).language in set(Language)


def test_danger_on_the_last_page_of_the_longest_letter_is_found() -> None:
    letter = "x " * TEXT_MAX
    assert triage(letter[: TEXT_MAX - 10] + " ambulance", "en").safety


@pytest.mark.parametrize(
    ("hint", "language"),
    [("nb", "nb"), ("no", "nb"), ("nn-NO", "nb"), ("sv_SE", "sv"), ("DA", "da"), ("en-GB", "en")],
)
def test_a_hint_of_ours_wins(hint: str, language: str, languages: Languages) -> None:
    assert languages.detect("Det var inte bra och jag är besviken", hint) == Detected(language)


@pytest.mark.parametrize("hint", [None, "", "de", "x", "🇳🇴", "svenska"])
def test_without_such_a_hint_the_words_decide(hint: str | None, languages: Languages) -> None:
    for language, text in {
        "nb": "Maten var dårlig, og det hjalp ikke noe da vi sa fra om den",
        "sv": "Maten var inte bra och jag är besviken",
        "da": "Maden var meget dårlig, og vi fik ikke noget svar",
        "en": "The food was bad and they did not care",
    }.items():
        assert languages.detect(text, hint) == Detected(language)


def test_where_words_do_not_decide_the_model_does(languages: Languages) -> None:
    assert languages.detect("Iskall soppa, sur servitör", None) == Detected("sv")
    assert languages.detect("Rude waiter, cold soup", None) == Detected("en")


@pytest.mark.parametrize(
    "text",
    [
        "Das Zimmer war schmutzig, und niemand hat uns geholfen.",
        "Notre chambre n'était pas propre",
        "Hytti oli likainen eikä kukaan auttanut meitä",
        "De soep was koud en de ober was onbeleefd",
        "Das Zimmer in dem Hotel in Oslo war kalt, ein Skandal, in der Nacht kam niemand",
        "Het was koud in de kamer en het is er niet af gemaakt, wat een schande",
        "La sopa estaba fría y el camarero fue grosero",
        "La camera era sporca e nessuno ci ha aiutato",
        "Zupa była zimna, a kelner niegrzeczny",
        "汤是凉的，服务员很粗鲁。",
        "Суп был холодный",
        "الحساء بارد جدا",
    ],
)
def test_a_text_in_none_of_our_languages_is_answered_in_english_and_said_to_be_unread(
    text: str, languages: Languages
) -> None:
    assert languages.detect(text, None, Language.NB) == Detected(Language.EN, supported=False)


@pytest.mark.parametrize(
    "text", ["Ресторан 北京: the soup was cold and they were rude", "北京", "Ωmega 3?"]
)
def test_a_name_in_another_script_makes_no_text_unread(text: str, languages: Languages) -> None:
    assert languages.detect(text, None).supported


@pytest.mark.parametrize("hint", ["de", "fi-FI", "fr_CA"])
def test_whoever_states_another_language_is_answered_in_english(
    hint: str, languages: Languages
) -> None:
    for text in ("Suppe kalt", "Das Zimmer ist schmutzig"):
        assert languages.detect(text, hint, Language.NB) == Detected(Language.EN, supported=False)


def test_no_playbook_of_the_demo_waits_for_a_danger_that_is_less_than_severe() -> None:
    policy = load(ROOT / "policy" / "demo.yaml")
    assert isinstance(policy, Policy)
    assert set(policy.playbooks[Category.SAFETY]) == {Severity.SEVERE}


@pytest.mark.parametrize(
    ("text", "language", "category", "service"),
    [
        ("We waited two hours for cold soup.", "en", Category.FOOD, Service.MEAL),
        ("Vi ventet to timer på kald suppe.", "nb", Category.FOOD, Service.MEAL),
        ("Vi väntade två timmar på kall soppa.", "sv", Category.FOOD, Service.MEAL),
        ("Vi ventede to timer på kold suppe.", "da", Category.FOOD, Service.MEAL),
        ("The ferry was two hours late and there was no food.", "en", Category.DELAY, Service.DEPARTURE),
        ("Skipet var fem timer forsinket.", "nb", Category.DELAY, Service.DEPARTURE),
        ("Färjan var inställd.", "sv", Category.DELAY, Service.DEPARTURE),
        ("Færgen var forsinket tre timer.", "da", Category.DELAY, Service.DEPARTURE),
        ("The excursion was cancelled after an hour.", "en", Category.DELAY, Service.EXCURSION),
        ("We waited an hour in line.", "en", Category.DELAY, None),
        ("The shower has no hot water.", "en", Category.FACILITIES, None),
    ],
)  # fmt: skip
def test_a_wait_is_about_what_was_waited_for(
    text: str, language: str, category: Category, service: Service | None
) -> None:
    """A right to a refund of a journey is nothing to tell somebody about cold soup."""
    found = triage(text, language)
    assert (found.category, found.service) == (category, service)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("nb", "Kaffen var litt lunken."),
        ("sv", "Kaffet var lite ljummet."),
        ("da", "Kaffen var lidt lunken."),
        ("en", "The coffee was a bit lukewarm."),
    ],
)
def test_a_word_for_something_mild_is_as_mild_in_each_language(language: str, text: str):
    found = triage(text, language)
    assert (found.category, found.severity) == (Category.FOOD, Severity.MILD)
