"""An operator's own complaints with what they turned out to be: rows that a model learns from or is measured on.

A row has `text`, `language` (nb, sv, da, en; it may be left out where it can be detected), and any of `category` ("baggage" or "baggage.lost"), `intent` and
`severity`; `customer` says whose it is. CSV with a head line, or JSON Lines. Other columns are not read.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from services.complaints.triage.features import tokens
from services.complaints.triage.languages import Detected
from services.complaints.triage.model import Decides, learnable
from shared.contracts.complaints import Language
from shared.contracts.intake import TEXT_MAX

#: Rows of a file: years of complaints of a large fleet, in some GB while a model is trained. More are counted and not kept.
ROWS_MAX = 50_000
DECIDES: tuple[Decides, ...] = ("category", "intent", "severity")
#: Tags that stand for Norwegian, which is answered in Bokmål.
_LANGUAGES = {language.value: language for language in Language} | {
    "no": Language.NB,
    "nn": Language.NB,
}


#: Finds the language of a text, with the tag that its row has for it, if any.
Detect = Callable[[str, str | None], Detected]


class Example(NamedTuple):
    """A text and its right labels; `customer` is a number that tells customers apart and nothing else.

    `detected`: its row does not say a language of ours. `unread`: it is in none of ours.
    """

    text: str
    language: Language
    labels: Mapping[Decides, str]
    customer: int
    detected: bool = False
    unread: bool = False


class History(NamedTuple):
    """What a file holds: its good rows, and how many bad ones there are by what is wrong with them."""

    examples: Sequence[Example]
    refused: Mapping[str, int]


class NoHistory(Exception):
    """The file cannot be read as rows at all."""


def read(path: Path, *, labelled: bool = True, detect: Detect | None = None) -> History:
    """All rows of a file, only those with a label unless told otherwise. Reads the file; raises NoHistory.

    `detect` finds the language of a text whose row says none of ours; without it such a row is refused.

    Each text counts once, because copies on both sides of a split would flatter a model.
    """
    examples: list[Example] = []
    refused: Counter[str] = Counter()
    seen: set[bytes] = set()
    try:
        for row in _rows(path):
            example = _example(row, labelled, detect)
            if not isinstance(example, str):
                name = _hash(" ".join(tokens(example.text)))
                if name in seen:
                    example = "is a copy of an earlier row"
                elif len(examples) >= ROWS_MAX:
                    example = f"comes after {ROWS_MAX} rows"
                seen.add(name)
            if isinstance(example, str):
                refused[example] += 1
            else:
                examples.append(example)
    except OSError as error:
        raise NoHistory(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise NoHistory(f"{path} is not a file of rows in UTF-8: {type(error).__name__}") from None
    return History(examples, refused)


def _rows(path: Path) -> Iterator[object]:
    """The rows of a file as dictionaries, or as something else where a line is broken."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            yield from csv.DictReader(file)
            return
        while line := file.readline(8 * TEXT_MAX):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def _example(row: object, labelled: bool, detect: Detect | None) -> Example | str:
    """A row as an example, or what is wrong with it."""
    if not isinstance(row, dict):
        return "is not an object"
    text, said = row.get("text"), row.get("language")
    language, detected, unread = _LANGUAGES.get(str(said)), False, False
    if not isinstance(text, str) or not text.strip():
        return "has no text"
    if len(text) > TEXT_MAX:
        return f"has more than {TEXT_MAX} characters"
    if detect is not None and language is None:
        found = detect(text, str(said) if said else None)
        language, detected, unread = found.language, True, not found.supported
    if language is None:
        return "has no language of ours"
    labels = {decides: str(row[decides]) for decides in DECIDES if row.get(decides)}
    if labelled and not labels:
        return "has no label"
    if labels.get("category", "").partition(".")[0] == "safety":
        return "is about safety, which is not learnt"
    for decides, label in labels.items():
        if not learnable(decides, label):
            return f"has an unknown {decides}"
    customer = row.get("customer")
    whose = _hash(str(customer)) if customer else _hash(f"text/{text}")
    return Example(text, language, labels, int.from_bytes(whose, "big"), detected, unread)


def split(
    examples: Sequence[Example], seed: int, held_share: float
) -> tuple[list[Example], list[Example]]:
    """Rows to train on and rows to measure on: the same for the same seed, whatever order the rows have.

    All rows of a customer are on one side.
    """
    train: list[Example] = []
    held: list[Example] = []
    for one in examples:
        drawn = int.from_bytes(_hash(f"{seed}/{one.customer}"), "big") / 2**64
        (held if drawn < held_share else train).append(one)
    return train, held


def _hash(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
