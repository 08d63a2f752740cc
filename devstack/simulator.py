"""python -m devstack.simulator: a mail server and two providers of text messages that fare by a seed, in one process.

Its first line of output is JSON with its address, as a service's is. `GET /ledger` is what it has, see `Ledger`.
It reports to the notifier what became of text messages, late and at times, and forges reports as a stranger
would. It ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import random
import re
import signal
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from devstack.providers import HOST, MAIL, ScriptedMail, ScriptedSms, Taken, by_seed, serving_mail

#: Secrets of this machine's providers: one posts forms, the other speaks JSON.
FORM_USER, FORM_SECRET = "AC1", "secret-of-the-form-provider"
REPORT_KEY = b"k" * 32
#: Every fault of a mail server, and those of a provider of text messages that let a run end.
MAIL_FAULTS = tuple(sorted(MAIL.keys() - {"taken"}))
SMS_FAULTS = (
    "429 for a moment",
    "500",
    "503",
    "504",
    "200 with an error",
    "200 with a wrong number",
    "no such number",
    "200 in another language",
    "redirect",
    "hangs up",
    "never",
)
#: Of the text messages that were taken: how many are reported, how many of those as undelivered.
REPORTED, UNDELIVERED, FORGED = 0.8, 0.1, 0.3
REPORT_LATEST_S = 20.0
#: A report is repeated until the notifier answers, which may be dead for a while.
REPEAT_S, REPEATS_MAX = 1.0, 300
REPORT_TIMEOUT_S = 5.0
_OURS = re.compile(rb"^Message-ID:\s*<(me-[0-9a-f]{32})@", re.IGNORECASE | re.MULTILINE)


@dataclass
class Ledger:
    """What the providers have and said, by message id."""

    mail_port: int = 0
    #: How often each letter came; a provider of text messages sends each id once.
    mail: Counter[str] = field(default_factory=Counter)
    #: When each letter came first, in seconds since the epoch.
    mail_at: dict[str, float] = field(default_factory=dict)
    sms: list[str] = field(default_factory=list)
    #: What was reported honestly, and was answered: whether it was delivered.
    reported: dict[str, bool] = field(default_factory=dict)
    #: Reports that are still to be made or to be answered.
    to_report: int = 0
    #: Statuses with which honest and forged reports were answered.
    answers: Counter[int] = field(default_factory=Counter)
    forged: Counter[int] = field(default_factory=Counter)
    #: How often the providers fared so.
    fared: Counter[str] = field(default_factory=Counter)


def noted(script: Iterator[str], fared: Counter[str]) -> Iterator[str]:
    """The script, with what it said counted."""
    for fate in script:
        fared[fate] += 1
        yield fate


class Mail(ScriptedMail):
    """Keeps of each letter its id alone."""

    def __init__(self, script: Iterator[str], ledger: Ledger) -> None:
        super().__init__(script)
        self._ledger = ledger

    def hear(self, line: str) -> None:
        """Nothing is kept of a command."""

    def keep(self, body: bytes) -> None:
        """Count a letter."""
        named = _OURS.search(body)
        message_id = named[1].decode() if named else "without an id"
        self._ledger.mail[message_id] += 1
        self._ledger.mail_at.setdefault(message_id, datetime.now(UTC).timestamp())


class Sms(ScriptedSms):
    """Reports later what became of what it sent, and what a stranger would have become of it."""

    def __init__(self, script: Iterator[str], ledger: Ledger, chance: random.Random) -> None:
        super().__init__(script)
        self._ledger = ledger
        self._chance = chance
        self._reporting: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Those of the wire formats, and what the providers have."""
        return [*super().routes(), web.get("/ledger", self._told)]

    async def _told(self, _: web.Request) -> web.Response:
        return web.json_response(vars(self._ledger))

    def send(self, one: Taken) -> None:
        """Send it, and report it."""
        self._ledger.sms.append(one.message_id)
        chance = self._chance
        if chance.random() < FORGED:
            self._later(one, "delivered", forged=True)
        if chance.random() < REPORTED:
            fate = "undelivered" if chance.random() < UNDELIVERED else "delivered"
            self._later(one, fate, forged=False)

    def _later(self, one: Taken, fate: str, *, forged: bool) -> None:
        report = self._report(one, fate, self._chance.random() * REPORT_LATEST_S, forged)
        task = asyncio.create_task(report)
        self._reporting.add(task)
        self._ledger.to_report += 1
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reporting.discard(task)
        self._ledger.to_report -= 1

    async def _report(self, one: Taken, fate: str, after_s: float, forged: bool) -> None:
        await asyncio.sleep(after_s)
        signed = by_json if "/second?" in one.report_url else by_form
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(REPORT_TIMEOUT_S)
        ) as session:
            for _ in range(REPEATS_MAX):
                headers, body = signed(one, fate, forged=forged)
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(one.report_url, data=body, headers=headers) as answer:
                        if answer.status < 500:
                            self._answered(one, fate, answer.status, forged)
                            return
                await asyncio.sleep(REPEAT_S)

    def _answered(self, one: Taken, fate: str, status: int, forged: bool) -> None:
        if forged:
            self._ledger.forged[status] += 1
            return
        self._ledger.answers[status] += 1
        self._ledger.reported[one.message_id] = fate == "delivered"


