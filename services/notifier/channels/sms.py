"""Text messages over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from ssl import SSLContext
from urllib.parse import urlencode

import aiohttp

from services.notifier.channels.ports import Letter
from services.notifier.channels.text import fitted
from services.notifier.channels.wires import MESSAGE, Sms, Wire
from shared.contracts.intake import E164, MessageChannel
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Later, Never, Outcome, Unknown
from shared.runtime.observe import log

#: Timeout to reach a provider; nothing was sent before.
CONNECT_TIMEOUT_S = 5
#: Timeout for the whole request, less than `ATTEMPT_LASTS`, after which another process may try.
SMS_TIMEOUT_S = 20
#: Providers answer with less than a thousand bytes.
ANSWER_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 8 * 1024


class SmsChannel:
    """`Channel` over a provider's HTTP interface, one connection per message; redirects are not followed."""

    channel = MessageChannel.SMS

    def __init__(
        self,
        name: str,
        url: str,
        wire: Wire,
        report_url: str,
        now: Callable[[], datetime],
        tls: SSLContext | None = None,
    ) -> None:
        """`report_url` is where the provider reports deliveries; the message is added to it."""
        self.name = name
        self._url = url
        self._wire = wire
        self._report_url = report_url
        self._now = now
        self._tls = tls

    async def send(self, letter: Letter) -> Outcome:
        """See Channel."""
        if not E164.fullmatch(letter.recipient):
            return Never(Reason.ADDRESS_REFUSED)
        text = fitted(letter.short, letter.link, letter.segments_max)
        report_url = f"{self._report_url}?{urlencode({MESSAGE: letter.message_id})}"
        sms = Sms(letter.message_id, letter.sender or None, letter.recipient, text, report_url)
        try:
            async with asyncio.timeout(SMS_TIMEOUT_S):
                return await self._asked(sms)
        # It was not reached, so that it has nothing.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            log.warning("sms_waits", provider=self.name, error=type(error).__name__)
            return Later(Reason.SMS_UNAVAILABLE, said=type(error).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("sms_unknown", provider=self.name, error=type(error).__name__)
            return Unknown(said=type(error).__name__)

    async def close(self) -> None:
        """See Channel; nothing is open between messages."""

    async def _asked(self, sms: Sms) -> Outcome:
        ask = self._wire.asks(sms)
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S)
        tls = True if self._tls is None else self._tls
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                self._url, data=ask.body, headers=ask.headers, ssl=tls, allow_redirects=False
            ) as answer,
        ):
            body, said = bytearray(), f"HTTP {answer.status}"
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    return Unknown(said=said)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            outcome = self._wire.outcome(answer.status, headers, bytes(body), self._now())
            return replace(outcome, said=said) if isinstance(outcome, Later | Unknown) else outcome
