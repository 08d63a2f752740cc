"""Authentication: bearer tokens of any OIDC issuer, checked against its published keys.

A token identifies a principal and grants no authority, which is looked up per request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from shared.contracts.event import SUBJECT_PATTERN
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.observe import log

#: Algorithms with a private key alone; `none` and shared secrets are not accepted.
ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"]
#: Tokens cached until they expire, so that a signature is checked once and not per request.
REMEMBERED_MAX = 10_000
TOKEN_BYTES_MAX = 4096
#: How often the published keys are read: issuers publish a key hours before they sign with it, and a
#: stolen key must be refused soon.
LOOK_S = 10
#: How far the issuer's clock and ours may differ, in seconds: machines without NTP drift by less in
#: a day, and a token that expired half a minute ago opens nothing that it did not open before.
LEEWAY_S = 30
#: Further sites that one token may name: a region, and well within the bytes of a token.
SITES_MAX = 64
#: The longest lifetime of a token, in seconds: the longest shift with its handover. A token cannot be
#: revoked, so a lost phone or a former employee has access for a day at most.
LIFETIME_MAX_S = 24 * 3600


def keys_of(published: str) -> KeySet:
    """The keys of a JWKS document; raises ValueError if it is not one or has no keys."""
    try:
        found = KeySet.import_key_set(json.loads(published))
    except (JoseError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a JWKS document") from error
    if not found.keys:
        raise ValueError("a JWKS document without a key")
    return found


class Kind(StrEnum):
    """The kind of a principal."""

    EMPLOYEE = "employee"
    CUSTOMER = "customer"
    MANAGER = "manager"
    #: Redeems codes, and nothing else.
    TILL = "till"
    #: Publishes complaints and writes down how customers want to be told, and nothing else.
    SYSTEM = "system"
    #: Lists employees of its site, and nothing else.
    PERSONNEL = "personnel"
    #: Erases customers of its site and exports what is known of them, and nothing else.
    PRIVACY = "privacy"


#: Who may call a route that is for employees alone.
EMPLOYEE = (Kind.EMPLOYEE,)
#: Who may call a route about a whole site: those whom the token names for it, on the roster or not.
OF_SITE = (Kind.MANAGER,)
#: Who may call a route about a site for employees and managers alike.
AT_SITE = (*OF_SITE, *EMPLOYEE)


@dataclass(frozen=True, slots=True)
class Principal:
    """The person or system that a checked token belongs to."""

    subject: str
    kind: Kind
    site: str
    #: Further sites that the token is for. Routes about several sites go by them, and no others.
    more: tuple[str, ...] = ()

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site that the token is for, each once."""
        return tuple(dict.fromkeys((self.site, *self.more)))


class Authenticator:
    """Checks tokens against an issuer's current public keys, an audience and an issuer.

    `jwks` reads the published keys (JWKS). `leeway_s` is how far the issuer's clock may be off,
    `lifetime_max_s` the longest lifetime of a token, from its `iat`, or from now without one.
    Raises ValueError if there are no keys at the start.
    """

    def __init__(
        self,
        jwks: Callable[[], str],
        *,
        audience: str,
        issuer: str,
        now: Callable[[], datetime],
        leeway_s: int = LEEWAY_S,
        lifetime_max_s: int = LIFETIME_MAX_S,
    ) -> None:
        self._jwks = jwks
        self._published = jwks()
        self._keys = keys_of(self._published)
        self._audience = audience
        self._issuer = issuer
        self._now = now
        self._leeway_s = leeway_s
        self._lifetime_max_s = lifetime_max_s
        self._look_at = int(now().timestamp()) + LOOK_S
        self._remembered: dict[str, tuple[Principal, int]] = {}

    def caller(self, authorization: str, kinds: Collection[Kind]) -> Principal:
        """The principal of an `Authorization` header (RFC 6750), of one of the kinds; raises Rejected."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Rejected(Reason.UNAUTHENTICATED)
        principal = self.authenticate(token)
        if principal.kind not in kinds:
            raise Rejected(Reason.FORBIDDEN)
        return principal

    def authenticate(self, token: str) -> Principal:
        """The principal of a valid token; raises Rejected(unauthenticated)."""
        now = int(self._now().timestamp())
        if now >= self._look_at:
            self._look(now)
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

    def _look(self, now: int) -> None:
        """Load the published keys; tokens signed with a removed key are no longer accepted."""
        self._look_at = now + LOOK_S
        try:
            published = self._jwks()
            if published == self._published:
                return
            self._keys = keys_of(published)
        except (OSError, ValueError) as error:
            # The file is half written or missing for a moment: the loaded keys stay valid.
            log.warning("jwks_unreadable", error=type(error).__name__)
            return
        self._published = published
        self._remembered.clear()
        log.info("jwks_changed", keys=len(self._keys.keys))

    def _check(self, token: str, now: int) -> tuple[Principal, int]:
        try:
            if len(token) > TOKEN_BYTES_MAX:
                raise ValueError
            claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            JWTClaimsRegistry(
                now=now,
                leeway=self._leeway_s,
                exp={"essential": True},
                sub={"essential": True},
                aud={"essential": True, "value": self._audience},
                iss={"essential": True, "value": self._issuer},
            ).validate(claims)
            subject, site = claims["sub"], claims["site"]
            # `fullmatch` raises TypeError for a value that is not text.
            if not SUBJECT_PATTERN.fullmatch(subject) or not SUBJECT_PATTERN.fullmatch(site):
                raise ValueError
            more = claims.get("sites", []) if claims["kind"] == Kind.MANAGER else []
            if not isinstance(more, list) or len(more) > SITES_MAX:
                raise ValueError
            if not all(SUBJECT_PATTERN.fullmatch(one) for one in more):
                raise ValueError
            # Not the other way round: NaN compares as neither less nor more.
            if not claims["exp"] - claims.get("iat", now) <= self._lifetime_max_s:
                raise ValueError
            expires = int(claims["exp"]) + self._leeway_s
            return Principal(subject, Kind(claims["kind"]), site, tuple(more)), expires
        # OverflowError: a number beyond all times; RecursionError: claims nested deeper than a JSON
        # parser follows.
        except (JoseError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise Rejected(Reason.UNAUTHENTICATED) from None
