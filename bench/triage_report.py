"""python -m bench.triage_report DATA: how well complaints are understood, on labelled texts that other people wrote.

DATA is a folder with the public data sets that `SETS` names, one folder each; those that are not there are skipped, and
said to be. With `--model`, a model that `services.complaints triage train` wrote is measured beside the rules alone.
Where scikit-learn is installed, a model is trained on several splits of each labelled set and measured on the rows that
it did not see, beside the rules alone and beside a linear support vector machine on the same rows.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from services.complaints.triage import history, lexicon, model
from services.complaints.triage.commands import PEER, Line, show
from services.complaints.triage.features import tokens
from services.complaints.triage.handlers import Triage
from services.complaints.triage.history import Example
from services.complaints.triage.languages import Languages
from services.complaints.triage.model import Decides
from services.complaints.triage.quality import RULES, WITH_MODEL, Quality, quality
from services.complaints.triage.rules import Understood
from shared.contracts.complaints import Category, Intent, Language

#: Rows of one set; the largest has a little more, and its first ones are as good as all.
ROWS_MAX = 15_000
#: Share of the rows that a model is measured on and not trained on, as `triage evaluate` has it.
HELD_SHARE = 0.2
#: Mistakes of one set that are shown, and characters of each.
WORST, SHOWN_CHARS = 10, 160
#: Wide enough for every column where the output is no terminal.
WIDTH = 140

Row = Mapping[str, Any]


class Labelled(NamedTuple):
    """A text with what is known of it; None for what its set does not say."""

    text: str
    language: str | None = None
    complains: bool | None = None
    reason: str | None = None


class Set(NamedTuple):
    """A data set: its folder, the files in it, the language of its texts, and what a row says."""

    name: str
    files: tuple[str, ...]
    language: str
    of: Callable[[Row], Labelled]


#: The airline's reasons, by what is understood. Whatever else is about the room or the seat is a bad flight.
REASONS: dict[tuple[Category, str | None], str] = {
    (Category.DELAY, "cancelled"): "Cancelled Flight",
    (Category.DELAY, "queue"): "longlines",
    (Category.BAGGAGE, "damaged"): "Damaged Luggage",
    (Category.STAFF, "conduct"): "Flight Attendant Complaints",
    (Category.DELAY, None): "Late Flight",
    (Category.BAGGAGE, None): "Lost Luggage",
    (Category.STAFF, None): "Customer Service Issue",
    (Category.BILLING, None): "Flight Booking Problems",
    (Category.FACILITIES, None): "Bad Flight",
    (Category.FOOD, None): "Bad Flight",
    (Category.NOISE, None): "Bad Flight",
    (Category.CLEANLINESS, None): "Bad Flight",
}
#: The label under which a model learns each of them.
LABELS = {
    "Cancelled Flight": "delay.cancelled",
    "longlines": "delay.queue",
    "Damaged Luggage": "baggage.damaged",
    "Flight Attendant Complaints": "staff.conduct",
    "Late Flight": "delay.late",
    "Lost Luggage": "baggage.lost",
    "Customer Service Issue": "staff.customer_service",
    "Flight Booking Problems": "billing.booking",
    "Bad Flight": "facilities",
}
#: What the airline's customers wrote of which nobody could say what it is about.
UNTOLD = "Can't Tell"


def reason_of(understood: Understood) -> str:
    """What was understood as one of the airline's reasons; the category where it has none."""
    category = understood.category
    return REASONS.get((category, understood.subcategory)) or REASONS.get(
        (category, None), category.value
    )


def _tweet(row: Row) -> Labelled:
    reason = row["negativereason"] or None
    told = None if reason == UNTOLD else reason
    return Labelled(row["text"], "en", row["airline_sentiment"] == "negative", told)


def _sentence(language: str) -> Callable[[Row], Labelled]:
    return lambda row: Labelled(row["line"], language)


SETS = (
    Set("twitter_us_airline", ("dev.csv", "Tweets.csv"), "en", _tweet),
    Set("swedish_reviews", ("dev.csv", "sentiment-sv-small.csv"), "sv",
        lambda row: Labelled(row["text"], "sv", row["sentiment"] == "negative")),
    Set("scandisent_mt_en", ("dev.csv", "no.csv", "da.csv", "sv.csv"), "en",
        lambda row: Labelled(row["text"], "en", row["label"] == "0")),
    Set("trustpilot_telecom_da", ("dev.csv", "reviews.csv"), "da", lambda row: Labelled(row["text"], "da")),
    Set("norec_sentence_no", ("train.json",), "nb",
        lambda row: Labelled(row["text"], "nb", row["label"] == "Negative")),
    Set("american_airlines_reviews_en", ("dev.csv", "AA_reviews.csv"), "en",
        lambda row: Labelled(row["Review Body"], "en", row["Recommended"] == "no")),
    Set("cruise_reviews_en", ("dev.csv", "reviews.csv"), "en",
        lambda row: Labelled(row["review_content"], "en", row["review_ranking"] in {"10", "20"})),
    *(
        Set(f"lingua_testdata/{kind}", (f"{tag}.txt",), language, _sentence(language))
        for kind in ("sentences", "word-pairs")
        for tag, language in (("nb", "nb"), ("nn", "nb"), ("sv", "sv"), ("da", "da"), ("en", "en"))
    ),
)  # fmt: skip


