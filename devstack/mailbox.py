"""A local mail server that keeps the letters it receives, for the demo and the tests."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.controller import Controller

from devstack.stack import free_port

#: Letters kept; none of our runs sends more.
LETTERS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Received:
    """One letter as it arrived."""

    recipient: str
    subject: str
    body: str
    message_id: str

    @property
    def fact_id(self) -> str:
        """The message's id as facts have it; a Message-ID is "<message_id@domain>"."""
        return self.message_id.strip("<>").partition("@")[0]


class Mailbox:
    """Receives letters on a free port; `refuse` makes it refuse them as a broken server would."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.letters: list[Received] = []
        self.refuse: str | None = None
        self._lock = threading.Lock()
        self.port = free_port()
        self._controller: Controller | None = None

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's interface
        """Keep a letter."""
        if self.refuse is not None:
            return self.refuse
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        plain = message.get_body(("plain",))
        assert plain is not None
        letter = Received(
            recipient=envelope.rcpt_tos[0],
            subject=str(message["Subject"]),
            body=plain.get_content(),
            message_id=str(message["Message-ID"]),
        )
        with self._lock:
            if len(self.letters) < LETTERS_MAX:
                self.letters.append(letter)
        return "250 kept"

    def to(self, recipient: str) -> list[Received]:
        """The letters to one address, in order."""
        with self._lock:
            return [letter for letter in self.letters if letter.recipient == recipient]

    def open(self) -> None:
        """Listen, after `close` on the same port again. Blocks until it answers."""
        self._controller = Controller(self, hostname=self.host, port=self.port)
        self._controller.start()

    def close(self) -> None:
        """Stop listening; received letters are kept."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> Self:
        """Listen."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self.close()
