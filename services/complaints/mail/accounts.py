"""The operator's file of mailboxes that complaints come to: mail accounts, each with its site.

accounts:
  aurora:
    site: ms-aurora
    host: imap.ship.example
    username: complaints@aurora.example
    password_file: /etc/service-check/mail-accounts/aurora
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.event import Id, SiteId
from shared.runtime import strict_yaml
from shared.runtime.mail.accounts import ACCOUNTS_MAX, FILE_BYTES_MAX, MailAccount


class ComplaintAccount(MailAccount):
    """A mailbox that complaints about one site come to."""

    site: SiteId


class ComplaintAccounts(BaseModel):
    """Mailboxes by id."""

    model_config = ConfigDict(frozen=True)

    accounts: Annotated[dict[Id, ComplaintAccount], Field(max_length=ACCOUNTS_MAX)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        """Two that read one folder would take its mails for whichever site came first."""
        read: dict[tuple[object, ...], str] = {}
        for name, one in self.accounts.items():
            first = read.setdefault((*one.place, one.username, one.folder), name)
            if first != name:
                raise ValueError(f"{first} and {name} are the same folder of one mailbox")
        return self


def load(path: Path) -> Mapping[str, ComplaintAccount]:
    """Mailboxes by id; raises BrokenFile with everything that is wrong. Reads the file and those of passwords."""
    return strict_yaml.whole(
        path, ComplaintAccounts, bytes_max=FILE_BYTES_MAX, secret=True
    ).accounts
