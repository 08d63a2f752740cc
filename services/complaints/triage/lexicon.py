"""The words by which complaints are understood: one YAML file per language, read at start, and looked for in one pass.

An entry is a word, or words beside one another. `fire-` begins a word, `-allergi` ends one, `-allergi-` is anywhere in
one, `...` stands for up to three words between. A word that is found is remembered with what it means, so that a
text costs little more than looking each of its words up once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.complaints.triage.rules import Column, Found
from services.complaints.triage.text import STOP, plain, words_of
from shared.contracts.complaints import Category, Flag, JourneyStep, Language, Remedy
from shared.runtime.strict_yaml import BrokenFile, Problem, whole

#: The files that the service comes with.
SHIPPED = Path(__file__).with_name("lexicons")
#: Of one language; the shipped ones are a tenth of it.
FILE_BYTES_MAX = 512 * 1024
#: Words that may stand for `...` in an entry.
GAP_MAX = 3
#: Words of texts that are remembered with what they mean, per language; then it starts over.
REMEMBERED_MAX = 50_000
#: Letters of a word that are looked at: longer ones are compounds at most, or no words.
WORD_MAX = 60

Entry = Annotated[
    str,
    StringConstraints(
        pattern=r"^(=|-)?[^\W\d_]+('[^\W\d_]+)?-?( (\.\.\.|-?[^\W\d_]+('[^\W\d_]+)?-?)){0,5}$",
        max_length=60,
    ),
]
Entries = Annotated[tuple[Entry, ...], Field(max_length=1_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]


class Part(BaseModel):
    """A part of a file."""

    model_config = ConfigDict(frozen=True)


class Words(Part):
    """The entries of one subcategory."""

    about: Entries = Field((), description="Entries that name the thing; each weighs 1.")
    faults: Entries = Field(
        (),
        description="Entries that say what is wrong with it; each weighs 2, and none after a negation.",
    )
    sure: Entries = Field((), description="Entries that hardly mean anything else; each weighs 4.")


class FlagWords(Part):
    """The entries of one flag."""

    words: Entries = Field(
        (), description="Entries that are looked for in texts of every language."
    )
    faults: Entries = Field(
        (), description="The same, but none counts right behind a negation: nobody was hurt."
    )
    here: Entries = Field(
        (),
        description="Entries that are harmless words of another language: looked for in texts of this one alone.",
    )


class Mood(Part):
    """The entries that say how somebody feels about it."""

    strong: Entries = Field(description="The strongest words, and those of lost patience.")
    weak: Entries = Field(description="Words of somebody who is disappointed and calm.")
    praise: Entries = Field(description="Words of somebody who is pleased.")


class Signs(Part):
    """Entries that tell which service failed."""

    journey: Entries = Field(description="Words for the journey itself.")
    tour: Entries = Field(description="Words for excursions, which are no departure.")
    called_off: Entries = Field(description="Words that are used of journeys and hardly else.")
    serving: Entries = Field(description="Words for those who serve food.")
    hours: Entries = Field(description="Words by which a wait took hours.")


class LexiconFile(Part):
    """The file of one language."""

    language: Language
    negations: Entries = Field(description="Words that take back the fault right behind them.")
    fillers: Entries = Field(
        (),
        description='Words that may stand between a negation and a fault, as "very" in "not very dirty".',
    )
    harmless: Entries = Field(
        (),
        description="Phrases that hold a flag's word and mean no flag, in texts of every language.",
    )
    categories: dict[Category, Annotated[dict[Name, Words], Field(max_length=20)]]
    flags: dict[Flag, FlagWords]
    mood: Mood
    signs: Signs
    steps: dict[JourneyStep, Entries]
    remedies: dict[Remedy, Entries]
    questions: Entries = Field((), description="Words by which somebody asks.")


class _Row(NamedTuple):
    """An entry as it is looked for: its patterns, what it counts for, and whether a negation takes it back."""

    shown: str
    patterns: tuple[int, ...]
    column: Column
    weight: float = 1.0
    taken_back: bool = False


class _Meaning(NamedTuple):
    """What a word of a text may be: the patterns that it fits, and the rows that begin with one of them."""

    fits: frozenset[int]
    begins: tuple[_Row, ...]


#: The pattern that any word fits, up to `GAP_MAX` times.
_GAP = 0
_NEGATION: Column = ("negation", "")
_FILLER: Column = ("filler", "")
_HARMLESS: Column = ("harmless", "")
_QUESTION: Column = ("question", "")
_OWN = frozenset({_NEGATION, _FILLER, _HARMLESS, _QUESTION})
_ABOUT, _FAULT, _SURE = 1.0, 2.0, 4.0


def _rows_of_language(file: LexiconFile) -> Iterator[tuple[Column, float, bool, Entries]]:
    """What is looked for in texts of the file's own language alone."""
    for category, parts in file.categories.items():
        for name, words in parts.items():
            yield (category, name), _ABOUT, False, words.about
            yield (category, name), _FAULT, True, words.faults
            yield (category, name), _SURE, False, words.sure
    for mood, entries in file.mood:
        yield ("mood", mood), 1.0, True, entries
    for sign, entries in file.signs:
        yield ("sign", sign), 1.0, False, entries
    for step, entries in file.steps.items():
        yield ("step", step), 1.0, False, entries
    for remedy, entries in file.remedies.items():
        yield ("remedy", remedy), 1.0, False, entries
    for flag, of_flag in file.flags.items():
        yield ("flag", flag), 1.0, False, of_flag.here
    yield _NEGATION, 0.0, False, file.negations
    yield _FILLER, 0.0, False, file.fillers
    yield _QUESTION, 1.0, False, file.questions


