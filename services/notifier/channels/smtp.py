"""Mail by SMTP."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from datetime import datetime

import aiosmtplib
from aiosmtplib import SMTPStatus
from aiosmtplib.protocol import normalize_message_line_endings

from services.notifier.channels.mime import written
from services.notifier.channels.ports import MAIL_SERVER, Letter
from shared.contracts.intake import MessageChannel
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.observe import log
from shared.runtime.wires import MailServer

#: Timeout for a mail server to accept a letter; a slower server is overloaded and tried later. Less than
#: `ATTEMPT_LASTS`, after which another process may try.
SMTP_TIMEOUT_S = 20
#: How long a conversation waits for one more letter. To connect, and by TLS and with a login the more so, takes longer
#: than a letter; servers wait for minutes (RFC 5321, 4.5.3.2.7).
KEPT_S = 2.0
#: Letters of one conversation: many servers take a hundred.
LETTERS_EACH_MAX = 50
#: How long a stop waits for servers to say goodbye. They do at once, as a rule, and a stop is short.
GOODBYE_S = 1.0
#: Timeout to look up this machine's own name, once, before a letter's own time begins.
NAME_TIMEOUT_S = 5
#: First digit of a permanent SMTP reply (RFC 5321, 4.2.1).
PERMANENT = 500
#: Replies to any command that authentication is missing or wrong (RFC 4954, 6).
AUTHENTICATION = range(530, 540)
#: Replies to a recipient that are not about the address: commands out of order, storage that is full
#: (RFC 5321, 4.2.3).
NOT_THE_ADDRESS = frozenset({503, 552})
#: Detail codes of the same: the sender's address, a full mailbox, policy (RFC 3463, 3.2, 3.3 and 3.8).
DETAILS_NOT_THE_ADDRESS = ("5.1.7", "5.1.8", "5.2.2", "5.7.")
#: Detail codes that are about the recipient's address, whatever the words are.
ADDRESS = "5.1."
#: Words of servers that refuse us, most of them without a detail code that says so.
_REFUSES_US = re.compile(
    r"\b(policy|policies|block(ed|ing|list\w*)|black ?list\w*|spam\w*|rbl|dnsbl|reputation|relay\w*)\b",
    re.IGNORECASE,
)
#: The longest address that fits into a path with its brackets (RFC 5321, 4.5.3.1.3).
ADDRESS_CHARS_MAX = 254
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
#: A plain address (addr-spec of dot-atoms, RFC 5322, 3.4.1). "=?" is excluded because it begins an
#: encoded word, which mail programs would decode to another address.
_ADDRESS = re.compile(rf"(?!.*=\?){_ATOMS}@{_ATOMS}")

#: A line that begins with a dot has one more on its way (RFC 5321, 4.5.2).
_DOT = re.compile(rb"^\.", re.MULTILINE)


class Conversation(aiosmtplib.SMTP):
    """An SMTP conversation that remembers whether the letter was accepted: `taken` is None if unknown."""

    taken: bool | None = False
    #: Letters that it was given.
    letters: int = 0

    @property
    def was_ended(self) -> bool:
        """Whether the server ended it between letters: it takes fewer of each than we give it, and has nothing of this one."""
        return self.letters > 1 and self.taken is False and not self.is_connected

    async def give(self, letter: Letter, sender: str, recipient: str, now: datetime) -> None:
        """Give it a letter, in eight bits if it takes them; raises what aiosmtplib does. Waits for the server."""
        self.taken, self.letters = False, self.letters + 1
        if not self.is_connected:
            await self.connect()
        await self._ehlo_or_helo_if_needed()
        eight_bit = self.supports_extension("8BITMIME")
        raw = written(letter, sender, recipient, now, eight_bit=eight_bit)
        await self.mail(sender, options=["BODY=8BITMIME"] if eight_bit else [])
        await self.rcpt(recipient)
        await self._hand_over(raw)

    async def _hand_over(self, raw: bytes) -> None:
        """Send the letter itself; its fate is open once it was written and until the server has answered.

        Before, the server surely has nothing. Any answer of 2xx is a yes.
        """
        ready = await self.execute_command(b"DATA")
        if ready.code != SMTPStatus.start_input:
            raise aiosmtplib.SMTPDataError(ready.code, ready.message)
        protocol = self.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(_DOT.sub(b"..", normalize_message_line_endings(raw)) + b".\r\n")
        self.taken = None
        answer = await protocol.read_response()
        self.taken = 200 <= answer.code < 300
        if not self.taken:
            raise aiosmtplib.SMTPDataError(answer.code, answer.message)

    async def leave(self) -> None:
        """Say goodbye; waits for the server's, up to `SMTP_TIMEOUT_S`."""
        try:
            async with asyncio.timeout(SMTP_TIMEOUT_S):
                await self.quit()
        except (aiosmtplib.SMTPException, OSError):
            pass  # it has every letter that it took
        finally:
            self.close()


