"""What others call things: no name of one stands for a thing of another."""

from __future__ import annotations

import ast
import json
from base64 import b64encode
from pathlib import Path

import pytest
from pydantic_core import from_json, to_json
from typer.testing import CliRunner

from services.complaints.intake.api import FoundComplaint
from shared.contracts.event import fingerprint
from shared.contracts.intake import ComplaintRaised
from shared.contracts.reasons import Reason
from shared.ops.__main__ import app as ops
from shared.ops.fingerprint import KEY_VARIABLE
from shared.runtime.kafka.inbox import Record
from shared.runtime.observe import DEAD_LETTERS
from shared.runtime.rebuild.sources import HEAD
from shared.testing.builders import event, outbox, record
from tests.suites.services import MASTER, SITE, Aboard, raised

ROOT = Path(__file__).parents[2]
WORDS = {"site": SITE, "text": "We waited two hours for cold soup."}


async def told(aboard: Aboard, key: str) -> tuple[int, str]:
    """An employee's request under an idempotency key: the status, and the words that are kept."""
    async with aboard.http("complaints", aboard.bearer("e-jonas")) as phone:
        answer = await phone.post("/v1/complaints", json=WORDS, headers={"Idempotency-Key": key})
        shown = await phone.get(f"/v1/complaints/{answer.json()['complaint_id']}")
    return answer.status_code, shown.json()["text"]


@pytest.mark.parametrize(
    ("source", "event_id"),
    [
        ("employee ms-aurora e-jonas", "complaints\x1fsoup-1"),
        ("employee ms-aurora e-jonas\x1fcomplaints", "soup-1"),
        ("employee ms-aurora e-jonas", "complaints"),
    ],
)
async def test_an_event_of_another_system_never_takes_the_place_of_an_employees_request(
    aboard: Aboard, source, event_id
):
    """INV-04: a complaint that is accepted is the one that was told."""
    squatter = record(raised("Nothing happened."), 0, event_id, source=source)
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [squatter])
    assert await told(aboard, "soup-1") == (201, WORDS["text"])


@pytest.mark.parametrize("attribute", ["id", "source"])
@pytest.mark.parametrize("sign", ["\x00", "\n", "\x1f", "\x7f", "\x85", "\x9f"])
async def test_an_id_or_source_with_a_control_character_is_a_dead_letter(
    aboard: Aboard, attribute, sign
):
    """INV-04: CloudEvents allows none there, and what is refused is refused with a reason."""
    one = {**event(raised(), "e-1"), attribute: f"a{sign}b"}
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [Record(0, to_json(one))])
    (letter,) = await aboard.dead("complaints")
    assert dict(letter.headers)["reason"] == "schema_invalid"
    assert dict(letter.headers)["where"] == f"/{attribute}"


# ---- repeats -----------------------------------------------------------------------------------


async def fates(aboard: Aboard) -> list[str]:
    """What became of each record, in order."""
    return [
        dict(line.headers)["reason"] if line.headers else from_json(line.value)["type"].split(".")[2]
        for line in await outbox(aboard.stores["complaints"])
        if b"customer-key" not in line.value and b"triaged" not in line.value
    ]  # fmt: skip


def again(offset: int, **changes: object) -> Record:
    return record(raised(**changes), offset, "e-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "The soup was hot."},
        {"contact": None},
        {"customer": "cabin-7"},
        {"occurred_at": "2026-06-01T10:00:00Z"},
        {"raised_by": "e-jonas"},
        {"channel": "mail"},
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_another_complaint_under_the_same_id_is_a_dead_letter_and_the_same_is_a_repeat(
    aboard: Aboard, changes, together
):
    """INV-04: nothing that came in disappears, whether both come in one batch or not."""
    records = [again(0), again(1, **changes), again(2)]
    counted = DEAD_LETTERS.labels("complaints", Reason.CONFLICTING_REPEAT)
    before = counted._value.get()
    for batch in [records] if together else [[one] for one in records]:
        await aboard.feed("complaints", ComplaintRaised.TOPIC, batch)
    assert await fates(aboard) == ["received", Reason.CONFLICTING_REPEAT, "repeated"]
    assert counted._value.get() == before + 1


async def test_the_same_event_in_binary_mode_and_with_other_blanks_is_a_repeat(aboard: Aboard):
    one = event(raised(), "e-1", traceparent="x", comment="not ours to read")
    names = ("id", "source", "specversion", "type", "time")
    headers = [(f"ce_{name}", one[name].encode()) for name in names]
    data = {"channel": "partner", "customer": None, "of_tomorrow": 1, **one["data"]}
    records = [
        again(0),
        Record(1, to_json(data), [*headers, ("content-type", b"application/json")]),
        Record(2, json.dumps(one, indent=2).encode()),
    ]
    await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
    assert await fates(aboard) == ["received", "repeated", "repeated"]


async def test_an_event_that_was_refused_may_come_again_under_its_id(aboard: Aboard):
    """A publisher corrects it and sends it again."""
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [again(0, site="ms-nowhere"), again(1)])
    assert await fates(aboard) == [Reason.UNKNOWN_SITE, "received"]


