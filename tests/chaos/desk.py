"""Employees' phones, tills and customers over HTTP: each request is retried under its key until it is answered."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx

from shared.ops import token
from tests.chaos.diary import CANARY, Asked, Diary
from tests.chaos.publisher import SITE, TEXTS
from tests.chaos.world import World

EMPLOYEES = ("e-ingrid", "e-jonas", "e-sofia", "e-lars")
TILLS = ("cinema", "sky-bar", "taxfree")
REASONS = ("food", "delay", "noise", "cleanliness", "staff", "facilities")
ITEMS = (
    "cinema", "onboard-credit/5000", "onboard-credit/10000", "taxfree-card/20000", "bar-discount/10",
    "dinner-for-two", "sincere-words", "taxfree-card/100000",
)  # fmt: skip
TIMEOUT_S = 4.0
RETRY_S = 0.15
#: Time to retry a request; a world that does not answer by then has not recovered.
ANSWER_S = 200.0
#: Compensation reads complaints from a topic; a request before that is answered 404.
HEARD_AFTER_S = 3.0
REMEMBERED = 200
NOT_NOW = (429, 503)


@dataclass
class Known:
    """What the drivers share; each list is bounded and drops its oldest entries."""

    complaints: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    checks: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    offers: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    holds: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    incidents: deque[str] = field(default_factory=lambda: deque(maxlen=8))
    heard: set[str] = field(default_factory=set)


class Caller:
    """Sends a request until it is answered, to any living worker."""

    def __init__(
        self, world: World, diary: Diary, random: Random, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._world = world
        self._diary = diary
        self._random = random
        self._tokens: dict[tuple[str, str], str] = {}
        self._client = httpx.Client(timeout=timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def bearer(self, kind: Any, subject: str) -> str:
        """The token of an employee or till of our site."""
        if (kind, subject) not in self._tokens:
            self._tokens[kind, subject] = token.sign(
                self._world.key, subject=subject, kind=kind, site=SITE, now=datetime.now(UTC)
            )
        return self._tokens[kind, subject]

    def ask(self, asked: Asked, until: float | None = None) -> tuple[int, Any] | None:
        """The final answer, recorded with its request; None if none came in time. Blocks."""
        deadline = until or time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            urls = self._world.urls(asked.service)
            if not urls:
                time.sleep(RETRY_S)
                continue
            try:
                answer = self._post(self._random.choice(urls), asked)
            except httpx.ConnectError:
                asked.unreached += 1
                time.sleep(RETRY_S)
                continue
            except httpx.HTTPError:
                asked.unheard += 1
                continue
            if answer.status_code in NOT_NOW:
                asked.not_now += 1
                time.sleep(RETRY_S)
                continue
            if answer.status_code >= 500:
                asked.unheard += 1
                self._diary.defects[f"{asked.path} answered {answer.status_code}"] += 1
                time.sleep(RETRY_S)
                continue
            found = (answer.status_code, _content(answer))
            asked.answers.append(found)
            return found
        return None

    def _post(self, url: str, asked: Asked) -> httpx.Response:
        if asked.form:
            return self._client.post(url + asked.path, data=asked.body or {})
        kind, _, subject = asked.who.partition(" ")
        headers = {"Idempotency-Key": asked.key} if asked.key else {}
        if kind != "customer":
            headers["Authorization"] = f"Bearer {self.bearer(kind, subject)}"
        return self._client.post(url + asked.path, json=asked.body, headers=headers)


def _content(answer: httpx.Response) -> Any:
    if "json" in answer.headers.get("content-type", ""):
        return answer.json()
    return answer.text if answer.status_code >= 400 else ""


class Desk:
    """One driver: performs random actions by its own seed until it is told to stop."""

    def __init__(
        self,
        world: World,
        diary: Diary,
        known: Known,
        random: Random,
        name: str,
        pause_s: float,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._world = world
        self._diary = diary
        self._known = known
        self._random = random
        self._name = name
        self._pause_s = pause_s
        self._count = 0
        self._caller = Caller(world, diary, random, timeout_s)
        self._acts: Mapping[Callable[[], None], int] = {
            self._complain: 6,
            self._give: 8,
            self._on_the_spot: 3,
            self._offer: 4,
            self._choose: 4,
            self._reserve: 6,
            self._finish: 5,
            self._void: 2,
            self._suspend: 1,
            self._incident: 1,
            self._answer: 3,
            self._ask_again: 2,
        }

    def run(self, stop: threading.Event) -> None:
        """Act until told to stop; the last action is finished. Blocks."""
        acts, weights = list(self._acts), list(self._acts.values())
        try:
            while not stop.wait(self._pause_s * self._random.uniform(0.3, 1.7)):
                self._random.choices(acts, weights)[0]()
        finally:
            self._caller.close()

    def _ask(
        self,
        service: str,
        who: str,
        path: str,
        body: dict[str, Any] | None,
        *,
        about: str = "",
        form: bool = False,
        key: bool = True,
    ) -> tuple[int, Any]:
        self._count += 1
        name = f"{self._name}-{self._count}" if key else ""
        asked = Asked(service, who, path, name, body, about=about, form=form)
        self._diary.asked.append(asked)
        return self._caller.ask(asked) or (0, None)

    def _employee(self) -> str:
        return f"employee {self._random.choice(EMPLOYEES)}"

    def _contact(self) -> dict[str, str]:
        return {
            "name": f"Kim {CANARY}",
            "email": f"desk-{self._name}-{self._count}@{CANARY}.example",
        }

    def _complaint(self) -> str | None:
        now = time.monotonic()
        ripe = [name for at, name in list(self._known.complaints) if now - at > HEARD_AFTER_S]
        return self._random.choice(ripe) if ripe else None

    def _pick(self, found: deque[Any]) -> Any:
        some = list(found)
        return self._random.choice(some) if some else None

    # ---- what is done --------------------------------------------------------------------------

    def _complain(self) -> None:
        body: dict[str, Any] = {"site": SITE, "text": f"{self._random.choice(TEXTS)} {CANARY}"}
        if self._random.random() < 0.7:
            body["customer"] = f"{CANARY}-desk-{self._random.randrange(300)}"
        if self._random.random() < 0.8:
            body["contact"] = self._contact()
        status, answer = self._ask("complaints", self._employee(), "/v1/complaints", body)
        if status == 201:
            self._known.complaints.append((time.monotonic(), answer["complaint_id"]))

    def _give(self) -> None:
        complaint = self._complaint()
        if complaint is None:
            return
        body = {
            "complaint_id": complaint,
            "item": self._random.choice(ITEMS),
            "reason": self._random.choice(REASONS),
            "again": self._random.random() < 0.8,
        }
        self._issue(body)

    def _on_the_spot(self) -> None:
        spot: dict[str, Any] = {"text": f"{self._random.choice(TEXTS)} {CANARY}"}
        if self._random.random() < 0.7:
            spot["customer"] = f"{CANARY}-desk-{self._random.randrange(300)}"
        if self._random.random() < 0.7:
            spot["contact"] = self._contact()
        item, reason = self._random.choice(ITEMS), self._random.choice(REASONS)
        self._issue({"on_the_spot": spot, "item": item, "reason": reason})

    def _issue(self, body: dict[str, Any]) -> None:
        status, answer = self._ask("compensation", self._employee(), "/v1/checks", body)
        if status != 201:
            return
        self._known.checks.append(answer)
        if answer.get("explain_by") and self._random.random() < 0.7:
            path = f"/v1/checks/{answer['check_id']}/explain"
            who = self._diary_who(answer)
            self._ask("compensation", who, path, {"explanation": f"It was due. {CANARY}"})

    def _diary_who(self, answer: dict[str, Any]) -> str:
        """The employee who gave the check: only they may explain it."""
        for asked in reversed(self._diary.asked):
            if asked.answers and asked.answers[-1][1] is answer:
                return asked.who
        return self._employee()

    def _offer(self) -> None:
        complaint = self._complaint()
        if complaint is None:
            return
        body = {
            "complaint_id": complaint,
            "items": self._random.sample(ITEMS, self._random.choice((2, 3))),
            "reason": self._random.choice(REASONS),
            "again": True,
        }
        status, answer = self._ask("compensation", self._employee(), "/v1/offers", body)
        if status == 201:
            self._known.offers.append(answer)

    def _choose(self) -> None:
        """Choose on the employee's screen or by the customer's link; one driver chooses from an offer."""
        try:
            offer = self._known.offers.popleft()
        except IndexError:
            return
        item, about = self._random.choice(offer["options"])["item"], offer["offer_id"]
        if self._random.random() < 0.5:
            path = f"/v1/offers/{about}/choice"
            status, answer = self._ask(
                "compensation", self._employee(), path, {"item": item}, about=about
            )
            if status == 201:
                self._known.checks.append(answer)
            return
        path = urlsplit(offer["link"]).path
        self._ask(
            "compensation", "customer", path, {"item": item}, about=about, form=True, key=False
        )

    def _reserve(self) -> None:
        check = self._pick(self._known.checks)
        if check is None or not check.get("code"):
            return
        body: dict[str, Any] = {"code": check["code"], "capture": self._random.random() < 0.3}
        if self._random.random() < 0.6 and check["value_minor"] > 100:
            body["amount_minor"] = self._random.randrange(1, check["value_minor"] + 100)
        till = f"till {self._random.choice(TILLS)}"
        status, answer = self._ask("compensation", till, "/v1/redemptions", body)
        if status == 200:
            self._known.holds.append((till, answer["redemption_id"]))

    def _finish(self) -> None:
        hold = self._pick(self._known.holds)
        if hold is None:
            return
        till, name = hold
        what = self._random.choice(("capture", "capture", "cancel", "rollback"))
        body = {} if what != "capture" or self._random.random() < 0.7 else {"amount_minor": 50}
        self._ask("compensation", till, f"/v1/redemptions/{name}/{what}", body)

    def _void(self) -> None:
        if check := self._pick(self._known.checks):
            self._ask("compensation", self._employee(), f"/v1/checks/{check['check_id']}/void", {})

    def _suspend(self) -> None:
        if check := self._pick(self._known.checks):
            who, path = self._employee(), f"/v1/checks/{check['check_id']}"
            self._ask("compensation", who, f"{path}/suspend", {})
            self._ask("compensation", who, f"{path}/resume", {})

    def _incident(self) -> None:
        """Open an incident, give to all, and sometimes close it."""
        who, reason = self._employee(), self._random.choice(REASONS)
        status, answer = self._ask("compensation", who, "/v1/incidents", {"reason": reason})
        if status == 201:
            self._known.incidents.append(answer["incident_id"])
        incident = self._pick(self._known.incidents)
        if incident is None:
            return
        what = "close" if self._random.random() < 0.3 else "give"
        self._ask("compensation", who, f"/v1/incidents/{incident}/{what}", {})

    def _answer(self) -> None:
        """A customer reads a letter and says whether it helped."""
        letters = self._world.mailbox.letters[-REMEMBERED:]
        fresh = [one for one in letters if one.message_id not in self._known.heard]
        if not fresh:
            return
        letter = self._random.choice(fresh)
        self._known.heard.add(letter.message_id)
        found = re.search(r"https?://[^/\s]+(/f/\S+)", letter.body)
        if found:
            path = f"{found[1]}/{self._random.choice(('yes', 'yes', 'no'))}"
            self._ask("notifier", "customer", path, None, about=letter.message_id, key=False)

    def _ask_again(self) -> None:
        """Repeat a request under its key: the answer must be the same."""
        done = [one for one in self._diary.asked[-100:] if one.answers and one.key]
        if done:
            self._caller.ask(self._random.choice(done))


def ask_all_again(world: World, diary: Diary, random: Random, most: int = 300) -> None:
    """In the healed world, repeat requests with an unknown fate and some accepted ones. Blocks."""
    caller = Caller(world, diary, random)
    doubtful = [one for one in diary.asked if not one.accepted and (one.unheard or not one.answers)]
    accepted = [one for one in diary.asked if one.accepted]
    try:
        for one in (*doubtful, *random.sample(accepted, min(most, len(accepted)))):
            caller.ask(one)
    finally:
        caller.close()
