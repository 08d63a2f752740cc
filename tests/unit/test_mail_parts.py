"""What is read of the bytes of a mail: words, sender, attachments; nothing that is sent is slow or raises."""

from __future__ import annotations

import time
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.complaints.mail.html import words_of
from services.complaints.mail.parts import NAMED_MAX, TEXT_CHARS_MAX, read
from services.complaints.mail.quoted import new_words
from services.complaints.mail.rules import (
    CUT,
    WORDS_MAX,
    Mail,
    Why,
    added_words,
    answer_in,
    complaint_text,
    why_not,
)
from shared.contracts.intake import TEXT_MAX
from shared.contracts.notifier import Helped

#: As long as any mail may take on a machine that is busy with other things.
SLOW_S = 20.0


def mail(
    body: str | bytes = "The soup was cold.", kind: str = "text/plain; charset=utf-8", **fields: str
) -> bytes:
    """A mail as it comes; a field's name has "_" for "-"."""
    told = {
        "from": "Kim Nordmann <kim@example.org>", "to": "complaints@aurora.example", "subject": "Soup",
        "message_id": "<one@example.org>", "content_type": kind, **fields,
    }  # fmt: skip
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return head.encode() + b"\r\n" + (body if isinstance(body, bytes) else body.encode())


def reply(body: str, subject: str = "Re: Your complaint") -> str:
    """The words of an answer."""
    return read(mail(body, in_reply_to="<me-1@ship.example>", subject=subject)).words


def test_a_mail_is_read_with_sender_subject_and_words():
    found = read(
        mail("Suppen var kald.\r\nIngen kom.\r\n", subject="=?utf-8?q?Kald_suppe_=C3=A6?=")
    )
    assert found.sender == "kim@example.org"
    assert found.sender_name == "Kim Nordmann"
    assert found.subject == "Kald suppe æ"
    assert found.words == "Suppen var kald.\nIngen kom."
    assert found.message_id == "<one@example.org>"
    assert found.to == ["complaints@aurora.example"]
    assert why_not(found) is None


@pytest.mark.parametrize(
    ("quoted", "said"),
    [
        ("Nei, den var kald.\n\nman. 30. nov. 2026 kl. 10:15 skrev Aurora <a@ship.example>:\n> Hei", "Nei, den var kald."),
        ("Nej, den var kall.\n\nDen mån 30 nov. 2026 kl 10:15 skrev Aurora <a@ship.example>:\n\n> Hej", "Nej, den var kall."),
        ("Nej, den var kold.\n\nDen man. 30. nov. 2026 kl. 10.15 skrev Aurora <a@ship.example>:\n> Hej", "Nej, den var kold."),
        ("No, it was cold.\n\nOn Mon, 30 Nov 2026 at 10:15, Aurora Guest Services\n<a@ship.example> wrote:\n\n> Hello", "No, it was cold."),
        ("No.\nIt was cold.\nOn Mon, 30 Nov 2026 at 10:15, Aurora <a@ship.example>\nwrote:\n> Hello", "No.\nIt was cold."),
        ("Den var kald.\n\n-----Opprinnelig melding-----\nFra: Aurora\nHei", "Den var kald."),
        ("Den var kall.\n\n-----Ursprungligt meddelande-----\nHej", "Den var kall."),
        ("Den var kold.\n\n-----Oprindelig meddelelse-----\nHej", "Den var kold."),
        ("It was cold.\n\n-----Original Message-----\nHello", "It was cold."),
        ("Den var kald.\n\nFra: Aurora <a@ship.example>\nSendt: mandag 30. november 2026\nTil: Kim\n\nHei", "Den var kald."),
        ("Den var kall.\n\nFrån: Aurora\nSkickat: den 30 november\nTill: Kim\n\nHej", "Den var kall."),
        ("> Which soup?\nThe fish soup.\n> When?\nOn Monday.", "The fish soup.\nOn Monday."),
        ("It was cold.\n\n-- \nKim Nordmann\n+47 12345678", "It was cold."),
    ],
)  # fmt: skip
def test_what_an_answer_quotes_is_left_out_in_each_language(quoted, said):
    assert reply(quoted) == said


