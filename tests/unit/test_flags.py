"""Flags on sentences of complaints that somebody else wrote, a quarter of them in each language."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.contracts.complaints import Category, Flag, Intent, Severity
from tests.suites.services import triage

pytestmark = pytest.mark.unit

SENTENCES = Path(__file__).parents[1] / "data" / "flags" / "dev.jsonl"
#: Danger is in no sentence's list: it is told of by the injury or the threat that comes with it.
LISTED = {flag.value for flag in Flag} - {Flag.DANGER}
RECALL_MIN, PRECISION_MIN = 0.99, 0.9


class Sentence(NamedTuple):
    text: str
    language: str
    flags: set[str]


def sentences() -> list[Sentence]:
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    rows = map(json.loads, lines)
    return [Sentence(row["text"], row["language"], set(row["flags"])) for row in rows]


def raised(one: Sentence) -> set[str]:
    return LISTED.intersection(triage().understand(one.text, one.language).flags)


@pytest.mark.parametrize("language", ["nb", "sv", "da", "en"])
def test_flags_are_raised_in_each_language_and_hardly_one_too_many(language: str) -> None:
    missed, right, wrong = Counter[str](), Counter[str](), Counter[str]()
    for one in sentences():
        if one.language == language:
            found = raised(one)
            right.update(found & one.flags)
            missed.update(one.flags - found)
            wrong.update(found - one.flags)
    recall = right.total() / (right.total() + missed.total())
    precision = right.total() / (right.total() + wrong.total())
    assert right.total() > 30
    assert recall >= RECALL_MIN, missed
    assert precision >= PRECISION_MIN, wrong


def test_a_calm_complaint_is_about_nobodys_safety() -> None:
    calm = [one for one in sentences() if not one.flags]
    alarmed = [one for one in calm if triage().understand(one.text, one.language).safety]
    assert len(calm) > 70
    assert alarmed == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("They threatened to cancel my booking over a fee.", "en"),
        ("All that walking really hurt my feet and the stairs never end.", "en"),
        ("The bathroom reeks of vomit.", "en"),
        ("Rummet luktade rök.", "sv"),
        ("Rommet lukter røyk.", "nb"),
        ("Værelset lugtede af røg.", "da"),
        ("Nobody was hurt, but the lamp fell down right beside us.", "en"),
        ("Jeg er ikke skadet, bare sint.", "nb"),
        ("Ingen skadades, men hyllan var lös.", "sv"),
        ("Priserne gør ondt i pungen.", "da"),
        ("He threatened us with a late fee.", "en"),
        ("We got burnt toast and the smoked salmon was dry.", "en"),
        ("The drink was gassy and our room was smoke-free.", "en"),
        ("Allergies: none", "en"),
        ("It was not a heart attack.", "en"),
        ("Pizzaen vår ble brent.", "nb"),
        ("Ingen ble skadet, men vi ventet lenge.", "nb"),
        ("Han truet ingen.", "nb"),
        ("Det var ikke et hjerteinfarkt.", "nb"),
        ("Maten drunknade nästan i sås.", "sv"),
        ("Det var inte en hjärtinfarkt.", "sv"),
        ("Ingen kom til skade, men vi ventede længe.", "da"),
        ("Han truede ingen.", "da"),
        ("I do not have a nut allergy", "en"),
        ("There was no fire", "en"),
        ("Han truet aldri noen", "nb"),
        ("Sønnen min brant seg ikke", "nb"),
        ("Jeg har ikke nøtteallergi", "nb"),
        ("Det var ingen brann", "nb"),
        ("Vi kjente ikke gasslukt", "nb"),
        ("Jeg ble ikke syk", "nb"),
        ("Min son brände sig inte", "sv"),
        ("Jag har inte nötallergi", "sv"),
        ("Det var ingen brand", "sv"),
        ("Vi kände inte gaslukt", "sv"),
        ("Han truede aldrig nogen", "da"),
        ("Min søn brændte sig ikke", "da"),
        ("Jeg har ikke nøddeallergi", "da"),
        ("Der var ingen brand", "da"),
        ("Vi mærkede ikke gaslugt", "da"),
        ("Det var ikke et hjerteanfald.", "da"),
    ],
)
def test_what_only_sounds_like_danger_alarms_nobody(text: str, language: str) -> None:
    assert not triage().understand(text, language).safety


@pytest.mark.parametrize(
    ("text", "language", "flag"),
    [
        ("We were stuck in the lift between two decks.", "en", Flag.DANGER),
        ("Vi satt fast i heisen mellom to dekk.", "nb", Flag.DANGER),
        ("Hissen stannade med oss mellan våningarna.", "sv", Flag.DANGER),
        ("Elevatoren stoppede mellem to etager med os i.", "da", Flag.DANGER),
        ("Your colleagues stared and pointed at my wife's headscarf.", "en", Flag.DISCRIMINATION),
        (
            "Han sa at pass som er nigerianske, og folk som oss, får vente.",
            "nb",
            Flag.DISCRIMINATION,
        ),
        ("Jag fick höra att jag kunde åka tillbaka dit jag kom ifrån.", "sv", Flag.DISCRIMINATION),
        ("Vagten gennemsøgte kun de sorte passagerers tasker.", "da", Flag.DISCRIMINATION),
        ("Two guests were kicking our cabin door and wanted to fight.", "en", Flag.THREAT),
        ("Gi meg pengene, ellers tenner jeg på kontoret.", "nb", Flag.THREAT),
        ("Han drog fingret över halsen och pekade på min pappa.", "sv", Flag.THREAT),
        ("Vagten stillede sig i døren og lod mig ikke komme ud.", "da", Flag.THREAT),
        ("My mother got burned in the sauna.", "en", Flag.INJURY),
        ("Mannen min ble brent av suppa.", "nb", Flag.INJURY),
        ("Min dotter blev illa bränd av teet.", "sv", Flag.INJURY),
        ("Min mand blev brændt af suppen.", "da", Flag.INJURY),
        ("The cabin smelled strongly of gas.", "en", Flag.DANGER),
        ("Smoke was coming from the socket.", "en", Flag.DANGER),
        ("Det gasluktet i lugaren hele natta.", "nb", Flag.DANGER),
        ("Vi kände gaslukten i korridoren.", "sv", Flag.DANGER),
        ("Der lugtede kraftigt af gas.", "da", Flag.DANGER),
        ("My son nearly drowned in the pool.", "en", Flag.INJURY),
        ("My drink was spiked in the bar.", "en", Flag.THREAT),
        ("Jeg blev bedøvet i baren.", "da", Flag.THREAT),
        ("Min pappa slutade andas vid bordet.", "sv", Flag.INJURY),
        ("En tann sprakk på noe hardt i brødet.", "nb", Flag.INJURY),
        (
            "The waiter would not serve us because my boyfriend and I held hands.",
            "en",
            Flag.DISCRIMINATION,
        ),
        ("Hvis dette ikke ordnes, tar advokaten min kontakt.", "nb", Flag.LEGAL),
        ("I have needed physio since your step gave way.", "en", Flag.INJURY),
        ("Jeg måtte til kiropraktor etter at køya brast.", "nb", Flag.INJURY),
        ("Jag fick gå till sjukgymnast i två månader.", "sv", Flag.INJURY),
        ("Jeg måtte til fysioterapeut bagefter.", "da", Flag.INJURY),
        ("A waiter followed me to my cabin and knocked.", "en", Flag.THREAT),
        ("They served us peanuts although I had warned them.", "en", Flag.ALLERGY),
        ("Ingen vet hvem som har allergi hos dere.", "nb", Flag.ALLERGY),
        ("Vi åkte hit för att sprida pappas aska.", "sv", Flag.VULNERABLE),
        ("The lift stopped and we were stuck for an hour", "en", Flag.DANGER),
        ("Heisen stoppet og vi satt fast i en time", "nb", Flag.DANGER),
        ("Hissen stannade och vi satt fast i en timme", "sv", Flag.DANGER),
        ("Elevatoren gik i stå og vi sad fast i en time", "da", Flag.DANGER),
        ("They called me a dirty Arab", "en", Flag.DISCRIMINATION),
        ("They called my husband a dirty Pole", "en", Flag.DISCRIMINATION),
        ("De kalte meg en skitten araber", "nb", Flag.DISCRIMINATION),
        ("De kallade mig en smutsig arab", "sv", Flag.DISCRIMINATION),
        ("De kaldte mig en beskidt araber", "da", Flag.DISCRIMINATION),
        ("My son, who is 4, was burnt", "en", Flag.INJURY),
        ("Sønnen min, som er 4, ble brent", "nb", Flag.INJURY),
        ("Min son, som är 4, blev bränd", "sv", Flag.INJURY),
        ("Min søn, som er 4, blev brændt", "da", Flag.INJURY),
        ("Fisken var rå og jeg ble syk", "nb", Flag.INJURY),
        ("Maten var rå, og kona mi ble syk", "nb", Flag.INJURY),
        ("Vi ble alle syke om natten", "nb", Flag.INJURY),
        ("Vi blev alla sjuka på natten", "sv", Flag.INJURY),
        ("Vi blev alle syge om natten", "da", Flag.INJURY),
        ("My son was bur-\nnt by the soup", "en", Flag.INJURY),
        ("We had dinner, and then my son was\nburnt by the soup", "en", Flag.INJURY),
    ],
)
def test_what_is_said_indirectly_raises_its_flag(text: str, language: str, flag: Flag) -> None:
    assert flag in triage().understand(text, language).flags


MISSING = [
    ("Our son is missing", "en"),
    ("Our child went missing", "en"),
    ("We cannot find our daughter", "en"),
    ("Our child has been missing for an hour", "en"),
    ("The guest in the wheelchair is gone and nobody looks for him", "en"),
    ("Grandma never came back from the excursion", "en"),
    ("Please help us find our little boy!", "en"),
    ("We lost sight of our little girl at the pool", "en"),
    ("Our daughter is missing, her bed is empty", "en"),
    ("Barnet vårt er borte", "nb"),
    ("Barnet vårt har vært borte i en time", "nb"),
    ("Vi finner ikke datteren vår", "nb"),
    ("Gjesten i rullestolen er borte", "nb"),
    ("Sønnen vår på fire år er borte", "nb"),
    ("Mannen min kom aldri tilbake fra utflukten", "nb"),
    ("Vårt barn är försvunnet", "sv"),
    ("Vårt barn har varit borta i en timme", "sv"),
    ("Vi hittar inte vår dotter", "sv"),
    ("Vi hittar inte vår lilla dotter", "sv"),
    ("Min man kom aldrig tillbaka från utflykten", "sv"),
    ("Mormor har försvunnit från fartyget", "sv"),
    ("Vores barn er væk", "da"),
    ("Vores barn har været væk i en time", "da"),
    ("Vi kan ikke finde vores datter", "da"),
    ("Vores dreng er blevet væk", "da"),
]


@pytest.mark.parametrize(("text", "language"), MISSING)
def test_somebody_who_is_missing_is_in_danger_and_no_lost_baggage(text: str, language: str) -> None:
    said = triage().understand(text, language)
    assert Flag.DANGER in said.flags
    assert (said.safety, said.category, said.severity) == (True, Category.SAFETY, Severity.SEVERE)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Our bag is missing", "en"),
        ("My son's suitcase is missing", "en"),
        ("My wife is missing her suitcase", "en"),
        ("We miss our waiter from last year", "en"),
        ("We could not find our son's jacket", "en"),
        ("You have lost sight of what service means", "en"),
        ("My husband did not come to dinner because it was too loud", "en"),
        ("Missing child seat in the shuttle", "en"),
        ("Kofferten til sønnen min er borte", "nb"),
        ("Vi savner servitøren vår fra i fjor", "nb"),
        ("Kelneren var borte i en halv time", "nb"),
        ("Min sons väska är borta", "sv"),
        ("Barnen saknade ett lekrum", "sv"),
        ("Min søns kuffert er væk", "da"),
        ("Min kone kan ikke finde sin kuffert", "da"),
        ("Jeg savnet barna hjemme", "nb"),
        ("De kom klokka seks for å vekke barna", "nb"),
        ("Kaffet smakade inte min man", "sv"),
        ("Hytten städas aldrig när man är borta", "sv"),
        ("Jag har saknat barnen hela resan", "sv"),
        ("Jeg har savnet børnene hele turen", "da"),
    ],
)
def test_a_thing_that_is_missing_is_no_danger(text: str, language: str) -> None:
    assert not triage().understand(text, language).safety


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("We were stuck in a queue for the lift for an hour.", "en"),
        ("Vi sad fast i køen til elevatoren i en time.", "da"),
        ("Appen følger etter meg med reklame overalt.", "nb"),
        ("Biffen var så dyr att det var ett slag i ansiktet på plånboken.", "sv"),
        ("You will regret losing a customer who comes every summer.", "en"),
        ("Dere kommer til å angre på at dere mister en kunde.", "nb"),
        ("De truet med å stenge baren klokka ti.", "nb"),
        ("The physio in the spa was fully booked, and so was the chiropractor.", "en"),
        ("Sjukgymnasten och kiropraktorn på spa var fullbokade.", "sv"),
        ("Kiropraktoren i spaet kom for sent.", "nb"),
        ("Fysioterapeuten i spaet havde ingen tid.", "da"),
        ("Our peanut-sized room had no window, and the pillow was egg-shaped.", "en"),
        ("Rummet var i jordnötsstorlek.", "sv"),
        ("Værelset var på størrelse med en peanut.", "da"),
        ("The waiter followed us to our table.", "en"),
        ("Follow me on Instagram, I will post how cold the soup was.", "en"),
        ("The smell of fish followed us everywhere.", "en"),
        ("Kelneren fulgte meg til bordet.", "nb"),
        ("Oturen förföljde oss hela resan.", "sv"),
        ("Lugten af fisk fulgte os overalt.", "da"),
        ("None of us has any allergies, we simply dislike mushrooms.", "en"),
        ("Ingen i familien lider af allergi.", "da"),
        ("Prisen på parkering er et overfall på lommeboka.", "nb"),
        ("Jeg faldt i snak med barchefen.", "da"),
    ],
)
def test_a_figure_of_speech_alarms_nobody(text: str, language: str) -> None:
    assert not triage().understand(text, language).safety


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Nobody could say there was no fire.", "en"),
        ("There was no fire exit on our deck.", "en"),
        ("You do not have a nut allergy menu, and my son is allergic.", "en"),
        ("I do not have a nut allergy but my daughter does.", "en"),
        ("Jeg har ikke nøtteallergi, men datteren min har det.", "nb"),
        ("Sønnen min brant seg ikke, men datteren gjorde det.", "nb"),
        ("Jag har inte nötallergi, men min dotter har det.", "sv"),
        ("Jeg har ikke nøddeallergi, men min datter har det.", "da"),
        ("Ingen kunne si at det ikke var brann.", "nb"),
        ("Sønnen min brant seg, ikke lite heller.", "nb"),
        ("we asked whether somebody could come and they said no\nmy son was burnt", "en"),
        ("ville noen hjelpe oss? Nei\nsønnen min ble brent", "nb"),
        ("Han truet meg, og ingen hjalp.", "nb"),
        ("Ingen kunde säga att det inte brann.", "sv"),
        ("Ingen kunne sige, at det ikke brændte.", "da"),
    ],
)
def test_a_negation_of_something_else_takes_no_danger_back(text: str, language: str) -> None:
    assert triage().understand(text, language).safety


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("My toddler nearly fell overboard", "en"),
        ("Den lille jenta vår falt nesten over bord", "nb"),
        ("Vår lilla flicka ramlade nästan överbord", "sv"),
        ("Vores lille pige faldt næsten over bord", "da"),
    ],
)
def test_whoever_nearly_falls_overboard_is_in_danger_and_threatened_by_nobody(
    text: str, language: str
) -> None:
    flags = triage().understand(text, language).flags
    assert (Flag.DANGER in flags, Flag.THREAT in flags) == (True, False)


def test_danger_among_praise_is_a_complaint() -> None:
    text = "Lovely crew, great food, wonderful trip, and my mother got burned in the sauna."
    assert triage().understand(text, "en").intent is Intent.COMPLAINT
