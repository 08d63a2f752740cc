"""python -m bench.peer: the same rules, facts and answers on PostgreSQL, one transaction per request.

The same face, commands and decision: `SELECT … FOR UPDATE` on the rows of every scope in a fixed order,
then one statement with everything that the decision causes, then the commit. Statements are prepared,
and rows are few and found by their keys. A transaction stores what a commit of ours stores: the answer,
the check under its id, its code, its customer and its employee's day, every account charged and counted,
the timer, the outbox. It has no relay to Kafka.
"""

# Annotations are evaluated here and not postponed: they name dependencies made in `build`.

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from inspect import Parameter
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from fastapi import FastAPI, Request, Response

from bench.postgres import SCHEMA
from services.compensation.app import DOMAIN
from services.compensation.authority.rules import Exceeded, Headroom, limits_of, stretch_of
from services.compensation.authority.windows import windows_of
from services.compensation.cases.rules import Case
from services.compensation.checks.api import Answers
from services.compensation.checks.codes import codes_of
from services.compensation.checks.handlers import IssueCheck
from services.compensation.checks.rules import CheckRequest, grant, refuse
from services.compensation.options.rules import rights
from services.compensation.settings import Settings
from services.compensation.titles import Titles
from services.compensation.usage.rules import TALLIES, tally
from shared.contracts.compensation import CheckIssued, Option, Safety
from shared.contracts.event import encode, fingerprint, format_time
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import JSON, NO_STORE, PROBLEM, body_of
from shared.runtime.http.auth import EMPLOYEE, Authenticator, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.routes import KEY, NO_BODY, Ask, Routes
from shared.runtime.http.server import http_server
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import KeyRing
from shared.runtime.privacy.links import FEEDBACK, Tokens, check_link
from shared.runtime.privacy.seal import DataKey, Vault
from shared.runtime.service import HTTP_STOP_S, Runtime, announce, settle_memory, utc_now

#: The best number on two processors with 64 requests at once: more wait for each other, fewer for the disk.
CONNECTIONS = 6

SITUATION = """
SELECT c.customer_ref, c.site, c.language, c.category, c.severity, c.safety, c.opened_at, c.checks,
       c.given_by, c.given_at, e.role, e.site AS employee_site, p.version, k.wrapped,
       a.request, a.status, a.body
FROM cases c
LEFT JOIN employees e ON e.id = $2 AND e.active
LEFT JOIN policies p ON p.site = c.site
LEFT JOIN customers k ON k.ref = c.customer_ref
LEFT JOIN answers a ON a.name = $3
WHERE c.id = $1
FOR UPDATE OF c
"""
LOCK = "SELECT name, balance FROM accounts WHERE name = ANY($1) ORDER BY name FOR UPDATE"
OPEN = """
INSERT INTO accounts (name, balance) SELECT name, 0 FROM unnest($1::text[]) AS opened (name)
ORDER BY name ON CONFLICT DO NOTHING
"""
GIVE = """
WITH answer AS (
    INSERT INTO answers (name, request, status, body) VALUES ($1, $2, 201, $3)
), given AS (
    INSERT INTO checks (id, complaint_id, code_hash, customer_ref, employee_id, day, body)
    VALUES ($4, $5, $6, $7, $8, $9, $10)
), told AS (
    INSERT INTO outbox (topic, key, value) SELECT * FROM unnest($11::text[], $12::text[], $13::bytea[])
), known AS (
    UPDATE cases SET checks = checks + 1, given_by = $8, given_at = $14 WHERE id = $5
), later AS (
    INSERT INTO timers (name, due) SELECT * FROM unnest($15::text[], $16::bigint[])
)
UPDATE accounts SET balance = balance + amount
FROM unnest($17::text[], $18::bigint[]) AS charged (account, amount) WHERE name = account
"""
REFUSE = """
WITH answer AS (INSERT INTO answers (name, request, status, body) VALUES ($1, $2, 409, $3))
INSERT INTO outbox (topic, key, value) SELECT * FROM unnest($4::text[], $5::text[], $6::bytea[])
"""
POLICY = "SELECT body FROM policies WHERE site = $1 AND version = $2"


