"""A hotel's system describes a customer on a real Kafka; their complaint is answered in their language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.contracts.complaints import ComplaintTriaged, ProfileRecorded
from shared.contracts.intake import ComplaintRaised, CustomerDescribed
from tests.system import auditor
from tests.system.world import SITE, complaint, event_of, world

#: A name that nobody else has, to look for.
CANARY = "zqvxcanary"
EMAIL = f"{CANARY}@guests.example"


def described(name: str, **data: object) -> bytes:
    known = {"site": SITE, "described_at": datetime.now(UTC).isoformat(), **data}
    return event_of(CustomerDescribed, name, "/pms", known)


def test_a_described_customer_is_answered_in_their_language_before_they_leave(tmp_path):
    """INV-07: and what was described is in clear on the intake alone."""
    leaves = datetime.now(UTC) + timedelta(minutes=10)
    good = described(
        "d1",
        email=EMAIL,
        language="sv",
        stay_ends_at=leaves.isoformat(),
        needs=["kosher"],
    )
    with world(tmp_path) as everything:
        everything.start("complaints").wait_ready()
        told = complaint("c1", at=datetime.now(UTC), contact={"email": EMAIL})
        everything.publish([described("d2"), good, good, told], partition=1)
        everything.settle_down("complaints")
        reads = everything.read()
    facts = auditor.facts(reads)
    assert len(auditor.of(facts, ProfileRecorded.TYPE)) == 1
    (one,) = auditor.of(facts, ComplaintTriaged.TYPE)
    assert (one["language"], datetime.fromisoformat(one["promised_by"])) == ("sv", leaves)
    (dead,) = auditor.dead_letters(reads, "complaints").values()
    assert dead["reason"] == "schema_invalid"
    for read in reads:
        if read.topic != ComplaintRaised.TOPIC:
            assert CANARY.encode() not in read.value
            assert b"kosher" not in read.value
