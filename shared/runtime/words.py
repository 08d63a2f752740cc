"""What every letter and page says alike, in each language: times, money, percentages, subjects.

The words of one letter are in its template, the words of one page in its module; whatever both say,
or two services say, is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.dates import format_time as format_clock
from babel.numbers import (
    format_currency,
    get_currency_precision,
    get_currency_symbol,
    validate_currency,
)

from shared.contracts.complaints import Category, Language
from shared.contracts.policy import Policy

#: English readers aboard are mostly not American: day before month, a 24-hour clock.
LOCALES: dict[str, str] = {"nb": "nb", "sv": "sv", "da": "da", "en": "en_GB"}
#: How a day and a clock time are joined; Babel has only "day, time".
_AT = {"nb": "{} kl. {}", "sv": "{} kl. {}", "da": "{} kl. {}", "en": "{} at {}"}
_DAY = {
    "nb": "EEEE d. MMMM y",
    "sv": "EEEE d MMMM y",
    "da": "EEEE 'den' d. MMMM y",
    "en": "EEEE d MMMM y",
}

_WORTH = {"nb": "verdi {}", "sv": "värde {}", "da": "værdi {}", "en": "worth {}"}
#: A percentage, and the largest bill it holds for.
_OFF_A_BILL = {
    "nb": "{} % avslag på en regning på inntil {}",
    "sv": "{} % rabatt på en nota på högst {}",
    "da": "{} % rabat på en regning på op til {}",
    "en": "{}% off a bill of up to {}",
}
#: What a complaint is about, to be read after "about"; a customer who told us something else reads nothing.
_ABOUT: dict[str, dict[Category, str]] = {
    "nb": {
        Category.FOOD: "maten og serveringen",
        Category.DELAY: "ventetiden",
        Category.NOISE: "støyen",
        Category.CLEANLINESS: "renholdet",
        Category.STAFF: "hvordan du ble møtt",
        Category.BILLING: "regningen",
        Category.BAGGAGE: "bagasjen",
        Category.FACILITIES: "rommet og utstyret",
        Category.SAFETY: "sikkerheten",
    },
    "sv": {
        Category.FOOD: "maten och serveringen",
        Category.DELAY: "väntetiden",
        Category.NOISE: "oljudet",
        Category.CLEANLINESS: "städningen",
        Category.STAFF: "hur du blev bemött",
        Category.BILLING: "räkningen",
        Category.BAGGAGE: "bagaget",
        Category.FACILITIES: "rummet och utrustningen",
        Category.SAFETY: "säkerheten",
    },
    "da": {
        Category.FOOD: "maden og serveringen",
        Category.DELAY: "ventetiden",
        Category.NOISE: "støjen",
        Category.CLEANLINESS: "rengøringen",
        Category.STAFF: "hvordan du blev mødt",
        Category.BILLING: "regningen",
        Category.BAGGAGE: "bagagen",
        Category.FACILITIES: "værelset og udstyret",
        Category.SAFETY: "sikkerheden",
    },
    "en": {
        Category.FOOD: "the food and the service",
        Category.DELAY: "the wait",
        Category.NOISE: "the noise",
        Category.CLEANLINESS: "the cleaning",
        Category.STAFF: "how you were treated",
        Category.BILLING: "the bill",
        Category.BAGGAGE: "your luggage",
        Category.FACILITIES: "the room and what is in it",
        Category.SAFETY: "a matter of safety",
    },
}
#: What became of a check, by a name that both services use for its state. `used` takes the time,
#: `partly_used` what is left, `expired` the end of its time.
_STANDINGS: dict[str, dict[str, str]] = {
    "nb": {
        "redeemed": "Dette er brukt.",
        "used": "Dette ble brukt {}.",
        "partly_used": "En del av dette er brukt. Du har {} igjen, og koden er den samme.",
        "voided": "Dette er trukket tilbake og kan ikke brukes. Spør hvem som helst av oss, så hjelper vi deg videre.",
        "suspended": "Dette er satt på vent, og koden kan ikke brukes nå. Spør hvem som helst av oss, så hjelper vi deg videre.",
        "expired": "Dette gjelder ikke lenger. Det gikk ut {}.",
    },
    "sv": {
        "redeemed": "Det här är använt.",
        "used": "Det här användes {}.",
        "partly_used": "En del av det här är använd. Du har {} kvar, och koden är densamma.",
        "voided": "Det här har dragits tillbaka och kan inte användas. Fråga vem som helst av oss, så hjälper vi dig vidare.",
        "suspended": "Det här är pausat, och koden kan inte användas just nu. Fråga vem som helst av oss, så hjälper vi dig vidare.",
        "expired": "Det här gäller inte längre. Det gick ut {}.",
    },
    "da": {
        "redeemed": "Det er brugt.",
        "used": "Det blev brugt {}.",
        "partly_used": "En del af det er brugt. Du har {} tilbage, og koden er den samme.",
        "voided": "Det er trukket tilbage og kan ikke bruges. Spørg hvem som helst af os, så hjælper vi dig videre.",
        "suspended": "Det er sat på pause, og koden kan ikke bruges lige nu. Spørg hvem som helst af os, så hjælper vi dig videre.",
        "expired": "Det gælder ikke længere. Det udløb {}.",
    },
    "en": {
        "redeemed": "This has been used.",
        "used": "This was used on {}.",
        "partly_used": "Part of this has been used. You have {} left, and the code is the same.",
        "voided": "This has been withdrawn and cannot be used. Ask any one of us and we will take it from there.",
        "suspended": "This is on hold, and the code cannot be used for now. Ask any one of us and we will take it from there.",
        "expired": "This is not valid any more. It expired on {}.",
    },
}  # fmt: skip
#: Languages that a browser may ask for under another name: what Norwegians call theirs.
_ALSO = {"no": Language.NB, "nn": Language.NB}
#: Languages looked at in one Accept-Language header; browsers send a handful.
_ACCEPTED_MAX = 20
#: Characters of a complaint's id that customers tell us and staff find it by.
_REFERENCE_CHARS = 6


def known_language(language: str) -> Language:
    """The language itself if there are words in it, else English."""
    return Language(language) if language in LOCALES else Language.EN


def accepted_language(header: str) -> Language:
    """The language of ours that an Accept-Language header prefers; English if it names none."""
    best, found = 0.0, Language.EN
    for tag, weight in weighed(header)[:_ACCEPTED_MAX]:
        primary = tag.partition("-")[0]
        language = _ALSO.get(primary) or (Language(primary) if primary in LOCALES else None)
        if language is not None and weight > best:
            best, found = weight, language
    return found


def weighed(header: str) -> list[tuple[str, float]]:
    """The values of a header like Accept, each with its weight (RFC 9110, 12.4.2); none that is unreadable."""
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


def format_time(moment: datetime, zone: str, language: str) -> str:
    """Day and clock time at the site, like "onsdag 3. juni 2026 kl. 21:30"; `zone` is an IANA name.

    Raises ValueError for a time without a zone, which would be read as the machine's.
    """
    if moment.tzinfo is None:
        msg = "a promised time needs a zone"
        raise ValueError(msg)
    known = known_language(language)
    local, locale = moment.astimezone(ZoneInfo(zone)), LOCALES[known]
    day = format_date(local, _DAY[known], locale=locale)
    return _AT[known].format(day, format_clock(local, "short", tzinfo=local.tzinfo, locale=locale))


def format_money(amount_minor: int, currency: str, language: str) -> str:
    """An amount as the reader writes it, like "1 200,00 kr"; minor units by ISO 4217.

    Raises babel.numbers.UnknownCurrencyError.
    """
    validate_currency(currency)
    amount = Decimal(amount_minor).scaleb(-get_currency_precision(currency))
    locale = LOCALES[known_language(language)]
    text = format_currency(amount, currency, locale=locale)
    # CLDR calls the neighbours' crowns "Nkr" and "Dkr" in Swedish, which no price list does.
    if (symbol := get_currency_symbol(currency, locale=locale)).endswith("kr") and symbol != "kr":
        text = text.replace(symbol, currency)
    # CLDR joins a code to its number; readers of English write a space, as the others do.
    return re.sub(rf"^{currency}(?=\d)", f"{currency}\xa0", text)


def format_worth(
    value_minor: int,
    currency: str,
    language: str,
    percent: int | None = None,
    bill_up_to_minor: int | None = None,
) -> str:
    """What a check is worth: an amount, or a percentage with the largest bill it holds for.

    Empty for what costs nothing. Raises babel.numbers.UnknownCurrencyError.
    """
    known = known_language(language)
    if percent is not None and bill_up_to_minor is not None:
        return _OFF_A_BILL[known].format(percent, format_money(bill_up_to_minor, currency, known))
    return _WORTH[known].format(format_money(value_minor, currency, known)) if value_minor else ""


def about(category: Category, language: str) -> str:
    """What a complaint of this category is about, to be read after "about"; empty for any other."""
    return _ABOUT[known_language(language)].get(category, "")


def standing(state: str, language: str, value: str = "") -> str:
    """What became of a check, in a sentence; empty for a state that needs none.

    `value` is when it was used, what is left of it, or when it expired.
    """
    return _STANDINGS[known_language(language)].get(state, "").format(value)


def in_language(texts: Mapping[Language, str], language: str) -> str:
    """The text in this language, or in the first that there is; empty if there is none."""
    return texts.get(known_language(language)) or next(iter(texts.values()), "")


def title_of(item: str, policies: Iterable[Policy], language: str) -> str:
    """What a check is called: as in the first of the policies that has it, else by its id.

    `item` is that of an option or a check, with or without an amount.
    """
    name = item.partition("/")[0]
    found = (policy.checks[name].title for policy in policies if name in policy.checks)
    return next((in_language(title, language) for title in found), name)


def reference_of(complaint_id: str) -> str:
    """What a customer tells us of their complaint, and staff find it by."""
    return complaint_id[-_REFERENCE_CHARS:].upper()
