"""Managers read the policy of their site and publish the next version, and nobody takes back what another published."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from services.compensation.policy.handlers import A_DAY, VERSIONS_MAX
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.ops.policy import newest
from shared.runtime.policies import PolicyHead, PolicyVersion, head_of, version_of
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard, state

MANAGER = "m-maria"


async def read(aboard: Aboard, path: str = "policy") -> Any:
    answer = await aboard.get(path, aboard.bearer(MANAGER, "manager"))
    assert answer.status_code == 200, answer.text
    return answer


async def put(aboard: Aboard, policy: Any, tag: str | None, key: str = "p-1", **who: Any) -> Any:
    headers = {"Idempotency-Key": key} | ({"If-Match": tag} if tag is not None else {})
    bearer = aboard.bearer(who.pop("who", MANAGER), who.pop("kind", "manager"), **who)
    async with aboard.http("compensation", bearer) as screen:
        return await screen.put("/v1/policy", json={"policy": policy}, headers=headers)


def with_a_day(policy: dict[str, Any], per_day: int) -> dict[str, Any]:
    """A policy with another ceiling of the whole site."""
    return {**policy, "limits": {**policy["limits"], "site": {"per_day": per_day}}}


async def ceiling(aboard: Aboard) -> int:
    """What the site may give in a day, as an employee sees it."""
    scopes = (await aboard.get("me/authority")).json()["scopes"]
    return next(one["ceiling_minor"] for one in scopes if one["scope"] == "site_day")


async def published(aboard: Aboard) -> list[dict[str, Any]]:
    facts = await aboard.facts("compensation")
    return [fact for fact in facts if fact["type"] == PolicyPublished.TYPE]


async def test_what_a_manager_reads_can_be_published_and_holds_from_the_next_decision_on(
    aboard: Aboard,
):
    before = await read(aboard)
    shown = before.json()
    assert (shown["version"], shown["by"], shown["published_at"]) == (1, None, None)
    assert Policy.model_validate(shown["policy"]) == aboard.policy
    answer = await put(aboard, with_a_day(shown["policy"], 5000_00), before.headers["etag"])
    assert answer.status_code == 200, answer.text
    assert await ceiling(aboard) == 5000_00
    after = await read(aboard)
    assert after.headers["etag"] == answer.headers["etag"] != before.headers["etag"]
    assert after.json() == answer.json()
    (fact,) = await published(aboard)
    assert (fact["version"], fact["by"]) == (2, MANAGER)
    assert fact["policy"]["limits"]["site"]["per_day"] == 5000_00


async def test_the_schema_says_the_words_and_the_bounds_of_each_field(aboard: Aboard):
    found = (await read(aboard, "policy/schema")).json()["json_schema"]
    per_day = found["$defs"]["SiteLimit"]["properties"]["per_day"]
    assert per_day["minimum"] == 1
    assert per_day["description"].startswith("Ceiling of everything given at the site")


async def test_a_version_that_came_between_is_not_overwritten(aboard: Aboard):
    before = await read(aboard)
    policy = before.json()["policy"]
    first = await put(aboard, with_a_day(policy, 5000_00), before.headers["etag"])
    assert first.status_code == 200
    late = await put(aboard, with_a_day(policy, 7000_00), before.headers["etag"], "p-2", who="m-2")
    assert (late.status_code, late.json()["type"]) == (412, Reason.CHANGED_MEANWHILE)
    missing = await put(aboard, policy, None, "p-3")
    assert (missing.status_code, missing.json()["type"]) == (428, Reason.VERSION_MISSING)
    assert len(await published(aboard)) == 1
    assert await ceiling(aboard) == 5000_00


async def test_an_operators_version_that_came_between_is_not_overwritten(aboard: Aboard):
    before = await read(aboard)
    theirs = Policy.model_validate(with_a_day(before.json()["policy"], 9000_00))
    head = PolicyPublished(site=SITE, version=2, policy=theirs, published_at=aboard.clock())
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, 1)])
    late = await put(aboard, before.json()["policy"], before.headers["etag"])
    assert (late.status_code, late.json()["type"]) == (412, Reason.CHANGED_MEANWHILE)
    assert await ceiling(aboard) == 9000_00


async def test_the_same_request_again_publishes_once(aboard: Aboard):
    before = await read(aboard)
    policy = with_a_day(before.json()["policy"], 5000_00)
    first, again = [await put(aboard, policy, before.headers["etag"]) for _ in range(2)]
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await published(aboard)) == 1


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a misspelt field": ({"curency": "NOK"}, "/policy/curency", "extra_forbidden"),
    "a ceiling of nothing": (
        {"limits": {"customer": {"per_stay": 0}}},
        "/policy/limits/customer/per_stay",
        "greater_than_equal",
    ),
    "a number in quotes": (
        {"limits": {"site": {"per_day": "100"}}},
        "/policy/limits/site/per_day",
        "int_type",
    ),
    "a currency of nowhere": ({"currency": "NOX"}, "/policy/currency", "contradiction"),
    "a check above the day": (
        {"authority": {"roles": {"any": {"per_check": 200, "per_day": 100}}}},
        "/policy/authority/roles/any/per_check",
        "contradiction",
    ),
    "an outlet that is not there": (
        {"checks": {"cinema": {"valid_at": ["sauna"]}}},
        "/policy/checks/cinema/valid_at/0",
        "contradiction",
    ),
}


def merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A document with some of its leaves in place of others."""
    return whole | {
        name: merged(whole[name], value) if isinstance(value, dict) and name in whole else value
        for name, value in part.items()
    }


