"""The settings of the notifier: the mail server, the public addresses, and role mailboxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from services.notifier.channels.providers_file import load as read_providers
from services.notifier.webhooks.endpoints import load as read_endpoints
from shared.runtime.mail.accounts import load as read_accounts
from shared.runtime.mailboxes import load as read_mailboxes
from shared.runtime.settings import RuntimeSettings, readable, tls_of
from shared.runtime.wires import MailServer


class Settings(RuntimeSettings):
    """Settings of the notifier."""

    smtp_host: str = Field("127.0.0.1", description="The mail server that takes our letters.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port.")
    smtp_tls: Literal["offered", "starttls", "tls", "none"] = Field(
        "offered",
        description="TLS if the server offers it, always by STARTTLS, always from the first byte, or never.",
    )
    smtp_ca: Path | None = Field(
        None,
        description="File with the authorities that sign its certificate; unset: the system's.",
    )
    smtp_username: str = Field("", description="Whom we log in as; unset: as nobody.")
    smtp_password: SecretStr = Field(SecretStr(""), description="The user's password.")
    public_url: str = Field(
        "http://127.0.0.1", max_length=200, description="What customers' links begin with."
    )
    offers_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="What links to offers and to codes begin with: compensation's public_url.",
    )
    complaints_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="What links to a complaint's page begin with: where complaints is reached.",
    )
    reply_address: str = Field(
        "",
        max_length=200,
        pattern=r"^$|^[A-Za-z0-9._-]{1,15}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
        description="Where customers answer letters: an address whose mail, also with +… before the @, comes to a mailbox that complaints reads. Unset: letters ask for no answer.",
    )
    mailboxes: Annotated[Path | None, readable(read_mailboxes)] = Field(
        None,
        description="File with the addresses of role mailboxes, from a secret store; read at start.",
    )

    mail_accounts: Annotated[Path | None, readable(read_accounts)] = Field(
        None,
        description="File with the mailboxes that returned mail comes to, from a secret store; read at start. Unset: none.",
    )

    providers: Annotated[Path | None, readable(read_providers)] = Field(
        None,
        description="File with the providers of text messages, from a secret store; read at start. Unset: e-mail alone.",
    )

    webhooks: Annotated[Path | None, readable(read_endpoints)] = Field(
        None,
        description="File with the endpoints of partners that are told of facts, from a secret store; read at start. Unset: none.",
    )

    @model_validator(mode="after")
    def _logs_in(self) -> Self:
        named, known = bool(self.smtp_username), bool(self.smtp_password.get_secret_value())
        if named != known:
            raise ValueError(
                "SERVICE_CHECK_SMTP_USERNAME and SERVICE_CHECK_SMTP_PASSWORD: set both or neither"
            )
        if named and self.smtp_tls not in {"starttls", "tls"}:
            raise ValueError(
                "SERVICE_CHECK_SMTP_PASSWORD would be sent in the clear:"
                " set SERVICE_CHECK_SMTP_TLS to starttls or tls"
            )
        try:
            tls_of(self.smtp_ca)
        except ValueError as error:
            raise ValueError(f"SERVICE_CHECK_SMTP_CA: {error}") from None
        return self

    @property
    def mail_server(self) -> MailServer:
        """How the mail server is reached."""
        return MailServer(
            self.smtp_host,
            self.smtp_port,
            self.smtp_tls,
            tls_of(self.smtp_ca),
            self.smtp_username,
            self.smtp_password.get_secret_value(),
        )
