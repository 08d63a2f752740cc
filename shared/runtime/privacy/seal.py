"""Sealing of texts and contacts, under a key per customer.

AES-256-GCM with a random 96-bit nonce; the associated data names the customer and the field, so a
sealed text cannot be moved to another place. Data keys are wrapped by a wrapping key: one of its own, or one
derived from the master key. Destroying a data key makes everything sealed under it unreadable for good.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime.privacy.pseudonyms import Pseudonyms

KEY_BYTES = 32
NONCE_BYTES = 12
PREFIX = "v1."
#: What AES-GCM adds to a text.
TAG_BYTES = 16
#: A wrapped key begins with the name of its wrapping key: 48 bits, which a sorted set holds as a score. The
#: one that is derived from the master key has no name, because it came before there were others.
NAME_BYTES = 6
DERIVED = 0
#: The printed length of a wrapped key that begins with a name, and of the name.
NAMED_LENGTH = len(PREFIX) + (NAME_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES) * 4 // 3
NAME_LENGTH = len(PREFIX) + NAME_BYTES * 4 // 3


class SealBroken(Exception):
    """A sealed text cannot be opened: wrong key, wrong place, or changed bytes."""


class UnknownWrapping(SealBroken):
    """A data key was wrapped by a key that we were not given."""


class DataKey:
    """One customer's key; seals and opens that customer's fields."""

    def __init__(self, customer_ref: str, key: bytes, random: Callable[[int], bytes]) -> None:
        self._aead = AESGCM(key)
        self._customer_ref = customer_ref
        self._random = random

    def seal(self, field: str, text: str) -> str:
        """The text as nonce and ciphertext, printable."""
        return pack(self._aead, self._random, text.encode(), f"{self._customer_ref}/{field}")

    def open(self, field: str, sealed: str) -> str:
        """The opened text; raises SealBroken."""
        return unpack(self._aead, sealed, f"{self._customer_ref}/{field}").decode()


class Vault:
    """The master key and the wrapping keys: wraps data keys, seals dead letters, derives secrets.

    The first wrapping key wraps and all unwrap; None is the one derived from the master key.
    """

    def __init__(
        self,
        master: bytes,
        random: Callable[[int], bytes] = os.urandom,
        wrapping: Sequence[bytes | None] = (None,),
    ) -> None:
        if len(master) != KEY_BYTES:
            msg = f"the master key must have {KEY_BYTES} bytes"
            raise ValueError(msg)
        self._master = master
        self._wrapping = {wrapping_name(key): AESGCM(self._derived(key)) for key in wrapping}
        self.wraps_with = wrapping_name(wrapping[0])
        self._dead = AESGCM(self.derive("dead-letter"))
        self.pseudonyms = Pseudonyms(self.derive("pseudonym"))
        self._random = random

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA-256 of its name under the master key)."""
        return hmac.digest(self._master, purpose.encode(), sha256)

    def new_key(self, customer_ref: str) -> tuple[DataKey, str]:
        """A fresh data key and its wrapped form."""
        key = self._random(KEY_BYTES)
        return DataKey(customer_ref, key, self._random), self._wrap(customer_ref, key)

    def unwrap(self, customer_ref: str, wrapped: str) -> DataKey:
        """A data key from its wrapped form; raises SealBroken, and UnknownWrapping."""
        return DataKey(customer_ref, self._unwrap(customer_ref, wrapped), self._random)

    def rewrap(self, customer_ref: str, wrapped: str) -> str:
        """The wrapped form of the same data key under the key that wraps now; raises as `unwrap`."""
        return self._wrap(customer_ref, self._unwrap(customer_ref, wrapped))

    def opens(self, name: int) -> bool:
        """Whether we have the wrapping key of this name."""
        return name in self._wrapping

    def _derived(self, wrapping: bytes | None) -> bytes:
        return self.derive("wrap") if wrapping is None else hmac.digest(wrapping, b"wrap", sha256)

    def _wrap(self, customer_ref: str, key: bytes) -> str:
        name = self.wraps_with
        closed = _closed(self._wrapping[name], self._random, key, f"key/{customer_ref}")
        return printed(closed if name == DERIVED else name.to_bytes(NAME_BYTES) + closed)

    def _unwrap(self, customer_ref: str, wrapped: str) -> bytes:
        name, found = wrapped_with(wrapped), raw(wrapped)
        if name not in self._wrapping:
            raise UnknownWrapping
        sealed = found if name == DERIVED else found[NAME_BYTES:]
        return _opened(self._wrapping[name], sealed, f"key/{customer_ref}")

    def seal_dead(self, value: bytes, letter: str) -> bytes:
        """Seal a dead letter under a key of its own, because its customer is unknown.

        `letter` is its name, so that what is sealed cannot be moved to another letter.
        """
        return pack(self._dead, self._random, value, f"dead-letter/{letter}").encode()

    def open_dead(self, value: bytes, letter: str) -> bytes:
        """What was sealed in the letter of this name; raises SealBroken."""
        return unpack(self._dead, value.decode(errors="replace"), f"dead-letter/{letter}")


def wrapping_name(key: bytes | None) -> int:
    """The name of a wrapping key, which says nothing of it."""
    if key is None:
        return DERIVED
    return int.from_bytes(hmac.digest(key, b"name", sha256)[:NAME_BYTES])


def wrapped_with(wrapped: str) -> int:
    """The name of the key that wrapped a data key."""
    if len(wrapped) != NAMED_LENGTH:
        return DERIVED
    return int.from_bytes(raw(wrapped[:NAME_LENGTH]))


def pack(aead: AESGCM, random: Callable[[int], bytes], plain: bytes, place: str) -> str:
    """Encrypt for one place and print it."""
    return printed(_closed(aead, random, plain, place))


def unpack(aead: AESGCM, sealed: str, place: str) -> bytes:
    """The inverse of `pack`; raises SealBroken."""
    return _opened(aead, raw(sealed), place)


def _closed(aead: AESGCM, random: Callable[[int], bytes], plain: bytes, place: str) -> bytes:
    nonce = random(NONCE_BYTES)
    return nonce + aead.encrypt(nonce, plain, place.encode())


def _opened(aead: AESGCM, found: bytes, place: str) -> bytes:
    try:
        return aead.decrypt(found[:NONCE_BYTES], found[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def printed(sealed: bytes) -> str:
    """Nonce and ciphertext as text."""
    return PREFIX + urlsafe_b64encode(sealed).decode().rstrip("=")


def raw(sealed: str) -> bytes:
    """The inverse of `printed`; raises SealBroken."""
    text = sealed.removeprefix(PREFIX)
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise SealBroken from error