def _rows_of_all(file: LexiconFile) -> Iterator[tuple[Column, float, bool, Entries]]:
    """What is looked for in every text: a wrong language must not hide an injury."""
    for flag, words in file.flags.items():
        yield ("flag", flag), 1.0, False, words.words
        yield ("flag", flag), 1.0, True, words.faults
    yield _HARMLESS, 0.0, False, file.harmless


class _Patterns:
    """The patterns of the words of entries, and which of them a word fits."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {"...": _GAP}
        self._exact: dict[str, int] = {}
        self._heads: dict[str, int] = {}
        self._tails: dict[str, int] = {}
        self._inside: dict[str, int] = {}

    def add(self, word: str) -> int:
        """The id of a pattern."""
        if word in self._ids:
            return self._ids[word]
        self._ids[word] = number = len(self._ids)
        bare = word.strip("-=")
        if word.startswith("-") and word.endswith("-"):
            self._inside[bare] = number
        elif word.startswith("-"):
            self._tails[bare] = number
        elif word.endswith("-"):
            self._heads[bare] = number
        else:
            self._exact[bare] = number
        return number

    def fitting(self, word: str) -> frozenset[int]:
        """The ids of all patterns that a word fits."""
        word = word[:WORD_MAX]
        fits = {self._heads.get(word[:end]) for end in range(1, len(word) + 1)}
        fits |= {self._tails.get(word[start:]) for start in range(len(word))}
        fits |= {number for bare, number in self._inside.items() if bare in word}
        fits.add(self._exact.get(word))
        return frozenset(number for number in fits if number is not None)


class _Meanings(dict[bytes, _Meaning | None]):
    """What the words of texts of one language mean; None for nothing. Found when a word is first asked for."""

    def __init__(self) -> None:
        self._patterns = _Patterns()
        self._begins: defaultdict[int, list[_Row]] = defaultdict(list)

    def add(self, column: Column, weight: float, taken_back: bool, entries: Iterable[str]) -> None:
        """Look for more entries."""
        for entry in entries:
            words = [word for part in entry.split() for word in _folded(part)]
            patterns = tuple(self._patterns.add(word) for word in words)
            row = _Row(entry, patterns, column, weight, taken_back and len(patterns) == 1)
            self._begins[patterns[0]].append(row)

    def __missing__(self, word: bytes) -> _Meaning | None:
        """Find what a word means and remember it."""
        fits = self._patterns.fitting(word.decode("latin-1"))
        rows = tuple(row for number in sorted(fits) for row in self._begins.get(number, ()))
        meaning = self[word] = _Meaning(fits, rows) if fits else None
        return meaning


def _folded(part: str) -> Iterator[str]:
    """The words of a part of an entry as texts have them, with its marks: "didn't" is two."""
    if part == "...":
        yield part
        return
    words = [word.decode("latin-1") for word in words_of(part.strip("-="))]
    words[0] = part[: len(part) - len(part.lstrip("-="))] + words[0]
    words[-1] += "-" if part.endswith("-") else ""
    yield from words


class Lexicon:
    """The words of all languages, ready to be looked for."""

    def __init__(self, files: Iterable[LexiconFile]) -> None:
        files = tuple(files)
        self._meanings: dict[str, _Meanings] = {}
        for file in files:
            meanings = self._meanings[file.language] = _Meanings()
            for rows in (_rows_of_language(file), *map(_rows_of_all, files)):
                for column, weight, taken_back, entries in rows:
                    meanings.add(column, weight, taken_back, entries)

    def find(self, text: str, language: str) -> Found:
        """Find the entries that count in a text of this language; an unknown one is read as English."""
        known = self._meanings.get(language, self._meanings[Language.EN])
        if len(known) > REMEMBERED_MAX:
            known.clear()
        read = plain(text)
        tokens = words_of(read)
        matches = [
            (at, end, row)
            for at, token in enumerate(tokens)
            if (meaning := known[token])
            for row in meaning.begins
            if (end := at + 1 if len(row.patterns) == 1 else _end(row, tokens, at, known))
        ]
        words: dict[Column, list[str]] = {}
        weights: dict[Column, float] = {}
        for row in _counting(matches):
            shown = words.setdefault(row.column, [])
            if row.shown not in shown:
                shown.append(row.shown)
                weights[row.column] = weights.get(row.column, 0.0) + row.weight
        asks = "?" in read or bool(words.pop(_QUESTION, None))
        return Found(words, weights, asks)


Match = tuple[int, int, _Row]


def _end(row: _Row, tokens: list[bytes], at: int, known: _Meanings) -> int:
    """Where the words of a row end that begin at a place; 0 if they are not all there."""
    gap, at = False, at + 1
    for pattern in row.patterns[1:]:
        if pattern == _GAP:
            gap = True
            continue
        for place in range(at, min(at + (GAP_MAX + 1 if gap else 1), len(tokens))):
            if tokens[place] == STOP:
                return 0
            meaning = known[tokens[place]]
            if meaning and pattern in meaning.fits:
                gap, at = False, place + 1
                break
        else:
            return 0
    return at


def _counting(matches: list[Match]) -> Iterator[_Row]:
    """The rows that count: none behind a negation that takes it back, no flag with a word of what is harmless."""
    negated = {end for _, end, row in matches if row.column == _NEGATION}
    if negated:
        fillers = {(at, end) for at, end, row in matches if row.column == _FILLER}
        for at, end in sorted(fillers):
            if at in negated:
                negated.add(end)
    harmless = {
        place for at, end, row in matches if row.column == _HARMLESS for place in range(at, end)
    }
    for at, end, row in matches:
        if row.taken_back and at in negated:
            continue
        if row.column in _OWN and row.column != _QUESTION:
            continue
        if harmless and row.column[0] == "flag" and not harmless.isdisjoint(range(at, end)):
            continue
        yield row


def load(folder: Path = SHIPPED) -> Lexicon:
    """The lexicon in a folder, one file per language; raises BrokenFile with everything wrong in the first bad file.

    Reads the files.
    """
    files = [
        whole(folder / f"{language}.yaml", LexiconFile, bytes_max=FILE_BYTES_MAX)
        for language in Language
    ]
    for language, file in zip(Language, files, strict=True):
        path = folder / f"{language}.yaml"
        if file.language is not language:
            raise BrokenFile(path, [Problem(1, 1, "language", f"must be {language}")])
    _one_taxonomy(folder, files)
    return Lexicon(files)


def _one_taxonomy(folder: Path, files: list[LexiconFile]) -> None:
    """Raise BrokenFile if a subcategory stands under another category in another language."""
    first: dict[str, tuple[Category, Language]] = {}
    for file in files:
        for category, parts in file.categories.items():
            for name in parts:
                where, language = first.setdefault(name, (category, file.language))
                if name != "general" and where is not category:
                    raise BrokenFile(
                        folder / f"{file.language}.yaml",
                        [
                            Problem(
                                1,
                                1,
                                f"categories.{category}.{name}",
                                f"is under {where} in {language}.yaml",
                            )
                        ],
                    )
