"""The key that signs heads, and the public key that they are checked with."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

#: What the signing key is derived for from the master key where it has no file of its own.
PURPOSE = "audit-heads"


def derived_key(derive: Callable[[str], bytes]) -> Ed25519PrivateKey:
    """The signing key where it has no file of its own; `derive` makes 32 bytes for a purpose from the master key."""
    return Ed25519PrivateKey.from_private_bytes(derive(PURPOSE))


def key_id_of(key: Ed25519PublicKey) -> str:
    """The name of a key on signed heads: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def public_pem(key: Ed25519PublicKey) -> str:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file; raises ValueError if there is none of Ed25519."""
    try:
        found = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a public key that can be read") from error
    if not isinstance(found, Ed25519PublicKey):
        raise ValueError(f"{path} is not a public key of Ed25519")
    return found


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file; raises ValueError if there is none of Ed25519."""
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a private key that can be read") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise ValueError(f"{path} is not a key of Ed25519")
    return found
