"""A letter as the mail that is sent: text, HTML and the picture of its code, in the shape that mail programs show."""

from __future__ import annotations

import sys
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notifier.channels.mime import LINE_BYTES_MAX, written
from services.notifier.channels.ports import Letter
from services.notifier.wording import examples
from services.notifier.wording.examples import NAME, NOW
from services.notifier.wording.wording import Wording
from shared.contracts.complaints import Language
from shared.contracts.notifier import Occasion

pytestmark = pytest.mark.unit

SENDER, RECIPIENT = "service@aurora.example", "kari@example.org"


def mailed(occasion: Occasion, **changed: str) -> EmailMessage:
    """The mail as it arrives, after its way over the wire."""
    values = {**examples.example(occasion, Language.DA), **changed}
    one = Wording().render(occasion, "da", values, NAME)
    letter = Letter(
        "me-1", SENDER, RECIPIENT, one.subject, one.text, html=one.html, pictures=one.pictures
    )
    sent = written(letter, SENDER, RECIPIENT, NOW)
    found = message_from_bytes(sent, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def shape(mail: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in mail.walk()]


def test_a_mail_has_the_text_first_and_the_html_with_its_picture_after_it() -> None:
    mail = mailed(Occasion.CHECK_GIVEN)
    assert shape(mail) == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
    ]  # fmt: skip
    picture = list(mail.walk())[-1]
    assert picture["Content-ID"] == "<code>"
    assert picture.get_content_disposition() == "inline"
    html = mail.get_body(("html",))
    assert html is not None
    assert 'src="cid:code"' in html.get_content()
    assert "værdi 1.200" in html.get_content().replace("\xa0", " ")


def test_a_mail_without_a_code_to_scan_has_no_picture() -> None:
    assert shape(mailed(Occasion.REOPENED)) == ["multipart/alternative", "text/plain", "text/html"]


@pytest.mark.parametrize(
    "value", ["a\r\nBcc: x@evil.example", "a\u2028Bcc: x@evil.example", "🎉" * 5_000]
)
def test_no_value_adds_a_header_to_a_mail(value: str) -> None:
    plain, hostile = mailed(Occasion.CHECK_GIVEN), mailed(Occasion.CHECK_GIVEN, title=value)
    assert hostile.keys() == plain.keys()
    assert hostile["To"] == RECIPIENT
    assert shape(hostile) == shape(plain)


# ---- headers -------------------------------------------------------------------------------------

LINES = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs")), min_size=1
)


def plain(**changed: str) -> EmailMessage:
    """A letter of text alone, as it arrives."""
    letter = replace(Letter("me-1", SENDER, RECIPIENT, "Subject", "Body\n"), **changed)
    raw = written(letter, SENDER, RECIPIENT, NOW)
    head = raw.partition(b"\n\n")[0]
    assert head.isascii()
    assert all(len(line) <= LINE_BYTES_MAX for line in head.split(b"\n"))
    found = message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


@given(LINES)
@example("=?utf-8?q?Bcc:_x?=")
@example("Vi har fått klagen din om maten på restauranten ved kaien, som du ventet så lenge på")
@example("x" * 160)
def test_a_subject_is_read_as_it_was_written(words: str) -> None:
    subject = " ".join(words.split())
    assert " ".join(str(plain(subject=subject)["Subject"]).split()) == subject


@given(LINES)
@example('Kari "the cook" Nordmann, M/S Aurora <x@evil.example>')
@example("=?utf-8?q?x=40evil.example?=")
def test_a_senders_name_is_a_name_whatever_is_in_it(words: str) -> None:
    name = " ".join(words.split())
    (sender,) = plain(sender_name=name)["From"].addresses
    # Python puts a space between encoded words, which RFC 2047 joins.
    assert "".join(sender.display_name.split()) == "".join(name.split())
    assert sender.addr_spec == SENDER


@pytest.mark.parametrize("field", ["subject", "sender_name", "reply_to", "unsubscribe"])
@pytest.mark.parametrize("value", ["a\nBcc: x@evil.example", "a\r\nBcc: x@evil.example", "a\rb"])
def test_a_value_of_several_lines_is_in_no_header(field: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        plain(**{field: value})


def test_a_text_that_has_the_line_between_the_parts_of_another_letter_stays_whole() -> None:
    first = Letter("me-1", SENDER, RECIPIENT, "Subject", "Body\n", html="<p>Body</p>\n")
    raw = written(first, SENDER, RECIPIENT, NOW)
    second = replace(first, body=raw.decode())
    found = message_from_bytes(written(second, SENDER, RECIPIENT, NOW), policy=default)
    assert shape(found) == ["multipart/alternative", "text/plain", "text/html"]


def test_a_mail_is_written_in_few_steps() -> None:
    """Calls of functions, which a processor's speed does not change: as many as fit into a tenth of a millisecond."""
    calls = 0

    def called(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    html = replace(Letter("me-1", SENDER, RECIPIENT, "Hei, Kåre", "Å\n"), html="<p>Å</p>")
    written(html, SENDER, RECIPIENT, NOW)
    before = sys.getprofile()
    sys.setprofile(called)
    try:
        written(html, SENDER, RECIPIENT, NOW)
    finally:
        sys.setprofile(before)
    assert calls < 100
