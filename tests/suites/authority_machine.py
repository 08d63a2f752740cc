"""Random commands to compensation, held against a model in dictionaries and against its own facts.

Three books are kept: what the service's store holds, what the model says, and what the facts add up
to. After every step they agree, and no account is above what was allowed when it was charged.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Awaitable, Mapping
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import httpx
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from pydantic_core import from_json

from services.compensation.app import build
from services.compensation.authority.rules import scope_of
from services.compensation.settings import Settings
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.roster import EmployeeListed, Listing
from shared.contracts.vault import CustomerKeyCreated
from shared.ops import token
from shared.runtime.engine.store import Line, Store
from shared.runtime.privacy.links import OUTLASTS
from shared.runtime.privacy.seal import Vault
from shared.testing.builders import LINES_MAX, record
from shared.testing.clock import START, Clock
from tests.suites.services import MASTER, SITE

T = TypeVar("T")
Step = tuple[str, Any]
HOUR = timedelta(hours=1)
APART, HOLD, CHOOSE, EXPLAIN = timedelta(minutes=10), timedelta(minutes=5), 2 * HOUR, HOUR
BAND = 125
STAY_DAYS = 3
#: A week, a day and a shift bind before the site does, and each is met within a dozen checks.
FULL = {
    "check": 400,
    "employee_shift": 700,
    "employee_day": 1000,
    "employee_week": 1700,
    "customer_stay": 2900,
    "customer_day": 1900,
    "customer_checks": 6,
    "complaint": 1600,
    "site_day": 2600,
    "delight": 900,
}
OWN = ("check", "employee_shift", "employee_day", "employee_week")
#: What each thing costs us, what it is worth, how long it can be redeemed, whether in parts.
ITEMS: dict[str, tuple[int, int, timedelta, bool]] = {
    **{
        f"credit/{n}": (n, n, timedelta(days=2), True)
        for n in (1, 37, 100, 250, 400, 401, 500, 501)
    },
    "half/101": (51, 101, 5 * HOUR, True),
    "half/301": (151, 301, 5 * HOUR, True),
    "dinner": (150, 400, 3 * HOUR, False),
    "cruise": (450, 2000, 3 * HOUR, False),
    "words": (0, 0, timedelta(days=7), False),
}
MIDDLING = ("credit/100", "credit/250", "half/301", "dinner", "credit/400")
OFFERED = ("words", "credit/1", "credit/37", "half/101", "credit/100", "dinner", "cruise")
EMPLOYEES = {"e-day": (6, 18), "e-night": (18, 6), "e-free": None}
COMPLAINTS = {"co-1": "c-1", "co-2": "c-1", "co-3": "c-2"}
#: Customers who are given something to delight, by how the site names them. They stand where a complaint stands.
DELIGHTED = {
    name: Vault(MASTER).pseudonyms.customer(f"/site/{SITE}", name)
    for name in ("cabin-1", "cabin-2")
}
CUSTOMERS = {**COMPLAINTS, **DELIGHTED}


def policy(rules: dict[str, int]) -> Policy:
    """The numbers as the operator writes them."""

    def item(kind: str, valid: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "valid": valid, "title": {"en": kind}, **more}

    return Policy.model_validate(
        {
            "site": SITE,
            "site_name": "Aurora",
            "currency": "NOK",
            "timezone": "Etc/UTC",
            "languages": ["en"],
            "authority": {
                "day_starts": "06:00",
                "shifts_start": ["06:00", "18:00"],
                "roles": {
                    "any": {
                        "per_check": rules["check"],
                        "per_shift": rules["employee_shift"],
                        "per_day": rules["employee_day"],
                        "per_week": rules["employee_week"],
                    }
                },
                "stretch": {"percent": BAND - 100, "times_per_shift": 1, "explain_within": "PT1H"},
            },
            "limits": {
                "customer": {
                    "per_stay": rules["customer_stay"],
                    "stay_days": STAY_DAYS,
                    "per_day": rules["customer_day"],
                    "checks_per_day": rules["customer_checks"],
                },
                "complaint": {"total": rules["complaint"], "apart": "PT10M"},
                "site": {"per_day": rules["site_day"]},
            },
            "checks": {
                "credit": item("money", "P2D", up_to=600, step=1),
                "half": item("gift_card", "PT5H", amounts=[101, 301], cost_percent=50),
                "dinner": item("experience", "PT3H", cost=150, value=400),
                "cruise": item("experience", "PT3H", cost=450, value=2000),
                "words": item("apology", "P7D"),
            },
            "delight": {
                "budget": rules["delight"],
                "per": "day",
                "occasions": {"birthday": {"title": {"en": "A birthday"}}},
            },
            "hold": "PT5M",
            "choose_within": "PT2H",
            "notify": {"mail_from": "service@aurora.example"},
        }
    )


class Model:
    """Compensation as a page of arithmetic. `(status, reason)` is what every command comes to."""

    def __init__(self) -> None:
        self.now = START
        self.rules = dict(FULL)
        self.inactive: set[str] = set()
        self.checked_in: dict[str, datetime] = {}
        self.balance: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.stays: dict[str, date] = {}
        self.last_gift: dict[str, tuple[str, datetime, str]] = {}
        self.checks: dict[str, dict[str, Any]] = {}
        self.redeemed_by: dict[str, str] = {}
        self.offers: dict[str, dict[str, Any]] = {}

    # ---- authority -----------------------------------------------------------------------------

    def day(self) -> date:
        return (self.now - 6 * HOUR).date()

    def shift(self) -> str:
        return f"{self.day()}/{'0600' if 6 <= self.now.hour < 18 else '1800'}"

    def own_accounts(self, employee: str) -> dict[str, str]:
        year, week, _ = self.day().isocalendar()
        return {
            "employee_shift": f"employee/{SITE} {employee}/NOK/{self.shift()}",
            "employee_day": f"employee/{SITE} {employee}/NOK/{self.day()}",
            "employee_week": f"employee/{SITE} {employee}/NOK/{year}-W{week:02}",
        }

    def shared_accounts(self, complaint: str) -> dict[str, str]:
        customer = f"customer/{CUSTOMERS[complaint]}"
        of_its_own = (
            {"delight": f"delight/{SITE}/NOK/{self.day()}"}
            if complaint in DELIGHTED
            else {"complaint": f"complaint/{complaint}/NOK"}
        )
        return {
            "customer_stay": f"{customer}/NOK/stay/{self.stay(complaint)}",
            "customer_day": f"{customer}/NOK/{self.day()}",
            "customer_checks": f"{customer}/checks/{self.day()}",
            **of_its_own,
            "site_day": f"site/{SITE}/NOK/{self.day()}",
        }

    def stay(self, complaint: str) -> date:
        """When the customer's stay began, or begins."""
        began = self.stays.get(CUSTOMERS[complaint])
        ended = began is None or self.day() >= began + timedelta(days=STAY_DAYS)
        return self.day() if ended else began

    def charged(self, complaint: str, accounts: dict[str, int]) -> None:
        """A stay has begun once anything is charged to it."""
        for one in accounts:
            if "/stay/" in one:
                customer, began = CUSTOMERS[complaint], date.fromisoformat(one[-10:])
                self.stays[customer] = max(self.stays.get(customer, date.min), began)

    def stretch_account(self, employee: str) -> str:
        return f"stretch/{SITE} {employee}/{self.shift()}"

    def left(self, scope: str, account: str) -> int:
        return max(0, self.rules[scope] - self.balance[account])

    def binding(self, accounts: dict[str, str], cost: int, band: int = 100) -> set[str]:
        """Every scope that does not hold this, with the employee's own ceilings so far up."""
        if cost == 0:
            return set()
        found = {
            scope
            for scope, account in accounts.items()
            if self.balance[account] + charge(scope, cost)
            > self.rules[scope] * (band if scope in OWN else 100) // 100
        }
        if "employee_day" in accounts and cost > self.rules["check"] * band // 100:
            found.add("check")
        return found

    def on_shift(self, employee: str) -> bool:
        if employee in self.inactive:
            return False
        hours = EMPLOYEES[employee]
        if self.now < self.checked_in.get(employee, START):
            return True
        if hours is None:
            return False
        began, ended = hours
        in_it = began <= self.now.hour, self.now.hour < ended
        return all(in_it) if began < ended else any(in_it)

    def colleagues(self, employee: str, complaint: str, cost: int) -> set[str]:
        """Who could stand in: on shift, with own authority, where nothing shared is in the way."""
        if self.binding(self.shared_accounts(complaint), cost):
            return set()
        return {
            one
            for one in EMPLOYEES.keys() - {employee}
            if self.on_shift(one) and not self.binding(self.own_accounts(one), cost)
        }

    # ---- giving --------------------------------------------------------------------------------

    def give(self, employee: str, complaint: str, item: str, *, again: bool):
        """(status, reason, debits, when to explain)."""
        if employee in self.inactive:
            return 403, "unknown_employee", {}, None
        by, at, last = self.last_gift.get(complaint, (employee, START, ""))
        lately = by != employee and self.now - at < APART
        given = lately and not self.taken_back(self.checks[last])
        if not again and (given or self.may_choose(complaint, employee)):
            return 409, "already_compensated", {}, None
        cost = ITEMS[item][0]
        accounts = {**self.own_accounts(employee), **self.shared_accounts(complaint)}
        debits = {one: charge(scope, cost) for scope, one in accounts.items()} if cost else {}
        if not self.binding(accounts, cost):
            return 201, None, debits, None
        if self.stretches(employee, complaint, cost):
            return 201, None, {**debits, self.stretch_account(employee): 1}, self.now + EXPLAIN
        return 409, "authority_exhausted", {}, None

    def delight(self, employee: str, customer: str, item: str):
        """(status, reason, debits): as for a complaint, with the budget for delight, and never stretched."""
        if employee in self.inactive:
            return 403, "unknown_employee", {}
        if item == "words":
            return 422, "amount_not_offered", {}
        cost = ITEMS[item][0]
        accounts = {**self.own_accounts(employee), **self.shared_accounts(customer)}
        if self.binding(accounts, cost):
            return 409, "authority_exhausted", {}
        return 201, None, {one: charge(scope, cost) for scope, one in accounts.items()}

    def may_choose(self, complaint: str, employee: str) -> bool:
        """Whether the customer may choose from a colleague's offer."""
        return any(
            made["complaint"] == complaint
            and made["by"] != employee
            and not made["over"]
            and self.now < made["until"]
            for made in self.offers.values()
        )

    def stretches(self, employee: str, complaint: str, cost: int) -> bool:
        accounts = {**self.own_accounts(employee), **self.shared_accounts(complaint)}
        once = self.balance[self.stretch_account(employee)] == 0
        return once and not self.binding(accounts, cost, BAND)

    def given(self, check: str, employee: str, complaint: str, item: str, debits, explain_by):
        _, value, valid, parts = ITEMS[item]
        self.balance.update(debits)
        self.charged(complaint, debits)
        self.last_gift[complaint] = employee, self.now, check
        self.checks[check] = {
            "by": employee,
            "item": item,
            "value": value,
            "parts": parts,
            "until": self.now + valid,
            "debits": debits,
            "explain_by": explain_by,
            "explained": False,
            "unexplained": False,
            "suspended": False,
            "ended": None,
            "holds": {},
            "captured": {},
        }

    def choose(self, offer: str, item: str, employee: str | None):
        made = self.offers[offer]
        if employee in self.inactive:
            return 403, "unknown_employee"
        if employee is None and made["item"] == item:
            return 200, None
        if made["over"] or self.now >= made["until"]:
            return 409, "offer_closed"
        if item not in made["items"]:
            return 422, "amount_not_offered"
        return (201 if employee else 200), None

    def chosen(self, offer: str, check: str, item: str, employee: str | None) -> None:
        made = self.offers[offer]
        cost = ITEMS[item][0]
        self.give_back(made)
        made["item"] = item
        debits = {one: 1 if "/checks/" in one else cost for one in made["held"]} if cost else {}
        self.given(check, made["by"], made["complaint"], item, debits, None)

    def give_back(self, made: dict[str, Any]) -> None:
        made["over"] = True
        self.balance.subtract(made["held"])
        self.held.subtract(made["held"])

    # ---- the life of a check -------------------------------------------------------------------

    def look(self, check: str) -> tuple[str, int, int]:
        """(state, redeemed, left)."""
        one = self.checks[check]
        redeemed = sum(one["captured"].values())
        left = one["value"] - redeemed - sum(amount for amount, _ in one["holds"].values())
        if one["ended"]:
            return one["ended"], redeemed, left
        if one["suspended"]:
            return "suspended", redeemed, left
        if one["value"] and redeemed == one["value"]:
            return "redeemed", redeemed, left
        return ("held" if one["holds"] else "issued"), redeemed, left

    def whole(self, one: dict[str, Any]) -> bool:
        return one["value"] > 0 and sum(one["captured"].values()) == one["value"]

    def end(self, one: dict[str, Any], how: str) -> None:
        """Give back what was not redeemed: amounts in proportion, counts only for all of it.

        A stretch was taken, whatever became of its check.
        """
        one["ended"] = how
        left = one["value"] - sum(one["captured"].values())
        for account, amount in one["debits"].items():
            if account.startswith("stretch/"):
                continue
            if left == one["value"]:
                self.balance[account] -= amount
            elif "/checks/" not in account:
                self.balance[account] -= amount * left // one["value"]

    def taken_back(self, one: dict[str, Any]) -> bool:
        return one["ended"] == "voided" and not one["captured"]

    def void(self, check: str, employee: str):
        one = self.checks[check]
        if employee in self.inactive:
            return 403, "unknown_employee"
        live = any(self.now < until for _, until in one["holds"].values())
        if one["ended"] or live or self.whole(one):
            return 409, "check_ended"
        self.end(one, "voided")
        return 200, None

    def suspend(self, check: str, employee: str, *, on: bool):
        one = self.checks[check]
        if employee in self.inactive:
            return 403, "unknown_employee"
        if one["ended"] or one["suspended"] is on or self.whole(one):
            return 409, "check_ended"
        one["suspended"] = on
        return 200, None

    def explain(self, check: str, employee: str):
        one = self.checks[check]
        if employee in self.inactive:
            return 403, "unknown_employee"
        if one["by"] != employee:
            return 404, "unknown_check"
        if one["explain_by"] is None or one["explained"]:
            return 409, "nothing_to_explain"
        one["explained"], one["unexplained"] = True, False
        return 200, None

    def reserve(self, check: str, amount: int | None) -> int | str:
        """The amount that is held, or why it is not."""
        one = self.checks[check]
        over = {name: held for name, (held, until) in one["holds"].items() if until <= self.now}
        left = self.look(check)[2] + sum(over.values())
        wanted = left if amount is None else amount
        good = not one["ended"] and not one["suspended"] and self.now < one["until"]
        if not good or not one["value"] or self.whole(one):
            return "code_not_redeemable"
        if not 0 < wanted <= left:
            free = one["value"] - sum(one["captured"].values())
            return "amount_too_large" if wanted > free else "on_hold"
        if not one["parts"] and wanted != one["value"]:
            return "not_in_parts"
        for name in over:
            del one["holds"][name]
        return wanted

    def capture(self, redemption: str, amount: int | None):
        one = self.checks[self.redeemed_by[redemption]]
        held, until = one["holds"].get(redemption, (0, self.now))
        wanted = held if amount is None else amount
        good = self.now < until and not one["suspended"] and not one["ended"]
        if not good or wanted > held or not (one["parts"] or wanted == one["value"]):
            return 409, "hold_gone"
        del one["holds"][redemption]
        one["captured"][redemption] = wanted
        return 200, None

    def cancel(self, redemption: str):
        gone = self.checks[self.redeemed_by[redemption]]["holds"].pop(redemption, None)
        return (409, "hold_gone") if gone is None else (200, None)

    def roll_back(self, redemption: str):
        one = self.checks[self.redeemed_by[redemption]]
        if redemption not in one["captured"] or one["ended"] or self.now >= one["until"]:
            return 409, "not_captured"
        del one["captured"][redemption]
        return 200, None

    def ring(self) -> None:
        """Everything whose time has come."""
        for one in self.checks.values():
            self.ring_check(one)
        for made in self.offers.values():
            self.ring_offer(made)

    def ring_check(self, one: dict[str, Any]) -> None:
        over = [name for name, (_, until) in one["holds"].items() if until <= self.now]
        for name in over:
            del one["holds"][name]
        if one["value"] and one["until"] <= self.now and not one["ended"] and not self.whole(one):
            self.end(one, "expired")
        late = one["explain_by"] and one["explain_by"] <= self.now
        if late and not one["explained"] and not self.taken_back(one):
            one["unexplained"] = True

    def ring_offer(self, made: dict[str, Any]) -> None:
        if not made["over"] and made["until"] <= self.now:
            self.give_back(made)


