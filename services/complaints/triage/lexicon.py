"""The words by which complaints are understood: one YAML file per language, read at start, and looked for in one pass.

An entry is a word, or words beside one another. `fire-` begins a word, `-allergi` ends one, `-allergi-` is anywhere in
one, `...` stands for up to three words between and `... ...` for up to six, `<body>` for a word of that class, `75-110` for a number,
`.` for the end of a sentence or of the text, or a colon. A word that is found is remembered with what it means, so that a
text costs little more than looking each of its words up once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from services.complaints.triage.rules import GENERAL, Column, Found
from services.complaints.triage.text import STOP, plain, words_of
from shared.contracts.complaints import Category, Flag, JourneyStep, Language, Remedy
from shared.runtime import strict_yaml
from shared.runtime.strict_yaml import BrokenFile, Loc, Problem

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
#: Letters before the tail of a compound.
FIRST_PART_MIN = 2
#: Letters at the beginning or the end of a pattern by which it is looked up first.
_KEY = 3
#: Of a number that entries speak of: ages, and laws by their number.
_DIGITS_MAX = 4

#: A word with its marks, a class of words, a range of numbers, or a gap.
_PART = r"(?:=?[^\W\d_][^\W_]*(?:'[^\W_]+)?|-[^\W\d_][^\W_]{2,}-?|[^\W\d_][^\W_]{2,}-|<[a-z]+>|\d{1,3}-\d{1,3}|\d{1,4}|\.\.\.|\.)"
_CLASS = re.compile(r"<([a-z]+)>")
#: A gap stands between words, and at most two stand beside one another.
_MISPLACED_GAP = re.compile(r"^\.\.\.|\.\.\.$|(?:\.\.\. ?){3}")
_ENTRY = re.compile(rf"{_PART}(?: {_PART}){{0,6}}")


def _entry(text: str) -> str:
    if _MISPLACED_GAP.search(text) or not _ENTRY.fullmatch(text):
        raise PydanticCustomError(
            "entry", "must be words with marks, as docs/understanding.md says"
        )
    return text


Entry = Annotated[str, StringConstraints(max_length=80), AfterValidator(_entry)]
#: What one list holds at most; the longest has a thousand, and a text is compared with all of them at once.
Entries = Annotated[tuple[Entry, ...], Field(max_length=2_000)]
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

    words: Entries = Field((), description="Entries that raise the flag.")
    faults: Entries = Field(
        (), description="The same, but none right behind a negation: nobody was hurt."
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
    contrast: Entries = Field(
        (),
        description='Words by which praise takes something back, as "but" and "not": it may be no praise alone.',
    )


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
    classes: dict[Name, Entries] = Field(
        {}, description="Words that entries of flags name together, as `<body>`."
    )
    flags: dict[Flag, FlagWords] = Field(
        {},
        description="Looked for in texts of every language: a wrong one must not hide an injury.",
    )
    flags_here: dict[Flag, FlagWords] = Field(
        {}, description="Looked for in texts of this language alone: harmless words of another."
    )
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
    """What a word of a text may be: the patterns that it fits, and the rows that begin with one of them.

    Rows of several words are by the pattern of their second one, because many begin with the commonest words.
    """

    fits: frozenset[int]
    rows: tuple[_Row, ...]
    phrases: Mapping[int, Sequence[_Row]]
    gapped: tuple[_Row, ...]


#: The pattern that any word fits, up to `GAP_MAX` times.
_GAP = 0
_NEGATION: Column = ("negation", "")
_FILLER: Column = ("filler", "")
_HARMLESS: Column = ("harmless", "")
_QUESTION: Column = ("question", "")
#: What an entry weighs; one that weighs nothing only says which others count.
_ABOUT, _FAULT, _SURE = 1.0, 2.0, 4.0


def _rows_of_language(file: LexiconFile) -> Iterator[tuple[Column, float, bool, Entries]]:
    """What is looked for in texts of the file's own language alone."""
    for category, parts in file.categories.items():
        for name, words in parts.items():
            yield (category.value, name), _ABOUT, False, words.about
            yield (category.value, name), _FAULT, True, words.faults
            yield (category.value, name), _SURE, False, words.sure
    for mood, entries in file.mood:
        yield ("mood", mood), 1.0, True, entries
    for sign, entries in file.signs:
        yield ("sign", sign), 1.0, False, entries
    for step, entries in file.steps.items():
        yield ("step", step.value), 1.0, False, entries
    for remedy, entries in file.remedies.items():
        yield ("remedy", remedy.value), 1.0, False, entries
    yield from _rows_of_flags(file.flags_here)
    yield _NEGATION, 0.0, False, file.negations
    yield _FILLER, 0.0, False, file.fillers
    yield _QUESTION, 1.0, False, file.questions


def _rows_of_all(file: LexiconFile) -> Iterator[tuple[Column, float, bool, Entries]]:
    """What is looked for in every text."""
    yield from _rows_of_flags(file.flags)
    yield _HARMLESS, 0.0, False, file.harmless


