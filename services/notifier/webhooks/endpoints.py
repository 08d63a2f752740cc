"""The operator's file of endpoints, from a secret store: which partners' systems are told of what.

endpoints:
  loyalty:
    url: https://hooks.partner.example/service-check
    types: [recovery.complaint.closed.v1, recovery.check.issued.v1]
    sites: [ms-aurora]
    secrets: [whsec_…]      # of Standard Webhooks; the new one and the old one while it is changed
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.notifier.webhooks.rules import SHOWN
from shared.contracts.event import Id, fingerprint
from shared.runtime import strict_yaml
from shared.runtime.http.signatures import Secrets, secret_bytes

#: Sixteen endpoints with long secrets fit several times.
FILE_BYTES_MAX = 64 * 1024
#: Each endpoint is told of every fact by itself, so that many are as many times the work.
ENDPOINTS_MAX = 16
TYPES = {fact.TYPE for fact in SHOWN}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Endpoint(BaseModel):
    """One endpoint of the file."""

    model_config = ConfigDict(frozen=True)

    url: Annotated[str, Field(max_length=500)]
    types: Annotated[frozenset[str], Field(min_length=1)]
    sites: Annotated[frozenset[Id], Field(min_length=1, max_length=1000)]
    secrets: Secrets

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        parts = urlsplit(url)
        # To ourselves alone a test may speak without TLS; whether we may be spoken to at all is asked as we connect.
        plain = parts.scheme == "http" and parts.hostname in LOOPBACK
        if (parts.scheme != "https" and not plain) or not parts.hostname:
            raise ValueError("url must begin with https://")
        if "@" in parts.netloc or parts.fragment or not url.isascii() or not url.isprintable():
            raise ValueError("url may have no user, no fragment, and ASCII alone")
        if "%" in parts.netloc:
            raise ValueError("url may have no % in its host")
        return url

    @field_validator("types")
    @classmethod
    def _shown(cls, types: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(types - TYPES):
            raise ValueError(f"partners are not told of {', '.join(unknown)}")
        return types

    @property
    def keys(self) -> list[bytes]:
        """The keys that sign, the newest first."""
        return [secret_bytes(secret.get_secret_value()) for secret in self.secrets]

    @property
    def entry(self) -> str:
        """The entry as a hash, without its secrets: who changes anything else of it enables it again."""
        return fingerprint("endpoint", self.url, *sorted(self.types), "", *sorted(self.sites))


class EndpointsFile(BaseModel):
    """Endpoints by name."""

    model_config = ConfigDict(frozen=True)

    endpoints: Annotated[dict[Id, Endpoint], Field(max_length=ENDPOINTS_MAX)]


def load(path: Path) -> Mapping[str, Endpoint]:
    """Endpoints by name; raises BrokenFile with everything that is wrong. Reads the file."""
    return strict_yaml.whole(path, EndpointsFile, bytes_max=FILE_BYTES_MAX, secret=True).endpoints
