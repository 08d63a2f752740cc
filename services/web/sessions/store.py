"""Sessions in Redis: each sealed under a key that is made of its cookie, so that a copy of Redis opens none."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable
from datetime import datetime
from hashlib import sha256
from typing import Any

import redis.asyncio as redis
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.contracts.reasons import Reason
from shared.runtime.engine.redis_store import unavailable
from shared.runtime.faults import Unavailable
from shared.runtime.wires import StoreAddress

#: As other services have it; sessions are read and written one by one.
PREFIX = "web:{c0}:"
TIMEOUT_S = 2.0
CONNECTIONS_MAX = 64
#: Of one person at once; the oldest ends when there would be more.
PER_PERSON_MAX = 20
#: Whoever asks may begin a sign-in: of those of ten minutes the store holds some ten megabytes at most.
SIGN_INS_PER_MINUTE_MAX = 3_000
NONCE_BYTES = 12
#: What `new_id` makes; anything longer was not made here.
ID_CHARS_MAX = 64


def new_id() -> str:
    """An id that nobody guesses: 256 bits."""
    return secrets.token_urlsafe(32)


def place_of(one: str) -> str:
    """Where the session of a cookie is: a hash, from which the cookie cannot be made."""
    return sha256(b"place " + one.encode()).hexdigest()


def _key_of(one: str) -> bytes:
    return sha256(b"key " + one.encode()).digest()


def seal(one: str, document: dict[str, Any]) -> bytes:
    """A document under the key of an id."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(_key_of(one)).encrypt(nonce, json.dumps(document).encode(), None)


def open_sealed(one: str, sealed: object) -> dict[str, Any] | None:
    """The document again; None if there is none, or it is not the id's."""
    if not isinstance(sealed, bytes):
        return None
    try:
        opened = AESGCM(_key_of(one)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        return None
    found: dict[str, Any] = json.loads(opened)
    return found


async def _asked(answer: Awaitable[Any]) -> Any:
    """An answer of Redis; raises Unavailable."""
    try:
        return await answer
    except RedisError as error:
        raise unavailable(error) from error


class SessionStore:
    """Sessions by the hash of their id, and sign-ins that have begun; everything ends by itself."""

    def __init__(self, address: StoreAddress) -> None:
        pool = redis.BlockingConnectionPool(
            max_connections=CONNECTIONS_MAX,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            **address.client(),
        )
        self._redis = redis.Redis.from_pool(pool)

    async def begin(self, one: str, document: dict[str, Any], kept_s: int) -> None:
        """Keep what a sign-in needs to know when it comes back; raises Unavailable, also when too many begin."""
        async with self._redis.pipeline(transaction=True) as counting:
            counting.incr(f"{PREFIX}begun")
            counting.expire(f"{PREFIX}begun", 60, nx=True)
            begun, _ = await _asked(counting.execute())
        if begun > SIGN_INS_PER_MINUTE_MAX:
            raise Unavailable(Reason.OVERLOADED, retry_after_s=60)
        place = f"{PREFIX}sign-in:{place_of(one)}"
        await _asked(self._redis.set(place, seal(one, document), ex=kept_s))

    async def take(self, one: str) -> dict[str, Any] | None:
        """What a sign-in began with, once; raises Unavailable."""
        place = f"{PREFIX}sign-in:{place_of(one)}"
        return open_sealed(one, await _asked(self._redis.getdel(place)))

    async def open(
        self,
        one: str,
        document: dict[str, Any],
        kept_s: int,
        person: str,
        ends_at: datetime,
        now: datetime,
    ) -> None:
        """Keep a new session, and note it as one of its person's; raises Unavailable."""
        place, of_person = place_of(one), self._person(person)
        async with self._redis.pipeline(transaction=True) as all_of_it:
            all_of_it.set(self._session(place), seal(one, document), ex=kept_s)
            all_of_it.zremrangebyscore(of_person, 0, now.timestamp())
            all_of_it.zadd(of_person, {place: ends_at.timestamp()})
            all_of_it.expireat(of_person, ends_at)
            all_of_it.zrange(of_person, 0, -1 - PER_PERSON_MAX)
            *_, oldest = await _asked(all_of_it.execute())
        await self._remove([str(place, "ascii") for place in oldest], of_person)

    async def read(self, one: str) -> dict[str, Any] | None:
        """The session of an id; None if it has ended; raises Unavailable."""
        return open_sealed(one, await _asked(self._redis.get(self._session(place_of(one)))))

    async def keep(self, one: str, kept_s: int) -> None:
        """Let a session that is there be kept so long from now, unless it is kept longer; raises Unavailable."""
        await _asked(self._redis.expire(self._session(place_of(one)), kept_s, gt=True))

    async def change(self, one: str, document: dict[str, Any]) -> bool:
        """Change a session; False, and nothing is written, if it ended meanwhile; raises Unavailable."""
        place = self._session(place_of(one))
        return bool(
            await _asked(self._redis.set(place, seal(one, document), xx=True, keepttl=True))
        )

    async def alone(self, one: str, for_s: int) -> bool:
        """Whether we are the one who renews the session's tokens; raises Unavailable."""
        place = f"{PREFIX}renewing:{place_of(one)}"
        return bool(await _asked(self._redis.set(place, b"", nx=True, ex=for_s)))

    async def done(self, one: str) -> None:
        """Let others renew again; raises Unavailable."""
        await _asked(self._redis.delete(f"{PREFIX}renewing:{place_of(one)}"))

    async def end(self, one: str, person: str) -> None:
        """End a session; raises Unavailable."""
        await self._remove([place_of(one)], self._person(person))

    async def end_all(self, person: str) -> None:
        """End every session of a person; raises Unavailable."""
        of_person = self._person(person)
        places = await _asked(self._redis.zrange(of_person, 0, -1))
        await self._remove([str(place, "ascii") for place in places], of_person)

    async def drafts_key(self, person: str, made: bytes, kept_s: int) -> bytes:
        """The key of a person's drafts, kept so long from now: the one that is there, else `made`; raises Unavailable."""
        place = f"{PREFIX}drafts:{sha256(person.encode()).hexdigest()}"
        async with self._redis.pipeline(transaction=True) as all_of_it:
            all_of_it.set(place, made, nx=True)
            all_of_it.expire(place, kept_s)
            all_of_it.get(place)
            *_, found = await _asked(all_of_it.execute())
        return bytes(found)

    async def answers(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._redis.ping())
        except RedisError:
            return False

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    async def _remove(self, places: list[str], of_person: str) -> None:
        if places:
            async with self._redis.pipeline(transaction=True) as all_of_it:
                all_of_it.delete(*map(self._session, places))
                all_of_it.zrem(of_person, *places)
                await _asked(all_of_it.execute())

    @staticmethod
    def _session(place: str) -> str:
        return f"{PREFIX}session:{place}"

    @staticmethod
    def _person(person: str) -> str:
        return f"{PREFIX}person:{sha256(person.encode()).hexdigest()}"
