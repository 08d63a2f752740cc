"""What must be exact under any race: two processes, one Redis, many hands at the same moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from devstack.stack import ROOT
from shared.contracts.compensation import PolicyTried
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.ops import policy, roster, token, topics
from shared.runtime.policy_file import load
from tests.suites.authority_machine import Ledger
from tests.system import auditor
from tests.system.replay import stored
from tests.system.world import PATIENCE_S, World, complaint, complaint_id, until, world

pytestmark = pytest.mark.integration

#: One site whose employees have 1,000 a day, and one with a last unit of budget.
RACES, LAST = "ms-races", "ms-last"
CREW = [f"e-{number:02}" for number in range(50)]
HUNDRED = 100_00
PREFIX = "compensation:{c0}:"
#: Checks of a hundred that the budget for delight holds.
DELIGHTS = 3
#: Holds of so few seconds that a test can wait for their end.
HOLD_S = 2


def site_policy(site: str, site_per_day: int) -> dict[str, Any]:
    """The demo's policy with ceilings that make the races short."""
    found = load(ROOT / "policy" / "demo.yaml").model_dump(mode="json", exclude_none=True)
    hundred = {
        "kind": "gift_card",
        "amounts": [HUNDRED],
        "title": {language: "A hundred" for language in found["languages"]},
    }
    found |= {"site": site, "hold": f"PT{HOLD_S}S", "playbooks": {}}
    found["checks"]["hundred"] = hundred
    found["authority"] |= {"roles": {"any": {"per_check": 10 * HUNDRED, "per_day": 10 * HUNDRED}}}
    del found["authority"]["stretch"], found["incidents"]
    much = 10_000 * HUNDRED
    found["limits"] = {
        "customer": {"per_stay": much, "checks_per_day": 1000},
        "complaint": {"total": much},
        "site": {"per_day": site_per_day},
    }
    found["delight"]["budget"] = DELIGHTS * HUNDRED + 1
    return found


@dataclass
class Races:
    """Two processes of compensation, and as many hands as it takes."""

    world: World
    urls: Sequence[str]

    @cached_property
    def complaints(self) -> dict[str, str]:
        return {site: complaint_id(f"at-{site}") for site in (RACES, LAST)}

    def bearer(self, subject: str, site: str = RACES, kind: Any = "employee") -> dict[str, str]:
        signed = token.sign(
            self.world.key, subject=subject, kind=kind, site=site, now=datetime.now(UTC)
        )
        return {"Authorization": f"Bearer {signed}"}

    def together(self, wishes: Sequence[tuple[str, str, dict[str, Any], dict[str, str]]]):
        """Post all at the same moment, in turn to the two processes: (path, key, command, bearer)."""

        async def run() -> list[httpx.Response]:
            limits = httpx.Limits(max_connections=len(wishes))
            async with httpx.AsyncClient(limits=limits, timeout=PATIENCE_S) as client:
                posts = [
                    client.post(
                        f"{url}/v1/{path}", json=command, headers={"Idempotency-Key": key, **bearer}
                    )
                    for (path, key, command, bearer), url in zip(
                        wishes, cycle(self.urls), strict=False
                    )
                ]
                return await asyncio.gather(*posts)

        return asyncio.run(run())

    def one(self, path: str, key: str, command: Any, bearer: dict[str, str]) -> httpx.Response:
        (answer,) = self.together([(path, key, command, bearer)])
        return answer

    def wish(self, site: str = RACES, item: str = f"hundred/{HUNDRED}") -> dict[str, Any]:
        return {
            "complaint_id": self.complaints[site],
            "item": item,
            "reason": "food",
            "again": True,
        }

    def given(self, employee: str, key: str) -> dict[str, Any]:
        answer = self.one("checks", key, self.wish(), self.bearer(employee))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def opened(self) -> bool:
        """Whether every complaint is a case: what was given on the spot comes back from triage."""
        kept = stored(self.world.stack.redis_url, "compensation").documents
        cases = [case for name, case in kept.items() if name.startswith("case:")]
        return all("opened_at" in case for case in cases)

    def accounts(self, prefix: str) -> dict[str, int]:
        kept = stored(self.world.stack.redis_url, "compensation").accounts
        return {name: amount for name, amount in kept.items() if name.startswith(prefix)}


def publish(directory: Path, bootstrap: str) -> None:
    for site, site_per_day in ((RACES, 10_000 * HUNDRED), (LAST, HUNDRED)):
        file = directory / f"{site}.yaml"
        file.write_text(json.dumps(site_policy(site, site_per_day)), encoding="utf-8")
        policy.publish(file, bootstrap)
        crew = {name if site == RACES else f"{name}-last": {"role": "any"} for name in CREW}
        listing = directory / f"{site}-roster.yaml"
        listing.write_text(json.dumps({"site": site, "employees": crew}), encoding="utf-8")
        roster.publish(listing, bootstrap)