def charge(scope: str, cost: int) -> int:
    """What one check of this cost counts in a scope."""
    return 1 if scope == "customer_checks" else cost


class Ledger:
    """What the facts of a site add up to, and whether each was right when it was written.

    `rules` are the ceilings of the first version of its policy; a scope without one is not looked at.
    """

    def __init__(self, rules: Mapping[str, int]) -> None:
        self.read = 0
        self.balance: Counter[str] = Counter()
        self.rules: dict[int, Mapping[str, int]] = {1: rules}
        self.redeemed: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.holds: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.values: dict[str, int] = {}
        self.over: Counter[tuple[str, str]] = Counter()
        self.freed: dict[str, int] = {}

    def add(self, kind: str, fact: dict[str, Any]) -> None:
        """Take in the next fact."""
        match kind.removeprefix("recovery.").removesuffix(".v1"):
            case "check.issued":
                self.values[fact["check_id"]] = fact["value_minor"]
                self.post(fact["debits"])
                self.is_allowed(fact, fact["debits"])
            case "offer.made":
                self.post(fact["held"])
                self.is_allowed(fact, fact["held"])
            case "offer.chosen" | "offer.lapsed" as how:
                self.once("offer", fact["offer_id"])
                self.post(fact["credits"], -1)
                if how == "offer.chosen":
                    self.freed = fact["credits"]
            case "check.voided" | "check.expired":
                self.once("check", fact["check_id"])
                assert fact["unredeemed_minor"] == self.left_of(fact["check_id"])
                self.post(fact["credits"], -1)
            case "redemption.reserved":
                self.is_alive(fact)
                self.holds[fact["check_id"]][fact["redemption_id"]] = fact["amount_minor"]
                self.is_covered(fact["check_id"])
            case "redemption.captured":
                self.is_alive(fact)
                held = self.holds[fact["check_id"]].pop(fact["redemption_id"])
                assert fact["amount_minor"] <= held
                self.redeemed[fact["check_id"]][fact["redemption_id"]] = fact["amount_minor"]
                self.is_covered(fact["check_id"])
            case "redemption.cancelled":
                del self.holds[fact["check_id"]][fact["redemption_id"]]
            case "redemption.rolledback":
                self.is_alive(fact)
                del self.redeemed[fact["check_id"]][fact["redemption_id"]]

    def post(self, entries: dict[str, int], sign: int = 1) -> None:
        for account, amount in entries.items():
            self.balance[account] += sign * amount
            assert self.balance[account] >= 0, account

    def is_allowed(self, fact: dict[str, Any], entries: dict[str, int]) -> None:
        """INV-01: under the ceilings of its policy, with the band if it is a stretch.

        A chosen check is under what was held for it instead.
        """
        rules = {**self.rules[fact["policy_version"]], "stretch": 1}
        chosen = fact.get("offer_id") and "code" in fact
        for account, amount in entries.items():
            scope = scope_of(account)
            band = BAND if scope in OWN and fact.get("explain_by") else 100
            if chosen:
                assert amount <= self.freed[account], account
            elif scope in rules:
                assert self.balance[account] <= rules[scope] * band // 100, account

    def once(self, what: str, name: str) -> None:
        """The give-back comes once."""
        self.over[what, name] += 1
        assert self.over[what, name] == 1, f"{name} is over twice"

    def left_of(self, check: str) -> int:
        return self.values[check] - sum(self.redeemed[check].values())

    def is_alive(self, fact: dict[str, Any]) -> None:
        """INV-03: nothing is redeemed once a check was voided or its time was over."""
        assert not self.over["check", fact["check_id"]], f"{fact} after its check was over"

    def is_covered(self, check: str) -> None:
        """INV-03: a code is redeemed at most its value in total, with what tills hold."""
        assert sum(self.holds[check].values()) <= self.left_of(check), check


