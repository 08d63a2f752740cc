"""The settings of complaints: those of the runtime, how long backups are kept, and the URL of checks' pages."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from services.complaints.triage import lexicon, model
from shared.contracts.catalogue import BACKUP_RETENTION
from shared.runtime.settings import RuntimeSettings
from shared.runtime.strict_yaml import BrokenFile


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
    lexicon: Path | None = Field(
        None,
        description="Folder with the words by which complaints are understood, one file per language; unset: those that the service comes with. Read at start.",
    )
    triage_model: Path | None = Field(
        None,
        description="File with the weights of a model on top of the rules, as `triage train` writes it; unset: the rules alone. Read at start.",
    )

    @field_validator("lexicon")
    @classmethod
    def _lexicon_readable(cls, folder: Path | None) -> Path | None:
        if folder is not None:
            try:
                lexicon.load(folder)
            except BrokenFile as broken:
                raise ValueError(str(broken)) from None
        return folder

    @field_validator("triage_model")
    @classmethod
    def _model_readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                model.load(path)
            except BrokenFile as broken:
                raise ValueError(str(broken)) from None
        return path
