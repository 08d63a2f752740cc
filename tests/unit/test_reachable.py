"""What a customer gave of a contact is kept, and whether it reaches them is said."""

from __future__ import annotations

import pytest

from services.complaints.lifecycle.moves import take_feedback
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.intake import Contact
from shared.contracts.notifier import Helped
from shared.runtime.privacy.keys import CustomerKey, KeyRing
from shared.runtime.privacy.seal import Vault
from shared.testing.clock import START
from tests.suites.services import MASTER, Aboard, demo_policy
from tests.unit.test_complaints import OPEN

PHONE = Contact(name="Kari", phone="+47 900 00 000")
MAIL = Contact(email="kari@example.org")


async def kept(aboard: Aboard, complaint_id: str) -> Contact | None:
    """The contact as complaints holds it, opened."""
    documents = aboard.stores["complaints"].kept.documents
    complaint = Complaint.model_validate_json(documents[f"complaint:{complaint_id}"].body)
    if complaint.contact is None:
        return None
    keys = CustomerKey.model_validate_json(documents[f"key:{complaint.customer_ref}"].body)
    unwrapped = [Vault(MASTER).unwrap(complaint.customer_ref, one) for one in keys.wrapped]
    return Contact.model_validate_json(KeyRing(unwrapped).open("contact", complaint.contact))


@pytest.mark.parametrize(
    ("contact", "held", "reaches"),
    [
        (PHONE, PHONE, False),
        (Contact(name="Kari"), Contact(name="Kari"), False),
        (MAIL, MAIL, True),
        (Contact(), None, False),
        (None, None, False),
    ],
)
async def test_a_contact_without_a_mail_address_is_kept_and_no_mail_is_promised(
    aboard: Aboard, contact, held, reaches
):
    """What a customer told us is not dropped, and a letter is queued only for an address."""
    complaint_id = await aboard.raise_complaint(contact=contact)
    assert await kept(aboard, complaint_id) == held
    assert (await aboard.facts("complaints"))[-1]["has_contact"] is reaches
    queued = [fact["occasion"] for fact in await aboard.facts("notifier")]
    assert queued == (["acknowledgement"] if reaches else [])
    given = (await aboard.give(complaint_id, "cinema", "k")).json()
    assert given["reachable"] is reaches


@pytest.mark.parametrize(("contact", "reaches"), [(PHONE, False), (MAIL, True), (None, False)])
async def test_on_the_spot_and_over_http_the_answer_says_whether_a_message_comes(
    aboard: Aboard, contact, reaches
):
    sent = contact and contact.model_dump(exclude_none=True)
    said = {"site": "ms-aurora", "text": "My cabin is filthy", "contact": sent}
    async with aboard.http("complaints") as phone:
        answer = await phone.post("/v1/complaints", json=said, headers={"Idempotency-Key": "k"})
        assert answer.json()["reachable"] is reaches
        seen = await phone.get(f"/v1/complaints/{answer.json()['complaint_id']}")
        assert seen.json()["reachable"] is reaches
    spot = {
        "on_the_spot": {"text": "An hour for a table.", "contact": sent},
        "item": "cinema",
        "reason": "delay",
    }
    check = (await aboard.post("checks", "k", spot)).json()
    assert check["reachable"] is reaches
    await aboard.carry()
    assert await kept(aboard, check["complaint_id"]) == contact


@pytest.mark.parametrize(
    ("reachable", "contact", "told"),
    [(True, "v1.x", True), (False, "v1.x", False), (None, "v1.x", True), (None, None, False)],
)
def test_a_complaint_that_is_opened_again_promises_mail_only_where_it_reaches(
    reachable, contact, told
):
    """An older document does not say it: every contact was an address then."""
    complaint = OPEN.model_copy(update={"reachable": reachable, "contact": contact})
    (fact,) = take_feedback(complaint, "co-1", Helped.NO, demo_policy(), START).facts
    assert fact.has_contact is told