def a_wish(dice: Random) -> tuple[str, str, str]:
    """Who gives what for which complaint; one is busier, and most things are of middling cost."""
    who = dice.choice(["e-day", "e-day", "e-day", "e-night", "e-free"])
    item = dice.choice([*ITEMS, *MIDDLING, *MIDDLING])
    return who, dice.choice(sorted(COMPLAINTS)), item


def a_life(dice: Random) -> list[Step]:
    """What is done with one check in a row, for races are between neighbours."""
    return [_step(dice) for _ in range(dice.randint(1, 9))]


def _step(dice: Random) -> Step:
    match dice.randrange(10):
        case 0 | 1:
            return dice.choice(["reserve", "reserve", "redeem"]), dice.choice([None, 1, 36])
        case 2 | 3 | 4:
            return dice.choice(["capture", "capture", "rollback", "cancel"]), None
        case 5:
            what = dice.choice(["void", "void", "suspend", "resume", "resume"])
            return what, dice.choice(sorted(EMPLOYEES))
        case 6:
            return "explain", dice.choice([None, *EMPLOYEES])
        case 7:
            return "wait", dice.choice([1, 4, 5, 6, 60, 200])
        case 8:
            return "ring", dice.randint(1, 2)
        case _:
            return "late ring", None


def questions(dice: Random) -> list[Step]:
    """What is asked about one offer in a row."""

    def one() -> Step:
        match dice.randrange(7):
            case 0 | 1:
                return "screen", (dice.choice(sorted(EMPLOYEES)), dice.randint(0, 6))
            case 2 | 3:
                return "link", dice.randint(0, 6)
            case 4 | 5:
                return "late ring", None
            case _:
                return "wait", dice.choice([1, 60, 119, 120])

    return [one() for _ in range(dice.randint(2, 6))]


