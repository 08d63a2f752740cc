"""How often the open form is taken, from one address and about one place: counted in memory, for minutes.

Nothing of it is stored: addresses are kept as hashes under a key of this process, and each process counts by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from secrets import token_bytes

#: Counted at once, of some hundred bytes each. The one that began first is dropped for one more.
COUNTED_MAX = 20_000
#: The part of an address of IPv6 that one subscriber has.
SUBSCRIBER_BITS = 64
#: Longer text of a header is no address.
ADDRESS_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class Most:
    """How many forms are taken in a window of time."""

    per_address: int
    per_place: int
    window: timedelta


class Limits:
    """Counts the forms of this process."""

    def __init__(self, most: Most, now: Callable[[], datetime]) -> None:
        self._most = most
        self._now = now
        self._secret = token_bytes(32)
        #: When each window ends, and how many forms came in it; the one that began first is first.
        self._windows: dict[bytes, tuple[datetime, int]] = {}

    def take(self, address: str, place: str) -> datetime | None:
        """Counts a form and returns None; where it is one too many, counts nothing and returns when it is taken again."""
        now = self._now()
        counted = {
            self._name("address", subscriber(address)): self._most.per_address,
            self._name("place", place): self._most.per_place,
        }
        found = {name: self._window(name, now) for name in counted}
        full = [ends for name, (ends, count) in found.items() if count >= counted[name]]
        if full:
            return max(full)
        for name, (ends, count) in found.items():
            self._windows[name] = ends, count + 1
        while len(self._windows) > COUNTED_MAX:
            del self._windows[next(iter(self._windows))]
        return None

    def _window(self, name: bytes, now: datetime) -> tuple[datetime, int]:
        """The window that goes on, or a new one; the end of an old one is forgotten."""
        known = self._windows.get(name)
        if known is not None and now < known[0]:
            return known
        self._windows.pop(name, None)
        return now + self._most.window, 0

    def _name(self, kind: str, text: str) -> bytes:
        return blake2b(f"{kind} {text}".encode(), key=self._secret, digest_size=16).digest()


def subscriber(address: str) -> str:
    """An address as it is counted: of IPv6 the part that one subscriber has, and text that is no address as it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:ADDRESS_CHARS_MAX]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(int(found) >> (128 - SUBSCRIBER_BITS))
    return str(found)
