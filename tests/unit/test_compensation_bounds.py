"""The last moment and the last minor unit of checks and offers: what holds there, and what no more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.compensation.checks.rules import Check, End, credits_of
from services.compensation.offers.rules import Offer, lapse
from services.compensation.redemptions.rules import roll_back, why_not
from shared.contracts.compensation import CheckKind, OfferLapsed
from shared.contracts.reasons import Reason
from shared.testing.clock import START

MOMENT = timedelta(microseconds=1)
DAY = "employee/ms-aurora e-1/NOK/2026-06-03"
CHECKS = "customer/c-1/checks/2026-06-03"
CHECK = Check(
    complaint_id="co-1",
    customer_ref="c-1",
    employee_id="e-1",
    site="ms-aurora",
    item="half/101",
    kind=CheckKind.MONEY,
    value_minor=101,
    cost_minor=51,
    currency="NOK",
    code="v1.x",
    code_hash="0" * 64,
    valid_until=START,
    issued_at=START - timedelta(days=1),
    debits={DAY: 51, CHECKS: 1, "stretch/ms-aurora e-1/2026-06-03/0600": 1},
)
OFFER = Offer(
    complaint_id="co-1",
    customer_ref="c-1",
    employee_id="e-1",
    site="ms-aurora",
    language="en",
    reason="food",
    severity="mild",
    policy_version=1,
    options=(),
    held={},
    expires_at=START,
)


@pytest.mark.parametrize(
    ("redeemed", "back"),
    [
        (0, {DAY: 51, CHECKS: 1}),
        (1, {DAY: 50}),
        (50, {DAY: 25}),  # of 51 x 51 / 101 = 25.75
        (101, {}),
    ],
)
def test_what_goes_back_of_a_part_is_rounded_down_and_a_stretch_never_does(redeemed, back):
    """INV-01: never more than what was not used; who stretched has stretched."""
    check = CHECK.model_copy(update={"captured_before": redeemed})
    assert credits_of(check) == back


def test_a_code_is_taken_up_to_its_last_moment_and_not_at_its_end():
    """INV-03: at its end what was not redeemed goes back."""
    assert why_not(CHECK, None, "till-1", START - MOMENT) is None
    no = why_not(CHECK, None, "till-1", START)
    assert no is not None
    assert no.reason is Reason.CODE_NOT_REDEEMABLE


@pytest.mark.parametrize(
    ("ended", "now", "facts"),
    [(None, START - MOMENT, 1), (None, START, 0), (End.VOIDED, START - MOMENT, 0)],
)
def test_what_was_redeemed_goes_back_only_on_a_check_that_can_still_be_used(ended, now, facts):
    """INV-03: the end gave the rest back, and nobody could redeem this part any more."""
    check = CHECK.model_copy(update={"captured": {"re-1": 50}, "ended": ended})
    assert len(roll_back(check, "ck-1", "re-1", now).facts) == facts


def test_at_the_minute_an_offer_ends_it_lapses_and_nothing_is_chosen():
    """INV-01: what it held is free at that moment."""
    assert OFFER.open_at(START - MOMENT)
    assert lapse(OFFER, "of-1", START - MOMENT).facts == ()
    assert not OFFER.open_at(START)
    (fact,) = lapse(OFFER, "of-1", START).facts
    assert isinstance(fact, OfferLapsed)
