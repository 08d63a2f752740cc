"""Authority by the policy file, with arithmetic of the auditor's own: every prefix, every account."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.audit.evidence import Evidence, Fact
from tests.chaos.audit.verdict import Verdict, more_than_once
from tests.chaos.diary import Diary

COUNTED = ("customer_checks", "stretch")
OWN = ("check", "employee_shift", "employee_day", "employee_week")
#: Scopes that every check with a cost is charged to, unless an incident pays.
ALWAYS = {"employee_day", "customer_stay", "customer_checks", "complaint", "site_day"}
OFFERS = ("offer.made", "offer.chosen", "offer.lapsed")
#: How the accounts of each scope are called.
ACCOUNTS = {
    "employee_shift": r"employee/.+/[A-Z]{3}/[0-9-]{10}/[0-9]{4}",
    "employee_day": r"employee/.+/[A-Z]{3}/[0-9-]{10}",
    "employee_week": r"employee/.+/[A-Z]{3}/[0-9]{4}-W[0-9]{2}",
    "customer_stay": r"customer/.+/[A-Z]{3}(/stay/[0-9-]{10})?",
    "customer_day": r"customer/.+/[A-Z]{3}/[0-9-]{10}",
    "customer_checks": r"customer/.+/checks/[0-9-]{10}",
    "complaint": r"complaint/.+/[A-Z]{3}",
    "site_day": r"site/.+/[A-Z]{3}/[0-9-]{10}",
    "stretch": r"stretch/.+/[0-9-]{10}/[0-9]{4}",
    "incident": r"incident/.+/[A-Z]{3}",
}


def scope_of(account: str) -> str:
    """The scope of an account, by how the accounts of each are called."""
    (scope,) = [scope for scope, name in ACCOUNTS.items() if re.fullmatch(name, account)]
    return scope


@dataclass(frozen=True)
class Rules:
    """The rules of policy and roster, read by the auditor itself."""

    policy: Mapping[str, Any]
    roles: Mapping[str, str]

    def ceilings(self, employee: str, *, stretched: bool) -> dict[str, int]:
        """The ceiling of each scope for this employee."""
        authority, limits = self.policy["authority"], self.policy["limits"]
        role = authority["roles"].get(self.roles.get(employee, "")) or authority["roles"]["any"]
        stretch = authority["stretch"]
        percent = 100 + (stretch["percent"] if stretched else 0)
        own = {
            "check": role["per_check"],
            "employee_day": role["per_day"],
            "employee_shift": role.get("per_shift", 0),
            "employee_week": role.get("per_week", 0),
        }
        return {
            **{scope: amount * percent // 100 for scope, amount in own.items()},
            "stretch": stretch["times_per_shift"],
            "customer_stay": limits["customer"]["per_stay"],
            "customer_day": limits["customer"]["per_day"],
            "customer_checks": limits["customer"]["checks_per_day"],
            "complaint": limits["complaint"]["total"],
            "site_day": limits["site"]["per_day"],
        }


def rules_of(policy: Path, roster: Path) -> Rules:
    """Read both files."""
    listed = yaml.safe_load(roster.read_text(encoding="utf-8"))["employees"]
    roles = {name: one["role"] for name, one in listed.items()}
    return Rules(yaml.safe_load(policy.read_text(encoding="utf-8")), roles)


def moves(fact: Fact) -> Iterator[tuple[str, str, int]]:
    """The postings of a fact: scope, account, amount."""
    name, data = fact.type.removeprefix("recovery.").removesuffix(".v1"), fact.data
    for field, sign in (("debits", 1), ("held", 1), ("credits", -1)):
        for account, amount in data.get(field, {}).items():
            yield scope_of(account), account, sign * amount
            if name in OFFERS:
                yield scope_of(account), f"held/{account}", sign * amount


def within_ceilings(evidence: Evidence, rules: Rules) -> Verdict:
    """No account is above its ceiling and stretch, or below zero, at any prefix of the topic."""
    balances: Counter[str] = Counter()
    budgets: dict[str, int] = {}
    wrong: list[str] = []
    prefixes = 0
    for fact in (one for one in evidence.facts if one.owner == "compensation"):
        if fact.type.startswith("recovery.incident.opened."):
            budgets[fact.data["incident_id"]] = fact.data["budget_minor"]
        charged = "debits" in fact.data or "held" in fact.data
        incident = fact.data.get("incident_id")
        ceilings = {}
        if charged:
            stretched = fact.data.get("explain_by") is not None or bool(fact.data.get("offer_id"))
            ceilings = rules.ceilings(fact.data["employee_id"], stretched=stretched)
            ceilings["incident"] = budgets.get(incident or "", 0)
        moved = list(moves(fact))
        prefixes += bool(moved)
        for scope, account, amount in moved:
            balances[account] += amount
            if balances[account] < 0:
                wrong.append(f"{account} is at {balances[account]} after {fact.id}")
            if charged and amount > 0 and balances[account] > ceilings[scope]:
                wrong.append(f"{account} is at {balances[account]} of {ceilings[scope]}: {fact.id}")
    numbers = f"{prefixes} prefixes, {len(balances)} accounts"
    return Verdict("no account is ever above its ceiling", numbers, wrong)


def one_debit_each(evidence: Evidence, rules: Rules) -> Verdict:
    """Each check is issued once and its cost charged once to every scope."""
    issued = evidence.of("check.issued")
    wrong = [
        f"{name} is issued {times} times"
        for name, times in more_than_once(fact.data["check_id"] for fact in issued).items()
    ]
    for fact in issued:
        data, scopes = fact.data, [scope_of(account) for account in fact.data["debits"]]
        if len(set(scopes)) != len(scopes):
            wrong.append(f"{data['check_id']} is charged twice to one scope")
        wanted = {"incident"} if data.get("incident_id") else ALWAYS
        if data["cost_minor"] and not wanted <= set(scopes):
            wrong.append(f"{data['check_id']} is not charged to {wanted - set(scopes)}")
        for scope, amount in zip(scopes, data["debits"].values(), strict=True):
            if amount != (1 if scope in COUNTED else data["cost_minor"]):
                wrong.append(f"{data['check_id']} is charged {amount} at {scope}")
        if rules.policy["site"] != data["site"]:
            wrong.append(f"{data['check_id']} is of another site")
    return Verdict("each check is one fact and one debit", f"{len(issued)} checks", wrong)


def balances_equal(evidence: Evidence, _: Rules) -> Verdict:
    """The balances in Redis equal those from the topic."""
    folded: Counter[str] = Counter()
    for fact in (one for one in evidence.facts if one.owner == "compensation"):
        for _scope, account, amount in moves(fact):
            folded[account] += amount
    there = stored(evidence)
    wrong = [
        f"{account} is {there[account]} in Redis and {folded[account]} on the topic"
        for account in sorted({*there, *folded})
        if there[account] != folded[account]
    ]
    return Verdict("balances are the fold of the topic", f"{len(there)} accounts", wrong)


def stored(evidence: Evidence) -> Counter[str]:
    """The balances in Redis, without what is counted for operators."""
    prefix = "compensation:{c0}:account:"
    return Counter(
        {
            key.removeprefix(prefix): int(value)
            for key, value in evidence.values.items()
            if key.startswith(prefix) and not key.startswith(f"{prefix}tally/")
        }
    )


def within_value(evidence: Evidence, _: Rules) -> Verdict:
    """No check is redeemed above its value or after its end, and no hold is used twice."""
    values = {one.data["check_id"]: one.data["value_minor"] for one in evidence.of("check.issued")}
    redeemed: dict[str, Counter[str]] = defaultdict(Counter)
    held: dict[str, int] = {}
    ended: dict[str, str] = {}
    wrong: list[str] = []
    count = 0
    for fact in evidence.facts:
        noun, verb = fact.type.split(".")[1:3]
        if noun == "check" and verb in ("voided", "expired"):
            if fact.data["check_id"] in ended:
                wrong.append(f"{fact.data['check_id']} ended twice")
            ended[fact.data["check_id"]] = verb
        if noun != "redemption":
            continue
        check, name, amount = (fact.data[n] for n in ("check_id", "redemption_id", "amount_minor"))
        count += 1
        if check in ended and verb in ("reserved", "captured", "rolledback"):
            wrong.append(f"{check} is {ended[check]}, and {name} was {verb} afterwards")
        if verb == "reserved":
            if name in held or name in redeemed[check]:
                wrong.append(f"{name} is reserved twice")
            held[name] = amount
        elif verb == "captured":
            if amount > held.pop(name, -1):
                wrong.append(f"{name} is captured and was not held, or not as much")
            redeemed[check][name] = amount
        elif verb == "cancelled":
            if held.pop(name, None) is None:
                wrong.append(f"{name} is cancelled and was not held")
        elif verb == "rolledback" and redeemed[check].pop(name, None) != amount:
            wrong.append(f"{name} is rolled back and was not captured, or not as much")
        if redeemed[check].total() > values.get(check, 0):
            wrong.append(f"{check}: {redeemed[check].total()} of {values.get(check)} redeemed")
    return Verdict("nothing is redeemed beyond a check's value or end", f"{count} steps", wrong)


def chosen_once(evidence: Evidence, _: Rules) -> Verdict:
    """An offer ends once and releases what it held."""
    held = {one.data["offer_id"]: one.data["held"] for one in evidence.of("offer.made")}
    ends = evidence.of("offer.chosen", "offer.lapsed")
    twice = more_than_once(one.data["offer_id"] for one in ends)
    wrong = [f"{name} ended {times} times" for name, times in twice.items()]
    wrong += [
        f"{one.data['offer_id']} gave back something else than it held"
        for one in ends
        if one.data["credits"] != held.get(one.data["offer_id"])
    ]
    return Verdict("an offer ends once and gives back what it held", f"{len(held)} offers", wrong)


def of(policy: Path, roster: Path, invariants: Iterable[Any]) -> tuple[Any, ...]:
    """These invariants, under a policy and a roster."""
    rules = rules_of(policy, roster)

    def under(invariant: Any) -> Any:
        def audited(evidence: Evidence, _: Diary) -> Verdict:
            found: Verdict = invariant(evidence, rules)
            return found

        return audited

    return tuple(map(under, invariants))


INVARIANTS = (
    within_ceilings,
    one_debit_each,
    balances_equal,
    within_value,
    chosen_once,
)
