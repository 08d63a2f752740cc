"""What the words of a complaint say, from the entries of a lexicon that are in them: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

from shared.contracts.complaints import (
    Category,
    Flag,
    Intent,
    JourneyStep,
    Remedy,
    Service,
    Severity,
)

#: A heading of the lexicon and a name under it: ("baggage", "lost"), ("flag", "allergy"), ("mood", "strong").
Column = tuple[str, str]

#: Flags that mean that a person may be in danger: they decide the category, and the complaint is severe.
SAFETY_FLAGS = frozenset({Flag.INJURY, Flag.ALLERGY, Flag.DISCRIMINATION, Flag.THREAT, Flag.DANGER})
#: Entries that one reason shows.
SHOWN_MAX = 5
_MOODS: tuple[Column, ...] = (("mood", "strong"), ("mood", "weak"), ("mood", "praise"))
#: By how much a count is certain: one hit alone is 0.5, two are 0.67.
_DOUBT = 1.0
#: So many words of praise make it plain: "great" alone also stands in front of what went wrong.
PLAIN_FROM = 2


class Found(NamedTuple):
    """The entries of a lexicon that are in a text, by column, each once; and what they weigh together."""

    words: Mapping[Column, Sequence[str]]
    weights: Mapping[Column, float]
    asks: bool


class Lexicon(Protocol):
    """The words of all languages."""

    def find(self, text: str, language: str) -> Found:
        """Find the entries that count in a text of this language; flags of the other languages too."""


class Because(NamedTuple):
    """Why something was decided: the rule, the entries of the lexicon that it found, and how sure it is (0 to 1)."""

    rule: str
    words: tuple[str, ...]
    confidence: float


class Praise(Enum):
    """Whether words praise and do no more than that."""

    #: Something in them complains, warns, asks, or says what went wrong.
    MIXED = "mixed"
    #: Nothing does, and too little praises to be sure.
    BLAMELESS = "blameless"
    #: Nothing does, and several words praise.
    PLAIN = "plain"


class Understood(NamedTuple):
    """What the words of a complaint say; `safety` means that a person may be in danger.

    `subcategory` is the lexicon's name under the category, None for no further. `service` is the service that failed,
    None if the words do not say. `unsupported_language`: the words are in none of ours. `scores` has what the words weigh, by subcategory ("baggage.lost") and by
    category ("baggage").
    """

    category: Category
    severity: Severity
    safety: bool
    service: Service | None = None
    subcategory: str | None = None
    intent: Intent = Intent.NONE
    step: JourneyStep | None = None
    remedy: Remedy | None = None
    flags: tuple[Flag, ...] = ()
    reasons: tuple[Because, ...] = ()
    scores: Mapping[str, float] = {}
    praise: Praise = Praise.MIXED
    unsupported_language: bool = False


def understand(text: str, language: str, lexicon: Lexicon) -> Understood:
    """What one complaint says, by its words; never raises.

    Danger to a person decides the category and is severe. Otherwise the category whose entries weigh most wins, the
    earlier one of `Category` on a tie; a wait for food counts as food, and a waiter's conduct as staff. An
    unknown language is read as English.
    """
    found = lexicon.find(text, language)
    weights = _by_heading(found)
    raised = weights.get("flag")
    flags = tuple(flag for name, flag in _FLAGS.items() if name in raised) if raised else ()
    safety = not SAFETY_FLAGS.isdisjoint(flags)
    scores = _scores(weights)
    most = _heaviest(scores)
    category = Category.SAFETY if safety else _meant(most, found, scores)
    subcategory = _subcategory(category, scores)
    severity = Severity.SEVERE if safety else _severity(most, found)
    step, remedy = _most(weights.get("step"), _STEPS), _most(weights.get("remedy"), _REMEDIES)
    intent = Intent.COMPLAINT if safety else _intent(found, scores)
    return Understood(
        category,
        severity,
        safety,
        None if safety else _service(category, found),
        subcategory,
        intent,
        step,
        remedy,
        flags,
        _reasons(found, category, subcategory, flags, step, remedy),
        scores,
        _praise(found, flags, scores, remedy),
    )


def is_praise(understood: Understood, *, stated: bool) -> bool:
    """Whether words are praise and nothing else; `stated` if whoever sent them said so.

    Words that also complain, warn, ask for something or name what went wrong are none, whatever was stated, nor are
    those in a language that is not read here. Where nothing was stated, one word of praise is too little.
    """
    unread = understood.unsupported_language
    if unread or understood.safety or understood.praise is Praise.MIXED:
        return False
    if stated:
        return True
    return understood.praise is Praise.PLAIN and understood.intent is Intent.PRAISE


def as_chosen(understood: Understood, chosen: Category | None) -> Understood:
    """What a complaint says whose customer chose its category; danger in the words goes before, and `other` is no choice."""
    if understood.safety or chosen in (None, Category.OTHER, understood.category):
        return understood
    because = Because("chosen", (), 1.0)
    safety = chosen is Category.SAFETY
    return understood._replace(
        category=chosen,
        severity=Severity.SEVERE if safety else understood.severity,
        safety=safety,
        service=Service.MEAL if chosen is Category.FOOD else None,
        subcategory=_subcategory(chosen, understood.scores),
        intent=Intent.COMPLAINT if safety else understood.intent,
        reasons=(because, *understood.reasons),
    )


def _by_heading(found: Found) -> dict[str, dict[str, float]]:
    """The weights of what was found, by heading and name."""
    weights: dict[str, dict[str, float]] = {}
    for (heading, name), weight in found.weights.items():
        if heading in weights:
            weights[heading][name] = weight
        else:
            weights[heading] = {name: weight}
    return weights


def _scores(weights: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What the words weigh by category and by subcategory."""
    scores: dict[str, float] = {}
    for heading, names in weights.items():
        if heading in _CATEGORIES:
            scores[heading] = sum(names.values())
            for name, weight in names.items():
                scores[f"{heading}.{name}"] = weight
    return scores


