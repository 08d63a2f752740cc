"""The code a customer shows: ten Crockford characters (50 bits) and a check character.

It is derived from the check's id under a secret, so it is stored nowhere in clear, and the answer to a
repeated request has the same code. Its HMAC is stored, to find the check by its code.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256

from stdnum import luhn

from shared.runtime.privacy.seal import Vault

#: Crockford's base 32: no I, L, O, U to be misread.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHARACTERS = 10
#: Letters that Crockford's alphabet reads as digits; separators are dropped.
READ_AS = str.maketrans("ILO", "110", "- \t\r\n")
#: Cached codes: those of the checks that are being decided.
REMEMBERED_MAX = 1000


def codes_of(vault: Vault) -> Codes:
    """The maker of codes: its secret is derived from the master key."""
    return Codes(vault.derive("check-code"))


class Codes:
    """Codes under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # Cached: needed to read ahead, to decide and to answer.
        self._code = lru_cache(maxsize=REMEMBERED_MAX)(self._make)

    def code(self, check_id: str) -> str:
        """The code of a check, like `7K3QX-9M2WD-3`."""
        return self._code(check_id)

    def _make(self, check_id: str) -> str:
        number = int.from_bytes(hmac.digest(self._secret, check_id.encode(), sha256)[:8], "big")
        digits = "".join(ALPHABET[number >> 5 * place & 31] for place in range(CHARACTERS))
        return f"{digits[:5]}-{digits[5:]}-{luhn.calc_check_digit(digits, ALPHABET)}"

    def hash(self, code: str) -> str:
        """What is stored of a code: HMAC-SHA-256 of its characters, hexadecimal."""
        plain = code.upper().translate(READ_AS)
        return hmac.digest(self._secret, b"hash/" + plain.encode(), sha256).hex()
