"""Random histories of what is counted, and the measures of a history computed slowly from its facts alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from math import ceil
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import Any, NamedTuple
from zlib import crc32

from services.audit.measures.rules import AMOUNTS, SECONDS
from shared.contracts.catalogue import FACTS
from shared.contracts.complaints import Category, JourneyStep
from shared.kernel import Fact
from shared.runtime.kafka.inbox import Record
from shared.runtime.privacy.seal import Vault
from shared.testing.builders import record
from tests.suites.services import MASTER, SITE

EXAMPLES = Path(__file__).parents[2] / "shared" / "contracts" / "examples"
NAMES = Vault(MASTER).pseudonyms
#: The facts that are counted, short.
COUNTED = (
    "complaint.triaged", "complaint.reopened", "complaint.confirmed", "complaint.overdue", "check.issued", "check.refused",
    "check.voided", "check.expired", "redemption.captured", "redemption.rolledback", "feedback.received",
    "message.sent", "message.failed", "authority.counted", "window.closed", "cause.named", "cause-action.taken",
    "customer.returned", "survey.answered", "praise.received", "touchpoint.answered",
)  # fmt: skip
GRACE = timedelta(hours=6)


class Told(NamedTuple):
    """A fact, when it happened, and when audit heard of it."""

    fact: Fact
    at: datetime
    heard_at: datetime


@cache
def example(kind: str) -> dict[str, Any]:
    data = json.loads((EXAMPLES / f"recovery.{kind}.v1.json").read_text(encoding="utf-8"))["data"]
    assert isinstance(data, dict)
    return data


def fact(kind: str, **changes: Any) -> Fact:
    """A fact like its example, with changes; without a field that is changed to None."""
    data = {"site": SITE, **example(kind), **changes}
    given = {name: value for name, value in data.items() if value is not None}
    return FACTS[f"recovery.{kind}.v1"].model_validate(given)


def told(chance: Random, start: datetime) -> Told:
    """Something that is counted, in three days, heard of at once or hours or days later."""
    kind = chance.choice([*COUNTED, *["check.issued"] * 8, *["check.refused"] * 3])
    at = start + timedelta(minutes=chance.randint(0, 3 * 24 * 60))
    late = chance.choice([0, 0, 0, 0, 5, 3 * 60, 9 * 60, 40 * 60])
    changes: dict[str, Any] = {"site": chance.choice([SITE, SITE, SITE, "ms-borealis"])}
    minor = chance.choice([0, 1, 99, 9_000, 25_000, 48_000, 120_000, 7_000_000])
    reason = chance.choice(["food", "food", "noise"])
    match kind:
        case "complaint.triaged":
            changes |= {"category": reason, "step": [None, "dining", "room"][at.minute % 3]}
        case "check.issued" | "check.refused":
            changes |= {
                "employee_id": f"e-{chance.randint(1, 14)}",
                "reason": reason,
                "cost_minor": minor // 2,
                "incident_id": chance.choice([None, None, None, "in-1"]),
            }
            if chance.random() < 0.2:
                changes |= {"basis": "delight", "delight": "birthday", "incident_id": None}
            if kind == "check.issued":
                waited = chance.choice([0, 1, 59, 900, 901, 86_400, 10**7])
                changes |= {
                    "value_minor": minor,
                    "issued_at": at,
                    "first": chance.random() < 0.5 and "delight" not in changes,
                    "complained_at": chance.choice([None, *[at - timedelta(seconds=waited)] * 3]),
                    "explain_by": chance.choice([None, None, at]),
                }
        case "check.voided" | "check.expired":
            changes |= an_end(chance, minor)
        case "redemption.captured" | "redemption.rolledback" | "customer.returned":
            changes |= {"amount_minor": minor}
        case "message.failed":
            changes |= {
                "reason": chance.choice(
                    ["no_contact", "customer_erased", "address_refused", "no_longer_true"]
                )
            }
        case "complaint.reopened" | "complaint.confirmed":
            changes |= {"by_link": chance.random() < 0.5}
        case "cause.named":
            changes |= {
                "instead_of": chance.choice([None, None, "kitchen-queue"]),
                "after_action": chance.choice([None, "ca-1"]),
                "instead_of_action": chance.choice([None, None, "ca-2"]),
            }
        case "praise.received":
            changes |= {"step": chance.choice([None, *JourneyStep])}
        case "feedback.received":
            changes |= {"helped": chance.choice(["yes", "yes", "no"])}
        case "touchpoint.answered":
            changes |= {
                "step": chance.choice(["dining", "dining", "room"]),
                "experience": chance.randint(1, 5),
                "importance": chance.choice([None, 1, 4, 5]),
            }
        case "survey.answered":
            changes |= an_answer(chance)
        case "authority.counted" | "window.closed":
            employees = chance.randint(1, 9)
            changes |= {
                "employees": employees,
                "employees_idle": chance.randint(0, employees),
                "used_minor": minor,
                "ceiling_minor": 10_000_000,
            }
            if kind == "authority.counted":
                changes["scope"] = chance.choice(["employee_shift", "employee_week"])
    return Told(fact(kind, **changes), at, at + timedelta(minutes=late))


def history(seed: int, length: int, start: datetime) -> list[Told]:
    """So many things from then on, in the order in which audit hears of them."""
    chance = Random(seed)
    return sorted((told(chance, start) for _ in range(length)), key=lambda one: one.heard_at)


def an_end(chance: Random, minor: int) -> dict[str, Any]:
    """The end of a check, of which so much was left, and what the budgets get back."""
    account = chance.choice(["site/ms-aurora", "incident/in-1", "customer/r-1"])
    return {
        "unredeemed_minor": minor,
        "credits": {
            f"{account}/NOK/2026-06-03": 1 + minor // 3,
            chance.choice(["complaint/c/NOK", "delight/ms-aurora/NOK/2026-W23"]): 5,
        },
        "currency": chance.choice(["NOK", "NOK", None, "EUR"]),
    }


def an_answer(chance: Random) -> dict[str, Any]:
    """An answer to a question that the demo policy asks, or to one that it asks no more."""
    question = chance.choice(["ease/one_to_five", "come-again/yes_no", "gone/one_to_five"])
    name, _, scale = question.partition("/")
    score = chance.randint(0, 1) if scale == "yes_no" else chance.randint(1, 5)
    return {"question_id": name, "scale": scale, "score": score}


def records(
    history: Sequence[Told], offsets: dict[str, int] | None = None, before: int = 0
) -> list[tuple[datetime, str, Record]]:
    """When each is heard of, its topic, and its record, numbered as a relay does from `before` on.

    `offsets` are the last of each topic so far.
    """
    offsets = {} if offsets is None else offsets
    found = []
    for number, (one, at, heard_at) in enumerate(history, start=before + 1):
        offset = offsets[one.TOPIC] = offsets.get(one.TOPIC, -1) + 1
        told = {"source": "/them", "sequence": f"{number:020}", "time": at.isoformat()}
        found.append((heard_at, one.TOPIC, record(one, offset, f"e-{number}", **told)))
    return found


class Slow:
    """The measures of a site over some days, from the list of all facts."""

    def __init__(
        self, history: Iterable[Told], first: date, last: date, now: datetime, currency: str = "NOK"
    ) -> None:
        self._all = [one for one in history if one.fact.site == SITE]  # type: ignore[attr-defined]
        self._days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        self._now = now
        self._currency = currency

    def of(self, kind: str, days: Sequence[date] | None = None) -> list[Any]:
        """The facts of a type that happened in the period."""
        wanted = self._days if days is None else days
        return [
            one.fact
            for one in self._all
            if one.fact.TYPE == f"recovery.{kind}.v1" and one.at.date() in wanted
        ]

    def hours(self, kind: str) -> Counter[str]:
        """By hour of the day, the facts of a type that happened in the period and have nothing to do with delight."""
        return Counter(
            f"{one.at:%H}"
            for one in self._all
            if one.fact.TYPE == f"recovery.{kind}.v1"
            and one.at.date() in self._days
            and getattr(one.fact, "delight", None) is None
        )

    def money(self, kind: str, name: str) -> int:
        return sum(getattr(one, name) for one in self.of(kind) if one.currency == self._currency)

    def given(self, *, to_delight: bool) -> list[Any]:
        """The checks given to delight, or those for complaints."""
        return [one for one in self.of("check.issued") if (one.delight is not None) is to_delight]

    def cost(self, *, to_delight: bool) -> int:
        """What these cost, less what came back."""
        given = self.given(to_delight=to_delight)
        cost = sum(one.cost_minor for one in given if one.currency == self._currency)
        return max(0, cost - self.back(to_delight=to_delight))

    def back(self, *, to_delight: bool) -> int:
        """What came back of costs."""
        return sum(
            amount
            for kind in ("check.voided", "check.expired")
            for one in self.of(kind)
            if one.currency == self._currency
            and any(name.startswith("delight/") for name in one.credits) is to_delight
            for account, amount in one.credits.items()
            if account.startswith(("site/", "incident/"))
        )

    def wishes(self, *kinds: str, reason: str | None = None) -> list[tuple[str, Any]]:
        """Wishes of employees' own, of the closed days in which five of them wished."""
        found = []
        for day in self._days:
            if self._now < _ends(day) + GRACE + timedelta(minutes=15):
                continue
            of_day = [
                (one.fact.TYPE, one)
                for one in self._all
                if one.fact.TYPE in {f"recovery.{kind}.v1" for kind in kinds}
                and one.fact.incident_id is None  # type: ignore[attr-defined]
                and one.fact.delight is None  # type: ignore[attr-defined]
                and _counts_on(one) == day
                and (reason is None or (one.fact.reason == reason and one.fact.value_minor))  # type: ignore[attr-defined]
            ]
            marks = {
                crc32(NAMES.employee(SITE, f"{one.at:%Y-%m}", one.fact.employee_id).encode()) % 32  # type: ignore[attr-defined]
                for _, one in of_day
            }
            found += of_day if len(marks) >= 5 else []
        return found

    def windows(self) -> list[Any]:
        """Windows of five employees or more: shifts, or days where no shift ended then or the day before."""
        found = []
        for day in self._days:
            near = self.of("authority.counted", [day - timedelta(days=1), day])
            shifts = [one for one in near if one.scope == "employee_shift"]
            of_day = (
                [one for one in self.of("authority.counted", [day]) if one in shifts]
                if shifts
                else self.of("window.closed", [day])
            )
            found += [one for one in of_day if one.employees >= 5]
        return found

    def waits(self) -> list[int]:
        return sorted(
            int((one.issued_at - one.complained_at).total_seconds())
            for one in self.of("check.issued")
            if one.first and one.complained_at is not None
        )


