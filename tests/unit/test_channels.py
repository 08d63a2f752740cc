"""Every adapter keeps what the port promises, providers are chosen in order, and texts fit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from devstack.providers import ScriptedSms
from services.notifier.channels import sms
from services.notifier.channels.ports import Letter
from services.notifier.channels.providers import (
    FAILURES_MAX,
    PAUSE,
    Breaker,
    Providers,
    chosen,
    fared,
)
from services.notifier.channels.sms import SmsChannel
from services.notifier.channels.text import CUT, fitted, segments
from services.notifier.channels.wires import FormWire, JsonWire
from services.notifier.messages.rules import ATTEMPT_LASTS
from shared.contracts.intake import MessageChannel, e164
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.testing.clock import START, Clock
from tests.suites.channels import ADAPTERS, CASES, MESSAGE_ID, SMS, Adapter

AWAY = Later(Reason.SMS_UNAVAILABLE)


def by_name(adapter: Any) -> str:
    return adapter.name if isinstance(adapter, Adapter) else str(adapter)


# ---- the suite that every adapter passes ---------------------------------------------------------


@pytest.mark.parametrize(("adapter", "fares"), CASES, ids=by_name)
async def test_a_provider_that_fares_so_has_the_outcome_that_is_promised(
    monkeypatch, adapter, fares
):
    """Cases 39 and 40 of the faults: also an error inside of a 200."""
    if fares == "never":
        monkeypatch.setattr(sms, "SMS_TIMEOUT_S", 0.5)
    async with adapter.serves(fares) as (channel, has):
        with capture_logs() as logs:
            outcome = await channel.send(adapter.letter)
        assert outcome == adapter.promises[fares]
        assert len(has()) <= 1
        assert (has() == [MESSAGE_ID]) is (fares == "taken" or fares in adapter.may_have)
    for secret in (adapter.letter.recipient, "secret-of", MESSAGE_ID):
        assert secret not in repr(logs)


async def test_api10_a_provider_that_answers_without_end_is_left_and_the_fate_is_unknown(
    monkeypatch,
):
    """OWASP API10: it says yes, and then never stops."""
    told = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal told
        answer = web.StreamResponse(status=201)
        await answer.prepare(request)
        with suppress(ConnectionError):
            while told < 1024 * sms.ANSWER_BYTES_MAX:
                await answer.write(b" " * sms.CHUNK_BYTES)
                told += sms.CHUNK_BYTES
        return answer

    app = web.Application()
    app.router.add_post("/form", endless)
    async with TestServer(app) as server:
        wire = FormWire("AC1", "secret-of-form")
        channel = SmsChannel(
            "first", str(server.make_url("/form")), wire, "https://a.example/", Clock()
        )
        assert await channel.send(SMS) == Unknown()
    assert told < 1024 * sms.ANSWER_BYTES_MAX


@pytest.mark.parametrize("adapter", ADAPTERS, ids=by_name)
async def test_what_is_no_address_of_the_channel_is_refused_before_anybody_is_asked(adapter):
    async with adapter.serves("taken") as (channel, has):
        outcome = await channel.send(replace(adapter.letter, recipient=adapter.no_address))
        assert outcome == Never(Reason.ADDRESS_REFUSED)
        assert has() == []


@pytest.mark.parametrize("adapter", ADAPTERS, ids=by_name)
async def test_a_provider_that_is_not_there_is_asked_again_later(adapter):
    async with adapter.serves("taken") as (channel, has):
        pass
    assert isinstance(await channel.send(adapter.letter), Later)
    assert has() == []


@pytest.mark.parametrize("adapter", ADAPTERS[1:], ids=by_name)
async def test_a_repeat_has_the_same_id_so_that_the_provider_sends_it_once(adapter):
    async with adapter.serves("taken") as (channel, has):
        assert [await channel.send(adapter.letter) for _ in range(3)] == [Delivered()] * 3
        assert has() == [MESSAGE_ID]


def test_a_text_message_is_given_up_before_others_may_try():
    assert sms.SMS_TIMEOUT_S < ATTEMPT_LASTS.total_seconds()


FORM, JSON = FormWire("AC1", "token"), JsonWire("token", b"k" * 32)
FAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


@pytest.mark.parametrize(
    ("wire", "status", "body", "wanted"),
    [
        (FORM, 200, b'{"status":["queued"]}', Unknown()),
        (FORM, 201, b'{"sid":"SM1","status":{"is":"queued"}}', Delivered()),
        (FORM, 200, b'{"error_code":{"code":21211}}', AWAY),
        (FORM, 400, b'{"code":[21211]}', AWAY),
        (FORM, 200, b'{"code":21211}', Never(Reason.ADDRESS_REFUSED)),
        (FORM, 503, b"[" * 50_000, AWAY),
        (JSON, 200, b'{"status":["accepted"]}', Unknown()),
        (JSON, 200, b'{"error":[{"code":"unreachable"}]}', AWAY),
        (JSON, 400, b'{"error":{"code":{}}}', AWAY),
    ],
)
def test_api10_an_answer_of_odd_types_has_an_outcome(wire, status, body, wanted):
    """OWASP API10: a year of twenty digits is no date either."""
    assert wire.outcome(status, {"retry-after": FAR}, body, START) == wanted


async def test_a_provider_is_told_number_words_link_and_where_to_report():
    async with ScriptedSms().open() as server:
        wire = FormWire("AC1", "token")
        channel = SmsChannel("first", server.url("form"), wire, "https://a.example/r", Clock())
        assert await channel.send(SMS) == Delivered()
    taken = server.sent[MESSAGE_ID]
    assert (taken.recipient, taken.sender) == ("+4740000000", "Aurora")
    assert taken.text == "Aurora: We have your message. https://aurora.example/f/token"
    assert taken.report_url == f"https://a.example/r?message={MESSAGE_ID}"
    assert server.asked == ["AC1:token"]


# ---- providers and their breakers ----------------------------------------------------------------


def test_each_failed_attempt_moves_on_to_the_next_provider_and_round_again():
    order = ["a", "b", "c"]
    assert [chosen(order, attempts, order) for attempts in range(4)] == ["a", "b", "c", "a"]
    assert chosen([], 0, []) is None


def test_an_attempt_of_unknown_fate_is_repeated_with_its_own_provider():
    """No other one recognises the repeat by its id."""
    assert chosen(["a", "b"], 1, ["b"], unknown="a") == "a"
    assert chosen(["b"], 1, ["b"], unknown="a") == "b"


def test_a_provider_that_failed_five_times_in_a_row_is_left_alone_for_a_while():
    breaker = Breaker()
    for _ in range(FAILURES_MAX - 1):
        breaker = fared(breaker, AWAY, START)
    assert breaker.closed(START)
    breaker = fared(breaker, Unknown(), START)
    assert not breaker.closed(START + PAUSE - timedelta(milliseconds=1))
    assert chosen(["a", "b"], 0, ["b"]) == "b"
    assert breaker.closed(START + PAUSE)
    again = fared(breaker, AWAY, START + PAUSE)
    assert not again.closed(START + PAUSE)
    for answer in (Delivered(), Never(Reason.ADDRESS_REFUSED)):
        assert fared(breaker, answer, START) == Breaker()


def test_where_all_are_left_alone_the_next_in_order_is_asked_all_the_same():
    assert chosen(["a", "b"], 1, []) == "b"


class Answering:
    """A provider that answers as it is told."""

    name, channel = "first", MessageChannel.SMS

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = iter(outcomes)

    async def send(self, _letter: Letter) -> Outcome:
        return next(self._outcomes)


async def test_an_operator_sees_once_that_a_provider_fails_and_why_and_that_it_works_again():
    refused = Later(Reason.SMS_UNAVAILABLE, said="HTTP 401")
    answers = [refused] * (FAILURES_MAX + 2) + [Delivered()]
    providers = Providers([Answering(*answers)], Clock())
    letter = Letter("me-1", "", "", "", "", provider="first")
    shown = []
    with capture_logs() as logs:
        for _ in answers:
            await providers.send(letter)
            shown.append(REGISTRY.get_sample_value("provider_open", {"provider": "first"}))
    assert shown == [0] * (FAILURES_MAX - 1) + [1] * 3 + [0]
    told = [(line["event"], line["provider"], line.get("said")) for line in logs]
    assert told == [
        ("provider_left_alone", "first", "HTTP 401"),
        ("provider_works_again", "first", None),
    ]


async def test_a_refusal_says_which_status_it_had():
    """Wrong credentials are the operator's to mend, and nothing else says that it is them."""

    async def unknown_to_us(_: web.Request) -> web.Response:
        return web.json_response({"code": 20003, "message": "Authenticate"}, status=401)

    app = web.Application()
    app.router.add_post("/form", unknown_to_us)
    async with TestServer(app) as server:
        url = str(server.make_url("/form"))
        outcome = await SmsChannel("first", url, FORM, "https://a.example/", Clock()).send(SMS)
    assert isinstance(outcome, Later)
    assert outcome.said == "HTTP 401"


