"""The key that signs heads."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.chain.rules import Signature
from shared.audit.keys import key_id_of


class Signer:
    """Signs statements with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._key_id = key_id_of(key.public_key())

    def __call__(self, statement: bytes) -> Signature:
        """The signature of these bytes."""
        signature = urlsafe_b64encode(self._key.sign(statement)).decode().rstrip("=")
        return Signature(self._key_id, signature)
