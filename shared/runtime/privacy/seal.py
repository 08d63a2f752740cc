"""Sealing of texts and contacts, under a key per customer.

AES-256-GCM with a random 96-bit nonce; the associated data names the customer and the field, so a
sealed text cannot be moved to another place. Data keys are wrapped by the master key. Destroying a
data key makes everything sealed under it unreadable for good.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime.privacy.pseudonyms import Pseudonyms

KEY_BYTES = 32
NONCE_BYTES = 12
PREFIX = "v1."


class SealBroken(Exception):
    """A sealed text cannot be opened: wrong key, wrong place, or changed bytes."""


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
    """The master key: wraps data keys, seals dead letters, derives the secrets of the services."""

    def __init__(self, master: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(master) != KEY_BYTES:
            msg = f"the master key must have {KEY_BYTES} bytes"
            raise ValueError(msg)
        self._master = master
        self._aead = AESGCM(self.derive("wrap"))
        self._dead = AESGCM(self.derive("dead-letter"))
        self.pseudonyms = Pseudonyms(self.derive("pseudonym"))
        self._random = random

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA-256 of its name under the master key)."""
        return hmac.digest(self._master, purpose.encode(), sha256)

    def new_key(self, customer_ref: str) -> tuple[DataKey, str]:
        """A fresh data key and its wrapped form."""
        key = self._random(KEY_BYTES)
        return DataKey(customer_ref, key, self._random), pack(
            self._aead, self._random, key, f"key/{customer_ref}"
        )

    def unwrap(self, customer_ref: str, wrapped: str) -> DataKey:
        """A data key from its wrapped form; raises SealBroken."""
        return DataKey(
            customer_ref, unpack(self._aead, wrapped, f"key/{customer_ref}"), self._random
        )

    def seal_dead(self, value: bytes, letter: str) -> bytes:
        """Seal a dead letter under a key of its own, because its customer is unknown.

        `letter` is its name, so that what is sealed cannot be moved to another letter.
        """
        return pack(self._dead, self._random, value, f"dead-letter/{letter}").encode()

    def open_dead(self, value: bytes, letter: str) -> bytes:
        """What was sealed in the letter of this name; raises SealBroken."""
        return unpack(self._dead, value.decode(errors="replace"), f"dead-letter/{letter}")


def pack(aead: AESGCM, random: Callable[[int], bytes], plain: bytes, place: str) -> str:
    """Encrypt for one place and print it."""
    nonce = random(NONCE_BYTES)
    sealed = nonce + aead.encrypt(nonce, plain, place.encode())
    return PREFIX + urlsafe_b64encode(sealed).decode().rstrip("=")


def unpack(aead: AESGCM, sealed: str, place: str) -> bytes:
    """The inverse of `pack`; raises SealBroken."""
    text = sealed.removeprefix(PREFIX)
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return aead.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error