async def test_a_key_whose_answer_was_forgotten_drops_no_other_complaint(aboard: Aboard):
    """INV-04: the same is told what it was told to be, another one that its key was used."""
    assert await told(aboard, "soup-1") == (201, WORDS["text"])
    kept = aboard.stores["complaints"].kept
    kept.documents = {k: v for k, v in kept.documents.items() if not k.startswith("answer:")}
    async with aboard.http("complaints", aboard.bearer("e-jonas")) as phone:
        key = {"Idempotency-Key": "soup-1"}
        other = await phone.post(
            "/v1/complaints", json={**WORDS, "text": "The bed was wet."}, headers=key
        )
        same = await phone.post("/v1/complaints", json=WORDS, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, Reason.IDEMPOTENCY_KEY_REUSED)
    assert same.status_code == 200


# ---- names from outside ------------------------------------------------------------------------

CANARY = "kari.canary@guests.example"


def everything(aboard: Aboard) -> bytes:
    """What the services hold and published, keys and headers included."""
    return b"\n".join(
        part
        for store in aboard.stores.values()
        for part in [
            *store.kept.lines,
            *(f"{key} {found.body!r}".encode() for key, found in store.kept.documents.items()),
            *(name.encode() for name in (*store.kept.accounts, *store.kept.timers)),
        ]
    )


async def test_no_id_from_outside_is_kept_or_published_whatever_it_looks_like(aboard: Aboard):
    """INV-07: not in facts, keys, headers or dead letters, in whatever field a publisher puts it."""
    named = {
        "source": f"/crm/{CANARY}",
        "correlationid": CANARY,
        "causationid": CANARY,
        "cause": CANARY,
        "subject": CANARY,
        "traceparent": CANARY,
        "note": CANARY,
    }
    headers = [(CANARY, CANARY.encode()), ("traceparent", CANARY.encode())]
    good = record(raised(customer=CANARY, raised_by=CANARY), 0, CANARY, **named)
    records = [
        good._replace(headers=headers),
        record(raised("Another.", raised_by=CANARY), 1, CANARY, **named),
        record(raised(site=CANARY), 2, f"{CANARY}-2", **named),
        record(raised(), 3, f"{CANARY}\n", **named),
        good._replace(offset=4),
    ]
    await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
    async with aboard.http("complaints", aboard.bearer("e-jonas")) as phone:
        key = {"Idempotency-Key": CANARY, "traceparent": CANARY}
        assert (await phone.post("/v1/complaints", json=WORDS, headers=key)).status_code == 201
    await aboard.carry()
    await aboard.ring()
    assert (await fates(aboard))[:5] == [
        "received",
        Reason.CONFLICTING_REPEAT,
        Reason.UNKNOWN_SITE,
        Reason.SCHEMA_INVALID,
        "repeated",
    ]
    assert CANARY.encode() not in everything(aboard)
    assert b"canary" not in everything(aboard)


async def test_an_id_from_outside_that_looks_like_ours_is_replaced_too(aboard: Aboard):
    """INV-07: a hash of somebody's address has the form of our ids."""
    looks = "0123456789abcdef" * 2
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 0, looks)])
    assert await fates(aboard) == ["received"]
    assert looks.encode() not in everything(aboard)


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NO_TRACES = [
    CANARY,
    TRACE.upper(),
    TRACE + "\n",
    TRACE[:-1],
    "ff" + TRACE[2:],
    "00-" + "0" * 32 + TRACE[35:],
    TRACE[:36] + "0" * 16 + "-01",
    f"00-{CANARY:*<32}-00f067aa0ba902b7-01",
    7,
]


async def traces(aboard: Aboard) -> set[str | None]:
    """Those that published facts belong to, without what came before."""
    await aboard.carry()
    return {
        one.get("traceparent")
        for name in ("complaints", "compensation", "notifier")
        for one in await aboard.events(name)
        if one["type"].split(".")[1] in ("complaint", "case", "customer-key", "message")
    }


@pytest.mark.parametrize("found", [TRACE, *NO_TRACES])
@pytest.mark.parametrize("how", ["attribute", "header", "binary", "http"])
async def test_a_trace_goes_on_through_every_service_only_if_it_is_one(aboard: Aboard, found, how):
    """INV-07: any other value might be somebody's name; none is a reason to refuse a complaint."""
    one = event(raised(), "e-1")
    told = str(found).encode()
    if how == "attribute":
        records = [Record(0, to_json({**one, "traceparent": found}))]
    elif how == "header":
        records = [Record(0, to_json(one), [("traceparent", told)])]
    else:
        names = ("id", "source", "specversion", "type")
        headers = [(f"ce_{name}", one[name].encode()) for name in names]
        records = [Record(0, to_json(one["data"]), [*headers, ("ce_traceparent", told)])]
    if how == "http":
        async with aboard.http("complaints") as phone:
            headers = {"Idempotency-Key": "k", "traceparent": told}
            answer = await phone.post("/v1/complaints", json=WORDS, headers=headers)
        assert answer.status_code == 201
    else:
        await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
        assert "received" in await fates(aboard)
    assert await traces(aboard) == {TRACE if found == TRACE else None}
    for line in await outbox(aboard.stores["complaints"]):
        assert line.headers or HEAD.match(line.value), "a rebuild reads the quick way"


