"""Returned mail is read by the standard library alone, and only of what was really ours."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels.bounces import bounce_of
from services.notifier.channels.wires import Report
from services.notifier.messages.rules import Status
from shared.contracts.intake import Contact
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.mail.mailbox import Folder, RawMail
from shared.runtime.mail.reader import Fate
from tests.suites.receipts import by_standard
from tests.suites.services import Aboard
from tests.unit.test_notifications import again
from tests.unit.test_receipts import KARI, both, ids, policy_of, told

__all__ = ["both"]  # a fixture

ID = "me-" + "4a" * 16


def returned(
    *,
    message_id: str = ID,
    action: str = "failed",
    status: str = "5.1.1",
    headers_alone: bool = False,
) -> bytes:
    """A report as mail servers make it (RFC 3464), with the letter or its headers."""
    ours = f"Message-ID: <{message_id}@aurora.example>\nSubject: hello\n"
    letter = (
        f"text/rfc822-headers\n\n{ours}" if headers_alone else f"message/rfc822\n\n{ours}\nHei\n"
    )
    return f"""From: MAILER-DAEMON@mail.example
Message-ID: <report-1@mail.example>
Content-Type: multipart/report; report-type=delivery-status; boundary="edge"

--edge
Content-Type: text/plain

Your letter could not be delivered.

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example

Final-Recipient: rfc822; kari@example.org
Action: {action}
Status: {status}