class AuthorityMachine(RuleBasedStateMachine):
    """Subclasses say what store the services stand on.

    Hypothesis chooses the commands, and dice what is in them: left to itself it likes to do one
    thing ten times.
    """

    checks = Bundle("checks")
    #: Hypothesis often throws the same dice twice; runs with another salt are other runs.
    salt = 0
    directory: ClassVar[Any] = None

    async def opened(self) -> Store:
        """An empty store."""
        raise NotImplementedError

    async def closed(self, store: Store) -> None:
        """Give it back."""

    async def accounts(self, store: Store) -> dict[str, int]:
        """Everything in its accounts that is not zero."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model, self.ledger, self.clock = Model(), Ledger(FULL), Clock()
        self.keys, self.offsets, self.version = count(), count(), 1
        self.codes: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.redemptions: dict[str, str] = {}

    def run(self, what: Awaitable[T]) -> T:
        return self.loop.run_until_complete(what)

    @initialize(target=checks, seed=st.integers(0, 2**64 - 1))
    def begin(self, seed: int):
        """A site where something was given already."""
        self.dice = Random(f"{self.salt}/{seed}")
        cls = AuthorityMachine
        if cls.directory is None:
            cls.directory = TemporaryDirectory()
        directory = Path(cls.directory.name)
        self.key = token.demo_key(directory)
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
            "REDIS_URL": "redis://nowhere.invalid",
            "master_key": b64encode(MASTER).decode(),
            "jwks": directory / token.JWKS_FILE,
            "publish_wait_ms": 0,
        }
        self.store = self.run(self.opened())
        self.app = build(Settings(**given), now=self.clock, store=self.store)
        self.phone = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app.api), base_url="http://test", trust_env=False
        )
        vault = Vault(MASTER)
        facts = [
            PolicyPublished(site=SITE, version=1, policy=policy(FULL)),
            *(
                CustomerKeyCreated(customer_ref=ref, wrapped=vault.new_key(ref)[1])
                for ref in sorted(set(COMPLAINTS.values()))
            ),
            *(self._listed(name, active=True) for name in EMPLOYEES),
            *(
                ComplaintTriaged(
                    complaint_id=complaint,
                    customer_ref=customer,
                    site=SITE,
                    language="en",
                    category="food",
                    severity="mild",
                    safety=False,
                    promised_by=START + HOUR,
                    policy_version=1,
                    has_contact=True,
                )
                for complaint, customer in COMPLAINTS.items()
            ),
        ]
        for fact in facts:
            self.run(self._feed(fact))
        before = [a_wish(self.dice) for _ in range(self.dice.randint(0, 10))]
        note(f"before: {before}")
        given = [self._give(*wish, again=True) for wish in before]
        return multiple(*(check for check in given if check is not None))

    def teardown(self) -> None:
        if hasattr(self, "phone"):
            self.run(self.phone.aclose())
            self.run(self.closed(self.store))
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _feed(self, fact: Any) -> None:
        for inbox in self.app.inboxes:
            if inbox.topic == fact.TOPIC:
                one = record(fact, next(self.offsets))
                await self.app.parts.settler.settle_records(inbox, 0, [one])

    def _listed(self, employee: str, *, active: bool) -> EmployeeListed:
        return EmployeeListed(
            employee_id=employee,
            site=SITE,
            listing=_listing(employee, active=active),
            # Each later than the one before, as they are where time does not stand still.
            listed_at=self.clock() + timedelta(milliseconds=next(self.offsets)),
        )

    def _bearer(self, subject: str, kind: Any) -> dict[str, str]:
        signed = token.sign(self.key, subject=subject, kind=kind, site=SITE, now=self.clock())
        return {"Authorization": f"Bearer {signed}"}

    def _ask(self, method: str, path: str, subject: str, body: Any = None, kind: Any = "employee"):
        """One command, and the same once more: the same answer and no other effect."""
        headers = {**self._bearer(subject, kind), "Idempotency-Key": f"k{next(self.keys)}"}
        first, again = (
            self.run(self.phone.request(method, f"/v1/{path}", json=body, headers=headers))
            for _ in range(2)
        )
        assert (again.status_code, again.content) == (first.status_code, first.content)
        return first

    def _agree(self, answer: httpx.Response, expected: tuple[int, str | None]) -> None:
        status, reason = expected
        got = answer.json()
        assert (answer.status_code, got["type"] if status >= 400 else None) == (status, reason), got

    # ---- giving --------------------------------------------------------------------------------

    @rule(target=checks)
    def issue(self):
        """Give, and see what becomes of it."""
        dice = self.dice
        self._wait(dice.choice([0, 0, 1, 11, 100]))
        wish, again = a_wish(dice), dice.random() < 0.7
        note(f"issue {wish}{' again' if again else ''}")
        check = self._give(*wish, again=again)
        self._look_at_authority(wish[0])
        if check is None:
            return multiple()
        self._live(check, a_life(dice))
        return check

    def _give(self, who: str, about: str, item: str, *, again: bool) -> str | None:
        model = self.model
        wish = {"complaint_id": about, "item": item, "reason": "food", "again": again}
        answer = self._ask("POST", "checks", who, wish)
        status, reason, debits, explain_by = model.give(who, about, item, again=again)
        self._agree(answer, (status, reason))
        got = answer.json()
        if reason == "authority_exhausted":
            self._is_refusal(got, who, about, ITEMS[item][0])
        if status != 201:
            return None
        model.given(got["check_id"], who, about, item, debits, explain_by)
        assert _time(got["explain_by"]) == explain_by
        assert got["value_minor"] == ITEMS[item][1]
        self._is_left(got["left"], who, about)
        self.codes[got["check_id"]] = got["code"]
        return got["check_id"]

    def _is_refusal(self, got: dict[str, Any], who: str, about: str, cost: int) -> None:
        """What binds does bind, what is offered fits, and a colleague is named if one could give it."""
        model = self.model
        own, shared = model.own_accounts(who), model.shared_accounts(about)
        binding = model.binding({**own, **shared}, cost)
        assert got["bound_by"] in binding
        assert got["complaint_id"] == (about if about in COMPLAINTS else None)
        self._is_left(got["left"], who, about)
        # Words are always there, and delight nobody.
        assert got["alternatives"] or about in DELIGHTED
        for one in got["alternatives"]:
            assert not model.binding({**own, **shared}, one["cost_minor"]), one
        able = model.colleagues(who, about, cost)
        assert (got["colleague_id"] in able) if able else (got["colleague_id"] is None)

    def _is_left(self, left: list[dict[str, Any]], who: str, about: str) -> None:
        accounts = {**self.model.own_accounts(who), **self.model.shared_accounts(about)}
        assert {one["scope"]: one["left_minor"] for one in left} == {
            scope: self.model.left(scope, account) for scope, account in accounts.items()
        }

    @rule(target=checks)
    def delight(self):
        """Give to delight, and see what becomes of it."""
        dice = self.dice
        self._wait(dice.choice([0, 0, 1, 11, 100]))
        (who, _, item), customer = a_wish(dice), dice.choice(sorted(DELIGHTED))
        note(f"delight {who} {customer} {item}")
        check = self._delight(who, customer, item)
        self._look_at_authority(who)
        if check is None:
            return multiple()
        self._live(check, a_life(dice))
        return check

    def _delight(self, who: str, customer: str, item: str) -> str | None:
        wish = {"occasion": "birthday", "item": item, "customer": customer}
        answer = self._ask("POST", "delights", who, wish)
        status, reason, debits = self.model.delight(who, customer, item)
        self._agree(answer, (status, reason))
        got = answer.json()
        if reason == "authority_exhausted":
            self._is_refusal(got, who, customer, ITEMS[item][0])
        if status != 201:
            return None
        self.model.given(got["check_id"], who, customer, item, debits, None)
        assert (got["complaint_id"], got["explain_by"]) == (None, None)
        self._is_left(got["left"], who, customer)
        self.codes[got["check_id"]] = got["code"]
        return got["check_id"]

    @rule(target=checks)
    def offer(self):
        """Of everything that is asked about one offer, one choice counts."""
        dice = self.dice
        who, about, _ = a_wish(dice)
        some, steps = dice.sample(OFFERED, dice.randint(2, 3)), questions(dice)
        note(f"offer {who} {about} {some}: {steps}")
        name = self._offer(who, about, some)
        found = []
        for what, how in steps if name is not None else ():
            if what == "screen":
                found.append(self._choose(name, *how))
            elif what == "link":
                self._choose_by_link(name, how)
            elif what == "late ring":
                made = self.model.offers[name]
                if made["over"] or made["until"] <= self.model.now:
                    self.run(self.app.on_timer["lapse"](name, 0))
                    self.model.ring_offer(made)
            else:
                self._let(what, how)
            self.the_books_agree()
            self._look_at_authority(who)
        return multiple(*(check for check in found if check is not None))

    def _offer(self, who: str, about: str, some: list[str]) -> str | None:
        model = self.model
        wish = {"complaint_id": about, "items": some, "reason": "food", "again": True}
        answer = self._ask("POST", "offers", who, wish)
        cost = max(ITEMS[item][0] for item in some)
        accounts = {**model.own_accounts(who), **model.shared_accounts(about)}
        if who in model.inactive:
            self._agree(answer, (403, "unknown_employee"))
            return None
        if model.binding(accounts, cost):
            self._agree(answer, (409, "authority_exhausted"))
            self._is_refusal(answer.json(), who, about, cost)
            return None
        self._agree(answer, (201, None))
        held = {one: charge(scope, cost) for scope, one in accounts.items()}
        model.balance.update(held)
        model.held.update(held)
        model.charged(about, held)
        name = answer.json()["offer_id"]
        model.offers[name] = {
            "by": who,
            "complaint": about,
            "items": some,
            "held": held,
            "until": model.now + CHOOSE,
            "over": False,
            "item": None,
        }
        self.links[name] = httpx.URL(answer.json()["link"]).path
        return name

    def _item(self, name: str, number: int) -> str:
        options = self.model.offers[name]["items"]
        return options[number % len(options)] if number < 6 else "credit/999"

    def _choose(self, name: str, who: str, number: int) -> str | None:
        item = self._item(name, number)
        answer = self._ask("POST", f"offers/{name}/choice", who, {"item": item})
        expected = self.model.choose(name, item, who)
        self._agree(answer, expected)
        if expected[0] != 201:
            return None
        check = answer.json()["check_id"]
        self.model.chosen(name, check, item, who)
        self.codes[check] = answer.json()["code"]
        return check

    def _choose_by_link(self, name: str, number: int) -> None:
        """The customer's own hand; the code goes to them by mail and nobody here learns it."""
        item = self._item(name, number)
        made = self.model.offers[name]
        status, _ = self.model.choose(name, item, None)
        for _ in range(2):
            answer = self.run(self.phone.post(self.links[name], data={"item": item}))
            if self.model.now >= made["until"] + OUTLASTS:
                assert answer.status_code == 404
            else:
                assert answer.status_code == (status if item in made["items"] else 422)
        if status == 200 and not made["over"]:
            self.model.chosen(name, "ck-" + name.removeprefix("of-"), item, None)

    # ---- the life of a check -------------------------------------------------------------------

    @rule(check=checks)
    def live(self, check: str) -> None:
        """An old check."""
        self._live(check, a_life(self.dice))

    def _live(self, check: str, steps: list[Step]) -> None:
        """What a till, its giver, a colleague and time do to one check."""
        note(f"{check}: {steps}")
        for what, how in steps:
            last = self.redemptions.get(check)
            match what:
                case "reserve" | "redeem":
                    self._reserve(check, how, at_once=what == "redeem")
                case "capture" | "cancel" | "rollback":
                    if last is not None:
                        self._at_the_till(last, what, how)
                case "void" | "suspend" | "resume":
                    answer = self._ask("POST", f"checks/{check}/{what}", how)
                    if what == "void":
                        self._agree(answer, self.model.void(check, how))
                    else:
                        self._agree(answer, self.model.suspend(check, how, on=what == "suspend"))
                case "explain":
                    who = how or self.model.checks[check]["by"]
                    line = {"explanation": "Third delay this week."}
                    answer = self._ask("POST", f"checks/{check}/explain", who, line)
                    self._agree(answer, self.model.explain(check, who))
                case "late ring":
                    self._late_ring(check)
                case _:
                    self._let(what, how)
            self.the_books_agree()
            self._look(check)

    def _late_ring(self, check: str) -> None:
        """Timers that another process found due, and rings after whatever came between."""
        one, now = self.model.checks[check], self.model.now
        held = [name for name, (_, until) in one["holds"].items() if until <= now]
        for name in [*held, *one["captured"]]:
            self.run(self.app.on_timer["hold"](name, 0))
        if one["ended"] or one["until"] <= now:
            self.run(self.app.on_timer["expire"](check, 0))
        if one["explained"] or (one["explain_by"] and one["explain_by"] <= now):
            self.run(self.app.on_timer["explain"](check, 0))
        self.model.ring_check(one)

    @rule(check=checks)
    def outlive(self, check: str) -> None:
        """A till and a colleague who come when its time is over, perhaps before anybody noticed."""
        over = self.model.checks[check]["until"]
        if over > self.model.now:
            self._wait((over - self.model.now) // timedelta(minutes=1))
        self._ring(self.dice.randint(0, 2))
        late = [("rollback", None), ("capture", None), ("redeem", None), ("void", "e-day")]
        self._live(check, late)
        self._ring(1)

    def _let(self, what: str, how: int) -> None:
        if what == "wait":
            self._wait(how)
        else:
            self._ring(how)

    def _reserve(self, check: str, amount: int | None, *, at_once: bool) -> None:
        wish = {"code": self.codes[check], "amount_minor": amount, "capture": at_once}
        answer = self._ask("POST", "redemptions", "till-1", wish, "till")
        held = self.model.reserve(check, amount)
        if isinstance(held, str):
            self._agree(answer, (409, held))
            return
        self._agree(answer, (200, None))
        got, one = answer.json(), self.model.checks[check]
        assert got["amount_minor"] == held
        assert (got["item"], got["value_minor"]) == (one["item"], one["value"])
        assert got["left_minor"] == self.model.look(check)[2] - held
        name = self.redemptions[check] = got["redemption_id"]
        self.model.redeemed_by[name] = check
        if at_once:
            one["captured"][name] = held
        else:
            until = min(self.model.now + HOLD, one["until"])
            assert _time(got["expires_at"]) == until
            one["holds"][name] = held, until

    def _at_the_till(self, name: str, step: str, amount: int | None) -> None:
        model = self.model
        body = {"amount_minor": amount} if step == "capture" else None
        answer = self._ask("POST", f"redemptions/{name}/{step}", "till-1", body, "till")
        match step:
            case "capture":
                self._agree(answer, model.capture(name, amount))
            case "cancel":
                self._agree(answer, model.cancel(name))
            case _:
                self._agree(answer, model.roll_back(name))

    def _look(self, check: str) -> None:
        active = sorted(EMPLOYEES.keys() - self.model.inactive)
        if not active:
            return
        headers = self._bearer(active[0], "employee")
        got = self.run(self.phone.get(f"/v1/checks/{check}", headers=headers)).json()
        one = self.model.checks[check]
        found = got["state"], got["redeemed_minor"], got["left_minor"]
        assert found == self.model.look(check)
        assert got["unexplained"] is one["unexplained"]
        told = one["explained"] and one["by"] == active[0]
        assert (got["explanation"] is not None) is told

    # ---- the world ----------------------------------------------------------------------------

    @rule()
    def time_passes(self) -> None:
        self._wait(self.dice.choice([0, 1, 6, 30, 30, 125, 125, 800, 2000]))
        self._ring(self.dice.randint(0, 2))

    def _wait(self, minutes: int) -> None:
        note(f"wait {minutes}")
        self.clock.advance(timedelta(minutes=minutes))
        self.model.now = self.clock()

    def _ring(self, times: int) -> None:
        """Each that is due, perhaps once more: whoever rang it may have died before it knew."""
        due = self.run(self.store.due(int(self.clock().timestamp() * 1000), 1000))
        for member, at in due * times:
            name, _, about = member.partition("|")
            self.run(self.app.on_timer[name](about, at))
        if times:
            self.model.ring()

    @rule()
    def the_office_changes_something(self) -> None:
        dice = self.dice
        who = dice.choice(sorted(EMPLOYEES))
        match dice.choice(["policy", "roster", "roster", "shift"]):
            case "policy":
                self._the_policy_changes(dice.choice([100, 100, 60, 30]))
            case "roster":
                self._the_roster_changes(who, dice.random() < 0.7, dice.random() < 0.5)
            case _:
                self._check_in(who, dice.randint(1, 16))

    def _the_policy_changes(self, percent: int) -> None:
        """Lower or back again; what counts and not what it costs stays as it is."""
        note(f"policy at {percent} %")
        rules = {
            scope: limit if scope == "customer_checks" else limit * percent // 100
            for scope, limit in FULL.items()
        }
        self.version += 1
        fact = PolicyPublished(site=SITE, version=self.version, policy=policy(rules))
        self.run(self._feed(fact))
        self.model.rules = self.ledger.rules[self.version] = rules

    def _the_roster_changes(self, who: str, active: bool, by_file: bool) -> None:
        note(f"{who} {'active' if active else 'gone'}")
        if by_file:
            self.run(self._feed(self._listed(who, active=active)))
        else:
            listing = _listing(who, active=active).model_dump(mode="json")
            body = {"site": SITE, "listing": listing}
            self._agree(self._ask("PUT", f"employees/{who}", "hr", body, "personnel"), (200, None))
        (self.model.inactive.discard if active else self.model.inactive.add)(who)

    def _check_in(self, who: str, hours: int) -> None:
        answer = self._ask("POST", "me/shift", who, {"hours": hours})
        if who in self.model.inactive:
            self._agree(answer, (403, "unknown_employee"))
            return
        self._agree(answer, (200, None))
        self.model.checked_in[who] = self.model.now + hours * HOUR

    def _look_at_authority(self, who: str) -> None:
        model = self.model
        answer = self.run(self.phone.get("/v1/me/authority", headers=self._bearer(who, "employee")))
        if who in model.inactive:
            self._agree(answer, (403, "unknown_employee"))
            return
        got = {one["scope"]: one for one in answer.json()["scopes"]}
        stretched = model.balance[model.stretch_account(who)]
        assert (got.pop("stretch")["used_minor"]) == stretched
        site = {"site_day": model.shared_accounts("co-1")["site_day"]}
        assert {
            scope: (one["used_minor"], one["held_minor"], one["left_minor"])
            for scope, one in got.items()
        } == {
            scope: (
                model.balance[account] - model.held[account],
                model.held[account],
                model.left(scope, account),
            )
            for scope, account in {**model.own_accounts(who), **site}.items()
        }

    # ---- what always holds ---------------------------------------------------------------------

    @invariant()
    def the_books_agree(self) -> None:
        """INV-01, INV-03: store, model and facts hold the same, and every fact was right."""
        if not hasattr(self, "store"):
            return
        _, lines = self.run(self.store.pending(LINES_MAX))
        for encoded in lines[self.ledger.read :]:
            line = Line.decode(encoded)
            assert not line.headers, "a dead letter"
            event = from_json(line.value)
            self.ledger.add(event["type"], event["data"])
        self.ledger.read = len(lines)
        found = {
            name: amount
            for name, amount in self.run(self.accounts(self.store)).items()
            if not name.startswith("tally/")
        }
        held = {f"held/{name}": amount for name, amount in self.model.held.items()}
        expected = _not_zero({**self.model.balance, **held})
        assert found == expected, dict(found.items() ^ expected.items())
        assert _not_zero(self.ledger.balance) == _not_zero(self.model.balance)


def _not_zero(balances: dict[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in balances.items() if amount}


def _listing(employee: str, *, active: bool) -> Listing:
    hours = EMPLOYEES[employee]
    shift = hours and {"starts": f"{hours[0]:02}:00", "ends": f"{hours[1]:02}:00"}
    return Listing(role="any", shift=shift, active=active)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
