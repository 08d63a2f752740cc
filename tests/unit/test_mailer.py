"""A letter is handed over, refused for its address alone, or tried again later; nothing else."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from devstack.providers import HANGS_UP, HELLO, LOSES, MAIL, ScriptedMail, serving_mail
from devstack.stack import free_port
from services.notifier.channels import smtp
from services.notifier.channels.mime import written
from services.notifier.channels.ports import Letter
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.messages.rules import ATTEMPT_LASTS
from shared.contracts.intake import Contact
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Delivered, Later, Never, Unknown
from shared.runtime.settings import tls_of
from shared.runtime.wires import MailServer
from shared.testing.clock import Clock
from tests.suites.certificates import Authority


def letter(recipient: str = "kari@example.org", sender: str = "service@aurora.example") -> Letter:
    return Letter("me-1", sender, recipient, "Vi har mottatt klagen din", "Hei, Kåre\n")


@pytest.fixture(autouse=True)
def _shortly(monkeypatch):
    """No conversation waits for a letter that no test sends."""
    monkeypatch.setattr(smtp, "KEPT_S", 0)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


async def hand_over(server: ScriptedMail, one: Letter) -> bool:
    async with serving_mail(server) as port:
        return await SmtpChannel(MailServer("127.0.0.1", port), Clock()).send(one)


async def test_a_letter_arrives_with_its_words_and_the_id_that_tells_repeats_apart():
    server = ScriptedMail()
    assert await hand_over(server, letter()) == Delivered()
    (body,) = server.bodies
    read = message_from_bytes(body, policy=default)
    assert (read["To"], read["From"]) == ("kari@example.org", "service@aurora.example")
    assert read["Message-ID"] == "<me-1@aurora.example>"
    assert "Hei, Kåre" in read.get_content()
    assert any(line.startswith("RCPT TO:<kari@example.org>") for line in server.heard)


async def test_a_letter_has_its_senders_name_and_an_html_part_where_it_is_given():
    server = ScriptedMail()
    one = replace(letter(), sender_name="M/S Ægir", html="<p>Hei, Kåre</p>\n")
    assert await hand_over(server, one) == Delivered()
    read = message_from_bytes(server.bodies[0].removesuffix(b".\r\n"), policy=default)
    (sender,) = read["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("M/S Ægir", "service@aurora.example")
    assert read.get_content_type() == "multipart/alternative"
    parts = [(part.get_content_type(), part.get_content().strip()) for part in read.iter_parts()]
    assert parts == [("text/plain", "Hei, Kåre"), ("text/html", "<p>Hei, Kåre</p>")]


LINK = "https://aurora.example/f/" + "abcde_-.=" * 60


@pytest.mark.parametrize("words", ["Hej, Kåre!", "Hello, Kim,"])
async def test_a_letter_reads_well_as_it_stands_and_no_link_in_it_is_cut(words: str):
    server = ScriptedMail()
    body = f"{words}\n\n{'A long line, of a law. ' * 6}\n{LINK}\n"
    assert await hand_over(server, replace(letter(), body=body)) == Delivered()
    raw = server.bodies[0].decode()
    assert f"\r\n{LINK}\r\n" in raw
    assert f"\r\n{words}\r\n" in raw
    assert "Content-Transfer-Encoding: 8bit" in raw
    assert any(line.endswith("BODY=8BITMIME") for line in server.heard)


@pytest.mark.parametrize(
    ("hello", "line"), [("250-mail.example\r\n250 SIZE", "Hej, Kåre!"), (HELLO, "å" * 600)]
)
async def test_what_a_server_cannot_take_as_it_stands_is_encoded(hello: str, line: str):
    """Where it knows no eight bits, and where a line is longer than mail may have."""
    server = ScriptedMail(EHLO=hello)
    assert await hand_over(server, replace(letter(), body=f"{line}\n")) == Delivered()
    (raw,) = server.bodies
    assert all(len(one) <= 998 for one in raw.split(b"\r\n"))
    read = message_from_bytes(raw.removesuffix(b".\r\n"), policy=default)
    assert read.get_content().strip() == line


# ---- addresses -----------------------------------------------------------------------------------

NO_ADDRESS = [
    "", "@", "a@", "@b", "a", "a@b@c", "a@[", "a@(", "(a@b", "(a)@b", "a@]", "[a@b", "a@b)", "a@b\\",
    "a\\@b", ".a@b", "a.@b", "a..b@c", "a@b..c", "a@.b", "a@b.", "a@.", "kari@example.org\n",
    "kari@example.org\r\nBcc: x@example.com", "a\nb@c", "a b@c", "a@b c", "a@b\x7f", "\x00@b",
    '"a b"@c', '"a"@c', '"', "Kari <kari@example.org>", "<kari@example.org>", "a@b,c@d", "a:b@c;",
    "kåre@example.org", "\u202ea@b", "a@\ud800", "a@\u2028b", "=?utf-8?q?a=0ab?=@b",
    "=?utf-8?q?a?=@b", "a@=?utf-8?q?b?=", "x" * 300 + "@example.org", "a@" + "b" * 64 + ".no",
    "a@" + "b." * 150 + "no", "a@" + "ø" * 300,
]  # fmt: skip


@pytest.mark.parametrize("recipient", NO_ADDRESS, ids=lambda value: ascii(value)[:24])
async def test_what_is_no_address_is_refused_before_anybody_is_asked(recipient):
    server = ScriptedMail()
    assert await hand_over(server, letter(recipient)) == Never(Reason.ADDRESS_REFUSED)
    assert server.heard == []


@pytest.mark.parametrize(
    ("recipient", "spoken"),
    [
        ("kari@example.org", "kari@example.org"),
        ("k.a+r=i_1/2!{3}@sub.example.org", "k.a+r=i_1/2!{3}@sub.example.org"),
        ("kari@localhost", "kari@localhost"),
        ("kari@blåbær.example", "kari@xn--blbr-roah.example"),
        ("x" * 242 + "@example.org", "x" * 242 + "@example.org"),
    ],
    ids=lambda value: value[:20],
)
async def test_an_address_is_spoken_as_it_was_given_in_the_letters_of_the_net(recipient, spoken):
    server = ScriptedMail(EHLO="250 mail.example")
    await hand_over(server, letter(recipient))
    assert any(line.startswith(f"RCPT TO:<{spoken}>") for line in server.heard)
    (body,) = server.bodies
    headed = re.search(rb"^To:\s+(\S+)\r\n", body, re.MULTILINE)
    assert headed is not None
    assert headed.group(1).decode() == spoken


TAKEN = Contact.model_json_schema()["properties"]["email"]["anyOf"][0]["pattern"]


@given(st.from_regex(TAKEN))
def test_whatever_the_intake_takes_for_an_address_is_written_or_refused(recipient):
    try:
        address = smtp.spoken(recipient)
    except ValueError:
        return
    written(letter(recipient), "service@aurora.example", address, Clock()())


async def test_a_sender_that_is_no_address_is_our_fault_and_not_the_customers():
    server = ScriptedMail()
    assert await hand_over(server, letter(sender="aurora@[")) == Later(Reason.MAIL_UNAVAILABLE)
    assert server.heard == []


# ---- answers of the server -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    ["550 5.1.1 no such user", "551 not here", "553 name not allowed", "550 no",
     "556 5.1.10 takes no mail", "550 5.1.1 blocked: no such user", "550 5.2.1 mailbox disabled"],
)  # fmt: skip
async def test_a_recipient_refused_for_good_is_an_address_refused(answer):
    assert await hand_over(ScriptedMail(RCPT=answer), letter()) == Never(Reason.ADDRESS_REFUSED)


@pytest.mark.parametrize(
    "answers",
    [
        {"greeting": "554 5.7.1 we do not talk to you"},
        {"greeting": "421 come later"},
        {"EHLO": "550 5.7.1 who are you", "HELO": "550 5.7.1 who are you"},
        {"MAIL": "530 5.7.0 authenticate first"},
        {"MAIL": "535 5.7.8 wrong password"},
        {"MAIL": "550 5.7.1 sender refused"},
        {"MAIL": "553 5.1.8 sender unknown"},
        {"MAIL": "451 later"},
        {"RCPT": "450 4.2.1 mailbox busy"},
        {"RCPT": "530 5.7.0 authenticate first"},
        {"RCPT": "535 wrong password"},
        {"RCPT": "554 5.7.1 relay access denied"},
        {"RCPT": "550 5.7.26 unauthenticated"},
        {"RCPT": "550 rejected by policy"},
        {"RCPT": "550 Blocked, see http://blocked.example"},
        {"RCPT": "554 Service unavailable; client host is on a blocklist"},
        {"RCPT": "550 SPAM is not wanted"},
        {"RCPT": "550 5.0.0 listed by zen.spamhaus.org"},
        {"RCPT": "550 relaying denied"},
        {"RCPT": "550 5.1.8 sender address rejected: domain not found"},
        {"RCPT": "552 5.2.2 mailbox full"},
        {"RCPT": "552 no space left"},
        {"RCPT": "550 5.2.2 over quota"},
        {"RCPT": "503 5.5.1 bad sequence of commands"},
        {"DATA": "554 no"},
        {"body": "554 5.6.0 letter refused"},
        {"body": "552 5.3.4 too large"},
        {"body": "421 closing"},
    ],
    ids=str,
)
async def test_a_server_that_refuses_us_or_the_letter_is_asked_again_later(answers):
    assert await hand_over(ScriptedMail(**answers), letter()) == Later(Reason.MAIL_UNAVAILABLE)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"MAIL": "535 5.7.8 wrong password"}, "SMTP 535"),
        ({"RCPT": "552 5.2.2 mailbox full"}, "SMTP 552"),
        ({"DATA": LOSES}, "SMTPServerDisconnected"),
    ],
)
async def test_a_refusal_says_which_status_it_had(answers, said):
    outcome = await hand_over(ScriptedMail(**answers), letter())
    assert isinstance(outcome, Later)
    assert outcome.said == said


@pytest.mark.parametrize("body", [HANGS_UP, ""], ids=["hangs up", "says nothing"])
async def test_of_a_letter_that_the_server_did_not_answer_nobody_knows_the_fate(monkeypatch, body):
    """Case 39: it may have come, so it is neither kept for sure nor simply sent again."""
    monkeypatch.setattr(smtp, "SMTP_TIMEOUT_S", 0.5)
    server = ScriptedMail(body=body)
    assert await hand_over(server, letter()) == Unknown()
    assert len(server.bodies) == 1


async def test_a_server_that_hangs_up_before_it_asks_for_the_letter_does_not_have_it():
    server = ScriptedMail(DATA=LOSES)
    assert await hand_over(server, letter()) == Later(Reason.MAIL_UNAVAILABLE)
    assert server.heard[-1] == "DATA"


async def test_a_server_that_never_asks_for_the_letter_does_not_have_it(monkeypatch):
    monkeypatch.setattr(smtp, "SMTP_TIMEOUT_S", 0.5)
    assert await hand_over(ScriptedMail(DATA=""), letter()) == Later(Reason.MAIL_UNAVAILABLE)


@pytest.mark.parametrize("answer", ["250 2.0.0 ok", "251 forwarded", "200 fine"])
async def test_any_yes_to_a_letter_is_one(answer):
    assert await hand_over(ScriptedMail(body=answer), letter()) == Delivered()


async def test_lines_that_begin_with_a_dot_arrive_whole():
    server = ScriptedMail()
    await hand_over(server, replace(letter(), body="Hei\n.\n..two\n"))
    assert server.bodies[0].endswith(b"Hei\r\n..\r\n...two\r\n.\r\n")


async def test_a_letter_that_was_kept_is_kept_also_without_a_goodbye(monkeypatch):
    monkeypatch.setattr(smtp, "SMTP_TIMEOUT_S", 0.5)
    assert await hand_over(ScriptedMail(QUIT=""), letter()) == Delivered()


async def test_the_name_of_this_machine_is_looked_up_once_and_not_for_each_letter(monkeypatch):
    """A name server that is slow would hold up every letter."""
    asked: list[str] = []

    def named() -> str:
        asked.append("")
        return "notifier.example"

    monkeypatch.setattr(smtp.socket, "getfqdn", named)
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        assert [await channel.send(letter()) for _ in range(3)] == [Delivered()] * 3
    assert len(asked) == 1
    assert server.heard.count("EHLO notifier.example") == 1


async def test_letters_that_come_one_after_the_other_go_in_one_conversation(monkeypatch):
    """To connect takes longer than a letter; a server does not take letters without end."""
    monkeypatch.setattr(smtp, "KEPT_S", 60)
    monkeypatch.setattr(smtp, "LETTERS_EACH_MAX", 3)
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        assert [await channel.send(letter()) for _ in range(6)] == [Delivered()] * 6
    said = Counter(line.split()[0] for line in server.heard)
    assert (said["EHLO"], said["MAIL"], said["QUIT"]) == (2, 6, 2)
    assert len(server.bodies) == 6


async def test_conversations_that_wait_for_a_letter_are_ended_with_a_goodbye_at_a_stop(monkeypatch):
    """Else the server waits for each of them for minutes."""
    monkeypatch.setattr(smtp, "KEPT_S", 60)
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        sent = await asyncio.gather(*(channel.send(letter()) for _ in range(3)))
        assert (sent, server.heard.count("QUIT")) == ([Delivered()] * 3, 0)
        await channel.close()
        assert server.heard.count("QUIT") == len(server.talks) == 3
        await channel.close()


async def test_a_stop_does_not_wait_for_a_server_that_says_no_goodbye(monkeypatch):
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(smtp, "KEPT_S", 60)
    monkeypatch.setattr(smtp, "GOODBYE_S", 0.05)
    monkeypatch.setattr(smtp.Conversation, "quit", never)
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        assert await channel.send(letter()) == Delivered()
        async with asyncio.timeout(5):
            await channel.close()
            await asyncio.gather(*server.talks)  # each ended, because we hung up


async def test_a_conversation_ends_for_which_no_letter_comes():
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        for times in (1, 2):
            assert await channel.send(letter()) == Delivered()
            await until(lambda times=times: server.heard.count("QUIT") == times)
    assert server.heard.count("EHLO") <= len(server.talks) == 2


@pytest.mark.parametrize(
    ("fate", "outcome"),
    [
        ("550 no such address", Never(Reason.ADDRESS_REFUSED)),
        ("451 for the address", Later(Reason.MAIL_UNAVAILABLE)),
        ("554 for the letter", Later(Reason.MAIL_UNAVAILABLE)),
        ("silent after the letter", Unknown()),
        ("loses the letter", Unknown()),
        ("never answers the letter", Unknown()),
    ],
)
async def test_what_becomes_of_a_letter_is_its_own_fate_whatever_became_of_the_one_before(
    monkeypatch, fate, outcome
):
    monkeypatch.setattr(smtp, "KEPT_S", 60)
    monkeypatch.setattr(smtp, "LETTERS_EACH_MAX", 2)
    monkeypatch.setattr(smtp, "SMTP_TIMEOUT_S", 0.5)
    server = ScriptedMail(["taken", fate])
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        fates = [await channel.send(letter()) for _ in range(4)]
    assert fates == [Delivered(), outcome, Delivered(), Delivered()]
    assert len(server.talks) == 2


async def test_where_the_server_hung_up_meanwhile_a_letter_has_a_new_conversation(monkeypatch):
    monkeypatch.setattr(smtp, "KEPT_S", 60)
    monkeypatch.setattr(smtp, "LETTERS_EACH_MAX", 2)
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        assert await channel.send(letter()) == Delivered()
        server.hang_up()
        await asyncio.wait(server.talks)
        fates = [await channel.send(letter()) for _ in range(2)]
    assert fates == [Delivered()] * 2
    assert len(server.talks) == 2


@pytest.mark.parametrize(
    "end", [{"greeting": "421"}, {"MAIL": LOSES}, {"RCPT": "421 enough"}, {"DATA": LOSES}], ids=str
)
async def test_where_the_server_takes_fewer_letters_of_a_conversation_the_next_has_a_new_one(
    monkeypatch, end
):
    monkeypatch.setattr(smtp, "KEPT_S", 60)
    monkeypatch.setitem(MAIL, "ends", end)
    server = ScriptedMail(["taken", "ends"])
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        assert await channel.send(letter()) == Delivered()
        monkeypatch.setattr(smtp, "KEPT_S", 0)
        assert await channel.send(letter()) == Delivered()
    assert len(server.talks) == len(server.bodies) == 2


async def test_a_letter_is_offered_once_more_at_most_where_the_server_ends_every_conversation(
    monkeypatch,
):
    monkeypatch.setattr(smtp, "KEPT_S", 60)
    server = ScriptedMail(["taken", "421 at once", "421 at once"])
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        fates = [await channel.send(letter()) for _ in range(2)]
    assert fates == [Delivered(), Later(Reason.MAIL_UNAVAILABLE)]
    assert len(server.talks) == 2


async def test_a_name_server_that_is_slow_holds_letters_up_once_and_shortly(monkeypatch):
    """The letters of a start ask it together: each in a thread of its own would leave none for others."""
    answers, asked = threading.Event(), []

    def named() -> str:
        asked.append("")
        answers.wait(10)
        return "too late"

    monkeypatch.setattr(smtp.socket, "getfqdn", named)
    monkeypatch.setattr(smtp.socket, "gethostname", lambda: "notifier")
    monkeypatch.setattr(smtp, "NAME_TIMEOUT_S", 0.2)
    server = ScriptedMail()
    async with serving_mail(server) as port:
        channel = SmtpChannel(MailServer("127.0.0.1", port), Clock())
        try:
            async with asyncio.timeout(5):
                fates = await asyncio.gather(*[channel.send(letter()) for _ in range(3)])
        finally:
            answers.set()
    assert fates == [Delivered()] * 3
    assert (len(asked), server.heard.count("EHLO notifier")) == (1, 3)


async def test_no_server_at_all_is_asked_again_later():
    async with serving_mail(ScriptedMail()) as port:
        pass
    assert await SmtpChannel(MailServer("127.0.0.1", port), Clock()).send(letter()) == Later(
        Reason.MAIL_UNAVAILABLE
    )


async def test_a_conversation_ends_before_others_may_try(monkeypatch):
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    assert smtp.NAME_TIMEOUT_S + smtp.SMTP_TIMEOUT_S < ATTEMPT_LASTS.total_seconds()
    monkeypatch.setattr(smtp, "SMTP_TIMEOUT_S", 0.01)
    monkeypatch.setattr(smtp.Conversation, "connect", never)
    async with asyncio.timeout(10):
        assert await SmtpChannel(MailServer("127.0.0.1", 25), Clock()).send(letter()) == Later(
            Reason.MAIL_UNAVAILABLE
        )


# ---- TLS and login -------------------------------------------------------------------------------

PASSWORD = "canary-of-the-mail-server"


class Kept:
    """A real mail server's letters: whose they were. It takes them from whoever logged in."""

    def __init__(self) -> None:
        self.users: list[str | None] = []

    async def handle_MAIL(self, _server, session, envelope, sender, _options) -> str:  # noqa: N802 - aiosmtpd's interface
        if session.auth_data is None:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = sender
        return "250 ok"

    async def handle_DATA(self, _server, session, _envelope) -> str:  # noqa: N802
        self.users.append(session.auth_data)
        return "250 kept"


