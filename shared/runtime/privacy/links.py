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

#: The purposes there are: a link for one never works for another.
FEEDBACK, OFFER = "feedback", "offer"
ALGORITHM = "HS256"
TOKEN_MAX = 1024
#: A check's link opens for as long after the check ended, to be answered on the way home.
ANSWERED_WITHIN = timedelta(days=60)
#: An offer's link opens for as long after the offer ended, to say so.
OUTLASTS = timedelta(days=30)


class Tokens:
    """Makes and reads the tokens of one purpose, as JWTs under a derived secret."""

    def __init__(self, secret: bytes, purpose: str, now: Callable[[], datetime]) -> None:
        self._key = OctKey.import_key(secret)
        self._purpose = purpose
        self._now = now

    def sign(self, claims: Mapping[str, str], expires_at: datetime) -> str:
        """A token that says this until then; the same at every call."""
        head, expires = {"alg": ALGORITHM}, int(expires_at.timestamp())
        return jwt.encode(head, {"aud": self._purpose, "exp": expires, **claims}, self._key)

    def read(self, token: str) -> Mapping[str, str]:
        """What a token says; raises Rejected(link_invalid)."""
        claims = self.told(token)
        if int(claims.get("exp", 0)) < self._now().timestamp():
            raise Rejected(Reason.LINK_INVALID)
        return claims

    def told(self, token: str) -> Mapping[str, str]:
        """What a token of this purpose says, also once its time is over; nothing if it is not ours.

        Enough to say in the customer's language that the link is too old, and for nothing else.
        """
        try:
            if len(token) > TOKEN_MAX:
                raise ValueError
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            JWTClaimsRegistry(
                now=0, aud={"essential": True, "value": self._purpose}, exp={"essential": True}
            ).validate(claims)
        except (JoseError, ValueError, TypeError):  # the last for a header of odd types
            return {}
        return {name: str(value) for name, value in claims.items()}


def offer_link(choices: Tokens, base_url: str, offer_id: str, expires_at: datetime) -> str:
    """Where a customer chooses: compensation's page, linked to by itself and by the notifier."""
    token = choices.sign({"offer": offer_id}, expires_at + OUTLASTS)
    return f"{base_url.rstrip('/')}/o/{token}"


def check_link(
    answers: Tokens, base_url: str, complaint_id: str, check_id: str, valid_until: datetime
) -> str:
    """Where a customer sees a check and answers: the notifier's page, which compensation shows as well."""
    token = answers.sign(
        {"complaint": complaint_id, "check": check_id}, valid_until + ANSWERED_WITHIN
    )
    return f"{base_url.rstrip('/')}/f/{token}"
