"""What proves that a report or a webhook is of whom it says: pure functions. Every comparison takes constant time."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

#: How old a signature of Standard Webhooks may be, and how far its clock may be ahead of ours.
SIGNED_WITHIN = timedelta(minutes=5)
#: Before the base64 of a secret of Standard Webhooks.
KEY_PREFIX = "whsec_"
#: Standard Webhooks asks for 24 to 64 bytes; a shorter key can be guessed.
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64


def secret_bytes(secret: str) -> bytes:
    """The key of a secret of Standard Webhooks; raises ValueError."""
    return b64decode(secret.removeprefix(KEY_PREFIX), validate=True)


def standard_signature(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    """The signature of Standard Webhooks, version 1."""
    signed = b"%s.%s.%s" % (event_id.encode(), timestamp.encode(), body)
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()


def long_enough(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """The secrets; raises ValueError for one that is no secret of Standard Webhooks."""
    for secret in secrets:
        try:
            key = secret_bytes(secret.get_secret_value())
        except ValueError:
            raise ValueError("a secret is not base64") from None
        if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
            raise ValueError(f"a secret has not {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes")
    return secrets


#: In an operator's file: the secret, or the new one and the old ones while it is changed.
Secrets = Annotated[
    tuple[SecretStr, ...], Field(min_length=1, max_length=3), AfterValidator(long_enough)
]


def check_standard(
    keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime
) -> None:
    """Raises Rejected(unauthenticated) unless the body is signed by one of these keys, and lately.

    `headers` have names in lower case. Any one of several signatures is enough: keys are changed so.
    """
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Rejected(Reason.UNAUTHENTICATED)
    if abs(now.timestamp() - int(timestamp)) > SIGNED_WITHIN.total_seconds():
        raise Rejected(Reason.UNAUTHENTICATED)
    given = [one.encode() for one in headers.get("webhook-signature", "").split(" ")]
    wanted = [standard_signature(key, event_id, timestamp, body).encode() for key in keys]
    if not any([hmac.compare_digest(one, other) for one in wanted for other in given]):
        raise Rejected(Reason.UNAUTHENTICATED)


def form_signature(secret: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """The signature of a form post in Twilio's format: over the URL and the fields in the order of their names."""
    signed = url + "".join(f"{name}{value}" for name, value in sorted(fields))
    return b64encode(hmac.digest(secret.encode(), signed.encode(), "sha1")).decode()


def check_form(
    secret: str, url: str, fields: Sequence[tuple[str, str]], headers: Mapping[str, str]
) -> None:
    """Raises Rejected(unauthenticated) unless a form post to this URL is signed with this secret."""
    wanted = form_signature(secret, url, fields).encode()
    if not hmac.compare_digest(wanted, headers.get("x-twilio-signature", "").encode()):
        raise Rejected(Reason.UNAUTHENTICATED)
