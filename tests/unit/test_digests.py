"""Many messages of a day to one customer: what can wait goes together the next day, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import ValidationError

from services.notifier.channels.text import CUT, fitted, segments
from services.notifier.digests.rules import (
    DIGEST_MESSAGES_MAX,
    Digest,
    digest_id_of,
    goes_at,
    join,
)
from services.notifier.messages.rules import SEND, Message, State
from services.notifier.preferences.quiet import CRITICAL, keeps_promise
from services.notifier.subjects.rules import Story
from services.notifier.wording.examples import example, written
from services.notifier.wording.occasions import OCCASIONS
from services.notifier.wording.wording import (
    IN_FULL_CHARS_MAX,
    LINE_CHARS_MAX,
    Rendered,
    Wording,
)
from shared.contracts.complaints import Language
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import (
    MessageAttempted,
    MessageBounced,
    MessageDeferred,
    MessageDelivered,
    MessageFailed,
    MessageQueued,
    MessageSent,
    Occasion,
)
from shared.contracts.reasons import Reason
from shared.runtime.engine.effects import Effects
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mail.mailbox import RawMail
from shared.runtime.privacy.links import PREFERENCES, Tokens
from shared.runtime.words import say
from shared.testing.clock import START
from tests.suites.services import Aboard, Silence, YieldingStore, demo_policy
from tests.unit.test_bounces import returned
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import changed, english, fates, flat, last, settled
from tests.unit.test_receipts import KARI

OSLO = ZoneInfo("Europe/Oslo")
#: An acknowledgement and one fix, and the day's messages of the tests are used up.
PER_DAY = 2
#: Gmail cuts off what is longer.
GMAIL_SHOWS_BYTES = 102 * 1024
FIXES = ("bring-fan", "clean-again", "move-room", "correct-bill")


async def busy(
    tmp_path: Path,
    fixes: Sequence[str] = FIXES,
    returned_mail: Path | None = None,
    **notify: Any,
) -> tuple[Aboard, str]:
    """A complaint with more news than the day takes."""
    policy = changed(per_day=PER_DAY, **notify)
    aboard = await Aboard(tmp_path, policy, returned_mail=returned_mail).begin()
    name = await english(aboard)
    for fix in fixes:
        await do(aboard, name, "fix", fix=fix)
        aboard.later(minutes=2)
        await settled(aboard)
    return aboard, name


async def next_day(aboard: Aboard) -> None:
    """It is the time of the digest."""
    aboard.clock.moment = goes_at(time(9), OSLO, aboard.clock())
    await settled(aboard)


async def of(aboard: Aboard, fact: type) -> list[dict[str, Any]]:
    return [one for one in await aboard.facts("notifier") if one["type"] == fact.TYPE]  # type: ignore[attr-defined]


def title(fix: str) -> str:
    told = demo_policy().fixes[fix]
    return (told.done or told.title)[Language.EN]


async def test_what_a_day_takes_goes_one_by_one_and_the_rest_together_the_next_day(tmp_path: Path):
    """Case 44."""
    aboard, _ = await busy(tmp_path)
    assert len(aboard.postbox.letters) == PER_DAY
    waits = await of(aboard, MessageDeferred)
    assert [one["reason"] for one in waits] == [Reason.ENOUGH_TODAY] * 3
    assert len({one["digest_id"] for one in waits}) == 1
    await next_day(aboard)
    assert len(aboard.postbox.letters) == PER_DAY + 1
    assert all(title(fix) in flat(last(aboard)) for fix in FIXES[1:])
    assert title(FIXES[0]) not in flat(last(aboard))
    sent = [one for one in await of(aboard, MessageSent) if one["occasion"] == Occasion.FIX_DONE]
    assert [one.get("in_digest") for one in sent] == [None] + [last(aboard).message_id] * 3
    found = await fates(aboard)
    assert found[Occasion.FIX_DONE] == ["sent"] * 4
    assert found[Occasion.DIGEST] == ["sent"]


async def test_the_next_day_begins_to_count_anew(tmp_path: Path):
    aboard, name = await busy(tmp_path)
    await next_day(aboard)
    await do(aboard, name, "fix", fix="talk-to-neighbours")
    aboard.later(minutes=2)
    await settled(aboard)
    assert title("talk-to-neighbours") in flat(last(aboard))


async def test_what_cannot_wait_goes_at_once_however_much_was_told(tmp_path: Path):
    """Case 44: a question, a check with its code, an answer to what the customer did."""
    aboard, name = await busy(tmp_path)
    letters = len(aboard.postbox.letters)
    await do(aboard, name, "ask", question="Which lift was it?")
    await settled(aboard)
    assert len(aboard.postbox.letters) == letters + 1
    assert "Which lift was it?" in last(aboard).body


async def test_an_answer_waits_for_no_digest_that_would_go_after_its_promise(tmp_path: Path):
    aboard, name = await busy(tmp_path)
    letters = len(aboard.postbox.letters)
    await do(aboard, name, "resolve", outcome="fixed", note="All is well.")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"]
    assert len(aboard.postbox.letters) == letters + 1
    (attempted,) = [
        one
        for one in await of(aboard, MessageAttempted)
        if one["occasion"] == Occasion.RESOLUTION_TOLD
    ]
    assert any(one.startswith("letters/customer/") for one in attempted["counted"])


async def test_an_answer_waits_for_no_digest_that_the_sites_quiet_hours_keep_back_beyond_its_promise(
    tmp_path: Path,
):
    """The digest is for three o'clock and goes at five, and the promise is for half past three."""
    night = {"starts": "02:00", "ends": "05:00"}
    policy = changed(per_day=PER_DAY, digest_at="03:00", quiet_hours=night)
    aboard = await Aboard(tmp_path, policy).begin()
    aboard.later(hours=7, minutes=30)
    name = await english(aboard)
    for fix in FIXES[:3]:
        await do(aboard, name, "fix", fix=fix)
        aboard.later(minutes=2)
        await settled(aboard)
    await do(aboard, name, "resolve", outcome="fixed", note="All is well.")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"]


