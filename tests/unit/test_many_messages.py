"""A thousand messages over providers that fail, fall silent and refuse: each is told, or said not to be."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

from services.notifier.channels.ports import MAIL_SERVER, Letter
from services.notifier.channels.providers import Providers
from services.notifier.messages.rules import SEND, Message, Status, queue, status_of
from services.notifier.messages.sending import Sending
from shared.contracts.complaints import Language
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import MessageQueued, Occasion
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.effects import Delivered, Effects, Later, Never, Outcome, Unknown
from shared.testing.clock import Clock
from tests.suites.services import SITE, Aboard
from tests.unit.test_receipts import policy_of

MESSAGES = 1000
FAULTS_PERCENT = 30
CRASH_POINTS = ("taken", "effected")


class Died(BaseException):
    """The process ended here."""


class Chance:
    """A provider that fares by a seed: three in ten letters meet a fault. It sends an id once."""

    def __init__(self, name: str, channel: MessageChannel, seed: int) -> None:
        self.name = name
        self.channel = channel
        self.got: Counter[str] = Counter()
        self._chance = random.Random(seed)
        away = Reason.MAIL_UNAVAILABLE if name == MAIL_SERVER else Reason.SMS_UNAVAILABLE
        self._faults: list[tuple[Outcome, bool]] = [
            (Later(away), False),
            (Later(away, timedelta(minutes=5)), False),
            (Never(Reason.ADDRESS_REFUSED), False),
            (Unknown(), True),
            (Unknown(), False),
        ]

    async def send(self, letter: Letter) -> Outcome:
        outcome: Outcome = Delivered()
        comes = True
        if self._chance.random() * 100 < FAULTS_PERCENT:
            outcome, comes = self._chance.choice(self._faults)
        if comes:
            self.got[letter.message_id] += 1
        return outcome


class Written:
    """`Letters` without words: each message's letter is its id."""

    async def write(self, message_id: str, message: Message, _: object) -> Letter:
        return Letter(message_id, "a@a.example", "b@b.example", "s", "b", channel=message.channel)


async def queued(aboard: Aboard, number: int) -> None:
    message = queue(
        f"me-{number:032x}",
        Occasion.CHECK_GIVEN,
        f"ck-{number}",
        complaint_id=f"co-{number}",
        customer_ref="c-1",
        site=SITE,
        language=Language.EN,
        now=aboard.clock(),
    )

    async def decided(_: object) -> Decision:
        return Decision.of(message)

    await aboard.apps["notifier"].parts.settler.settle_internal(f"test/{number}", "co", decided)


async def test_a_thousand_messages_with_three_faults_in_ten_are_all_told_or_said_not_to_be(
    tmp_path,
):
    """INV-05, cases 39, 40 and 43: processes also die, at each named point; nothing is lost, and
    nothing comes twice beyond the repeats that are counted."""
    aboard = await Aboard(tmp_path, policy_of()).begin()
    clock: Clock = aboard.clock
    mail = Chance(MAIL_SERVER, MessageChannel.EMAIL, 1)
    first, second = (Chance(name, MessageChannel.SMS, seed) for name, seed in (("a", 2), ("b", 3)))
    providers = Providers([mail, first, second], clock)
    sending = Sending(
        Written(),  # type: ignore[arg-type]  # letters without words
        providers,
        lambda address, day: f"{address}{day}"[:8] + str(random.random()),
        lambda _mailbox: (),
    )
    deaths = random.Random(4)

    def crash(point: str) -> None:
        assert point in CRASH_POINTS
        if deaths.random() < 0.02:
            raise Died

    parts, store = aboard.apps["notifier"].parts, aboard.stores["notifier"]
    effects = Effects(parts.settler, crash)
    for number in range(MESSAGES):
        await queued(aboard, number)
    died = 0
    for _ in range(200):
        now_ms = int(clock().timestamp() * 1000)
        for member, due_ms in await store.due(now_ms, 3 * MESSAGES):
            try:
                await effects.run(SEND, sending, member.removeprefix(f"{SEND}|"), due_ms)
            except Died:
                died += 1
        if not store.kept.timers:
            break
        clock.advance(timedelta(minutes=2))
    assert store.kept.timers == {}
    assert died > 10

    facts = await aboard.facts("notifier")
    all_queued = [fact for fact in facts if fact["type"] == MessageQueued.TYPE]
    assert len({fact["message_id"] for fact in all_queued}) == len(all_queued)
    view = parts.settler.view()
    found = {fact["message_id"]: await view.get(Message, fact["message_id"]) for fact in all_queued}
    statuses = {one: status_of(message) for one, message in found.items() if message is not None}
    assert len(statuses) == len(all_queued) > MESSAGES
    assert set(statuses.values()) <= {
        Status.SENT,
        Status.PERMANENT_FAILURE,
        Status.TECHNICAL_FAILURE,
    }
    got = mail.got + first.got + second.got
    assert all(got[one] for one, status in statuses.items() if status is Status.SENT)
    unknown = Counter(fact["message_id"] for fact in facts if fact.get("repeats_unknown"))
    assert all(times <= 1 + unknown[one] for one, times in got.items())
    assert max(unknown.values()) == 1
