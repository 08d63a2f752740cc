"""Who asks: bearer tokens of any OIDC issuer, checked against its published keys.

A token says who somebody is, never what they may give: authority is looked up per request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from shared.contracts.event import SUBJECT_PATTERN
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

#: Signatures only by a private key; `none` and shared-secret algorithms are not in the list.
ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"]
#: Tokens remembered until they expire, so that a signature is checked once and not per request.
REMEMBERED_MAX = 10_000
TOKEN_BYTES_MAX = 4096


class Kind(StrEnum):
    """What a principal is."""

    EMPLOYEE = "employee"
    CUSTOMER = "customer"
    MANAGER = "manager"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose token was checked."""

    subject: str
    kind: Kind
    site: str


class Authenticator:
    """Checks tokens against a set of public keys, an audience and an issuer."""

    def __init__(
        self, jwks: dict[str, Any], *, audience: str, issuer: str, now: Callable[[], datetime]
    ) -> None:
        self._keys = KeySet.import_key_set(jwks)  # type: ignore[arg-type]  # its TypedDict is private
        self._audience = audience
        self._issuer = issuer
        self._now = now
        self._remembered: dict[str, tuple[Principal, int]] = {}

    def authenticate(self, token: str) -> Principal:
        """The principal of a valid token; raises Rejected(unauthenticated)."""
        now = int(self._now().timestamp())
        remembered = self._remembered.get(token)
        if remembered is not None:
            principal, expires = remembered
            if now < expires:
                return principal
            del self._remembered[token]
        principal, expires = self._check(token, now)
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[token] = (principal, expires)
        return principal

    def _check(self, token: str, now: int) -> tuple[Principal, int]:
        try:
            if len(token) > TOKEN_BYTES_MAX:
                raise ValueError
            claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            JWTClaimsRegistry(
                now=now,
                leeway=0,
                exp={"essential": True},
                sub={"essential": True},
                aud={"essential": True, "value": self._audience},
                iss={"essential": True, "value": self._issuer},
            ).validate(claims)
            subject, site = str(claims["sub"]), str(claims["site"])
            if not SUBJECT_PATTERN.fullmatch(subject) or not SUBJECT_PATTERN.fullmatch(site):
                raise ValueError
            return Principal(subject, Kind(claims["kind"]), site), int(claims["exp"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise Rejected(Reason.UNAUTHENTICATED, status=401) from None
