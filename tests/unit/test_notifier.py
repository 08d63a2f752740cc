"""A message is queued once, handed over at most once at a time, and ends sent or failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic_core import from_json, to_json

from services.notifier.channels.ports import Letter
from services.notifier.feedback.rules import LINES_MAX
from services.notifier.messages.letters import Letters
from services.notifier.messages.links import Links
from services.notifier.messages.rules import (
    ATTEMPT_LASTS,
    FATES,
    JITTER,
    PARTS_COME_WITHIN,
    RETRY_LONGEST,
    SEND,
    Message,
    State,
    attempt,
    message_attempted,
    message_delayed,
    message_failed,
    message_id_of,
    message_queued,
    message_sent,
    next_attempt,
    not_sent,
    queue,
    sent,
)
from services.notifier.subjects.rules import story_promised, story_received
from shared.contracts.complaints import (
    ComplaintReceived,
    ComplaintTriaged,
    Language,
    reference_of,
)
from shared.contracts.notifier import (
    FeedbackReceived,
    Helped,
    MessageDelayed,
    MessageFailed,
    Occasion,
)
from shared.contracts.policy import PolicyPublished, Retry
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated
from shared.runtime.engine.effects import Outcome
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Record
from shared.runtime.privacy.links import (
    ANSWERED_WITHIN,
    CODE,
    FEEDBACK,
    OFFER,
    SEEN,
    SURVEY,
    Tokens,
)
from shared.runtime.words import format_time, say
from shared.testing.builders import record
from shared.testing.clock import START, Clock
from tests.suites.described import undescribed
from tests.suites.services import Aboard, Silence, forget_answers
from tests.unit.test_alarms import spot
from tests.unit.test_lifecycle import do, seen
from tests.unit.test_occasions import link_in, settled

ID = message_id_of(Occasion.ACKNOWLEDGEMENT, "co-1")
QUEUED = queue(
    ID,
    Occasion.ACKNOWLEDGEMENT,
    "co-1",
    complaint_id="co-1",
    customer_ref="c-1",
    site="ms-aurora",
    language=Language.EN,
    now=START,
)
AWAY = Unavailable(Reason.MAIL_UNAVAILABLE)


def message(state: State = State.QUEUED, tries: int = 0) -> Message:
    return message_queued(None, QUEUED).model_copy(update={"state": state, "attempt": tries})


# ---- letters -------------------------------------------------------------------------------------


async def test_a_letter_that_is_due_as_it_is_queued_wakes_the_timers_and_its_attempt_does_not(
    aboard: Aboard,
):
    woken: list[str] = []
    aboard.apps["notifier"].parts.settler.on_due = lambda: woken.append("")
    await aboard.raise_complaint()
    assert woken
    woken.clear()
    await aboard.ring()
    assert not woken, "an attempt is looked at again once it has lasted"


async def test_a_letter_to_a_customer_on_an_occasion_that_has_none_is_a_defect():
    """And not, without a word, the letter of another occasion."""
    nobody: Any = None
    letters = Letters(nobody, nobody, nobody, nobody, nobody, nobody, nobody)
    alarm = message().model_copy(update={"occasion": Occasion.SAFETY})
    with pytest.raises(AssertionError, match="safety"):
        await letters._particulars(alarm, nobody, nobody, nobody, nobody)


# ---- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_a_message_whose_fate_is_known_is_not_taken_in_hand_again(state):
    """INV-05: one customer-visible message, and a repeat of an unknown one is counted."""
    facts = attempt(message(state, 3), ID, START).facts
    assert bool(facts) is (state not in FATES)
    if facts:
        assert facts[0].attempt == 4
        assert facts[0].repeats_unknown is (state is State.ATTEMPTED)


def test_a_message_whose_repeat_was_lost_too_is_not_handed_over_a_third_time():
    """INV-05: two processes ended, one after the other, and nobody recorded a fate."""
    handed = message_attempted(message(), attempt(message(), ID, START).facts[0])
    (repeat,) = attempt(handed, ID, START + ATTEMPT_LASTS).facts
    again = message_attempted(handed, repeat)
    (fact,) = attempt(again, ID, START + 2 * ATTEMPT_LASTS).facts
    assert (type(fact), fact.reason) == (MessageFailed, Reason.FATE_UNKNOWN)


def test_a_message_is_not_taken_in_hand_before_its_time():
    """INV-05: somebody who read an old timer finds it in hand already, or told to wait."""
    handed = message_attempted(message(), attempt(message(), ID, START).facts[0])
    (delay,) = not_sent(handed, ID, AWAY.reason, Retry(), START).facts
    for waiting, until in (
        (handed, START + ATTEMPT_LASTS),
        (message_delayed(handed, delay), delay.retry_at),
    ):
        assert attempt(waiting, ID, until - timedelta(milliseconds=1)).facts == ()
        assert len(attempt(waiting, ID, until).facts) == 1


@pytest.mark.parametrize("state", [State.SENT, State.FAILED])
def test_a_fate_that_is_known_does_not_change(state):
    known = message(state, 1)
    assert sent(known, ID, START).facts == ()
    assert not_sent(known, ID, AWAY.reason, Retry(), START).facts == ()


@pytest.mark.parametrize("tries", [1, 2, 7, 8, 20, 49, 50])
@pytest.mark.parametrize("first", [timedelta(seconds=5), timedelta(days=731)])
def test_the_delay_doubles_up_to_the_longest_and_the_last_attempt_fails(tries, first):
    """Also where a policy asks for the most attempts there may be."""
    retry = Retry(first_delay=first, attempts_max=50)
    (fact,) = not_sent(message(State.ATTEMPTED, tries), ID, AWAY.reason, retry, START).facts
    if tries == 50:
        assert isinstance(fact, MessageFailed)
        return
    assert isinstance(fact, MessageDelayed)
    longest = min(first.total_seconds() * 2 ** (tries - 1), RETRY_LONGEST.total_seconds())
    assert longest * (1 - JITTER) <= (fact.retry_at - START).total_seconds() <= longest


def test_messages_that_failed_together_do_not_come_together_and_each_at_the_same_time_in_a_rebuild():
    handed = message(State.ATTEMPTED, 3)
    ids = [f"me-{number}" for number in range(20)]

    def when() -> list[Any]:
        return [not_sent(handed, one, AWAY.reason, Retry(), START).facts[0] for one in ids]

    assert len({fact.retry_at for fact in when()}) == len(ids)
    assert when() == when()


def test_a_message_is_not_tried_again_after_its_deadline():
    retry = Retry(attempts_max=50, within=timedelta(hours=1))
    handed = message(State.ATTEMPTED, 3)
    late = START + timedelta(minutes=59, seconds=50)
    (fact,) = not_sent(handed, ID, AWAY.reason, retry, late).facts
    assert isinstance(fact, MessageFailed)
    (fact,) = not_sent(handed, ID, AWAY.reason, retry, START).facts
    assert isinstance(fact, MessageDelayed)


def test_without_a_retry_it_failed_at_once():
    (fact,) = not_sent(message(State.ATTEMPTED, 1), ID, Reason.ADDRESS_REFUSED, None, START).facts
    assert (type(fact), fact.reason) == (MessageFailed, Reason.ADDRESS_REFUSED)


def test_every_fact_says_when_the_message_is_looked_at_next_and_a_fate_says_never():
    taken = attempt(message(), ID, START).facts[0]
    handed = message_attempted(message(), taken)
    delayed = not_sent(handed, ID, AWAY.reason, Retry(), START).facts[0]
    took = sent(handed, ID, START).facts[0]
    failed = not_sent(handed, ID, AWAY.reason, None, START).facts[0]
    due = [next_attempt(fact)[0].due for fact in (QUEUED, taken, delayed, took, failed)]
    assert due == [START, START + ATTEMPT_LASTS, delayed.retry_at, None, None]
    assert {next_attempt(fact)[0].name for fact in (QUEUED, taken, delayed, took, failed)} == {SEND}
    folds = ((message_delayed, delayed), (message_sent, took), (message_failed, failed))
    states = [fold(handed, fact).state for fold, fact in folds]
    assert [handed.state, *states] == [State.ATTEMPTED, State.DELAYED, State.SENT, State.FAILED]


def test_a_story_is_whole_in_whichever_order_its_facts_are_heard():
    common = {"complaint_id": "co-1", "customer_ref": "c-1", "site": "s", "language": "nb"}
    first = ComplaintReceived(
        **common, channel="mail", text="v1.x", contact="v1.y", received_at=START
    )
    then = ComplaintTriaged(
        **common, category="food", severity="mild", safety=False, promised_by=START,
        policy_version=1, has_contact=True,
    )  # fmt: skip
    assert story_promised(story_received(None, first), then) == story_received(
        story_promised(None, then), first
    )


def links_of(secret: bytes, clock: Clock) -> Links:
    answers, choices = Tokens(secret, FEEDBACK, clock), Tokens(secret, OFFER, clock)
    seen, surveys = Tokens(secret, SEEN, clock), Tokens(secret, SURVEY, clock)
    codes = Tokens(secret, CODE, clock)
    return Links(answers, "http://ship/", choices, codes, "http://desk/", seen, surveys)


def test_a_link_opens_until_it_expires_and_no_other_token_does():
    clock = Clock()
    links = links_of(b"s" * 32, clock)
    token = links.feedback("ck-1", clock()).removeprefix("http://ship/f/")
    assert links.read(token) == "ck-1"
    other = links_of(b"t" * 32, clock).feedback("ck-1", clock()).split("/f/")[1]
    choice = links.offer("of-1", clock() + timedelta(days=1)).removeprefix("http://desk/o/")
    bad = [other, choice, token[:-4] + "AAAA", "", "x", "a.b.c", "é.é.é", "x" * 2000]
    for one in bad:
        with pytest.raises(Rejected, match=Reason.LINK_INVALID.value):
            links.read(one)
    clock.advance(ANSWERED_WITHIN + timedelta(seconds=1))
    with pytest.raises(Rejected, match=Reason.LINK_INVALID.value):
        links.read(token)


# ---- handlers ------------------------------------------------------------------------------------


async def test_a_complaint_is_acknowledged_once_at_the_address_given(aboard: Aboard):
    await aboard.raise_complaint()
    for _ in range(3):
        await aboard.ring()
    (letter,) = aboard.postbox.letters
    assert letter.recipient == "kari@example.org"
    assert "Kari" in letter.body
    assert await aboard.types("notifier") == ["message.queued", "message.attempted", "message.sent"]
    assert aboard.stores["notifier"].kept.timers == {}


@pytest.mark.parametrize("before", [True, False])
async def test_a_customer_for_whom_two_services_made_a_key_gets_the_letter(aboard: Aboard, before):
    """INV-05: the words open with either key, whichever of the two comes first in order."""
    await aboard.raise_complaint()
    ref = (await aboard.facts("complaints"))[-1]["customer_ref"]
    documents = aboard.stores["notifier"].kept.documents
    (mine,) = from_json(documents[f"key:{ref}"].body)["wrapped"]
    vault = aboard.apps["compensation"].parts.vault
    others = (vault.new_key(ref)[1] for _ in range(1000))
    other = next(one for one in others if (one < mine) is before)
    made = CustomerKeyCreated(customer_ref=ref, wrapped=other)
    await aboard.feed("notifier", made.TOPIC, [record(made, 0)], 9)
    await aboard.ring()
    assert [letter.recipient for letter in aboard.postbox.letters] == ["kari@example.org"]


async def test_without_an_address_nothing_is_queued(aboard: Aboard):
    await aboard.raise_complaint(contact=None)
    assert await aboard.types("notifier") == []


async def test_a_check_is_told_of_and_its_code_shown_to_the_customer_alone(aboard: Aboard):
    given = await aboard.give(await aboard.raise_complaint(), "dinner-for-two", "k")
    await aboard.carry()
    await aboard.ring()
    about = next(one for one in aboard.postbox.letters if "/f/" in one.body)
    assert given.json()["code"] in about.body
    assert given.json()["code"] not in repr(aboard.stores["notifier"].kept)


async def test_an_apology_has_no_code(aboard: Aboard):
    given = await aboard.give(await aboard.raise_complaint(), "sincere-words", "k")
    await aboard.carry()
    await aboard.ring()
    assert not any(given.json()["code"] in letter.body for letter in aboard.postbox.letters)


@pytest.mark.parametrize(
    ("forgotten", "titles"),
    [
        ((), {"Dinner for two", "An evening at the cinema for two"}),
        (("policy-version:ms-aurora/1",), {"dinner-for-two", "Two tickets"}),
    ],
    ids=["kept", "forgotten"],
)
async def test_a_check_is_named_as_it_was_when_it_was_given(aboard: Aboard, forgotten, titles):
    """Whatever the policy has become since: here one item is gone, and one has another title."""
    for offset, item in enumerate(["dinner-for-two", "cinema"]):
        complaint_id = await aboard.raise_complaint(offset, language="en")
        assert (await aboard.give(complaint_id, item, f"k{offset}")).status_code == 201
    await aboard.carry()
    checks = {name: it for name, it in aboard.policy.checks.items() if name != "dinner-for-two"}
    renamed = {"title": {language: "Two tickets" for language in Language}}
    checks["cinema"] = checks["cinema"].model_copy(update=renamed)
    changed = aboard.policy.model_copy(update={"checks": checks, "playbooks": {}})
    fact = PolicyPublished(site=changed.site, version=2, policy=changed)
    await aboard.feed("notifier", PolicyPublished.TOPIC, [record(fact, 1)])
    for key in forgotten:
        del aboard.stores["notifier"].kept.documents[key]
    await aboard.ring()
    bodies = [letter.body for letter in aboard.postbox.letters if "/f/" in letter.body]
    assert len(bodies) == 2
    assert {title for title in titles if any(title in body for body in bodies)} == titles


async def test_a_mail_server_that_is_away_delays_and_the_letter_goes_later(aboard: Aboard):
    aboard.postbox.failures = [AWAY, AWAY]
    await aboard.raise_complaint()
    for _ in range(3):
        await aboard.ring()
        aboard.later(seconds=10)
    assert len(aboard.postbox.letters) == 1
    types = await aboard.types("notifier")
    assert types.count("message.delayed") == 2
    assert types[-1] == "message.sent"


async def test_a_mail_server_that_stays_away_fails_after_the_last_attempt_and_never_silently(
    aboard: Aboard,
):
    most = aboard.policy.notify.retry.attempts_max
    aboard.postbox.failures = [AWAY] * most
    await aboard.raise_complaint()
    for _ in range(most + 2):
        await aboard.ring()
        aboard.later(hours=7)
    assert (await aboard.types("notifier"))[-1] == "message.failed"
    assert (await aboard.types("notifier")).count("message.attempted") == most


async def test_an_address_that_is_refused_fails_at_once(aboard: Aboard):
    aboard.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    await aboard.raise_complaint()
    await aboard.ring()
    failed = (await aboard.facts("notifier"))[-1]
    assert failed["reason"] == Reason.ADDRESS_REFUSED


async def test_an_attempt_that_nobody_recorded_is_repeated_after_its_time_and_counted(
    aboard: Aboard,
):
    """INV-05: the unavoidable ambiguity is shown, with the same message id."""
    aboard.postbox.failures = [KeyboardInterrupt()]
    await aboard.raise_complaint()
    with pytest.raises(KeyboardInterrupt):
        await aboard.ring()
    await aboard.ring()
    assert aboard.postbox.letters == []
    aboard.later(seconds=ATTEMPT_LASTS.total_seconds())
    await aboard.ring()
    assert len(aboard.postbox.letters) == 1
    attempts = [fact for fact in await aboard.facts("notifier") if "repeats_unknown" in fact]
    assert [fact["repeats_unknown"] for fact in attempts] == [False, True]


async def test_a_letter_the_server_fell_silent_over_comes_once_more_and_is_counted(aboard: Aboard):
    """INV-05: the connection was lost behind the letter, so it may have come."""
    aboard.postbox.failures = [Silence()]
    await aboard.raise_complaint()
    await aboard.ring()
    await aboard.ring()
    assert len(aboard.postbox.letters) == 1
    assert (await aboard.types("notifier"))[-1] == "message.attempted"
    aboard.later(seconds=ATTEMPT_LASTS.total_seconds())
    await aboard.ring()
    assert [letter.message_id for letter in aboard.postbox.letters] == [
        aboard.postbox.letters[0].message_id
    ] * 2
    attempts = [fact for fact in await aboard.facts("notifier") if "repeats_unknown" in fact]
    assert [fact["repeats_unknown"] for fact in attempts] == [False, True]
    assert (await aboard.types("notifier"))[-1] == "message.sent"


@pytest.mark.parametrize("between", [[], [AWAY]])
async def test_a_letter_whose_fate_was_lost_twice_fails_and_does_not_come_a_third_time(
    aboard: Aboard, between: list[Exception]
):
    """INV-05: also where the server was away in between."""
    aboard.postbox.failures = [Silence(), *between, Silence()]
    await aboard.raise_complaint()
    for _ in range(6):
        await aboard.ring()
        aboard.later(hours=1)
    assert len(aboard.postbox.letters) == 2
    failed = (await aboard.facts("notifier"))[-1]
    assert failed["reason"] == Reason.FATE_UNKNOWN


async def test_whoever_rings_by_an_old_timer_sends_nothing_and_keeps_the_later_one(aboard: Aboard):
    """INV-05: another process read the timer as due just before this one took the letter in hand."""
    await aboard.raise_complaint()
    timers = aboard.stores["notifier"].kept.timers
    ((member, due),) = timers.items()
    another = aboard.apps["notifier"].on_timer[SEND]
    kept: list[dict[str, int]] = []
    keep = aboard.postbox.send

    async def send_slowly(letter: Letter) -> Outcome:
        before = dict(timers)
        await another(member.removeprefix(f"{SEND}|"), due)
        kept.extend([before, dict(timers)])
        return await keep(letter)

    aboard.postbox.send = send_slowly
    await aboard.ring()
    assert len(aboard.postbox.letters) == 1
    assert kept[0] == kept[1] == {member: due + ATTEMPT_LASTS // timedelta(milliseconds=1)}
    await another(member.removeprefix(f"{SEND}|"), due)
    assert len(aboard.postbox.letters) == 1
    assert (await aboard.types("notifier")).count("message.attempted") == 1
    assert timers == {}


async def test_a_letter_in_hand_is_not_given_up_by_somebody_who_cannot_write_it(aboard: Aboard):
    """Also not by an old timer after it was sent."""
    await aboard.raise_complaint()
    documents = aboard.stores["notifier"].kept.documents
    ((member, due),) = aboard.stores["notifier"].kept.timers.items()
    another = aboard.apps["notifier"].on_timer[SEND]
    keep = aboard.postbox.send

    async def send_late(letter: Letter) -> Outcome:
        for key in [key for key in documents if key.startswith("key:")]:
            del documents[key]
        await another(member.removeprefix(f"{SEND}|"), due)
        return await keep(letter)

    aboard.postbox.send = send_late
    aboard.later(seconds=PARTS_COME_WITHIN.total_seconds() + 1)
    await aboard.ring()
    await another(member.removeprefix(f"{SEND}|"), due)
    assert (await aboard.types("notifier"))[-1] == "message.sent"
    assert not any("failed" in one for one in await aboard.types("notifier"))


@pytest.mark.parametrize(
    ("dropped", "reason"),
    [
        ("key", Reason.KEY_NOT_YET_KNOWN),
        ("story", Reason.STORY_NOT_YET_KNOWN),
        ("policy", Reason.UNKNOWN_SITE),
    ],
)
async def test_a_part_on_its_way_is_waited_for_and_after_an_hour_the_message_failed(
    aboard: Aboard, dropped, reason
):
    await aboard.raise_complaint()
    documents = aboard.stores["notifier"].kept.documents
    for key in [key for key in documents if key.startswith(f"{dropped}:")]:
        del documents[key]
    with pytest.raises(Unavailable, match=reason.value):
        await aboard.ring()
    aboard.later(seconds=PARTS_COME_WITHIN.total_seconds() + 1)
    await aboard.ring()
    last = (await aboard.facts("notifier"))[-1]
    assert (last["type"], last["reason"]) == (MessageFailed.TYPE, reason)


async def test_a_part_that_comes_a_moment_later_is_not_waited_for_a_whole_second(aboard: Aboard):
    """The complaint and its key come on topics of their own: the waits double, and stay at a second."""
    await aboard.raise_complaint()
    documents = aboard.stores["notifier"].kept.documents
    for key in [key for key in documents if key.startswith("key:")]:
        del documents[key]
    waits: list[float] = []
    for _ in range(8):
        with pytest.raises(Unavailable) as missing:
            await aboard.ring()
        waits.append(round(missing.value.retry_after_s, 3))
        aboard.later(seconds=waits[-1])
    assert waits == [0.1, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


async def test_a_cause_heard_of_again_queues_nothing_new(aboard: Aboard):
    await aboard.raise_complaint()
    triaged = [event for event in await aboard.events("complaints") if "triaged" in event["type"]]
    for event in triaged:
        event.pop("sequence", None)
        await aboard.feed("notifier", ComplaintTriaged.TOPIC, [Record(900, to_json(event))])
    assert (await aboard.types("notifier")).count("message.queued") == 1


async def test_who_says_no_twice_is_written_to_twice(aboard: Aboard):
    """INV-05: one letter per round, and each round has its own."""
    complaint = await aboard.raise_complaint()
    for key in ("one", "two"):
        await aboard.give(complaint, "cinema", key, again=True)
        await aboard.carry()
        await aboard.ring()
        link = next(word for word in aboard.postbox.letters[-1].body.split() if "/f/" in word)
        async with aboard.http("notifier", "") as customer:
            answer = await customer.post(f"/f/{link.partition('/f/')[2]}/no")
            assert answer.status_code == 200
        await aboard.carry()
        await aboard.ring()
        aboard.later(minutes=1)
    queued = [fact["about"] for fact in await aboard.facts("notifier") if "queued" in fact["type"]]
    assert queued[-3:] == [f"{complaint}/1", queued[-2], f"{complaint}/2"]
    assert (await aboard.types("notifier")).count("message.sent") == 5


@pytest.mark.parametrize(
    ("helped", "wanted"), [("yes", "complaint.confirmed"), ("no", "complaint.reopened")]
)
async def test_the_answer_comes_back_to_the_complaint(aboard: Aboard, helped, wanted):
    """INV-04: it ends confirmed, or goes round again."""
    await aboard.give(await aboard.raise_complaint(), "cinema", "k")
    await aboard.carry()
    await aboard.ring()
    link = next(
        word for one in aboard.postbox.letters for word in one.body.split() if "/f/" in word
    )
    path = "/f/" + link.partition("/f/")[2]
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(path)
        assert page.status_code == 200
        assert "script" not in page.text
        assert not any("feedback" in one for one in await aboard.types("notifier"))
        first = await customer.post(f"{path}/{helped}")
        again = await customer.post(f"{path}/{helped}")
        other = await customer.post(f"{path}/{'no' if helped == 'yes' else 'yes'}")
        html = await customer.post(
            f"{path}/{helped}", headers={"Accept": "text/html"}, follow_redirects=True
        )
        assert (await customer.get("/f/forged")).json()["type"] == Reason.LINK_INVALID
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["type"]) == (409, Reason.ALREADY_ANSWERED)
    assert html.headers["content-type"].startswith("text/html")
    await aboard.carry()
    assert (await aboard.types("complaints"))[-1] == wanted
    if helped == "no":
        await aboard.ring()
        assert (await aboard.types("notifier")).count("message.sent") == 3


@pytest.mark.parametrize("helped", list(Helped))
async def test_the_same_answer_is_the_same_page_also_when_the_stored_one_was_forgotten(
    aboard: Aboard, helped
):
    await aboard.give(await aboard.raise_complaint(), "cinema", "k")
    await aboard.carry()
    await aboard.ring()
    link = next(
        word for one in aboard.postbox.letters for word in one.body.split() if "/f/" in word
    )
    path = "/f/" + link.partition("/f/")[2]
    html = {"Accept": "text/html"}
    documents = aboard.stores["notifier"].kept.documents
    async with aboard.http("notifier", "") as customer:
        first = await customer.post(f"{path}/{helped}")
        page = await customer.post(f"{path}/{helped}", headers=html, follow_redirects=True)
        for key in [key for key in documents if key.startswith("answer:")]:
            del documents[key]
        again = await customer.post(f"{path}/{helped}")
        page_again = await customer.post(f"{path}/{helped}", headers=html, follow_redirects=True)
        other = next(one for one in Helped if one is not helped)
        refused = await customer.post(f"{path}/{other}")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (page_again.status_code, page_again.text) == (200, page.text)
    assert (refused.status_code, refused.json()["type"]) == (409, Reason.ALREADY_ANSWERED)
    assert (await aboard.types("notifier")).count("feedback.received") == 1


async def check_page(aboard: Aboard) -> str:
    """The path of the page of a check that was given for a complaint."""
    await aboard.give(await aboard.raise_complaint(language="en"), "cinema", "k")
    await aboard.carry()
    await aboard.ring()
    links = [word for one in aboard.postbox.letters for word in one.body.split() if "/f/" in word]
    return "/f/" + links[0].partition("/f/")[2]


@pytest.mark.parametrize(
    ("text", "sorry"),
    [
        ("We waited three hours for our food, the waiter shouted at us and it was raw.", True),
        ("The coffee was a bit lukewarm.", False),
    ],
)
async def test_what_was_not_mild_is_acknowledged_with_a_word_of_regret(
    aboard: Aboard, text: str, sorry: bool
):
    await aboard.raise_complaint(text=text, language="en")
    await aboard.carry()
    await aboard.ring()
    said = " ".join(aboard.postbox.letters[-1].body.split())
    assert "Thank you for telling us" in said
    assert ("We are sorry that it was not as it should have been" in said) is sorry


STILL_OPEN = "and this does not close it"


@pytest.mark.parametrize(
    ("helped", "closed"), [(Helped.YES, True), (Helped.PARTLY, False), (Helped.NO, False)]
)
async def test_the_page_of_a_check_says_that_the_case_is_open_only_while_it_is(
    aboard: Aboard, helped: Helped, closed: bool
):
    path = await check_page(aboard)
    async with aboard.http("notifier", "") as customer:
        assert STILL_OPEN in (await customer.get(path)).text
        await customer.post(f"{path}/{helped}")
        at_once = (await customer.get(path)).text
        await aboard.carry()
        later = (await customer.get(path)).text
    for page in (at_once, later):
        assert (STILL_OPEN not in page) is closed
        assert "Your case has the reference" in page


async def test_a_letter_that_waited_until_the_case_was_closed_does_not_say_that_it_is_open(
    aboard: Aboard,
):
    name = await aboard.raise_complaint(language="en")
    await aboard.ring()
    await aboard.give(name, "cinema", "k")
    await aboard.carry()
    path = "/m/" + aboard.postbox.letters[-1].body.partition("/m/")[2].split()[0]
    async with aboard.http("complaints", "") as customer:
        assert (await customer.post(f"{path}/withdraw")).status_code < 400
    await aboard.carry()
    await aboard.ring()
    (letter,) = [" ".join(one.body.split()) for one in aboard.postbox.letters if "/f/" in one.body]
    assert STILL_OPEN not in letter
    assert "Your case has the reference" in letter


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("sun-deck", "the sun deck"),
        ("Soldekket", "the sun deck"),
        ("  THE  sun deck ", "the sun deck"),
        ("Soldekket, foran scenen", ""),
        ("7214", ""),
        ("{place} <b>", ""),
        (None, ""),
    ],
)
async def test_letters_name_a_place_as_the_site_calls_it_and_no_other(
    aboard: Aboard, place: str | None, named: str
):
    name = await aboard.raise_complaint(language="en", place=place)
    await aboard.ring()
    await aboard.give(name, "cinema", "k")
    await aboard.carry()
    await aboard.ring()
    letters = [" ".join(one.body.split()) for one in aboard.postbox.letters]
    assert len(letters) == 2
    about = "the food and the service"
    for letter in letters:
        assert f"{about} ({named})" in letter if named else f"{about}." in letter
        assert place is None or named or place not in letter
    path = "/f/" + aboard.postbox.letters[-1].body.partition("/f/")[2].split()[0]
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(path)
    assert "sun deck" not in page.text  # it may be passed on together with its check


async def test_a_browser_that_answers_otherwise_is_told_which_answer_counts(aboard: Aboard):
    path = await check_page(aboard)
    html = {"Accept": "text/html"}
    async with aboard.http("notifier", "") as customer:
        await customer.post(f"{path}/yes", headers=html)
        other = await customer.post(f"{path}/no", headers=html, data={"text": "Cold & late"})
        same = await customer.post(f"{path}/yes", headers=html)
    assert (other.status_code, same.status_code) == (409, 303)
    heard = say(Language.EN, "check.heard", answer=say(Language.EN, "check.yes"))
    assert heard in other.text
    assert "Cold &amp; late" in other.text
    # Whoever was passed the check on must not open the page of the case by it.
    assert "/m/" not in other.text
    assert (await aboard.types("notifier")).count("feedback.received") == 1


async def test_the_letters_of_a_check_and_of_a_settled_case_lead_to_the_page_of_the_case(
    aboard: Aboard,
):
    """What was given on the spot has no acknowledgement before it."""
    await spot(aboard, key="k", safety=None)
    await settled(aboard)
    (given,) = [one for one in aboard.postbox.letters if "/f/" in one.body]
    async with aboard.http("notifier", "") as customer:
        await customer.post(f"{link_in(given, 'f')}/yes")
    await settled(aboard)
    thanks = aboard.postbox.letters[-1]
    assert thanks is not given
    async with aboard.http("complaints", "") as customer:
        assert (await customer.get(link_in(given, "m"))).status_code == 200
        mine = link_in(thanks, "m")
        assert (await customer.post(f"{mine}/words", data={"text": "No more."})).status_code == 200
    assert (await aboard.types("complaints")).count("complaint.reopened") == 1


async def test_who_has_no_message_of_ours_is_not_told_to_look_for_a_link_in_one(aboard: Aboard):
    name = await aboard.raise_complaint(language="en", contact=None)
    link = (await aboard.give(name, "cinema", "k")).json()["link"]
    await aboard.carry()
    path, html = "/f/" + link.rpartition("/")[2], {"Accept": "text/html"}
    async with aboard.http("notifier", "") as customer:
        await customer.post(f"{path}/yes", headers=html)
        other = await customer.post(f"{path}/no", headers=html)
    assert say(Language.EN, "check.differently") not in other.text
    assert say(Language.EN, "check.more", reference=reference_of(name)) in other.text


async def test_an_answer_that_is_none_is_said_on_the_page_with_the_buttons_again(aboard: Aboard):
    path = await check_page(aboard)
    html = {"Accept": "text/html"}
    async with aboard.http("notifier", "") as customer:
        page = await customer.post(f"{path}/perhaps", headers=html, data={"text": "So so"})
        back = await customer.get(f"{path}/perhaps", headers=html)
        program = await customer.post(f"{path}/perhaps")
    assert (page.status_code, back.status_code) == (422, 303)
    assert say(Language.EN, "mine.fault.button") in page.text
    assert 'value="So so"' in page.text
    for answer in Helped:
        assert f"{path}/{answer}" in page.text
    assert (program.status_code, program.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    assert not any("feedback" in one for one in await aboard.types("notifier"))


@pytest.mark.parametrize("helped", list(Helped))
async def test_a_line_that_is_too_long_is_kept_on_the_page_which_says_how_long_it_may_be(
    aboard: Aboard, helped: Helped
):
    path = await check_page(aboard)
    html, line = {"Accept": "text/html"}, "a" * 501
    async with aboard.http("notifier", "") as customer:
        page = await customer.post(f"{path}/{helped}", headers=html, data={"text": line})
        program = await customer.post(f"{path}/{helped}", data={"text": line})
        assert not any("feedback" in one for one in await aboard.types("notifier"))
        await customer.post(f"{path}/{helped}", headers=html, data={"text": line[1:]})
        late = await customer.post(f"{path}/{helped}", headers=html, data={"text": line})
    assert (page.status_code, late.status_code) == (422, 422)
    assert '<a href="#text">Write at most 500 characters.</a>' in page.text
    assert f'value="{line}" aria-invalid="true"' in page.text
    if helped is Helped.YES:
        assert say(Language.EN, "check.heard", answer=say(Language.EN, "check.yes")) in late.text
        assert f"<blockquote>{line}</blockquote>" in late.text
    else:  # more may be written there
        assert '<a href="#text">Write at most 500 characters.</a>' in late.text
        assert f'value="{line}" aria-invalid="true"' in late.text
    assert (program.status_code, program.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    assert (await aboard.types("notifier")).count("feedback.received") == 1


@pytest.mark.parametrize("helped", [Helped.NO, Helped.PARTLY])
async def test_another_line_with_the_same_answer_is_added_and_no_line_is_taken_twice(
    aboard: Aboard, helped: Helped
):
    path = await check_page(aboard)
    html = {"Accept": "text/html"}
    async with aboard.http("notifier", "") as customer:

        async def send(line: str) -> httpx.Response:
            return await customer.post(f"{path}/{helped}", headers=html, data={"text": line})

        await send("Still cold.")
        aboard.later(seconds=1)
        assert f'action="{path}/{helped}"' in (await customer.get(path, headers=html)).text
        more = await send("And the bill is wrong.")
        forget_answers(aboard.stores["notifier"])
        for line in ("Still cold.", "And the bill is wrong.", ""):
            assert (await send(line)).status_code == 303
        shown = await customer.get(more.headers["location"], headers=html)
    assert say(Language.EN, "check.added") in shown.text
    assert "bill is wrong" not in shown.text  # the link may be passed on together with its check
    await settled(aboard)
    heard = [one for one in await aboard.facts("notifier") if one["type"] == FeedbackReceived.TYPE]
    assert [one.get("added_line", False) for one in heard] == [False, True]
    assert (await aboard.types("complaints")).count("complaint.reopened") == 1
    complaint = heard[0]["complaint_id"]
    told = await seen(aboard, f"/{complaint}/timeline")
    words = [one["text"] for one in told["entries"] if one["what"] == "feedback"]
    assert words == ["Still cold.", "And the bill is wrong."]


async def test_an_answer_takes_as_many_lines_in_a_day_as_it_says(aboard: Aboard):
    path = await check_page(aboard)
    html = {"Accept": "text/html"}
    async with aboard.http("notifier", "") as customer:
        for number in range(LINES_MAX):
            await customer.post(f"{path}/no", headers=html, data={"text": f"Line {number}"})
        line = {"text": "One more & one more"}
        page = await customer.post(f"{path}/no", headers=html, data=line)
        program = await customer.post(f"{path}/no", data=line)
        assert (page.status_code, program.json()["type"]) == (429, Reason.TOO_MANY_WORDS)
        assert say(Language.EN, "mine.fault.too_many_words") in page.text
        assert 'value="One more &amp; one more"' in page.text
        assert "retry-after" in page.headers
        aboard.later(days=1)
        assert (await customer.post(f"{path}/no", headers=html, data=line)).status_code == 303
    assert (await aboard.types("notifier")).count("feedback.received") == LINES_MAX + 1
    assert undescribed(aboard) == []


@pytest.mark.parametrize("helped", [Helped.NO, Helped.PARTLY])
async def test_the_checks_page_says_that_a_promise_was_broken_and_nothing_of_one_that_was_kept(
    aboard: Aboard, helped: Helped
):
    path = await check_page(aboard)
    async with aboard.http("notifier", "") as customer:

        async def shown() -> str:
            return (await customer.get(path, headers={"Accept": "text/html"})).text

        await customer.post(f"{path}/{helped}", headers={"Accept": "text/html"})
        await settled(aboard)
        (again,) = [f for f in await aboard.facts("complaints") if "reopened" in f["type"]]
        by = datetime.fromisoformat(again["promised_by"])
        when = format_time(by, "Europe/Oslo", Language.EN)
        keeps = say(Language.EN, "check.heard_by", when=when)
        missed = say(Language.EN, "mine.missed", when=when)
        assert keeps in await shown()
        aboard.clock.moment = by
        late = await shown()
        assert (keeps in late, missed in late) == (False, True)
        await aboard.ring("complaints")
        await settled(aboard)
        assert missed in await shown()
        await do(aboard, again["complaint_id"], "resolve", outcome="fixed")
        await settled(aboard)
        over = await shown()
        assert not [one for one in (keeps, missed, say(Language.EN, "check.soon")) if one in over]
        assert say(Language.EN, "check.look_again") not in over


async def test_a_line_that_is_added_to_a_yes_settles_nothing_again(aboard: Aboard):
    path = await check_page(aboard)
    async with aboard.http("notifier", "") as customer:
        await customer.post(f"{path}/yes")
        await settled(aboard)
        (complaint,) = {
            one["complaint_id"]
            for one in await aboard.facts("complaints")
            if one["type"].endswith("complaint.confirmed.v1")
        }
        reopened = link_in(aboard.postbox.letters[0], "m")
        async with aboard.http("complaints", "") as phone:
            await phone.post(f"{reopened}/words", data={"text": "It is cold again."})
        await settled(aboard)
        await customer.post(f"{path}/yes", data={"text": "The cinema was nice."})
        await settled(aboard)
    assert (await seen(aboard, f"/{complaint}"))["state"] == "reopened"


async def test_a_customer_may_choose_by_mail_and_is_then_told_what_they_have(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    wish = {"complaint_id": complaint, "items": ["dinner-for-two", "cinema"], "reason": "food"}
    offer = (await aboard.post("offers", "o", wish)).json()
    await aboard.carry()
    await aboard.ring()
    letter = next(one for one in aboard.postbox.letters if "Choose" in one.subject)
    assert "Dinner for two (worth NOK" in letter.body
    link = next(line for line in letter.body.splitlines() if "/o/" in line)
    assert link.partition("/o/")[2] == offer["link"].partition("/o/")[2]
    async with aboard.http("compensation", "") as customer:
        await customer.post("/o/" + link.partition("/o/")[2], data={"item": "cinema"})
    await aboard.carry()
    await aboard.ring()
    assert "cinema" in aboard.postbox.letters[-1].body
    assert len(aboard.postbox.letters) == 3


@pytest.mark.parametrize("step", ["void", "suspend"])
async def test_nothing_is_promised_by_a_letter_that_was_withdrawn_before_it_went(
    aboard: Aboard, step: str
):
    """While the mail server was away, say. What is only on hold comes back, and so is told."""
    check = (await aboard.give(await aboard.raise_complaint(), "cinema", "k")).json()
    assert (await aboard.post(f"checks/{check['check_id']}/{step}", "s")).status_code == 200
    await aboard.carry()
    await aboard.ring()
    told = [letter for letter in aboard.postbox.letters if check["code"] in letter.body]
    assert len(told) == (step == "suspend")
    failed = [one for one in await aboard.facts("notifier") if one["type"] == MessageFailed.TYPE]
    # Whoever was not told of the check is not told either that it was taken back.
    unsent = {Reason.CHECK_ENDED, Reason.NO_LONGER_TRUE} if step == "void" else set()
    assert {one["reason"] for one in failed} == unsent


async def test_a_percentage_is_a_percentage_in_every_letter(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    wish = {"complaint_id": complaint, "items": ["bar-discount/20", "cinema"], "reason": "food"}
    await aboard.post("offers", "o", wish)
    await aboard.give(complaint, "bar-discount/20", "g")
    await aboard.carry()
    await aboard.ring()
    told = [one.body.replace("\xa0", " ") for one in aboard.postbox.letters if "bar" in one.body]
    assert len(told) == 2
    assert all("A discount at the bar (20% off a bill of up to NOK 800)" in one for one in told)
    assert not any("160" in one for one in told)
    (given,) = (one for one in told if "Code: " in one)
    assert "Where: Sky Bar, the pool bar\n" in given


async def test_the_letter_of_a_statutory_refund_says_what_law_gives_it(aboard: Aboard):
    complaint = await aboard.raise_complaint(text="The ferry was three hours late.")
    for basis in ("statutory", "goodwill"):
        wish = {"reason": "delay", "basis": basis, "again": True}
        await aboard.give(complaint, "excursion-refund/50000", basis, **wish)
    await aboard.carry()
    await aboard.ring()
    told = [
        " ".join(one.body.split()) for one in aboard.postbox.letters if "Money back" in one.subject
    ]
    due, gift = sorted(told, key=lambda body: "entitled" not in body)
    law = "Regulation (EU) No 1177/2010"
    assert "You are entitled to this under " + law in due
    assert "You are entitled" not in gift
    assert "You also have rights under " + law in gift
    for body in (due, gift):
        assert "If the departure is cancelled" in body
        assert "the wait" in body
    soup = await aboard.raise_complaint(offset=1, text="We waited two hours for cold soup.")
    await aboard.give(soup, "cinema", "soup", reason="delay")
    await aboard.carry()
    await aboard.ring()
    (letter,) = (one for one in aboard.postbox.letters if "cinema" in one.subject)
    assert "1177" not in letter.body
