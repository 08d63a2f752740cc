"""What every provider's adapter promises, against providers that fare as they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from devstack.providers import ScriptedMail, ScriptedSms, serving_mail
from services.notifier.channels.ports import MAIL_SERVER, Channel, Letter
from services.notifier.channels.sms import SmsChannel
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.wires import FormWire, JsonWire, Wire
from shared.contracts.intake import MessageChannel
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.wires import MailServer
from shared.testing.clock import Clock

MESSAGE_ID = "me-" + "0" * 32
REPORT_KEY = b"k" * 32
SMS_LATER = Later(Reason.SMS_UNAVAILABLE)
MAIL_LATER = Later(Reason.MAIL_UNAVAILABLE)
REFUSED = Never(Reason.ADDRESS_REFUSED)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter: its channel, a letter it takes, how its provider may fare, and what is promised then."""

    name: str
    letter: Letter
    #: Opens a provider that fares so: the channel, and a function that says how often it has which id.
    serves: Callable[[str], object]
    promises: Mapping[str, Outcome]
    no_address: str = ""
    #: Ways to fare after which the provider may have the message.
    may_have: frozenset[str] = field(default_factory=frozenset)


EMAIL = Letter(MESSAGE_ID, "service@aurora.example", "kari@example.org", "Subject", "Hei, Kåre\n")
SMS = replace(
    EMAIL,
    sender="Aurora",
    recipient="+4740000000",
    short="Aurora: We have your message.",
    link="https://aurora.example/f/token",
    segments_max=3,
    channel=MessageChannel.SMS,
)


@asynccontextmanager
async def _mail(fares: str) -> AsyncIterator[tuple[Channel, Callable[[], list[str]]]]:
    server = ScriptedMail([fares])

    def has() -> list[str]:
        ids = [MESSAGE_ID for body in server.bodies if f"<{MESSAGE_ID}@".encode() in body]
        assert len(ids) == len(server.bodies)
        return ids

    async with serving_mail(server) as port:
        yield SmtpChannel(MailServer("127.0.0.1", port), Clock()), has


def _by(wire: Wire, path: str) -> Callable[[str], object]:
    @asynccontextmanager
    async def serves(fares: str) -> AsyncIterator[tuple[Channel, Callable[[], list[str]]]]:
        async with ScriptedSms([fares] * 5).open() as server:
            report_url = "https://aurora.example/v1/receipts/first"
            channel = SmsChannel("first", server.url(path), wire, report_url, Clock())
            yield channel, lambda: list(server.sent)

    return serves


SMS_PROMISES: Mapping[str, Outcome] = {
    "taken": Delivered(),
    "no such number": REFUSED,
    "200 with a wrong number": REFUSED,
    "200 with an error": SMS_LATER,
    "401": SMS_LATER,
    "429": Later(Reason.SMS_UNAVAILABLE, timedelta(seconds=120)),
    "500": SMS_LATER,
    "503": SMS_LATER,
    "504": Unknown(),
    "200 in another language": Unknown(),
    "redirect": SMS_LATER,
    "never": Unknown(),
    "hangs up": Unknown(),
}
SMS_MAY_HAVE = frozenset({"504", "200 in another language", "never", "hangs up"})
ADAPTERS = (
    Adapter(
        MAIL_SERVER,
        EMAIL,
        _mail,
        {
            "taken": Delivered(),
            "421 at once": MAIL_LATER,
            "451 for the address": MAIL_LATER,
            "greylisted": MAIL_LATER,
            "550 no such address": REFUSED,
            "554 for the letter": MAIL_LATER,
            "STARTTLS refused": MAIL_LATER,
            "silent after the letter": Unknown(),
            "loses the letter": Unknown(),
        },
        no_address="kari@",
        may_have=frozenset({"silent after the letter"}),
    ),
    Adapter(
        "form",
        SMS,
        _by(FormWire("AC1", "secret-of-form"), "form"),
        SMS_PROMISES,
        no_address="40000000",
        may_have=SMS_MAY_HAVE,
    ),
    Adapter(
        "json",
        SMS,
        _by(JsonWire("secret-of-json", REPORT_KEY), "json"),
        SMS_PROMISES,
        no_address="+47 400",
        may_have=SMS_MAY_HAVE,
    ),
)
CASES = [(adapter, fares) for adapter in ADAPTERS for fares in adapter.promises]