@pytest.mark.parametrize("name", WRONG)
async def test_what_an_operators_file_may_not_say_a_manager_may_not_say_and_is_told_where(
    aboard: Aboard, name: str
):
    change, pointer, rule = WRONG[name]
    before = await read(aboard)
    answer = await put(aboard, merged(before.json()["policy"], change), before.headers["etag"])
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    found = [(one["pointer"], one["rule"]) for one in answer.json()["errors"]]
    assert found == [(pointer, rule)]
    assert await published(aboard) == []


async def test_a_policy_that_no_service_could_read_is_refused(aboard: Aboard):
    before = await read(aboard)
    title = {"title": dict.fromkeys(("nb", "sv", "da", "en"), "Ø" * 120)}
    policy = before.json()["policy"]
    # What is left out has a default, so that it is longer as an event than as it is sent.
    policy["checks"] |= {f"word-{n}": {"kind": "apology", **title} for n in range(190)}
    policy["causes"] |= {f"cause-{n}": title for n in range(30)}
    answer = await put(aboard, policy, before.headers["etag"])
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    assert answer.json()["errors"][0]["detail"].startswith("is 2")


async def test_a_manager_of_another_site_reads_and_publishes_nothing_here(aboard: Aboard):
    before = await read(aboard)
    kept = state(aboard.stores["compensation"])
    theirs = await put(aboard, before.json()["policy"], before.headers["etag"], site="ms-borealis")
    # That site has no policy: its first is an operator's.
    assert (theirs.status_code, theirs.json()["type"]) == (404, Reason.UNKNOWN_SITE)
    moved = await put(aboard, {**before.json()["policy"], "site": "ms-b"}, before.headers["etag"])
    assert (moved.status_code, moved.json()["type"]) == (404, Reason.UNKNOWN_SITE)
    assert moved.json()["errors"] == [{"pointer": "/policy/site"}]
    assert state(aboard.stores["compensation"]) == kept


async def test_a_site_publishes_so_many_versions_in_a_day_and_goes_on_the_next(aboard: Aboard):
    policy = (await read(aboard)).json()["policy"]
    for number in range(VERSIONS_MAX):
        answer = await put(aboard, with_a_day(policy, 1000_00 + number), "*", f"p-{number}")
        assert answer.status_code == 200, answer.text
        aboard.later(minutes=1)
    more = await put(aboard, policy, "*", "more")
    assert (more.status_code, more.json()["type"]) == (429, Reason.TOO_MANY_VERSIONS)
    left_s = (A_DAY - timedelta(minutes=VERSIONS_MAX)).total_seconds()
    assert int(more.headers["retry-after"]) == left_s
    aboard.later(seconds=left_s)
    assert (await put(aboard, policy, "*", "more")).status_code == 200


async def test_a_clock_behind_publishes_later_than_the_version_before(aboard: Aboard):
    before = await read(aboard)
    ahead = aboard.clock() + timedelta(minutes=3)
    policy = Policy.model_validate(before.json()["policy"])
    head = PolicyPublished(site=SITE, version=2, policy=policy, published_at=ahead)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, 1)])
    answer = await put(aboard, with_a_day(before.json()["policy"], 5000_00), "*")
    assert answer.json()["published_at"] > ahead.isoformat()
    assert await ceiling(aboard) == 5000_00


@pytest.mark.parametrize("number", [2, 3])
def test_the_newest_version_counts_in_whatever_order_two_writers_are_read(
    aboard: Aboard, number: int
):
    """Before managers published, versions lay in another partition, and were not dated."""
    at = aboard.clock()
    first = PolicyPublished(site=SITE, version=number, policy=aboard.policy)
    second = first.model_copy(update={"version": 2, "by": MANAGER, "published_at": at})
    third = first.model_copy(update={"version": 2, "published_at": at + timedelta(seconds=1)})
    for document, fold in ((PolicyHead, head_of), (PolicyVersion, version_of)):
        ends = set()
        for order in permutations((first, second, third)):
            found = None
            for fact in order:
                found = fold(found, fact)
            ends.add(found.published_at)
        assert ends == {third.published_at}, document


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_versions_with_one_number_operators_see_the_one_that_counts(
    aboard: Aboard, monkeypatch: pytest.MonkeyPatch, first: int
):
    """An operator and a manager who publish at the same moment get the same number, in whatever order they are read."""
    at = aboard.clock()
    facts = [
        PolicyPublished(
            site=SITE, version=2, policy=aboard.policy, published_at=at + timedelta(seconds=number)
        )
        for number in (first, 1 - first)
    ]
    read = [(SITE, record(fact, number).value) for number, fact in enumerate(facts)]
    monkeypatch.setattr("shared.ops.topics.records", lambda *_: read)
    found = newest(SITE, "")
    assert found is not None
    assert found.published_at == at + timedelta(seconds=1)


async def test_who_published_a_version_is_on_the_record_by_their_pseudonym(tmp_path: Path):
    aboard = await Aboard(tmp_path, recording=True).begin()
    before = await read(aboard)
    assert (await put(aboard, before.json()["policy"], before.headers["etag"])).status_code == 200
    await aboard.carry()
    facts = [fact for fact in await aboard.facts("audit") if "record" in fact]
    records = [fact["record"] for fact in facts if fact["record"]["what"] == PolicyPublished.TYPE]
    details = records[-1]["details"]
    name = aboard.apps["audit"].parts.vault.pseudonyms.employee
    assert details["by"] == name(SITE, f"{aboard.clock():%Y-%m}", MANAGER)
    assert sorted(details) == ["by", "published_at", "version"]
    assert details["version"] == 2
    assert MANAGER not in str(records)
