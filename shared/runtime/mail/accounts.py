"""The operator's file of mail accounts, from a secret store: the mailboxes that a service reads.

accounts:
  aurora:
    host: imap.ship.example
    username: complaints@aurora.example
    password_file: /etc/service-check/mail-accounts/aurora
    folder: INBOX      # of its own: everything in it is read and moved
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from shared.contracts.catalogue import INTAKE_RETENTION
from shared.contracts.event import Id
from shared.runtime import strict_yaml
from shared.runtime.settings import tls_of

#: A hundred accounts fit several times.
FILE_BYTES_MAX = 64 * 1024
#: Each account takes a connection and a thread of the process that reads it.
ACCOUNTS_MAX = 16
PASSWORD_BYTES_MAX = 4096
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: The ports of IMAP within TLS from the first byte, and of IMAP that begins without.
TLS_PORT, PLAIN_PORT = 993, 143


class MailAccount(BaseModel):
    """One mailbox, and how it is reached."""

    model_config = ConfigDict(frozen=True)

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    #: From the first byte, by STARTTLS, or never, which only this machine's own server is spoken to by.
    tls: Literal["tls", "starttls", "none"] = "tls"
    username: Annotated[str, Field(min_length=1, max_length=255)]
    password_file: Path
    #: Of its own for us: everything in it is read and moved.
    folder: Annotated[str, Field(min_length=1, max_length=200)] = "INBOX"
    #: Authorities that sign its certificate; the system's if unset.
    ca: Path | None = None
    #: Days after which what was read is deleted from the mailbox: as long as the intake topic keeps words in clear.
    kept_days: Annotated[int, Field(ge=1, le=INTAKE_RETENTION.days)] = INTAKE_RETENTION.days

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError("tls: none would send the password in the clear")
        tls_of(self.ca)
        try:
            self.password()
        except OSError as error:
            raise ValueError(f"password_file cannot be read: {error.strerror}") from None
        return self

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (TLS_PORT if self.tls == "tls" else PLAIN_PORT)

    def password(self) -> SecretStr:
        """The password as the file has it now, without the end of its line; raises OSError. Reads the file."""
        with self.password_file.open("rb") as file:
            return SecretStr(file.read(PASSWORD_BYTES_MAX).decode(errors="replace").rstrip("\r\n"))


class MailAccounts(BaseModel):
    """Mailboxes by id, without what a service says of its own."""

    model_config = ConfigDict(frozen=True)

    accounts: Annotated[dict[Id, MailAccount], Field(max_length=ACCOUNTS_MAX)]


def load(path: Path) -> Mapping[str, MailAccount]:
    """Accounts by id; raises BrokenFile with everything that is wrong. Reads the file and those of passwords."""
    return strict_yaml.whole(path, MailAccounts, bytes_max=FILE_BYTES_MAX, secret=True).accounts