_STEPS = {step.value: step for step in JourneyStep}
_REMEDIES = {remedy.value: remedy for remedy in Remedy}
_FLAGS = {flag.value: flag for flag in Flag}
#: `other` is what no word speaks of, and `safety` is what flags decide.
_CATEGORIES = {
    category.value: category
    for category in Category
    if category not in {Category.SAFETY, Category.OTHER}
}
#: The name of the entries of a category that say no more than the category.
GENERAL = "general"


def _heaviest(scores: Mapping[str, float]) -> Category:
    """What most words are about; the earlier category on a tie."""
    most, found = 0.0, Category.OTHER
    for name, category in _CATEGORIES.items():
        if name in scores and scores[name] > most:
            most, found = scores[name], category
    return found


def _meant(category: Category, found: Found, scores: Mapping[str, float]) -> Category:
    """What somebody complains of whose words are mostly about `category`: food, also if they waited for it."""
    if category is Category.DELAY and scores.get(Category.FOOD) and not _travelled(found):
        return Category.FOOD
    if category is Category.FOOD and scores.get(Category.STAFF):
        serving = found.words.get(("sign", "serving"), ())
        food = {
            word for (over, _), words in found.words.items() if over == category for word in words
        }
        return Category.STAFF if food <= set(serving) else category
    return category


def _subcategory(category: Category, scores: Mapping[str, float]) -> str | None:
    """What most words of the category say in particular; the first in the lexicon on a tie."""
    if category.value not in scores:
        return None
    under = category.value + "."
    most, best = 0.0, None
    for name, score in scores.items():
        if score > most and name.startswith(under) and name != under + GENERAL:
            most, best = score, name.removeprefix(under)
    return best


def _travelled(found: Found) -> bool:
    """Whether words speak of the journey itself."""
    return ("sign", "journey") in found.words or ("sign", "called_off") in found.words


def _severity(category: Category, found: Found) -> Severity:
    """How bad it is, where nobody is in danger; `category` is what most words are about."""
    strong = len(found.words.get(("mood", "strong"), ()))
    weak = len(found.words.get(("mood", "weak"), ()))
    if strong >= 2 or (strong and weak >= 2):
        return Severity.SEVERE
    long = category is Category.DELAY and ("sign", "hours") in found.words
    return Severity.MODERATE if strong or weak or long else Severity.MILD


def _service(category: Category, found: Found) -> Service | None:
    """The service that failed: for a wait the one waited for, for food the meal; None if no word says it."""
    if category is Category.FOOD:
        return Service.MEAL
    if category is not Category.DELAY:
        return None
    if ("sign", "journey") in found.words:
        return Service.DEPARTURE
    if ("sign", "tour") in found.words:
        return Service.EXCURSION
    return Service.DEPARTURE if ("sign", "called_off") in found.words else None


def _intent(found: Found, scores: Mapping[str, float]) -> Intent:
    """Whether somebody complains, praises or asks, where nobody is in danger."""
    bad = 2 * found.weights.get(("mood", "strong"), 0) + found.weights.get(("mood", "weak"), 0)
    good = found.weights.get(("mood", "praise"), 0)
    if bad > good:
        return Intent.COMPLAINT
    if good > bad:
        return Intent.PRAISE
    if found.asks:
        return Intent.QUESTION
    return Intent.COMPLAINT if bad or scores else Intent.NONE


def _praise(
    found: Found, flags: Sequence[Flag], scores: Mapping[str, float], remedy: Remedy | None
) -> Praise:
    """Whether the words do no more than praise: a particular that goes wrong, a wish or a question is more."""
    wishes = remedy not in (None, Remedy.NOTHING)
    if flags or wishes or found.asks or not _BLAME.isdisjoint(found.words):
        return Praise.MIXED
    if any("." in name and not name.endswith("." + GENERAL) for name in scores):
        return Praise.MIXED
    good = found.weights.get(("mood", "praise"), 0)
    return Praise.PLAIN if good >= PLAIN_FROM else Praise.BLAMELESS


#: What stands in words that complain.
_BLAME: frozenset[Column] = frozenset(
    {
        ("mood", "strong"),
        ("mood", "weak"),
        ("sign", "called_off"),
        ("sign", "hours"),
        ("sign", "contrast"),
    }
)

Choice = TypeVar("Choice", JourneyStep, Remedy)


def _most(weights: Mapping[str, float] | None, among: Mapping[str, Choice]) -> Choice | None:
    """The one of which most is found; the earlier one on a tie, None if no word speaks of any."""
    if not weights:
        return None
    return among[max(among, key=lambda name: weights.get(name, 0.0))]


def _reasons(
    found: Found,
    category: Category,
    subcategory: str | None,
    flags: Sequence[Flag],
    step: JourneyStep | None,
    remedy: Remedy | None,
) -> tuple[Because, ...]:
    """Why: for everything that was decided, the entries that decided it."""
    columns: list[Column] = [("flag", flag.value) for flag in flags]
    if subcategory is not None:
        columns.append((category.value, subcategory))
    columns += (category.value, GENERAL), *_MOODS
    if step is not None:
        columns.append(("step", step.value))
    if remedy is not None:
        columns.append(("remedy", remedy.value))
    reasons = []
    for column in columns:
        if column in found.words:
            words, weight = found.words[column], found.weights[column]
            sure = weight / (weight + _DOUBT)
            reasons.append(Because(".".join(column), tuple(words[:SHOWN_MAX]), sure))
    return tuple(reasons)
