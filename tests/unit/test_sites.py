"""Two sites that both have a policy: whoever is of the one sees and touches nothing of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.notifier.messages.rules import message_id_of
from shared.contracts.notifier import Occasion
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.runtime.http.auth import Kind
from shared.testing.builders import record
from tests.suites.described import Operation, document, operations
from tests.suites.services import SITE, Aboard, state
from tests.suites.signals import one_signal
from tests.unit.test_compensation_incidents import (
    changed,
    complaints,
    small_incidents,
    the_incident,
)

OTHER = "ms-borealis"
#: The principal of each kind at the other site; the till has the name of one at the first.
WHO = {Kind.EMPLOYEE: "e-boreal", Kind.TILL: "taxfree"}
#: Names under which a body or a query carries the id of something that is there already.
CARRIED = {"subject", "complaint", "complaint_id", "incident_id", "code"}
#: Routes that ask for no token: their sender signs, or they are open to anybody.
SIGNED_OR_OPEN = ("/v1/receipts/", "/v1/webhooks/", "/c/", "/incidents/")
#: A route that makes what is not there, so that there is no answer about an unknown one.
MAKES = "/v1/employees/{employee_id}"


@dataclass
class TwoSites:
    """The services, and something of everything at the first site."""

    aboard: Aboard
    #: Ids of the first site, by the name under which a route carries them.
    first: dict[str, str]
    #: The same names with ids that nothing has.
    nothing: dict[str, str]
    #: A complaint of the second site about the same thing.
    complaint_id: str

    def body(self, asked: Operation) -> dict[str, Any] | None:
        """What a route takes, of the second site."""
        wish = {"complaint_id": self.complaint_id, "reason": "food"}
        return {
            "/v1/complaints": {"site": OTHER, "text": "cold soup"},
            "/v1/checks": {**wish, "item": "taxfree-card/20000"},
            "/v1/causes/actions": {"cause": "kitchen-queue", "note": "Two more."},
            "/v1/complaints/{complaint_id}/cause": {"cause": "kitchen-queue"},
            "/v1/delights": {"occasion": "birthday", "item": "cinema"},
            "/v1/offers": {**wish, "items": ["cinema", "sincere-words"]},
            "/v1/offers/{offer_id}/choice": {"item": "cinema"},
            "/v1/checks/{check_id}/explain": {"explanation": "Cold twice."},
            "/v1/redemptions": {"code": self.nothing["code"]},
            "/v1/redemptions/{redemption_id}/capture": {},
            "/v1/incidents": {"reason": "noise"},
            "/v1/me/shift": {},
            "/v1/me/inbox/read": {"up_to": 0},
            "/v1/notifications/said": {
                "complaint_id": self.complaint_id,
                "occasion": "acknowledgement",
            },
            "/v1/preferences/{customer_ref}": {"tells": "answers"},
            "/v1/signals/{signal_id}/dismissal": {"reason": "explained"},
            "/v1/signals/{signal_id}/look": {
                "person": "em-a45b7929616ce4de89634d86f977802f",
                "purpose": "a signal",
            },
            "/v1/complaints/search": {"reference": "4C7D65"},
            "/v1/complaints/{complaint_id}/handover": {"colleague_id": "e-boreal"},
            "/v1/complaints/{complaint_id}/ask": {"question": "Which?"},
            "/v1/complaints/{complaint_id}/answer": {"answer": "The left one."},
            "/v1/complaints/{complaint_id}/resolve": {"outcome": "fixed"},
            "/v1/complaints/{complaint_id}/refer": {"body": "transport-complaints-board"},
            "/v1/complaints/{complaint_id}/correct": {"severity": "mild"},
            "/v1/complaints/{complaint_id}/merge": {"into": self.complaint_id},
            "/v1/complaints/{complaint_id}/fix": {"fix": "clean-again"},
            "/v1/complaints/{complaint_id}/fix/ask": {"fix": "clean-again"},
            "/v1/complaints/{complaint_id}/fix/decline": {"fix": "clean-again"},
            MAKES: {"site": OTHER, "listing": {"role": "deck"}},
        }.get(asked.path)

    async def ask(self, asked: Operation, bearer: str, **ids: str) -> httpx.Response:
        """One request with these ids where the route carries them."""
        body = self.body(asked) if asked.method != "GET" else None
        query = {name: value for name, value in ids.items() if name in ("complaint", "subject")}
        in_body = {name: value for name, value in ids.items() if body is not None and name in body}
        if "incident_id" in ids and asked.path == "/v1/checks":
            in_body["incident_id"] = ids["incident_id"]
        async with self.aboard.http(asked.service, bearer) as phone:
            return await phone.request(
                asked.method,
                asked.path.format_map({"helped": "yes", **self.nothing, **ids}),
                params=query,
                json=None if body is None else {**body, **in_body},
                headers={"Idempotency-Key": f"{asked}{sorted(ids.items())}"[:255]},
            )


async def _of_the_first_site(aboard: Aboard) -> dict[str, str]:
    """Something of everything that has an id."""
    about, *_ = await complaints(aboard, 3)
    check = (await aboard.give(about, "taxfree-card/50000", "k", again=True)).json()
    wish = {"complaint_id": about, "items": ["cinema", "sincere-words"], "reason": "food"}
    offer = (await aboard.post("offers", "o", wish)).json()
    hold = await aboard.post(
        "redemptions",
        "r",
        {"code": check["code"], "amount_minor": 100},
        aboard.bearer("taxfree", "till"),
    )
    # The first of them complains at the other site as well.
    received = [one for one in await aboard.facts("complaints") if "received_at" in one][-1]
    return {
        "complaint": about,
        "complaint_id": about,
        "customer_ref": received["customer_ref"],
        "check_id": check["check_id"],
        "code": check["code"],
        "offer_id": offer["offer_id"],
        "redemption_id": hold.json()["redemption_id"],
        "incident_id": (await the_incident(aboard))["incident_id"],
        "employee_id": "e-ingrid",
        "colleague_id": "e-jonas",
        "site": SITE,
        "signal_id": await one_signal(aboard),
        "subject": about,
        "message_id": message_id_of(Occasion.ACKNOWLEDGEMENT, about),
    }


@pytest.fixture
async def two(tmp_path: Path) -> TwoSites:
    aboard = await Aboard(tmp_path, small_incidents()).begin()
    policy = changed(small_incidents(), site=OTHER)
    head = PolicyPublished(site=OTHER, version=1, policy=policy)
    for service in aboard.apps:
        await aboard.feed(service, PolicyPublished.TOPIC, [record(head, 0)], 9)
    listed = EmployeeListed(
        employee_id="e-boreal", site=OTHER, listing=Listing(role="any"), listed_at=aboard.clock()
    )
    for service in aboard.apps:
        await aboard.feed(service, EmployeeListed.TOPIC, [record(listed, 0)], 9)
    first = await _of_the_first_site(aboard)
    await aboard.carry()
    ours = await aboard.raise_complaint(9, site=OTHER, customer="guest-0")
    bearer = aboard.bearer("e-boreal", site=OTHER)
    assert (await aboard.get(f"options?complaint={ours}", bearer)).status_code == 200
    nothing = {name: f"{value[:3]}none" for name, value in first.items()}
    return TwoSites(aboard, first, {**nothing, "code": "00000-00000-0", "token": "x"}, ours)


def carried(aboard: Aboard, asked: Operation) -> Iterator[str]:
    """Each name under which a route takes an id: in its path, its query, its body."""
    operation = document(aboard, asked.service)["paths"][asked.path][asked.method.lower()]
    for one in operation.get("parameters", ()):
        if one["in"] == "path" or (one["in"] == "query" and one["name"] in CARRIED):
            yield one["name"]
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref")
    if reference:
        schemas = document(aboard, asked.service)["components"]["schemas"]
        command = schemas[reference.rpartition("/")[2]]
        fields = chain.from_iterable(one["properties"] for one in command.get("oneOf", [command]))
        yield from sorted({one for one in fields if one in CARRIED or one.endswith("_id")})


def routes(aboard: Aboard) -> list[tuple[Operation, str]]:
    """Every route that carries an id of ours, once for each; a link is not asked for with a name.

    Not the one that lists employees: the id there is the caller's own to give, and somebody else's
    elsewhere (`test_an_employee_id_belongs_to_its_site`).
    """
    return [
        (asked, name)
        for asked in operations(aboard)
        for name in carried(aboard, asked)
        if "{token}" not in asked.path
        and asked.path != MAKES
        and not asked.path.startswith(SIGNED_OR_OPEN)
    ]


async def test_whoever_is_of_another_site_sees_and_touches_nothing(two: TwoSites):
    """INV-11: on every route that carries an id, what another site has looks like what nobody has."""
    before = {name: state(store) for name, store in two.aboard.stores.items()}
    asked_about = routes(two.aboard)
    assert {name for _, name in asked_about} == two.first.keys() - {"employee_id"}
    for asked, name in asked_about:
        looked = []
        for kind in Kind:
            bearer = two.aboard.bearer(WHO.get(kind, "x-1"), kind, site=OTHER)
            foreign = await two.ask(asked, bearer, **{name: two.first[name]})
            assert foreign.status_code in (403, 404, 409), (asked, name, kind, foreign.text)
            unknown = await two.ask(asked, bearer, **{name: two.nothing[name]})
            told = foreign.status_code, foreign.content
            assert told == (unknown.status_code, unknown.content), (asked, name, kind)
            looked.append(foreign.status_code != 403)
        assert any(looked), f"nobody may ask {asked}"
    assert {name: state(store) for name, store in two.aboard.stores.items()} == before


async def test_a_site_named_in_a_body_is_the_callers_own(two: TwoSites):
    before = {name: state(store) for name, store in two.aboard.stores.items()}
    naming = ("/v1/complaints", MAKES)
    for asked in operations(two.aboard):
        for kind in Kind if asked.path in naming else ():
            bearer = two.aboard.bearer(WHO.get(kind, "x-1"), kind, site=SITE)
            answer = await two.ask(asked, bearer)
            assert answer.status_code in (403, 404), (asked, kind, answer.text)
    assert {name: state(store) for name, store in two.aboard.stores.items()} == before


async def test_a_token_for_a_site_where_somebody_does_not_work_opens_nothing(two: TwoSites):
    """The roster decides who is an employee of a site, whatever a token says."""
    before = {name: state(store) for name, store in two.aboard.stores.items()}
    bearer = two.aboard.bearer("e-boreal", site=SITE)
    for asked in operations(two.aboard):
        if "{token}" not in asked.path and not asked.path.startswith(SIGNED_OR_OPEN):
            ids = {name: two.first[name] for name in carried(two.aboard, asked)}
            answer = await two.ask(asked, bearer, **ids)
            if asked.path == "/v1/me/looks":
                # Audit knows no roster; of somebody who does not work there the record has nothing.
                assert answer.json() == {"looks": []}
                continue
            reasons = (Reason.UNKNOWN_EMPLOYEE, Reason.FORBIDDEN)
            if answer.status_code != 404 or asked.path != "/v1/complaints":  # another site's body
                assert answer.status_code == 403, (asked, answer.text)
                assert answer.json()["type"] in reasons
    assert {name: state(store) for name, store in two.aboard.stores.items()} == before


async def test_a_customers_link_opens_what_it_is_for_and_nothing_else(two: TwoSites):
    aboard = two.aboard
    await aboard.carry()
    await aboard.ring()
    letters = " ".join(letter.body for letter in aboard.postbox.letters)
    links = [urlsplit(word).path for word in letters.split() if re.search("/[fmo]/", word)]
    tokens = {path.split("/")[1]: path.split("/")[2] for path in links}
    assert tokens.keys() == {"o", "f", "m"}
    before = {name: state(store) for name, store in aboard.stores.items()}
    for asked in operations(aboard):
        if "{token}" in asked.path:
            for purpose, token in tokens.items():
                if not asked.path.startswith(f"/{purpose}/"):
                    answer = await two.ask(asked, "", token=token)
                    assert answer.status_code == 404, asked
    assert {name: state(store) for name, store in aboard.stores.items()} == before