@pytest.fixture(scope="module")
def races(tmp_path_factory) -> Iterator[Races]:
    directory = tmp_path_factory.mktemp("races")
    with world(directory) as everything:
        publish(directory, everything.stack.bootstrap)
        everything.start("complaints")
        first = everything.start("compensation", port="0", holder="first")
        second = everything.start("compensation", port="0", holder="second", face="api")
        for service in everything.services.running:
            service.wait_ready()
        found = Races(everything, [first.url, second.url])
        now = datetime.now(UTC)
        everything.publish([complaint(f"at-{site}", at=now, site=site) for site in (RACES, LAST)])
        for site, who in ((RACES, CREW[0]), (LAST, f"{CREW[0]}-last")):
            bearer = found.bearer(who, site)
            asked = f"{first.url}/v1/options?complaint={found.complaints[site]}"
            known = partial(httpx.get, asked, headers=bearer)
            until(lambda known=known: known().status_code == 200, "the complaints")
        yield found


def test_of_two_hundred_grants_of_a_hundred_against_a_thousand_exactly_ten_are_given(races: Races):
    """Cases 1 and 2, INV-01."""
    bearer = races.bearer(CREW[0])
    answers = races.together([("checks", f"g{n}", races.wish(), bearer) for n in range(200)])
    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 190}
    for answer in answers:
        if answer.status_code == 409:
            body = answer.json()
            assert (body["type"], body["bound_by"]) == (Reason.AUTHORITY_EXHAUSTED, "employee_day")
            assert all(left["left_minor"] >= 0 for left in body["left"])
            assert [option["item"] for option in body["alternatives"]] == ["sincere-words"]
    (day,) = set(races.accounts(f"employee/{RACES} {CREW[0]}/NOK/2").values())
    assert day == 10 * HUNDRED


def test_the_last_unit_of_a_sites_budget_goes_to_one_of_fifty_who_wish_for_it(races: Races):
    """INV-01."""
    wishes = [
        ("checks", f"l-{name}", races.wish(LAST), races.bearer(f"{name}-last", LAST))
        for name in CREW
    ]
    answers = races.together(wishes)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    assert {a.json()["bound_by"] for a in answers if a.status_code == 409} == {"site_day"}


def test_the_last_of_the_budget_for_delight_goes_to_as_many_as_it_holds(races: Races):
    """INV-01: forty employees, each within their own authority, and each another customer."""
    crew = CREW[10:]
    wish = {"occasion": "birthday", "item": f"hundred/{HUNDRED}"}
    answers = races.together(
        [
            ("delights", f"d-{name}", {**wish, "customer": f"cabin-{name}"}, races.bearer(name))
            for name in crew
        ]
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: DELIGHTS, 409: len(crew) - DELIGHTS}
    assert {a.json()["bound_by"] for a in answers if a.status_code == 409} == {"delight"}
    assert list(races.accounts(f"delight/{RACES}/").values()) == [DELIGHTS * HUNDRED]
    # Taken back at once by two, it is given back once, and is there for one more.
    check = next(answer.json()["check_id"] for answer in answers if answer.status_code == 201)
    voids = [(f"checks/{check}/void", f"dv-{who}", None, races.bearer(who)) for who in crew[:2]]
    assert sorted(answer.status_code for answer in races.together(voids)) == [200, 409]
    again = [
        ("delights", f"da-{name}", {**wish, "customer": f"suite-{name}"}, races.bearer(name))
        for name in crew[:10]
    ]
    assert Counter(answer.status_code for answer in races.together(again)) == {201: 1, 409: 9}


def test_fifty_posts_of_one_key_are_one_check_and_equal_answers(races: Races):
    """Case 14, INV-02."""
    bearer = races.bearer(CREW[1])
    answers = races.together([("checks", "same", races.wish(), bearer)] * 50)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert set(races.accounts(f"employee/{RACES} {CREW[1]}/").values()) == {HUNDRED}


def test_of_two_tills_with_one_code_one_redeems_it(races: Races):
    """Case 50, INV-03."""
    for round_number in range(5):
        code = races.given(CREW[2], f"tills-{round_number}")["code"]
        command = {"code": code, "capture": True}
        answers = races.together(
            [
                (
                    "redemptions",
                    f"t{till}-{round_number}",
                    command,
                    races.bearer(till, kind="till"),
                )
                for till in ("till-a", "till-b")
            ]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]


