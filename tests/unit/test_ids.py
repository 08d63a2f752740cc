"""What others call things: no name of one stands for a thing of another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pydantic_core import to_json

from shared.contracts.event import fingerprint
from shared.contracts.intake import ComplaintRaised
from shared.runtime.inbox import Record
from shared.testing.builders import event, record
from tests.suites.services import SITE, Aboard, raised

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
