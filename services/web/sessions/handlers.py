"""Sign-ins that begin and come back, sessions that are used, renewed and ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any

from authlib.common.security import generate_token
from joserfc.jwk import ECKey

from services.web.sessions.issuer import Issuer
from services.web.sessions.rules import (
    DRAFTS_KEY_KEPT,
    WHOLE,
    Session,
    Tokens,
    Who,
    alive,
    kept_s,
    opened,
    renewed,
    to_renew,
    token_good,
)
from services.web.sessions.store import ID_CHARS_MAX, SessionStore, new_id
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import log

#: Between the issuer's page and the way back: somebody looks for a password.
SIGN_IN_S = 600
#: How long a browser that nobody else uses keeps the cookie.
COOKIE_S = int(WHOLE.total_seconds())
#: RFC 7636 takes 43 to 128 characters.
VERIFIER_CHARS = 64
#: One request renews a session's tokens, all others wait for it: an issuer takes a refresh token once. Longer than its
#: two answers and our store may take, so that no second one begins meanwhile.
RENEWAL_S = 20
RENEWAL_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that began, the id that its cookie holds, and where the browser goes on."""

    id: str
    session: Session
    next: str


class Sessions:
    """Sessions of browsers with one issuer."""

    def __init__(self, store: SessionStore, issuer: Issuer, now: Callable[[], datetime]) -> None:
        self._store = store
        self._issuer = issuer
        self._now = now

    async def begin(self, after: str, *, shared: bool) -> tuple[str, str]:
        """Where the browser signs in, and the id that it shows when it comes back; raises Unavailable."""
        one, state, nonce, verifier = new_id(), new_id(), new_id(), generate_token(VERIFIER_CHARS)
        url = await self._issuer.sign_in_url(state, nonce, verifier)
        begun = {"state": state, "nonce": nonce, "verifier": verifier}
        await self._store.begin(one, {**begun, "next": after, "shared": shared}, SIGN_IN_S)
        return url, one

    async def complete(self, one: str, state: str, code: str, before: str) -> SignedIn:
        """The session of a browser that came back; always a new one, and the one it had before ends.

        Raises Rejected where the browser did not begin this sign-in, or the issuer refuses it; Unavailable.
        """
        begun = await self._store.take(one) if 0 < len(one) <= ID_CHARS_MAX else None
        if begun is None or not code or not compare_digest(begun["state"].encode(), state.encode()):
            raise Rejected(Reason.SIGN_IN_REFUSED)
        who, tokens = await self._issuer.exchanged(code, begun["verifier"], begun["nonce"])
        now = self._now()
        session = opened(who, tokens, now, shared=begun["shared"])
        await self.end(before)
        new = new_id()
        await self._store.open(
            new, _written(session), kept_s(session, now), person_of(who), session.ends_at, now
        )
        return SignedIn(new, session, begun["next"])

    async def current(self, one: str, idle_s: int = 0) -> Session:
        """The session of a cookie, with a token that is good; its page was last used `idle_s` ago.

        Raises Rejected if there is none, Unavailable.
        """
        session = await self._read(one)
        now = self._now()
        if session is None:
            raise Rejected(Reason.NOT_SIGNED_IN)
        if session.shared:
            await self._store.keep(one, kept_s(session, now, idle_s))
        return await self._renew(one, session) if to_renew(session, now) else session

    async def drafts_key(self, who: Who) -> dict[str, Any]:
        """The key pair that a person's drafts are sealed for (JWK), at every device the same; raises Unavailable."""
        made = ECKey.generate_key("P-256", private=True).as_dict(private=True)
        point = {name: made[name] for name in ("kty", "crv", "x", "y", "d")}
        kept_s = int(DRAFTS_KEY_KEPT.total_seconds())
        found = await self._store.drafts_key(person_of(who), json.dumps(point).encode(), kept_s)
        key: dict[str, Any] = json.loads(found)
        return key

    async def still(self, one: str) -> bool:
        """Whether the session goes on, without using it; raises Unavailable."""
        return await self._read(one) is not None

    async def end(self, one: str, *, everywhere: bool = False) -> None:
        """End the session of a cookie, or all of its person; nothing if it has ended; raises Unavailable."""
        session = await self._read(one)
        if session is not None and everywhere:
            await self._store.end_all(person_of(session.who))
        elif session is not None:
            await self._store.end(one, person_of(session.who))

    async def signed_out_url(self, after: str) -> str:
        """Where the issuer's own session ends, and leads to `after`; without the issuer, `after` itself."""
        try:
            return await self._issuer.sign_out_url(after)
        except Unavailable:
            # Our session has ended, and that is said; the issuer's ends by itself.
            return after

    async def _read(self, one: str) -> Session | None:
        found = await self._store.read(one) if 0 < len(one) <= ID_CHARS_MAX else None
        session = None if found is None else _read(found)
        return session if session is not None and alive(session, self._now()) else None

    async def _renew(self, one: str, session: Session) -> Session:
        """The session with new tokens; raises Rejected, and ends it, if the issuer gives none."""
        if session.tokens.refresh is None:
            return await self._as_it_is(one, session)
        if not await self._store.alone(one, RENEWAL_S):
            return await self._renewed_by_another(one, session)
        try:
            # Another request may have renewed it between our look and now.
            latest = await self._read(one)
            if latest is None:
                raise Rejected(Reason.NOT_SIGNED_IN)
            if not to_renew(latest, self._now()) or latest.tokens.refresh is None:
                return latest
            new = renewed(latest, await self._issuer.renewed(latest.tokens.refresh))
            if not await self._store.change(one, _written(new)):
                raise Rejected(Reason.NOT_SIGNED_IN)
            return new
        except Rejected:
            # The person left, or their sign-in was taken back.
            await self._store.end(one, person_of(session.who))
            log.info("session_not_renewed")
            raise Rejected(Reason.NOT_SIGNED_IN) from None
        except Unavailable:
            if token_good(session, self._now()):
                return session
            raise
        finally:
            await self._store.done(one)

    async def _as_it_is(self, one: str, session: Session) -> Session:
        """The session until its token ends, because nothing renews it."""
        if token_good(session, self._now()):
            return session
        await self._store.end(one, person_of(session.who))
        raise Rejected(Reason.NOT_SIGNED_IN)

    async def _renewed_by_another(self, one: str, session: Session) -> Session:
        """The session once another request has renewed it, or with the token that is still good."""
        if token_good(session, self._now()):
            return session
        for _ in range(int(RENEWAL_S / RENEWAL_LOOK_S)):
            await asyncio.sleep(RENEWAL_LOOK_S)
            found = await self._read(one)
            if found is None:
                raise Rejected(Reason.NOT_SIGNED_IN)
            if token_good(found, self._now()):
                return found
        raise Unavailable(Reason.ISSUER_UNAVAILABLE)


def person_of(who: Who) -> str:
    """Who it is, at which site: the same subject at two sites is two people."""
    return f"{who.kind} {who.site} {who.subject}"


def _written(session: Session) -> dict[str, Any]:
    who, tokens = session.who, session.tokens
    return {
        "who": [who.subject, who.kind, who.site, who.name],
        "access": tokens.access,
        "access_ends_s": tokens.access_ends_at.timestamp(),
        "refresh": tokens.refresh,
        "ends_s": session.ends_at.timestamp(),
        "shared": session.shared,
    }


def _read(found: dict[str, Any]) -> Session:
    ends = datetime.fromtimestamp(found["access_ends_s"], UTC)
    return Session(
        Who(*found["who"]),
        Tokens(found["access"], ends, found["refresh"]),
        datetime.fromtimestamp(found["ends_s"], UTC),
        found["shared"],
    )
