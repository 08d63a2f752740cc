"""A small OpenID Connect issuer for demo and tests: "who are you today?", with the employees of a roster.

It speaks the real protocol (discovery, authorization code with PKCE, refresh tokens, published keys), so that
nothing else needs a way around a sign-in. It asks for no password, and listens on this machine alone.

    python -m devstack.idp
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Request, Response
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import Field
from pydantic_core import to_json
from starlette.responses import HTMLResponse, RedirectResponse

from shared.ops import roster, token
from shared.runtime.http.answers import JSON, NO_STORE
from shared.runtime.http.face import service_api
from shared.runtime.http.pages import PAGE_HEADERS, Pages
from shared.runtime.service import listen, main, utc_now
from shared.runtime.settings import ListenSettings
from shared.runtime.tracing import Tracer

#: Short, so that a demo of an hour renews tokens.
ACCESS_S = 900
CODE_S = 60
REFRESH_S = 12 * 3600
#: Codes and refresh tokens kept; the oldest go first.
KEPT_MAX = 10_000
CLIENT = "service-check"
SUPPORTED = {
    "response_types_supported": ["code"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": [token.ALGORITHM],
    "code_challenge_methods_supported": ["S256"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_methods_supported": ["none"],
    "scopes_supported": ["openid", "offline_access"],
}

_PAGES = Pages(
    who="""{% for address, person in people %}<p><a href="{{ address }}">{{ person.name }}, {{ person.what }}</a></p>
{% endfor %}"""
)


class Settings(ListenSettings):
    """Settings of the demo's issuer."""

    issuer_url: str = Field(description="Where browsers and services reach it.")
    origin: str = Field(description="Where its one client is: web.")
    roster: Path = Field(Path("policy/roster.yaml"), description="Who can sign in.")
    run_directory: Path = Field(Path(".run"), description="Where the demo's key is.")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in."""

    subject: str
    kind: token.Kind
    site: str
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What a code stands for until it is exchanged."""

    person: Person
    challenge: str
    nonce: str
    back: str


class Kept:
    """Secrets that were handed out, each taken once and before its end."""

    def __init__(self, now: Callable[[], datetime], good_s: int) -> None:
        self._now = now
        self._good = timedelta(seconds=good_s)
        self._found: dict[str, tuple[Any, datetime]] = {}

    def put(self, value: object) -> str:
        """A new secret that stands for a value."""
        if len(self._found) >= KEPT_MAX:
            del self._found[next(iter(self._found))]
        secret = secrets.token_urlsafe(32)
        self._found[secret] = value, self._now() + self._good
        return secret

    def take(self, secret: str) -> Any:
        """What a secret stands for, once; None if it is none of ours, was taken, or is too old."""
        value, until = self._found.pop(secret, (None, datetime.min.replace(tzinfo=UTC)))
        return value if self._now() < until else None


def people_of(path: Path) -> dict[str, Person]:
    """The active employees of a roster file and a manager of its site; raises ValueError for a broken file."""
    found = roster.load(path)
    if isinstance(found, list):
        msg = f"{path} is no roster"
        raise ValueError(msg)
    people = [
        Person(one, "employee", found.site, one.removeprefix("e-").title(), employee.role)
        for one, employee in found.employees.items()
    ]
    people.append(Person("m-maria", "manager", found.site, "Maria", "manager"))
    return {person.subject: person for person in people}


