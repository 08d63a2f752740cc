"""Customers' links: short signed tokens, scoped to one purpose, expiring, unguessable.

A token is until when it works, what it names and a part of a signature, in 42 letters and digits for one id: a text
message pays for each. The signature covers the purpose, so that a link of one kind does not open as another.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
REPLY, SURVEY, CODE, ASKING = "reply", "survey", "code", "asking"
#: What the tokens of a purpose name, in the order in which it stands in them. A check knows its complaint.
NAMED: Mapping[str, Sequence[str]] = {
    FEEDBACK: ("check",),
    OFFER: ("offer",),
    MINE: ("complaint",),
    PREFERENCES: ("complaint",),
    SEEN: ("complaint", "mailbox"),
    SURVEY: ("complaint", "round"),
    CODE: ("check", "language"),
    ASKING: ("asking",),
}
#: Letters that were sent before tokens were short have JWTs. The last of them expires 731 days, the longest that a
#: check is valid, and `ANSWERED_WITHIN` after the last was sent.
ALGORITHM = "HS256"
TOKEN_MAX = 1024
#: How long a check's link works after the check's end, so that it can be answered on the way home.
ANSWERED_WITHIN = timedelta(days=60)
#: How long the link to an offer, and to a check's code, works after its end, to say that it is over.
OUTLASTS = timedelta(days=30)

#: How long the link to a complaint's page works: a journey, and the weeks in which a customer writes once more.
FOLLOWED_FOR = timedelta(days=90)
#: How long a question about a touchpoint can be answered: after a month few remember a dinner.
ASKED_FOR = timedelta(days=30)
#: How long the link works by which a role mailbox says that it saw a safety concern: whoever comes back to it later
#: looks the complaint up.
SEEN_FOR = timedelta(days=7)
#: Seconds since 1970 as four bytes last until 2106.
EXPIRY_BYTES = 4
#: 80 bits, each guess at which is a request to us.
TOKEN_SIGNATURE_BYTES = 10
#: What stands before the bytes of an id of ours; before any other text stands its length.
KINDS = {"co-": 255, "ck-": 254, "of-": 253, "as-": 252}
PREFIXES = {kind: prefix for prefix, kind in KINDS.items()}
OUR_ID = re.compile(rf"({'|'.join(KINDS)})([0-9a-f]{{32}})")
#: The part of an address before "@" has 64 characters at most (RFC 5321, 4.5.3.1.1) and no case, so a token in it is
#: none of those above: a complaint's id, the day on which it ends, and so many bytes of a signature, in 48 letters
#: and digits.
ID_BYTES, DAY_BYTES, SIGNATURE_BYTES = 16, 2, 12
REPLY_TO = re.compile(r"[^@+\s]{1,15}\+([a-z2-7]{48})@[^@\s]+", re.I)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tokens:
    """Makes and reads the tokens of one purpose, under a secret that is derived for it."""

    def __init__(self, secret: bytes, purpose: str, now: Callable[[], datetime]) -> None:
        self._secret = secret
        self._purpose = purpose
        self._now = now

    def sign(self, claims: Mapping[str, str], expires_at: datetime) -> str:
        """A token with these claims and this expiry; equal arguments give the same token."""
        named = b"".join(_packed(claims[name]) for name in NAMED[self._purpose])
        signed = int(expires_at.timestamp()).to_bytes(EXPIRY_BYTES) + named
        if (len(signed) + TOKEN_SIGNATURE_BYTES) % 3 == 0:
            # Else it may end in "-" or "_", which programs that find links in a text leave out.
            signed += _packed("")
        return _as_text(signed + self._signature(signed))

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
        if len(token) > TOKEN_MAX:
            return {}
        if "." in token:
            return self._told_by_jwt(token)
        whole = _as_bytes(token)
        signed, signature = whole[:-TOKEN_SIGNATURE_BYTES], whole[-TOKEN_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(signed)):
            return {}
        values = _unpacked(signed[EXPIRY_BYTES:])
        claims = dict(zip(NAMED[self._purpose], values, strict=False))  # an empty one may follow
        return {"exp": str(int.from_bytes(signed[:EXPIRY_BYTES])), **claims}

    def _signature(self, signed: bytes) -> bytes:
        purpose = self._purpose.encode() + b"\0"
        return _signature(self._secret, purpose + signed)[:TOKEN_SIGNATURE_BYTES]

    def _told_by_jwt(self, token: str) -> Mapping[str, str]:
        """The same of a token from before they were short."""
        try:
            key = OctKey.import_key(self._secret)
            claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
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


def _packed(value: str) -> bytes:
    """An id of ours as its kind and bytes, any other text as its length and itself."""
    if ours := OUR_ID.fullmatch(value):
        return bytes([KINDS[ours[1]]]) + bytes.fromhex(ours[2])
    text = value.encode()
    return bytes([len(text)]) + text


def _unpacked(named: bytes) -> Iterator[str]:
    """What was packed, in its order."""
    while named:
        kind, named = named[0], named[1:]
        prefix = PREFIXES.get(kind)
        size = kind if prefix is None else ID_BYTES
        value, named = named[:size], named[size:]
        yield value.decode() if prefix is None else prefix + value.hex()


def _as_text(token: bytes) -> str:
    return urlsafe_b64encode(token).decode().rstrip("=")


def _as_bytes(token: str) -> bytes:
    """The bytes of a token; none of a text that `_as_text` does not make."""
    try:
        found = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return b""
    return found if _as_text(found) == token else b""


def offer_link(choices: Tokens, base_url: str, offer_id: str, expires_at: datetime) -> str:
    """The address of an offer's page, in compensation; compensation and the notifier link to it."""
    token = choices.sign({"offer": offer_id}, expires_at + OUTLASTS)
    return f"{base_url.rstrip('/')}/o/{token}"


