"""Histories that audit may find something in: facts of compensation, told to audit as its topic would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zlib import crc32

from shared.contracts.catalogue import AUDIT
from shared.contracts.compensation import (
    AuthorityOpened,
    CheckIssued,
    CheckVoided,
    RedemptionReserved,
    Scope,
    WindowClosed,
)
from shared.contracts.event import fingerprint
from shared.kernel import Fact
from shared.runtime.kafka.inbox import Record
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard

#: The first day of the histories, and when a day's business begins (UTC).
FIRST = date(2026, 6, 1)
BEGINS = timedelta(hours=4)
#: What most checks of the histories cost, and leave of a day's authority.
COST, PLENTY = 480_00, 1500_00


def day_of(number: int) -> str:
    """A business day, by its number from 0."""
    return (FIRST + timedelta(days=number)).isoformat()


def moment(number: int, **into: float) -> datetime:
    """A moment of that day."""
    begins = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), tzinfo=UTC)
    return begins + BEGINS + timedelta(**into)


def issued(
    name: str, who: str, number: int = 0, at: datetime | None = None, **changes: Any
) -> CheckIssued:
    """A check of one day; the customer is another one each time unless it is named."""
    day, left = day_of(number), changes.pop("left_minor", PLENTY)
    site, cost = changes.get("site", SITE), changes.get("cost_minor", COST)
    at = at or moment(number, hours=6)
    shift = changes.pop("shift", None)
    windows = [day, *([f"{day}/{shift}"] if shift else [])]
    given = {
        "check_id": f"ck-{name}",
        "site": site,
        "complaint_id": f"co-{name}",
        "customer_ref": f"c-{name}",
        "employee_id": who,
        "item": "dinner-for-two",
        "policy_version": 1,
        "reason": "food",
        "severity": "severe",
        "currency": "NOK",
        "cost_minor": cost,
        "kind": "experience",
        "language": "en",
        "value_minor": 1200_00,
        "code": "v1.sealed",
        "code_hash": fingerprint("code", name) * 2,
        "valid_until": at + timedelta(days=90),
        "issued_at": at,
        "day": day,
        "debits": {f"employee/{site} {who}/NOK/{window}": cost for window in windows},
        "left": {Scope.EMPLOYEE_DAY: left, Scope.SITE_DAY: 10_000_00},
    }
    return CheckIssued(**{**given, **changes})


def reserved(name: str, till: str, at: datetime, site: str = SITE) -> RedemptionReserved:
    """A check at a till."""
    return RedemptionReserved(
        redemption_id=f"re-{name}",
        check_id=f"ck-{name}",
        site=site,
        amount_minor=500_00,
        currency="NOK",
        till=till,
        expires_at=at + timedelta(minutes=15),
        reserved_at=at,
    )


def voided(name: str, who: str, at: datetime) -> CheckVoided:
    """A check taken back."""
    return CheckVoided(
        check_id=f"ck-{name}",
        site=SITE,
        credits={},
        unredeemed_minor=0,
        employee_id=who,
        voided_at=at,
    )


def shift_opened(number: int, name: str, until: datetime) -> AuthorityOpened:
    """A shift of a day begins."""
    scope, window = Scope.EMPLOYEE_SHIFT, f"{day_of(number)}/{name}"
    return AuthorityOpened(site=SITE, scope=scope, window=window, until=until)


def closed(number: int, site: str = SITE) -> WindowClosed:
    """A site's day is over."""
    none = dict.fromkeys(
        (
            "complaints",
            "complaints_with_check",
            "checks",
            "employees",
            "employees_idle",
            "ceiling_minor",
            "used_minor",
            "waited_s",
        ),
        0,
    )
    return WindowClosed(
        site=site, day=day_of(number), currency="NOK", closed_at=moment(number + 1), **none
    )


TIMES = ("issued_at", "reserved_at", "voided_at", "closed_at")


class Telling:
    """Tells audit facts in partitions, each with its next offset."""

    def __init__(self, aboard: Aboard) -> None:
        self._aboard = aboard
        self._offsets: Counter[int] = Counter()
        #: What was told, so that it can be told once more.
        self.told: list[tuple[int, Sequence[Record]]] = []

    async def tell(self, *facts: Fact, partition: int = 5) -> None:
        """Facts of compensation, as one batch."""
        records = []
        for fact in facts:
            offset = self._offsets[partition]
            self._offsets[partition] += 1
            times = (getattr(fact, name, None) for name in TIMES)
            at = next((time for time in times if time is not None), moment(0))
            name = fingerprint("told", str(partition), str(offset))
            records.append(record(fact, offset, name, time=at.isoformat()))
        await self.settle(partition, records)
        self.told.append((partition, records))

    async def settle(self, partition: int, records: Sequence[Record]) -> None:
        """Records as they are, also where audit is given nothing else."""
        recording, self._aboard.recording = self._aboard.recording, True
        await self._aboard.feed(AUDIT, CheckIssued.TOPIC, records, partition)
        self._aboard.recording = recording


async def one_signal(aboard: Aboard, name: str = "own") -> str:
    """A signal of the site: somebody put their own check through a till; its id."""
    at = aboard.clock()
    await Telling(aboard).tell(
        issued(name, "e-jonas", at=at),
        reserved(name, "e-jonas", at),
        # One of its own, as offsets begin at 0 again.
        partition=100 + crc32(name.encode()) % 1000,
    )
    raised = [fact for fact in await aboard.facts(AUDIT) if "raised_at" in fact]
    return str(raised[-1]["signal_id"])
