"""A PostgreSQL for the peer: the one DATABASE_URL names, or the distribution's, started and ended here.

Bench only. Everything the peer stores lies in one schema, which is dropped at the end.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import uvloop

from bench import world
from bench.meter import Processes, with_children
from devstack import pids
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.vault import CustomerKeyCreated

SCHEMA = "service_check_bench"
BINARIES = Path("/usr/lib/postgresql")
#: As durable as our Redis: every commit is on disk before its answer. Memory for all rows, and no
#: checkpoint during a turn.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "max_connections": "100",
    "listen_addresses": "",
    "jit": "off",
}
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0
#: The server's folder if it runs as another user, who cannot enter ours. On disk, like ours.
OTHERS_PLACE = Path("/var/tmp")
#: A socket's path ends before the 108th byte, and the server adds a name of 20.
SOCKET_PATH_MAX = 85
TABLES = """
CREATE TABLE policies (site text PRIMARY KEY, version integer NOT NULL, body text NOT NULL);
CREATE TABLE employees (
    id text PRIMARY KEY, site text NOT NULL, role text NOT NULL, active boolean NOT NULL
);
CREATE TABLE customers (ref text PRIMARY KEY, wrapped text NOT NULL);
CREATE TABLE cases (
    id text PRIMARY KEY, customer_ref text NOT NULL, site text NOT NULL, language text NOT NULL,
    category text NOT NULL, severity text NOT NULL, safety boolean NOT NULL,
    opened_at timestamptz NOT NULL, checks integer NOT NULL DEFAULT 0,
    given_by text, given_at timestamptz
) WITH (fillfactor = 70);
CREATE TABLE accounts (name text PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 70);
CREATE TABLE answers (name text PRIMARY KEY, request text NOT NULL, status integer, body bytea);
CREATE TABLE checks (
    id text PRIMARY KEY, complaint_id text NOT NULL, code_hash text NOT NULL UNIQUE,
    customer_ref text NOT NULL, employee_id text NOT NULL, day text NOT NULL, body text NOT NULL
);
CREATE INDEX ON checks (customer_ref);
CREATE INDEX ON checks (employee_id, day);
CREATE TABLE timers (name text PRIMARY KEY, due bigint NOT NULL);
CREATE INDEX ON timers (due);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL, key text NOT NULL, value bytea NOT NULL
);
"""


class Absent(Exception):
    """No PostgreSQL was found; the text says where it was looked for."""


@dataclass(frozen=True)
class Server:
    """A server's address, and its first process if we started it."""

    address: str
    pid: int | None = None

    def processes(self) -> Processes:
        """The server's processes for a meter, one per connection among them; nothing if they are not ours."""
        return {} if self.pid is None else {"postgres": with_children(self.pid)}


@contextmanager
def running() -> Iterator[Server]:
    """A server with empty tables, for a `with` block. Blocks.

    Raises Absent.
    """
    given = os.environ.get("DATABASE_URL")
    if given:
        with _tables(given):
            yield Server(given)
        return
    with _started() as server, _tables(server.address):
        yield server


@contextmanager
def _tables(address: str) -> Iterator[None]:
    uvloop.run(_execute(address, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
    uvloop.run(_execute(address, f"CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}; {TABLES}"))
    try:
        yield
    finally:
        uvloop.run(_execute(address, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


async def _execute(address: str, sql: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@contextmanager
def _started() -> Iterator[Server]:
    """The distribution's server in a folder of its own, which is removed at the end."""
    binaries = _binaries()
    run = world.RUN / "bench"
    pids.private_folder(run)
    place = run if os.geteuid() else OTHERS_PLACE
    folder = Path(tempfile.mkdtemp(prefix="service-check-pg-", dir=place))
    process: pids.Process | None = None
    try:
        if len(str(folder)) > SOCKET_PATH_MAX:
            raise Absent(f"{folder} is too long a path for a socket")
        become = _other_user(folder)
        data, log = folder / "data", folder / "postgres.log"
        made = subprocess.run(
            [*become, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "bench",
             "-E", "UTF8", "--locale", "C", "--no-sync"],
            cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise Absent(f"initdb: {made.stderr.strip().splitlines()[-1]}")
        words = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        process = pids.spawn(
            [*become, str(binaries / "postgres"), "-D", str(data), "-k", str(folder), *words],
            directory=folder,
            log=log,
            dies_with_parent=True,
        )
        address = f"postgresql://bench@/postgres?host={folder}"
        if not pids.wait_until(lambda: _answers(address), START_DEADLINE_S):
            raise Absent(f"it did not start: {log.read_text(errors='replace')[-300:]}")
        yield Server(address, process.pid)
    finally:
        if process is not None:
            process.signal(signal.SIGINT)  # closes connections that are still open
            pids.wait_until(lambda: not process.alive(), STOP_DEADLINE_S)
            pids.stop([process], at_once=True)
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Where the newest server's programs lie; raises Absent."""
    found = [path.parent for path in BINARIES.glob("*/bin/postgres")]
    if not found:
        raise Absent(f"neither DATABASE_URL nor {BINARIES}/*/bin/postgres")
    return max(found, key=lambda path: int(path.parts[-2]) if path.parts[-2].isdecimal() else 0)


def _other_user(folder: Path) -> Sequence[str]:
    """The prefix that runs commands as another user, who gets the folder: PostgreSQL refuses to run as root.

    Raises Absent.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            break
    else:
        raise Absent("it does not run as root, and there is no other user")
    if setpriv is None:
        raise Absent("it does not run as root, and there is no setpriv")
    os.chown(folder, user.pw_uid, user.pw_gid)
    who = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    # The kernel clears the parent-death signal when a process changes its user.
    return setpriv, *who, "--pdeathsig=KILL", "--"


def _answers(address: str) -> bool:
    try:
        uvloop.run(_execute(address, "SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


def fill(address: str, scenes: Sequence[Sequence[world.Scene]]) -> None:
    """Store what compensation reads about the scenes from its topics; each group has the same sites. Blocks."""
    uvloop.run(_fill(address, scenes))


async def _fill(address: str, scenes: Sequence[Sequence[world.Scene]]) -> None:
    connection = await asyncpg.connect(address, server_settings={"search_path": SCHEMA})
    try:
        for group in scenes:
            await connection.copy_records_to_table(
                "policies",
                records=[
                    (fact.site, fact.version, fact.policy.model_dump_json())
                    for fact in group[0].policies()
                ],
            )
            for scene in group:
                await _fill_scene(connection, scene)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _fill_scene(connection: asyncpg.Connection, scene: world.Scene) -> None:
    await connection.copy_records_to_table(
        "employees",
        records=[
            (fact.employee_id, fact.site, fact.listing.role, fact.listing.active)
            for fact in scene.staff()
        ],
    )
    cases = scene.cases()
    await connection.copy_records_to_table(
        "customers", records=[_customer(key) for key, _ in cases]
    )
    await connection.copy_records_to_table(
        "cases", records=[_case(case) for _, case in cases], columns=CASE_COLUMNS
    )


CASE_COLUMNS = (
    "id",
    "customer_ref",
    "site",
    "language",
    "category",
    "severity",
    "safety",
    "opened_at",
)


def _customer(fact: CustomerKeyCreated) -> tuple[str, str]:
    return fact.customer_ref, fact.wrapped


def _case(fact: ComplaintTriaged) -> tuple[object, ...]:
    return (
        fact.complaint_id,
        fact.customer_ref,
        fact.site,
        fact.language.value,
        fact.category.value,
        fact.severity.value,
        fact.safety,
        datetime.now(UTC),
    )