class SmtpChannel:
    """`Channel` over SMTP. A conversation in which a letter was taken waits for the next one for a while."""

    name = MAIL_SERVER
    channel = MessageChannel.EMAIL

    def __init__(self, server: MailServer, now: Callable[[], datetime]) -> None:
        self._server = server
        self._now = now
        #: Finds the name of this machine, for all letters; None until the first one.
        self._hostname: asyncio.Task[str] | None = None
        #: Conversations that wait for a letter, and what ends each: at most as many as letters went at once. The next
        #: letter gets the one that waits last.
        self._kept: dict[Conversation, asyncio.TimerHandle] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(self, letter: Letter) -> Outcome:
        """See Channel."""
        try:
            recipient = spoken(letter.recipient)
        except ValueError:
            return Never(Reason.ADDRESS_REFUSED)
        try:
            sender = spoken(letter.sender)
        except ValueError:
            return Later(Reason.MAIL_UNAVAILABLE)
        talk = await self._talk()
        try:
            async with asyncio.timeout(SMTP_TIMEOUT_S):
                try:
                    await talk.give(letter, sender, recipient, self._now())
                except aiosmtplib.SMTPException:
                    if not talk.was_ended:
                        raise
                    talk = await self._begun()
                    await talk.give(letter, sender, recipient, self._now())
        except aiosmtplib.SMTPRecipientRefused as error:
            if no_such_mailbox(error):
                return Never(Reason.ADDRESS_REFUSED)
            return Later(Reason.MAIL_UNAVAILABLE, said=said_by(error))
        # Any other refusal is about us or the letter: an operator must mend it, and the customer's
        # address is still good.
        except (aiosmtplib.SMTPException, OSError) as error:
            log.warning("mail_waits", error=type(error).__name__)
            if isinstance(error, OSError):
                talk.close()  # what it hears next may be the answer to something before
            if talk.taken is False:
                return Later(Reason.MAIL_UNAVAILABLE, said=said_by(error))
            if talk.taken is None:
                return Unknown(said=said_by(error))
        finally:
            self._keep(talk)
        return Delivered()

    async def close(self) -> None:
        """See Channel: say goodbye in every conversation; waits for the servers', up to `GOODBYE_S`."""
        while self._kept:
            talk, ends = self._kept.popitem()
            ends.cancel()
            self._end(talk)
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=GOODBYE_S)
            for leaving in late:
                leaving.cancel()

    async def _talk(self) -> Conversation:
        """A conversation that waits for a letter, or a new one."""
        while self._kept:
            talk, ends = self._kept.popitem()
            ends.cancel()
            if talk.is_connected:  # else the server has hung up
                return talk
        return await self._begun()

    async def _begun(self) -> Conversation:
        """A new conversation."""
        if self._hostname is None:
            self._hostname = asyncio.create_task(own_name())
        # Shared by all letters: one that ends does not end it for the others.
        name = await asyncio.shield(self._hostname)
        # Without a timeout for each answer, because a letter has one and the goodbye another.
        return Conversation(**self._server.client(), local_hostname=name, timeout=None)

    def _keep(self, talk: Conversation) -> None:
        """Let a conversation wait for the next letter, unless it ended badly or had its share of letters."""
        if talk.taken and talk.is_connected and talk.letters < LETTERS_EACH_MAX:
            loop = asyncio.get_running_loop()
            self._kept[talk] = loop.call_later(KEPT_S, self._waited, talk)
        else:
            self._end(talk)

    def _waited(self, talk: Conversation) -> None:
        del self._kept[talk]
        self._end(talk)

    def _end(self, talk: Conversation) -> None:
        """Say goodbye, for which no letter waits."""
        if talk.is_connected:
            leaving = asyncio.create_task(talk.leave())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


def said_by(error: Exception) -> str:
    """What went wrong, for the log: the status that the server answered, or the error's class."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"SMTP {error.code}"
    return type(error).__name__


async def own_name() -> str:
    """This machine's full name; its short one if the name server is slow."""
    try:
        async with asyncio.timeout(NAME_TIMEOUT_S):
            return await asyncio.to_thread(socket.getfqdn)
    except TimeoutError:
        return socket.gethostname()


def spoken(address: str) -> str:
    """An address in ASCII, its domain by IDNA; raises ValueError if it is not an address."""
    if len(address) > ADDRESS_CHARS_MAX:  # checked first, because IDNA is slow for long domains
        raise ValueError
    local, at, domain = address.rpartition("@")
    plain = f"{local}{at}{domain.encode('idna').decode()}"
    if len(plain) > ADDRESS_CHARS_MAX or not _ADDRESS.fullmatch(plain):
        raise ValueError
    return plain


def no_such_mailbox(refused: aiosmtplib.SMTPRecipientRefused) -> bool:
    """Whether a refusal is permanent and about the address, not about us as the sender or a mailbox that is full."""
    code, said = refused.code, refused.message
    if code < PERMANENT or code in AUTHENTICATION or code in NOT_THE_ADDRESS:
        return False
    if said.startswith(DETAILS_NOT_THE_ADDRESS):
        return False
    return said.startswith(ADDRESS) or _REFUSES_US.search(said) is None
