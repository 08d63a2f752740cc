"""The ports of the notifier: mail by SMTP, links signed under a derived secret."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

import aiosmtplib
from aiosmtplib import SMTPResponse

from services.notifier.ports import Letter
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.privacy.links import Tokens, check_link, offer_link

#: A mail server that needs longer than this to accept a letter is overloaded; later is better. The
#: whole conversation may take so long, and the goodbye again: together less than `ATTEMPT_LASTS`,
#: after which others may try.
SMTP_TIMEOUT_S = 20
#: First digit of a permanent SMTP reply (RFC 5321, 4.2.1).
PERMANENT = 500
#: Replies about who asks, to whichever command: authentication is missing or wrong (RFC 4954, 6).
AUTHENTICATION = range(530, 540)
#: The detail of a refusal by policy, not for a mailbox that is not there (RFC 3463, 3.8).
POLICY = "5.7."
#: What fits into a path with its brackets (RFC 5321, 4.5.3.1.3).
ADDRESS_CHARS_MAX = 254
#: The longest line of a letter (RFC 5322, 2.1.1).
LINE_BYTES_MAX = 998
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
#: The address that people have (addr-spec of dot-atoms, RFC 5322, 3.4.1). "=?" begins an encoded
#: word: whoever reads the header would decode it, and see another address.
_ADDRESS = re.compile(rf"(?!.*=\?){_ATOMS}@{_ATOMS}")


class Conversation(aiosmtplib.SMTP):
    """The library's, and how far it came with the letter: `taken` is None where nobody knows."""

    taken: bool | None = False

    async def data(self, message: str | bytes, /, **options: Any) -> SMTPResponse:
        """Send the letter itself; its fate is open until the server has answered."""
        self.taken = None
        try:
            answer = await super().data(message, **options)
        except aiosmtplib.SMTPDataError:
            self.taken = False
            raise
        self.taken = True
        return answer


class SmtpMailer:
    """`Mailer` over SMTP, one connection per letter."""

    def __init__(self, host: str, port: int, now: Callable[[], datetime]) -> None:
        self._host = host
        self._port = port
        self._now = now

    async def send(self, letter: Letter) -> bool:
        """See Mailer."""
        message = written(letter, self._now())
        talk = Conversation(hostname=self._host, port=self._port, timeout=SMTP_TIMEOUT_S)
        try:
            async with asyncio.timeout(SMTP_TIMEOUT_S), talk:
                await talk.send_message(message, sender=message["From"], recipients=[message["To"]])
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(no_such_mailbox(refused) for refused in error.recipients):
                raise Rejected(Reason.ADDRESS_REFUSED) from None
            raise Unavailable(Reason.MAIL_UNAVAILABLE) from None
        # Whatever else a server refuses is about us or the letter. Somebody must mend that, and until
        # then the customer's address is as good as before.
        except (aiosmtplib.SMTPException, OSError) as error:
            if talk.taken is False:
                raise Unavailable(Reason.MAIL_UNAVAILABLE) from error
        return talk.taken is True


def written(letter: Letter, now: datetime) -> EmailMessage:
    """A letter as it goes to the mail server.

    Raises Rejected(address_refused) for a recipient, Unavailable(mail_unavailable) for a sender, that
    is no address.
    """
    message = EmailMessage()
    try:
        message["To"] = spoken(letter.recipient)
    except ValueError:
        raise Rejected(Reason.ADDRESS_REFUSED) from None
    try:
        message["From"] = sender = spoken(letter.sender)
    except ValueError:
        raise Unavailable(Reason.MAIL_UNAVAILABLE) from None
    message["Subject"] = letter.subject
    message["Date"] = formatdate(now.timestamp())
    message["Message-ID"] = f"<{letter.message_id}@{sender.rpartition('@')[2]}>"
    # RFC 3834: automatic answers to this must not come back as complaints.
    message["Auto-Submitted"] = "auto-generated"
    # As it stands, so that whoever reads it raw reads words, and no link is cut.
    fits = all(len(line.encode()) <= LINE_BYTES_MAX for line in letter.body.splitlines())
    message.set_content(letter.body, cte="8bit" if fits else "quoted-printable")
    return message


def spoken(address: str) -> str:
    """An address in ASCII, its domain by IDNA; raises ValueError for what is none."""
    if len(address) > ADDRESS_CHARS_MAX:  # first: IDNA takes its time for long domains
        raise ValueError
    local, at, domain = address.rpartition("@")
    plain = f"{local}{at}{domain.encode('idna').decode()}"
    if len(plain) > ADDRESS_CHARS_MAX or not _ADDRESS.fullmatch(plain):
        raise ValueError
    return plain


def no_such_mailbox(refused: aiosmtplib.SMTPRecipientRefused) -> bool:
    """Whether a server refuses the address for good, and not us who write to it."""
    about_us = refused.code in AUTHENTICATION or refused.message.startswith(POLICY)
    return refused.code >= PERMANENT and not about_us


class SignedLinks:
    """`Links` as short signed tokens: our own for answers, and compensation's for choices."""

    def __init__(self, answers: Tokens, public_url: str, choices: Tokens, offers_url: str) -> None:
        self._answers = answers
        self._public_url = public_url.rstrip("/")
        self._choices = choices
        self._offers_url = offers_url

    def feedback(self, complaint_id: str, check_id: str, valid_until: datetime) -> str:
        """See Links."""
        return check_link(self._answers, self._public_url, complaint_id, check_id, valid_until)

    def offer(self, offer_id: str, expires_at: datetime) -> str:
        """See Links."""
        return offer_link(self._choices, self._offers_url, offer_id, expires_at)

    def read(self, token: str) -> tuple[str, str]:
        """See Links."""
        claims = self._answers.read(token)
        return claims["complaint"], claims["check"]

    def complaint_of(self, token: str) -> str | None:
        """See Links."""
        return self._answers.told(token).get("complaint")
