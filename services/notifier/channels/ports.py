"""What a channel takes, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass
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
