"""Providers of messages on this machine that fare as a script or a seed says: for the demo and the tests.

Each listens on a free port of the loopback address, in the event loop that opens it.
"""

from __future__ import annotations

import asyncio
import random
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from pydantic_core import from_json

#: How long a provider that never answers keeps a caller; every caller gives up before.
NEVER_S = 600
#: Messages kept; none of our runs sends more.
MESSAGES_MAX = 100_000
HOST = "127.0.0.1"


# Mail ----------------------------------------------------------------------------------------------

#: Keeps the letter, says nothing more, and hangs up.
HANGS_UP = "hangs up"
#: The same without keeping it; at another step, in place of its answer.
LOSES = "loses it and hangs up"
#: A letter with its pictures; the standard library's own bound is a tenth of that.
LETTER_BYTES_MAX = 1024 * 1024
HELLO = "250-mail.example\r\n250-8BITMIME\r\n250 SMTPUTF8"
#: What a server answers that takes every letter; "" is no answer at all.
YES = {
    "greeting": "220 ready",
    "EHLO": HELLO,
    "DATA": "354 go on",
    "body": "250 kept",
    "QUIT": "221 bye",
}
#: How a mail server may fare with one caller: its answers that differ from `YES`.
MAIL: Mapping[str, Mapping[str, str]] = {
    "taken": {},
    "421 at once": {"greeting": "421 come later"},
    "451 for the address": {"RCPT": "451 4.3.0 later"},
    "greylisted": {"RCPT": "450 4.2.0 greylisted, come again"},
    "550 no such address": {"RCPT": "550 5.1.1 no such user"},
    "554 for the letter": {"body": "554 5.6.0 not like this"},
    "STARTTLS refused": {
        "EHLO": "250-mail.example\r\n250-8BITMIME\r\n250 STARTTLS",
        "STARTTLS": "454 4.7.0 TLS not available",
    },
    "silent after the letter": {"body": HANGS_UP},
    "loses the letter": {"body": LOSES},
    "never answers the letter": {"body": ""},
}


class ScriptedMail:
    """A mail server that answers each step as it is told, and keeps what it heard.

    With a `script` it fares with each letter as that says, one name of `MAIL` per letter, and takes every letter
    after that.
    """

    def __init__(self, script: Iterator[str] | Sequence[str] = (), **answers: str) -> None:
        self.heard: list[str] = []
        self.bodies: list[bytes] = []
        self.talks: list[asyncio.Task[None]] = []
        self._callers: list[asyncio.StreamWriter] = []
        self._script = iter(script)
        self._answers = {**YES, **answers}

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one caller."""
        self.talks.append(asyncio.create_task(self._talk(reader, writer)))
        self._callers.append(writer)

    def hang_up(self) -> None:
        """End every conversation, also those that wait for a letter."""
        for caller in self._callers:
            caller.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, letters = self._fares(), 0
        # A caller may end in the middle of a letter, which then is none.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._say(writer, answers["greeting"])
            while line := (await reader.readline()).decode().strip():
                self.hear(line)
                verb = line.split()[0].upper()
                if verb == "MAIL" and letters:
                    answers = self._fares()
                    if any(answers[step] != self._answers[step] for step in ("greeting", "EHLO")):
                        # The caller was greeted before.
                        await self._say(writer, "421 come later")
                        break
                if answers.get(verb) == LOSES:
                    break
                await self._say(writer, answers.get(verb, "250 ok"))
                if verb == "DATA" and answers["DATA"].startswith("354"):
                    body = await reader.readuntil(b"\r\n.\r\n")
                    fate, letters = answers["body"], letters + 1
                    if fate != LOSES and not fate.startswith(("4", "5")):
                        self.keep(body)
                    if fate in (HANGS_UP, LOSES):
                        break
                    await self._say(writer, fate)
                if verb == "QUIT":
                    break
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    def _fares(self) -> Mapping[str, str]:
        """The answers to the next letter."""
        return {**self._answers, **MAIL[next(self._script, "taken")]}

    def hear(self, line: str) -> None:
        """Keep a command."""
        self.heard.append(line)

    def keep(self, body: bytes) -> None:
        """Keep a letter."""
        self.bodies.append(body)

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, answer: str) -> None:
        if answer:
            writer.write(answer.encode() + b"\r\n")
            await writer.drain()


@asynccontextmanager
async def serving_mail(server: ScriptedMail) -> AsyncIterator[int]:
    """The server, listening: its port."""
    listening = await asyncio.start_server(server.serve, HOST, 0, limit=LETTER_BYTES_MAX)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await asyncio.gather(*server.talks)


# Text messages -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answers; `taken` is whether it has the message then."""

    status: int
    body: Mapping[str, Any] | str
    taken: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    waits_s: float = 0


