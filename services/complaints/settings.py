"""The settings of complaints: those of the runtime, and one of its own."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.catalogue import BACKUP_RETENTION
from shared.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Settings of complaints."""

    backups_kept_days: int = Field(
        BACKUP_RETENTION.days,
        ge=0,
        le=366,
        description="Days for which a backup is kept at most, and for which the certificate of an erasure waits; 0 if none is taken.",
    )
