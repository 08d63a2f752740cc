"""What a model looks at in a text: its words, its pairs of words, the parts of its words, and what the rules found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, groupby, pairwise
from operator import itemgetter

from services.complaints.triage.rules import Understood
from services.complaints.triage.text import plain

#: What words of a category weigh together, from which it is a sign of its own: a fault weighs 2, a sure word 4.
STEPS = (2, 4, 8)
#: Characters of a text that are looked at, so that a long one takes some milliseconds at most: the beginning says
#: what it is about.
LOOKED_AT_MAX = 4_000
#: Letters of a word's parts: `del-` begins a word, `-lay` ends one, `-ela-` stands inside.
PART_MIN, PART_MAX = 3, 5
#: Letters of a word that are looked at; longer ones are no words. A fact's reason has room for two of them.
WORD_MAX = 39
#: A word that fewer customers used gets no weight, so that no guest's name is in the file of a model.
CUSTOMERS_MIN = 5
#: Features that a model may get weights for; training keeps the heaviest of them.
VOCABULARY_MAX = 60_000
#: Features that are counted at once, in some 300 MB.
COUNTED_MAX = 2_000_000
#: Words that are remembered with their parts; people use few words often.
REMEMBERED_MAX = 20_000

#: Addresses and handles say who somebody is and not what happened, so all of them are one word each.
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"\S*@\S+")
_DIGITS = re.compile(r"[\d.,:]*\d")
#: Words with their apostrophes, signs of feeling, and pictures.
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[!?]+|[^\w\s!-/:-@\[-`{-~]")


def tokens(text: str) -> list[str]:
    """The words of a text in lower case, in their order, with numbers as `0` and addresses as `url` and `name`."""
    seen = plain(text[:LOOKED_AT_MAX]).lower().replace("\u2019", "'")
    seen = _NAME.sub(" name ", _LINK.sub(" url ", seen))
    return [token[:WORD_MAX] for token in _TOKEN.findall(_DIGITS.sub("0", seen))]


@lru_cache(maxsize=REMEMBERED_MAX)
def parts(word: str) -> tuple[str, ...]:
    """The parts of a word, written as a lexicon writes them."""
    length = len(word)
    return tuple(
        f"{'-' if start else ''}{word[start : start + size]}{'-' if start + size < length else ''}"
        for size in range(PART_MIN, min(PART_MAX, length - 1) + 1)
        for start in range(length - size + 1)
    )


def pairs(words: Iterable[str]) -> Iterator[str]:
    """Words beside one another."""
    return (f"{left} {right}" for left, right in pairwise(words))


def features(text: str) -> set[str]:
    """Everything in a text that a model may have a weight for."""
    words = tokens(text)
    once = set(words)
    return once.union(pairs(words), chain.from_iterable(map(parts, once)))


def signs(understood: Understood) -> set[str]:
    """What the rules found, in words of ours: what they decided, and how much words spoke of each category."""
    decided = (
        ("category", understood.category),
        ("intent", understood.intent),
        ("severity", understood.severity),
        ("step", understood.step),
        ("remedy", understood.remedy),
        *(("flag", flag) for flag in understood.flags),
    )
    spoken = {name: score for name, score in understood.scores.items() if score > 0}
    return {
        *(f"{what} {which}" for what, which in decided if which),
        *(f"speaks of {name}" for name in spoken),
        *(f"speaks of {name}, {step}" for name in spoken for step in STEPS if spoken[name] >= step),
    }


def vocabulary(texts: Iterable[tuple[int, str]]) -> list[str]:
    """The features that enough different customers used, the most used first, then by the alphabet.

    `texts` are pairs of a customer and a text.
    """
    users: Counter[str] = Counter()
    for _, of in groupby(sorted(texts), key=itemgetter(0)):
        users.update(set().union(*(features(text) for _, text in of)))
        if len(users) > COUNTED_MAX:
            # What one customer alone used so far is forgotten; it is counted too low and never too high.
            users = Counter({name: count for name, count in users.items() if count > 1})
    enough = [(-count, name) for name, count in users.items() if count >= CUSTOMERS_MIN]
    return [name for _, name in sorted(enough)[:VOCABULARY_MAX]]
