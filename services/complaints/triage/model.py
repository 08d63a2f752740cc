"""A linear model on top of the rules: weights of words as JSON, which the operator trains and the service reads at start.

A head decides one thing for texts of one language. Each of its labels has a score: a bias, the weights of the text's
features over the square root of how many are known, and the weights of what the rules found. The rules keep the
last word: what they flag stands, and so does what they say where the model is not sure enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from heapq import nsmallest
from math import exp, fsum, sqrt
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from services.complaints.triage.features import WORD_MAX, features, signs
from services.complaints.triage.rules import GENERAL, SAFETY_FLAGS, Because, Understood
from shared.contracts.complaints import Category, Intent, Language, Service, Severity
from shared.runtime.strict_yaml import BrokenFile, Problem

#: The form of the file; a file of another is refused.
SCHEMA = 1
#: Four languages with three heads each, at the most features, are about 12 MB.
FILE_BYTES_MAX = 16 * 1024 * 1024
#: Features of a head. More make the file longer and the labels hardly surer.
FEATURES_MAX = 12_000
#: Signs that the rules can give: subcategories, and the closed lists.
SIGNS_MAX = 500
LABELS_MAX = 60
#: Beyond this a weight is a mistake.
WEIGHT_MAX = 1_000.0
#: Words that a reason names, as the rules' reasons do.
SHOWN_MAX = 5

#: What a head decides.
Decides = Literal["category", "intent", "severity"]
Weight = Annotated[float, Field(ge=-WEIGHT_MAX, le=WEIGHT_MAX, allow_inf_nan=False)]
Row = Annotated[tuple[Weight, ...], Field(max_length=LABELS_MAX)]
#: A category, with a subcategory behind a dot; an intent; a severity.
Label = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}(\.[a-z_]{1,40})?$")]
#: A word, two words, or a part of one.
Feature = Annotated[str, StringConstraints(min_length=1, max_length=2 * WORD_MAX + 1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True)


class Measured(Part):
    """How well a head did on rows that its training did not see, beside the rules alone."""

    rows: int = Field(ge=0, description="Rows that it was measured on.")
    accuracy: Share = Field(description="Share of rows with the right label, by rules and model.")
    macro_f1: Share = Field(
        description="Mean over labels of the harmonic mean of precision and recall."
    )
    rules_accuracy: Share = Field(description="The same share by the rules alone.")
    rules_macro_f1: Share = Field(description="The same mean by the rules alone.")


class Head(Part):
    """The weights that decide one thing for texts of one language."""

    decides: Decides = Field(description="What it decides.")
    language: Language = Field(description="The language of the texts that it knows.")
    labels: Annotated[tuple[Label, ...], Field(min_length=2, max_length=LABELS_MAX)] = Field(
        description="What it chooses from."
    )
    bias: Row = Field(description="One number per label.")
    features: Annotated[dict[Feature, Row], Field(max_length=FEATURES_MAX)] = Field(
        description="Weights per label of words, pairs of words and parts of words."
    )
    signs: Annotated[dict[Feature, Row], Field(max_length=SIGNS_MAX)] = Field(
        description="Weights per label of what the rules found."
    )
    confident: Share = Field(description="Below this confidence the rules decide.")
    rows: int = Field(ge=1, description="Rows that it was trained on.")
    measured: Measured

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Each row has one weight per label, and each label is one of ours that may be learnt."""
        for name, row in (("bias", self.bias), *self.features.items(), *self.signs.items()):
            if len(row) != len(self.labels):
                raise ValueError(f'"{name}" has {len(row)} weights for {len(self.labels)} labels')
        for label in self.labels:
            if not learnable(self.decides, label):
                raise ValueError(f'"{label}" is no {self.decides} that a model may choose')
        return self


class Card(Part):
    """Where a model comes from; the heads say how good it is."""

    trained_on: date
    history: Annotated[str, StringConstraints(max_length=500)] = Field(
        description="Which texts it was trained on and under which licence, in the operator's words."
    )
    seed: int = Field(description="Of the split into rows for training and rows for measuring.")
    held_share: Share = Field(description="Share of the rows that were kept for measuring.")
    customers_min: int = Field(
        ge=5, description="Customers who used a word before it got a weight."
    )