@pytest.mark.parametrize(
    ("occasion", "hours", "state", "at_once"),
    [
        (Occasion.RESOLUTION_TOLD, 7, "resolution_recorded", True),
        (Occasion.RESOLUTION_TOLD, -1, "resolution_recorded", True),
        (Occasion.RESOLUTION_TOLD, 9, "resolution_recorded", False),
        (Occasion.RESOLUTION_TOLD, None, "resolution_recorded", False),
        (Occasion.REFERRED, 7, "referred_external", True),
        (Occasion.CLOSED, 7, "not_a_complaint", True),
        (Occasion.CLOSED, -1, "closed_no_response", False),
        (Occasion.FIX_DONE, 7, "claimed", False),
    ],
)
def test_only_the_answer_to_a_promise_that_would_be_broken_meanwhile_does_not_wait(
    occasion: Occasion, hours: int | None, state: str, at_once: bool
):
    by = None if hours is None else START + timedelta(hours=hours)
    told = {"customer_ref": "cu-1", "site": "s", "language": "en", "state": state}
    story = Story.model_validate({**told, "promised_by": by})
    assert keeps_promise(occasion, story, START + timedelta(hours=8)) is at_once
    assert not keeps_promise(occasion, None, START)


async def test_a_message_that_is_not_true_any_more_is_left_out_and_says_so(tmp_path: Path):
    aboard, name = await busy(tmp_path, FIXES[:3])
    await do(aboard, name, "resolve", outcome="fixed", note="All is well.")
    await settled(aboard)
    await next_day(aboard)
    assert "All is well." in flat(last(aboard))
    assert title(FIXES[1]) not in flat(last(aboard))
    found = await fates(aboard)
    assert found[Occasion.FIX_DONE] == ["sent", Reason.NO_LONGER_TRUE, Reason.NO_LONGER_TRUE]
    assert found[Occasion.RESOLUTION_TOLD] == ["sent"]


async def test_a_digest_with_nothing_left_to_say_does_not_go(tmp_path: Path):
    aboard, name = await busy(tmp_path, FIXES[:2])
    await do(aboard, name, "withdraw")
    await settled(aboard)
    letters = len(aboard.postbox.letters)
    for one in await of(aboard, MessageDeferred):
        assert one["occasion"] in (Occasion.FIX_DONE, Occasion.CLOSED)
    await next_day(aboard)
    found = await fates(aboard)
    assert found[Occasion.FIX_DONE] == ["sent", Reason.NO_LONGER_TRUE]
    assert len(aboard.postbox.letters) == letters + 1  # that it was closed
    assert "queued" not in {fate for of_one in found.values() for fate in of_one}