def test_of_a_void_and_a_redemption_one_wins(races: Races):
    """Case 9, INV-03: given back exactly once, or redeemed, never both."""
    for round_number in range(6):
        check = races.given(CREW[3], f"void-{round_number}")
        till = races.bearer("till-a", kind="till")
        redeem = {"code": check["code"], "capture": True}
        path = f"checks/{check['check_id']}/void"
        wishes = [
            (path, f"v{round_number}", None, races.bearer(CREW[3])),
            ("redemptions", f"r{round_number}", redeem, till),
            (path, f"w{round_number}", None, races.bearer(CREW[4])),
        ]
        order = wishes if round_number % 2 else wishes[::-1]
        answers = dict(zip((key for _, key, *_ in order), races.together(order), strict=True))
        redeemed = answers[f"r{round_number}"].status_code == 200
        voided = [answers[f"{v}{round_number}"].status_code for v in "vw"]
        assert sorted(voided) == ([409, 409] if redeemed else [200, 409])
        look = httpx.get(
            f"{races.urls[0]}/v1/checks/{check['check_id']}", headers=races.bearer(CREW[3])
        )
        assert look.json()["state"] == ("redeemed" if redeemed else "voided")


def test_a_hold_that_ended_is_not_captured_and_is_free_exactly_once(races: Races):
    """Case 10, INV-03: capturing races with the end of the hold, and one of them happens."""
    till = races.bearer("till-a", kind="till")
    checks = [races.given(CREW[5], f"hold-{n}") for n in range(5)]
    holds = [
        races.one("redemptions", f"h{n}", {"code": check["code"]}, till).json()
        for n, check in enumerate(checks)
    ]
    ends = [datetime.fromisoformat(hold["expires_at"]) for hold in holds]
    until(lambda: datetime.now(UTC) >= min(ends), "the first hold to end")
    answers = races.together(
        [
            (f"redemptions/{hold['redemption_id']}/capture", f"c{n}", {}, till)
            for n, hold in enumerate(holds)
        ]
    )
    assert answers[0].status_code == 409

    def state(check: dict[str, Any]) -> tuple[str, int]:
        url = f"{races.urls[1]}/v1/checks/{check['check_id']}"
        body = httpx.get(url, headers=races.bearer(CREW[5])).json()
        return body["state"], body["left_minor"]

    expected = [
        ("redeemed", 0) if answer.status_code == 200 else ("issued", HUNDRED) for answer in answers
    ]
    until(lambda: [state(check) for check in checks] == expected, "every hold to end one way")


def test_forty_who_give_on_the_spot_at_once_are_not_in_each_others_way(races: Races):
    """INV-02: what a site only counts and remembers makes none of them come back later."""
    log = {"text": "Waited an hour.", "customer": "cabin"}
    wishes = [
        (
            "checks",
            f"s-{name}",
            {
                "on_the_spot": {**log, "customer": f"cabin-{name}"},
                "item": "cinema",
                "reason": "delay",
            },
            races.bearer(name),
        )
        for name in CREW[10:]
    ]
    answers = races.together(wishes)
    assert Counter(answer.status_code for answer in answers) == {201: 40}
    # Each opens a case, which counts: nothing of it may fall into the tests behind this one.
    until(races.opened, "all cases are open")


def test_an_account_of_the_wrong_type_is_loud_and_no_other_has_moved(races: Races):
    """Case 11: everything is checked before the first write; mended, the same key is served."""
    races.given(CREW[6], "right")
    name = f"{PREFIX}account:site/{RACES}/NOK/"
    with closing(Redis.from_url(races.world.stack.redis_url)) as store:
        (broken,) = store.scan_iter(f"{name}*")
        others = [key for key in store.scan_iter(f"{PREFIX}account:*") if key != broken]
        before = [store.mget(others), store.get(f"{PREFIX}sequence")]
        store.rename(broken, "mended")
        store.rpush(broken, "wrong")
        try:
            answer = races.one("checks", "wrong", races.wish(), races.bearer(CREW[6]))
            assert (answer.status_code, answer.json()["type"]) == (500, Reason.HANDLER_FAILED)
            assert [store.mget(others), store.get(f"{PREFIX}sequence")] == before
        finally:
            store.rename("mended", broken)
    races.given(CREW[6], "wrong")
    assert set(races.accounts(f"employee/{RACES} {CREW[6]}/").values()) == {2 * HUNDRED}


def test_a_process_killed_after_the_debit_leaves_its_answer_to_the_others(races: Races):
    """Case 17, INV-02: who asks again gets what was decided; one debit, one fact."""
    dying = races.world.services.start(
        "compensation", port="0", holder="dying", face="api", crash_at="committed:1"
    )
    dying.wait_ready()
    bearer = races.bearer(CREW[7])
    with pytest.raises(httpx.TransportError):
        Races(races.world, [dying.url]).one("checks", "killed", races.wish(), bearer)
    assert dying.process.wait(PATIENCE_S) == -signal.SIGKILL
    answers = [races.together([("checks", "killed", races.wish(), bearer)])[0] for _ in range(2)]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.headers["idempotency-replayed"] for answer in answers} == {"true"}
    assert len({answer.content for answer in answers}) == 1
    assert set(races.accounts(f"employee/{RACES} {CREW[7]}/").values()) == {HUNDRED}


