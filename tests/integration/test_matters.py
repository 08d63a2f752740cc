"""One customer, two channels, two processes: one complaint, one acknowledgement, whatever happens at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, cycle
from typing import Any

import httpx
import pytest

from devstack.stack import free_port
from shared.contracts.complaints import ComplaintMerged
from shared.ops import token
from tests.system.world import (
    EMPLOYEES,
    PATIENCE_S,
    SITE,
    World,
    complaint,
    complaint_id,
    until,
    world,
)

pytestmark = pytest.mark.integration

EMAIL = "kim@guests.example"
SOUP = {"site": SITE, "text": "The soup was cold.", "contact": {"email": EMAIL}}
OWNERS = ("complaints", "compensation", "notifier")
keys = count()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("matters")) as found:
        services = [found.start(name) for name in OWNERS]
        found.ports["second"] = free_port()
        port = str(found.ports["second"])
        services.append(found.services.start("complaints", port=port, session_s="3"))
        for service in services:
            service.wait_ready()
        yield found


def bearer(everything: World, subject: str, kind: Any = "employee") -> dict[str, str]:
    signed = token.sign(
        everything.key, subject=subject, kind=kind, site=SITE, now=datetime.now(UTC)
    )
    return {"Authorization": f"Bearer {signed}"}


def together(
    everything: World, wishes: Sequence[tuple[str, Any, dict[str, str]]]
) -> list[httpx.Response]:
    """Post all to complaints at the same moment, in turn to its two processes."""

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            posts = [
                client.post(
                    f"{everything.url(process)}/v1/{path}",
                    json=command,
                    headers={"Idempotency-Key": f"k-{next(keys)}", **who},
                )
                for (path, command, who), process in zip(
                    wishes, cycle(("complaints", "second")), strict=False
                )
            ]
            return await asyncio.gather(*posts)

    return asyncio.run(run())


def seen(everything: World, name: str) -> Any:
    with everything.phone("complaints") as phone:
        return phone.get(f"/v1/complaints/{name}").json()


def opened(everything: World) -> set[str]:
    with everything.phone("complaints") as phone:
        found = phone.get("/v1/complaints", params={"view": "open"}).json()
    return {one["complaint_id"] for one in found["complaints"]}


def test_who_asks_many_times_at_once_has_one_complaint_and_one_acknowledgement(everything: World):
    kim = bearer(everything, "kim", "customer")
    before = opened(everything)
    channels = ("app", "web", "phone", "mail")
    answers = together(
        everything,
        [("complaints", {**SOUP, "channel": one}, kim) for one in channels * 2],
    )
    assert [one.status_code for one in answers] == [201] * 8
    (head,) = opened(everything) - before
    merged = {one.json()["complaint_id"] for one in answers} - {head}
    assert set(seen(everything, head)["merged_ids"]) == merged
    assert {one.json().get("into", head) for one in answers} == {head}
    everything.settle_down(*OWNERS)
    assert len(everything.mailbox.to(EMAIL)) == 1


def test_of_merges_and_claims_at_once_one_merge_holds_and_compensation_hears_of_it(
    everything: World,
):
    names = [complaint_id(f"at-once-{number}") for number in range(2)]
    everything.publish(complaint(f"at-once-{n}", at=datetime.now(UTC)) for n in range(2))
    until(lambda: set(names) <= opened(everything), "both are received")
    first, second = names
    answers = together(
        everything,
        [
            (f"complaints/{second}/merge", {"into": first}, bearer(everything, EMPLOYEES[0])),
            (f"complaints/{first}/merge", {"into": second}, bearer(everything, EMPLOYEES[1])),
            (f"complaints/{second}/claim", None, bearer(everything, EMPLOYEES[2])),
            (f"complaints/{first}/claim", None, bearer(everything, EMPLOYEES[3])),
        ],
    )
    assert sorted(one.status_code for one in answers[:2]) == [200, 409]
    (head,) = set(names) & opened(everything)
    (other,) = set(names) - {head}
    assert seen(everything, other)["merged_into"] == head
    (fact,) = [
        one.event["data"]
        for one in everything.read(ComplaintMerged.TOPIC)
        if one.event["type"] == ComplaintMerged.TYPE and one.event["data"]["into"] == head
    ]
    assert fact["complaint_id"] == other

    def refused() -> bool:
        with everything.phone("compensation") as phone:
            answer = phone.get("/v1/options", params={"complaint": other})
        return answer.status_code == 409 and answer.json()["complaint_id"] == head

    until(refused, "compensation knows of the merge")
    assert together(
        everything, [(f"complaints/{other}/split", None, bearer(everything, EMPLOYEES[0]))]
    )[0].is_success
    assert set(names) <= opened(everything)
