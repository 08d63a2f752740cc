"""Customers' links: short signed tokens, scoped to one purpose, expiring, unguessable."""

from __future__ import annotations

import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

#: The purposes of links; a link for one purpose is invalid for another.
FEEDBACK, OFFER, MINE, PREFERENCES, SEEN = "feedback", "offer", "mine", "preferences", "seen"
REPLY, SURVEY = "reply", "survey"
ALGORITHM = "HS256"
TOKEN_MAX = 1024
#: How long a check's link works after the check's end, so that it can be answered on the way home.
ANSWERED_WITHIN = timedelta(days=60)
#: How long an offer's link works after the offer's end, to say that it is over.
OUTLASTS = timedelta(days=30)

#: How long the link to a complaint's page works: a journey, and the weeks in which a customer writes once more.
FOLLOWED_FOR = timedelta(days=90)
#: How long the link works by which a role mailbox says that it saw a safety concern: whoever comes back to it later
#: looks the complaint up.
SEEN_FOR = timedelta(days=7)
#: The part of an address before "@" has 64 characters at most (RFC 5321, 4.5.3.1.1), so a token in it is none of
#: those above: a complaint's id, the day on which it ends, and so many bytes of a signature, in 48 letters and digits.
ID_BYTES, DAY_BYTES, SIGNATURE_BYTES = 16, 2, 12
REPLY_TO = re.compile(r"[^@+\s]{1,15}\+([a-z2-7]{48})@[^@\s]+", re.I)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tokens:
    """Makes and reads the tokens of one purpose, as JWTs under a derived secret."""

    def __init__(self, secret: bytes, purpose: str, now: Callable[[], datetime]) -> None:
        self._key = OctKey.import_key(secret)
        self._purpose = purpose
        self._now = now

    def sign(self, claims: Mapping[str, str], expires_at: datetime) -> str:
        """A token with these claims and this expiry; equal arguments give the same token."""
        head, expires = {"alg": ALGORITHM}, int(expires_at.timestamp())
        return jwt.encode(head, {"aud": self._purpose, "exp": expires, **claims}, self._key)

    def read(self, token: str) -> Mapping[str, str]:
        """The claims of a token; raises Rejected(link_invalid)."""
        claims = self.told(token)
        if int(claims.get("exp", 0)) < self._now().timestamp():
            raise Rejected(Reason.LINK_INVALID)
        return claims

    def told(self, token: str) -> Mapping[str, str]:
        """The claims of a token of this purpose, also of an expired one; empty if the token is not ours.

        Use them only to find the customer's language for the page of an invalid link.
        """
        try:
            if len(token) > TOKEN_MAX:
                raise ValueError
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            JWTClaimsRegistry(
                now=0, aud={"essential": True, "value": self._purpose}, exp={"essential": True}
            ).validate(claims)
        except (
            JoseError,
            ValueError,
            TypeError,
        ):  # the last if the token's header has unexpected types
            return {}
        return {name: str(value) for name, value in claims.items()}


def offer_link(choices: Tokens, base_url: str, offer_id: str, expires_at: datetime) -> str:
    """The address of an offer's page, in compensation; compensation and the notifier link to it."""
    token = choices.sign({"offer": offer_id}, expires_at + OUTLASTS)
    return f"{base_url.rstrip('/')}/o/{token}"


def check_link(
    answers: Tokens, base_url: str, complaint_id: str, check_id: str, valid_until: datetime
) -> str:
    """The address of a check's page, in the notifier; compensation shows it as well."""
    token = answers.sign(
        {"complaint": complaint_id, "check": check_id}, valid_until + ANSWERED_WITHIN
    )
    return f"{base_url.rstrip('/')}/f/{token}"


def mine_link(mine: Tokens, base_url: str, complaint_id: str, told_at: datetime) -> str:
    """The address of a complaint's page for its customer, in complaints; the notifier's letters link to it."""
    token = mine.sign({"complaint": complaint_id}, told_at + FOLLOWED_FOR)
    return f"{base_url.rstrip('/')}/m/{token}"


def preferences_link(
    preferences: Tokens, base_url: str, complaint_id: str, told_at: datetime
) -> str:
    """The address where the customer of a complaint says how they want to be told; good for months."""
    token = preferences.sign({"complaint": complaint_id}, told_at + FOLLOWED_FOR)
    return f"{base_url.rstrip('/')}/p/{token}"


def reply_address(secret: bytes, address: str, complaint_id: str, told_at: datetime) -> str:
    """The address for answers to a letter about a complaint, like `reply+<token>@…`; complaints reads what comes to it.

    Empty for a complaint's id that is not of our form.
    """
    local, _, domain = address.rpartition("@")
    try:
        name = bytes.fromhex(complaint_id.removeprefix("co-"))
    except ValueError:
        return ""
    if len(name) != ID_BYTES:
        return ""
    signed = name + ((told_at + FOLLOWED_FOR - EPOCH).days + 1).to_bytes(DAY_BYTES)
    token = b32encode(signed + _signature(secret, signed)).decode().lower()
    return f"{local}+{token}@{domain}"


def replied_to(secret: bytes, addresses: Iterable[str], now: datetime) -> str | None:
    """The complaint of the first address that `reply_address` made and that has not expired; None if there is none.

    Mail programs and servers change the case of addresses, which changes nothing here.
    """
    for address in addresses:
        found = REPLY_TO.fullmatch(address)
        token = b32decode(found[1].upper()) if found is not None else b""
        signed, signature = token[:-SIGNATURE_BYTES], token[-SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(secret, signed)):
            continue
        if (now - EPOCH).days < int.from_bytes(signed[ID_BYTES:]):
            return f"co-{signed[:ID_BYTES].hex()}"
    return None


def _signature(secret: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, signed, sha256)[:SIGNATURE_BYTES]
