"""Random things done with complaints, held against a model on one page: where each stands, who has it, which lists it is in."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.complaints.app import build
from services.complaints.lifecycle.rules import Complaint
from services.complaints.settings import Settings
from shared.contracts.compensation import CheckIssued
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import PolicyPublished
from shared.contracts.roster import EmployeeListed
from shared.ops import roster as roster_file
from shared.ops import token
from shared.runtime.engine.store import Store
from shared.testing.builders import record
from shared.testing.clock import Clock
from tests.suites.services import MASTER, SITE, AllRead, demo_policy, demo_roster, languages, raised

T = TypeVar("T")
#: Of the demo's roster, with the department of each.
EMPLOYEES = {
    "e-ingrid": "reception",
    "e-jonas": "housekeeping",
    "e-sofia": "restaurant",
    "e-lars": None,
}
WHO = st.sampled_from(sorted(EMPLOYEES))
WHICH = st.integers(0, 5)
OPEN = {"triaged", "claimed", "awaiting_info", "reopened"}


@dataclass
class Known:
    """One complaint as the model has it."""

    state: str = "triaged"
    owner: str | None = None
    asked: str | None = None
    closes_at: datetime | None = None

    def as_owner(self, who: str, move: str) -> tuple[int, str | None]:
        """What a move of its owner comes to."""
        if self.state in OPEN and self.owner not in (None, who):
            return 409, "already_claimed"
        states = {"resolve": {"claimed", "awaiting_info"}, "ask": {"claimed"}, "handover": OPEN}
        state = "claimed" if self.state in {"triaged", "reopened"} else self.state
        return (200, None) if state in states[move] else (409, "wrong_state")

    def owned(self, who: str) -> None:
        if self.state in {"triaged", "reopened"}:
            self.state, self.owner, self.asked = "claimed", who, None

    def offered_to(self, who: str) -> bool:
        department = EMPLOYEES[who]
        return who != self.owner and self.asked in {who, f"@{department}" if department else who}

    def moved(self, state: str) -> None:
        self.state = state
        if state not in OPEN:
            self.asked = None


class LifecycleMachine(RuleBasedStateMachine):
    """Whoever runs it says which store it is on."""

    salt: ClassVar[int] = 0

    async def opened(self) -> Store:
        raise NotImplementedError

    async def closed(self, store: Any) -> None:
        """Nothing of a store in memory is left."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = TemporaryDirectory()
        self._keys, self._offsets = count(), count(100)
        self.clock = Clock()
        self.known: dict[str, Known] = {}

    def run(self, awaitable: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await awaitable

        return self._runner.run(awaited())

    @initialize()
    def begins(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        folder = Path(self._folder.name)
        self.key = token.demo_key(folder)
        self.store = await self.opened()
        settings = Settings(
            KAFKA_BOOTSTRAP_SERVERS="nowhere.invalid:1",
            REDIS_URL="redis://nowhere.invalid",
            master_key=b64encode(MASTER).decode(),
            jwks=folder / token.JWKS_FILE,
            publish_wait_ms=0,
        )
        self.app = build(
            settings,
            now=self.clock,
            store=self.store,
            languages=languages(),
            news=AllRead(),
        )
        head = PolicyPublished(site=SITE, version=1, policy=demo_policy())
        await self._feed(head)
        for listed in roster_file.listed(demo_roster(), self.clock()):
            await self._feed(listed)

    async def _feed(self, fact: Any) -> None:
        inbox = next(one for one in self.app.inboxes if one.topic == fact.TOPIC)
        # A partition per type: offsets go up in each.
        await self.app.parts.settler.settle_records(
            inbox, 0 if isinstance(fact, EmployeeListed) else 1, [record(fact, next(self._offsets))]
        )

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.closed(self.store))
        self._runner.close()
        self._folder.cleanup()

    def phone(self, who: str) -> httpx.AsyncClient:
        bearer = token.sign(self.key, subject=who, kind="employee", site=SITE, now=self.clock())
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app.api, raise_app_exceptions=True),
            base_url="http://test",
            headers={"Authorization": f"Bearer {bearer}"},
        )

    async def _do(self, name: str, what: str, who: str, **command: Any) -> tuple[int, Any]:
        async with self.phone(who) as phone:
            answer = await phone.post(
                f"/v1/complaints/{name}/{what}",
                json=command or None,
                headers={"Idempotency-Key": f"k-{next(self._keys)}"},
            )
        body = answer.json()
        return answer.status_code, body.get("type") if answer.status_code >= 400 else None

    def some(self, which: int) -> tuple[str, Known]:
        names = sorted(self.known)
        name = names[which % len(names)]
        return name, self.known[name]

    def as_expected(
        self, name: str, what: str, who: str, expected: tuple[int, str | None], **command: Any
    ) -> bool:
        assert self.run(self._do(name, what, who, **command)) == expected, (what, self.known[name])
        return expected[0] == 200

    @rule(text=st.sampled_from(["The soup was cold.", "My son had an allergic reaction."]))
    def raises(self, text: str) -> None:
        before = set(self.known)
        self.run(self._feed(raised(text)))
        documents = self.run(self._documents())
        (new,) = documents.keys() - before
        self.known[new] = Known()

    @precondition(lambda self: self.known)
    @rule(which=WHICH, whos=st.lists(WHO, min_size=1, max_size=4, unique=True))
    def claims(self, which: int, whos: list[str]) -> None:
        """Also all at once: one of them has it then, and the others are told so."""
        name, one = self.some(which)

        async def all_of_them() -> list[tuple[int, Any]]:
            return list(await asyncio.gather(*(self._do(name, "claim", who) for who in whos)))

        found = self.run(all_of_them())
        if one.state not in OPEN:
            assert set(found) == {(409, "wrong_state")}
            return
        if one.owner is not None and (one.state != "reopened" or one.owner not in whos):
            assert set(found) == {(409, "already_claimed")}
            return
        winners = [who for who, answer in zip(whos, found, strict=True) if answer[0] == 200]
        assert len(winners) == 1
        assert sorted({*found}) in ([(200, None)], [(200, None), (409, "already_claimed")])
        assert one.owner in (None, winners[0])
        one.owned(winners[0])

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO, to=WHO, department=st.booleans())
    def hands_over(self, which: int, who: str, to: str, department: bool) -> None:
        name, one = self.some(which)
        of = EMPLOYEES[to] if department else None
        asked = {"department": of} if of else {"colleague_id": to}
        if not of and to == who:
            self.as_expected(name, "handover", who, (422, "unknown_colleague"), **asked)
        elif self.as_expected(name, "handover", who, one.as_owner(who, "handover"), **asked):
            one.owned(who)
            one.asked = f"@{of}" if of else to

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def accepts(self, which: int, who: str) -> None:
        name, one = self.some(which)
        fits = (200, None) if one.offered_to(who) else (409, "not_offered")
        expected = fits if one.state in OPEN else (409, "wrong_state")
        if self.as_expected(name, "accept", who, expected):
            one.owner, one.asked = who, None

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def declines(self, which: int, who: str) -> None:
        name, one = self.some(which)
        may = one.offered_to(who) or (one.owner == who and one.asked is not None)
        expected = (200, None) if may else (409, "not_offered")
        if one.state not in OPEN:
            expected = (409, "wrong_state")
        if self.as_expected(name, "decline", who, expected):
            one.asked = None

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def asks(self, which: int, who: str) -> None:
        name, one = self.some(which)
        if self.as_expected(name, "ask", who, one.as_owner(who, "ask"), question="Which?"):
            one.owned(who)
            one.moved("awaiting_info")

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def hears(self, which: int, who: str) -> None:
        name, one = self.some(which)
        expected = (200, None) if one.state == "awaiting_info" else (409, "wrong_state")
        if self.as_expected(name, "answer", who, expected, answer="The left one."):
            one.moved("claimed")

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def resolves(self, which: int, who: str) -> None:
        name, one = self.some(which)
        if self.as_expected(
            name, "resolve", who, one.as_owner(who, "resolve"), outcome="fixed", note="Done."
        ):
            one.owned(who)
            one.moved("resolution_recorded")
            one.closes_at = self.clock() + demo_policy().close_after

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO, what=st.sampled_from(["withdraw", "unfounded"]))
    def ends(self, which: int, who: str, what: str) -> None:
        name, one = self.some(which)
        states = OPEN | ({"resolution_recorded"} if what == "withdraw" else set())
        expected = (200, None) if one.state in states else (409, "wrong_state")
        if self.as_expected(name, what, who, expected):
            one.moved({"withdraw": "withdrawn", "unfounded": "not_a_complaint"}[what])

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def gives(self, which: int, who: str) -> None:
        name, one = self.some(which)
        number = next(self._offsets)
        self.run(
            self._feed(
                CheckIssued.model_validate(
                    {
                        "check_id": f"ck-{number}",
                        "complaint_id": name,
                        "customer_ref": "c",
                        "employee_id": who,
                        "site": SITE,
                        "item": "cinema",
                        "policy_version": 1,
                        "kind": "experience",
                        "language": "en",
                        "value_minor": 1,
                        "cost_minor": 1,
                        "currency": "NOK",
                        "code": "v1.x",
                        "code_hash": "0" * 64,
                        "valid_until": self.clock(),
                        "issued_at": self.clock(),
                        "debits": {},
                        "left": {},
                    }
                )
            )
        )
        if one.state in {"triaged", "reopened"}:
            one.owned(who)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, helped=st.sampled_from(list(Helped)))
    def is_answered(self, which: int, helped: Helped) -> None:
        name, one = self.some(which)
        answer = FeedbackReceived(
            complaint_id=name, check_id="ck-1", helped=helped, answered_at=self.clock()
        )
        self.run(self._feed(answer))
        asked = OPEN | {"resolution_recorded", "closed_no_response"}
        if helped is Helped.YES and one.state in asked:
            one.moved("confirmed")
        if helped is Helped.NO and one.state in asked | {"confirmed", "withdrawn"}:
            one.moved("reopened")
            one.closes_at = None

    @rule(hours=st.sampled_from([1, 30, 24 * 8]))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))
        self.run(self._ring())
        for one in self.known.values():
            due = one.closes_at is not None and one.closes_at <= self.clock()
            if due and one.state == "resolution_recorded":
                one.moved("closed_no_response")

    async def _ring(self) -> None:
        now_ms = int(self.clock().timestamp() * 1000)
        for member, due in await self.store.due(now_ms, 1000):
            name, _, timer_id = member.partition("|")
            await self.app.on_timer[name](timer_id, due)

    async def _documents(self) -> dict[str, Complaint]:
        found: dict[str, Complaint] = {}
        view = self.app.parts.settler.view()
        for name in (f"open/{SITE}", f"done/{SITE}"):
            page = await view.range(Complaint, name, None, 100)
            assert not found.keys() & {key for key, _ in page.documents}
            found |= dict(page.documents)
        return found

    async def _listed(self, who: str, **params: str) -> set[str]:
        async with self.phone(who) as phone:
            answer = await phone.get("/v1/complaints", params=params)
        return {one["complaint_id"] for one in answer.json()["complaints"]}

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if not self.known:
            return
        found = self.run(self._documents())
        stand = {name: (str(one.state), one.employee_id) for name, one in found.items()}
        assert stand == {name: (one.state, one.owner) for name, one in self.known.items()}
        for name, one in found.items():
            asked = one.asked_colleague or (one.asked_department and f"@{one.asked_department}")
            assert asked == self.known[name].asked

    @precondition(lambda self: self.known)
    @rule(who=WHO)
    def looks(self, who: str) -> None:
        """The lists of an employee are those of the model."""
        opened = {name: one for name, one in self.known.items() if one.state in OPEN}
        assert self.run(self._listed(who, view="open")) == opened.keys()
        mine = {name for name, one in opened.items() if one.owner == who}
        assert self.run(self._listed(who, view="mine")) == mine
        offered = {name for name, one in opened.items() if one.asked == who}
        assert self.run(self._listed(who, view="offered")) == offered
        assert self.run(self._listed(who, view="done")) == self.known.keys() - opened.keys()
