"""The operator's file of role mailboxes: which addresses an id in a policy stands for.

mailboxes:
  duty-officer: duty.officer@ship.example
  bridge: {email: bridge@ship.example, phone: "+4712345678"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.event import Id
from shared.contracts.intake import E164, MessageChannel
from shared.runtime import strict_yaml

#: Two hundred addresses fit several times.
FILE_BYTES_MAX = 64 * 1024
#: Addresses that every mail server accepts: dot-atoms, and a domain in ASCII.
Address = Annotated[
    str,
    StringConstraints(
        max_length=254,
        pattern=r"^[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
    ),
]


Phone = Annotated[str, StringConstraints(pattern=rf"^{E164.pattern}$")]


class RoleMailbox(BaseModel):
    """The addresses of a role; at least one."""

    model_config = ConfigDict(frozen=True)

    email: Address | None = None
    phone: Phone | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: object) -> object:
        """A text is a mail address, as in files of before."""
        return {"email": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _reached(self) -> Self:
        if not self.channels:
            raise ValueError("has neither email nor phone")
        return self

    @property
    def channels(self) -> Sequence[MessageChannel]:
        """The channels that it has an address on, first choice first."""
        return [channel for channel in MessageChannel if self.address(channel) is not None]

    def address(self, channel: MessageChannel) -> str | None:
        """Its address on a channel; None where there is none."""
        return self.email if channel is MessageChannel.EMAIL else self.phone


class RoleMailboxes(BaseModel):
    """Addresses of roles by id; never the address of a person."""

    model_config = ConfigDict(frozen=True)

    mailboxes: Annotated[dict[Id, RoleMailbox], Field(min_length=1, max_length=200)]


def load(path: Path) -> Mapping[str, RoleMailbox]:
    """Addresses by id; raises BrokenFile with everything that is wrong. Reads the file."""
    return strict_yaml.whole(path, RoleMailboxes, bytes_max=FILE_BYTES_MAX).mailboxes
