"""The settings of audit: those of the runtime, and the key that signs heads."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from shared.audit.keys import read_key
from shared.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Settings of audit."""

    signing_key: Path | None = Field(
        None,
        description="File with the Ed25519 private key that signs heads (PEM), from a secret store of its own; unset: a key derived from the master key, which every service has.",
    )

    @field_validator("signing_key")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            read_key(path)
        return path
