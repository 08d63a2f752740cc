"""The words and formats of every page and letter, in each language.

The words are in `shared/words/<language>.json`, one file per language, which the phone app reads too. A
text has a dotted key, values by name (`{reference}`), and where it counts something one form per plural
category of CLDR.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.dates import format_time as format_clock
from babel.numbers import (
    format_currency,
    format_decimal,
    get_currency_precision,
    get_currency_symbol,
    validate_currency,
)

from shared.contracts.compensation import CheckKind
from shared.contracts.complaints import Category, Language, Outcome
from shared.contracts.names import alike
from shared.contracts.policy import Policy

WORDS = Path(__file__).parents[1] / "words"
#: The plural categories of CLDR; each language has some of them, and all have the last.
PLURALS = ("zero", "one", "two", "few", "many", "other")
#: A text, or its forms by plural category.
Text = str | Mapping[str, str]

#: English readers aboard are mostly not American: day before month, a 24-hour clock.
LOCALES: dict[str, str] = {"nb": "nb", "sv": "sv", "da": "da", "en": "en_GB"}
#: Patterns of a day, as CLDR writes them; Babel's own have no weekday, or have commas.
_DAY = {
    "nb": "EEEE d. MMMM y",
    "sv": "EEEE d MMMM y",
    "da": "EEEE 'den' d. MMMM y",
    "en": "EEEE d MMMM y",
}
#: Other tags under which browsers ask for Norwegian.
_ALSO = {"no": Language.NB, "nn": Language.NB}
#: Languages looked at in one Accept-Language header; browsers send a handful.
_ACCEPTED_MAX = 20


def texts_in(group: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Text]]:
    """Every text of a file by its dotted key; forms by plural category are one text."""
    for name, part in group.items():
        if isinstance(part, str) or set(part) <= set(PLURALS):
            yield prefix + name, part
        else:
            yield from texts_in(part, f"{prefix}{name}.")


@cache
def texts(language: Language) -> Mapping[str, Text]:
    """All texts of a language by key; the first call blocks to read its file."""
    return dict(texts_in(json.loads((WORDS / f"{language}.json").read_text(encoding="utf-8"))))


def say(language: str, key: str, /, *, count: int | None = None, **values: str) -> str:
    """The text of this key in this language with its values, in the plural form of `count` if it has forms.

    Raises KeyError for an unknown key and for a value that the text needs and does not get.
    """
    known = known_language(language)
    found, locale = texts(known)[key], LOCALES[known]
    if count is not None:
        values["count"] = format_decimal(count, locale=locale)
    if not isinstance(found, str):
        found = found[Locale.parse(locale).plural_form(count or 0)]
    return found.format_map(values)


def known_language(language: str) -> Language:
    """The language itself if there are words in it, else English."""
    return Language(language) if language in LOCALES else Language.EN


def accepted_language(header: str, otherwise: Language = Language.EN) -> Language:
    """The language of ours that an Accept-Language header prefers; `otherwise` if it names none."""
    best, found = 0.0, otherwise
    for tag, weight in weighed(header)[:_ACCEPTED_MAX]:
        primary = tag.partition("-")[0]
        language = _ALSO.get(primary) or (Language(primary) if primary in LOCALES else None)
        if language is not None and weight > best:
            best, found = weight, language
    return found


def weighed(header: str) -> list[tuple[str, float]]:
    """The values of a header like Accept, each with its weight (RFC 9110, 12.4.2), without unreadable ones."""
    found = []
    for part in header.split(","):
        value, *parameters = (one.strip().lower() for one in part.split(";"))
        weights = [one.removeprefix("q=") for one in parameters if one.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if value:
            found.append((value, weight))
    return found


@cache
def whole(language: Language) -> bool:
    """Whether a language has every text that another has; the first call blocks to read the files."""
    return all(set(texts(other)) <= set(texts(language)) for other in Language)


def spoken(language: str, policy: Policy) -> Language:
    """The language that a site writes to a customer in: theirs if the site has it, else the site's first.

    A language in which a text is missing is passed over: tests keep that from a release.
    """
    ours = [one for one in policy.languages if whole(one)] or [Language.EN]
    return next((one for one in ours if one == language), ours[0])


def format_time(moment: datetime, zone: str, language: str, now: datetime | None = None) -> str:
    """Day and clock time at the site, like "onsdag 3. juni 2026 kl. 21:30"; `zone` is an IANA name.

    Without the year if it is that of `now` at the site. Raises ValueError for a time without a zone, which would be read as the machine's.
    """
    if moment.tzinfo is None:
        msg = "a promised time needs a zone"
        raise ValueError(msg)
    known = known_language(language)
    local, locale = moment.astimezone(ZoneInfo(zone)), LOCALES[known]
    this_year = now is not None and now.astimezone(ZoneInfo(zone)).year == local.year
    day = format_date(local, _DAY[known].removesuffix(" y" if this_year else ""), locale=locale)
    clock = format_clock(local, "short", tzinfo=local.tzinfo, locale=locale)
    return say(known, "moment", day=day, time=clock)


def format_money(amount_minor: int, currency: str, language: str) -> str:
    """An amount as the reader writes it, like "1 200 kr" or "1 200,50 kr"; minor units by ISO 4217.

    Raises babel.numbers.UnknownCurrencyError.
    """
    validate_currency(currency)
    amount = Decimal(amount_minor).scaleb(-get_currency_precision(currency))
    locale = LOCALES[known_language(language)]
    # Nobody writes a price of whole crowns with ",00" in a letter.
    pattern = Locale.parse(locale).currency_formats["standard"].pattern
    whole_units = pattern.replace(".00", "") if amount == amount.to_integral_value() else None
    text = format_currency(
        amount, currency, whole_units, locale=locale, currency_digits=whole_units is None
    )
    # CLDR calls the neighbours' crowns "Nkr" and "Dkr" in Swedish, which no price list does.
    if (symbol := get_currency_symbol(currency, locale=locale)).endswith("kr") and symbol != "kr":
        text = text.replace(symbol, currency)
    # CLDR joins a code to its number; readers of English write a space, as the others do.
    return re.sub(rf"^{currency}(?=\d)", f"{currency}\xa0", text)


#: Checks that are an amount themselves.
AS_MONEY = (CheckKind.MONEY, CheckKind.REFUND)


def format_worth(
    value_minor: int,
    currency: str,
    language: str,
    percent: int | None = None,
    bill_up_to_minor: int | None = None,
    kind: CheckKind | None = None,
) -> str:
    """What a check is worth: an amount, or a percentage with the largest bill it holds for.

    Money is its amount and is not worth it. Empty for what costs nothing. Raises babel.numbers.UnknownCurrencyError.
    """
    known = known_language(language)
    if percent is not None and bill_up_to_minor is not None:
        bill = format_money(bill_up_to_minor, currency, known)
        return say(known, "off_a_bill", percent=str(percent), amount=bill)
    if not value_minor:
        return ""
    amount = format_money(value_minor, currency, known)
    return amount if kind in AS_MONEY else say(known, "worth", amount=amount)


def about(category: Category, language: str) -> str:
    """What a complaint of this category is about, to be read after "about"; empty for any other."""
    key = f"about.{category}"
    return say(language, key) if key in texts(known_language(language)) else ""


def category_title(category: Category, language: str) -> str:
    """What a category is called where one is chosen."""
    return say(language, f"category.{category}")


def standing(state: str, language: str, value: str = "") -> str:
    """What became of a check, in a sentence; empty for a state that needs none.

    `value` is when it was used, what is left of it, or when it expired.
    """
    key = f"standing.{state}"
    return say(language, key, value=value) if key in texts(known_language(language)) else ""


def in_language(texts: Mapping[Language, str], language: str) -> str:
    """The text in this language, or in the first that there is; empty if there is none."""
    return texts.get(known_language(language)) or next(iter(texts.values()), "")


def place_title(told: str, policy: Policy, language: str) -> str:
    """What a site calls a place that somebody told by id or name, in a language; empty for one that it does not list."""
    heard = alike(told)
    for name, names in policy.places.items():
        if heard in map(alike, (name, *names.values())):
            return in_language(names, language)
    return ""


def capitalised(text: str) -> str:
    """The text with a capital at its beginning, as on a button."""
    return text[:1].upper() + text[1:]


def outcome_key(outcome: str, *, noted: bool) -> str:
    """The key of the sentence that says what came of a complaint's cause; `noted` if an employee's words follow.

    Without words, nobody claims that something was explained: we cannot know.
    """
    unsaid = outcome == Outcome.EXPLAINED and not noted
    return "mine.outcome.explained_unsaid" if unsaid else f"mine.outcome.{outcome}"


def title_of(item: str, policies: Iterable[Policy], language: str) -> str:
    """What a check is called: as in the first of the policies that has it, else by its id.

    `item` is that of an option or a check, with or without an amount.
    """
    name = item.partition("/")[0]
    found = (policy.checks[name].title for policy in policies if name in policy.checks)
    return next((in_language(title, language) for title in found), name)