async def test_a_publisher_finds_its_complaint_by_its_own_id_and_others_find_nothing(
    aboard: Aboard, monkeypatch
):
    """The same name in every process, at every start, and by the command for support."""
    theirs = {"source": "/crm", "id": CANARY}
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 0, CANARY, source="/crm")])  # fmt: skip
    (complaint,) = (
        key for key in aboard.stores["complaints"].kept.documents if "complaint:" in key
    )
    answers = {}
    for who, bearer in {
        "publisher": aboard.bearer("crm", "system"),
        "elsewhere": aboard.bearer("crm", "system", site="ms-borealis"),
        "employee": aboard.bearer(),
    }.items():
        async with aboard.http("complaints", bearer) as system:
            answers[who] = await system.post("/v1/complaints/find", json=theirs)
    async with aboard.http("complaints", aboard.bearer("crm", "system")) as system:
        unknown = await system.post("/v1/complaints/find", json={**theirs, "id": "another"})
    assert [one.status_code for one in answers.values()] == [200, 404, 403]
    assert unknown.json()["errors"] == answers["elsewhere"].json()["errors"]
    told = answers["publisher"].json()
    assert {name: told[name] for name in theirs} == theirs
    assert f"complaint:{told['complaint_id']}" == complaint
    assert told.keys() == FoundComplaint.model_fields.keys()
    assert not told.keys() & {"site", "text", "contact", "employee_id", "customer_ref"}
    monkeypatch.setenv(KEY_VARIABLE, b64encode(MASTER).decode())
    printed = CliRunner().invoke(ops, ["fingerprint", "event"], input=f"/crm\n{CANARY}\n")
    assert told["complaint_id"] in printed.stdout.split()


async def test_a_correlation_id_and_whoever_raised_it_are_told_by_the_command(
    aboard: Aboard, monkeypatch
):
    one = record(raised(raised_by="Kari", customer="7112"), 0, correlationid="call 17")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [one])
    received = next(e for e in await aboard.events("complaints") if "received" in e["type"])
    monkeypatch.setenv(KEY_VARIABLE, b64encode(MASTER).decode())
    for what, typed, found in (
        ("correlation", "call 17\n", received["correlationid"]),
        ("person", "/test\nKari\n", received["data"]["raised_by"]),
        ("customer", "/test\n7112\n", received["data"]["customer_ref"]),
    ):
        printed = CliRunner().invoke(ops, ["fingerprint", what], input=typed)
        assert found in printed.stdout.split()
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 1)])
    (ref,) = {
        fact["customer_ref"]
        for fact in await aboard.facts("complaints")
        if fact["type"] == "recovery.complaint.received.v1"
    } - {received["data"]["customer_ref"]}
    typed = f"{SITE}\nKari@Example.org\n"
    printed = CliRunner().invoke(ops, ["fingerprint", "address"], input=typed)
    assert ref in printed.stdout.split()
    monkeypatch.setenv(KEY_VARIABLE, "none")
    assert CliRunner().invoke(ops, ["fingerprint", "correlation"], input="a\n").exit_code == 1


async def test_a_correlation_id_that_an_earlier_build_let_through_goes_no_further(aboard: Aboard):
    """INV-07: facts are kept for years, and what follows from one carries its correlation id."""
    await aboard.raise_complaint()
    (triaged,) = (e for e in await aboard.events("complaints") if "triaged" in e["type"])
    other = {**triaged["data"], "complaint_id": "co-" + "0" * 32}
    old = {**triaged, "id": "0" * 32, "correlationid": CANARY, "data": other}
    await aboard.feed("compensation", "recovery.complaints.v1", [Record(0, to_json(old))], 9)
    opened = (await aboard.events("compensation"))[-1]
    assert (opened["type"], opened["causationid"]) == ("recovery.case.opened.v1", "0" * 32)
    assert CANARY.encode() not in everything(aboard)


# ---- how ids are made --------------------------------------------------------------------------


def test_parts_that_are_cut_elsewhere_are_another_fingerprint():
    found = {
        fingerprint("message", *parts)
        for parts in [("a", "b"), ("ab",), ("a\x1fb",), ("", "ab"), ("1:a1:b",), ("a1:b",), ("a", "b", "")]
    }  # fmt: skip
    assert len(found) == 7
    assert fingerprint("message", "a") != fingerprint("incident", "a")
    assert fingerprint("message", "a") == fingerprint("message", "a")


def test_no_two_kinds_of_thing_share_a_fingerprint():
    """Each call says what it names, in a word that no other call has."""
    kinds: list[str] = []
    for path in sorted([*ROOT.glob("shared/*/*.py"), *ROOT.glob("services/**/*.py")]):
        if path.parent.name == "testing":  # it names what the services name
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fingerprint":
                kind = node.args[0]
                assert isinstance(kind, ast.Constant), f"{path}:{node.lineno} says no kind"
                kinds.append(str(kind.value))
    assert len(kinds) == len(set(kinds)) > 5
