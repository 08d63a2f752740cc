"""What became of a message is told truthfully, whatever providers report and in whichever order."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from services.notifier.messages.rules import (
    ATTEMPT_LASTS,
    Attempt,
    Message,
    State,
    Status,
    bounced,
    delivered,
    may_have_arrived,
    message_id_of,
    status_of,
)
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Policy, Retry
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import MESSAGES
from shared.testing.clock import START
from tests.suites.described import undescribed
from tests.suites.receipts import by_form, by_json, by_standard
from tests.suites.services import Aboard, Silence, demo_policy
from tests.unit.test_notifier import message

BOTH = (MessageChannel.EMAIL, MessageChannel.SMS)
KARI = Contact(name="Kari", email="kari@example.org", phone="400 00 000")
AWAY = Unavailable(Reason.MAIL_UNAVAILABLE)


def policy_of(**changes: Any) -> Policy:
    told = {"channels": BOTH, "calling_code": "47", "sms_from": "Aurora", **changes}
    return demo_policy().model_copy(update={"notify": demo_policy().notify.model_copy(update=told)})


@pytest.fixture
async def both(tmp_path):
    """The services with a policy that has e-mail first and SMS then."""
    aboard = await Aboard(tmp_path, policy_of()).begin()
    yield aboard
    assert undescribed(aboard) == []


async def told(aboard: Aboard, message_id: str) -> tuple[Status, Reason | None]:
    found = await aboard.apps["notifier"].parts.settler.view().get(Message, message_id)
    assert found is not None
    return status_of(found), found.failed_because


def counted(occasion: str) -> float:
    """How often a message of this occasion may have come once more."""
    return MESSAGES.labels(occasion, "repeated_unknown")._value.get()  # type: ignore[no-any-return]  # untyped


async def ring_after_attempts(aboard: Aboard, times: int) -> None:
    """Ring so often, each time after an attempt that nobody heard the end of is over."""
    for _ in range(times):
        await aboard.ring()
        aboard.later(seconds=ATTEMPT_LASTS.total_seconds())


async def ids(aboard: Aboard) -> list[str]:
    facts = await aboard.facts("notifier")
    return [fact["message_id"] for fact in facts if fact["type"].endswith("queued.v1")]


# ---- channels ------------------------------------------------------------------------------------


async def test_who_has_a_telephone_alone_gets_a_text_message_with_a_whole_link(both: Aboard):
    await both.raise_complaint(contact=Contact(phone="400 00 000"), language="en")
    for _ in range(3):
        await both.ring()
    assert both.postbox.letters == []
    (letter,) = both.phone.letters
    assert (letter.recipient, letter.sender) == ("+4740000000", "Aurora")
    assert letter.link.startswith("http")
    email, sms = await ids(both)
    assert await told(both, email) == (Status.SUPPRESSED, Reason.NO_ADDRESS_ON_CHANNEL)
    assert await told(both, sms) == (Status.SENT, None)


async def test_without_sms_in_the_policy_a_telephone_is_no_address(aboard: Aboard):
    await aboard.raise_complaint(contact=Contact(phone="+47 400 00 000"))
    assert await aboard.types("notifier") == []


async def test_a_number_that_is_none_is_no_address(both: Aboard):
    await both.raise_complaint(contact=Contact(phone="()()"))
    assert await both.types("notifier") == []


async def test_an_address_that_is_refused_for_good_is_followed_by_the_next_channel_once(
    both: Aboard,
):
    """Case 39 of the faults: a hard failure goes on by the next channel."""
    both.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    complaint = await both.raise_complaint(contact=KARI)
    for _ in range(3):
        await both.ring()
        both.later(hours=1)
    assert [len(both.postbox.letters), len(both.phone.letters)] == [0, 1]
    email, sms = await ids(both)
    assert email == message_id_of(Occasion.ACKNOWLEDGEMENT, complaint)
    assert sms == message_id_of(Occasion.ACKNOWLEDGEMENT, complaint, MessageChannel.SMS)
    assert await told(both, email) == (Status.PERMANENT_FAILURE, Reason.ADDRESS_REFUSED)
    facts = await both.facts("notifier")
    (failed,) = [fact for fact in facts if fact["type"].endswith("message.failed.v1")]
    assert failed["next_channel"] == "sms"
    instead = facts[facts.index(failed) + 1]
    assert (instead["instead_of"], instead["promise_id"]) == (email, f"{complaint}/0")


async def test_a_provider_that_stays_away_is_a_technical_failure_and_the_next_channel_follows(
    tmp_path,
):
    both = await Aboard(tmp_path, policy_of(retry=Retry(attempts_max=2))).begin()
    both.postbox.failures = [AWAY] * 2
    await both.raise_complaint(contact=KARI)
    for _ in range(4):
        await both.ring()
        both.later(minutes=1)
    email, sms = await ids(both)
    assert await told(both, email) == (Status.TECHNICAL_FAILURE, Reason.MAIL_UNAVAILABLE)
    assert await told(both, sms) == (Status.SENT, None)


async def test_a_channel_that_has_no_provider_fails_loudly(tmp_path):
    names = {MessageChannel.SMS: ("nobody",)}
    both = await Aboard(tmp_path, policy_of(providers=names)).begin()
    await both.raise_complaint(contact=Contact(phone="400 00 000"))
    for _ in range(3):
        await both.ring()
    _, sms = await ids(both)
    assert await told(both, sms) == (Status.TECHNICAL_FAILURE, Reason.UNKNOWN_PROVIDER)


async def test_a_message_that_may_have_come_is_not_said_again_on_another_channel(both: Aboard):
    """Case 39: silence after the letter is ambiguous; it is repeated once at most, and counted."""
    both.postbox.failures = [Silence(), Silence()]
    await both.raise_complaint(contact=KARI)
    await ring_after_attempts(both, 4)
    assert [len(both.postbox.letters), len(both.phone.letters)] == [2, 0]


async def test_why_it_is_not_said_again_is_told_as_it_is(both: Aboard):
    """Case 39."""
    both.postbox.failures = [Silence(), Silence()]
    await both.raise_complaint(contact=KARI)
    await ring_after_attempts(both, 4)
    (email,) = await ids(both)
    assert await told(both, email) == (Status.TECHNICAL_FAILURE, Reason.FATE_UNKNOWN)
    found = await both.apps["notifier"].parts.settler.view().get(Message, email)
    assert found is not None
    assert may_have_arrived(found)


async def test_what_concerns_somebodys_safety_goes_on_though_it_may_have_come(both: Aboard):
    """Case 39: a third copy harms nobody, and no letter might."""
    before = counted("acknowledgement")
    both.postbox.failures = [Silence()] * 4  # of the letter to the role mailbox, too
    await both.raise_complaint(contact=KARI, text="There were nuts in it, my daughter is allergic.")
    await ring_after_attempts(both, 6)
    to_kari = [one for one in both.phone.letters if one.recipient == "+4740000000"]
    assert len(to_kari) == 1
    assert counted("acknowledgement") - before == 2  # the repeat, and that it may come by both


async def test_a_customer_with_several_addresses_is_told_on_the_first_channel_alone(both: Aboard):
    await both.raise_complaint(contact=KARI)
    for _ in range(3):
        await both.ring()
    assert [len(both.postbox.letters), len(both.phone.letters)] == [1, 0]


# ---- receipts ------------------------------------------------------------------------------------


async def by_sms(both: Aboard) -> str:
    """The id of a text message that was sent."""
    await both.raise_complaint(contact=Contact(phone="400 00 000"))
    for _ in range(3):
        await both.ring()
    return (await ids(both))[1]


async def test_a_receipt_tells_that_it_was_delivered_and_a_repeat_changes_nothing(both: Aboard):
    sms = await by_sms(both)
    for status in ("queued", "sent", "delivered", "delivered", "undelivered", "sent"):
        assert (await by_form(both, sms, status)).status_code == 204
    assert await told(both, sms) == (Status.DELIVERED, None)
    types = await both.types("notifier")
    assert types.count("message.delivered") == 1
    assert "message.bounced" not in types


@pytest.mark.parametrize("order", list(permutations(["undelivered", "sent", "delivered"])))
async def test_delivered_counts_in_whichever_order_receipts_come(both: Aboard, order):
    sms = await by_sms(both)
    for status in order:
        await by_form(both, sms, status)
    assert (await told(both, sms))[0] is Status.DELIVERED


async def test_a_receipt_that_says_undelivered_goes_on_by_the_next_channel(tmp_path):
    """Case 40 of the faults: the state is truthful, and the other channel tells the customer."""
    channels = (MessageChannel.SMS, MessageChannel.EMAIL)
    both = await Aboard(tmp_path, policy_of(channels=channels)).begin()
    await both.raise_complaint(contact=KARI)
    await both.ring()
    (sms,) = await ids(both)
    assert await told(both, sms) == (Status.SENT, None)
    for _ in range(3):
        assert (await by_form(both, sms, "undelivered")).status_code == 204
    await both.ring()
    assert await told(both, sms) == (Status.PERMANENT_FAILURE, Reason.NOT_DELIVERED)
    assert [len(both.phone.letters), len(both.postbox.letters)] == [1, 1]


async def test_a_receipt_settles_an_attempt_whose_fate_nobody_knew(both: Aboard):
    both.phone.failures = [Silence()]
    sms = await by_sms(both)
    assert (await told(both, sms))[0] is Status.SENDING
    await by_form(both, sms, "delivered")
    both.later(hours=1)
    await both.ring()
    assert len(both.phone.letters) == 1
    assert (await both.types("notifier"))[-2:] == ["message.sent", "message.delivered"]


@pytest.mark.parametrize("wrong", ["secret", "message", "unsigned", "provider"])
async def test_a_forged_receipt_is_refused_and_changes_nothing(both: Aboard, wrong):
    sms = await by_sms(both)
    before = await both.types("notifier")
    match wrong:
        case "secret":
            answer = await by_form(both, sms, "delivered", secret="another")
        case "message":
            body = b'{"id":"' + sms.encode() + b'","status":"delivered"}'
            answer = await by_standard(both, "second", body, key=b"x" * 32)
        case "unsigned":
            async with both.http("notifier", "") as provider:
                answer = await provider.post(f"/v1/receipts/first?message={sms}", content=b"")
        case _:
            answer = await by_form(both, sms, "delivered", at="nobody")
    assert answer.status_code == (404 if wrong == "provider" else 401)
    assert await both.types("notifier") == before


@pytest.mark.parametrize(("age_s", "status"), [(0, 204), (299, 204), (301, 401), (-301, 401)])
async def test_a_signature_is_good_for_five_minutes(both: Aboard, age_s, status):
    sms = await by_sms(both)
    assert (await by_json(both, sms, "delivered", age_s=age_s)).status_code == status


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id":"co-1","status":"delivered"}', b"\xff"])
async def test_a_receipt_that_names_no_message_of_ours_is_refused(both: Aboard, body):
    assert (await by_standard(both, "second", body)).status_code == 422


async def test_a_receipt_of_a_message_that_nobody_knows_changes_nothing(both: Aboard):
    assert (await by_json(both, "me-" + "0" * 32, "delivered")).status_code == 204
    assert await both.types("notifier") == []


# ---- rules ---------------------------------------------------------------------------------------


def test_what_was_never_handed_over_is_not_reported():
    assert delivered(message(), "me-1", "first", START).facts == ()
    assert bounced(message(), "me-1", "first", BOTH, START).facts == ()


def test_a_failure_that_another_provider_reports_late_does_not_count():
    second = message(State.SENT, 2).model_copy(update={"provider": "second"})
    assert bounced(second, "me-1", "first", BOTH, START).facts == ()
    assert len(bounced(second, "me-1", "second", BOTH, START).facts) == 2


def test_a_delivery_counts_if_a_provider_reports_it_that_carried_the_message():
    tried = (Attempt(1, START, "first"), Attempt(2, START, "second"))
    second = message(State.SENT, 2).model_copy(update={"provider": "second", "attempts": tried})
    assert delivered(second, "me-1", "third", START).facts == ()
    for provider in ("first", "second"):
        assert len(delivered(second, "me-1", provider, START).facts) == 1
    older = message(State.SENT, 2)
    assert len(delivered(older, "me-1", "third", START).facts) == 1


async def test_a_provider_that_did_not_carry_a_message_cannot_say_that_it_was_delivered(
    both: Aboard,
):
    sms = await by_sms(both)
    assert (await by_json(both, sms, "delivered")).status_code == 204
    assert await told(both, sms) == (Status.SENT, None)


def test_a_role_mailbox_is_told_by_its_own_channels_alone():
    alarm = message(State.SENT, 1).model_copy(update={"mailbox": "duty-officer"})
    (fact,) = bounced(alarm, "me-1", "smtp", BOTH[:1], START).facts
    assert fact.next_channel is None
    fact, instead = bounced(alarm, "me-1", "smtp", BOTH, START).facts
    assert (fact.next_channel, instead.mailbox) == (BOTH[1], "duty-officer")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": State.QUEUED}, Status.CREATED),
        ({"state": State.ATTEMPTED}, Status.SENDING),
        ({"state": State.DELAYED}, Status.TEMPORARY_FAILURE),
        ({"state": State.SENT}, Status.SENT),
        ({"state": State.SENT, "delivered_at": START}, Status.DELIVERED),
        ({"state": State.FAILED, "delivered_at": START}, Status.DELIVERED),
        ({"failed_because": Reason.ADDRESS_REFUSED}, Status.PERMANENT_FAILURE),
        ({"failed_because": Reason.NOT_DELIVERED}, Status.PERMANENT_FAILURE),
        ({"failed_because": Reason.SMS_UNAVAILABLE}, Status.TECHNICAL_FAILURE),
        ({"failed_because": Reason.KEY_NOT_YET_KNOWN}, Status.TECHNICAL_FAILURE),
        ({"failed_because": None}, Status.TECHNICAL_FAILURE),
        ({"failed_because": Reason.CHECK_ENDED}, Status.SUPPRESSED),
    ],
)
def test_a_status_says_what_became_of_a_message(changes, status):
    update = {"state": State.FAILED, **changes}
    assert status_of(message().model_copy(update=update)) is status


def test_the_id_of_an_email_is_what_it_was_before_there_were_channels():
    assert message_id_of(Occasion.CHECK_GIVEN, "ck-1") == "me-3046784b5280d5ee7019594d33255566"


def test_a_deadline_is_longer_than_the_longest_delay():
    assert Retry().within > timedelta(hours=6)
