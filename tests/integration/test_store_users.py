"""The store's file of users, as a cluster has it: what a service wrote is there after a kill, and nobody else comes in."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from typer.testing import CliRunner

from devstack.stack import REDIS_SETTINGS, Stack, free_port, redis_binary
from shared.contracts.catalogue import COMPLAINTS, OPERATOR
from shared.ops.__main__ import app
from shared.ops.manifests import STORE_USERS, hashed, store_users
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import Commit, Committed, Write

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0


@contextmanager
def server(directory: Path, port: int, users: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A store with the settings and the users of the manifests; killed at the end."""
    chosen = {**REDIS_SETTINGS, "bind": "127.0.0.1", "port": str(port), "dir": str(directory)}
    chosen["aclfile"] = str(users)
    words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
    with subprocess.Popen([redis_binary(), *words], stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def opened(url: str) -> RedisStore:
    """The service's store, once the server answers."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(RedisConnectionError):
                async with redis.Redis.from_url(url) as client:
                    if await client.ping():
                        break
            await asyncio.sleep(0.02)
    return RedisStore(url, COMPLAINTS)


async def test_what_a_service_wrote_is_there_after_the_store_was_killed(tmp_path: Path) -> None:
    """Valkey 8.1 and Redis 7.0 read their file as the default user: without its rights every transaction is left out."""
    passwords = {service: secrets.token_hex(8) for service in STORE_USERS}
    users, data, port = tmp_path / "users.acl", tmp_path / "data", free_port()
    users.write_text(store_users({one: hashed(word) for one, word in passwords.items()}))
    data.mkdir()
    url = f"redis://{COMPLAINTS}:{passwords[COMPLAINTS]}@127.0.0.1:{port}/0"
    with server(data, port, users):
        store = await opened(url)
        assert await store.begin_generation("first", 0)
        written = await store.commit(Commit([Write("thing:1", 0, b"{}")]))
        assert isinstance(written, Committed)
        await store.close()
    with server(data, port, users):
        store = await opened(url)
        assert await store.open_generation(0)
        (found,) = await store.read(["thing:1"])
        assert found.body == b"{}"
        await store.close()
        for stranger in (f"redis://127.0.0.1:{port}/0", f"redis://default:x@127.0.0.1:{port}/0"):
            async with redis.Redis.from_url(stranger) as client:
                with pytest.raises(RedisError):
                    await client.ping()


async def test_a_password_is_replaced_while_the_store_and_its_connections_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the runbook has it: both passwords, then processes with the new one, then the new one alone."""
    users, data, port = tmp_path / "users.acl", tmp_path / "data", free_port()
    data.mkdir()
    (tmp_path / "REDIS_PASSWORD_OPERATOR").write_text("the-operator")
    monkeypatch.setenv("SERVICE_CHECK_SECRETS_DIR", str(tmp_path))

    def accept(*passwords: str) -> None:
        of = {**dict.fromkeys(STORE_USERS, hashed(*passwords)), OPERATOR: hashed("the-operator")}
        users.write_text(store_users(of))

    async def reload() -> str:
        words = ["store", "reload-users", "--redis", f"redis://127.0.0.1:{port}/0"]
        answer = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert answer.exit_code == 0, answer.output
        return answer.output

    def url(password: str, user: str = COMPLAINTS) -> str:
        return f"redis://{user}:{password}@127.0.0.1:{port}/0"

    accept("old")
    with server(data, port, users):
        before = await opened(url("old"))
        assert await before.begin_generation("first", 0)
        async with redis.Redis.from_url(url("old"), single_connection_client=True) as one:
            number = await one.client_id()
            accept("old", "new")
            assert "complaints: 2 passwords\n" in await reload()
            after = await opened(url("new"))
            assert await after.open_generation(0)
            for name, store in (("before", before), ("after", after)):
                written = await store.commit(Commit([Write(f"thing:{name}", 0, b"{}")]))
                assert isinstance(written, Committed)
            await before.close()
            accept("new", "new")
            assert "complaints: 1 password\n" in await reload()
            written = await after.commit(Commit([Write("thing:again", 0, b"{}")]))
            assert isinstance(written, Committed)
            await after.close()
            assert await one.client_id() == number, "its connection is the one it had"
        async with redis.Redis.from_url(url("old")) as late:
            with pytest.raises(AuthenticationError):
                await late.ping()
        async with redis.Redis.from_url(url("the-operator", OPERATOR)) as operator:
            for words in ("GET complaints:{c0}:generation", "ACL SETUSER x on", "SHUTDOWN"):
                with pytest.raises(NoPermissionError):
                    await operator.execute_command(*words.split())


def test_a_store_that_does_not_know_the_operator_is_a_sentence(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["store", "reload-users", "--redis", stack.redis_url]
    answer = CliRunner().invoke(app, words)
    assert (answer.exit_code, "REDIS_PASSWORD_OPERATOR" in answer.output) == (2, True)
    monkeypatch.setenv("REDIS_PASSWORD_OPERATOR", "wrong-word")
    answer = CliRunner().invoke(app, words)
    assert (answer.exit_code, answer.output) == (
        1,
        "the store did not read its users again: AuthenticationError\n",
    )
