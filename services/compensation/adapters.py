"""The ports of compensation: codes made under a secret derived from the master key."""

from __future__ import annotations

from services.compensation.codes import Codes
from shared.runtime.seal import Vault


def codes_of(vault: Vault) -> Codes:
    """The maker of codes."""
    return Codes(vault.derive("check-code"))
