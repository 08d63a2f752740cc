"""The code a customer shows: ten Crockford characters (50 bits) and a check character.

Made from the check's id under a secret, so it is stored nowhere in clear and can be made again for
the answer to a repeated request. Only its HMAC is kept, to find the check by its code.
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
#: As people read and type it: his alphabet takes these for digits, and what separates says nothing.
READ_AS = str.maketrans("ILO", "110", "- \t\r\n")
#: Codes of the checks that are being decided.
REMEMBERED_MAX = 1000


def codes_of(vault: Vault) -> Codes:
    """The maker of codes: its secret is derived from the master key."""
    return Codes(vault.derive("check-code"))


class Codes:
    """Codes under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # Asked for when reading ahead, when deciding and for the answer.
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