class Idp:
    """One issuer with one client."""

    def __init__(
        self,
        url: str,
        origin: str,
        people: Mapping[str, Person],
        key: OKPKey,
        *,
        now: Callable[[], datetime] = utc_now,
        access_s: int = ACCESS_S,
    ) -> None:
        self._url = url
        self._origin = origin
        self._people = people
        self._key = key
        self._now = now
        self._access_s = access_s
        self._codes, self._refreshes = Kept(now, CODE_S), Kept(now, REFRESH_S)
        #: Those who may not go on: their refresh tokens are refused.
        self.gone: set[str] = set()

    def described(self) -> dict[str, Any]:
        """The issuer's own description (OpenID Connect Discovery 1.0)."""
        places = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "jwks",
            "end_session_endpoint": "sign-out",
        }
        return {
            "issuer": self._url,
            **{name: f"{self._url}/{place}" for name, place in places.items()},
            **SUPPORTED,
        }

    def keys(self) -> dict[str, Any]:
        """The public key (JWKS)."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "use": "sig", "alg": token.ALGORITHM}]}

    def authorize(self, asked: Mapping[str, str]) -> Response:
        """The page that asks who it is; with `who`, the way back with a code. Nowhere else for another address."""
        back = asked.get("redirect_uri", "")
        well = (
            asked.get("client_id") == CLIENT
            and back.startswith(f"{self._origin}/")
            and asked.get("response_type") == "code"
            and asked.get("code_challenge_method") == "S256"
            and asked.get("code_challenge")
            and "openid" in asked.get("scope", "").split()
        )
        if not well:
            return HTMLResponse("This is no request of our client.", 400, PAGE_HEADERS)
        person = self._people.get(asked.get("who", ""))
        if person is None:
            choices = [
                ("/authorize?" + urlencode({**asked, "who": one.subject}), one)
                for one in self._people.values()
            ]
            page = _PAGES.render("who", "en", "Who are you today?", people=choices)
            return HTMLResponse(page, headers=PAGE_HEADERS)
        granted = Granted(person, asked["code_challenge"], asked.get("nonce", ""), back)
        answer = {"code": self._codes.put(granted), "state": asked.get("state", "")}
        return RedirectResponse(f"{back}?{urlencode(answer)}", 303, NO_STORE)

    def tokens(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        """The tokens for a code or a refresh token, each good once; None if it is refused."""
        if form.get("client_id") != CLIENT:
            return None
        match form.get("grant_type"):
            case "authorization_code":
                granted = self._codes.take(form.get("code", ""))
                if granted is None or form.get("redirect_uri") != granted.back:
                    return None
                challenge = create_s256_code_challenge(form.get("code_verifier", ""))
                if not compare_digest(challenge, granted.challenge):
                    return None
                return self._given(granted.person, nonce=granted.nonce)
            case "refresh_token":
                person = self._refreshes.take(form.get("refresh_token", ""))
                if person is None or person.subject in self.gone:
                    return None
                return self._given(person)
        return None

    def _given(self, person: Person, nonce: str | None = None) -> dict[str, Any]:
        now = self._now()
        access = token.sign(
            self._key,
            subject=person.subject,
            kind=person.kind,
            site=person.site,
            ttl_s=self._access_s,
            now=now,
        )
        given = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self._access_s,
            "refresh_token": self._refreshes.put(person),
        }
        return given if nonce is None else {**given, "id_token": self._named(person, nonce, now)}

    def _named(self, person: Person, nonce: str, now: datetime) -> str:
        """The identity token, which says to the client who signed in."""
        issued_s = int(now.timestamp())
        claims = {
            "iss": self._url,
            "aud": CLIENT,
            "sub": person.subject,
            "kind": person.kind,
            "site": person.site,
            "name": person.name,
            "nonce": nonce,
            "iat": issued_s,
            "exp": issued_s + CODE_S,
        }
        header = {"alg": token.ALGORITHM, "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[token.ALGORITHM])

    def sign_out(self, asked: Mapping[str, str]) -> Response:
        """Back to the client: there is no session here that could end."""
        after = asked.get("post_logout_redirect_uri", "")
        if not after.startswith(f"{self._origin}/"):
            return HTMLResponse("Signed out.", headers=PAGE_HEADERS)
        return RedirectResponse(after, 303, NO_STORE)


def api(idp: Idp) -> FastAPI:
    """The issuer over HTTP."""

    async def ready() -> dict[str, bool]:
        return {"running": True}

    app = service_api("idp", "idp", "The demo's issuer.", tracer=Tracer(), ready=ready)

    def answer(found: dict[str, Any], status: int = 200) -> Response:
        return Response(to_json(found), status, NO_STORE, JSON)

    @app.get("/.well-known/openid-configuration")
    async def described() -> Response:
        return answer(idp.described())

    @app.get("/jwks")
    async def keys() -> Response:
        return answer(idp.keys())

    @app.get("/authorize")
    async def authorize(request: Request) -> Response:
        return idp.authorize(request.query_params)

    @app.post("/token")
    async def tokens(request: Request) -> Response:
        form = parse_qs((await request.body()).decode(errors="replace"))
        given = idp.tokens({name: values[0] for name, values in form.items()})
        return answer({"error": "invalid_grant"}, 400) if given is None else answer(given)

    @app.get("/sign-out")
    async def sign_out(request: Request) -> Response:
        return idp.sign_out(request.query_params)

    return app


class App:
    """The issuer as a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idp = Idp(
            settings.issuer_url,
            settings.origin,
            people_of(settings.roster),
            token.demo_key(settings.run_directory),
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until told to stop."""
        servers, serving = listen(self._settings, "idp", api(self._idp))
        await stopping.wait()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


if __name__ == "__main__":
    main(Settings, App)