# ---- texts and numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("å" * 160, 1),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 76 + "a" + "€" * 76, 2),
        ("€" * 153, 3),
        ("ş" * 70, 1),
        ("ş" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),
    ],
)
def test_segments_are_counted_as_networks_count_them(text, count):
    assert segments(text) == count


LINK = "https://service.aurora.example/f/" + "abcDEF-_09" * 12


@given(st.text(max_size=6000), st.sampled_from(["", LINK]), st.integers(2, 10))
def test_a_text_never_takes_more_segments_than_allowed_and_its_link_is_whole(words, link, most):
    """Case 102: five thousand emoji too."""
    text = fitted(words, link, most)
    assert segments(text) <= most
    assert text.endswith(link)
    assert "\n" not in text
    assert "\r" not in text


def test_five_thousand_emoji_are_cut_and_the_link_is_whole():
    text = fitted("😀" * 5000, LINK, 4)
    assert segments(text) <= 4
    assert text.endswith(f"{CUT} {LINK}")


def test_words_are_cut_at_a_blank_and_it_is_shown():
    assert fitted("word " * 100, "", 2).endswith(f"word{CUT}")


def test_a_link_that_takes_more_than_is_allowed_is_not_cut():
    link = "https://a.example/" + "x" * 400
    assert fitted("Words", link, 2) == link


@pytest.mark.parametrize(
    ("phone", "code", "number"),
    [
        ("+47 400 00 000", None, "+4740000000"),
        ("0047 (400) 00-000", None, "+4740000000"),
        ("400 00 000", "47", "+4740000000"),
        ("070-123 45 67", "46", "+46701234567"),
        ("400 00 000", None, None),
        ("+0 400 00 000", "47", None),
        ("+47 12", "47", None),
        ("+" + "1" * 16, None, None),
        ("()()", "47", None),
    ],
)
def test_a_number_is_written_as_networks_take_it_or_it_is_none(phone, code, number):
    assert e164(phone, code) == number