def _answers(
    yes: Mapping[str, Any], no: Callable[[int | str], Any], number: int | str, other: int | str
) -> Mapping[str, Answer]:
    """The answers of one wire format, by name: its yes, and its no for a wrong number and for another reason."""
    return {
        "taken": Answer(201, yes, taken=True),
        "no such number": Answer(400, no(number), taken=False),
        "200 with a wrong number": Answer(200, no(number), taken=False),
        "200 with an error": Answer(200, no(other), taken=False),
        "401": Answer(401, no(other), taken=False),
        "429": Answer(429, {}, taken=False, headers={"Retry-After": "120"}),
        "429 for a moment": Answer(429, {}, taken=False, headers={"Retry-After": "2"}),
        "500": Answer(500, "oops", taken=False),
        "503": Answer(503, {}, taken=False),
        "504": Answer(504, "", taken=True),
        "200 in another language": Answer(200, "<html>", taken=True),
        "redirect": Answer(307, "", taken=False, headers={"Location": "http://127.0.0.1:1/"}),
        "never": Answer(201, yes, taken=True, waits_s=NEVER_S),
        "hangs up": Answer(0, "", taken=True),
    }


FORM = _answers(
    {"sid": "SM1", "status": "queued", "error_code": None},
    lambda code: {"code": code, "error_code": code, "message": "no", "status": "failed"},
    21211,
    20003,
)
JSON = _answers(
    {"status": "accepted"}, lambda code: {"error": {"code": code}}, "invalid_recipient", "no_credit"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One text message as it arrived."""

    message_id: str
    recipient: str
    sender: str
    text: str
    report_url: str


class ScriptedSms:
    """A provider of text messages in both wire formats: `/form` and `/json`.

    It fares as `script` says, one name of an answer per message, and takes every message after that. A
    message whose id it has already is not sent twice.
    """

    def __init__(self, script: Iterator[str] | Sequence[str] = ()) -> None:
        self.script = iter(script)
        #: What it sent to telephones, once per id.
        self.sent: dict[str, Taken] = {}
        #: How often it was asked, and with which credentials.
        self.asked: list[str] = []
        self.port = 0
        self._ended = asyncio.Event()

    async def form(self, request: web.Request) -> web.StreamResponse:
        """A form post."""
        told = {name: values[0] for name, values in parse_qs(await request.text()).items()}
        who = b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        one = Taken(
            request.headers["Idempotency-Key"],
            told["To"],
            told.get("From", ""),
            told["Body"],
            told["StatusCallback"],
        )
        return await self._answer(request, who, one, FORM)

    async def json(self, request: web.Request) -> web.StreamResponse:
        """A post of JSON."""
        told = from_json(await request.read())
        one = Taken(told["id"], told["to"], told["from"] or "", told["text"], told["report_url"])
        who = request.headers["Authorization"].removeprefix("Bearer ")
        return await self._answer(request, who, one, JSON)

    async def _answer(
        self, request: web.Request, who: str, one: Taken, answers: Mapping[str, Answer]
    ) -> web.StreamResponse:
        self.asked.append(who)
        answer = answers[next(self.script, "taken")]
        if answer.taken and one.message_id not in self.sent and len(self.sent) < MESSAGES_MAX:
            self.sent[one.message_id] = one
            self.send(one)
        if answer.waits_s:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), answer.waits_s)
        if not answer.status:
            assert request.transport is not None
            request.transport.close()
        if isinstance(answer.body, str):
            return web.Response(
                status=answer.status or 200, text=answer.body, headers=answer.headers
            )
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    def send(self, one: Taken) -> None:
        """Send a message to its telephone: nothing more here."""

    def routes(self) -> list[web.RouteDef]:
        """One per wire format."""
        return [web.post("/form", self.form), web.post("/json", self.json)]

    def url(self, wire: str) -> str:
        """Where a wire format is taken."""
        return f"http://{HOST}:{self.port}/{wire}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedSms]:
        """Listen until the end of the block; callers that wait are let go then."""
        app = web.Application()
        app.add_routes(self.routes())
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            self._ended.set()
            await runner.cleanup()


def by_seed(seed: int, faults: Sequence[str], share: float) -> Iterator[str]:
    """A script without end: a fault for this share of the messages, else "taken"."""
    chance = random.Random(seed)  # noqa: S311 - a script, the same for the same seed
    while True:
        yield chance.choice(faults) if chance.random() < share else "taken"
