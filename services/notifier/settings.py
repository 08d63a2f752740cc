"""The settings of the notifier: the mail server, the public addresses, and role mailboxes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from shared.runtime.mailboxes import load
from shared.runtime.settings import RuntimeSettings
from shared.runtime.strict_yaml import BrokenFile


class Settings(RuntimeSettings):
    """Settings of the notifier."""

    smtp_host: str = Field("127.0.0.1", description="The mail server that takes our letters.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port.")
    public_url: str = Field(
        "http://127.0.0.1", max_length=200, description="What customers' links begin with."
    )
    offers_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="What links to offers begin with: compensation's public_url.",
    )
    mailboxes: Path | None = Field(
        None,
        description="File with the addresses of role mailboxes, from a secret store; read at start.",
    )

    @field_validator("mailboxes")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                load(path)
            except BrokenFile as broken:
                raise ValueError(str(broken)) from None
        return path
