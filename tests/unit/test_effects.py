"""What happens outside happens once, or is known to have happened perhaps twice, wherever a process dies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.notifier.messages.rules import (
    ATTEMPT_LASTS,
    JITTER,
    RETRY_LONGEST,
    SEND,
    State,
    not_sent,
)
from services.notifier.messages.sending import Sending
from shared.contracts.notifier import MessageDelayed, Occasion
from shared.contracts.reasons import Reason
from shared.runtime.engine.crash import nowhere
from shared.runtime.engine.effects import Effects, Later
from shared.testing.clock import START
from tests.suites.services import Aboard
from tests.unit.test_alarms import NUTS
from tests.unit.test_notifier import message


class Died(BaseException):
    """The process ended here."""


def dies_at(point: str) -> Callable[[str], None]:
    def crash(passed: str) -> None:
        if passed == point:
            raise Died

    return crash


def dies_around(aboard: Aboard, commit: int, *, after: bool) -> Callable[[], None]:
    """Die just before or just after the commit of this number; the result lets commits be as they were."""
    store, count = aboard.stores["notifier"], 0
    whole = store.commit

    async def commits(one):
        nonlocal count
        count += 1
        if count == commit and not after:
            raise Died
        outcome = await whole(one)
        if count == commit:
            raise Died
        return outcome

    store.commit = commits
    return lambda: setattr(store, "commit", whole)


def to_send(aboard: Aboard) -> list[str]:
    """The messages that have a timer; that of whoever must see a concern about safety waits beside them."""
    timers = aboard.stores["notifier"].kept.timers
    return [member for member in timers if member.startswith(f"{SEND}|")]


async def due(aboard: Aboard, crash: Callable[[str], None]) -> None:
    """Run the letters that are due now, in a process of their own."""
    app = aboard.apps["notifier"]
    letters = app.on_timer[SEND].args[1]
    assert isinstance(letters, Sending)
    effects = Effects(app.parts.settler, crash)
    now_ms = int(aboard.clock().timestamp() * 1000)
    for member, due_ms in await aboard.stores["notifier"].due(now_ms, 100):
        name, _, message_id = member.partition("|")
        if name == SEND:
            await effects.run(SEND, letters, message_id, due_ms)


#: Where it dies, how many letters go out in the end, and whether each attempt may repeat one.
DEATHS = [
    ("before it is taken in hand", 1, [False]),
    ("just taken in hand", 1, [False, True]),
    ("taken", 1, [False, True]),
    ("effected", 2, [False, True]),
    ("before its fate is recorded", 2, [False, True]),
    ("just recorded", 1, [False]),
]


@pytest.mark.parametrize("whom", [Occasion.ACKNOWLEDGEMENT, Occasion.SAFETY])
@pytest.mark.parametrize(("where", "letters", "attempts"), DEATHS, ids=[one[0] for one in DEATHS])
async def test_wherever_a_process_dies_the_letter_goes_out_and_what_may_come_twice_is_counted(
    aboard: Aboard, where, letters, attempts, whom
):
    """INV-05: of a customer's letter and of one to a role mailbox alike."""
    alarm = whom is Occasion.SAFETY
    await aboard.raise_complaint(**({"text": NUTS, "contact": None} if alarm else {}))
    if alarm:
        for member, due_ms in await aboard.stores["notifier"].due(2**53, 100):
            name, _, complaint_id = member.partition("|")
            await aboard.apps["notifier"].on_timer[name](complaint_id, due_ms)
    assert len(to_send(aboard)) == 1
    mend, crash = (lambda: None), nowhere
    match where:
        case "before it is taken in hand":
            mend = dies_around(aboard, 1, after=False)
        case "just taken in hand":
            mend = dies_around(aboard, 1, after=True)
        case "before its fate is recorded":
            mend = dies_around(aboard, 2, after=False)
        case "just recorded":
            mend = dies_around(aboard, 2, after=True)
        case point:
            crash = dies_at(point)
    with pytest.raises(Died):
        await due(aboard, crash)
    mend()
    for _ in range(3):
        await due(aboard, nowhere)
        aboard.later(seconds=ATTEMPT_LASTS.total_seconds())
    assert len(aboard.postbox.letters) == letters
    assert len({letter.message_id for letter in aboard.postbox.letters}) == 1
    facts = await aboard.facts("notifier")
    assert [one["repeats_unknown"] for one in facts if "repeats_unknown" in one] == attempts
    assert (await aboard.types("notifier"))[-1] == "message.sent"
    assert to_send(aboard) == []


async def test_a_letter_takes_few_trips_to_the_store(aboard: Aboard, monkeypatch):
    """What it is written from is read together, before it is taken in hand and again as it is; the policy once for all."""
    await aboard.raise_complaint()
    store, trips = aboard.stores["notifier"], []
    fetch, commit = store.fetch, store.commit

    async def fetches(keys, accounts):
        trips.append("read")
        return await fetch(keys, accounts)

    async def commits(one):
        trips.append("commit")
        return await commit(one)

    monkeypatch.setattr(store, "fetch", fetches)
    monkeypatch.setattr(store, "commit", commits)
    await due(aboard, nowhere)
    assert len(aboard.postbox.letters) == 1
    assert trips == [*["read"] * 6, "commit", "read", "commit"]


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        (timedelta(0), timedelta(seconds=5)),
        (timedelta(minutes=3), timedelta(minutes=3)),
        (timedelta(days=400), RETRY_LONGEST),
    ],
)
async def test_a_provider_that_says_when_to_come_again_is_not_asked_before_and_not_for_ever_after(
    aboard: Aboard, after, waits
):
    later = Later(Reason.MAIL_UNAVAILABLE, after)
    retry = aboard.policy.notify.retry.model_copy(update={"first_delay": timedelta(seconds=5)})
    (fact,) = not_sent(
        message(State.ATTEMPTED, 1), "me-1", later.reason, retry, START, later.after
    ).facts
    assert isinstance(fact, MessageDelayed)
    assert START + waits * (1 - JITTER) <= fact.retry_at <= START + waits
    assert fact.retry_at - START >= min(after, RETRY_LONGEST)
