"""The four services in one process over stores in memory: what unit and property tests stand on."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import OKPKey
from pydantic_core import from_json

from services.audit.app import build as build_audit
from services.audit.settings import Settings as AuditSettings
from services.compensation.app import build as build_compensation
from services.compensation.settings import Settings as CompensationSettings
from services.complaints.app import build as build_complaints
from services.complaints.settings import Settings as ComplaintsSettings
from services.complaints.triage.handlers import Triage
from services.complaints.triage.languages import Languages
from services.complaints.triage.lexicon import load as load_lexicon
from services.notifier.app import build as build_notifier
from services.notifier.channels.ports import MAIL_SERVER, Letter
from services.notifier.settings import Settings as NotifierSettings
from services.notifier.webhooks.post import Poster
from shared.contracts.compensation import PolicyTried
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.intake import ComplaintRaised, Contact, MessageChannel
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Roster
from shared.ops import roster as roster_file
from shared.ops import token
from shared.runtime import policy_file
from shared.runtime.engine.deadletters import DeadLetters
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.engine.store import Line
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.history import Part, ReadHistory
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.tail import Portion
from shared.runtime.rebuild.sources import RawEvent, event_of
from shared.runtime.service import App
from shared.testing.builders import outbox, published, record
from shared.testing.clock import Clock
from shared.testing.memory_store import MemoryStore

ROOT = Path(__file__).parents[2]
SITE = "ms-aurora"
MASTER = bytes(range(32))


@cache
def demo_policy() -> Policy:
    found = policy_file.load(ROOT / "policy" / "demo.yaml")
    assert isinstance(found, Policy)
    return found


#: What the notifier's links begin with, and the URLs that providers report to.
PUBLIC_URL = "http://test"
#: Secrets of the providers: `first` posts forms, `second` speaks JSON, `returns` is a mail relay.
FORM_SECRET = "secret-of-first"
REPORT_KEY = b"k" * 32


def providers_file(directory: Path) -> Path:
    """The operator's file of providers, in a directory of the test."""
    path, key = directory / "providers.yaml", b64encode(REPORT_KEY).decode()
    path.write_text(f"""
providers:
  first: {{wire: form, url: "https://first.invalid/", username: AC1, secret: {FORM_SECRET}}}
  second: {{wire: json, url: "https://second.invalid/", secret: b, report_secret: "whsec_{key}"}}
  returns: {{wire: relay, report_secret: "whsec_{key}"}}
""")
    return path


#: The secret of the system that raises complaints by webhook.
SOURCE_KEY = b"s" * 32


def sources_file(directory: Path) -> Path:
    """The operator's file of systems that raise complaints by webhook, in a directory of the test."""
    path, key = directory / "sources.yaml", b64encode(SOURCE_KEY).decode()
    path.write_text(f"sources: {{booking: {{sites: [{SITE}], secrets: [whsec_{key}]}}}}")
    return path


@cache
def demo_roster() -> Roster:
    found = roster_file.load(ROOT / "policy" / "roster.yaml")
    assert isinstance(found, Roster)
    return found


@cache
def triage() -> Triage:
    """Its language model and its lexicon take half a second to load and never change."""
    return Triage(Languages(), load_lexicon())


def raised(text: str = "The soup was cold and nobody came.", **changes: Any) -> ComplaintRaised:
    contact = Contact(name="Kari", email="kari@example.org")
    return ComplaintRaised(**{"site": SITE, "text": text, "contact": contact, **changes})


def state(store: MemoryStore, *, fences: bool = True) -> dict[str, Any]:
    """What a store holds, without versions: they count commits, and commits may be grouped."""
    kept = store.kept
    return {
        "documents": {
            key: found.body
            for key, found in kept.documents.items()
            if fences or not key.startswith("fence:")
        },
        "accounts": {name: amount for name, amount in kept.accounts.items() if amount},
        "timers": dict(kept.timers),
        "indexes": {name: dict(scores) for name, scores in kept.indexes.items()},
    }


def forget_answers(store: MemoryStore) -> None:
    """As after two days."""
    kept = store.kept.documents
    for key in [key for key in kept if key.startswith("answer:")]:
        del kept[key]


