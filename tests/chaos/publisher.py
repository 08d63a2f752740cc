"""A publishing system: new complaints, some repeated, some in conflict, some malformed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from random import Random
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.chaos.diary import CANARY, SERIAL, Diary, Sent

INTAKE = "recovery.intake.v1"
RAISED = "recovery.complaint.raised.v1"
SITE = "ms-aurora"
#: Unconfirmed records; further ones wait.
OPEN_MAX = 2000
CONFIRM_S = 150.0
SOURCES = ("/chaos/booking", "/chaos/letters")
TEXTS = (
    "The soup was cold and nobody came.",
    "We waited two hours at the gangway.",
    "The cabin was dirty and the towels were wet.",
    "The music kept us awake all night.",
    "The bill had a bottle of wine on it that we never had.",
    "The waiter was rude to my mother.",
    "The pool was closed all day.",
    "My father fell on the stairs and is hurt.",
)


class Publisher:
    """Publishes at a steady rate in small bursts until told to stop."""

    def __init__(
        self, kafka: Mapping[str, Any], diary: Diary, random: Random, per_s: float
    ) -> None:
        self._kafka = kafka
        self._diary = diary
        self._random = random
        self._per_s = per_s
        self._values: list[tuple[Sent, dict[str, Any]]] = []
        self._open = threading.Semaphore(OPEN_MAX)

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop, then wait for the last confirmation. Blocks."""
        with closing(
            KafkaProducer(
                **self._kafka,
                acks="all",
                linger_ms=2,
                request_timeout_ms=5000,
                delivery_timeout_ms=120_000,
                max_block_ms=60_000,
            )
        ) as producer:
            while not stop.is_set():
                count = self._random.randint(1, 8)
                for _ in range(count):
                    self._publish(producer)
                stop.wait(count / self._per_s)
            deadline = time.monotonic() + CONFIRM_S
            while any(one.offset is None and not one.failed for one in self._diary.sent):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)

    def _publish(self, producer: KafkaProducer) -> None:
        sent, event = self._next()
        value, headers = _binary(event) if sent.binary else _structured(event, sent.number)
        if sent.kind == "broken":
            value = value[: len(value) // 2]
        headers = [*headers, (SERIAL, str(sent.number).encode())]
        self._diary.sent.append(sent)
        self._open.acquire()
        try:
            future = producer.send(INTAKE, value, headers=headers, partition=None)
        except KafkaError as error:
            sent.failed = type(error).__name__
            self._open.release()
            return
        future.add_callback(self._confirmed, sent)
        future.add_errback(self._failed, sent)

    def _confirmed(self, sent: Sent, metadata: Any) -> None:
        sent.partition, sent.offset = metadata.partition, metadata.offset
        self._open.release()

    def _failed(self, sent: Sent, error: BaseException) -> None:
        sent.failed = type(error).__name__
        self._open.release()

    def _next(self) -> tuple[Sent, dict[str, Any]]:
        """The next record: mostly a new complaint, sometimes a repeat, a conflict or a malformed one."""
        number, random = len(self._diary.sent), self._random
        binary = random.random() < 0.3
        draw = random.random()
        if self._values and draw < 0.06:
            before, event = random.choice(self._values[-2000:])
            return Sent(number, before.source, before.id, "repeat", binary), event
        if self._values and draw < 0.07:
            before, event = random.choice(self._values[-2000:])
            other = {**event, "data": {**event["data"], "text": f"Not the same. {CANARY}"}}
            return Sent(number, before.source, before.id, "conflict", binary), other
        sent = Sent(number, random.choice(SOURCES), f"event-{number}", "new", binary)
        event = self._event(sent)
        if draw < 0.08:
            sent.kind = "broken"
            sent.binary = False
        elif draw < 0.09:
            sent.kind = "unknown_site"
            event["data"]["site"] = "ms-nowhere"
        else:
            self._values.append((sent, event))
        return sent, event

    def _event(self, sent: Sent) -> dict[str, Any]:
        number, random = sent.number, self._random
        data: dict[str, Any] = {"site": SITE, "text": f"{random.choice(TEXTS)} {CANARY}"}
        if number % 3:
            data["customer"] = f"{CANARY}-{random.randrange(400)}"
        if number % 4:
            email = f"guest{number}@{CANARY}.example"
            data["contact"] = {"name": f"Kim {CANARY}", "email": email}
        return {
            "specversion": "1.0",
            "id": sent.id,
            "source": sent.source,
            "type": RAISED,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": data,
        }


def _structured(event: dict[str, Any], number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """An event in structured mode; half of them carry the content type."""
    kind = [("content-type", b"application/cloudevents+json")]
    return json.dumps(event).encode(), kind if number % 2 else []


def _binary(event: dict[str, Any]) -> tuple[bytes, list[tuple[str, bytes]]]:
    attributes = [(f"ce_{name}", str(event[name]).encode()) for name in event if name != "data"]
    kind = [("content-type", b"application/json")]
    return json.dumps(event["data"]).encode(), kind + attributes
