"""Answers as the OpenAPI document shows them; a test holds their fields against real ones."""

from __future__ import annotations

from typing import Any

from shared.runtime.http.face import PROBLEM

#: What a phone gets, as the OpenAPI document shows it.
EXAMPLES: dict[str, Any] = {
    "issued": {
        "check_id": "ck-3ad5acdca1252b14d8e963b80e173f1d",
        "complaint_id": "co-9f86d081884c7d65",
        "item": "dinner-for-two",
        "kind": "experience",
        "value_minor": 120000,
        "currency": "NOK",
        "valid_until": "2026-06-10T14:00:00Z",
        "explain_by": "2026-06-04T14:00:00Z",
        "regime": "ship-delay",
        "information": "You have the right to be told why, and to be reimbursed.",
        "reachable": True,
        "left": [{"scope": "employee_day", "ceiling_minor": 800000, "left_minor": 752000, "until": "2026-06-04T06:00:00+02:00"}],
        "code": "MNP7G-6AX4C-0",
        "link": "https://ship.example/f/eyJhbGciOi...",
    },
    "refused": {
        "type": "authority_exhausted",
        "title": "this does not fit; these do",
        "status": 409,
        "complaint_id": "co-9f86d081884c7d65",
        "bound_by": "employee_day",
        "left": [{"scope": "employee_day", "ceiling_minor": 200000, "left_minor": 8000, "until": "2026-06-04T06:00:00+02:00"}],
        "alternatives": [{"item": "onboard-credit/5000", "kind": "money", "value_minor": 5000, "cost_minor": 5000, "currency": "NOK", "fits_reason": True, "why": "fits_reason"}],
        "colleague_id": "e-ingrid",
        "regime": "ship-delay",
        "information": "You have the right to be told why, and to be reimbursed.",
        "reachable": True,
    },
    "offered": {
        "offer_id": "of-24199a388ee0750daf49447ce0889da5",
        "complaint_id": "co-9f86d081884c7d65",
        "options": [{"item": "cinema", "kind": "experience", "value_minor": 25000, "cost_minor": 9000, "currency": "NOK", "fits_reason": False, "why": ""}],
        "regime": "ship-delay",
        "information": "You have the right to be told why, and to be reimbursed.",
        "reachable": True,
        "expires_at": "2026-06-04T14:00:00Z",
        "link": "https://ship.example/o/eyJhbGciOi...",
    },
    "reserved": {
        "redemption_id": "re-f654a032466d1be4a25d54e261956d01",
        "check_id": "ck-3ad5acdca1252b14d8e963b80e173f1d",
        "site": "ms-aurora",
        "amount_minor": 12000,
        "currency": "NOK",
        "till": "till-1",
        "expires_at": "2026-06-03T14:10:00Z",
        "reserved_at": "2026-06-03T14:00:00Z",
        "item": "taxfree-card/50000",
        "kind": "gift_card",
        "title": "Tax-free gift card",
        "value_minor": 50000,
        "left_minor": 38000,
    },
    "captured": {
        "redemption_id": "re-f654a032466d1be4a25d54e261956d01",
        "check_id": "ck-3ad5acdca1252b14d8e963b80e173f1d",
        "site": "ms-aurora",
        "amount_minor": 11500,
        "currency": "NOK",
        "captured_at": "2026-06-03T14:02:00Z",
        "item": "taxfree-card/50000",
        "kind": "gift_card",
        "title": "Tax-free gift card",
        "value_minor": 50000,
        "left_minor": 38500,
    },
    "not_redeemable": {"type": "code_not_redeemable", "title": "code not redeemable", "status": 409},
    "own_check": {"type": "own_check", "title": "own check", "status": 409},
    "not_valid_here": {"type": "not_valid_here", "title": "not valid here", "status": 409},
    "not_in_parts": {"type": "not_in_parts", "title": "not in parts", "status": 409, "left_minor": 120000},
    "amount_missing": {"type": "amount_missing", "title": "amount missing", "status": 409, "left_minor": 20000, "percent": 20, "bill_up_to_minor": 100000},
    "amount_too_large": {"type": "amount_too_large", "title": "amount too large", "status": 409, "left_minor": 38000},
    "on_hold": {"type": "on_hold", "title": "on hold", "status": 409, "left_minor": 0},
    "hold_gone": {"type": "hold_gone", "title": "hold gone", "status": 409},
    "too_many_tries": {"type": "too_many_tries", "title": "too many tries", "status": 429},
    "authority": {
        "per_check_minor": 250000,
        "scopes": [{"scope": "employee_day", "ceiling_minor": 800000, "used_minor": 48000, "held_minor": 9000, "left_minor": 743000, "until": "2026-06-04T06:00:00+02:00"}],
    },
    "options": {
        "reason": "food",
        "severity": "moderate",
        "options": [{"item": "dinner-for-two", "kind": "experience", "value_minor": 120000, "cost_minor": 48000, "currency": "NOK", "fits_reason": True, "why": "suggested"}],
        "left": [{"scope": "customer_checks", "ceiling_minor": 10, "left_minor": 9, "until": "2026-06-04T06:00:00+02:00"}],
        "history": [
            {"offer_id": "of-24199a388ee0750daf49447ce0889da5", "item": "dinner-for-two", "value_minor": 120000, "currency": "NOK", "site": "ms-aurora", "issued_at": "2026-06-03T14:00:00Z", "choose_by": "2026-06-04T14:00:00Z"},
            {"check_id": "ck-1", "item": "cinema", "value_minor": 25000, "currency": "NOK", "site": "ms-aurora", "issued_at": "2026-06-01T18:00:00Z"},
        ],
        "incident": {"incident_id": "in-63ca339a500ecf37253040fd44206e03", "option": {"item": "taxfree-card/20000", "kind": "gift_card", "value_minor": 20000, "cost_minor": 20000, "currency": "NOK", "fits_reason": True, "why": "incident"}},
        "regime": "ship-delay",
        "information": "You have the right to be told why, and to be reimbursed.",
    },
}  # fmt: skip


def documented(**by_status: str | tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    """Example answers of a route by status, like `_201="issued"`; several where it answers so."""
    return {
        status[1:]: {
            "description": _described(names),
            "content": {
                "application/json" if status < "_4" else PROBLEM: {"example": EXAMPLES[names]}
                if isinstance(names, str)
                else {"examples": {name: {"value": EXAMPLES[name]} for name in names}}
            },
        }
        for status, names in by_status.items()
    }


def _described(names: str | tuple[str, ...]) -> str:
    return ", ".join([names] if isinstance(names, str) else names).replace("_", " ")