def code_link(
    codes: Tokens, base_url: str, check_id: str, language: str, valid_until: datetime
) -> str:
    """The address of the page with a check's code, in compensation; the notifier's page of the check links to it."""
    token = codes.sign({"check": check_id, "language": language}, valid_until + OUTLASTS)
    return f"{base_url.rstrip('/')}/k/{token}"


def check_link(answers: Tokens, base_url: str, check_id: str, valid_until: datetime) -> str:
    """The address of a check's page, in the notifier; compensation shows it as well."""
    token = answers.sign({"check": check_id}, valid_until + ANSWERED_WITHIN)
    return f"{base_url.rstrip('/')}/f/{token}"


def mine_link(mine: Tokens, base_url: str, complaint_id: str, told_at: datetime) -> str:
    """The address of a complaint's page for its customer, in complaints; the notifier's letters link to it."""
    token = mine.sign({"complaint": complaint_id}, told_at + FOLLOWED_FOR)
    return f"{base_url.rstrip('/')}/m/{token}"


def survey_link(
    surveys: Tokens, base_url: str, complaint_id: str, round_: int, told_at: datetime
) -> str:
    """The address of the site's questions after a close of a complaint, in the notifier; complaints links to it as well."""
    claims = {"complaint": complaint_id, "round": str(round_)}
    return f"{base_url.rstrip('/')}/f/survey/{surveys.sign(claims, told_at + FOLLOWED_FOR)}"


def preferences_link(
    preferences: Tokens, base_url: str, complaint_id: str, told_at: datetime
) -> str:
    """The address where the customer of a complaint says how they want to be told; good for months."""
    token = preferences.sign({"complaint": complaint_id}, told_at + FOLLOWED_FOR)
    return f"{base_url.rstrip('/')}/p/{token}"


def asking_link(askings: Tokens, base_url: str, asking_id: str, told_at: datetime) -> str:
    """The address where a customer says how a touchpoint was, in complaints; the notifier's letter links to it."""
    token = askings.sign({"asking": asking_id}, told_at + ASKED_FOR)
    return f"{base_url.rstrip('/')}/q/{token}"


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
