"""How good rules and model are on rows whose labels are known: the share that is right, and macro-F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from services.complaints.triage.features import features, signs
from services.complaints.triage.history import Example
from services.complaints.triage.model import Decides, Head, answer_of, merged
from services.complaints.triage.rules import Understood
from shared.contracts.complaints import Intent

#: What is compared, as tables name it.
RULES, WITH_MODEL = "rules alone", "with the model"


class Seen(NamedTuple):
    """An example as a model sees it."""

    example: Example
    understood: Understood
    features: tuple[str, ...]
    signs: set[str]


def look(
    examples: Iterable[Example],
    understand: Callable[[str, str], Understood],
    names: Iterable[str],
) -> list[Seen]:
    """Examples with those of their features that have a name, and with what the rules understand."""
    # One string for each name, however many texts have it.
    named = {name: name for name in names}
    found = []
    for example in examples:
        understood = understand(example.text, example.language)
        known = tuple(named[one] for one in features(example.text) if one in named)
        found.append(Seen(example, understood, known, signs(understood)))
    return found


class Quality(NamedTuple):
    """The share of rows with the right label, and the mean over labels of their F1 score."""

    rows: int
    accuracy: float
    macro_f1: float


def quality(right: Sequence[str], said: Sequence[str]) -> Quality:
    """The quality of answers, over the labels that are right somewhere; all 0 for no rows."""
    hits = Counter(label for label, answer in zip(right, said, strict=True) if label == answer)
    wanted, given = Counter(right), Counter(said)
    # Twice the hits over all that were wanted and all that were given: precision and recall in one number.
    scores = [2 * hits[label] / (wanted[label] + given[label]) for label in wanted]
    rows = len(right)
    return Quality(
        rows, hits.total() / rows if rows else 0.0, sum(scores) / len(scores) if scores else 0.0
    )


def said_by(understood: Understood, decides: Decides, labels: Collection[str]) -> str:
    """What was understood as one of a head's labels, so that both can be compared.

    A subcategory that is no label counts as its category. An intent that is no label, as praise where rows know
    only complaints and others, counts as one that is no complaint.
    """
    if decides == "severity":
        return understood.severity
    if decides == "intent":
        others = sorted(label for label in labels if label != Intent.COMPLAINT)
        known = understood.intent in labels or understood.intent is Intent.COMPLAINT or not others
        return understood.intent if known else others[0]
    whole = f"{understood.category}.{understood.subcategory}"
    return whole if whole in labels else understood.category


def compare(head: Head, held: Iterable[Seen]) -> Mapping[str, Quality]:
    """The quality of the rules alone and with a head, on rows of its language; a label that it lacks counts as well."""
    rows = [
        one
        for one in held
        if head.decides in one.example.labels and one.example.language is head.language
    ]
    right = [one.example.labels[head.decides] for one in rows]
    alone = [said_by(one.understood, head.decides, head.labels) for one in rows]
    return {
        RULES: quality(right, alone),
        WITH_MODEL: quality(right, [_said(head, one) for one in rows]),
    }


def _said(head: Head, one: Seen) -> str:
    """What rules and a head say together of one text."""
    answer = answer_of(head, one.features, one.signs)
    sure = answer.confidence >= head.confident
    understood = merged(one.understood, head, answer) if sure else one.understood
    return said_by(understood, head.decides, head.labels)