class Known(Policies):
    """The policies that the peer has read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[tuple[str, int], Policy] = {}

    async def of(self, site: str, version: int, view: View) -> Policy:  # noqa: ARG002 - a policy is here already
        return self.read[site, version]


class Peer:
    """The rows, and the decision over them."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, view: Callable[[], View]) -> None:
        self._pool = pool
        self._vault = vault
        self._view = view
        self._codes = codes_of(vault)
        answers = Tokens(vault.derive(FEEDBACK), FEEDBACK, utc_now)
        known = Known()
        self._policies = known.read
        self._answer = Answers(
            self._codes, partial(check_link, answers, "http://127.0.0.1"), Titles(known)
        )
        self._keys: dict[str, DataKey] = {}

    async def issue_check(self, command: IssueCheck, principal: Principal, key: str) -> Response:
        """Give it if it fits; raises Rejected."""
        try:
            return await self._issue(command, principal, key)
        # The same request was sent twice at once, and the other one stored the answer.
        except asyncpg.UniqueViolationError:
            return await self._issue(command, principal, key)

    async def _issue(self, command: IssueCheck, principal: Principal, key: str) -> Response:
        """One transaction."""
        digest = sha256(command.model_dump_json().encode()).hexdigest()
        name = fingerprint("request", f"{principal.kind}/{principal.subject}", "checks", key)
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(
                SITUATION, command.complaint_id, principal.subject, name
            )
            if row is None or row["site"] != principal.site or row["version"] is None:
                raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/complaint_id",))
            if row["request"] is not None:
                if row["request"] != digest:
                    raise Rejected(Reason.IDEMPOTENCY_KEY_REUSED)
                return response(row["status"], row["body"])
            if row["role"] is None or row["employee_site"] != principal.site:
                raise Rejected(Reason.UNKNOWN_EMPLOYEE)
            policy = await self._policy(row["site"], row["version"], connection)
            now = utc_now()
            decision = await self._decide(command, principal, name, row, policy, now, connection)
            fact = decision.facts[-1]
            body = await self._answer(fact, Ask(principal, self._view()))
            status, content = 201 if isinstance(fact, CheckIssued) else 409, body_of(body)
            topics = [one.TOPIC for one in decision.facts]
            keys = [one.key() for one in decision.facts]
            lines = events(decision, f"http/{name}/{digest}", name, now)
            if isinstance(fact, CheckIssued):
                postings, timers = list(DOMAIN.postings(fact)), list(DOMAIN.timers(fact))
                await connection.execute(
                    GIVE, name, digest, content, fact.check_id, fact.complaint_id, fact.code_hash,
                    fact.customer_ref, fact.employee_id, fact.day, fact.written(),
                    topics, keys, lines, now,
                    [f"{timer.name}|{timer.id}" for timer in timers],
                    [timer.due_ms for timer in timers],
                    [posting.account for posting in postings],
                    [posting.amount_minor for posting in postings],
                )  # fmt: skip
            else:
                await connection.execute(REFUSE, name, digest, content, topics, keys, lines)
        return response(status, content)

    async def _decide(
        self,
        command: IssueCheck,
        principal: Principal,
        name: str,
        row: Mapping[str, Any],
        policy: Policy,
        now: datetime,
        connection: asyncpg.Connection,
    ) -> Decision:
        """Lock the rows of all scopes and decide by the rules; raises Rejected."""
        assert command.complaint_id is not None
        option = policy.option(command.item)
        if option is None:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        given_at: datetime | None = row["given_at"]
        apart: timedelta = policy.limits.complaint.apart
        lately = given_at is not None and now - given_at < apart
        if lately and row["given_by"] != principal.subject and not command.again:
            raise Rejected(Reason.ALREADY_COMPENSATED)
        authority, windows = policy.authority_of(row["role"]), windows_of(policy, now)
        limits = limits_of(
            policy,
            authority,
            windows,
            site=policy.site,
            employee_id=principal.subject,
            customer_ref=row["customer_ref"],
            complaint_id=command.complaint_id,
        )
        stretch = stretch_of(policy, windows, principal.subject)
        rule = policy.authority.stretch
        accounts = [limit.account for limit in (*limits, stretch) if limit is not None]
        accounts += [tally(policy.site, windows.day.id, what) for what in TALLIES]
        room = Headroom(
            per_check=authority.per_check,
            limits=limits,
            balances=await locked(accounts, connection),
            stretch=stretch,
            stretch_percent=rule.percent if rule is not None else 0,
        )
        case = case_of(row)
        wish = wish_of(command, case, policy, option, windows.day.id, f"ck-{name}", principal)
        code = self._codes.code(wish.check_id)
        decided = room.decide(wish.option.cost_minor)
        if isinstance(decided, Exceeded):
            return refuse(wish, policy, row["version"], room, decided, now)
        return grant(
            wish,
            case,
            policy,
            row["version"],
            room,
            decided,
            now,
            code=KeyRing([self._key(case.customer_ref, row["wrapped"])]).seal("code", code),
            code_hash=self._codes.hash(code),
        )

    async def _policy(self, site: str, version: int, connection: asyncpg.Connection) -> Policy:
        """A version, parsed once."""
        policy = self._policies.get((site, version))
        if policy is None:
            body = await connection.fetchval(POLICY, site, version)
            policy = self._policies[site, version] = Policy.model_validate_json(body)
        return policy

    def _key(self, customer_ref: str, wrapped: str) -> DataKey:
        """A customer's key, unwrapped once."""
        key = self._keys.get(wrapped)
        if key is None:
            key = self._keys[wrapped] = self._vault.unwrap(customer_ref, wrapped)
        return key


