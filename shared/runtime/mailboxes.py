"""The operator's file of role mailboxes: which address an id in a policy stands for.

mailboxes:
duty-officer: duty.officer@ship.example
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.event import Id
from shared.runtime import strict_yaml
from shared.runtime.strict_yaml import BrokenFile

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


class RoleMailboxes(BaseModel):
    """Addresses of roles by id; never the address of a person."""

    model_config = ConfigDict(frozen=True)

    mailboxes: Annotated[dict[Id, Address], Field(min_length=1, max_length=200)]


def load(path: Path) -> Mapping[str, str]:
    """Addresses by id; raises BrokenFile with everything that is wrong. Reads the file."""
    found = strict_yaml.load(path, RoleMailboxes, bytes_max=FILE_BYTES_MAX)
    if isinstance(found, RoleMailboxes):
        return found.mailboxes
    raise BrokenFile(path, found)