class ModelFile(Part):
    """The whole file."""

    version: Literal[1]
    card: Card
    heads: Annotated[tuple[Head, ...], Field(min_length=1, max_length=12)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len({(head.decides, head.language) for head in self.heads}) < len(self.heads):
            raise ValueError("two heads decide the same for one language")
        return self


class Answer(NamedTuple):
    """What a head says of a text: its label, how sure it is (0 to 1), and the words that weighed most for the label."""

    label: str
    confidence: float
    words: tuple[str, ...]


def learnable(decides: Decides, label: str) -> bool:
    """Whether a label is one of ours that a model may choose: all but safety, which flags decide.

    "general" is no subcategory: the category alone says as much.
    """
    if decides == "category":
        category, _, subcategory = label.partition(".")
        return category in set(Category) - {Category.SAFETY} and subcategory != GENERAL
    return label in set(Intent if decides == "intent" else Severity)


class Model:
    """The heads of a file. Reading a text never blocks."""

    def __init__(self, file: ModelFile) -> None:
        self.card = file.card
        self.heads: Mapping[tuple[Decides, str], Head] = {
            (head.decides, head.language): head for head in file.heads
        }

    def improve(self, text: str, language: str, understood: Understood) -> Understood:
        """What a text says by rules and model together; unchanged for a language without heads."""
        heads = [head for (_, of), head in self.heads.items() if of == language]
        if not heads:
            return understood
        found, signed = features(text), signs(understood)
        for head in heads:
            answer = answer_of(head, found, signed)
            if answer.confidence >= head.confident:
                understood = merged(understood, head, answer)
        return understood


def scores(head: Head, found: Collection[str], signed: Collection[str]) -> list[float]:
    """The score of each label, in the order of the head's labels."""
    known = [row for one in found if (row := head.features.get(one))]
    signs = [row for sign in signed if (row := head.signs.get(sign))]
    # fsum, so that the order of a set changes nothing.
    rules = [fsum(column) for column in zip(head.bias, *signs, strict=True)]
    if not known:
        return rules
    share = 1 / sqrt(len(known))
    words = zip(*known, strict=True)
    return [fsum(column) * share + rest for column, rest in zip(words, rules, strict=True)]


def answer_of(head: Head, found: Collection[str], signed: Collection[str]) -> Answer:
    """What a head says of a text's features and of what the rules found in it."""
    each = [_likely(score) for score in scores(head, found, signed)]
    best = each.index(max(each))
    return Answer(head.labels[best], each[best] / sum(each), _shown(head, best, found))


def _likely(score: float) -> float:
    """A score as a number between 0 and 1; never 0, so that shares of a sum exist."""
    return 1 / (1 + exp(-max(-50.0, min(50.0, score))))


def _shown(head: Head, label: int, found: Iterable[str]) -> tuple[str, ...]:
    """The words that weighed most for a label; parts of words only where no whole word did."""
    weights = [
        (-row[label], one) for one in found if (row := head.features.get(one)) and row[label] > 0
    ]
    whole = [pair for pair in weights if "-" not in pair[1]]
    return tuple(one for _, one in nsmallest(SHOWN_MAX, whole or weights))


def weights_of(head: Head, label: int, found: Iterable[str]) -> list[tuple[str, float]]:
    """What each feature of a text adds to the score of a label, the most first, then by the alphabet."""
    known = [one for one in found if one in head.features]
    weights = [(one, head.features[one][label] / sqrt(len(known))) for one in known]
    return sorted(weights, key=lambda pair: (-pair[1], pair[0]))


def merged(understood: Understood, head: Head, answer: Answer) -> Understood:
    """What the rules understood, with what a head is sure of in its place.

    Every flag stands, and danger keeps its category, its severity and that it is a complaint. A subcategory that the
    head could have chosen and did not is none.
    """
    if understood.safety or not SAFETY_FLAGS.isdisjoint(understood.flags):
        return understood
    why = Because(f"model.{head.decides}.{answer.label}", answer.words, round(answer.confidence, 2))
    learnt = understood._replace(reasons=(*understood.reasons, why))
    if head.decides == "severity":
        return learnt._replace(severity=Severity(answer.label))
    if head.decides == "intent":
        return learnt._replace(intent=Intent(answer.label))
    name, _, subcategory = answer.label.partition(".")
    category = Category(name)
    if category is understood.category:
        unasked = f"{name}.{understood.subcategory}" not in head.labels
        kept = understood.subcategory if unasked else None
        return learnt._replace(subcategory=subcategory or kept)
    service = Service.MEAL if category is Category.FOOD else None
    return learnt._replace(category=category, subcategory=subcategory or None, service=service)


def load(path: Path) -> Model:
    """The model in a file; raises BrokenFile unless all of it is right. Reads the file."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _broken(path, f"cannot be read: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise _broken(path, f"is larger than {FILE_BYTES_MAX} bytes")
    try:
        return Model(ModelFile.model_validate_json(raw, strict=True, extra="forbid"))
    except ValidationError as error:
        # The first mistake alone: a damaged file has thousands. Never its value, which is a word of a text.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"][:4]))
        why = first["msg"].removeprefix("Value error, ")
        raise _broken(path, why, where) from None


def _broken(path: Path, why: str, where: str = "") -> BrokenFile:
    return BrokenFile(path, [Problem(1, 1, where, why)])