--edge
Content-Type: {letter}
--edge--
""".encode()


@pytest.mark.parametrize("headers_alone", [True, False])
@pytest.mark.parametrize(
    ("action", "status", "is_delivered"),
    [
        ("failed", "5.1.1", False),
        ("Failed", "5.2.1 (mailbox disabled)", False),
        ("failed", "4.4.7", None),
        ("delayed", "4.4.1", None),
        ("relayed", "2.0.0", None),
        ("delivered", "2.1.5", True),
    ],
)
def test_a_report_says_what_became_of_our_letter(action, status, is_delivered, headers_alone):
    raw = returned(action=action, status=status, headers_alone=headers_alone)
    assert bounce_of(raw) == Report(ID, is_delivered)


def an_answer() -> bytes:
    """Somebody is away, and their mail program says so."""
    mail = EmailMessage()
    mail["Auto-Submitted"] = "auto-replied"
    mail["In-Reply-To"] = f"<{ID}@aurora.example>"
    mail.set_content("I am away.")
    return mail.as_bytes()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\x00",
        an_answer(),
        returned(message_id="somebody-elses"),
        returned(message_id="me-1"),
        returned().replace(b"Action: ", b"Inaction: "),
    ],
)
def test_what_reports_nothing_of_ours_is_refused(raw):
    with pytest.raises(Rejected, match=Reason.SCHEMA_INVALID.value):
        bounce_of(raw)


@given(st.binary(max_size=2000))
def test_whatever_comes_is_read_or_refused(raw):
    try:
        bounce_of(raw)
    except Rejected:
        return


@pytest.mark.parametrize(
    "parameter",
    ["boundary*0*=x; boundary*1=y; boundary*=z", "boundary*=\0'b'c", "boundary*=idna'b'%ff..c"],
)
def test_a_boundary_that_nobody_can_decode_reports_nothing(parameter: str):
    with pytest.raises(Rejected, match=Reason.SCHEMA_INVALID.value):
        bounce_of(returned().replace(b'boundary="edge"', parameter.encode()))


@pytest.mark.parametrize("field", ["From", "To", "Final-Recipient"])
@pytest.mark.parametrize("deep", ["(" * 2000, "a:" * 2000])
def test_a_report_is_read_whatever_its_addresses_are(field: str, deep: str):
    assert bounce_of(f"{field}: {deep}\n".encode() + returned()) == Report(ID, delivered=False)


def nested(how: str, depth: int) -> bytes:
    """A mail in a mail, or a multipart in a multipart, so many deep."""
    if how == "mails":
        return b"Content-Type: message/rfc822\n\n" * depth
    parts = (f'Content-Type: multipart/{how}; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return "".join(parts).encode()


@pytest.mark.parametrize("how", ["mails", "mixed", "digest"])
@pytest.mark.parametrize("depth", [50, 5000])
def test_a_returned_mail_that_is_nested_deeply_is_refused_and_what_stands_before_is_read(
    how: str, depth: int
):
    with pytest.raises(Rejected, match=Reason.SCHEMA_INVALID.value):
        bounce_of(nested(how, depth))
    report = returned().removesuffix(b"--edge--\n")
    assert bounce_of(report + b"--edge\n" + nested(how, depth)) == Report(ID, delivered=False)


async def test_a_relay_that_posts_a_mail_nested_deeply_is_refused(both):
    answer = await by_standard(both, "returns", nested("mails", 5000))
    assert answer.status_code == 422


async def test_a_returned_letter_goes_on_by_the_next_channel(both):
    """Case 39 of the faults: a mailbox that is missing, as the server says only afterwards."""
    await both.raise_complaint(contact=KARI)
    await both.ring()
    (email,) = await ids(both)
    raw = returned(message_id=email)
    for _ in range(2):
        assert (await by_standard(both, "returns", raw)).status_code == 204
    assert (await by_standard(both, "returns", raw, key=b"x" * 32)).status_code == 401
    await both.ring()
    assert await told(both, email) == (Status.PERMANENT_FAILURE, Reason.NOT_DELIVERED)
    assert [len(both.postbox.letters), len(both.phone.letters)] == [1, 1]


async def test_returned_mail_in_a_mailbox_is_read_as_a_relays_is(tmp_path):
    """Once, however often it is read; what says nothing of a letter of ours is for a person to look at."""
    (tmp_path / "password").write_text("secret")
    account = {"host": "imap.invalid", "username": "r", "password_file": str(tmp_path / "password")}
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text(yaml.safe_dump({"accounts": {"returns": account}}))
    aboard = await Aboard(tmp_path, policy_of(), returned_mail=accounts).begin()
    await aboard.raise_complaint(contact=KARI)
    await aboard.ring()
    (email,) = await ids(aboard)
    take = aboard.apps["notifier"].beside_stream["mail"].__self__._take
    for _ in range(2):
        fate = await take("returns", RawMail(returned(message_id=email)))
        assert fate == Fate(Folder.TAKEN, "report")
    assert await told(aboard, email) == (Status.PERMANENT_FAILURE, Reason.NOT_DELIVERED)
    assert (await aboard.types("notifier")).count("message.bounced") == 1
    assert await take("returns", RawMail(an_answer())) == Fate(Folder.REFUSED, "unreadable")


# ---- sent again ----------------------------------------------------------------------------------


async def fates(both: Aboard) -> list[tuple[Status, Reason | None]]:
    for _ in range(3):
        await both.ring()
    return [await told(both, name) for name in await ids(both)]


async def test_a_letter_that_came_back_is_sent_again_where_no_channel_reaches_the_customer(
    both: Aboard,
):
    """The address was mended meanwhile; there is no number."""
    complaint = await both.raise_complaint(contact=Contact(email="kari@example.org"))
    await both.ring()
    (email,) = await ids(both)
    await by_standard(both, "returns", returned(message_id=email))
    gone = [
        (Status.PERMANENT_FAILURE, Reason.NOT_DELIVERED),
        (Status.SUPPRESSED, Reason.NO_ADDRESS_ON_CHANNEL),
    ]
    assert await fates(both) == gone
    _, sms = await ids(both)
    refused = await again(both, sms)
    assert (refused.status_code, refused.json()["type"]) == (422, Reason.NO_ADDRESS_ON_CHANNEL)
    assert (await again(both, email, "e")).status_code == 201
    assert (await again(both, email, "f")).json()["type"] == Reason.ALREADY_RESENT
    assert await fates(both) == [*gone, (Status.SENT, None)]
    assert len(both.postbox.letters) == 2
    # It comes back once more: what became of the first text message stays as it was.
    resent = (await ids(both))[-1]
    await by_standard(both, "returns", returned(message_id=resent))
    assert await fates(both) == [*gone, *gone]
    assert len(set(await ids(both))) == 4
    assert (await again(both, resent, "g")).status_code == 201
    assert complaint


async def test_a_letter_is_not_sent_again_while_a_text_message_goes_on_for_it(both: Aboard):
    both.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    both.phone.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    await both.raise_complaint(contact=KARI)
    await both.ring()
    (email, sms) = await ids(both)
    assert (await again(both, email, "a")).json()["type"] == Reason.NOT_FAILED
    assert [one for one, _ in await fates(both)] == [Status.PERMANENT_FAILURE] * 2
    assert (await again(both, sms, "b")).status_code == 201
    assert (await again(both, email, "c")).json()["type"] == Reason.NOT_FAILED, "the text goes"
    assert (await fates(both))[-1] == (Status.SENT, None)
    assert (await again(both, email, "d")).json()["type"] == Reason.NOT_FAILED
