"""Sign tokens for the local demo, and for nothing else.

In production, tokens come from the company's identity provider, and services know only its public
keys. The demo's key is in a file beside the local data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from joserfc import jwt
from joserfc.jwk import OKPKey

from devstack.pids import private_folder
from shared.runtime.http.auth import LIFETIME_MAX_S

Kind = Literal["employee", "customer", "manager", "till", "system", "personnel", "privacy"]

RUN_DIR = Path(".run")
KEY_FILE = "demo-key.json"
JWKS_FILE = "jwks.json"
#: The name of RFC 9864; "EdDSA" alone is deprecated.
ALGORITHM = "Ed25519"
ISSUER = "local-demo"
AUDIENCE = "service-check"
#: A working day on board; a leaked demo token expires by the next day.
TTL_S = 12 * 3600


def demo_key(run_dir: Path = RUN_DIR) -> OKPKey:
    """The local demo's signing key, made at the first call, readable by its owner only. Blocks.

    Writes the public half beside it as `jwks.json`, for the services. Raises PermissionError when
    others may read the private half.
    """
    private_folder(run_dir)
    path = run_dir / KEY_FILE
    if not path.exists():
        made = OKPKey.generate_key("Ed25519", auto_kid=True)
        own = run_dir / f"{KEY_FILE}.{os.getpid()}"
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made.as_dict(private=True), file)
        try:
            os.link(
                own, path
            )  # atomic: the file is complete or absent, and the first of two processes wins
        except FileExistsError:
            pass
        finally:
            own.unlink()
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} may be read by others: chmod 600 {path}")
    key = OKPKey.import_key(json.loads(path.read_text(encoding="utf-8")))
    public = {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
    own = run_dir / f"{JWKS_FILE}.{os.getpid()}"
    own.write_text(json.dumps({"keys": [public]}, indent=2) + "\n", encoding="utf-8")
    own.replace(run_dir / JWKS_FILE)
    return key


def sign(
    key: OKPKey,
    *,
    subject: str,
    kind: Kind,
    site: str,
    role: str | None = None,
    sites: Sequence[str] = (),
    ttl_s: int = TTL_S,
    audience: str = AUDIENCE,
    issuer: str = ISSUER,
    now: datetime,
) -> str:
    """A signed token. The role is for display only: services look authority up in the roster.

    `sites` are further sites, for a manager of several.
    """
    issued_s = int(now.timestamp())
    claims: dict[str, str | int | list[str]] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "kind": kind,
        "site": site,
        "iat": issued_s,
        "exp": issued_s + ttl_s,
    }
    if role is not None:
        claims["role"] = role
    if sites:
        claims["sites"] = list(sites)
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}
    return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


app = typer.Typer(
    name="token", help="Sign tokens with a throw-away key: local demo only.", no_args_is_help=True
)
Subject = Annotated[str, typer.Argument(help="Who: a pseudonymous id.")]
Site = Annotated[str, typer.Option(help="The site the token is for.")]
Role = Annotated[str | None, typer.Option(help="The role, for display.")]
Ttl = Annotated[int, typer.Option(min=1, max=LIFETIME_MAX_S, help="Seconds the token is good for.")]
Sites = Annotated[list[str] | None, typer.Option("--also", help="A further site; may be repeated.")]


def _print(
    kind: Kind, subject: str, site: str, role: str | None, ttl_s: int, sites: Sequence[str] = ()
) -> None:
    typer.echo("for the local demo only", err=True)
    now = datetime.now(UTC)
    typer.echo(
        sign(
            demo_key(),
            subject=subject,
            kind=kind,
            site=site,
            role=role,
            sites=sites,
            ttl_s=ttl_s,
            now=now,
        )
    )


@app.command()
def employee(subject: Subject, site: Site, role: Role = None, ttl_s: Ttl = TTL_S) -> None:
    """A token for an employee. Local demo only."""
    _print("employee", subject, site, role, ttl_s)


@app.command()
def manager(
    subject: Subject, site: Site, also: Sites = None, role: Role = None, ttl_s: Ttl = TTL_S
) -> None:
    """A token for a manager. Local demo only."""
    _print("manager", subject, site, role, ttl_s, also or ())


@app.command()
def customer(subject: Subject, site: Site, ttl_s: Ttl = TTL_S) -> None:
    """A token for a customer. Local demo only."""
    _print("customer", subject, site, None, ttl_s)


@app.command()
def till(subject: Subject, site: Site, ttl_s: Ttl = TTL_S) -> None:
    """A token for a till. Local demo only."""
    _print("till", subject, site, None, ttl_s)


@app.command()
def system(subject: Subject, site: Site, ttl_s: Ttl = TTL_S) -> None:
    """A token for a system that publishes complaints. Local demo only."""
    _print("system", subject, site, None, ttl_s)


@app.command()
def personnel(subject: Subject, site: Site, ttl_s: Ttl = TTL_S) -> None:
    """A token for a personnel system, which lists employees. Local demo only."""
    _print("personnel", subject, site, None, ttl_s)


@app.command()
def privacy(subject: Subject, site: Site, ttl_s: Ttl = TTL_S) -> None:
    """A token for a system that erases and exports customers. Local demo only."""
    _print("privacy", subject, site, None, ttl_s)