def _time(event: RawEvent) -> datetime:
    return datetime.fromisoformat(event.time.decode())


class Silence(Exception):
    """The letter came, and the server did not say so."""


class Postbox:
    """A `Channel` that keeps letters, or fares as it is told to, once per entry."""

    def __init__(
        self, name: str = MAIL_SERVER, channel: MessageChannel = MessageChannel.EMAIL
    ) -> None:
        self.name = name
        self.channel = channel
        self.letters: list[Letter] = []
        self.failures: list[Exception] = []

    async def send(self, letter: Letter) -> Outcome:
        match self.failures.pop(0) if self.failures else None:
            case None:
                self.letters.append(letter)
                return Delivered()
            case Silence():
                self.letters.append(letter)
                return Unknown()
            case Unavailable(reason=reason):
                return Later(reason)
            case Rejected(reason=reason):
                return Never(reason)
            case failure:
                raise failure

    async def close(self) -> None:
        """Nothing is open."""


class AllRead:
    """`News` where nothing is under way, or where as much as it is told to still is."""

    def __init__(self) -> None:
        self.behind = False

    async def read_until(self, moment: datetime) -> None:
        if self.behind:
            raise Unavailable(Reason.STREAM_BEHIND)


class YieldingStore(MemoryStore):
    """Lets others run before and after every step, as often as a script of numbers says."""

    def __init__(self, inner: MemoryStore, script: Sequence[int]) -> None:
        super().__init__(kept=inner.kept)
        self._generation = inner._generation
        self._script = list(script) or [0]
        self._at = 0

    async def _yield(self) -> None:
        self._at += 1
        for _ in range(self._script[self._at % len(self._script)]):
            await asyncio.sleep(0)

    async def read(self, keys):
        await self._yield()
        found = await super().read(keys)
        await self._yield()
        return found

    async def balances(self, accounts):
        await self._yield()
        found = await super().balances(accounts)
        await self._yield()
        return found

    async def commit(self, commit):
        await self._yield()
        return await super().commit(commit)


class Topics:
    """The topics in clear, from which nothing is gone until it is told to be, and the vault topic."""

    def __init__(self) -> None:
        self.empty = False
        self.vault: list[tuple[str, bytes]] = []

    async def gone(self, _moment: datetime) -> bool:
        return self.empty

    async def on_vault(self, prefix: str) -> list[tuple[str, bytes]]:
        return [(key, value) for key, value in self.vault if key.startswith(prefix)]


#: The services of an `Aboard`, which are also the names of its stores.
SERVED = ("complaints", "compensation", "notifier", "audit")