@pytest.mark.parametrize(
    "words",
    [
        "Your receptionist wrote:\nno refund\nand left.",
        "Resepsjonisten skrev:\nIngen penger tilbake.",
        "From: the beginning it was cold.\nTo: be honest, all evening.",
        "> Only quoted",
    ],
)
def test_what_people_write_themselves_is_kept(words):
    assert reply(words) == words


def test_a_mail_that_is_passed_on_and_one_that_is_no_answer_keep_what_they_quote():
    quoted = "See below.\n\n-----Original Message-----\nThe soup was cold."
    assert reply(quoted, "VS: Suppe") == quoted
    assert read(mail(quoted)).words == quoted


def test_html_is_read_as_text_without_what_is_not_seen():
    page = (
        "<html><head><title>No</title><style>p {color: red}</style></head><body><!-- no > no -->"
        "<p>The soup&nbsp;was <b>cold</b> &amp; old.</p><script>alert('no')</script>"
        '<p>Nobody<br>came.</p><img src="https://tracker.example/x.png" alt="no"></body></html>'
    )
    found = read(mail(page, "text/html; charset=utf-8"))
    assert found.words == "The soup was cold & old.\n\nNobody\ncame."


@pytest.mark.parametrize("said", ["I <3 soup, and got none.", "It was < 10 degrees.", "a <- b <"])
def test_a_sign_that_begins_no_element_is_what_somebody_wrote(said):
    assert words_of(f"<p>{said}</p><p>We are ill.</p>") == f"{said}\n\nWe are ill."


def test_an_answer_in_html_loses_its_quotation():
    page = (
        "<div>It was cold.</div><div>On 30 Nov 2026 at 10:15, Aurora &lt;a@ship.example&gt; wrote:</div>"
        "<blockquote><p>Dear guest,</p><p>did it help?</p></blockquote>"
    )
    found = read(mail(page, "text/html", in_reply_to="<me-1@ship.example>"))
    assert found.words == "It was cold."


def test_of_several_forms_the_plain_one_is_read_unless_it_says_nothing():
    for plain, said in (("Plain.", "Plain."), (" \n", "Rich.")):
        message = EmailMessage()
        message["From"] = "kim@example.org"
        message.set_content(plain)
        message.add_alternative("<p>Rich.</p>", subtype="html")
        assert read(message.as_bytes()).words == said


def test_attachments_are_counted_and_named_and_their_names_are_harmless():
    message = EmailMessage()
    message["From"] = "kim@example.org"
    message.set_content("See the pictures.")
    for name in ("soup.jpg", "../../etc/passwd", "C:\\a\\bill.pdf", "evil\u202egpj.exe", "x" * 500):
        message.add_attachment(b"...", maintype="image", subtype="jpeg", filename=name)
    for number in range(20):
        message.add_attachment(b"...", maintype="image", subtype="jpeg", filename=f"{number}.jpg")
    found = read(message.as_bytes())
    assert found.words == "See the pictures."
    assert found.attachments_count == 25
    assert found.attachments[:4] == ["soup.jpg", "passwd", "bill.pdf", "evilgpj.exe"]
    assert len(found.attachments) == NAMED_MAX
    assert max(map(len, found.attachments)) == 80


def test_a_mail_that_hangs_on_another_speaks_for_it_where_it_says_nothing():
    inner = EmailMessage()
    inner["From"] = "guest@example.org"
    inner.set_content("The soup was cold.")
    for words, said in (("Please look.", "Please look."), ("", "The soup was cold.")):
        message = EmailMessage()
        message["From"] = "kim@example.org"
        message.set_content(words)
        message.add_attachment(inner)
        found = read(message.as_bytes())
        assert (found.words, found.attachments_count) == (said, 1)


