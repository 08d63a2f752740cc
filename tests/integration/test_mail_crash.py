"""INV-04: complaints by mail through kill -9 at each step: no mail is lost and none becomes two complaints."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml

from shared.contracts.complaints import ComplaintReceived
from tests.suites.dovecot import Dovecot, dovecot
from tests.system.world import SITE, World, until, world

#: Where the service dies, one after the other: a mail is fetched, what it becomes is committed, it is marked.
POINTS = ("fetched:2", "committed:2", "seen:2", "published:1")
MAILS = 12


@pytest.fixture(scope="module")
def served() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture(scope="module")
def running(served, tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("mail")) as everything:
        yield everything


def mail(number: int) -> bytes:
    return (
        f"From: guest-{number}@example.org\r\nMessage-ID: <{number}@example.org>\r\n"
        f"Subject: Dinner\r\n\r\nCold soup at table {number}.\r\n"
    ).encode()


def test_every_mail_becomes_one_complaint_whenever_the_process_dies(running, served):
    accounts = served.folder / "accounts.yaml"
    accounts.write_text(yaml.safe_dump({"accounts": {"aurora": served.account(site=SITE)}}))
    served.put(*map(mail, range(MAILS)))
    for point in (*POINTS, ""):
        # A pod keeps its name when it comes back, and with it its leases.
        service = running.start(
            "complaints", mail_accounts=str(accounts), crash_at=point, holder="complaints-0"
        )
        if point:
            status = service.process.wait(timeout=120)
            assert status == -signal.SIGKILL, (point, service.log.read_text())
    until(lambda: len(served.lying("INBOX.Taken")) == MAILS, "every mail taken")
    running.settle_down("complaints")
    assert served.lying() == []
    # A line that was published when the process died is published again, under the same id.
    events = {one.event["id"]: one.event for one in running.read(ComplaintReceived.TOPIC)}
    received = Counter(
        event["data"]["complaint_id"]
        for event in events.values()
        if event["type"] == ComplaintReceived.TYPE
    )
    assert len(received) == MAILS
    assert set(received.values()) == {1}
    assert service.stop() == 0
