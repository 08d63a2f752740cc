"""python -m services.complaints triage: train a model on an operator's own history, measure it, and see why it decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import mean, pstdev
from types import ModuleType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from services.complaints.triage import history, lexicon, model, rules
from services.complaints.triage.features import features, signs
from services.complaints.triage.history import Detect, Example, History, NoHistory
from services.complaints.triage.languages import Languages
from services.complaints.triage.model import Decides, Model
from services.complaints.triage.quality import RULES, WITH_MODEL, Quality, compare, look
from services.complaints.triage.rules import Because, Understood
from shared.contracts.complaints import Language
from shared.runtime.strict_yaml import BrokenFile

#: Wide enough for every column where the output is no terminal.
WIDTH = 120
#: Weights that `explain` prints per head: the heaviest for the label and the heaviest against it.
SHOWN = 8
#: What `explain` says of a text that the service marks `unsupported_language`.
UNREAD = "its own language is not read here"
#: What stands beside rules and model in tables.
PEER = "TF-IDF and SVM"
#: A line of a table: what is decided, for which language, by what, and how well on each split.
Line = tuple[Decides, Language, str, list[Quality]]

app = typer.Typer(
    help="How complaints are understood: train a model on your own history, measure it, see why it decides.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # Locals hold what customers wrote.
)
Rows = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="CSV or JSON Lines with text, language, and category, intent or severity; also customer.",
    ),
]
ModelPath = Annotated[Path | None, typer.Option("--model", help="A model that `train` wrote.")]
Held = Annotated[
    float, typer.Option(min=0.05, max=0.5, help="Share of customers kept for measuring.")
]
Words = Annotated[
    Path,
    typer.Option("--lexicon", help="Folder with the lexicon, if not the one that comes along."),
]


@app.command("train")
def train_command(
    file: Rows,
    out: Annotated[Path, typer.Option(help="Where the model is written; replaced if it is there.")],
    described: Annotated[
        str,
        typer.Option("--history", help="Which texts these are, under which licence: for the card."),
    ],
    seed: Annotated[int, typer.Option(help="Another seed keeps other rows for measuring.")] = 1,
    held_share: Held = 0.2,
    words: Words = lexicon.SHIPPED,
) -> None:
    """Train a model and write it with its card: where it comes from, and how good it is on rows that it did not see."""
    training = _training()
    found, understand = _read(file), _rules(words)
    try:
        made = training.train(
            found.examples,
            understand,
            seed=seed,
            held_share=held_share,
            history=described,
            today=datetime.now(UTC).date(),
            tell=partial(typer.echo, err=True),
        )
        beside = out.with_name(f"{out.name}.new")
        beside.write_text(made.model_dump_json(), encoding="utf-8")
        os.replace(beside, out)
    except ValueError as error:
        _stop(f"nothing was trained: {error}")
    except OSError as error:
        _stop(f"{out} cannot be written: {error.strerror}")
    show(
        (head.decides, head.language, name, [quality])
        for head in made.heads
        for name, quality in (
            (
                RULES,
                Quality(
                    head.measured.rows, head.measured.rules_accuracy, head.measured.rules_macro_f1
                ),
            ),
            (
                WITH_MODEL,
                Quality(head.measured.rows, head.measured.accuracy, head.measured.macro_f1),
            ),
        )
    )
    heads = "1 head" if len(made.heads) == 1 else f"{len(made.heads)} heads"
    typer.echo(
        f"{out} has {heads}, measured on {held_share:.0%} of the customers, whom it was not trained"
        " on. Set SERVICE_CHECK_TRIAGE_MODEL to it, and the service reads it at its next start."
    )


@app.command("evaluate")
def evaluate_command(
    file: Rows,
    path: ModelPath = None,
    every_row: Annotated[
        bool,
        typer.Option("--every-row", help="The model was trained on another file: take all rows."),
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, max=20, help="Without a model: how many splits.")
    ] = 3,
    held_share: Held = 0.2,
    words: Words = lexicon.SHIPPED,
) -> None:
    """Measure a model on rows that it was not trained on.

    Without a model, one is trained on each of several splits and measured on the rest, beside a linear support vector
    machine on TF-IDF. Numbers are the mean over the splits and their standard deviation.
    """
    found, understand = _read(file), _rules(words)
    if path is None:
        show(_trials(found.examples, understand, seeds, held_share))
        typer.echo(
            f"{seeds} splits (seeds 1 to {seeds}), {held_share:.0%} of the customers kept for measuring in each."
        )
        return
    learnt = _model(path)
    held: Sequence[Example] = found.examples
    if not every_row:
        held = history.split(held, learnt.card.seed, learnt.card.held_share)[1]
    names = {name for head in learnt.heads.values() for name in head.features}
    seen = look(held, understand, names)
    show(
        (head.decides, head.language, name, [quality])
        for head in learnt.heads.values()
        for name, quality in compare(head, seen).items()
    )
    typer.echo(
        f"{path} was measured on {len(held)} of {len(found.examples)} rows"
        f"{'' if every_row else ', those that were kept from its training'}."
    )


@app.command("explain")
def explain_command(
    file: Rows,
    path: ModelPath = None,
    first: Annotated[int, typer.Option(min=1, max=1_000, help="How many texts.")] = 10,
    words: Words = lexicon.SHIPPED,
) -> None:
    """Print what is understood of each text, and the words that decided; never the text itself.

    Labels are not needed, nor is a language: where none of ours is given it is detected.
    """
    found = _read(file, labelled=False, detect=Languages().detect)
    understand = _rules(words)
    learnt = _model(path) if path else None
    shown = found.examples[:first]
    for number, example in enumerate(shown, 1):
        how = f" ({UNREAD if example.unread else 'detected'})" if example.detected else ""
        typer.echo(f"text {number}, {example.language}{how}")
        for line in explained(example, understand(example.text, example.language), learnt):
            typer.echo(f"  {line}")
    typer.echo(f"{len(shown)} of {len(found.examples)} texts are explained.")


def explained(example: Example, understood: Understood, learnt: Model | None) -> Iterable[str]:
    """What is understood of a text, a line for each reason and for each head of the model."""
    final = learnt.improve(example.text, example.language, understood) if learnt else understood
    said = f"{final.category}.{final.subcategory}" if final.subcategory else final.category
    yield f"{said}, {final.severity}, {final.intent}{', safety' if final.safety else ''}"
    yield from map(_reason, final.reasons)
    if learnt is None:
        return
    found, signed = features(example.text), signs(understood)
    for head in learnt.heads.values():
        if head.language != example.language:
            continue
        answer = model.answer_of(head, found, signed)
        weights = model.weights_of(head, head.labels.index(answer.label), found)
        pushed = ", ".join(
            f"{word} {weight:+.2f}" for word, weight in weights[:SHOWN] if weight > 0
        )
        held = ", ".join(f"{word} {weight:+.2f}" for word, weight in weights[-SHOWN:] if weight < 0)
        below = (
            ""
            if answer.confidence >= head.confident
            else f", below {head.confident}: the rules decide"
        )
        yield f"model: {head.decides} {answer.label}, confidence {answer.confidence:.2f}{below}"
        yield f"  for it: {pushed or 'no word'}"
        yield f"  against it: {held or 'no word'}"
        by_rules = {
            sign: head.signs[sign][head.labels.index(answer.label)]
            for sign in sorted(signed & head.signs.keys())
        }
        yield f"  rules: {', '.join(f'{sign} {weight:+.2f}' for sign, weight in by_rules.items()) or 'none'}"


def _trials(
    examples: Sequence[Example],
    understand: Callable[[str, str], Understood],
    seeds: int,
    held_share: float,
) -> Iterable[Line]:
    """A line for each head and each of rules, model and peer, with a quality per split."""
    training = _training()
    found: dict[tuple[Decides, Language, str], list[Quality]] = {}
    for seed in range(1, seeds + 1):
        typer.echo(f"split {seed} of {seeds}", err=True)
        split = history.split(examples, seed, held_share)
        for head, train, held in training.trained(*split, understand):
            sides = ([one.example for one in seen] for seen in (train, held))
            both = {**compare(head, held), PEER: training.peer(*sides, head.decides)}
            for name, quality in both.items():
                found.setdefault((head.decides, head.language, name), []).append(quality)
    return [(*key, each) for key, each in found.items()]


def show(lines: Iterable[Line], console: Console | None = None) -> None:
    """Print qualities as a table: of one split as they are, of several the mean and the standard deviation."""
    table = Table("decides", "language", "by", "rows", "accuracy", "macro-F1")
    for decides, language, name, each in lines:
        table.add_row(
            decides,
            language,
            name,
            f"{mean(one.rows for one in each):.0f}",
            _spread([one.accuracy for one in each]),
            _spread([one.macro_f1 for one in each]),
        )
    console = console or Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)


def _spread(each: Sequence[float]) -> str:
    return f"{mean(each):.3f}" + (f" ± {pstdev(each):.3f}" if len(each) > 1 else "")


def _reason(why: Because) -> str:
    return f"{why.rule} ({why.confidence:.2f}): {', '.join(why.words)}"


def _read(file: Path, *, labelled: bool = True, detect: Detect | None = None) -> History:
    """The rows of a file, after a line that says how many are refused and why; ends the command if none is left."""
    try:
        found = history.read(file, labelled=labelled, detect=detect)
    except NoHistory as error:
        _stop(str(error))
    typer.echo(f"{file}: {len(found.examples)} rows", err=True)
    for why, count in sorted(found.refused.items()):
        typer.echo(f"refused: {count} rows, each {why}", err=True)
    if not found.examples:
        _stop(f"{file} has no row that can be used")
    return found


def _rules(words: Path) -> Callable[[str, str], Understood]:
    """What understands a text by a lexicon; ends the command if that is broken."""
    try:
        return partial(rules.understand, lexicon=lexicon.load(words))
    except BrokenFile as broken:
        _stop(str(broken))


def _model(path: Path) -> Model:
    try:
        return model.load(path)
    except BrokenFile as broken:
        _stop(str(broken))


def _training() -> ModuleType:
    """The module that trains; ends the command where scikit-learn is not installed."""
    try:
        from services.complaints.triage import training  # noqa: PLC0415 - few have scikit-learn
    except ImportError:
        _stop(
            "training needs scikit-learn: pip install --require-hashes -r requirements-train.txt", 2
        )
    return training


def _stop(why: str, status: int = 1) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(status)
