"""What a channel takes, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shared.contracts.intake import MessageChannel
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Outcome

#: The provider of e-mail: the mail server of the settings.
MAIL_SERVER = "smtp"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to send: addresses, words, and the id by which a repeat is recognised.

    E-mail has subject, body and `html`, with the PNG `pictures` that it shows by content id; a text message has `short`
    and `link`.
    """

    message_id: str
    sender: str
    recipient: str
    subject: str
    body: str
    html: str | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    sender_name: str | None = None
    short: str = ""
    link: str = ""
    segments_max: int = 1
    #: Where a mail program ends letters like this one with one click (RFC 8058); empty for a letter that must come.
    unsubscribe: str = ""
    #: Where answers go; empty where none is read.
    reply_to: str = ""
    #: Whether a mail program is to show that it must be read at once (RFC 4021).
    urgent: bool = False
    channel: MessageChannel = MessageChannel.EMAIL
    #: The messages of a digest by their ids, each with why it is left out; None if it is in.
    holds: Mapping[str, Reason | None] = field(default_factory=dict)
    #: The provider that it is handed to, by its id.
    provider: str = MAIL_SERVER


class Channel(Protocol):
    """One provider of a channel."""

    #: The provider's id, as policies name it.
    name: str
    channel: MessageChannel

    async def send(self, letter: Letter) -> Outcome:
        """Hand one letter over, once; waits for the provider, up to a timeout of its own.

        Returns Unknown if the provider fell silent while the letter was being sent;
        Never(address_refused) if the address can never receive one; Later if the letter was surely not
        accepted for any other reason, with the time that the provider asked to be left alone for.
        The provider gets `message_id` as the id by which it recognises a repeat.
        """
        ...

    async def close(self) -> None:
        """End what is open towards the provider, when the service stops and no letter goes any more; bounded in time."""
        ...