def known(_server, _session, _envelope, _mechanism, given) -> AuthResult:
    user = given.login.decode()
    well = (user, given.password.decode()) == ("me", PASSWORD)
    return AuthResult(success=well, handled=False, auth_data=user if well else None)


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=["starttls", "tls"])
async def secured(request, authority):
    """A mail server that takes letters by TLS and from whoever logs in: how, its port, what it kept."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.server("mail"))
    by_tls = {"ssl_context": context}
    if request.param == "starttls":
        by_tls = {"tls_context": context, "require_starttls": True}
    kept, port = Kept(), free_port()
    controller = Controller(
        kept,
        hostname="127.0.0.1",
        port=port,
        authenticator=known,
        auth_require_tls=request.param
        == "starttls",  # from the first byte, aiosmtpd does not see it
        **by_tls,
    )
    controller.start()
    yield request.param, port, kept
    # The server closes a connection whose TLS failed a moment after us: its loop must not end before.
    async with asyncio.timeout(20):
        while controller.server._active_count:
            await asyncio.sleep(0.01)
    controller.stop()


async def test_a_letter_goes_by_tls_and_with_a_login(secured, authority):
    how, port, kept = secured
    server = MailServer("127.0.0.1", port, how, tls_of(authority.ca), "me", PASSWORD)
    assert await SmtpChannel(server, Clock()).send(letter()) == Delivered()
    assert kept.users == ["me"]


@pytest.mark.parametrize("wrong", ["password", "authority", "no login", "in the clear"])
async def test_a_letter_waits_where_the_server_is_not_trusted_or_does_not_trust_us(
    secured, authority, tmp_path, wrong
):
    """The address is still good, and the log says what is wrong, without the password."""
    how, port, kept = secured
    right = MailServer("127.0.0.1", port, how, tls_of(authority.ca), "me", PASSWORD)
    server = {
        "password": replace(right, password="another"),
        "authority": replace(right, context=tls_of(Authority(tmp_path, "stranger").ca)),
        "no login": replace(right, username="", password=""),
        "in the clear": replace(right, tls="none", username="", password=""),
    }[wrong]
    with capture_logs() as logs:
        assert await SmtpChannel(server, Clock()).send(letter()) == Later(Reason.MAIL_UNAVAILABLE)
    assert kept.users == []
    assert [line["event"] for line in logs] in (["mail_waits"], [])
    assert PASSWORD not in f"{logs} {right!r}"
