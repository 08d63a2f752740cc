"""Reads the bytes of a mail: whom it is from, what it says and what hangs on it. Nothing that is sent raises or is slow."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from hashlib import sha256
from itertools import chain, islice
from unicodedata import category

from pydantic import ValidationError

from services.complaints.mail.html import words_of
from services.complaints.mail.quoted import is_forwarded, new_words
from services.complaints.mail.rules import NAMED_MAX, Mail
from shared.contracts.intake import Contact
from shared.contracts.names import visible
from shared.runtime.mail.bounds import parsed

#: What is read of one field, of fields and addresses of recipients, and of one text.
FIELD_CHARS_MAX, FIELDS_MAX, ADDRESSES_MAX, TEXT_CHARS_MAX = 4000, 20, 50, 200_000
SUBJECT_CHARS_MAX, NAME_CHARS_MAX, FILE_CHARS_MAX = 300, 100, 80
#: Parts within parts that are looked into.
DEPTH_MAX = 8
#: Fields that say whom a mail was delivered to.
RECIPIENTS = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
#: Fields that only programs which answer by themselves write.
BY_ITSELF = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply-from")
#: A Message-ID of ours, as the notifier makes it.
OURS = re.compile(r"<me-[0-9a-f]{32}@[^\s<>@]+>")
#: Character sets of mails. Not every codec of Python is one: some are slow, some run escapes.
CHARSETS = re.compile(
    r"ascii|utf-8|utf-16(-[lb]e)?|iso8859-\d+|cp\d+|koi8-[ru]|mac-roman|gb2312|gbk|gb18030|big5"
    r"|shift_jis|euc_(jp|kr)|iso2022_(jp|kr)"
)


def read(raw: bytes) -> Mail:
    """What a mail says. Takes up to a second for a mail made to be slow, so not in the event loop."""
    message = parsed(raw)
    fields = Fields(message)
    sender, sender_name = _sender(fields)
    found = Body()
    found.look(message)
    words = found.words()
    subject = _line(fields.text("subject"), SUBJECT_CHARS_MAX)
    answers = bool(fields.raw("in-reply-to") or fields.raw("references"))
    if answers and not is_forwarded(subject):
        words = new_words(words)
    message_id = " ".join(fields.raw("message-id").split())
    return Mail(
        message_id=message_id or sha256(raw).hexdigest(),
        sender=sender,
        sender_name=sender_name,
        to=[address for _, address in _addresses(fields, RECIPIENTS)],
        subject=subject,
        words=words,
        attachments=found.names,
        attachments_count=found.count,
        auto_submitted=fields.word("auto-submitted"),
        precedence=fields.word("precedence"),
        answers_by_itself=any(fields.raw(name) for name in BY_ITSELF),
        returned=_is_returned(message, fields),
        ours=OURS.search(message_id) is not None,
    )


class Fields:
    """The fields of a mail by name, the first of each."""

    def __init__(self, message: Message) -> None:
        self._all: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            # Bytes that are not ASCII are UTF-8 as a rule, though nobody says so.
            text = str(value)[:FIELD_CHARS_MAX].encode("utf-8", "surrogateescape")
            self._all.setdefault(name.lower(), []).append(text.decode("utf-8", "replace"))

    def raw(self, name: str) -> str:
        """A field as it stands there; empty where it is absent."""
        return next(iter(self._all.get(name, ())), "")

    def each(self, name: str) -> list[str]:
        """Every field of this name."""
        return self._all.get(name, [])

    def text(self, name: str) -> str:
        """A field as people read it."""
        return decoded(self.raw(name))

    def word(self, name: str) -> str:
        """The first word of a field, in lower case."""
        return self.raw(name).partition(";")[0].strip().lower()[:40]


def decoded(value: str) -> str:
    """A field's encoded words as text; what cannot be decoded stays as it is."""
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(
        part if isinstance(part, str) else text_of(part, charset) for part, charset in parts
    )


def text_of(raw: bytes, charset: str | None) -> str:
    """Bytes as text, whatever they say they are; never raises."""
    try:
        name = codecs.lookup((charset or "utf-8")[:40]).name
    except (LookupError, ValueError):  # the latter for a name with a zero byte
        name = "utf-8"
    if not CHARSETS.fullmatch(name) or name == "ascii":
        name = "utf-8"
    try:
        return raw.decode(name)
    except UnicodeError:
        # Programs that say nothing or a lie mostly write this one.
        return raw.decode("cp1252" if name == "utf-8" else name, "replace")