def named(one: Set) -> str:
    """A set's name; those of one folder by their file."""
    alone = sum(other.name == one.name for other in SETS) == 1
    return one.name if alone else f"{one.name}/{Path(one.files[0]).stem}"


class Seen(NamedTuple):
    """A labelled text, the language that was found, and what was understood of it."""

    known: Labelled
    language: str | None
    understood: Understood


def rows_of(folder: Path, one: Set) -> Iterator[Labelled]:
    """The rows of a set's files; raises OSError, KeyError and ValueError for files of another shape."""
    for name in one.files:
        path = folder / one.name / name
        if not path.exists():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            rows: Iterable[Row]
            if path.suffix == ".csv":
                rows = csv.DictReader(file)
            elif path.suffix == ".json":
                rows = json.load(file)
            else:
                rows = ({"line": line.strip()} for line in file)
            yield from map(one.of, rows)


def look(
    rows: Iterable[Labelled], language: str, triage: Triage, languages: Languages
) -> list[Seen]:
    """Understand each text in the language of its set, and find its language without any hint."""
    return [
        Seen(row, found and found.language, triage.understand(row.text, language))
        for row in islice(rows, ROWS_MAX)
        for found in [languages.find(row.text)]
    ]


class Measured(NamedTuple):
    """How well one set is understood; None for what its labels do not say."""

    rows: int
    language: float | None
    undecided: float | None
    complaint: Quality | None
    reason: Quality | None
    other: float | None
    confusion: dict[str, dict[str, int]]
    worst: list[tuple[str, str, str]]


def measure(seen: list[Seen]) -> Measured:
    """Compare what was understood with the labels."""
    told = [one for one in seen if one.known.language]
    languages = [one.language == one.known.language for one in told if one.language]
    judged = [one for one in seen if one.known.complains is not None]
    right = [str(one.known.complains) for one in judged]
    said = [str(one.understood.intent is Intent.COMPLAINT) for one in judged]
    about = [one for one in seen if one.known.reason]
    pairs = [(one.known.reason or "", reason_of(one.understood)) for one in about]
    confusion: dict[str, dict[str, int]] = {}
    for (known, found), times in sorted(Counter(pairs).items()):
        confusion.setdefault(known, {})[found] = times
    bad = [one for one in seen if one.known.complains is not False]
    others = sum(one.understood.category is Category.OTHER for one in bad)
    return Measured(
        len(seen),
        sum(languages) / len(languages) if languages else None,
        1 - len(languages) / len(told) if told else None,
        quality(right, said) if judged else None,
        quality(*zip(*pairs, strict=True)) if pairs else None,
        others / len(bad) if bad and any(one.known.complains is not None for one in seen) else None,
        confusion,
        _worst(about or judged),
    )


def _worst(seen: list[Seen]) -> list[tuple[str, str, str]]:
    """The surest mistakes: what was right, what was understood, and the beginning of the text."""
    wrong = []
    for one in seen:
        known, found = (
            (one.known.reason, reason_of(one.understood))
            if one.known.reason
            else (
                "complaint" if one.known.complains else "no complaint",
                "complaint" if one.understood.intent is Intent.COMPLAINT else "no complaint",
            )
        )
        if known != found:
            weight = max(one.understood.scores.values(), default=0.0)
            wrong.append((weight, known, found, one.known.text[:SHOWN_CHARS]))
    return [(known, found, text) for _, known, found, text in sorted(wrong, reverse=True)[:WORST]]


