"""Mailboxes wait for their servers in threads of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event

import pytest

from shared.runtime.mail.accounts import MailAccount
from shared.runtime.mail.mailbox import Mailbox

pytestmark = pytest.mark.unit

#: More than the threads that an event loop has for everything else, on any machine.
MAILBOXES = 40


async def test_mailboxes_that_wait_leave_the_threads_of_the_process_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    password = tmp_path / "password"
    password.write_text("secret")
    account = MailAccount(host="imap.invalid", username="a", password_file=password)
    answered = Event()
    monkeypatch.setattr(Mailbox, "_open", lambda _: answered.wait(30))
    mailboxes = [Mailbox(account) for _ in range(MAILBOXES)]
    waiting = [asyncio.create_task(one.open()) for one in mailboxes]
    await asyncio.sleep(0)  # each has begun to wait
    try:
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 10) == "free"
    finally:
        answered.set()
        await asyncio.gather(*waiting)
        for one in mailboxes:
            await one.close()