@pytest.mark.parametrize(
    ("raw", "charset", "said"),
    [
        ("Kjøtt".encode("latin-1"), "iso-8859-1", "Kjøtt"),
        ("Kjøtt".encode("latin-1"), "utf-8", "Kjøtt"),
        ("Kjøtt".encode(), "nonsense", "Kjøtt"),
        ("Kjøtt".encode(), "us-ascii", "Kjøtt"),
        ("Kjøtt".encode(), "zlib", "Kjøtt"),
        ("Kjøtt".encode(), "unicode_escape", "Kjøtt"),
        (b"a\x00b\x1b[31mc\x85", "utf-8", "ab[31mc…"),
        ("right\u202eleft\u200b".encode(), "utf-8", "rightleft"),
    ],
)
def test_a_text_is_read_whatever_it_says_of_its_characters(raw, charset, said):
    assert read(mail(raw, f"text/plain; charset={charset}")).words == said


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"auto_submitted": "auto-replied"}, Why.AUTOMATIC),
        ({"auto_submitted": "Auto-Generated; by=me"}, Why.AUTOMATIC),
        ({"auto_submitted": "no"}, None),
        ({"x_autoreply": "yes"}, Why.AUTOMATIC),
        ({"precedence": "bulk"}, Why.BULK),
        ({"precedence": "list"}, None),
        ({"content_type": "multipart/report; boundary=b"}, Why.RETURNED),
        ({"from": "MAILER-DAEMON@mx.example"}, Why.RETURNED),
        ({"return_path": "<>"}, Why.RETURNED),
        ({"message_id": f"<me-{'0' * 32}@ship.example>"}, Why.OURS),
        ({"in_reply_to": f"<me-{'0' * 32}@ship.example>"}, None),
    ],
)
def test_what_machines_write_is_known_by_its_fields(fields, why):
    assert why_not(read(mail(**fields))) is why


def test_a_mail_that_says_nothing_is_not_taken():
    assert why_not(read(mail(" \u200b", subject=""))) is Why.EMPTY


@pytest.mark.parametrize(
    ("sender", "address", "name"),
    [
        ("kim@example.org", "kim@example.org", None),
        ('"the-real@bank.example" <kim@example.org>', "kim@example.org", None),
        ("=?utf-8?b?S2ltIE7DuHJk?= <kim@example.org>", "kim@example.org", "Kim Nørd"),
        ("nobody", None, None),
        ("Kim\u202e <kim@example.org>", "kim@example.org", "Kim"),
        ("<>", None, None),
        ("kim@example.org, eva@example.org", None, None),
    ],
)
def test_a_sender_is_an_address_and_perhaps_a_name(sender, address, name):
    found = read(mail(**{"from": sender}))
    assert (found.sender, found.sender_name) == (address, name)


@pytest.mark.parametrize("deep", ["(" * 600, "(" * 2000 + ")" * 2000, "(\\)" * 1300, "a:" * 2000])
def test_addresses_that_are_nested_deeply_are_none_and_other_fields_are_read(deep):
    found = read(mail(**{"from": deep, "cc": deep}))
    assert (found.sender, found.to) == (None, ["complaints@aurora.example"])
    assert found.words == "The soup was cold."
    assert read(mail(to=deep)).sender == "kim@example.org"


@pytest.mark.parametrize(
    "parameter",
    ["boundary*0*=x; boundary*1=y; boundary*=z", "boundary*=\0'b'c", "boundary*=idna'b'%ff..c"],
)
@pytest.mark.parametrize("kind", ["text/plain", "multipart/mixed"])
def test_a_parameter_that_nobody_can_decode_is_absent(parameter, kind):
    assert read(mail(kind=f"{kind}; {parameter}")).sender == "kim@example.org"
    assert read(mail(kind=f"text/plain; {parameter.replace('boundary', 'charset')}")).words