def trials(
    rows: Iterable[Labelled],
    language: str,
    triage_of: Callable[..., Triage],
    languages: Languages,
    training: ModuleType,
    splits: int,
) -> tuple[list[Line], Measured | None]:
    """Train on several splits of a set, and measure on the rest: a line for each of rules, model and peer.

    Beside them how the first split's rest is understood with its model; no line and None where too few labels are known.
    """
    # Copies on both sides of a split would flatter a model.
    once = {" ".join(tokens(row.text)): row for row in islice(rows, ROWS_MAX)}
    known = {row.text: row for row in once.values() if row.complains is not None}
    examples = [_example(row, language, number) for number, row in enumerate(known.values())]
    lines: dict[tuple[Decides, str], list[Quality]] = {}
    first, rules = None, triage_of()
    for seed in range(1, splits + 1):
        try:
            file = training.train(
                examples, rules.understand, seed=seed, held_share=HELD_SHARE, history="", tell=str,
                today=datetime.now(UTC).date(),
            )  # fmt: skip
        except ValueError:
            return [], None
        train, held = history.split(examples, seed, HELD_SHARE)
        unseen = [known[one.text] for one in held]
        for by, triage in ((RULES, rules), (WITH_MODEL, triage_of(model.Model(file)))):
            found = measure(look(unseen, language, triage, languages))
            by_head: dict[Decides, Quality | None] = {
                "intent": found.complaint,
                "category": found.reason,
            }
            for decides, one in by_head.items():
                if one is not None:
                    lines.setdefault((decides, by), []).append(one)
            first = first or (found if by == WITH_MODEL else None)
        for head in file.heads:
            peer = training.peer(train, held, head.decides)
            lines.setdefault((head.decides, PEER), []).append(peer)
    return [(decides, Language(language), by, each) for (decides, by), each in lines.items()], first


def _training() -> ModuleType | None:
    """What trains; None where scikit-learn is not installed."""
    try:
        from services.complaints.triage import training  # noqa: PLC0415 - few have scikit-learn
    except ImportError:
        return None
    return training


def _example(row: Labelled, language: str, number: int) -> Example:
    """A row as a model learns from it, each of another customer."""
    labels: dict[Decides, str] = {"intent": Intent.COMPLAINT if row.complains else Intent.NONE}
    if row.reason:
        labels["category"] = LABELS[row.reason]
    return Example(row.text, Language(language), labels, number)


def _shown(number: float | None) -> str:
    return "–" if number is None else f"{number:.3f}"


def _table(measured: Iterable[tuple[str, str, Measured]]) -> Table:
    table = Table(
        "set",
        "by",
        "rows",
        "language",
        "undecided",
        "complaint",
        "macro-F1",
        "reason",
        "macro-F1",
        "other",
    )
    for name, how, one in measured:
        complaint, reason = one.complaint, one.reason
        table.add_row(
            name,
            how,
            str(one.rows),
            _shown(one.language),
            _shown(one.undecided),
            _shown(complaint and complaint.accuracy),
            _shown(complaint and complaint.macro_f1),
            _shown(reason and reason.accuracy),
            _shown(reason and reason.macro_f1),
            _shown(one.other),
        )
    return table


def report(
    data: Annotated[Path, typer.Argument(help="Folder with the data sets.")],
    to: Annotated[Path | None, typer.Option("--report", help="Write everything as JSON.")] = None,
    model_path: Annotated[Path | None, typer.Option("--model", help="A trained model.")] = None,
    words: Annotated[
        Path, typer.Option("--lexicon", help="Folder with the lexicon.")
    ] = lexicon.SHIPPED,
    splits: Annotated[
        int, typer.Option(min=1, max=20, help="Splits of each labelled set to train on.")
    ] = 3,
) -> None:
    """Measure how well complaints are understood."""
    languages, training = Languages(), _training()
    triage_of = partial(Triage, languages, lexicon.load(words))
    ways = {"rules": triage_of()}
    if model_path is not None:
        ways["model"] = triage_of(model.load(model_path))
    found: list[tuple[str, str, Measured]] = []
    missing = []
    console = Console(width=WIDTH)
    whole: dict[str, object] = {}
    for texts in SETS:
        for how, triage in ways.items():
            seen = look(rows_of(data, texts), texts.language, triage, languages)
            if seen:
                found.append((named(texts), how, measure(seen)))
            else:
                missing.append(named(texts))
        if training is None:
            continue
        rows = rows_of(data, texts)
        lines, unseen = trials(rows, texts.language, triage_of, languages, training, splits)
        if unseen is not None:
            console.print(f"{named(texts)}: {splits} splits, {HELD_SHARE:.0%} of the rows unseen")
            show(lines, console)
            whole[f"{named(texts)}/splits"] = lines
            found.append((named(texts), "trained", unseen))
    console.print(_table(found))
    for name, how, one in found:
        for known, answers in one.confusion.items():
            console.print(f"{name}, {how}: {known}: {answers}")
        for known, answer, text in one.worst if one.reason else ():
            console.print(f"{name}, {how}: {known}, understood as {answer}: {text!r}", markup=False)
    if to is not None:
        whole |= {f"{name}/{how}": one._asdict() for name, how, one in found}
        to.write_text(json.dumps(whole, ensure_ascii=False, indent=1), encoding="utf-8")
    said = f" Not there: {', '.join(sorted(set(missing)))}." if missing else ""
    trained = (
        "" if training is not None else " No model was trained: that needs requirements-train.txt."
    )
    console.print(
        f"{len(SETS) * len(ways) - len(missing)} of {len(SETS) * len(ways)} measured.{said}{trained}"
    )


if __name__ == "__main__":
    typer.run(report)
