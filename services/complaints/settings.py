"""The settings of complaints: those of the runtime, how long backups are kept, the URL of checks' pages, mailboxes, and how often the open form is taken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from services.complaints.intake.limits import Most
from services.complaints.intake.sources import Source
from services.complaints.intake.sources import load as read_sources
from services.complaints.mail.accounts import load as read_accounts
from services.complaints.triage.lexicon import load as read_lexicon
from services.complaints.triage.model import load as read_model
from shared.contracts.catalogue import BACKUP_RETENTION
from shared.runtime.settings import RuntimeSettings, readable


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
    lexicon: Annotated[Path | None, readable(read_lexicon)] = Field(
        None,
        description="Folder with the words by which complaints are understood, one file per language; unset: those that the service comes with. Read at start.",
    )
    triage_model: Annotated[Path | None, readable(read_model)] = Field(
        None,
        description="File with the weights of a model on top of the rules, as `triage train` writes it; unset: the rules alone. Read at start.",
    )
    webhook_sources: Annotated[Path | None, readable(read_sources)] = Field(
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

    mail_accounts: Annotated[Path | None, readable(read_accounts)] = Field(
        None,
        description="File with the mailboxes that complaints come to, from a secret store; read at start. Unset: none.",
    )

    @property
    def sources(self) -> Mapping[str, Source]:
        """The systems that raise complaints by webhook, by name. Reads the file."""
        return {} if self.webhook_sources is None else read_sources(self.webhook_sources)

    @property
    def forms(self) -> Most:
        """How many open forms are taken."""
        window = timedelta(seconds=self.forms_window_s)
        return Most(self.forms_per_address, self.forms_per_place, window)