def _addresses(fields: Fields, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and addresses of the fields, bounded in number."""
    values = [value for name in names for value in fields.each(name)]
    return islice(chain.from_iterable(map(_addresses_in, values[:FIELDS_MAX])), ADDRESSES_MAX)


def _addresses_in(value: str) -> list[tuple[str, str]]:
    """Names and addresses of one field; none where comments or groups are nested as only programs nest them."""
    try:
        return getaddresses([value])
    except RecursionError:
        return []


def _sender(fields: Fields) -> tuple[str | None, str | None]:
    """Address and name of whom it is from; None where there is none that letters go to, and where there are several."""
    name, address, *more = [*chain.from_iterable(_addresses(fields, ("from",)))] or ("", "")
    if more:
        return None, None
    shown = _line(decoded(name), NAME_CHARS_MAX)
    try:
        Contact(email=address)
    except ValidationError:
        return None, None
    # A name with an address in it names nobody, and may be meant to look like another sender.
    return address, shown if visible(shown) and "@" not in shown else None


def _is_returned(message: Message, fields: Fields) -> bool:
    """Whether a mail server reports on a letter, or sends it back."""
    reports = message.get_content_type() == "multipart/report"
    nobody = fields.raw("return-path").strip() == "<>"
    local = next(_addresses(fields, ("from",)), ("", ""))[1].partition("@")[0].lower()
    return reports or nobody or local in ("mailer-daemon", "postmaster")


@dataclass
class Body:
    """The texts and attachments of a mail, as its parts are looked at."""

    texts: list[str] = field(default_factory=list)
    #: Texts of mails that hang on this one, which speak for it where it says nothing.
    passed_on: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    count: int = 0

    def words(self) -> str:
        """The words of the mail."""
        said = "\n\n".join(filter(visible, self.texts)) or "\n\n".join(self.passed_on)
        return _neutral(said[:TEXT_CHARS_MAX])

    def look(self, part: Message, depth: int = 0, *, inner: bool = False) -> None:
        """Look at a part and those within; `inner` is a mail that hangs on this one."""
        if depth > DEPTH_MAX:
            return
        kind = part.get_content_type()
        texts = self.passed_on if inner else self.texts
        if kind == "message/rfc822":
            self._attach(part)
            for within in _within(part):
                self.look(within, depth + 1, inner=True)
        elif kind == "multipart/alternative":
            texts.append(self._best(part, depth))
        elif part.is_multipart():
            for within in _within(part):
                self.look(within, depth + 1, inner=inner)
        elif kind.startswith("text/") and part.get_content_disposition() != "attachment":
            texts.append(_text(part))
        elif not inner:
            self._attach(part)

    def _best(self, part: Message, depth: int) -> str:
        """The plain one of several forms of the same text, or the first that says something."""
        forms = []
        for within in _within(part):
            one = Body()
            one.look(within, depth + 1)
            self.count += one.count
            self.names = (self.names + one.names)[:NAMED_MAX]
            forms.append((within.get_content_type() != "text/plain", one.words()))
        said = [words for _, words in sorted(forms, key=lambda form: form[0]) if visible(words)]
        return said[0] if said else ""

    def _attach(self, part: Message) -> None:
        """Count an attachment and write down its name."""
        self.count += 1
        if len(self.names) < NAMED_MAX:
            try:
                given = part.get_filename() or ""
            except (ValueError, LookupError, TypeError):  # a name in parts that do not fit together
                given = ""
            name = _line(
                decoded(given[:FIELD_CHARS_MAX]).replace("\\", "/").rpartition("/")[2],
                FILE_CHARS_MAX,
            )
            if visible(name):
                self.names.append(name)


def _within(part: Message) -> list[Message]:
    """The parts of a part."""
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _text(part: Message) -> str:
    """The text of a part, HTML as plain text."""
    try:
        raw = part.get_payload(decode=True)
    except (ValueError, LookupError):
        return ""
    if not isinstance(raw, bytes):
        return ""
    charset = part.get_param("charset")
    said = text_of(raw[: 2 * TEXT_CHARS_MAX], charset if isinstance(charset, str) else None)
    said = said[:TEXT_CHARS_MAX].replace("\r\n", "\n").replace("\r", "\n")
    return words_of(said) if part.get_content_type() == "text/html" else said


def _neutral(text: str) -> str:
    """The text without control and format characters, which hide or turn what stands beside them."""
    kept = (
        sign for sign in text if sign in "\n\t" or category(sign) not in ("Cc", "Cf", "Cs", "Co")
    )
    return "".join(kept).strip()


def _line(text: str, chars_max: int) -> str:
    """The text as one line of bounded length."""
    return " ".join(_neutral(text[: 4 * chars_max]).split())[:chars_max].strip()
