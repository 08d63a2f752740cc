"""The settings of complaints: those of the runtime, how long backups are kept, and the URL of checks' pages."""

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
    answers_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="The base URL of the links to checks' pages: the notifier's public_url.",
    )