def settings_of_all(directory: Path) -> dict[str, Any]:
    """The settings that every service of an `Aboard` has."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
        "REDIS_URL": "redis://nowhere.invalid",
        "master_key": b64encode(MASTER).decode(),
        "jwks": directory / token.JWKS_FILE,
        "publish_wait_ms": 0,
        "webhook_sources": sources_file(directory),  # complaints alone reads it
    }


class Aboard:
    """Complaints, compensation, notifier and audit, each on its own store, with the demo policy in force.

    The stores are in memory unless others are given, which are open. Audit is given the policy alone unless it is
    `recording`: to record everything takes as long again.
    """

    #: Whether the notifier has read the topic of complaints to its end.
    complaints_read = True

    def __init__(
        self,
        directory: Path,
        policy: Policy | None = None,
        *,
        recording: bool = False,
        stores: Mapping[str, Any] | None = None,
        webhooks: Path | None = None,
        poster: Poster | None = None,
        mail_accounts: Path | None = None,
        returned_mail: Path | None = None,
        reply_address: str = "",
    ) -> None:
        self.recording = recording
        self.clock = Clock()
        self.postbox = Postbox()
        #: What customers get as text messages, where a policy has that channel.
        self.phone = Postbox("first", MessageChannel.SMS)
        self.news = AllRead()
        #: How compensation reads its topic again.
        self.past: ReadHistory = self.history
        self.topics = Topics()
        self.policy = policy or demo_policy()
        self.key: OKPKey = token.demo_key(directory)
        self.stores: dict[str, Any] = dict(stores or {name: MemoryStore() for name in SERVED})
        given = settings_of_all(directory)
        now, stores = self.clock, self.stores
        self.apps: dict[str, App] = {
            "complaints": build_complaints(
                ComplaintsSettings(**given, mail_accounts=mail_accounts),
                now=now,
                store=stores["complaints"],
                triage=triage(),
                news=self.news,
                gone=self.topics.gone,
                on_vault=self.topics.on_vault,
                own_topic=self.own_topic,
            ),
            "compensation": build_compensation(
                CompensationSettings(**given),
                now=now,
                store=stores["compensation"],
                history=self._past,
            ),
            "notifier": build_notifier(
                NotifierSettings(
                    **given,
                    mailboxes=ROOT / "policy" / "mailboxes.yaml",
                    providers=providers_file(directory),
                    public_url=PUBLIC_URL,
                    webhooks=webhooks,
                    mail_accounts=returned_mail,
                    reply_address=reply_address,
                ),
                poster=poster,
                now=now,
                store=stores["notifier"],
                channels=[self.postbox, self.phone],
                complaints_read=self._complaints_read,
            ),
            "audit": build_audit(AuditSettings(**given), now=now, store=stores["audit"]),
        }
        for name, app in self.apps.items():
            parts = app.parts
            parts.settler.dead_letters = DeadLetters(
                app.inboxes, partial(self._buried, name), parts.vault.open_dead
            )
        self._fed: dict[tuple[str, str, str], int] = {}
        #: Every answer of a face, with the service it is of.
        self.heard: list[tuple[str, httpx.Response]] = []

    async def begin(self) -> Aboard:
        for store in self.stores.values():
            await store.begin_generation("first", 0)
        head = PolicyPublished(site=self.policy.site, version=1, policy=self.policy)
        for name in self.apps:
            await self.feed(name, PolicyPublished.TOPIC, [record(head, 0)])
        crew = roster_file.listed(demo_roster(), self.clock())
        for name in self.apps:
            await self.feed(
                name,
                EmployeeListed.TOPIC,
                [record(listed, offset) for offset, listed in enumerate(crew)],
            )
        return self

    async def feed(
        self, name: str, topic: str, records: Sequence[Record], partition: int = 0
    ) -> None:
        """Give one service records of a topic as one batch."""
        if name == "audit" and not self.recording and topic != PolicyPublished.TOPIC:
            return
        for inbox in self.apps[name].inboxes:
            if inbox.topic == topic and records:
                await self.apps[name].parts.settler.settle_records(inbox, partition, records)

    async def carry(self) -> None:
        """Be the broker: every service gets what the others published, until nothing is new.

        Each producer has a partition of its own, as offsets are its own.
        """
        moved = True
        while moved:
            moved = False
            for name, app in self.apps.items():
                for inbox in app.inboxes if name != "audit" or self.recording else ():
                    for number, (producer, store) in enumerate(self.stores.items(), start=1):
                        if producer in (name, "audit"):  # nobody reads the record here
                            continue
                        records = await published(store, inbox.topic)
                        done = self._fed.get((name, inbox.topic, producer), 0)
                        if len(records) > done:
                            await self.feed(name, inbox.topic, records[done:], number)
                            self._fed[name, inbox.topic, producer] = len(records)
                            moved = True

    async def _complaints_read(self) -> bool:
        return self.complaints_read

    def _past(self, since: datetime, records_max: int) -> AsyncIterator[Part]:
        return self.past(since, records_max)

    async def history(self, since: datetime, records_max: int) -> AsyncIterator[Part]:
        """What compensation published since then, as its topic would tell it."""
        records = await published(self.stores["compensation"], PolicyTried.TOPIC)
        events = [
            event for record in records if (event := event_of(record)) and _time(event) >= since
        ]
        if len(events) > records_max:
            raise Rejected(Reason.HISTORY_TOO_LONG)
        for first in range(0, len(events), 50):
            yield Part(events[first : first + 50], min(first + 50, len(events)), len(events))

    async def own_topic(self, back: int) -> AsyncGenerator[Portion]:
        """What complaints published, as its topic would tell it."""
        records = await published(self.stores["complaints"], ComplaintReceived.TOPIC)
        done = max(0, len(records) - back)
        whole = frozenset({0} if done == 0 else ())
        while True:
            new = [(0, one.value or b"") for one in records[done:]]
            yield Portion(new, 1, whole, caught_up=True)
            done = len(records)
            await asyncio.sleep(0.01)
            records = await published(self.stores["complaints"], ComplaintReceived.TOPIC)

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Complaints tells those who follow what changes."""
        changes = asyncio.create_task(self.apps["complaints"].beside_api["changes"]())
        yield
        changes.cancel()
        await asyncio.gather(changes, return_exceptions=True)

    async def ring(self, service: str = "notifier") -> None:
        """Ring every timer of a service that is due now, once."""
        now_ms = int(self.clock().timestamp() * 1000)
        for member, due in await self.stores[service].due(now_ms, 1000):
            name, _, timer_id = member.partition("|")
            await self.apps[service].on_timer[name](timer_id, due)

    async def raise_complaint(self, offset: int = 0, **changes: Any) -> str:
        """A complaint from another system, carried everywhere; its id."""
        await self.feed("complaints", ComplaintRaised.TOPIC, [record(raised(**changes), offset)])
        await self.carry()
        fact = [fact for fact in await self.facts("complaints") if "complaint_id" in fact][-1]
        return str(fact["complaint_id"])

    async def events(self, name: str) -> list[dict[str, Any]]:
        return [
            from_json(line.value) for line in await outbox(self.stores[name]) if not line.headers
        ]

    async def facts(self, name: str) -> list[dict[str, Any]]:
        return [{"type": event["type"], **event["data"]} for event in await self.events(name)]

    async def types(self, name: str) -> list[str]:
        """The facts a service published, short: `complaint.received`."""
        return [
            event["type"].removeprefix("recovery.").removesuffix(".v1")
            for event in await self.events(name)
        ]

    async def dead(self, name: str) -> list[Line]:
        return [line for line in await outbox(self.stores[name]) if line.headers]

    async def _buried(self, name: str, _topic: str, _partition: int, offset: int) -> Record | None:
        """A service's dead letter, by its number among them."""
        letters = await self.dead(name)
        if offset >= len(letters):
            return None
        line = letters[offset]
        return Record(offset, line.value, [(key, text.encode()) for key, text in line.headers])

    def bearer(self, subject: str = "e-ingrid", kind: Any = "employee", **changes: Any) -> str:
        site = changes.pop("site", SITE)
        now = changes.pop("now", self.clock())
        return token.sign(self.key, subject=subject, kind=kind, site=site, now=now, **changes)

    def http(self, name: str, bearer: str | None = None) -> httpx.AsyncClient:
        """A client of one service's face; an employee's, unless a token (or "") is given."""
        headers = {} if bearer == "" else {"Authorization": f"Bearer {bearer or self.bearer()}"}

        async def hear(answer: httpx.Response) -> None:
            self.heard.append((name, answer))

        return httpx.AsyncClient(
            event_hooks={"response": [hear]},
            transport=httpx.ASGITransport(self.apps[name].api, raise_app_exceptions=False),
            base_url="http://test",
            headers=headers,
        )

    async def give(
        self, complaint_id: str, item: str, key: str, employee: str = "e-ingrid", **more
    ):
        wish = {"complaint_id": complaint_id, "item": item, "reason": "food", **more}
        return await self.post("checks", key, wish, self.bearer(employee))

    async def post(self, path: str, key: str, command: Any = None, bearer: str | None = None):
        """One write to compensation."""
        async with self.http("compensation", bearer) as phone:
            return await phone.post(f"/v1/{path}", json=command, headers={"Idempotency-Key": key})

    async def get(self, path: str, bearer: str | None = None, **headers: str):
        """One read from compensation."""
        async with self.http("compensation", bearer) as phone:
            return await phone.get(f"/v1/{path}", headers=headers)

    def later(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))