def test_what_the_facts_of_all_races_add_up_to_is_what_the_store_holds(races: Races):
    """INV-01, INV-02, INV-03: at every prefix; no account above its ceiling, no code its value."""
    with closing(Redis.from_url(races.world.stack.redis_url)) as store:
        until(lambda: not store.llen(f"{PREFIX}outbox"), "everything to be published")
        reads = races.world.read("recovery.compensation.v1")
        assert auditor.out_of_order(reads) == []
        facts = sorted(auditor.facts(reads), key=lambda fact: int(fact["sequence"]))
        for site, site_per_day in ((RACES, 10_000 * HUNDRED), (LAST, HUNDRED)):
            ledger = Ledger({"employee_day": 10 * HUNDRED, "site_day": site_per_day})
            for fact in facts:
                if fact["data"].get("site") == site:
                    ledger.add(fact["type"], fact["data"])
            names = sorted(+ledger.balance)
            assert names
            kept = store.mget([f"{PREFIX}account:{name}" for name in names])
            assert [int(n or 0) for n in kept] == [ledger.balance[name] for name in names]


def test_a_command_beside_the_services_tries_a_draft_and_the_services_publish_that(
    races: Races, tmp_path: Path
):
    """So does the route; both count as runs of the day."""
    draft = tmp_path / "draft.yaml"
    draft.write_text(json.dumps(site_policy(RACES, HUNDRED)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "services.compensation", "whatif", str(draft), "--since", "P90D"],
        cwd=ROOT,
        env={**os.environ, **races.world.services.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert "records" in done.stderr
    run_id = done.stdout.rpartition("recorded as ")[2].strip()
    bearer = races.bearer("m-1", kind="manager")
    command = {"draft": site_policy(RACES, HUNDRED), "since": "P90D"}
    answer = races.one("policy/whatif", "w-1", command, bearer)
    assert answer.status_code == 200, answer.text
    assert list(races.accounts(f"whatif/{RACES}/").values()) == [2]

    def published() -> bool:
        found = topics.records(PolicyTried.TOPIC, races.world.stack.bootstrap)
        runs = [json.loads(value)["data"] for key, value in found if key == RACES]
        return [one["run_id"] for one in runs if "draft" in one] == [
            run_id,
            answer.json()["run_id"],
        ]

    until(published, "the runs on the topic")


def test_of_managers_who_publish_at_the_same_moment_one_is_the_next_version(
    races: Races, tmp_path: Path
):
    """The others are told that the policy changed; an operator's file afterwards is the version after that."""
    address, bearer = "/v1/policy", races.bearer("m-1", LAST, "manager")
    read = httpx.get(f"{races.urls[0]}{address}", headers=bearer)
    drafts = [{**read.json()["policy"], "site_name": f"Last {number}"} for number in range(8)]

    async def publish_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            tag = {"If-Match": read.headers["etag"]}
            puts = [
                client.put(
                    f"{url}{address}",
                    json={"policy": draft},
                    headers={**bearer, **tag, "Idempotency-Key": draft["site_name"]},
                )
                for draft, url in zip(drafts, cycle(races.urls), strict=False)
            ]
            return await asyncio.gather(*puts)

    answers = asyncio.run(publish_all())
    assert sorted(one.status_code for one in answers) == [200, *[412] * 7]
    (won,) = [one.json() for one in answers if one.status_code == 200]
    bootstrap = races.world.stack.bootstrap

    def on_the_topic() -> list[tuple[int, str, str | None]]:
        return [
            (fact["version"], fact["policy"]["site_name"], fact.get("by"))
            for key, value in topics.records(PolicyPublished.TOPIC, bootstrap)
            if key == LAST
            for fact in [json.loads(value)["data"]]
        ]

    until(lambda: len(on_the_topic()) == 2, "the version on the topic")
    assert on_the_topic()[-1] == (2, won["policy"]["site_name"], "m-1")
    file = tmp_path / "last.yaml"
    file.write_text(json.dumps(site_policy(LAST, HUNDRED)), encoding="utf-8")
    assert policy.publish(file, bootstrap) == 3

    def shown(url: str) -> tuple[int, str | None]:
        found = httpx.get(f"{url}{address}", headers=bearer).json()
        return found["version"], found["by"]

    for url in races.urls:
        until(lambda url=url: shown(url) == (3, None), "the operator's version")


def test_a_command_without_a_valid_draft_says_what_is_wrong_and_where(tmp_path: Path):
    draft = tmp_path / "draft.yaml"
    draft.write_text("site: ms-x\nmispelt: 1\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "services.compensation", "whatif", str(draft)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{draft}:2: mispelt: is not a known field" in done.stderr