def by_form(one: Taken, fate: str, *, forged: bool) -> tuple[Mapping[str, str], bytes]:
    """A report of the provider that posts forms: headers and body; a stranger has another secret."""
    fields = {"MessageSid": "SM1", "MessageStatus": fate, "To": one.recipient}
    signed = one.report_url + "".join(name + fields[name] for name in sorted(fields))
    secret = "a stranger's" if forged else FORM_SECRET
    signature = b64encode(hmac.digest(secret.encode(), signed.encode(), "sha1")).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    return headers, urlencode(fields).encode()


def by_json(one: Taken, fate: str, *, forged: bool) -> tuple[Mapping[str, str], bytes]:
    """The same of the provider that speaks JSON, signed as Standard Webhooks says."""
    body = json.dumps({"id": one.message_id, "status": fate}).encode()
    at = str(int(datetime.now(UTC).timestamp()))
    signed = b"%s.%s.%s" % (one.message_id.encode(), at.encode(), body)
    key = b"s" * 32 if forged else REPORT_KEY
    headers = {
        "Content-Type": "application/json",
        "webhook-id": one.message_id,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode(),
    }
    return headers, body


def providers_file(directory: Path, url: str) -> Path:
    """The notifier's file of providers for a simulator at this address, readable by its owner only."""
    path, key = directory / "providers.yaml", b64encode(REPORT_KEY).decode()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(f"""
providers:
  first: {{wire: form, url: "{url}/form", username: {FORM_USER}, secret: {FORM_SECRET}}}
  second: {{wire: json, url: "{url}/json", secret: secret-of-json, report_secret: "whsec_{key}"}}
""")
    return path


async def main() -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    seed = int(os.environ.get("SERVICE_CHECK_SEED", "1"))
    share = int(os.environ.get("SERVICE_CHECK_FAULTS_PERCENT", "30")) / 100
    ledger = Ledger()
    mail = Mail(noted(by_seed(seed, MAIL_FAULTS, share), ledger.fared), ledger)
    chance = random.Random(seed + 2)  # noqa: S311 - a script, the same for the same seed
    sms = Sms(noted(by_seed(seed + 1, SMS_FAULTS, share), ledger.fared), ledger, chance)
    async with serving_mail(mail) as ledger.mail_port, sms.open():
        print(json.dumps({"urls": [f"http://{HOST}:{sms.port}"]}), flush=True)
        await stopping.wait()


if __name__ == "__main__":
    asyncio.run(main())