def _ends(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _counts_on(one: Told) -> date:
    own = one.at.date()
    return own if one.heard_at < _ends(own) + GRACE else one.heard_at.date()


def percent(part: float, whole: float) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def nearest_rank(found: Sequence[int], part: float) -> int | None:
    return found[max(0, ceil(part * len(found)) - 1)] if found else None


def computed(slow: Slow) -> dict[tuple[str, str], float | None]:
    """Every measure with its part; times exactly, and spreads of numbers as their buckets have them."""
    found: dict[tuple[str, str], float | None] = {}
    triaged, waits = slow.of("complaint.triaged"), slow.waits()
    found["complaints", ""] = len(triaged)
    for category in Category:
        found["complaints", category] = sum(one.category == category for one in triaged)
    where = Counter(f"{one.category}/{one.step or 'unknown'}" for one in triaged)
    for name, cells in (
        ("complaints_by_step", where),
        ("complaints_by_hour", slow.hours("complaint.triaged")),
        ("checks_by_hour", slow.hours("check.issued")),
    ):
        found |= {(name, part): amount for part, amount in cells.items()}
        found[name, ""] = cells.total()
    praise = slow.of("praise.received")
    found["praise", ""] = len(praise)
    for step in JourneyStep:
        found["praise", step] = sum(one.step == step for one in praise)
    found["praise", "unknown"] = sum(one.step is None for one in praise)
    found["checks_given", ""] = len(slow.given(to_delight=False))
    found["delights_given", ""] = len(slow.given(to_delight=True))
    found["delight_cost", ""] = slow.cost(to_delight=True)
    found["checks_taken_back", ""] = len(slow.of("check.voided"))
    value = max(
        0,
        slow.money("check.issued", "value_minor") - slow.money("check.voided", "unredeemed_minor"),
    )
    cost = slow.cost(to_delight=False)
    found["value_given", ""], found["cost_given", ""] = value, cost
    found["time_to_compensation", "p50"] = nearest_rank(waits, 0.5)
    found["time_to_compensation", "p95"] = nearest_rank(waits, 0.95)
    found["on_the_spot_rate", ""] = percent(sum(one <= 900 for one in waits), len(waits))
    windows = slow.windows()
    found["authority_utilisation", ""] = percent(
        sum(one.used_minor for one in windows), sum(one.ceiling_minor for one in windows)
    )
    found["non_use_rate", ""] = percent(
        sum(one.employees_idle for one in windows), sum(one.employees for one in windows)
    )
    wished = [kind for kind, _ in slow.wishes("check.issued", "check.refused")]
    refused = wished.count("recovery.check.refused.v1")
    found["limit_hit_rate", ""] = percent(refused, len(wished))
    given = slow.wishes("check.issued")
    # What an incident pays for is no stretch, whatever it says.
    stretched = sum(one.fact.explain_by is not None for _, one in given)
    found["stretch_rate", ""] = percent(stretched, len(given))
    for category in Category:
        values = [
            AMOUNTS.number(AMOUNTS.cell(one.fact.value_minor))
            for _, one in slow.wishes("check.issued", reason=category)
        ]
        spread = round(100 * pstdev(values) / fmean(values), 1) if len(values) > 1 else None
        found["value_spread", category] = spread
    return found | later(slow, value, cost)


def later(slow: Slow, value: int, cost: int) -> dict[tuple[str, str], float | None]:
    """The measures of what became of it."""
    overdue, reopened = slow.of("complaint.overdue"), slow.of("complaint.reopened")
    triaged = slow.of("complaint.triaged")
    answers = [one.helped for one in slow.of("feedback.received")]
    answers += ["yes" for one in slow.of("complaint.confirmed") if one.by_link]
    answers += ["no" for one in reopened if one.by_link]
    sent, failed = len(slow.of("message.sent")), slow.of("message.failed")
    failed = [one for one in failed if one.reason != "no_longer_true"]
    untried = sum(one.reason in ("no_contact", "customer_erased") for one in failed)
    helped = answers.count("yes")
    returned = slow.of("customer.returned")
    kept = 100 * len(returned) or helped * 63
    spent = cost + 10_000 * len(triaged)
    redeemed = slow.money("redemption.captured", "amount_minor")
    rolled_back = slow.money("redemption.rolledback", "amount_minor")
    named = slow.of("cause.named")
    back = sum(one.after_action is not None for one in named)
    elsewhere = sum(one.instead_of_action is not None for one in named)
    return {
        **surveyed(slow),
        **asked(slow),
        ("causes_named", ""): sum(one.instead_of is None for one in named),
        ("cause_actions", ""): len(slow.of("cause-action.taken")),
        ("causes_came_back", ""): max(0, back - elsewhere),
        ("overdue_promises", ""): len(overdue),
        ("overdue_rate", ""): percent(len(overdue), len(triaged) + len(reopened)),
        ("delivery_success", ""): percent(sent, sent + len(failed) - untried),
        ("messages_without_address", ""): untried,
        ("helped_rate", ""): percent(helped, len(answers)),
        ("reopen_rate", ""): percent(len(reopened), len(triaged)),
        ("redemption_rate", ""): percent(max(0, redeemed - rolled_back), value),
        ("breakage", ""): percent(slow.money("check.expired", "unredeemed_minor"), value),
        ("cost_per_helped_customer", ""): round(cost / helped) if helped else None,
        ("customers_returned", ""): len(returned),
        ("returned_value", ""): slow.money("customer.returned", "amount_minor"),
        ("recovery_roi", ""): percent(kept * 100_000 // 100 - spent, spent),
    }


def surveyed(slow: Slow) -> dict[tuple[str, str], float | None]:
    """The measures of the questions that the demo policy asks."""
    answers = [one for one in slow.of("survey.answered") if one.question_id != "gone"]
    found: dict[tuple[str, str], float | None] = {("survey_answers", ""): len(answers)}
    for name in {one.question_id for one in answers}:
        scores = [one.score for one in answers if one.question_id == name]
        found["survey_scores", name] = round(sum(scores) / len(scores), 2)
        found |= {
            ("survey_answers", f"{name}/{score}"): scores.count(score) for score in set(scores)
        }
    return found if answers else {**found, ("survey_scores", ""): None}


def asked(slow: Slow) -> dict[tuple[str, str], float | None]:
    """The measures of what customers were asked during their journey."""
    found: dict[tuple[str, str], float | None] = {}
    for name in ("experience", "importance"):
        answers = [
            (one.step, score)
            for one in slow.of("touchpoint.answered")
            if (score := getattr(one, name)) is not None
        ]
        for step in {step for step, _ in answers}:
            scores = [score for of, score in answers if of == step]
            found[name, step] = round(fmean(scores), 2) if len(scores) >= 5 else None
        if not answers:
            found[name, ""] = None
    return found


def compare(found: dict[tuple[str, str], Any], slow: dict[tuple[str, str], Any]) -> None:
    """Whether the service's values are those of the slow computation, within the errors it states."""
    assert found.keys() == slow.keys()
    for name, exact in slow.items():
        if name[0] == "time_to_compensation" and exact is not None:
            # Rounded to a tenth of a second.
            assert abs(found[name] - exact) <= exact * SECONDS.error + 0.05, name
        else:
            assert found[name] == exact, name
