"""What the rules of the notifier need from the world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """One message ready to go: addresses, words, and the id that tells repeats apart."""

    message_id: str
    sender: str
    recipient: str
    subject: str
    body: str


class Mailer(Protocol):
    """Hands letters to a mail server."""

    async def send(self, letter: Letter) -> bool:
        """Hand one over: True when it was accepted, False where nobody knows.

        Nobody knows where the letter was on its way and the server fell silent. May take as long as
        the server does, up to its time limit. Raises Rejected(address_refused) for an address that
        never will be one, and Unavailable for all else that was surely not accepted and may be later.
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
        """The complaint of a token, also once its time is over; None if it is not ours."""
        ...
