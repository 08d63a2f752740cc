"""Trains a model on an operator's history. Needs scikit-learn: requirements-train.txt.

For each head: a logistic regression per label against all others. Before that each feature is scaled by how much
more often texts of the label have it than others (Naive Bayes), which needs fewer rows than the regression alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from services.complaints.triage.features import CUSTOMERS_MIN, vocabulary
from services.complaints.triage.history import DECIDES, Example, split
from services.complaints.triage.model import (
    FEATURES_MAX,
    SIGNS_MAX,
    Card,
    Decides,
    Head,
    Measured,
    ModelFile,
    answer_of,
    merged,
)
from services.complaints.triage.quality import (
    RULES,
    WITH_MODEL,
    Quality,
    Seen,
    compare,
    look,
    quality,
    said_by,
)
from services.complaints.triage.rules import Understood
from shared.contracts.complaints import Language

#: Rows of a head, and customers of a label, below which there is nothing to learn.
ROWS_MIN, LABEL_CUSTOMERS_MIN = 200, 20
#: Inverse strength of regularisation, chosen on three data sets, as the next ones. Twice or half of it changes little.
STRENGTH = 6.0
#: How far features are scaled: 0 not at all, 1 by Naive Bayes alone.
SCALED = 0.7
#: What is added to counts, so that a word that was never seen with a label is not impossible.
SMOOTH = 1.0
#: Between rows that weigh the same (0) and labels that weigh the same (1).
BALANCED = 0.5
#: A sign of the rules in relation to a word.
SIGN_VALUE = 0.15
#: Decimals of a weight in the file: a thousandth of what decides.
DECIMALS = 3
#: Share of the rows to train on that the confidence is chosen on.
TUNING_SHARE = 0.2
CONFIDENCES = tuple(step / 20 for step in range(20))
#: Share of the rows by which two confidences differ by chance.
CHANCE = 0.005

Tell = Callable[[str], object]
Matrix = Any  # sparse.csr_matrix, which has no types


def train(
    examples: Sequence[Example],
    understand: Callable[[str, str], Understood],
    *,
    seed: int,
    held_share: float,
    history: str,
    today: date,
    tell: Tell,
) -> ModelFile:
    """A model of all heads that are better than the rules alone; raises ValueError if there is none.

    `tell` gets a sentence for each head as it is ready, also for one that is left out because the rules are right for
    as many rows that it did not see. Takes seconds per ten thousand rows.
    """
    heads: list[Head] = []
    left_out = 0
    for head, _, _ in trained(*split(examples, seed, held_share), understand):
        seen = head.measured
        if seen.accuracy <= seen.rules_accuracy:
            left_out += 1
            tell(
                f"{head.language} {head.decides} is left out: it is right for {seen.accuracy:.1%} of the rows that were"
                f" kept from it, and the rules alone for {seen.rules_accuracy:.1%}"
            )
            continue
        heads.append(head)
        tell(
            f"{head.language} {head.decides}: {head.rows} rows, {len(head.labels)} labels,"
            f" {len(head.features)} words and parts"
        )
    if left_out and not heads:
        raise ValueError("no head is better than the rules alone")
    if not heads:
        raise ValueError(
            f"no head has {ROWS_MIN} rows of a language and two labels of {LABEL_CUSTOMERS_MIN} customers each"
        )
    card = Card(
        trained_on=today,
        history=history,
        seed=seed,
        held_share=held_share,
        customers_min=CUSTOMERS_MIN,
    )
    return ModelFile(version=1, card=card, heads=tuple(heads))


def trained(
    to_train: Sequence[Example],
    to_measure: Sequence[Example],
    understand: Callable[[str, str], Understood],
) -> Iterator[tuple[Head, list[Seen], list[Seen]]]:
    """Each head that there are enough rows for, with the rows that it was trained and measured on."""
    for language in Language:
        own = [one for one in to_train if one.language is language]
        names = vocabulary((one.customer, one.text) for one in own)
        seen = look(own, understand, names)
        held = look((one for one in to_measure if one.language is language), understand, names)
        for decides in DECIDES:
            head = train_head(seen, held, names, decides, language)
            if head is not None:
                yield head, seen, held


def train_head(
    seen: Sequence[Seen],
    held: Sequence[Seen],
    names: Sequence[str],
    decides: Decides,
    language: Language,
) -> Head | None:
    """The head that decides one thing, measured on the held rows; None if there are too few rows."""
    labels = labels_of(seen, decides)
    rows = [one for one in seen if one.example.labels.get(decides) in labels]
    if len(rows) < ROWS_MIN or len(labels) < 2:
        return None
    # The confidence is chosen on rows that this first fit does not see.
    _, tuning = split([one.example for one in rows], 0, TUNING_SHARE)
    kept = {id(one) for one in tuning}
    trial = fit(
        [one for one in rows if id(one.example) not in kept], names, decides, labels, language
    )
    confident = _confidence(trial, [one for one in rows if id(one.example) in kept])
    head = fit(rows, names, decides, labels, language).model_copy(update={"confident": confident})
    return head.model_copy(update={"measured": measured(head, held)})


def labels_of(seen: Iterable[Seen], decides: Decides) -> list[str]:
    """The labels that enough different customers have, by the alphabet."""
    pairs = {
        (one.example.customer, one.example.labels[decides])
        for one in seen
        if decides in one.example.labels
    }
    counts = Counter(label for _, label in pairs)
    return sorted(label for label, count in counts.items() if count >= LABEL_CUSTOMERS_MIN)


def fit(
    rows: Sequence[Seen],
    names: Sequence[str],
    decides: Decides,
    labels: Sequence[str],
    language: Language,
) -> Head:
    """The weights of a head, fitted twice: to find the heaviest features, and then with those alone."""
    signed = sorted({sign for one in rows for sign in one.signs})[:SIGNS_MAX]
    right = [one.example.labels[decides] for one in rows]
    weights, _ = _regress(rows, names, signed, right, labels)
    heavy = np.abs(weights[: len(names)]).max(axis=1)
    strongest = np.argsort(-heavy, kind="stable")[:FEATURES_MAX]
    chosen = [names[at] for at in sorted(strongest)]
    weights, bias = _regress(rows, chosen, signed, right, labels)
    table = [tuple(map(float, row)) for row in weights.round(DECIMALS)]
    return Head(
        decides=decides,
        language=language,
        labels=tuple(labels),
        bias=tuple(map(float, bias.round(DECIMALS))),
        features={
            name: row for name, row in zip(chosen, table[: len(chosen)], strict=True) if any(row)
        },
        signs=dict(zip(signed, table[len(chosen) :], strict=True)),
        confident=0,
        rows=len(rows),
        measured=Measured(rows=0, accuracy=0, macro_f1=0, rules_accuracy=0, rules_macro_f1=0),
    )


def _regress(
    rows: Sequence[Seen],
    names: Sequence[str],
    signed: Sequence[str],
    right: Sequence[str],
    labels: Sequence[str],
) -> tuple[Matrix, Matrix]:
    """Weights by feature and label, signs behind the features, and the bias by label."""
    values = matrix(rows, names, signed)
    has = (values > 0).astype(float)
    weights, bias = [], []
    for label in labels:
        chosen = np.array([one == label for one in right])
        scale = _scales(has, chosen)
        scale[len(names) :] = SIGN_VALUE
        share = chosen.mean()
        model = LogisticRegression(
            C=STRENGTH,
            solver="liblinear",
            class_weight={True: (0.5 / share) ** BALANCED, False: (0.5 / (1 - share)) ** BALANCED},
            random_state=0,
            max_iter=300,
        ).fit(values @ sparse.diags(scale), chosen)
        weights.append(model.coef_[0] * scale)
        bias.append(model.intercept_[0])
    return np.array(weights).T, np.array(bias)


def _scales(has: Matrix, chosen: Matrix) -> Matrix:
    """How much more often rows of a label have each feature, as a logarithm, mixed with its sign."""
    within = SMOOTH + np.asarray(has[chosen].sum(axis=0)).ravel()
    without = SMOOTH + np.asarray(has[~chosen].sum(axis=0)).ravel()
    ratio = np.log(within / within.sum()) - np.log(without / without.sum())
    return SCALED * ratio + (1 - SCALED) * np.where(ratio > 0, 1.0, -1.0)


def matrix(rows: Sequence[Seen], names: Sequence[str], signed: Sequence[str]) -> Matrix:
    """Rows as the model scores them: features over the square root of how many are known, and signs as they are."""
    at = {name: place for place, name in enumerate(names)}
    behind = {sign: len(names) + place for place, sign in enumerate(signed)}
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for one in rows:
        known = sorted(at[name] for name in at.keys() & one.features)
        signs_known = sorted(behind[sign] for sign in behind.keys() & one.signs)
        columns += [*known, *signs_known]
        values += [max(1, len(known)) ** -0.5] * len(known) + [1.0] * len(signs_known)
        ends.append(len(columns))
    return sparse.csr_matrix((values, columns, ends), shape=(len(rows), len(at) + len(behind)))


def _confidence(head: Head, rows: Sequence[Seen]) -> float:
    """The lowest confidence from which the model's word gives as many right answers as any, but for chance."""
    answers = [answer_of(head, one.features, one.signs) for one in rows]
    right = [one.example.labels[head.decides] for one in rows]
    by_rules = [said_by(one.understood, head.decides, head.labels) for one in rows]
    by_both = [
        said_by(merged(one.understood, head, answer), head.decides, head.labels)
        for one, answer in zip(rows, answers, strict=True)
    ]

    def hits(least: float) -> int:
        return sum(
            label == (both if answer.confidence >= least else rules)
            for label, answer, both, rules in zip(right, answers, by_both, by_rules, strict=True)
        )

    found = {least: hits(least) for least in CONFIDENCES}
    enough = max(found.values()) - CHANCE * len(rows)
    return min(least for least, count in found.items() if count >= enough)


def measured(head: Head, held: Sequence[Seen]) -> Measured:
    """How well a head and the rules alone do on rows, as the file says it."""
    of = compare(head, held)
    alone, both = of[RULES], of[WITH_MODEL]
    return Measured(
        rows=both.rows,
        accuracy=round(both.accuracy, DECIMALS),
        macro_f1=round(both.macro_f1, DECIMALS),
        rules_accuracy=round(alone.accuracy, DECIMALS),
        rules_macro_f1=round(alone.macro_f1, DECIMALS),
    )


def peer(train: Iterable[Example], held: Iterable[Example], decides: Decides) -> Quality:
    """The quality of the usual choice: a linear support vector machine on TF-IDF of words and pairs of words."""
    rows = [one for one in train if decides in one.labels]
    asked = [one for one in held if decides in one.labels]
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    machine = LinearSVC(C=0.5, class_weight="balanced", random_state=0)
    machine.fit(
        vectors.fit_transform([one.text for one in rows]), [one.labels[decides] for one in rows]
    )
    said = machine.predict(vectors.transform([one.text for one in asked]))
    return quality([one.labels[decides] for one in asked], [str(label) for label in said])
