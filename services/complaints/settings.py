"""The settings of complaints: those of the runtime, how long backups are kept, the URL of checks' pages, mailboxes, and how often the open form is taken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from services.complaints.intake import sources
from services.complaints.intake.limits import Most
from services.complaints.intake.sources import Source
from services.complaints.mail import accounts
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
    webhook_sources: Path | None = Field(
        None,
        description="File with the systems that raise complaints by webhook, from a secret store; read at start. Unset: none.",
    )
    client_address_header: str = Field(
        "",
        max_length=64,
        pattern=r"^[A-Za-z0-9-]*$",
        description="Header in which the proxy writes the client's address, such as X-Real-IP; unset: the connection's address. A header that clients can write themselves makes forms per address unlimited.",
    )
    forms_per_address: int = Field(
        20,
        ge=1,
        description="Open forms that one process takes from one address in one window; a site's guests may share an address.",
    )
    forms_per_place: int = Field(
        100, ge=1, description="Open forms that one process takes about one place in one window."
    )
    forms_window_s: int = Field(600, ge=1, le=86_400, description="Length of that window, in s.")

    mail_accounts: Path | None = Field(
        None,
        description="File with the mailboxes that complaints come to, from a secret store; read at start. Unset: none.",
    )

    @field_validator("webhook_sources")
    @classmethod
    def _sources_readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                sources.load(path)
            except BrokenFile as broken:
                raise ValueError(str(broken)) from None
        return path

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

    @field_validator("mail_accounts")
    @classmethod
    def _accounts_readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                accounts.load(path)
            except BrokenFile as broken:
                raise ValueError(str(broken)) from None
        return path

    @property
    def sources(self) -> Mapping[str, Source]:
        """The systems that raise complaints by webhook, by name. Reads the file."""
        return {} if self.webhook_sources is None else sources.load(self.webhook_sources)

    @property
    def forms(self) -> Most:
        """How many open forms are taken."""
        window = timedelta(seconds=self.forms_window_s)
        return Most(self.forms_per_address, self.forms_per_place, window)