def test_a_mail_without_a_message_id_is_named_by_its_content():
    one, same, other = (read(mail(text, message_id="")) for text in ("a", "a", "b"))
    assert one.message_id == same.message_id != other.message_id


@pytest.mark.parametrize(
    ("words", "helped", "rest"),
    [
        ("Ja!", Helped.YES, ""),
        ("ja, takk.\n\nDet var godt.", Helped.YES, "Det var godt."),
        ("Nej.\nDen var kall.", Helped.NO, "Den var kall."),
        ("Delvist", Helped.PARTLY, ""),
        ("No", Helped.NO, ""),
        ("No soup came.", None, "No soup came."),
        ("Thanks\nYes", None, "Thanks\nYes"),
    ],
)
def test_an_answer_is_a_word_alone_on_the_first_line(words, helped, rest):
    assert answer_in(words) == (helped, rest)


def test_a_text_that_is_too_long_is_cut_and_its_attachments_are_still_named():
    for text, chars_max in (
        (complaint_text("Soup", "x" * 30_000, "[a.jpg]"), TEXT_MAX),
        (added_words("x" * 30_000, "[a.jpg]"), WORDS_MAX),
    ):
        assert len(text) <= chars_max
        assert text.endswith(f"x{CUT}\n\n[a.jpg]")
    assert complaint_text("Soup", "", "") == "Soup"
    assert complaint_text("", "Cold.", "") == "Cold."


def nested(depth: int) -> bytes:
    parts = [mail("", "multipart/mixed; boundary=b0")]
    for number in range(depth):
        parts.append(
            f"--b{number}\r\nContent-Type: multipart/mixed; boundary=b{number + 1}\r\n\r\n".encode()
        )
    return b"".join(parts) + b"x\r\n" * 1_000_000


BOMBS = {
    "a thousand parts": mail("--b\r\n\r\nx\r\n" * 100_000, "multipart/mixed; boundary=b"),
    "parts in parts": nested(1000),
    "mails in mails": b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
    "a head without end": mail(**{f"x_{n}": "y" * 900 for n in range(4000)}),
    "one long field": mail(subject="=?utf-8?b?" * 400_000),
    "many addresses": mail(**{"from": "a@b.example, " * 200_000}),
    "brackets in addresses": mail(**{"from": "(" * 1_000_000}),
    "open comments": mail("<!--" * 250_000, "text/html"),
    "open scripts": mail("<script>" * 125_000, "text/html"),
    "open elements": mail("<" * 1_000_000, "text/html"),
    "quotations in quotations": mail("<blockquote>x" * 70_000, "text/html"),
    "entities": mail("&#x41" * 200_000, "text/html"),
    "blanks": mail(" " * 4_000_000, in_reply_to="<a@b>"),
    "quoted without end": mail("wrote: " * 500_000, in_reply_to="<a@b>"),
    "a name in many pieces": mail(
        "x", "text/plain" + "".join(f"; name*{n}=a" for n in range(5000)), content_disposition="attachment"
    ),
    "lines": mail("\r\n" * 2_000_000, "multipart/mixed; boundary=b"),
}  # fmt: skip


@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS)
def test_no_mail_is_slow(raw):
    began = time.monotonic()
    found = read(raw[: 4 * 1024 * 1024])
    assert time.monotonic() - began < SLOW_S
    assert len(found.words) <= TEXT_CHARS_MAX


@given(
    st.binary(max_size=400),
    st.sampled_from(["text/plain", "text/html", "multipart/mixed; boundary=b"]),
)
def test_any_bytes_are_a_mail(raw, kind):
    assert isinstance(read(raw), Mail)
    assert isinstance(read(mail(raw, kind)), Mail)


@given(st.text(max_size=80))
def test_any_text_has_words_and_html_of_it_too(text):
    assert isinstance(new_words(text), str)
    assert "<script" not in words_of(f"<p>{text}</p>") or "&lt;" in text
