"""A mailbox on a real IMAP server is read: each mail once, moved after it was taken, by one reader at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import yaml

from shared.contracts.reasons import Reason
from shared.runtime.engine.crash import nowhere
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mail import accounts, mailbox, reader
from shared.runtime.mail.mailbox import Folder, RawMail
from shared.runtime.mail.reader import Fate, MailReader
from shared.testing.memory_store import MemoryStore
from tests.suites.dovecot import Dovecot, dovecot

TAKEN = Fate(Folder.TAKEN, "complaint")


@pytest.fixture(scope="module")
def served() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture
def server(served: Dovecot) -> Dovecot:
    """The server with empty folders."""
    with served.client() as client:
        for folder in ("INBOX", "INBOX.Taken", "INBOX.Refused"):
            if client.folder_exists(folder):
                client.select_folder(folder)
                if found := client.search():
                    client.delete_messages(found)
                    client.expunge()
    return served


def mail(number: int = 1, size: int = 0) -> bytes:
    head = f"From: kim@example.org\r\nMessage-ID: <{number}@example.org>\r\nSubject: Soup\r\n\r\n"
    return f"{head}Cold soup {number}.\r\n".encode() + b"x" * size


class Took:
    """What readers took, and what they are to fail with first."""

    def __init__(self) -> None:
        self.mails: list[RawMail] = []
        self.failures: list[Exception] = []

    async def __call__(self, _account: str, one: RawMail) -> Fate:
        if self.failures:
            raise self.failures.pop(0)
        self.mails.append(one)
        return TAKEN


@asynccontextmanager
async def reading(server: Dovecot, took: Took, store=None, holder="one", **more) -> AsyncIterator:
    path = server.folder / "accounts.yaml"
    path.write_text(yaml.safe_dump({"accounts": {"aurora": server.account(**more)}}))
    reads = MailReader(
        store or MemoryStore(),
        accounts.load(path),
        took,
        holder=holder,
        crash=nowhere,
        now=lambda: datetime.now(UTC),
    )
    task = asyncio.create_task(reads.run())
    try:
        yield reads
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true, what: str, timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.05)


async def test_what_lies_there_and_what_comes_later_is_taken_and_moved(server):
    took = Took()
    server.put(mail(1), mail(2))
    async with reading(server, took):
        await until(lambda: len(server.lying("INBOX.Taken")) == 2, "both")
        server.put(mail(3))
        await until(lambda: len(server.lying("INBOX.Taken")) == 3, "the later one")
    assert [one.content for one in took.mails] == [mail(1), mail(2), mail(3)]
    assert server.lying() == []


async def test_a_mail_that_a_person_has_opened_is_read_all_the_same(server):
    server.put(mail())
    with server.client() as client:
        client.select_folder("INBOX")
        client.add_flags(client.search(), [b"\\Seen"])
    took = Took()
    async with reading(server, took):
        await until(lambda: server.lying("INBOX.Taken"), "it")
    assert len(took.mails) == 1


async def test_of_a_large_mail_the_beginning_is_read(server, monkeypatch):
    monkeypatch.setattr(mailbox, "MAIL_BYTES_MAX", 10_000)
    server.put(mail(1, size=50_000))
    took = Took()
    async with reading(server, took):
        await until(lambda: server.lying("INBOX.Taken"), "it")
    assert [(len(one.content), one.whole) for one in took.mails] == [(10_000, False)]


async def test_a_mail_that_cannot_be_taken_stays_and_holds_nobody_up(server, monkeypatch):
    took = Took()
    took.failures = [ValueError(), Rejected(Reason.UNKNOWN_SITE)]
    server.put(mail(1), mail(2), mail(3))
    async with reading(server, took) as reads:
        await until(lambda: len(server.lying("INBOX.Taken")) == 1, "the third")
        assert server.lying() == [mail(1), mail(2)]
        monkeypatch.setattr(reader, "LISTEN_ALL_S", 0.1)
        reads._alone.clear()
        server.put(mail(4))
        await until(lambda: len(server.lying("INBOX.Taken")) == 4, "all")


async def test_a_server_and_a_store_that_are_away_are_waited_for(server, monkeypatch):
    monkeypatch.setattr(reader, "PAUSE_S", 0.1)
    took = Took()
    took.failures = [Unavailable(Reason.STORE_UNAVAILABLE)]
    server.stop()
    try:
        async with reading(server, took):
            await asyncio.to_thread(server.start)
            server.put(mail())
            await until(lambda: server.lying("INBOX.Taken"), "it")
    finally:
        if server.process is None:
            server.start()
    assert len(took.mails) == 1


async def test_a_mail_that_waits_for_something_holds_no_other_up(server):
    took = Took()
    took.failures = [Unavailable(Reason.KEY_NOT_YET_KNOWN)]
    server.put(mail(1), mail(2))
    async with reading(server, took):
        await until(lambda: server.lying("INBOX.Taken") == [mail(2)], "the second")
        server.put(mail(3))
        await until(lambda: len(server.lying("INBOX.Taken")) == 3, "all")
    assert sorted(one.content for one in took.mails) == [mail(1), mail(2), mail(3)]


async def test_tls_may_begin_after_the_connection(server):
    took = Took()
    server.put(mail())
    async with reading(server, took, tls="starttls", port=server.plain_port):
        await until(lambda: server.lying("INBOX.Taken"), "it")


async def test_a_server_that_can_do_little_is_looked_at_and_mails_are_copied_and_deleted(
    monkeypatch,
):
    monkeypatch.setattr(reader, "LOOK_S", 0.1)
    took = Took()
    with dovecot("IMAP4rev1 SASL-IR AUTH=PLAIN") as poor:
        poor.put(mail(1))
        async with reading(poor, took):
            await until(lambda: poor.lying("INBOX.Taken") == [mail(1)], "it")
            poor.put(mail(2))
            await until(lambda: len(poor.lying("INBOX.Taken")) == 2, "the later one")
        assert poor.lying() == []
    assert [one.content for one in took.mails] == [mail(1), mail(2)]


async def test_one_reader_at_a_time_and_the_next_goes_on_when_it_stops(server, monkeypatch):
    monkeypatch.setattr(reader, "PAUSE_S", 0.1)
    store, first, second = MemoryStore(), Took(), Took()
    async with reading(server, first, store):
        server.put(mail(1))
        await until(lambda: server.lying("INBOX.Taken"), "the first")
        async with reading(server, second, store, "two"):
            server.put(mail(2))
            await until(lambda: len(server.lying("INBOX.Taken")) == 2, "the second")
            assert (len(first.mails), second.mails) == (2, [])
    async with reading(server, second, store, "two"):
        server.put(mail(3))
        await until(lambda: len(server.lying("INBOX.Taken")) == 3, "the third")
    assert [one.content for one in second.mails] == [mail(3)]


async def test_what_was_read_long_ago_is_deleted_and_nothing_else(server):
    old = datetime.now(UTC) - timedelta(days=9)
    async with reading(server, Took()):
        server.put(mail(0))
        await until(lambda: server.lying("INBOX.Taken"), "its folders")
    with server.client() as client:
        client.append("INBOX.Taken", mail(1), msg_time=old)
        client.append("INBOX.Refused", mail(2), msg_time=old)
        client.append("INBOX", mail(3), msg_time=old)
    async with reading(server, Took()):
        await until(lambda: server.lying("INBOX.Taken") == [mail(0), mail(3)], "the rest")
    assert server.lying("INBOX.Refused") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls": "none", "host": "imap.example.org"},
        {"password_file": "/nowhere"},
        {"kept_days": 30},
        {"port": 0},
        {"nonsense": 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_account_is_refused_and_its_password_is_not_shown(server, tmp_path, wrong):
    path = tmp_path / "accounts.yaml"
    path.write_text(yaml.safe_dump({"accounts": {"aurora": server.account(**wrong)}}))
    with pytest.raises(accounts.strict_yaml.BrokenFile) as broken:
        accounts.load(path)
    assert "password with" not in str(broken.value)


async def test_a_certificate_of_a_stranger_is_not_trusted(server):
    took = Took()
    server.put(mail())
    with structlog.testing.capture_logs() as said:
        async with reading(server, took, ca=None):
            await until(lambda: bool(said), "the refusal")
    assert {one["error"] for one in said} == {"SSLCertVerificationError"}
    assert took.mails == []
