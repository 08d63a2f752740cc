"""The ports of the notifier: mail by SMTP, links signed under a derived secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate

import aiosmtplib
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from services.notifier.ports import Letter
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable

#: A mail server that needs longer than this to accept a letter is overloaded; later is better.
SMTP_TIMEOUT_S = 20
#: First digit of a permanent SMTP reply (RFC 5321, 4.2.1).
PERMANENT = 500
#: As long as a customer may take to answer; longer than the longest stay and the way home.
LINK_LASTS = timedelta(days=60)
ALGORITHM = "HS256"
AUDIENCE = "feedback"
TOKEN_MAX = 1024


class SmtpMailer:
    """`Mailer` over SMTP, one connection per letter."""

    def __init__(self, host: str, port: int, now: Callable[[], datetime]) -> None:
        self._host = host
        self._port = port
        self._now = now

    async def send(self, letter: Letter) -> None:
        """See Mailer."""
        message = EmailMessage()
        message["From"] = letter.sender
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = formatdate(self._now().timestamp())
        message["Message-ID"] = f"<{letter.message_id}@{letter.sender.rpartition('@')[2]}>"
        # RFC 3834: automatic answers to this must not come back as complaints.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        try:
            await aiosmtplib.send(
                message, hostname=self._host, port=self._port, timeout=SMTP_TIMEOUT_S
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refused.code >= PERMANENT for refused in error.recipients):
                raise Rejected(Reason.ADDRESS_REFUSED) from None
            raise Unavailable(Reason.MAIL_UNAVAILABLE) from None
        except aiosmtplib.SMTPResponseException as error:
            if error.code >= PERMANENT:
                raise Rejected(Reason.ADDRESS_REFUSED) from None
            raise Unavailable(Reason.MAIL_UNAVAILABLE) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unavailable(Reason.MAIL_UNAVAILABLE) from error


class SignedLinks:
    """`Links` as short JWTs under a secret of the notifier: scoped, expiring, unguessable."""

    def __init__(self, secret: bytes, public_url: str, now: Callable[[], datetime]) -> None:
        self._key = OctKey.import_key(secret)
        self._public_url = public_url.rstrip("/")
        self._now = now

    def feedback(self, complaint_id: str, check_id: str) -> str:
        """See Links."""
        expires = int((self._now() + LINK_LASTS).timestamp())
        claims = {"aud": AUDIENCE, "exp": expires, "complaint": complaint_id, "check": check_id}
        return f"{self._public_url}/f/{jwt.encode({'alg': ALGORITHM}, claims, self._key)}"

    def read(self, token: str) -> tuple[str, str]:
        """See Links."""
        try:
            if len(token) > TOKEN_MAX:
                raise ValueError
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            JWTClaimsRegistry(
                now=int(self._now().timestamp()),
                aud={"essential": True, "value": AUDIENCE},
                exp={"essential": True},
            ).validate(claims)
            return str(claims["complaint"]), str(claims["check"])
        except (JoseError, ValueError, KeyError):
            raise Rejected(Reason.LINK_INVALID, status=404) from None
