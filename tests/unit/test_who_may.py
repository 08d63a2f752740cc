"""Each kind of caller has its own work: every route of every service, asked by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.contracts.reasons import Reason
from shared.runtime.http.auth import Kind
from tests.suites.services import Aboard

#: Every route that others than employees may call, or not only they.
OTHERS = {
    ("POST", "/v1/complaints"): {Kind.EMPLOYEE, Kind.CUSTOMER, Kind.SYSTEM},
    ("POST", "/v1/redemptions"): {Kind.EMPLOYEE, Kind.TILL},
    ("POST", "/v1/redemptions/{redemption_id}/capture"): {Kind.EMPLOYEE, Kind.TILL},
    ("POST", "/v1/redemptions/{redemption_id}/cancel"): {Kind.EMPLOYEE, Kind.TILL},
    ("POST", "/v1/redemptions/{redemption_id}/rollback"): {Kind.EMPLOYEE, Kind.TILL},
    ("POST", "/v1/complaints/find"): {Kind.SYSTEM},
    ("PUT", "/v1/employees/{employee_id}"): {Kind.PERSONNEL},
    ("GET", "/v1/causes"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("POST", "/v1/causes/actions"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("POST", "/v1/complaints/{complaint_id}/cause"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("POST", "/v1/heads"): {Kind.MANAGER},
    ("GET", "/v1/board"): {Kind.MANAGER},
    ("GET", "/v1/board/{site}"): {Kind.MANAGER},
    ("GET", "/v1/board/{site}/stream"): {Kind.MANAGER},
    ("GET", "/v1/measures"): {Kind.MANAGER},
    ("GET", "/v1/notifications"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("GET", "/v1/notifications/{message_id}"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("POST", "/v1/notifications/{message_id}/resend"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("GET", "/v1/safety"): {Kind.EMPLOYEE, Kind.MANAGER},
    ("GET", "/v1/preferences/{customer_ref}"): {Kind.EMPLOYEE, Kind.SYSTEM},
    ("PUT", "/v1/preferences/{customer_ref}"): {Kind.EMPLOYEE, Kind.SYSTEM},
    ("GET", "/v1/signals"): {Kind.MANAGER},
    ("POST", "/v1/signals/{signal_id}/look"): {Kind.MANAGER},
    ("POST", "/v1/signals/{signal_id}/dismissal"): {Kind.MANAGER},
    ("GET", "/v1/stretches"): {Kind.MANAGER},
    ("POST", "/v1/policy/whatif"): {Kind.MANAGER},
    ("GET", "/v1/policy"): {Kind.MANAGER},
    ("PUT", "/v1/policy"): {Kind.MANAGER},
    ("GET", "/v1/policy/schema"): {Kind.MANAGER},
    ("POST", "/v1/checks/{check_id}/good-call"): {Kind.MANAGER},
    ("POST", "/v1/customers/{customer_ref}/erasure"): {Kind.PRIVACY},
    ("GET", "/v1/customers/{customer_ref}/erasure"): {Kind.PRIVACY},
    ("GET", "/v1/customers/{customer_ref}/export"): {Kind.PRIVACY},
    ("GET", "/v1/customers/{customer_ref}/export.html"): {Kind.PRIVACY},
}
EMPLOYEES = {Kind.EMPLOYEE}


def routes(aboard: Aboard) -> Iterator[tuple[str, str, str]]:
    """Service, method and path of everything that asks for a token; customers' links are one.

    Receipts of providers and webhooks of publishers are signed instead: `tests/unit/test_receipts.py`,
    `tests/unit/test_webhook_intake.py`.
    """
    for name, app in aboard.apps.items():
        for path, operations in app.api.openapi()["paths"].items():
            if path.startswith("/v1/") and not path.startswith(("/v1/receipts/", "/v1/webhooks/")):
                yield from ((name, method.upper(), path) for method in operations)


async def test_every_route_is_for_its_kinds_of_callers_and_for_nobody_else(aboard: Aboard):
    """Tills, publishers and personnel systems cannot do each other's work, nor an employee's."""
    wrong, asked = [], set()
    # A stream of a process that ends is short.
    aboard.apps["complaints"].parts.health["running"] = lambda: False
    async with aboard.telling():
        await ask_everything(aboard, wrong, asked)
    assert wrong == []
    assert OTHERS.keys() <= asked, "a route of the table is gone"


async def ask_everything(aboard: Aboard, wrong: list[Any], asked: set[tuple[str, str]]) -> None:
    for service, method, path in routes(aboard):
        asked.add((method, path))
        address = path.replace("{", "x-").replace("}", "")
        for kind in (None, *Kind):
            bearer = "" if kind is None else aboard.bearer("e-ingrid", kind)
            async with aboard.http(service, bearer) as caller:
                answer = await caller.request(method, address, headers={"Idempotency-Key": "k"})
            streams = answer.headers["content-type"].startswith("text/event-stream")
            reason = None if streams else answer.json().get("type")
            allowed = kind in OTHERS.get((method, path), EMPLOYEES)
            if kind is None:
                right = (answer.status_code, reason) == (401, Reason.UNAUTHENTICATED)
            elif allowed:
                right = answer.status_code < 500 and reason not in ("unauthenticated", "forbidden")
            else:
                right = (answer.status_code, reason) == (403, Reason.FORBIDDEN)
            if not right:
                wrong.append((method, path, kind, answer.status_code, reason))
