"""A letter as a mail message: headers, and its parts one in the other (RFC 5322, 2045 to 2047 and 2387).

The standard library parses every header that it is given, and writes a message line by line: for our letters, whose
headers are few and known, that took half of the time of a letter.
"""

from __future__ import annotations

import quopri
from base64 import b64encode, encodebytes
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import formataddr, formatdate
from secrets import token_hex

from services.notifier.channels.ports import Letter

#: The longest line of a letter (RFC 5322, 2.1.1).
LINE_BYTES_MAX = 998
#: Of a text in one encoded word: with the header's name before it, a line has the 76 characters of RFC 2047 at most.
WORD_BYTES_MAX = 39


def written(
    letter: Letter, sender: str, recipient: str, now: datetime, *, eight_bit: bool = True
) -> bytes:
    """A letter as the mail message to send, with both addresses in ASCII.

    Its lines end in a line feed alone. Without `eight_bit` every byte of it is one of ASCII. Raises ValueError for a
    header of several lines.
    """
    for value in (letter.subject, letter.sender_name or "", letter.reply_to, letter.unsubscribe):
        if len(f"{value}.".splitlines()) > 1:
            msg = "a header of several lines"
            raise ValueError(msg)
    head = {
        "To": recipient,
        "From": from_of(letter.sender_name, sender),
        "Subject": in_words(letter.subject),
        "Date": formatdate(now.timestamp()),
        "Message-ID": f"<{letter.message_id}@{sender.rpartition('@')[2]}>",
        # RFC 3834: automatic answers to this must not come back as complaints.
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
    if letter.urgent:
        head["Importance"] = "high"
    if letter.reply_to:
        head["Reply-To"] = letter.reply_to
    if letter.unsubscribe:
        head["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
        head["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    body = text(letter.body, "plain", eight_bit=eight_bit)
    if letter.html is not None:
        shown = text(letter.html, "html", eight_bit=eight_bit)
        if letter.pictures:
            pictures = [picture(name, png) for name, png in letter.pictures.items()]
            shown = together("related", [shown, *pictures])
        body = together("alternative", [body, shown])
    return headers(head) + body


def headers(named: Mapping[str, str]) -> bytes:
    """The lines of headers."""
    return "".join([f"{name}: {value}\n" for name, value in named.items()]).encode()


def in_words(value: str) -> str:
    """A text as a header's value: in encoded words where it is not plain ASCII or would be read as one."""
    if value.isascii() and "=?" not in value:
        return value
    words = [b""]
    for char in value:
        raw = char.encode()
        if len(words[-1]) + len(raw) > WORD_BYTES_MAX:
            words.append(b"")
        words[-1] += raw
    return "\n ".join([f"=?utf-8?b?{b64encode(one).decode()}?=" for one in words])


def from_of(name: str | None, sender: str) -> str:
    """The sender with their name, if they have one."""
    encoded = in_words(name or "")
    return formataddr((name, sender)) if encoded == (name or "") else f"{encoded} <{sender}>"


def text(words: str, subtype: str, *, eight_bit: bool) -> bytes:
    """A part of text: as it stands, so that it is readable and no link is cut, where a server takes it so."""
    raw = words.encode()
    fits = all(len(line) <= LINE_BYTES_MAX for line in raw.split(b"\n"))
    if fits and eight_bit:
        encoding = "8bit"
    elif fits and raw.isascii():
        encoding = "7bit"
    else:
        encoding, raw = "quoted-printable", quopri.encodestring(raw)
    head = {
        "Content-Type": f'text/{subtype}; charset="utf-8"',
        "Content-Transfer-Encoding": encoding,
    }
    return headers(head) + b"\n" + raw


def picture(name: str, png: bytes) -> bytes:
    """A part that is a picture, to which the HTML part refers by its content id."""
    head = {
        "Content-Type": "image/png",
        "Content-Transfer-Encoding": "base64",
        "Content-Disposition": "inline",
        "Content-ID": f"<{name}>",
    }
    return headers(head) + b"\n" + encodebytes(png)


def together(how: str, parts: Sequence[bytes]) -> bytes:
    """A part made of several; no text can contain the line between them, which nobody knows before."""
    between = f"=_{token_hex(16)}"
    of = '; type="text/html"' if how == "related" else ""
    head = {"Content-Type": f'multipart/{how}{of}; boundary="{between}"'}
    edge = f"\n--{between}\n".encode()
    return headers(head) + b"".join(edge + one for one in parts) + f"\n--{between}--\n".encode()
