"""The operator's file of systems that raise complaints by webhook, from a secret store.

sources:
  booking:
    sites: [ms-aurora]
    secrets: [whsec_…]      # of Standard Webhooks; the new one and the old one while it is changed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.event import Id
from shared.runtime import strict_yaml
from shared.runtime.http.signatures import Secrets, secret_bytes

#: Many sources with several secrets each fit.
FILE_BYTES_MAX = 256 * 1024
SOURCES_MAX = 200


class Source(BaseModel):
    """One system of the file."""

    model_config = ConfigDict(frozen=True)

    sites: Annotated[frozenset[Id], Field(min_length=1, max_length=1000)]
    secrets: Secrets

    @property
    def keys(self) -> Sequence[bytes]:
        """The keys that it may sign with."""
        return [secret_bytes(secret.get_secret_value()) for secret in self.secrets]


class SourcesFile(BaseModel):
    """Sources by name."""

    model_config = ConfigDict(frozen=True)

    sources: Annotated[dict[Id, Source], Field(max_length=SOURCES_MAX)]


def load(path: Path) -> Mapping[str, Source]:
    """Sources by name; raises BrokenFile with everything that is wrong. Reads the file."""
    return strict_yaml.whole(path, SourcesFile, bytes_max=FILE_BYTES_MAX, secret=True).sources
