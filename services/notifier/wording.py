"""What customers read: one text per occasion and language, with everything hostile taken out.

Names and titles come from outside and end up in a header and in a mail that we send, so nothing but
a plausible name is used as one: otherwise anybody could have us send their words to anyone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.dates import format_time as format_clock
from babel.numbers import format_currency, get_currency_precision, validate_currency
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.contracts.complaints import Language

#: English readers aboard are mostly not American: day before month, a 24-hour clock.
_LOCALES: dict[str, str] = {"nb": "nb", "sv": "sv", "da": "da", "en": "en_GB"}
#: How a day and a clock time are joined; Babel has only "day, time".
_AT = {"nb": "{} kl. {}", "sv": "{} kl. {}", "da": "{} kl. {}", "en": "{} at {}"}
_DAY = {"nb": "EEEE d. MMMM", "sv": "EEEE d MMMM", "da": "EEEE 'den' d. MMMM", "en": "EEEE d MMMM"}

#: Longer is no name that anybody is greeted by.
_NAME_CHARS_MAX = 60
#: A signed link is the longest value there is.
_VALUE_CHARS_MAX = 2_000
#: RFC 5322 asks for lines below 998 bytes; readers show far less.
_SUBJECT_CHARS_MAX = 160
_NAME = re.compile(r"[^\W\d_]+(?:(?:[ '’-]|\. )[^\W\d_]+)*\.?")
_HEADER = "Subject: "


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to send: a subject of one line and a body of plain text."""

    subject: str
    body: str


class Wording:
    """The texts of one folder, `<occasion>.<language>.txt`, first line `Subject: …`."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; the texts are read and compiled at first use, which blocks once each."""
        # Plain text: escaping for HTML would print &amp; in it. Values are data and never templates.
        self._texts = Environment(  # noqa: S701
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            auto_reload=False,
        )

    def render(self, occasion: str, language: str, *, name: str = "", **values: str) -> Rendered:
        """Word one occasion in a language, English where we do not have it.

        `name` greets the customer if it is plausible as one. Amounts and times come formatted.
        Raises jinja2.UndefinedError if the text needs a value that is missing, and
        jinja2.TemplateNotFound for an unknown occasion.
        """
        known = language if language in _LOCALES else Language.EN
        text = self._texts.get_template(f"{occasion}.{known}.txt")
        safe = {key: _one_line(value) for key, value in values.items()}
        first, _, body = text.render(safe, name=greeting_name(name)).partition("\n")
        if not first.startswith(_HEADER):
            msg = f"{text.name} does not begin with {_HEADER!r}"
            raise ValueError(msg)
        return Rendered(first.removeprefix(_HEADER)[:_SUBJECT_CHARS_MAX].strip(), body.lstrip("\n"))


def greeting_name(name: str) -> str:
    """Reduce what somebody gave as a name to what we greet by; "" if it is not plausible as one.

    Letters of any script, with single spaces, hyphens, apostrophes and dots of initials between:
    no address, no link, no markup, no control or invisible character fits.
    """
    plain = unicodedata.normalize("NFC", _one_line(name[: 10 * _NAME_CHARS_MAX]))
    letters = "".join(char for char in plain if not unicodedata.category(char).startswith("M"))
    return plain if len(plain) <= _NAME_CHARS_MAX and _NAME.fullmatch(letters) else ""


def format_time(moment: datetime, zone: str, language: str) -> str:
    """Day and clock time at the site, like "onsdag 3. juni kl. 21:30"; `zone` is an IANA name.

    Raises ValueError for a time without a zone, which would be read as the machine's.
    """
    if moment.tzinfo is None:
        msg = "a promised time needs a zone"
        raise ValueError(msg)
    known = language if language in _LOCALES else Language.EN.value
    local, locale = moment.astimezone(ZoneInfo(zone)), _LOCALES[known]
    day = format_date(local, _DAY[known], locale=locale)
    return _AT[known].format(day, format_clock(local, "short", tzinfo=local.tzinfo, locale=locale))


def format_money(amount_minor: int, currency: str, language: str) -> str:
    """An amount as the reader writes it, like "1 200,00 kr"; minor units by ISO 4217.

    Raises babel.numbers.UnknownCurrencyError.
    """
    validate_currency(currency)
    amount = Decimal(amount_minor).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale=_LOCALES.get(language, _LOCALES["en"]))


def _one_line(value: str) -> str:
    """Drop invisible and direction-changing characters, turn every other break into one space."""
    kept = "".join(
        " " if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Zs"} else char
        for char in value[:_VALUE_CHARS_MAX]
        if unicodedata.category(char) not in {"Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(kept.split())
