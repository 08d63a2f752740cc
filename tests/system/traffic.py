"""Traffic for tests with real services: a publishing system and employees' phones.

Each source runs in a thread of its own until `stop` is set, and records what it did.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.system.world import PATIENCE_S, World, complaint, complaint_id

BURST, BURST_PAUSE_S = 16, 0.4
#: Pause between two checks of an employee. Each check becomes a letter that the test waits for.
WISH_PAUSE_S = 0.02
#: A bound, so that reading the topics stays short.
PUBLISHED_MAX = 6000
ITEMS = ("dinner-for-two", "cinema", "taxfree-card/20000", "sincere-words")
RETRY_S = 0.1


def contact_of(number: int) -> dict[str, Any]:
    """The contact of the n-th complaint's customer; every tenth has none."""
    if number % 10 == 0:
        return {}
    return {"contact": {"name": "A Guest", "email": f"guest-{number}@guests.example"}}


@dataclass
class Publisher:
    """Another system: publishes bursts of complaints, some repeated and some malformed."""

    world: World
    stop: threading.Event
    random: random.Random
    ids: list[str] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    repeats: int = 0
    malformed: int = 0
    pause_s: float = BURST_PAUSE_S

    def run(self) -> None:
        """Publish until `stop` is set. Blocks."""
        while not self.stop.is_set() and self.count < PUBLISHED_MAX:
            self.burst()
            self.stop.wait(self.pause_s)

    @property
    def count(self) -> int:
        """Records published."""
        return len(self.ids) + self.repeats + self.malformed

    @property
    def reachable(self) -> int:
        """The number of complaints with a mail address."""
        return sum(bool(contact_of(number)) for number in range(len(self.ids)))

    def burst(self) -> None:
        """Publish a few, one of them a second time. Blocks until they are confirmed."""
        now = datetime.now(UTC)
        numbers = range(len(self.ids), len(self.ids) + BURST)
        fresh = [f"event-{number}" for number in numbers]
        values = [
            complaint(
                f"event-{number}",
                at=now,
                customer=f"guest-{self.random.randrange(200)}",
                **contact_of(number),
            )
            for number in numbers
        ]
        self.values += values
        values.append(self.random.choice(self.values))
        malformed = self.random.random() < 0.5  # every other burst
        if malformed:
            values.insert(self.random.randrange(len(values)), b'{"specversion": "1.0", "id"')
        self.world.publish(values)
        self.ids += fresh
        self.repeats += 1
        self.malformed += malformed


@dataclass
class Phone:
    """An employee who gives checks and retries each under its key until it is answered."""

    world: World
    employee: str
    publisher: Publisher
    stop: threading.Event
    random: random.Random
    prefix: str = ""
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    unlike: list[str] = field(default_factory=list)
    pause_s: float = WISH_PAUSE_S

    def run(self) -> None:
        """Give until `stop` is set; every fifth request is repeated. Blocks."""
        with self.world.phone("compensation", self.employee, timeout_s=5.0) as phone:
            number = 0
            while not self.stop.wait(self.pause_s):
                if not self.publisher.ids:
                    continue
                number += 1
                wish = {
                    "complaint_id": complaint_id(self.random.choice(self.publisher.ids[-400:])),
                    "item": self.random.choice(ITEMS),
                    "reason": "food",
                    # Several phones give for one complaint at once, so each says `again`.
                    "again": True,
                }
                key = f"{self.prefix}{self.employee}-{number}"
                self.answers[key] = self.until_answered(phone, key, wish)
                if number % 5 == 0:
                    again = self.until_answered(phone, key, wish)
                    if again.content != self.answers[key].content:
                        self.unlike.append(key)

    def until_answered(self, phone: httpx.Client, key: str, wish: dict[str, Any]) -> httpx.Response:
        """The answer to one request, retried until there is one; raises AssertionError. Blocks."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.asked[key] += 1
            try:
                answer = self.post(phone, key, wish)
                if answer.status_code in (201, 409):
                    return answer
                # The complaint or the roster may not have come to compensation yet; 503 means the
                # store.
                assert answer.status_code in (403, 404, 503), answer.text
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{key} was never answered"
            time.sleep(RETRY_S)

    def post(self, phone: httpx.Client, key: str, wish: dict[str, Any]) -> httpx.Response:
        """Ask once; raises httpx's own errors. Blocks."""
        return phone.post("/v1/checks", json=wish, headers={"Idempotency-Key": key})


@dataclass
class Remembering(Phone):
    """A phone that remembers what it asked for."""

    wishes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def until_answered(self, phone: httpx.Client, key: str, wish: dict[str, Any]) -> httpx.Response:
        """As every phone, but remembers the wish. Blocks."""
        self.wishes[key] = wish
        return super().until_answered(phone, key, wish)


def published(phone: Phone) -> dict[str, httpx.Response]:
    """The answers of which the phone was told that their facts are on Kafka."""
    answers = dict(phone.answers)
    return {key: one for key, one in answers.items() if one.headers["published"] == "true"}


def asked_again(
    world: World,
    phones: Sequence[Remembering],
    before: Mapping[str, Mapping[str, httpx.Response]],
) -> int:
    """Ask again for what was answered, and get the first answers; returns how many. Blocks."""
    count = 0
    for phone in phones:
        assert not set(phone.unlike) & published(phone).keys()
        with world.phone("compensation", phone.employee) as line:
            for key, first in before[phone.employee].items():
                wish = phone.wishes[key]
                again = line.post("/v1/checks", json=wish, headers={"Idempotency-Key": key})
                assert (again.status_code, again.content) == (first.status_code, first.content)
                assert again.headers["idempotency-replayed"] == "true"
                count += 1
    return count


@contextmanager
def flowing(
    stop: threading.Event, sources: Sequence[Publisher | Phone]
) -> Iterator[list[BaseException]]:
    """Run the sources in threads for a `with` block; yields the list of their failures.

    Raises AssertionError at the end if one failed.
    """
    failed: list[BaseException] = []

    def run(source: Publisher | Phone) -> None:
        try:
            source.run()
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits
            failed.append(error)

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in sources]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not failed, failed
    assert not any(thread.is_alive() for thread in threads), "traffic does not end"
