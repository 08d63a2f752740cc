"""What an operator does at the store itself: have it read its file of users again, so that a password is replaced."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace

import typer
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from shared.contracts.catalogue import OPERATOR
from shared.ops.rebuild import RedisOption, password_of, redis_address, store_passwords
from shared.ops.topics import NoBroker
from shared.runtime.wires import StoreAddress

PATIENCE_S = 10.0

app = typer.Typer(name="store", help="The users of the store.", no_args_is_help=True)


@app.callback()
def store() -> None:
    """The users of the store."""


async def reload_users(where: StoreAddress) -> Mapping[str, int]:
    """Have the store read its file of users again; returns how many passwords each user has now.

    Connections that are open stay. Raises RedisError, and leaves the users as they were if the file is wrong.
    """
    pool = ConnectionPool(**where.client(), socket_timeout=PATIENCE_S, decode_responses=True)
    async with Redis.from_pool(pool) as client:
        await client.acl_load()
        lines = [str(one) for one in await client.acl_list()]
    return {line.split()[1]: len(re.findall(r" #[0-9a-f]{64}", line)) for line in lines}


@app.command("reload-users")
def reload_users_command(redis_url: RedisOption = None) -> None:
    """Have the store read its file of users again, and print how many passwords each user has.

    Logs in as the user `operator`, with REDIS_PASSWORD_OPERATOR. No open connection ends.
    """
    try:
        address, password = redis_address(redis_url), store_passwords().get(OPERATOR)
        if password is None:
            typer.echo(f"set {password_of(OPERATOR)}, best as a file", err=True)
            raise typer.Exit(2)
        found = asyncio.run(reload_users(replace(address, username=OPERATOR, password=password)))
    except NoBroker as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except RedisError as error:  # its text may contain an address with its password
        typer.echo(f"the store did not read its users again: {type(error).__name__}", err=True)
        raise typer.Exit(1) from error
    for user, passwords in found.items():
        typer.echo(f"{user}: {passwords} password{'s' * (passwords != 1)}")
