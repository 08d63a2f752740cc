"""Reads mailboxes, each by one process at a time: fetch, take, mark, move.

A mail is moved after what it became is committed. One that is read again after a crash is recognised by whoever
takes it, so that a lease that ran out harms nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from shared.runtime.engine.store import Leases
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mail.accounts import MailAccount
from shared.runtime.mail.mailbox import MAIL_ERRORS, Folder, Mailbox, RawMail
from shared.runtime.observe import MAIL_LOOKS, MAILS, log, raised_at

#: Longer than one mail takes, short enough that another process goes on soon.
LEASE_MS = 60_000
#: Mails taken before the lease is prolonged.
TURN_MAX = 10
#: How long one wait for changes lasts, after which a stop is noticed; and all of them together, after which
#: the folder is looked at anyway, because some servers forget to tell.
LISTEN_S, LISTEN_ALL_S = 3.0, 300.0
#: How often to look where the server cannot tell of changes.
LOOK_S = 30.0
#: Pauses after a server that failed: doubled each time.
PAUSE_S, PAUSE_MAX_S = 2.0, 300.0
#: How long a mail that could not be taken is left alone, and how many are remembered.
LEFT_ALONE_S = 300.0
LEFT_ALONE_MAX = 1000
#: How often what was read long ago is deleted.
DELETE_EVERY_S = 3600.0


class Fate(NamedTuple):
    """Where a mail goes, and what became of it in one word, for the metric."""

    folder: Folder
    word: str


#: Takes one mail of an account: commits what it becomes. Raises Rejected and Unavailable to leave it where it is.
Take = Callable[[str, RawMail], Awaitable[Fate]]


class MailReader:
    """Reads the mailboxes of one service."""

    def __init__(
        self,
        store: Leases,
        accounts: Mapping[str, MailAccount],
        take: Take,
        *,
        holder: str,
        crash: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._take = take
        self._holder = holder
        self._crash = crash
        self._now = now
        #: By account and UID: until when a mail that could not be taken is left alone.
        self._alone: dict[tuple[str, int], float] = {}

    async def run(self) -> None:
        """Read until cancelled; waits through every outage of servers and store."""
        async with asyncio.TaskGroup() as group:
            for name, account in self._accounts.items():
                MAIL_LOOKS.labels(name)  # 0 from now on, so that one that never succeeds is seen
                group.create_task(self._keep(name, account), name=f"mail {name}")

    async def _keep(self, name: str, account: MailAccount) -> None:
        """Read one mailbox whenever it is ours."""
        pause_s = PAUSE_S
        while True:
            mailbox = Mailbox(account)
            try:
                if await self._ours(name):
                    await mailbox.open()
                    pause_s = PAUSE_S
                    await self._read(name, mailbox)
            except Unavailable as unavailable:
                log.warning("mailbox_waits", account=name, reason=unavailable.reason.value)
            except MAIL_ERRORS as error:
                log.warning("mailbox_waits", account=name, error=type(error).__name__)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)
            except Exception as error:  # noqa: BLE001 - loud; what a mail server says ends no service
                log.error(
                    "mailbox_failed", account=name, error=type(error).__name__, at=raised_at(error)
                )
                pause_s = PAUSE_MAX_S
            finally:
                await mailbox.close()
                with suppress(Unavailable):
                    await self._store.release(f"mail/{name}", self._holder)
            await asyncio.sleep(pause_s)

    async def _ours(self, name: str) -> bool:
        return await self._store.lease(f"mail/{name}", self._holder, LEASE_MS)

    async def _read(self, name: str, mailbox: Mailbox) -> None:
        """Read an open mailbox until another process does; raises Unavailable and `MAIL_ERRORS`."""
        deleted_at = -DELETE_EVERY_S
        while await self._ours(name):
            if time.monotonic() - deleted_at >= DELETE_EVERY_S:
                await mailbox.delete_old(self._now().date())
                deleted_at = time.monotonic()
            waiting = [uid for uid in await mailbox.waiting() if self._is_free(name, uid)]
            for uid in waiting[:TURN_MAX]:
                await self._one(name, mailbox, uid)
            MAIL_LOOKS.labels(name).inc()
            if len(waiting) <= TURN_MAX:
                await self._wait(name, mailbox)

    async def _wait(self, name: str, mailbox: Mailbox) -> None:
        """Wait until the folder changes, a mail that was left alone is to be tried again, or long enough."""
        now = time.monotonic()
        again = [due for (account, _), due in self._alone.items() if account == name and due > now]
        until = min([now + LISTEN_ALL_S, *again])
        while time.monotonic() < until and await self._ours(name):
            changed = await mailbox.changed(LISTEN_S)
            if changed is None:
                await asyncio.sleep(LOOK_S)
                return
            if changed:
                break
        await mailbox.listened()

    async def _one(self, name: str, mailbox: Mailbox, uid: int) -> None:
        """Take one mail and move it, or leave it alone for a while."""
        mail = await mailbox.fetch(uid)
        if mail is None:
            return
        self._crash("fetched")
        try:
            fate = await self._take(name, mail)
        except Rejected as rejected:
            log.error("mail_left", account=name, reason=rejected.reason.value)
            MAILS.labels(name, "left").inc()
            self._leave_alone(name, uid, LEFT_ALONE_S)
            return
        except Unavailable as unavailable:
            # A part of what it is about has not come, as a rule; of a store that is away the lease tells next.
            log.warning("mailbox_waits", account=name, reason=unavailable.reason.value)
            self._leave_alone(name, uid, unavailable.retry_after_s)
            return
        except MAIL_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - loud, and one mail must not stop the others
            log.error(
                "mailbox_failed", account=name, error=type(error).__name__, at=raised_at(error)
            )
            MAILS.labels(name, "left").inc()
            self._leave_alone(name, uid, LEFT_ALONE_S)
            return
        await mailbox.mark_seen(uid)
        self._crash("seen")
        await mailbox.move(uid, fate.folder)
        MAILS.labels(name, fate.word).inc()

    def _is_free(self, name: str, uid: int) -> bool:
        return self._alone.get((name, uid), 0.0) <= time.monotonic()

    def _leave_alone(self, name: str, uid: int, pause_s: float) -> None:
        """Remember not to take a mail for a while; of too many the one that was remembered first is tried sooner."""
        self._alone.pop((name, uid), None)
        self._alone[name, uid] = time.monotonic() + pause_s
        if len(self._alone) > LEFT_ALONE_MAX:
            del self._alone[next(iter(self._alone))]
