"""One mailbox over IMAP, spoken to in a thread: the library waits for the server."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError

from shared.runtime.mail.accounts import MailAccount
from shared.runtime.settings import tls_of

#: What is read of one mail. Words come first in a mail; what is cut off are pictures, which nobody keeps.
MAIL_BYTES_MAX = 4 * 1024 * 1024
#: Waiting for a connection, and for each answer of the server.
CONNECT_S, ANSWER_S = 10.0, 30.0
#: What goes wrong outside: the server refuses, falls silent or is away. An SSLError is an OSError.
MAIL_ERRORS = (IMAPClientError, OSError)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Folder(StrEnum):
    """Where a mail lies after it was read, below the folder that is read."""

    #: What became something of ours.
    TAKEN = "Taken"
    #: What did not, for a person to look at.
    REFUSED = "Refused"


class RawMail(NamedTuple):
    """A mail as it lies in the mailbox; `whole` is false where its end was not read."""

    content: bytes
    whole: bool = True


class Mailbox:
    """A connection to the folder of one account. Every method waits for the server and raises `MAIL_ERRORS`."""

    def __init__(self, account: MailAccount) -> None:
        self._account = account
        self._client: IMAPClient | None = None
        self._folders: dict[Folder, str] = {}
        self._idling = False
        self._closed = False
        # Of its own: all mailboxes that wait would take every thread that the process looks names up in.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mailbox")

    async def open(self) -> None:
        """Connect, log in, make the folders for what was read where they are missing, and select the folder."""
        await self._apart(self._open)

    def _open(self) -> None:
        account = self._account
        host, port = account.place
        client = self._client = IMAPClient(
            host,
            port,
            ssl=account.tls == "tls",
            ssl_context=tls_of(account.ca) if account.tls != "none" else None,
            timeout=SocketTimeout(CONNECT_S, ANSWER_S),
        )
        if self._closed:
            client.shutdown()
            return
        if account.tls == "starttls":
            client.starttls(tls_of(account.ca))
        _log_in(client, account.username, account.password().get_secret_value())
        found = client.list_folders("", account.folder)
        separator = (found[0][1] or b"/").decode("ascii", "replace") if found else "/"
        for folder in Folder:
            name = self._folders[folder] = f"{account.folder}{separator}{folder}"
            if not client.folder_exists(name):
                client.create_folder(name)
        client.select_folder(account.folder)

    async def waiting(self) -> Sequence[int]:
        """The mails in the folder by their UIDs, the oldest first, also those that a person has opened."""
        return sorted(await self._ask(lambda client: client.search("UNDELETED")))

    async def fetch(self, uid: int) -> RawMail | None:
        """A mail, or its beginning; None if it is not there any more. Changes nothing in the mailbox."""
        part = f"BODY.PEEK[]<0.{MAIL_BYTES_MAX}>"
        found = await self._ask(lambda client: client.fetch([uid], ["RFC822.SIZE", part]))
        if uid not in found:
            return None
        content = found[uid].get(b"BODY[]<0>") or b""
        return RawMail(content, whole=found[uid].get(b"RFC822.SIZE", 0) <= len(content))

    async def mark_seen(self, uid: int) -> None:
        """Mark a mail as seen; nothing if it is not there."""
        await self._ask(lambda client: client.add_flags([uid], [b"\\Seen"], silent=True))

    async def move(self, uid: int, folder: Folder) -> None:
        """Move a mail; nothing if it is not there.

        A server without MOVE copies and deletes, which may leave a mail in both places; that it is read again changes
        nothing.
        """

        def moved(client: IMAPClient) -> None:
            if client.has_capability("MOVE"):
                client.move([uid], self._folders[folder])
                return
            client.copy([uid], self._folders[folder])
            _delete(client, [uid])

        await self._ask(moved)

    async def delete_old(self, today: date) -> None:
        """Delete what was read and lies in its folder longer than the account keeps it."""
        before = today - timedelta(days=self._account.kept_days)

        def deleted(client: IMAPClient) -> None:
            try:
                for folder in Folder:
                    client.select_folder(self._folders[folder])
                    if old := client.search(["BEFORE", before]):
                        _delete(client, old)
            finally:
                client.select_folder(self._account.folder)

        await self._ask(deleted)

    async def changed(self, wait_s: float) -> bool | None:
        """Wait for a change in the folder (IDLE); None at once where the server cannot tell of any.

        `listened` comes before anything else is asked for.
        """

        def told(client: IMAPClient) -> bool | None:
            if not client.has_capability("IDLE"):
                return None
            if not self._idling:
                client.idle()
                self._idling = True
            began = time.monotonic()
            # What ends the wait without an answer may be the end of the connection.
            return bool(client.idle_check(wait_s)) or time.monotonic() - began < wait_s / 2

        return await self._ask(told)

    async def listened(self) -> None:
        """End the wait for changes."""
        if self._idling:
            self._idling = False
            await self._ask(lambda client: client.idle_done())

    async def _ask(self, asked: Callable[[IMAPClient], T]) -> T:
        assert self._client is not None, "it is opened first"
        return await self._apart(asked, self._client)

    async def _apart(self, does: Callable[[*Ts], T], *given: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, does, *given)

    async def close(self) -> None:
        """Let go of the connection, also while a thread waits for an answer."""
        self._closed = True
        self._thread.shutdown(wait=False)
        client = self._client
        if client is None:
            return
        # The thread that waits holds what is closed then; this ends its wait.
        with suppress(*MAIL_ERRORS):
            client.socket().shutdown(socket.SHUT_RDWR)
        with suppress(*MAIL_ERRORS, ValueError):
            await asyncio.to_thread(client.shutdown)


def _log_in(client: IMAPClient, username: str, password: str) -> None:
    """Log in by SASL PLAIN, which takes every character, where the server has it."""
    if client.has_capability("AUTH=PLAIN"):
        client.plain_login(username, password)
        return
    try:
        client.login(username, password)
    except UnicodeEncodeError:
        raise IMAPClientError("the server takes passwords in ASCII alone") from None


def _delete(client: Any, uids: Sequence[int]) -> None:
    """Delete these mails and, where the server can tell them apart (UIDPLUS), no other that is marked."""
    client.delete_messages(uids, silent=True)
    client.expunge(uids if client.has_capability("UIDPLUS") else None)