async def test_messages_share_the_fate_of_their_digest(tmp_path: Path):
    """A digest that cannot be delivered loses nothing silently: every message in it has failed, and may be sent again."""
    policy: dict[str, Any] = {"retry": {"first_delay": "PT2S", "attempts_max": 1}}
    aboard, _ = await busy(tmp_path, **policy)
    aboard.postbox.failures.append(Unavailable(Reason.MAIL_UNAVAILABLE))
    await next_day(aboard)
    found = await fates(aboard)
    assert found[Occasion.DIGEST] == [Reason.MAIL_UNAVAILABLE]
    assert found[Occasion.FIX_DONE] == ["sent"] + [Reason.MAIL_UNAVAILABLE] * 3
    failed = [
        one for one in await of(aboard, MessageFailed) if one["occasion"] == Occasion.FIX_DONE
    ]
    bearer = aboard.bearer("m-hotel", "manager")
    async with aboard.http("notifier", bearer) as manager:
        for number, one in enumerate(failed):
            again = await manager.post(
                f"/v1/notifications/{one['message_id']}/resend",
                headers={"Idempotency-Key": f"again-{number}"},
            )
            assert again.status_code == 201
        (digest,) = [
            one for one in await of(aboard, MessageQueued) if one["occasion"] == Occasion.DIGEST
        ]
        refused = await manager.post(
            f"/v1/notifications/{digest['message_id']}/resend", headers={"Idempotency-Key": "d-1"}
        )
        assert refused.json()["type"].endswith(Reason.NOT_FAILED)


def mailbox(tmp_path: Path) -> Path:
    """The file of a mailbox for returned mail."""
    accounts, password = tmp_path / "accounts.yaml", tmp_path / "password"
    password.write_text("secret")
    account = {"host": "imap.invalid", "username": "r", "password_file": str(password)}
    accounts.write_text(yaml.safe_dump({"accounts": {"returns": account}}))
    return accounts


@pytest.mark.parametrize("reports", [["delivered", "delivered"], ["failed", "delivered"]])
async def test_the_messages_of_a_digest_are_delivered_with_it(tmp_path: Path, reports: list[str]):
    """Also where it was reported to have come back before."""
    aboard, name = await busy(tmp_path, returned_mail=mailbox(tmp_path), channels=["email"])
    await next_day(aboard)
    digest = last(aboard).message_id
    take = aboard.apps["notifier"].beside_stream["mail"].__self__._take
    for action in reports:
        status = "2.1.5" if action == "delivered" else "5.1.1"
        await take("returns", RawMail(returned(message_id=digest, action=action, status=status)))
    reported = await of(aboard, MessageDelivered)
    assert [one["occasion"] for one in reported] == ["digest"] + ["fix_done"] * 3
    async with aboard.http("notifier", aboard.bearer("m-1", "manager")) as manager:
        shown = await manager.get("/v1/notifications", params={"subject": name})
    fixes = [one for one in shown.json()["notifications"] if one["occasion"] == "fix_done"]
    assert [one["status"] for one in fixes] == ["sent"] + ["delivered"] * 3


@pytest.mark.parametrize("comes_back", [False, True], ids=["is refused", "comes back"])
async def test_a_digest_of_two_complaints_goes_on_as_a_text_message_for_each(
    tmp_path: Path, comes_back: bool
):
    """A text has one link, and each complaint a page of its own."""
    policy = changed(
        per_day=PER_DAY, channels=["email", "sms"], calling_code="47", sms_from="Aurora"
    )
    aboard = await Aboard(tmp_path, policy, returned_mail=mailbox(tmp_path)).begin()
    names = []
    for offset, text in enumerate(("The soup was a bit salty.", "Our cabin is too hot.")):
        names.append(await aboard.raise_complaint(offset, text=text, contact=KARI, language="en"))
        await settled(aboard)
    for name in names:
        for fix in FIXES[:2]:
            await do(aboard, name, "fix", fix=fix)
            aboard.later(minutes=2)
            await settled(aboard)
    if not comes_back:
        aboard.postbox.failures.append(Rejected(Reason.ADDRESS_REFUSED))
    await next_day(aboard)
    if comes_back:
        take = aboard.apps["notifier"].beside_stream["mail"].__self__._take
        await take("returns", RawMail(returned(message_id=last(aboard).message_id)))
        await settled(aboard)
    links = [letter.link for letter in aboard.phone.letters]
    assert len(links) == len(set(links)) == 2
    assert (await fates(aboard))[Occasion.FIX_DONE] == ["sent"] * 4
    waits = await of(aboard, MessageDeferred)
    assert {one["complaint_id"] for one in waits} == {*names}


