"""The OpenID Connect issuer: the authorization code flow with PKCE, and the renewal of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import BasicAuth, ClientError, ClientSession, ClientTimeout
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError

from services.web.sessions.rules import Tokens, Who
from shared.contracts.event import SUBJECT_PATTERN
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.auth import ALGORITHMS, LEEWAY_S, TOKEN_BYTES_MAX, keys_of

#: For the whole of one answer; an issuer takes a fraction of a second.
ANSWER = ClientTimeout(total=5.0)
#: Keys with their certificates are of some ten thousand bytes.
BYTES_MAX = 256 * 1024
#: How long what an issuer says of itself is taken for true.
DESCRIBED = timedelta(hours=1)
#: What an issuer that does not say how long a token is good may mean.
UNSAID_S = 300
#: Of a name that is shown.
NAME_CHARS_MAX = 80


class Issuer:
    """One issuer and one client of it. Raises Unavailable while the issuer is away, Rejected for what it refuses."""

    def __init__(
        self,
        connect: Callable[[], ClientSession],
        url: str,
        *,
        client_id: str,
        client_secret: str | None,
        scope: str,
        back: str,
        now: Callable[[], datetime],
    ) -> None:
        """`back` is the address of ours that a browser comes back to."""
        self._connect = connect
        self._url = url
        self._client_id = client_id
        self._secret = client_secret
        self._scope = scope
        self._back = back
        self._now = now
        self._described: dict[str, Any] = {}
        self._described_until: datetime | None = None

    async def sign_in_url(self, state: str, nonce: str, verifier: str) -> str:
        """Where a browser is sent to sign in."""
        described = await self._description()
        url: str = prepare_grant_uri(
            described["authorization_endpoint"],
            self._client_id,
            "code",
            redirect_uri=self._back,
            scope=self._scope,
            state=state,
            nonce=nonce,
            # The issuer's own session may be that of whoever was at this device before.
            prompt="login",
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url

    async def sign_out_url(self, after: str) -> str:
        """Where a browser is sent to end the issuer's own session; `after` if the issuer has no such place."""
        described = await self._description()
        endpoint = described.get("end_session_endpoint")
        if not isinstance(endpoint, str):
            return after
        # Not with the identity token as a hint: tokens stay out of browsers.
        url: str = add_params_to_uri(
            endpoint, [("client_id", self._client_id), ("post_logout_redirect_uri", after)]
        )
        return url

    async def exchanged(self, code: str, verifier: str, nonce: str) -> tuple[Who, Tokens]:
        """Who signed in, and their tokens, for a code that came back."""
        given = await self._ask_for_tokens(
            prepare_token_request(
                "authorization_code",
                redirect_uri=self._back,
                code=code,
                code_verifier=verifier,
                client_id=self._client_id,
            )
        )
        tokens = self._tokens_of(given)
        return await self._who(given.get("id_token"), nonce, tokens.access), tokens

    async def renewed(self, refresh_token: str) -> Tokens:
        """New tokens for a session that goes on."""
        return self._tokens_of(
            await self._ask_for_tokens(
                prepare_token_request(
                    "refresh_token", refresh_token=refresh_token, client_id=self._client_id
                )
            )
        )

    async def _description(self) -> dict[str, Any]:
        """What the issuer says of itself (OpenID Connect Discovery 1.0), looked up now and then."""
        if self._described_until is None or self._now() >= self._described_until:
            where = self._url.rstrip("/") + "/.well-known/openid-configuration"
            _, found = await self._answer("GET", where)
            endpoints = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            secure = self._url.split("://")[0] + "://"
            if found.get("issuer") != self._url or not all(
                str(found.get(name)).startswith((secure, "https://")) for name in endpoints
            ):
                raise Unavailable(Reason.ISSUER_UNAVAILABLE)
            self._described, self._described_until = found, self._now() + DESCRIBED
        return self._described

    async def _ask_for_tokens(self, body: str) -> dict[str, Any]:
        described = await self._description()
        status, found = await self._answer("POST", described["token_endpoint"], body)
        if status >= 400:
            raise Rejected(Reason.SIGN_IN_REFUSED)
        return found

    async def _answer(self, method: str, url: str, body: str = "") -> tuple[int, dict[str, Any]]:
        """The status and the JSON object of an answer; never from elsewhere than from this URL."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            if self._secret is not None:
                headers["Authorization"] = BasicAuth(self._client_id, self._secret).encode()
        try:
            async with self._connect().request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=ANSWER,
            ) as answer:
                content = await answer.content.read(BYTES_MAX + 1)
                while len(content) <= BYTES_MAX and (more := await answer.content.read(BYTES_MAX)):
                    content += more
                status = answer.status
            found = json.loads(content) if len(content) <= BYTES_MAX else None
        except (TimeoutError, ClientError, OSError, ValueError) as error:
            raise Unavailable(Reason.ISSUER_UNAVAILABLE) from error
        if not isinstance(found, dict) or status >= 500 or 300 <= status < 400:
            raise Unavailable(Reason.ISSUER_UNAVAILABLE)
        return status, found

    def _tokens_of(self, given: dict[str, Any]) -> Tokens:
        access, refresh = given.get("access_token"), given.get("refresh_token")
        good_s = given.get("expires_in", UNSAID_S)
        bearer = str(given.get("token_type")).lower() == "bearer"
        if (
            not bearer
            or not isinstance(access, str)
            or not 0 < len(access) <= TOKEN_BYTES_MAX
            or not isinstance(good_s, int)
            or not (refresh is None or isinstance(refresh, str))
        ):
            raise Rejected(Reason.SIGN_IN_REFUSED)
        return Tokens(access, self._now() + timedelta(seconds=min(good_s, 86_400)), refresh)

    async def _who(self, id_token: object, nonce: str, access: str) -> Who:
        """Whom an identity token names (OpenID Connect Core 1.0, 3.1.3.7)."""
        described = await self._description()
        _, keys = await self._answer("GET", described["jwks_uri"])
        try:
            if not isinstance(id_token, str) or len(id_token) > TOKEN_BYTES_MAX:
                raise ValueError
            found = jwt.decode(id_token, keys_of(json.dumps(keys)), algorithms=ALGORITHMS)
            CodeIDToken(
                found.claims,
                found.header,
                options={
                    "iss": {"essential": True, "value": self._url},
                    "aud": {"essential": True, "value": self._client_id},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._client_id,
                    "access_token": access,
                },
            ).validate(now=int(self._now().timestamp()), leeway=LEEWAY_S)
            claims = found.claims
            subject, site, kind = claims["sub"], claims["site"], claims["kind"]
            if not all(SUBJECT_PATTERN.fullmatch(one) for one in (subject, site, kind)):
                raise ValueError
            name = str(claims.get("name", subject))[:NAME_CHARS_MAX]
            return Who(subject, kind, site, name)
        except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Rejected(Reason.SIGN_IN_REFUSED) from error
