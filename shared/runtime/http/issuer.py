"""The keys that an issuer publishes at a URL: fetched now and then, and kept while it is away.

A key that is published no longer is kept in memory until the tokens signed with it have ended, because
some issuers take a key away as soon as they sign with the next.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from http.client import HTTPException
from ssl import SSLContext
from typing import Any, NoReturn
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from shared.runtime.http.auth import keys_of
from shared.runtime.observe import log

#: How often the keys are fetched: issuers publish a key hours before they sign with it.
FETCH_EVERY_S = 60.0
#: How long the issuer may take for each step of its answer, which takes milliseconds.
ANSWER_S = 3.0
#: A key with its certificates is of some thousand bytes, and an issuer publishes a handful.
BYTES_MAX = 256 * 1024
#: Keys kept that are published no longer; an issuer replaces its keys once a day at most.
GONE_MAX = 16

Key = dict[str, Any]


class NoRedirects(HTTPRedirectHandler):
    """Refuses to be sent elsewhere for the keys: the URL in the settings is who we trust."""

    def redirect_request(self, *_: Any, **__: Any) -> NoReturn:
        """Raise OSError."""
        raise OSError("the issuer's keys are elsewhere")


class Issuer:
    """The keys at a URL, fetched once when it is made, which blocks; raises OSError, ValueError.

    `kept_s` is how long a token lives at most, with the leeway for clocks.
    """

    def __init__(self, url: str, tls: SSLContext, now: Callable[[], datetime], kept_s: int) -> None:
        self._url = url
        self._opener = build_opener(HTTPSHandler(context=tls), NoRedirects)
        self._now = now
        self._kept = timedelta(seconds=kept_s)
        self._keys: list[Key] = []
        self._gone: list[tuple[Key, datetime]] = []
        self._take(self._fetch())

    def read(self) -> str:
        """The document of all keys that hold now: those published last, then those kept."""
        now = self._now()
        kept = [key for key, until in self._gone if until > now]
        return json.dumps({"keys": [*self._keys, *kept]}, sort_keys=True)

    async def keep(self) -> None:
        """Fetch the keys again and again until cancelled; what cannot be read changes nothing."""
        while True:
            await asyncio.sleep(FETCH_EVERY_S)
            await self.fetch()

    async def fetch(self) -> None:
        """Fetch the keys once, in a thread; logs it if they cannot be read."""
        try:
            self._take(await asyncio.to_thread(self._fetch))
        except (OSError, ValueError) as error:
            log.warning("jwks_unreadable", error=type(error).__name__)

    def _fetch(self) -> str:
        request = Request(self._url, headers={"Accept": "application/json"})  # noqa: S310 - https alone
        try:
            with self._opener.open(request, timeout=ANSWER_S) as answer:
                found: bytes = answer.read(BYTES_MAX + 1)
        except HTTPException as error:
            raise OSError("no answer in HTTP") from error
        if len(found) > BYTES_MAX:
            raise ValueError("more than the keys of an issuer")
        return found.decode()

    def _take(self, published: str) -> None:
        keys_of(published)  # raises ValueError
        keys: list[Key] = json.loads(published)["keys"]
        until = self._now() + self._kept
        gone = [(key, until) for key in self._keys if key not in keys]
        before = [(key, end) for key, end in self._gone if key not in keys and end > self._now()]
        self._keys, self._gone = keys, [*gone, *before][:GONE_MAX]
