"""Customers' links: short signed tokens, scoped to one purpose, expiring, unguessable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

#: The purposes of links; a link for one purpose is invalid for another.
FEEDBACK, OFFER, MINE, PREFERENCES, SEEN = "feedback", "offer", "mine", "preferences", "seen"
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
