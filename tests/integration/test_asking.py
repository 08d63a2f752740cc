"""A restaurant tells on a real Kafka that a dinner is over; its guest is asked by mail, and a bad answer is a complaint."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx

from shared.contracts.complaints import ComplaintTriaged, TouchpointAnswered, TouchpointAsked
from shared.contracts.intake import TouchpointPassed
from shared.contracts.notifier import MessageSent, Occasion
from tests.system import auditor
from tests.system.world import SITE, event_of, until, world

#: A name that nobody else has, to look for.
CANARY = "zqvxcanary"
EMAIL = f"{CANARY}@guests.example"


def passed(name: str, **data: object) -> bytes:
    over = datetime.now(UTC) - timedelta(hours=1)
    known = {"site": SITE, "touchpoint": "dinner-served", "passed_at": over.isoformat(), **data}
    return event_of(TouchpointPassed, name, "/restaurant", known)


def test_a_guest_is_asked_once_and_answers_once_and_is_clear_on_the_intake_alone(tmp_path):
    """INV-07 for addresses: the guest complained of nothing before they were asked."""
    contact = {"email": EMAIL}
    good = passed("p1", customer=CANARY, contact=contact, language="en")
    with world(tmp_path) as everything:
        complaints = everything.start("complaints")
        notifier = everything.start("notifier", complaints_url=everything.url("complaints"))
        for service in (complaints, notifier):
            service.wait_ready()
        everything.publish([passed("p2", contact=contact), good, good], partition=1)
        until(lambda: everything.mailbox.letters, "asking the guest")
        (letter,) = everything.mailbox.letters
        (link,) = re.findall(r"http://\S+/q/\S+", letter.body)
        for _again in range(2):
            answer = httpx.post(link, data={"experience": "1", "text": "The fish was raw inside."})
            assert answer.status_code == 200
        everything.settle_down("complaints", "notifier")
        reads = everything.read()
    facts = auditor.facts(reads)
    assert len(auditor.of(facts, TouchpointAsked.TYPE)) == 1
    (answered,) = auditor.of(facts, TouchpointAnswered.TYPE)
    (triaged,) = auditor.of(facts, ComplaintTriaged.TYPE)
    assert (answered["complaint_id"], answered["step"]) == (triaged["complaint_id"], "dining")
    sent = [one["occasion"] for one in auditor.of(facts, MessageSent.TYPE)]
    assert sorted(sent) == [Occasion.ACKNOWLEDGEMENT, Occasion.TOUCHPOINT_ASKED]
    (dead,) = auditor.dead_letters(reads, "complaints").values()
    assert dead["reason"] == "schema_invalid"
    for read in reads:
        if read.topic != TouchpointPassed.TOPIC:
            assert CANARY.encode() not in read.value
            assert b"raw inside" not in read.value
