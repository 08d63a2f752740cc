"""The ports of the notifier: what its handlers need from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.runtime.engine.effects import Outcome


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to send: addresses, words, and the id by which a repeat is recognised."""

    message_id: str
    sender: str
    recipient: str
    subject: str
    body: str


class Mailer(Protocol):
    """Hands letters to a mail server."""

    async def send(self, letter: Letter) -> Outcome:
        """Hand one letter over, once; waits for the server, up to a timeout of its own.

        Returns Unknown if the server fell silent while the letter was being sent;
        Never(address_refused) if the address can never receive one; Later if the letter was surely not
        accepted for any other reason.
        """
        ...


class Links(Protocol):
    """Makes and reads the links customers answer and choose by."""

    def feedback(self, complaint_id: str, check_id: str, valid_until: datetime) -> str:
        """The address of a check's page, which asks "did it help?"; good for weeks after the check."""
        ...

    def offer(self, offer_id: str, expires_at: datetime) -> str:
        """The address where a customer chooses, until the offer lapses."""
        ...

    def read(self, token: str) -> tuple[str, str]:
        """Complaint and check of a link's token; raises Rejected(link_invalid)."""
        ...

    def complaint_of(self, token: str) -> str | None:
        """The complaint of a token, also of an expired one; None if the token is not ours."""
        ...
