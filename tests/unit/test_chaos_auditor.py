"""The auditor of the fault runner sees what it looks for: each invariant holds of a sound world and fails of a doctored one."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.audit import intake, ledger, letters, order, privacy, promises, record, requests
from tests.chaos.audit.evidence import AUDIT as RECORD
from tests.chaos.audit.evidence import INTAKE, Evidence, Record
from tests.chaos.audit.verdict import Verdict
from tests.chaos.diary import CANARY, Asked, Diary, Sent

ROOT = Path(__file__).parents[2]
AUDIT = sorted((ROOT / "tests" / "chaos" / "audit").glob("*.py"))
POLICY, ROSTER = ROOT / "policy" / "demo.yaml", ROOT / "policy" / "roster.yaml"
UNDER_RULES = (*ledger.INVARIANTS, *record.UNDER_RULES)
LEDGER = dict(zip(UNDER_RULES, ledger.of(POLICY, ROSTER, UNDER_RULES), strict=True))
MORNING, NOON, EVENING = (f"2026-06-03T{hour}:00:00Z" for hour in ("09", "12", "18"))
DAY = "employee/e-ingrid/NOK/2026-06-03"
TOMORROW = "employee/e-ingrid/NOK/2026-06-04"


class Made:
    """A small world: two records of the intake, one request, one check, one letter."""

    def __init__(self) -> None:
        self.evidence = Evidence()
        self.diary = Diary()
        self.numbers: dict[str, int] = {}
        for number, sent_id in enumerate(("a", "b")):
            self.diary.sent.append(Sent(number, "/s", sent_id, "new", False, 0, number))
            self.record(INTAKE, b"", b"{}", serial=str(number).encode(), partition=0, offset=number)
            self.complaint(f"co-{sent_id}", f"{INTAKE}/0/{number}/-1", safety=sent_id == "b")
        self.evidence.values[f"complaints:{{c0}}:fence:{INTAKE}:0"] = b'0000000002{"offset":1}'
        self.request("/v1/complaints", 201, {"complaint_id": "co-h"})
        self.complaint("co-h", "http/k/b", has_contact=True)
        self.message("me-1", "acknowledgement", "co-h")
        self.check("ck-1", 9000)
        self.message("me-2", "check_given", "ck-1")
        self.offer()
        self.message("me-3", "check_offered", "of-1")
        self.message("me-4", "check_given", "ck-2")
        self.redemption("reserved", "re-1", 5000)
        self.request("/v1/redemptions", 200, {"redemption_id": "re-1"})
        self.redemption("captured", "re-1", 4000)
        self.request("/v1/redemptions/re-1/capture", 200, {"redemption_id": "re-1"})
        routed = {"complaint_id": "co-b", "mailboxes": ["duty"]}
        self.fact("notifier", "safety.routed", "co-b", routed, "timer/alarm")
        self.message("me-5", "safety", "co-b", mailbox="duty")
        self.chains: dict[str, tuple[int, str]] = {}
        for one in [one for one in self.evidence.records if one.topic != INTAKE]:
            self.recorded(one)
        for owner, last in self.numbers.items():
            self.evidence.values[f"{owner}:{{c0}}:sequence"] = str(last).encode()
            self.evidence.lists[f"{owner}:{{c0}}:outbox"] = []

    def record(self, topic: str, key: bytes, value: bytes, *, partition=0, offset=None, **headers):
        if offset is None:
            offset = sum(one.topic == topic for one in self.evidence.records)
        self.evidence.records.append(Record(topic, partition, offset, key, value, headers))

    def fact(self, owner: str, name: str, key: str, data: dict[str, Any], cause: str = "") -> None:
        number = self.numbers[owner] = self.numbers.get(owner, 0) + 1
        event = {
            "id": f"{owner}-{number}", "source": f"/{owner}", "type": f"recovery.{name}.v1",
            "cause": cause, "data": data, "sequence": f"{number:020}",
        }  # fmt: skip
        self.record(f"recovery.{owner}.v1", key.encode(), json.dumps(event).encode())

    def recorded(self, one: Record) -> None:
        """Put a fact on the record, with the pseudonym of the employee."""
        event = json.loads(one.value.replace(b"e-ingrid", b"0123abcd"))
        amounts = {name: n for name, n in event["data"].items() if name.endswith("_minor")}
        self.chain(f"{one.topic}/{one.partition}", {
            "amounts": amounts, "details": event["data"], "event_id": event["id"],
            "key": one.key.decode(), "offset": one.offset, "sequence": int(event["sequence"]),
            "site": event["data"].get("site"), "source": event["source"], "what": event["type"],
        })  # fmt: skip

    def chain(self, name: str, said: dict[str, Any]) -> None:
        """The next record of a chain."""
        number, before = self.chains.get(name, (0, "0" * 64))
        body = json.dumps({"chain": name, "number": number + 1, "previous": before, **said})
        found = sha256(body.encode()).hexdigest()
        self.chains[name] = (number + 1, found)
        sequence = self.numbers["audit"] = self.numbers.get("audit", 0) + 1
        data = f'{{"hash":"{found}","record":{body},"recorded_at":"{NOON}"}}'
        line = (
            f'{{"id":"audit-{sequence}","source":"/audit","type":"recovery.fact.recorded.v1",'
            f'"sequence":"{sequence:020}","data":{data}}}'
        )
        self.record(RECORD, name.encode(), line.encode())

    def request(self, path: str, status: int, answer: dict[str, Any], about: str = "") -> None:
        key = f"key-{len(self.diary.asked)}"
        asked = Asked("compensation", "employee e-ingrid", path, key, {}, about)
        asked.answers = [(status, answer), (status, answer)]
        self.diary.asked.append(asked)

    def complaint(
        self, name: str, cause: str, *, has_contact: bool = False, safety: bool = False
    ) -> None:
        self.fact("complaints", "complaint.received", name, {"complaint_id": name}, cause)
        data = {
            "complaint_id": name, "has_contact": has_contact, "safety": safety, "promised_by": NOON,
        }  # fmt: skip
        self.fact("complaints", "complaint.triaged", name, data, cause)
        if name != "co-h":  # which is given a check in time
            data = {"complaint_id": name, "round": 0, "overdue_at": NOON}
            self.fact("complaints", "complaint.overdue", name, data, "timer/overdue")

    def debits(self, cost: int) -> dict[str, int]:
        return {
            DAY: cost, "customer/c/NOK": cost, "complaint/co-h/NOK": cost,
            "customer/c/checks/2026-06-03": 1, "site/ms-aurora/NOK/2026-06-03": cost,
        }  # fmt: skip

    def post(self, debits: dict[str, int], prefix: str = "") -> None:
        for account, amount in debits.items():
            key = f"compensation:{{c0}}:account:{prefix}{account}"
            before = int(self.evidence.values.get(key, b"0"))
            self.evidence.values[key] = str(before + amount).encode()

    def check(self, name: str, cost: int, offer: str | None = None) -> None:
        debits = self.debits(cost)
        data = {
            "check_id": name, "value_minor": cost, "cost_minor": cost, "site": "ms-aurora",
            "employee_id": "e-ingrid", "debits": debits, "explain_by": None, "offer_id": offer,
            "complaint_id": "co-h", "issued_at": MORNING if offer is None else EVENING,
        }  # fmt: skip
        self.fact("compensation", "check.issued", name, data, "http/c/b")
        if offer is None:
            self.request("/v1/checks", 201, {"check_id": name})
        self.post(debits)

    def offer(self) -> None:
        held = self.debits(7000)
        data = {
            "offer_id": "of-1", "employee_id": "e-ingrid", "held": held, "complaint_id": "co-h",
            "offered_at": EVENING,
        }  # fmt: skip
        self.fact("compensation", "offer.made", "of-1", data, "http/o/b")
        self.request("/v1/offers", 201, {"offer_id": "of-1"})
        data = {"offer_id": "of-1", "credits": held}
        self.fact("compensation", "offer.chosen", "of-1", data, "http/p/b")
        self.request("/v1/offers/of-1/choice", 201, {"check_id": "ck-2"}, about="of-1")
        self.check("ck-2", 7000, offer="of-1")

    def redemption(self, verb: str, name: str, amount: int, check: str = "ck-1") -> None:
        data = {"redemption_id": name, "check_id": check, "amount_minor": amount}
        self.fact("compensation", f"redemption.{verb}", check, data, "http/r/b")

    def message(self, name: str, occasion: str, about: str, mailbox: str | None = None) -> None:
        said = {
            "message_id": name, "occasion": occasion, "about": about, "mailbox": mailbox,
            "complaint_id": about if mailbox else "co-h",
        }  # fmt: skip
        self.fact("notifier", "message.queued", "co-h", said)
        self.fact("notifier", "message.attempted", "co-h", {**said, "repeats_unknown": False})
        self.fact("notifier", "message.sent", "co-h", said)
        self.diary.letters.append((f"<{name}@aurora.example>", "kim@example.org", "Hello"))

    # ---- doctoring -----------------------------------------------------------------------------

    def drop(self, name: str, nth: int = 0) -> None:
        """Take a fact off its topic."""
        found = [one for one in self.evidence.records if name.encode() in one.value]
        self.evidence.records.remove(found[nth])

    def change(self, name: str, nth: int = 0, **data: Any) -> None:
        """Let a fact say something else."""
        found = [
            number
            for number, one in enumerate(self.evidence.records)
            if f"recovery.{name}.v1".encode() in one.value
        ]
        one = self.evidence.records[found[nth]]
        event = json.loads(one.value)
        event["data"] |= data
        self.evidence.records[found[nth]] = replace(one, value=json.dumps(event).encode())

    def again(self, name: str) -> None:
        """Let the same happen a second time, under the next number."""
        one = next(one for one in self.evidence.records if name.encode() in one.value)
        event = json.loads(one.value)
        owner = event["source"].removeprefix("/")
        self.fact(owner, name, one.key.decode(), event["data"], event["cause"])


def swap_first_two(made: Made) -> None:
    places = [
        n for n, one in enumerate(made.evidence.records) if b"complaint.received" in one.value
    ]
    records = made.evidence.records
    records[places[0]], records[places[1]] = records[places[1]], records[places[0]]


def renumber(made: Made) -> None:
    made.evidence.values["complaints:{c0}:sequence"] = b"99"


def two_facts_of_one_number(made: Made) -> None:
    one = next(one for one in made.evidence.records if b"complaint.triaged" in one.value)
    made.evidence.records.append(replace(one, value=one.value.replace(b"co-a", b"co-x")))


def fact_at(made: Made, **changed: Any) -> None:
    made.fact("compensation", "check.issued", "ck-9", {
        "check_id": "ck-9", "value_minor": 1, "cost_minor": 1, "site": "ms-aurora", "explain_by": None,
        "employee_id": "e-ingrid", "debits": made.debits(1), "complaint_id": "co-h",
        "issued_at": MORNING, **changed,
    }, "timer/x")  # fmt: skip


def unchained(made: Made, before: bytes, after: bytes) -> None:
    """Change the last record of a chain."""
    at = max(at for at, one in enumerate(made.evidence.records) if one.topic == RECORD)
    one = made.evidence.records[at]
    assert before in one.value
    made.evidence.records[at] = replace(one, value=one.value.replace(before, after))


def record_again(made: Made, name: bytes) -> None:
    """Record a fact a second time."""
    facts = [one for one in made.evidence.records if one.topic != RECORD]
    made.recorded(next(one for one in facts if name in one.value))


def record_elsewhere(made: Made) -> None:
    at = max(at for at, one in enumerate(made.evidence.records) if one.topic == RECORD)
    made.evidence.records[at] = replace(made.evidence.records[at], partition=1)


def answer_differently(made: Made) -> None:
    made.diary.asked[0].answers[1] = (201, {"complaint_id": "co-other"})


def reopen(made: Made) -> None:
    """What was given before the customer said that it did not help keeps no later promise."""
    data = {"complaint_id": "co-h", "has_contact": False, "round": 1, "reopened_at": MORNING}
    made.fact("complaints", "complaint.reopened", "co-h", {**data, "promised_by": NOON}, "x")


#: Each invariant with what breaks it; several doctorings where it states several things.
DOCTORED: list[tuple[Callable[..., Verdict], Callable[[Made], Any]]] = [
    (intake.confirmed_is_there, lambda m: setattr(m.diary.sent[0], "offset", 7)),
    (intake.one_fate_each, lambda m: m.drop('"co-a"')),
    (intake.one_fate_each, lambda m: m.again("complaint.received")),
    (intake.one_fate_each, lambda m: m.complaint("co-z", f"{INTAKE}/3/77/-1")),
    (intake.received_once, lambda m: setattr(m.diary.sent[1], "id", "a")),
    (intake.received_once, lambda m: setattr(m.diary.sent[1], "kind", "broken")),
    (intake.fence_not_beyond, lambda m: m.drop('"co-a"')),
    (
        intake.fence_not_beyond,
        lambda m: m.evidence.values.update(
            {f"complaints:{{c0}}:fence:{INTAKE}:0": b'0000000002{"offset":0}'}
        ),
    ),
    (intake.in_order, lambda m: m.again("complaint.received")),
    (intake.nothing_passed_over, lambda m: m.diary.noticed.update(["records_missed"])),
    (intake.triaged, lambda m: m.drop("complaint.triaged")),
    (intake.triaged, lambda m: m.again("complaint.triaged")),
    (order.numbered, lambda m: m.drop("complaint.triaged")),
    (order.numbered, renumber),
    (order.numbered, lambda m: m.evidence.values.update({"notifier:{c0}:sequence": b"1"})),
    (order.repeated_identically, two_facts_of_one_number),
    (order.ascending, swap_first_two),
    (order.outbox_empty, lambda m: m.evidence.lists.update({"complaints:{c0}:outbox": [b"x"]})),
    (requests.accepted_once, lambda m: m.drop('"co-h"')),
    (requests.accepted_once, lambda m: m.drop("redemption.captured")),
    (requests.accepted_once, lambda m: m.diary.asked.pop()),
    (requests.accepted_once, lambda m: m.diary.asked[1].answers.append((409, {"type": "no"}))),
    (
        requests.accepted_once,
        lambda m: m.request("/v1/checks", 409, {"type": "authority_exhausted"}),
    ),
    (requests.all_answered, lambda m: m.diary.asked[0].answers.clear()),
    (requests.all_answered, lambda m: m.diary.defects.update(["/v1/checks answered 500"])),
    (requests.same_again, answer_differently),
    (ledger.within_ceilings, lambda m: m.check("ck-9", 8001_00)),
    (ledger.within_ceilings, lambda m: m.change("offer.chosen", credits=m.debits(99_000_00))),
    (ledger.one_debit_each, lambda m: m.again("check.issued")),
    (ledger.one_debit_each, lambda m: fact_at(m, debits={**m.debits(1), TOMORROW: 1})),
    (ledger.one_debit_each, lambda m: fact_at(m, debits={DAY: 1})),
    (ledger.one_debit_each, lambda m: fact_at(m, debits=m.debits(2))),
    (ledger.one_debit_each, lambda m: fact_at(m, site="elsewhere")),
    (ledger.balances_equal, lambda m: m.post(m.debits(1))),
    (ledger.balances_equal, lambda m: m.again("check.issued")),
    (ledger.within_value, lambda m: m.change("redemption.captured", amount_minor=5001)),
    (ledger.within_value, lambda m: m.change("check.issued", value_minor=3999)),
    (ledger.within_value, lambda m: m.again("redemption.reserved")),
    (ledger.within_value, lambda m: m.redemption("rolledback", "re-1", 1)),
    (ledger.within_value, lambda m: m.redemption("cancelled", "re-1", 1)),
    (
        ledger.within_value,
        lambda m: (
            m.fact("compensation", "check.voided", "ck-1", {"check_id": "ck-1", "credits": {}}),
            m.redemption("reserved", "re-2", 1),
        ),
    ),
    (ledger.chosen_once, lambda m: m.again("offer.chosen")),
    (ledger.chosen_once, lambda m: m.change("offer.chosen", credits={})),
    (letters.queued_once, lambda m: m.drop("message.queued")),
    (letters.queued_once, lambda m: m.again("message.queued")),
    (letters.queued_once, lambda m: m.message("me-9", "check_given", "ck-none")),
    (letters.one_fate_each, lambda m: m.drop("message.sent")),
    (letters.one_fate_each, lambda m: m.again("message.sent")),
    (letters.one_letter_each, lambda m: m.diary.letters.pop()),
    (letters.one_letter_each, lambda m: m.diary.letters.append(m.diary.letters[0])),
    (letters.one_letter_each, lambda m: m.diary.letters.append(("<me-x@a>", "", ""))),
    (promises.overdue_is_told, lambda m: m.drop("complaint.overdue")),
    (promises.overdue_is_told, lambda m: m.again("complaint.overdue")),
    (promises.overdue_is_told, lambda m: m.change("complaint.overdue", round=1)),
    (promises.overdue_is_told, lambda m: m.change("complaint.overdue", complaint_id="co-h")),
    (promises.overdue_is_told, lambda m: m.change("check.issued", issued_at=EVENING)),
    (promises.overdue_is_told, reopen),
    (promises.safety_is_told, lambda m: m.drop("safety.routed")),
    (promises.safety_is_told, lambda m: m.again("safety.routed")),
    (promises.safety_is_told, lambda m: m.change("safety.routed", mailboxes=[])),
    (promises.safety_is_told, lambda m: m.change("safety.routed", mailboxes=["duty", "bridge"])),
    (promises.safety_is_told, lambda m: m.change("complaint.triaged", safety=True)),
    (promises.safety_is_told, lambda m: m.message("me-9", "safety", "co-a", mailbox="duty")),
    (record.chained, lambda m: unchained(m, b'"number": ', b'"number": 1')),
    (record.chained, lambda m: unchained(m, b'"previous": "', b'"previous": "0')),
    (record.chained, lambda m: unchained(m, b"me-5", b"me-6")),
    (record.chained, record_elsewhere),
    (record.each_fact_recorded, lambda m: m.fact("notifier", "x", "k", {})),
    (record.each_fact_recorded, lambda m: record_again(m, b"complaint.triaged")),
    (record.each_fact_recorded, lambda m: m.drop("complaint.triaged")),
    (
        record.each_fact_recorded,
        lambda m: m.chain("recovery.notifier.v1/0", {"missing": 1, "before": 2, "after": 0}),
    ),
    (
        record.each_fact_recorded,
        lambda m: m.chain(f"{record.NOTICES}/0", {"offset": 0, "what": "x"}),
    ),
    (record.triaged, lambda m: record_again(m, b"complaint.triaged")),
    (record.one_debit_each, lambda m: record_again(m, b"check.issued")),
    (record.balances_equal, lambda m: record_again(m, b"check.issued")),
    (record.balances_equal, lambda m: m.post(m.debits(1))),
    *(
        (privacy.nothing_planted_outside, plant)
        for plant in (
            lambda m: m.fact("complaints", "x", CANARY, {}),
            lambda m: m.fact("complaints", "x", "k", {"note": CANARY}),
            lambda m: m.record("recovery.complaints.dlq.v1", b"", b"", note=CANARY.encode()),
            lambda m: m.evidence.values.update({f"complaints:{{c0}}:{CANARY}": b""}),
            lambda m: m.evidence.values.update({"complaints:{c0}:x": CANARY.encode()}),
            lambda m: m.evidence.lists.update({"complaints:{c0}:outbox": [CANARY.encode()]}),
            lambda m: m.evidence.scores.update({"complaints:{c0}:timers": {CANARY: 1.0}}),
            lambda m: m.diary.logs.append(CANARY),
        )
    ),
]
ALL = (
    *intake.INVARIANTS, *order.INVARIANTS, *requests.INVARIANTS, *ledger.INVARIANTS,
    *letters.INVARIANTS, *promises.INVARIANTS, *privacy.INVARIANTS, *record.INVARIANTS,
    *record.UNDER_RULES,
)  # fmt: skip


def audited(invariant: Callable[..., Verdict], made: Made) -> Verdict:
    found: Verdict = LEDGER.get(invariant, invariant)(made.evidence, made.diary)
    return found


@pytest.mark.parametrize("invariant", ALL, ids=lambda one: one.__name__)
def test_each_invariant_holds_of_a_sound_world(invariant):
    assert audited(invariant, Made()).wrong == []


@pytest.mark.parametrize(
    ("invariant", "doctor"),
    DOCTORED,
    ids=[f"{one.__name__}-{number}" for number, (one, _) in enumerate(DOCTORED)],
)
def test_each_invariant_fails_of_a_doctored_world(invariant, doctor):
    made = Made()
    doctor(made)
    verdict = audited(invariant, made)
    assert not verdict.holds
    assert verdict.lines()[0].startswith("BROKEN")


def test_every_invariant_was_doctored():
    assert {one for one, _ in DOCTORED} == set(ALL)


def test_a_told_repeat_of_a_letter_is_no_fault():
    made = Made()
    made.diary.letters.append(made.diary.letters[0])
    made.fact(
        "notifier", "message.attempted", "co-h", {"message_id": "me-1", "repeats_unknown": True}
    )
    assert audited(letters.one_letter_each, made).holds


def test_a_worker_whose_clock_is_ahead_may_call_a_kept_promise_overdue():
    made = Made()
    made.diary.faults["clock_ahead"] += 1
    made.fact("complaints", "complaint.overdue", "co-h", {"complaint_id": "co-h", "round": 0})
    assert audited(promises.overdue_is_told, made).holds


def test_a_line_that_the_relay_sent_twice_is_no_fault():
    made = Made()
    made.evidence.records.append(made.evidence.records[1])
    for invariant in order.INVARIANTS:
        assert audited(invariant, made).holds


@pytest.mark.parametrize("path", AUDIT, ids=lambda path: path.name)
def test_the_auditor_shares_no_code_with_the_services(path):
    names = {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    ours = {name for name in names if name.split(".")[0] in ("services", "shared", "tests")}
    assert all(name.startswith("tests.chaos.audit") or name == "tests.chaos.diary" for name in ours)
