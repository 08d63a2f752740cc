"""Random things done with complaints, held against a model on one page: where each stands, who has it, which lists it is in."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.complaints.app import build
from services.complaints.fixes.rules import Fixes, FixState
from services.complaints.lifecycle.rules import Complaint, Promise
from services.complaints.matters.handlers import kept
from services.complaints.promises.rules import KeptAt, Warned, is_kept, resolved
from services.complaints.settings import Settings
from shared.contracts.compensation import CheckIssued, ShiftEnded, ShiftStarted
from shared.contracts.hours import covers
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import PolicyPublished
from shared.contracts.roster import EmployeeListed
from shared.ops import roster as roster_file
from shared.ops import token
from shared.runtime.engine.store import Store
from shared.testing.builders import record
from shared.testing.clock import Clock
from tests.suites.services import MASTER, SITE, AllRead, demo_policy, demo_roster, raised, triage

T = TypeVar("T")
#: Of the demo's roster, with the department of each.
EMPLOYEES = {
    "e-ingrid": "reception",
    "e-jonas": "housekeeping",
    "e-sofia": "restaurant",
    "e-lars": None,
}
#: The department of each role, where it has one.
ROLES = {"reception": "reception", "cabin-crew": "housekeeping", "restaurant": "restaurant"}
ROSTER = demo_roster().employees
WHO = st.sampled_from(sorted(EMPLOYEES))
FIX = st.sampled_from(["clean-again", "cook-again"])
WHICH = st.integers(0, 5)
ZONE = ZoneInfo(demo_policy().timezone)
OPEN = {"triaged", "claimed", "awaiting_info", "reopened"}
#: How an employee ends a complaint: where it stands then, and from where beside the open states.
ENDS: dict[str, tuple[str, set[str]]] = {
    "withdraw": ("withdrawn", {"resolution_recorded"}),
    "unfounded": ("not_a_complaint", set()),
    "refer": ("referred_external", {"resolution_recorded", "closed_no_response"}),
}
#: What may be merged, and what something may be merged into.
MERGED = OPEN - {"awaiting_info"}
#: From where a no to a letter opens a complaint again, beside those that are asked whether it helped.
REOPENED_BY_NO = {"confirmed", "withdrawn", "not_a_complaint", "referred_external"}
#: What customers say, with what each is about and whether somebody is in danger.
FOOD, DANGER, NOISE = (
    "The soup was cold.",
    "My son had an allergic reaction.",
    "So much loud music.",
)
#: The departments that see to what is complained of here.
SEEN_TO = {FOOD: {"restaurant"}, DANGER: set[str](), NOISE: set[str]()}
CUSTOMERS = st.sampled_from(["kim", "lee"])


@dataclass
class Known:
    """One complaint as the model has it."""

    state: str = "triaged"
    owner: str | None = None
    asked: str | None = None
    closes_at: datetime | None = None
    text: str = FOOD
    #: The customer who raised it with a token of their own.
    token: str | None = None
    into: str | None = None
    #: When its customer last said that it did not help.
    said_no: datetime | None = None
    merged: set[str] = field(default_factory=set)
    #: By name: who asked for it and by when, or None once it was done or declined.
    fixes: dict[str, tuple[str, str, datetime] | None] = field(default_factory=dict)
    #: The fixes that are done in this round, and not asked for again.
    done: set[str] = field(default_factory=set)

    def may_go_into(self, head: Known) -> bool:
        """Whether it may be merged into another one, which is in a state for it."""
        return self is not head and not self.merged and (self.text != DANGER or head.text == DANGER)

    def as_owner(self, who: str, move: str) -> tuple[int, str | None]:
        """What a move of its owner comes to."""
        if self.state in OPEN and self.owner not in (None, who):
            return 409, "already_claimed"
        states = {"resolve": {"claimed", "awaiting_info"}, "ask": {"claimed"}, "handover": OPEN}
        state = "claimed" if self.state in {"triaged", "reopened"} else self.state
        return (200, None) if state in states[move] else (409, "wrong_state")

    def helped_by(self, who: str) -> None:
        """Who gives or mends something has what nobody has, and takes nothing from its owner."""
        if self.owner in (None, who):
            self.owned(who)

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
        self.checked_in: dict[str, datetime] = {}

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
            triage=triage(),
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

    def phone(self, who: str, kind: Any = "employee") -> httpx.AsyncClient:
        bearer = token.sign(self.key, subject=who, kind=kind, site=SITE, now=self.clock())
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
        # What was asked for before a merge is done or declined all the same.
        kept = {"unknown_colleague", "fix_not_asked", None}
        if self.known[name].into is not None and expected[1] not in kept:
            expected = (409, "complaint_merged")
        assert self.run(self._do(name, what, who, **command)) == expected, (what, self.known[name])
        return expected[0] == 200

    @rule(text=st.sampled_from([FOOD, DANGER]))
    def raises(self, text: str) -> None:
        before = set(self.known)
        self.run(self._feed(raised(text)))
        documents = self.run(self._documents())
        (new,) = documents.keys() - before
        self.known[new] = Known(text=text)

    @rule(who=CUSTOMERS, text=st.sampled_from([FOOD, NOISE]), times=st.integers(1, 3))
    def asks_again(self, who: str, text: str, times: int) -> None:
        """A customer raises it with a token of their own, also several times at once."""

        async def all_of_them() -> list[str]:
            return list(await asyncio.gather(*(self._raise(who, text) for _ in range(times))))

        new = self.run(all_of_them())
        heads = {
            name
            for name, one in self.known.items()
            if (one.token, one.text) == (who, text) and one.state in MERGED
        }
        found = {name: self.run(self._document(name)) for name in new}
        alone = [name for name, one in found.items() if one.merged_into is None]
        assert len(alone) == (0 if heads else 1), "it is one matter, whoever was first"
        for name in alone:
            self.known[name] = Known(text=text, token=who)
        for name in found.keys() - set(alone):
            into = found[name].merged_into
            assert into in (heads or set(alone))
            self.known[name] = Known("merged", text=text, token=who, into=into)
            self.known[str(into)].merged.add(name)

    async def _raise(self, who: str, text: str) -> str:
        async with self.phone(who, "customer") as phone:
            answer = await phone.post(
                "/v1/complaints",
                json={
                    "site": SITE,
                    "text": text,
                    "contact": {"email": f"{who}@example.org"},
                },
                headers={"Idempotency-Key": f"k-{next(self._keys)}"},
            )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["complaint_id"])

    @precondition(lambda self: self.known)
    @rule(which=WHICH, to=WHICH, who=WHO)
    def merges(self, which: int, to: int, who: str) -> None:
        (name, one), (into, head) = self.some(which), self.some(to)
        if head.into is not None:
            into, head = head.into, self.known[head.into]
        fit = one.may_go_into(head) and self._same_matter(name, into)
        expected = (200, None) if fit else (409, "not_mergeable")
        if not {one.state, head.state} <= MERGED:
            expected = (409, "wrong_state")
        if self.as_expected(name, "merge", who, expected, into=self.some(to)[0]):
            self._merged(name, into)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, to=WHICH, whos=st.permutations(sorted(EMPLOYEES)))
    def merges_at_once(self, which: int, to: int, whos: list[str]) -> None:
        """One of two merges into each other happens, and never both; who claims meanwhile has what is left."""
        (name, one), (into, head) = self.some(which), self.some(to)
        fit = {one.state, head.state} <= {"triaged"}
        if not fit or not one.may_go_into(head) or not head.may_go_into(one):
            return
        if not self._same_matter(name, into):
            return

        async def all_of_them() -> list[tuple[int, Any]]:
            both = (
                self._do(name, "merge", whos[0], into=into),
                self._do(into, "merge", whos[1], into=name),
                self._do(into, "claim", whos[2]),
            )
            return list(await asyncio.gather(*both))

        first, second, claimed = self.run(all_of_them())
        assert sorted([first, second])[0] == (200, None)
        assert sorted([first, second])[1][0] == 409
        assert claimed in [(200, None), (409, "complaint_merged")]
        if claimed == (200, None):
            head.owned(whos[2])
        self._merged(*((name, into) if first == (200, None) else (into, name)))

    def _merged(self, name: str, into: str) -> None:
        self.known[name].moved("merged")
        self.known[name].into = into
        self.known[into].merged.add(name)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO)
    def splits(self, which: int, who: str) -> None:
        name, one = self.some(which)
        expected = (200, None) if one.into is not None else (409, "wrong_state")
        if self.as_expected(name, "split", who, expected):
            self._stands_alone(name)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, whos=st.lists(WHO, min_size=1, max_size=4, unique=True))
    def claims(self, which: int, whos: list[str]) -> None:
        """Also all at once: one of them has it then, and the others are told so."""
        name, one = self.some(which)

        async def all_of_them() -> list[tuple[int, Any]]:
            return list(await asyncio.gather(*(self._do(name, "claim", who) for who in whos)))

        found = self.run(all_of_them())
        if one.state not in OPEN:
            assert set(found) == {(409, "wrong_state" if one.into is None else "complaint_merged")}
            return
        free = one.owner is None or (one.state == "reopened" and not self.works(one.owner))
        if not free and (one.state != "reopened" or one.owner not in whos):
            assert set(found) == {(409, "already_claimed")}
            return
        winners = [who for who, answer in zip(whos, found, strict=True) if answer[0] == 200]
        assert len(winners) == 1
        assert sorted({*found}) in ([(200, None)], [(200, None), (409, "already_claimed")])
        assert free or one.owner == winners[0]
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
    @rule(which=WHICH, who=WHO, what=st.sampled_from(["withdraw", "unfounded", "refer"]))
    def ends(self, which: int, who: str, what: str) -> None:
        name, one = self.some(which)
        state, beside = ENDS[what]
        expected: tuple[int, str | None] = (200, None)
        if one.state not in OPEN | beside:
            expected = (409, "wrong_state")
        elif what != "refer" and one.state in OPEN and self.is_a_colleagues(one, who):
            expected = (409, "already_claimed")
        told = {"body": "transport-complaints-board"} if what == "refer" else {}
        if self.as_expected(name, what, who, expected, **told):
            one.moved(state)
            for other in sorted(one.merged):
                if what == "unfounded" or not self._same_customer(other, name):
                    self._stands_alone(other)

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
        one.helped_by(who)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO, fix=FIX)
    def asks_for_a_fix(self, which: int, who: str, fix: str) -> None:
        name, one = self.some(which)
        expected: tuple[int, str | None] = (200, None)
        if one.state not in OPEN:
            expected = (409, "wrong_state")
        elif one.fixes.get(fix) is not None:
            expected = (409, "fix_asked")
        if self.as_expected(name, "fix/ask", who, expected, fix=fix):
            one.helped_by(who)
            of = demo_policy().fixes[fix]
            assert of.department is not None
            one.fixes[fix] = who, of.department, self.clock() + of.within
            one.done.discard(fix)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO, fix=FIX)
    def fixes(self, which: int, who: str, fix: str) -> None:
        name, one = self.some(which)
        asked = one.fixes.get(fix) is not None
        expected: tuple[int, str | None] = (200, None)
        if not asked and one.state not in OPEN:
            expected = (409, "wrong_state")
        elif fix in one.done:
            expected = (409, "fix_done")
        if self.as_expected(name, "fix", who, expected, fix=fix):
            if not asked:
                one.helped_by(who)
            one.fixes[fix] = None
            one.done.add(fix)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, who=WHO, fix=FIX)
    def declines_a_fix(self, which: int, who: str, fix: str) -> None:
        name, one = self.some(which)
        asked = one.fixes.get(fix)
        may = asked is not None and (who == asked[0] or EMPLOYEES[who] == asked[1])
        expected = (200, None) if may else (409, "fix_not_asked")
        if self.as_expected(name, "fix/decline", who, expected, fix=fix):
            one.fixes[fix] = None

    @precondition(lambda self: self.known)
    @rule(which=WHICH, helped=st.sampled_from(list(Helped)))
    def is_answered(self, which: int, helped: Helped) -> None:
        name, one = self.some(which)
        answer = FeedbackReceived(
            complaint_id=name, check_id="ck-1", helped=helped, answered_at=self.clock()
        )
        done = self.run(self._done(name, one))
        self.run(self._feed(answer))
        about = one
        if one.into is not None and self._same_customer(name, one.into):
            about = self.known[one.into]
        said, stands = about.said_no, about.state in OPEN or about.into is not None
        again = helped is not Helped.YES and stands and said is not None
        if again and not any(moment > said for moment in done):
            return
        if one.into is not None:
            one = self._answered(name, one)
        asked = OPEN | {"resolution_recorded", "closed_no_response"}
        if helped is Helped.YES and one.state in asked:
            one.moved("confirmed")
        if helped is not Helped.YES and one.state in asked | REOPENED_BY_NO:
            keeper = self.keeper(one)
            one.moved("reopened")
            one.said_no = self.clock()
            one.closes_at = None
            one.done.clear()
            if keeper != one.owner:
                one.owner, one.asked = keeper, None

    async def _done(self, name: str, one: Known) -> set[datetime]:
        """When something was given, offered or done for a complaint and those that are one matter with it."""
        view = self.app.parts.settler.view()
        head = await self._document(one.into or name)
        matter = [name, one.into or name, *head.merged_ids]
        return {*await kept(matter, view, safety=False), *resolved(head)}

    def _answered(self, name: str, one: Known) -> Known:
        """What the customer of a merged complaint answers for: its head, unless that is another customer's."""
        head = self.known[str(one.into)]
        if self._same_customer(name, str(one.into)):
            return head
        self._stands_alone(name)
        return one

    def _same_matter(self, one: str, other: str) -> bool:
        """Whether two complaints are of one customer, or about the same."""
        return self.known[one].text == self.known[other].text or self._same_customer(one, other)

    def _same_customer(self, one: str, other: str) -> bool:
        """Whether the same customer raised both."""
        first, second = (self.run(self._document(name)) for name in (one, other))
        same_token = first.sender_ref is not None and first.sender_ref == second.sender_ref
        return same_token or first.customer_ref == second.customer_ref

    def _stands_alone(self, name: str) -> None:
        """A merged complaint is split from the one that it went into."""
        one = self.known[name]
        self.known[str(one.into)].merged.remove(name)
        one.into = None
        one.moved("reopened")

    def works(self, who: str) -> bool:
        """Whether the roster or a check-in says that they work now."""
        shift = ROSTER[who].shift
        rostered = shift is not None and covers(shift, ZONE, self.clock())
        return rostered or self.clock() < self.checked_in.get(who, self.clock())

    def is_a_colleagues(self, one: Known, who: str) -> bool:
        """Whether somebody else has it, who is not known to be off shift."""
        if one.owner in (None, who):
            return False
        return not self.says_shifts() or self.works(str(one.owner))

    def says_shifts(self) -> bool:
        """Whether the site says when its employees work."""
        return bool(self.checked_in) or any(one.shift is not None for one in ROSTER.values())

    def keeper(self, one: Known) -> str | None:
        """Who has a complaint that did not help."""
        there = [who for who in ROSTER if self.works(who)]
        if one.owner is None or not there or one.owner in there:
            return one.owner
        beside = {ROLES[role] for role in [ROSTER[one.owner].role] if role in ROLES}
        for departments in (SEEN_TO[one.text], beside):
            if some := [who for who in there if ROLES.get(ROSTER[who].role) in departments]:
                there = some
                break
        own = [other.owner for other in self.known.values() if other.state in OPEN]
        return min(there, key=lambda who: (own.count(who), who))

    @rule(who=WHO, hours=st.sampled_from([0, 2, 12]))
    def checks_in(self, who: str, hours: int) -> None:
        """For some hours, or out."""
        now = self.clock()
        self.checked_in[who] = until = now + timedelta(hours=hours)
        ended = ShiftEnded(employee_id=who, site=SITE, ended_at=now)
        started = ShiftStarted(employee_id=who, site=SITE, until=until, started_at=now)
        self.run(self._feed(started if hours else ended))

    @rule(minutes=st.sampled_from([55, 60, 30 * 60, 8 * 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        """The demo policy warns ten minutes before a promised time: after 55 minutes of an hour."""
        self.clock.advance(timedelta(minutes=minutes))
        self.run(self._ring())
        for one in self.known.values():
            due = one.closes_at is not None and one.closes_at <= self.clock()
            if due and one.state == "resolution_recorded":
                one.moved("closed_no_response")

    async def _ring(self) -> None:
        now_ms = int(self.clock().timestamp() * 1000)
        due = [(*member.split("|", 1), at) for member, at in await self.store.due(now_ms, 1000)]
        near = {timer_id.rpartition("/")[0] for name, timer_id, _ in due if name == "warn"}
        expected = [(name, *await self._warned(name, rings=name in near)) for name in self.known]
        for name, timer_id, at in due:
            await self.app.on_timer[str(name)](timer_id, at)
        for name, promise, warned in expected:
            assert (await self._warnings(name)).names(promise) == warned, self.known[name]

    async def _warned(self, name: str, *, rings: bool) -> tuple[Promise, bool]:
        """The promise of a complaint, and whether somebody is warned of it once its timer, if it `rings`, has fired."""
        one, view = await self._document(name), self.app.parts.settler.view()
        promise = one.promise
        assert promise is not None
        if (await self._warnings(name)).names(promise):
            return promise, True
        waits = self.known[name].state not in MERGED or self.clock() >= promise.by
        given = await view.get(KeptAt, name)
        is_near = rings and not waits
        return promise, is_near and not is_kept(
            one, promise, given, await kept(one.merged_ids, view, safety=one.safety)
        )

    async def _warnings(self, name: str) -> Warned:
        """Of which promises somebody was warned, of each once."""
        found = await self.app.parts.settler.view().get(Warned, name) or Warned()
        assert len({*found.rounds}) == len(found.rounds)
        assert len({*found.of}) == len(found.of)
        return found

    async def _documents(self) -> dict[str, Complaint]:
        found: dict[str, Complaint] = {}
        view = self.app.parts.settler.view()
        for name in (f"open/{SITE}", f"done/{SITE}"):
            page = await view.range(Complaint, name, None, 100)
            assert not found.keys() & {key for key, _ in page.documents}
            found |= dict(page.documents)
        for name, one in self.known.items():
            if one.into is not None:
                assert name not in found, "what was merged is in no list"
                found[name] = await self._document(name)
        return found

    async def _document(self, name: str) -> Complaint:
        found = await self.app.parts.settler.view().get(Complaint, name)
        assert found is not None
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
            assert one.merged_into == self.known[name].into
            assert set(one.merged_ids) == self.known[name].merged
        self.run(self._rings_once())

    async def _rings_once(self) -> None:
        """The promise of a merged complaint rings for its head; one of before, if it rings, breaks nothing."""
        for member, _ in await self.store.due(10**14, 1000):
            name, _, timer_id = member.partition("|")
            complaint_id, _, number = timer_id.rpartition("/")
            if name == "overdue" and self.known[complaint_id].into is not None:
                assert int(number) < (await self._document(complaint_id)).round

    @invariant()
    def every_fix_is_asked_for_as_the_model_says(self) -> None:
        for name, one in self.known.items():
            kept = self.run(self.app.parts.settler.view().get(Fixes, name)) or Fixes(site=SITE)
            asked = {
                fix.fix: (fix.asked_by, fix.department, fix.due_by)
                for fix in kept.fixes
                if fix.state is FixState.ASKED
            }
            assert asked == {fix: of for fix, of in one.fixes.items() if of is not None}
            assert {fix.fix for fix in kept.fixes} == one.fixes.keys()

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
        ended = {name for name, one in self.known.items() if one.into is None} - opened.keys()
        assert self.run(self._listed(who, view="done")) == ended