async def test_the_messages_of_a_digest_that_comes_back_have_failed(tmp_path: Path):
    """It was accepted, so they were sent; who looks at them must see that the customer has none of them."""
    aboard, name = await busy(tmp_path, returned_mail=mailbox(tmp_path), channels=["email"])
    await next_day(aboard)
    async with aboard.http("notifier") as phone:
        said = await phone.post(
            "/v1/notifications/said",
            json={"complaint_id": name, "occasion": "fix_done"},
            headers={"Idempotency-Key": "said"},
        )
        assert said.status_code == 200, said.text
    (digest,) = [
        one for one in await of(aboard, MessageQueued) if one["occasion"] == Occasion.DIGEST
    ]
    take = aboard.apps["notifier"].beside_stream["mail"].__self__._take
    for _ in range(2):
        await take("returns", RawMail(returned(message_id=digest["message_id"])))
    came_back = await of(aboard, MessageBounced)
    assert [one["occasion"] for one in came_back] == ["digest", "fix_done", "fix_done"]
    assert said.json()["message_id"] not in {one["message_id"] for one in came_back}
    async with aboard.http("notifier", aboard.bearer("m-hotel", "manager")) as manager:
        again = await manager.post(
            f"/v1/notifications/{came_back[-1]['message_id']}/resend",
            headers={"Idempotency-Key": "again"},
        )
        assert again.status_code == 201, again.text


async def test_a_digest_of_unknown_fate_is_repeated_once_and_each_message_is_sent_once(
    tmp_path: Path,
):
    aboard, _ = await busy(tmp_path)
    aboard.postbox.failures.append(Silence())
    await next_day(aboard)
    assert (await fates(aboard))[Occasion.FIX_DONE].count("queued") == 3
    aboard.later(minutes=2)
    await settled(aboard)
    sent = [one["message_id"] for one in await of(aboard, MessageSent)]
    assert len(sent) == len(set(sent)) == PER_DAY + 1 + 3
    assert len({letter.message_id for letter in aboard.postbox.letters}) == PER_DAY + 1


