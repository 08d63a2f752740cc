"""A letter as the mail that is sent: text, HTML and the picture of its code, in the shape that mail programs show."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest

from services.notifier.channels.ports import Letter
from services.notifier.channels.smtp import written
from services.notifier.wording.examples import NAME, NOW, example
from services.notifier.wording.wording import Wording
from shared.contracts.complaints import Language
from shared.contracts.notifier import Occasion

pytestmark = pytest.mark.unit

SENDER, RECIPIENT = "service@aurora.example", "kari@example.org"


def mailed(occasion: Occasion, **changed: str) -> EmailMessage:
    """The mail as it arrives, after its way over the wire."""
    values = {**example(occasion, Language.DA), **changed}
    one = Wording().render(occasion, "da", values, NAME)
    letter = Letter(
        "me-1", SENDER, RECIPIENT, one.subject, one.text, html=one.html, pictures=one.pictures
    )
    sent = written(letter, SENDER, RECIPIENT, NOW).as_bytes(policy=SMTP)
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