def _rows_of_flags(
    flags: Mapping[Flag, FlagWords],
) -> Iterator[tuple[Column, float, bool, Entries]]:
    for flag, words in flags.items():
        yield ("flag", flag.value), 1.0, False, words.words
        yield ("flag", flag.value), 1.0, True, words.faults


class _Patterns:
    """The patterns of the words of entries, and which of them a word fits."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {"...": _GAP}
        self._exact: dict[str, int] = {}
        self._heads: dict[str, int] = {}
        self._tails: dict[str, int] = {}
        self._inside: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._numbers: dict[range, int] = {}
        self._begin: set[str] = set()
        self._end: set[str] = set()
        self._classes: defaultdict[int, set[int]] = defaultdict(set)

    def add(self, word: str) -> int:
        """The id of a pattern."""
        if word in self._ids:
            return self._ids[word]
        self._ids[word] = number = len(self._ids)
        bare = word.strip("-=")
        if "<" in word:
            pass
        elif word[0].isdigit() and "-" in word:
            first, _, last = word.partition("-")
            self._numbers[range(int(first), int(last) + 1)] = number
        elif word.startswith("-") and word.endswith("-"):
            self._inside[bare[:_KEY]].append((bare, number))
        elif word.startswith("-"):
            self._tails[bare] = number
            self._end.add(bare[-_KEY:])
        elif word.endswith("-"):
            self._heads[bare] = number
            self._begin.add(bare[:_KEY])
        else:
            self._exact[bare] = number
            self._begin.add(bare[:_KEY])
        return number

    def add_class(self, name: str, words: Iterable[str]) -> None:
        """A word that fits one of these fits the class."""
        number = self.add(name)
        for word in words:
            self._classes[self.add(word)].add(number)

    def fitting(self, word: str) -> frozenset[int]:
        """The ids of all patterns that a word fits."""
        word = word[:WORD_MAX]
        size, found = len(word), set[int]()
        if word[:_KEY] in self._begin:
            heads = self._heads
            found |= {heads[part] for end in range(1, size + 1) if (part := word[:end]) in heads}
            if word in self._exact:
                found.add(self._exact[word])
        if word[-_KEY:] in self._end:
            tails = self._tails
            found |= {
                tails[part] for at in range(FIRST_PART_MIN, size) if (part := word[at:]) in tails
            }
        for at in range(size - _KEY + 1):
            for bare, number in self._inside.get(word[at : at + _KEY], ()):
                if word.startswith(bare, at):
                    found.add(number)
        if word.isdecimal() and len(word) <= _DIGITS_MAX:
            found |= {number for among, number in self._numbers.items() if int(word) in among}
        classes = [self._classes[number] for number in found if number in self._classes]
        return frozenset(found.union(*classes))


class _Meanings(dict[bytes, _Meaning | None]):
    """What the words of texts of one language mean; None for nothing. Found when a word is first asked for."""

    def __init__(self) -> None:
        self._patterns = _Patterns()
        self._begins: defaultdict[int, list[_Row]] = defaultdict(list)

    def add(self, file: LexiconFile, *, own: bool) -> None:
        """Look for the entries of a file: all of them in texts of its own language, else its flags."""
        for name, members in file.classes.items():
            words = [word for entry in members for word in _folded(entry)]
            self._patterns.add_class(f"<{file.language}.{name}>", words)
        for rows in (_rows_of_language(file) if own else (), _rows_of_all(file)):
            for column, weight, taken_back, entries in rows:
                for entry in entries:
                    self._add(file.language, _Row(entry, (), column, weight, taken_back))

    def _add(self, language: Language, row: _Row) -> None:
        words = [
            f"<{language}.{part[1:]}" if part.startswith("<") else word
            for part in row.shown.split()
            for word in _folded(part)
        ]
        patterns = tuple(map(self._patterns.add, words))
        self._begins[patterns[0]].append(row._replace(patterns=patterns))

    def __missing__(self, word: bytes) -> _Meaning | None:
        """Find what a word means and remember it."""
        fits = self._patterns.fitting(word.decode("latin-1"))
        if not fits:
            self._remember(word, None)
            return None
        begins = [row for number in sorted(fits) for row in self._begins.get(number, ())]
        phrases: defaultdict[int, list[_Row]] = defaultdict(list)
        for row in begins:
            if len(row.patterns) > 1 and row.patterns[1] != _GAP:
                phrases[row.patterns[1]].append(row)
        alone = tuple(row for row in begins if len(row.patterns) == 1)
        gapped = tuple(row for row in begins if len(row.patterns) > 1 and row.patterns[1] == _GAP)
        meaning = _Meaning(fits, alone, dict(phrases), gapped)
        self._remember(word, meaning)
        return meaning

    def _remember(self, word: bytes, meaning: _Meaning | None) -> None:
        """Keep what a word means: at most `REMEMBERED_MAX` words, none longer than a word is."""
        if len(word) > WORD_MAX:
            return
        if len(self) >= REMEMBERED_MAX:
            self.clear()
        self[word] = meaning


def _folded(part: str) -> Iterator[str]:
    """The words of a part of an entry as texts have them, with its marks: "didn't" is two."""
    if part in ("...", ".") or part[0] == "<" or part[0].isdigit():
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
            for one in files:
                meanings.add(one, own=one is file)

    def find(self, text: str, language: str) -> Found:
        """Find the entries that count in a text of this language; an unknown one is read as English."""
        known = self._meanings.get(language, self._meanings[Language.EN])
        read = plain(text)
        tokens = [*words_of(read), STOP]
        matches = _matches([known[token] for token in tokens], tokens)
        words: dict[Column, list[str]] = {}
        weights: dict[Column, float] = {}
        for shown, _, column, weight, _ in _counting(matches):
            if column not in words:
                words[column], weights[column] = [shown], weight
            elif shown not in words[column]:
                words[column].append(shown)
                weights[column] += weight
        asks = "?" in read or bool(words.pop(_QUESTION, None))
        return Found(words, weights, asks)


Match = tuple[int, int, _Row]


def _matches(meanings: Sequence[_Meaning | None], tokens: Sequence[bytes]) -> list[Match]:
    """Every row whose words are in the text, with the places at which it begins and ends."""
    found: list[Match] = []
    then: _Meaning | None = None
    #: The patterns that words behind the place fit: most rows of several words lack their last one.
    behind = {_GAP}
    for at in range(len(meanings) - 1, -1, -1):
        before, then = then, meanings[at]
        if then is None:
            continue
        fits, rows, phrases, gapped = then
        if rows:
            found += [(at, at + 1, row) for row in rows]
        if phrases and before is not None:
            for number in before.fits:
                if number in phrases:
                    for row in phrases[number]:
                        if len(row.patterns) == 2:
                            found.append((at, at + 2, row))
                        elif row.patterns[-1] in behind and (
                            end := _end(row, 2, at + 2, meanings, tokens)
                        ):
                            found.append((at, end, row))
        for row in gapped:
            if row.patterns[-1] in behind and (end := _end(row, 1, at + 1, meanings, tokens)):
                found.append((at, end, row))
        behind |= fits
    found.reverse()
    return found


def _end(
    row: _Row, since: int, at: int, meanings: Sequence[_Meaning | None], tokens: Sequence[bytes]
) -> int:
    """Where the words of a row end, whose patterns from `since` begin at a place; 0 if they are not all there."""
    gap = 0
    for pattern in row.patterns[since:]:
        if pattern == _GAP:
            gap += GAP_MAX
            continue
        for place in range(at, min(at + gap + 1, len(tokens))):
            meaning = meanings[place]
            if meaning and pattern in meaning.fits:
                gap, at = 0, place + 1
                break
            if tokens[place] == STOP:
                return 0
        else:
            return 0
    return at


def _counting(matches: list[Match]) -> Iterator[_Row]:
    """The rows that count: none behind a negation that takes it back, no flag with a word of what is harmless."""
    negated: set[int] = set()
    harmless: set[int] = set()
    fillers: list[tuple[int, int]] = []
    for at, end, row in matches:
        if not row.weight:
            if row.column == _NEGATION:
                negated.add(end)
            elif row.column == _FILLER:
                fillers.append((at, end))
            else:
                harmless.update(range(at, end))
    if negated:
        for at, end in fillers:
            if at in negated:
                negated.add(end)
    for at, end, row in matches:
        if not row.weight or (row.taken_back and at in negated):
            continue
        if harmless and row.column[0] == "flag" and not harmless.isdisjoint(range(at, end)):
            continue
        yield row


def _unknown_classes(data: object) -> Iterator[tuple[Loc, str]]:
    """The places of entries with a class that the file does not have, which would never be found."""
    classes = data.get("classes") if isinstance(data, dict) else None
    known = set(classes) if isinstance(classes, dict) else set()
    parts: list[tuple[Loc, object]] = [((), data)]
    while parts:
        loc, part = parts.pop()
        if isinstance(part, dict):
            parts += [((*loc, name), inner) for name, inner in part.items()]
        elif isinstance(part, list):
            parts += [((*loc, at), inner) for at, inner in enumerate(part)]
        elif isinstance(part, str):
            for name in _CLASS.findall(part):
                if name not in known:
                    yield loc, f"there is no class <{name}>"


def _file(folder: Path, language: Language) -> LexiconFile:
    """The file of a language. Reads it; raises BrokenFile."""
    path = folder / f"{language}.yaml"
    found = strict_yaml.load(path, LexiconFile, bytes_max=FILE_BYTES_MAX, also=_unknown_classes)
    if isinstance(found, list):
        raise BrokenFile(path, found)
    return found


def subcategories(language: Language, folder: Path = SHIPPED) -> set[tuple[Category, str]]:
    """The subcategories that a language has entries of. Reads its file; raises BrokenFile."""
    file = _file(folder, language)
    return {
        (category, name)
        for category, parts in file.categories.items()
        for name in parts
        if name != GENERAL
    }


def load(folder: Path = SHIPPED) -> Lexicon:
    """The lexicon in a folder, one file per language; raises BrokenFile with everything wrong in the first bad file.

    Reads the files.
    """
    files = [_file(folder, language) for language in Language]
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
                if name != GENERAL and where is not category:
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