async def test_what_a_customer_wants_no_more_is_not_in_the_digest(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(per_day=PER_DAY, feedback_again_after="PT2H")).begin()
    name = await english(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    aboard.later(hours=2)
    await settled(aboard)
    (waits,) = await of(aboard, MessageDeferred)
    assert waits["occasion"] == Occasion.FEEDBACK_ASKED
    await unsubscribe(aboard, name)
    letters = len(aboard.postbox.letters)
    await next_day(aboard)
    found = await fates(aboard)
    assert found[Occasion.FEEDBACK_ASKED] == found[Occasion.DIGEST] == [Reason.NOT_WANTED]
    assert len(aboard.postbox.letters) == letters


async def unsubscribe(aboard: Aboard, name: str) -> None:
    tokens = Tokens(
        aboard.apps["notifier"].parts.vault.derive(PREFERENCES), PREFERENCES, aboard.clock
    )
    token = tokens.sign({"complaint": name}, aboard.clock() + timedelta(days=1))
    async with aboard.http("notifier", "") as customer:
        assert (await customer.post(f"/p/{token}/unsubscribe")).status_code == 200


async def test_what_was_said_in_person_meanwhile_is_not_in_the_digest(tmp_path: Path):
    aboard, name = await busy(tmp_path, FIXES[:3])
    async with aboard.http("notifier") as phone:
        headers = {"Idempotency-Key": "said"}
        body = {"complaint_id": name, "occasion": "fix_done"}
        answer = await phone.post("/v1/notifications/said", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        body["occasion"] = "digest"
        headers = {"Idempotency-Key": "said-digest"}
        whole = await phone.post("/v1/notifications/said", json=body, headers=headers)
    assert whole.status_code == 422
    await next_day(aboard)
    assert title(FIXES[1]) in flat(last(aboard))
    assert title(FIXES[2]) not in flat(last(aboard))


# ---- races and crashes ---------------------------------------------------------------------------


class Died(BaseException):
    """The process ended here."""


async def run(aboard: Aboard, crash: Callable[[str], None]) -> None:
    """Run what is due now, all at the same time, in processes that may die."""
    app = aboard.apps["notifier"]
    _, effect = app.on_timer[SEND].args  # type: ignore[attr-defined]
    effects = Effects(app.parts.settler, crash)
    due = await aboard.stores["notifier"].due(round(aboard.clock().timestamp() * 1000), 100)
    runs = [effects.run(SEND, effect, name.removeprefix(f"{SEND}|"), at) for name, at in due]
    for one in await asyncio.gather(*runs, return_exceptions=True):
        assert one is None or isinstance(one, Died), repr(one)


@pytest.mark.parametrize("point", ["taken", "effected"])
async def test_a_process_that_dies_at_a_digest_loses_none_of_its_messages(
    tmp_path: Path, point: str
):
    """INV-05, case 44: kill -9 between the commits."""
    aboard, _ = await busy(tmp_path)
    aboard.clock.moment = goes_at(time(9), OSLO, aboard.clock())

    def crash(at: str) -> None:
        if at == point:
            raise Died

    await run(aboard, crash)
    assert (await fates(aboard))[Occasion.FIX_DONE].count("queued") == 3
    aboard.later(minutes=2)
    await settled(aboard)
    sent = [one["message_id"] for one in await of(aboard, MessageSent)]
    assert len(sent) == len(set(sent)) == PER_DAY + 1 + 3
    digests = [one for one in aboard.postbox.letters if title(FIXES[1]) in flat(one)]
    assert len(digests) == (1 if point == "taken" else 2)  # the provider knows the repeat by its id
    assert len({one.message_id for one in digests}) == 1


@pytest.mark.parametrize("script", [[1], [2, 1], [3, 1, 2, 5], [0, 4, 1]])
async def test_of_messages_that_go_at_the_same_moment_the_day_takes_as_many_as_it_says(
    tmp_path: Path, script: Sequence[int]
):
    """INV-05, case 44: the others join one digest."""
    aboard = await Aboard(tmp_path, changed(per_day=PER_DAY)).begin()
    name = await english(aboard)
    for fix in FIXES:
        await do(aboard, name, "fix", fix=fix)
        aboard.later(seconds=1)
    await aboard.carry()
    aboard.later(minutes=2)
    aboard.apps["notifier"].parts.settler.store = YieldingStore(aboard.stores["notifier"], script)
    await run(aboard, lambda _point: None)
    assert len(aboard.postbox.letters) == PER_DAY
    assert len({one["digest_id"] for one in await of(aboard, MessageDeferred)}) == 1
    await next_day(aboard)
    assert len(aboard.postbox.letters) == PER_DAY + 1
    assert (await fates(aboard))[Occasion.FIX_DONE] == ["sent"] * len(FIXES)


# ---- rules ---------------------------------------------------------------------------------------


def message(occasion: Occasion = Occasion.FIX_DONE, **changes: Any) -> Message:
    return Message(
        **{
            "complaint_id": "co-1",
            "customer_ref": "c-1",
            "site": "ms-aurora",
            "occasion": occasion,
            "language": Language.EN,
            "about": "co-1/1",
            "state": State.QUEUED,
            "queued_at": datetime(2026, 6, 3, 14, tzinfo=OSLO),
            **changes,
        }
    )


NOW = datetime(2026, 6, 3, 14, tzinfo=OSLO)
TOMORROW = goes_at(time(9), OSLO, NOW)


def test_a_digest_goes_in_the_morning_of_the_next_day_by_the_clock_on_the_wall():
    assert TOMORROW.astimezone(OSLO) == datetime(2026, 6, 4, 9, tzinfo=OSLO)
    night = datetime(2026, 3, 28, 23, 59, tzinfo=OSLO)
    assert goes_at(time(9), OSLO, night).astimezone(OSLO).hour == 9
    assert goes_at(time(9), OSLO, night) - night < timedelta(hours=9)


def test_the_first_message_of_a_digest_queues_it_and_later_ones_join():
    first = join(message(), "me-1", "dg-1", None, None, TOMORROW, NOW)
    queued, waits = first.facts
    assert isinstance(queued, MessageQueued)
    assert queued.occasion is Occasion.DIGEST
    assert queued.due_at == TOMORROW
    carrier = message(Occasion.DIGEST, about="dg-1", due_at=TOMORROW)
    later = join(message(), "me-2", "dg-1", Digest(message_ids=("me-1",)), carrier, TOMORROW, NOW)
    (joins,) = later.facts
    for one in (waits, joins):
        assert isinstance(one, MessageDeferred)
        assert one.digest_id == "dg-1"


def test_what_a_full_digest_does_not_take_waits_by_itself_and_is_not_lost():
    full = Digest(message_ids=tuple(f"me-{n}" for n in range(DIGEST_MESSAGES_MAX)))
    carrier = message(Occasion.DIGEST, about="dg-1", due_at=TOMORROW)
    (fact,) = join(message(), "me-x", "dg-1", full, carrier, TOMORROW, NOW).facts
    assert isinstance(fact, MessageDeferred)
    assert (fact.digest_id, fact.due_at) == (None, TOMORROW)


@pytest.mark.parametrize(
    "changes", [{"state": State.ATTEMPTED}, {"due_at": NOW}, {"state": State.SENT}]
)
def test_nothing_joins_a_digest_that_is_on_its_way(changes: dict[str, Any]):
    carrier = message(Occasion.DIGEST, **{"about": "dg-1", "due_at": TOMORROW, **changes})
    (fact,) = join(message(), "me-2", "dg-1", Digest(), carrier, TOMORROW, NOW).facts
    assert isinstance(fact, MessageDeferred)
    assert fact.digest_id is None
    assert fact.due_at == TOMORROW


def test_a_digest_of_text_messages_is_of_one_complaint_because_it_shows_one_link():
    def name(channel: MessageChannel, complaint_id: str) -> str:
        return digest_id_of(message(channel=channel, complaint_id=complaint_id), "d", "a")

    mail, sms = MessageChannel.EMAIL, MessageChannel.SMS
    assert name(mail, "co-1") == name(mail, "co-2") != name(sms, "co-1") != name(sms, "co-2")


def test_what_is_critical_never_waits():
    """Case 44."""
    assert {
        Occasion.SAFETY,
        Occasion.PROMISE_BROKEN,
        Occasion.CHECK_GIVEN,
        Occasion.CONFIRMATION,
        Occasion.DIGEST,
    } <= CRITICAL
    assert Occasion.FIX_DONE not in CRITICAL


@pytest.mark.parametrize("wrong", [{"per_day": 0}, {"per_day": 51}, {"digest_at": "09:00Z"}])
def test_a_policy_cannot_keep_everything_back_or_name_a_zone(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        changed(**wrong)


@pytest.mark.parametrize("language", Language)
def test_a_digest_shows_each_message_under_its_subject(language: Language):
    wording = Wording()
    digest = written(wording, Occasion.DIGEST, language)
    for occasion in (Occasion.FIX_DONE, Occasion.RESOLUTION_TOLD):
        part = written(wording, occasion, language)
        assert part.subject in digest.text
        assert part.subject in digest.html


def fifty(language: Language, **longer: str) -> Rendered:
    """A digest that holds as many messages as one may, of every kind that waits for one."""
    wording = Wording()
    waits = sorted(set(OCCASIONS) - CRITICAL)
    kinds = (waits * DIGEST_MESSAGES_MAX)[:DIGEST_MESSAGES_MAX]
    parts = [
        wording.outline(kind, language, {**example(kind, language), **longer}) for kind in kinds
    ]
    return wording.render(Occasion.DIGEST, language, example(Occasion.DIGEST, language), "", parts)


@pytest.mark.parametrize("language", Language)
def test_a_digest_of_fifty_messages_is_read_on_a_phone_and_lacks_none_of_them(language: Language):
    digest = fifty(language)
    assert len(digest.text) < 12_000
    assert len(digest.html.encode()) < GMAIL_SHOWS_BYTES
    wording = Wording()
    for kind in set(OCCASIONS) - CRITICAL:
        subject = written(wording, kind, language).subject
        assert " ".join(digest.text.split()).count(subject) >= DIGEST_MESSAGES_MAX // len(OCCASIONS)
    headings = sum(say(language, "letter.digest.more") in one for one in digest.text.split("\n\n"))
    assert headings == 1


@pytest.mark.parametrize("language", Language)
def test_of_a_long_digest_as_a_text_message_words_are_cut_and_the_link_is_whole(language: Language):
    link = "https://a.example/m/" + "x" * 42
    text = fitted(fifty(language).short, link, 2)
    assert text.endswith(f"{CUT} {link}")
    assert segments(text) == 2


def test_what_no_link_shows_is_said_in_full_or_with_its_code():
    digest = fifty(Language.EN)
    expiring = written(Wording(), Occasion.CHECK_EXPIRING, Language.EN).subject
    assert digest.text.count("7QK2-M4XP") >= digest.text.count(expiring)


def test_however_long_its_messages_are_a_digest_keeps_its_bound():
    digest = fifty(Language.EN, resolution="x" * 2_000, fix="y" * 2_000, words="z" * 2_000)
    most = IN_FULL_CHARS_MAX + DIGEST_MESSAGES_MAX * 2 * LINE_CHARS_MAX
    assert len(digest.text) < most
    assert len(digest.html.encode()) < GMAIL_SHOWS_BYTES