def case_of(row: Mapping[str, Any]) -> Case:
    """What is known of the complaint."""
    return Case(
        customer_ref=row["customer_ref"],
        site=row["site"],
        language=row["language"],
        category=row["category"],
        severity=row["severity"],
        safety=row["safety"],
        opened_at=row["opened_at"],
        check_ids=("earlier",) if row["checks"] else (),
    )


def wish_of(
    command: IssueCheck,
    case: Case,
    policy: Policy,
    option: Option,
    day: str,
    check_id: str,
    principal: Principal,
) -> CheckRequest:
    """What is asked for, as the rules take it."""
    assert command.complaint_id is not None
    return CheckRequest(
        check_id=check_id,
        complaint_id=command.complaint_id,
        customer_ref=case.customer_ref,
        employee_id=principal.subject,
        site=policy.site,
        option=option,
        reason=command.reason,
        severity=case.severity,
        language=case.language,
        day=day,
        basis=command.basis,
        **rights(policy, command.reason, case.service, case.language),
        consent=command.consent,
        safety=command.safety or (Safety.OTHER if case.safety else None),
    )


async def locked(accounts: list[str], connection: asyncpg.Connection) -> dict[str, int]:
    """Lock accounts until the transaction ends, and return their balances; missing accounts are opened."""
    rows = await connection.fetch(LOCK, accounts)
    if len(rows) < len(accounts):  # the first check of a window
        await connection.execute(OPEN, accounts)
        rows = await connection.fetch(LOCK, accounts)
    return {row["name"]: row["balance"] for row in rows}


def events(decision: Decision, cause: str, name: str, now: datetime) -> list[bytes]:
    """The facts as the outbox holds them."""
    time = format_time(now)

    def line(ordinal: int, fact: Fact) -> bytes:
        return encode(
            fact,
            source="/peer",
            event_id=fingerprint("fact", cause, fact.TYPE, str(ordinal)),
            time=time,
            correlation=name,
            causation=name,
            cause=cause,
        )

    return [line(ordinal, fact) for ordinal, fact in enumerate(decision.facts)]


def response(status: int, content: bytes) -> Response:
    """An answer, first or again."""
    return Response(content, status, NO_STORE, PROBLEM if status >= 400 else JSON)


def build(settings: Settings, pool: asyncpg.Pool) -> FastAPI:
    """The one route, with the face of our services."""

    async def ready() -> Mapping[str, bool]:
        return {"database": bool(await pool.fetchval("SELECT 1"))}

    authenticator = Authenticator(
        partial(Path(settings.jwks).read_text, encoding="utf-8"),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        now=utc_now,
    )
    parts = Runtime(settings, DOMAIN, now=utc_now)
    face = Face(
        parts.settler,
        authenticator,
        owner="peer",
        secret=parts.vault.derive("request"),
        publish_wait_ms=0,
        ready=ready,
    )
    peer = Peer(pool, parts.vault, face.view)
    to = Routes(face)

    async def issue_check(
        _: Request, principal: Principal, key: str, command: IssueCheck
    ) -> Response:
        """Give a check."""
        return await peer.issue_check(command, principal, key.strip('"'))

    body = NO_BODY.replace(annotation=IssueCheck, default=Parameter.empty)
    taken = {"key": KEY, "command": body}
    to.respond(issue_check, taken, EMPLOYEE, path="/v1/checks", method="POST", like=issue_check)
    return face.api("peer", "The same on PostgreSQL.", to)


async def keep(_connection: asyncpg.Connection) -> None:
    """Return a connection to the pool without a reset: no statement here leaves session state."""


async def serve() -> None:
    """Serve until SIGTERM, as a service does."""
    settings = Settings()
    async with asyncpg.create_pool(
        os.environ["BENCH_DATABASE_URL"],
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        reset=keep,
        server_settings={"search_path": SCHEMA, "synchronous_commit": "on"},
    ) as pool:
        server = http_server(build(settings, pool), stop_s=HTTP_STOP_S)
        listening = socket.create_server((settings.host, 0), backlog=2048)
        announce("peer", [f"http://{settings.host}:{listening.getsockname()[1]}"])

        def stop() -> None:
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await server.serve(sockets=[listening])


if __name__ == "__main__":
    settle_memory()
    uvloop.run(serve())
