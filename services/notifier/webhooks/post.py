"""Posts webhooks, signed as Standard Webhooks says, to public addresses alone.

An endpoint's name may come to mean an address of our own network, also between two look-ups. So the addresses that the
connection is made to are the ones that were looked at, and every connection looks again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from ssl import SSLContext
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from services.notifier.channels.wires import asked_after
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome
from shared.runtime.http.signatures import standard_signature
from shared.runtime.observe import log

#: Timeout to reach an endpoint, and for its whole answer: it takes what it is told, and works on it later.
CONNECT_TIMEOUT_S = 5
POST_TIMEOUT_S = 15
#: An address of a cloud's own services that lies outside of all special ranges (Azure).
INSIDE = frozenset({IPv4Address("168.63.129.16")})
#: Networks that are not public whatever the standard library of this Python says. From the IANA registries of
#: special-purpose addresses of IPv4 and IPv6, whole blocks also where some addresses in them are global; and old
#: ways to write an address of IPv4: "compatible" (RFC 4291, 2.5.5.1) and translated (RFC 2765).
SPECIAL = (
    IPv4Network("192.0.0.0/24"),
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("3fff::/20"),
    IPv6Network("5f00::/16"),
)
#: Addresses of IPv4 in IPv6 for gateways (RFC 6052), which no other test of an address sees through.
TRANSLATED = IPv6Network("64:ff9b::/96")
#: Bits 32 to 63 of an address of ISATAP, which ends with one of IPv4: private or unique (RFC 5214, 6.1).
ISATAP = frozenset({0x00005EFE, 0x02005EFE})
GONE = 410


@dataclass(frozen=True, slots=True)
class Post:
    """A webhook ready to send."""

    endpoint: str
    url: str
    keys: Sequence[bytes] = field(repr=False)
    event_id: str
    payload: str = field(repr=False)


class AddressRefused(Exception):
    """The endpoint's name means an address that is not public."""


def is_public(address: str) -> bool:
    """Whether an address is of the public internet: not private, loopback, link-local, shared or a cloud's own."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        last = str(IPv4Address(int(found) & 0xFFFFFFFF))
        if found in TRANSLATED:
            return is_public(last)
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if inner:
            return is_public(str(inner))
        if int(found) >> 32 & 0xFFFFFFFF in ISATAP and not is_public(last):
            return False
        if found.is_site_local:
            return False
    if found in INSIDE or any(found in network for network in SPECIAL):
        return False
    return found.is_global and not found.is_multicast


class PublicAddresses(AbstractResolver):
    """Resolves names to addresses that are public; refuses a name as soon as one of its addresses is not."""

    def __init__(self, exempt: Collection[str]) -> None:
        self._exempt = exempt
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name; raises AddressRefused, and OSError if there are none."""
        found = await self._resolver.resolve(host, port, family)
        if host not in self._exempt and not all(is_public(one["host"]) for one in found):
            raise AddressRefused
        return found

    async def close(self) -> None:
        """Nothing is kept."""
        await self._resolver.close()


def _public_socket(found: aiohttp.AddrInfoType) -> socket.socket:
    """A socket to connect to this address; raises AddressRefused if it is not public."""
    family, kind, protocol, _, address = found
    if not is_public(str(address[0])):
        raise AddressRefused
    return socket.socket(family, kind, protocol)


class Poster:
    """Posts webhooks, one connection each; follows no redirect, and reads nothing of an answer but its status."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        exempt: Collection[str] = (),
        tls: SSLContext | None = None,
    ) -> None:
        """`exempt` are hosts that may have any address: those of tests."""
        self._now = now
        self._exempt = frozenset(exempt)
        self._tls = tls
        #: Endpoints that did not take their last webhook from this process.
        self._failing: set[str] = set()

    async def send(self, post: Post) -> Outcome:
        """Send it, once. Waits for the endpoint, up to a timeout.

        Later also if the endpoint may have it, because it is told at least once.
        """
        try:
            async with asyncio.timeout(POST_TIMEOUT_S):
                return await self._posted(post)
        # aiohttp takes numbers that some read as an address, like 127.1, for no URL.
        except (AddressRefused, aiohttp.InvalidURL):
            log.error("webhook_address_refused", endpoint=post.endpoint)
            return Never(Reason.ENDPOINT_ADDRESS_REFUSED)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._fails(post, error=type(error).__name__)
            return Later(Reason.ENDPOINT_UNAVAILABLE)

    def _fails(self, post: Post, **why: object) -> None:
        """Log that an endpoint begins to fail, once until it takes a webhook."""
        if post.endpoint not in self._failing:
            self._failing.add(post.endpoint)
            log.warning("webhook_waits", endpoint=post.endpoint, **why)

    async def _posted(self, post: Post) -> Outcome:
        now = self._now()
        timestamp, body = str(int(now.timestamp())), post.payload.encode()
        signatures = [standard_signature(key, post.event_id, timestamp, body) for key in post.keys]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "service-check",
            "webhook-id": post.event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signatures),
        }
        # An address in the URL itself, in whatever digits, is asked for nowhere: it is looked at as the socket is made.
        checked = None if urlsplit(post.url).hostname in self._exempt else _public_socket
        connector = aiohttp.TCPConnector(
            resolver=PublicAddresses(self._exempt),
            socket_factory=checked,
            use_dns_cache=False,
            ssl=True if self._tls is None else self._tls,
        )
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.post(post.url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            found = outcome(answer.status, answer.headers.get("Retry-After", ""), now)
        if isinstance(found, Delivered):
            self._failing.discard(post.endpoint)
        else:
            self._fails(post, status=answer.status)
        return found


def outcome(status: int, retry_after: str, now: datetime) -> Outcome:
    """What became of a webhook, by the status of the answer: 2xx is taken, 410 is gone, anything else is tried again."""
    if 200 <= status < 300:
        return Delivered()
    if status == GONE:
        return Never(Reason.ENDPOINT_GONE)
    if status == 429 or status >= 500:
        return Later(Reason.ENDPOINT_UNAVAILABLE, asked_after(retry_after, now))
    return Later(Reason.ENDPOINT_REFUSED)
