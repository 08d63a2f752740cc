"""What is said to providers of text messages and what they answer: two wire formats, pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from pydantic_core import from_json, to_json

from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.faults import Rejected
from shared.runtime.http.signatures import check_form, check_standard

#: The query parameter of a report's URL that says which message it is about.
MESSAGE = "message"
#: Statuses with which a gateway says that it does not know what became of the request.
GATEWAY_TIMEOUT = 504
TOO_MANY = 429
#: Codes of Twilio that are about the number: invalid, not a mobile, unreachable, or it asked for no more.
NUMBER_CODES = frozenset({21211, 21214, 21217, 21610, 21612, 21614, 30003, 30004, 30005, 30006})
#: The same in the generic format.
NUMBER_ERRORS = frozenset({"invalid_recipient", "unreachable", "opted_out"})
#: The longest time that we let a provider put us off for; messages have shorter bounds of their own.
AFTER_MAX = timedelta(days=1)
#: What the ids of our messages look like.
MESSAGE_ID = re.compile(r"me-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Sms:
    """A text message as a provider is asked to send it."""

    message_id: str
    sender: str | None
    recipient: str
    text: str
    #: Where the provider reports the delivery.
    report_url: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to a provider: a POST of these bytes."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider reports of a message: whether it was delivered; None if neither is known yet."""

    message_id: str
    delivered: bool | None


@dataclass(frozen=True, slots=True)
class Posted:
    """A report as it came: the URL it was sent to, headers with names in lower case, and the body."""

    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Wire(Protocol):
    """One wire format of text messages."""

    def asks(self, sms: Sms) -> Ask:
        """The request that hands a message over."""
        ...

    def outcome(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Outcome:
        """What an answer means for the message."""
        ...

    def report(self, posted: Posted, now: datetime) -> Report:
        """What a report says; raises Rejected(unauthenticated, schema_invalid)."""
        ...


@dataclass(frozen=True, slots=True)
class FormWire:
    """Form posts with basic authentication, as Twilio has them."""

    username: str
    secret: str = field(repr=False)

    def asks(self, sms: Sms) -> Ask:
        """See Wire."""
        fields = {"To": sms.recipient, "Body": sms.text, "StatusCallback": sms.report_url}
        if sms.sender is not None:
            fields["From"] = sms.sender
        login = b64encode(f"{self.username}:{self.secret}".encode()).decode()
        headers = {
            "Authorization": f"Basic {login}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Idempotency-Key": sms.message_id,
        }
        return Ask(headers, urlencode(fields).encode())

    def outcome(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Outcome:
        """See Wire. An answer of 2xx that tells of an error is one."""
        told = _object(body)
        understood = "sid" in told
        code = told.get("error_code")
        if not code and (_refused(status) or not understood):
            code = told.get("code")
        if isinstance(code, int) and code in NUMBER_CODES:
            return Never(Reason.ADDRESS_REFUSED)
        if code or _word(told.get("status")) in {"failed", "undelivered", "canceled"}:
            return _later(headers, now)
        return _by_status(status, headers, now, understood=understood)

    def report(self, posted: Posted, now: datetime) -> Report:  # noqa: ARG002 - form posts carry no time
        """See Wire. The signature covers the URL, which names the message."""
        try:
            fields = parse_qsl(posted.body.decode(), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise Rejected(Reason.SCHEMA_INVALID) from None
        check_form(self.secret, posted.url, fields, posted.headers)
        said = dict(fields).get("MessageStatus")
        delivered = {"delivered": True, "read": True, "undelivered": False, "failed": False}
        return Report(_id(posted.query.get(MESSAGE)), delivered.get(said or ""))


@dataclass(frozen=True, slots=True)
class JsonWire:
    """JSON with a bearer token; reports are signed as Standard Webhooks says."""

    secret: str = field(repr=False)
    report_key: bytes = field(repr=False)

    def asks(self, sms: Sms) -> Ask:
        """See Wire."""
        told = {
            "id": sms.message_id,
            "from": sms.sender,
            "to": sms.recipient,
            "text": sms.text,
            "report_url": sms.report_url,
        }
        headers = {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/json",
            "Idempotency-Key": sms.message_id,
        }
        return Ask(headers, to_json(told))

    def outcome(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Outcome:
        """See Wire. An answer of 2xx that tells of an error is one."""
        told = _object(body)
        error = told.get("error")
        if error is not None:
            code = error.get("code") if isinstance(error, dict) else error
            return (
                Never(Reason.ADDRESS_REFUSED)
                if isinstance(code, str) and code in NUMBER_ERRORS
                else _later(headers, now)
            )
        return _by_status(status, headers, now, understood=told.get("status") == "accepted")

    def report(self, posted: Posted, now: datetime) -> Report:
        """See Wire."""
        check_standard([self.report_key], posted.headers, posted.body, now)
        told = _object(posted.body)
        delivered = {"delivered": True, "undelivered": False}
        return Report(_id(told.get("id")), delivered.get(str(told.get("status"))))


def _by_status(
    status: int, headers: Mapping[str, str], now: datetime, *, understood: bool
) -> Outcome:
    """By the status alone; a yes that we cannot read may be one, and so may a gateway's silence."""
    if not _refused(status):
        return Delivered() if understood else Unknown()
    return Unknown() if status == GATEWAY_TIMEOUT else _later(headers, now)


def _refused(status: int) -> bool:
    return not 200 <= status < 300


def _later(headers: Mapping[str, str], now: datetime) -> Later:
    """Not accepted: about us or about the provider, and the number is still good."""
    return Later(Reason.SMS_UNAVAILABLE, asked_after(headers.get("retry-after", ""), now))


def asked_after(said: str, now: datetime) -> timedelta:
    """How long a provider wants to be left alone: seconds or a date; nothing if it says neither."""
    if said.isascii() and said.isdigit() and len(said) <= 9:
        return min(timedelta(seconds=int(said)), AFTER_MAX)
    try:
        until = parsedate_to_datetime(said)
    # A year of twenty digits overflows.
    except (ValueError, OverflowError):
        return timedelta(0)
    if until.tzinfo is None:
        return timedelta(0)
    return min(max(until - now, timedelta(0)), AFTER_MAX)


def _word(said: object) -> str:
    """A word that a provider said; an empty one for anything else."""
    return said if isinstance(said, str) else ""


def _object(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = from_json(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _id(found: object) -> str:
    """A message's id; raises Rejected(schema_invalid) for anything else."""
    if isinstance(found, str) and MESSAGE_ID.fullmatch(found):
        return found
    raise Rejected(Reason.SCHEMA_INVALID)
