"""How the servers are reached: the one place that makes each client's arguments of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any, Literal

from faust.auth import Credentials, SASLCredentials, SSLCredentials
from redis.asyncio.connection import SSLConnection, parse_url


@dataclass(frozen=True, slots=True)
class Login:
    """A user of Kafka, with the SASL mechanism that checks the password."""

    mechanism: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Broker:
    """Kafka's address, with its TLS context and the user's login if it asks for them."""

    bootstrap: str
    tls: SSLContext | None = None
    login: Login | None = None

    @classmethod
    def of(cls, where: Broker | str) -> Broker:
        """The broker itself; a bare address is one without TLS and login, as the local stack has it."""
        return cls(where) if isinstance(where, str) else where

    def client(self) -> dict[str, Any]:
        """The arguments of any client of aiokafka or kafka-python, which name them alike."""
        protocol = "SSL" if self.tls else "PLAINTEXT"
        given: dict[str, Any] = {"bootstrap_servers": self.bootstrap}
        if self.login is not None:
            protocol = f"SASL_{protocol}"
            given["sasl_mechanism"] = self.login.mechanism
            given["sasl_plain_username"] = self.login.username
            given["sasl_plain_password"] = self.login.password
        return {**given, "security_protocol": protocol, "ssl_context": self.tls}

    def faust(self) -> dict[str, Any]:
        """The settings of a Faust app."""
        credentials: Credentials | None = None
        if self.login is not None:
            credentials = SASLCredentials(
                username=self.login.username,
                password=self.login.password,
                mechanism=self.login.mechanism,
                ssl_context=self.tls,
            )
        elif self.tls is not None:
            credentials = SSLCredentials(self.tls)
        return {
            "broker": [f"kafka://{server}" for server in self.bootstrap.split(",")],
            "broker_credentials": credentials,
        }


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Redis's address, with the ACL user to be and the authorities to trust, if they are not in it.

    `replicas` of it must have a write before it counts.
    """

    url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    replicas: int = 0

    @classmethod
    def of(cls, where: StoreAddress | str) -> StoreAddress:
        """The address itself, of a bare URL too."""
        return cls(where) if isinstance(where, str) else where

    @property
    def by_tls(self) -> bool:
        """Whether the URL says so: rediss:// and not redis://."""
        return parse_url(self.url).get("connection_class") is SSLConnection

    def client(self) -> dict[str, Any]:
        """The arguments of a connection of redis-py, and `connection_class` as the URL says it."""
        given: Mapping[str, Any] = {
            "username": self.username,
            "password": self.password,
            "ssl_ca_certs": None if self.ca is None else str(self.ca),
        }
        return {name: value for name, value in given.items() if value} | dict(parse_url(self.url))


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server that takes letters, how it is spoken to by TLS, and the login if it asks for one."""

    host: str
    port: int
    tls: Literal["offered", "starttls", "tls", "none"] = "offered"
    context: SSLContext | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    def client(self) -> dict[str, Any]:
        """The arguments of a conversation of aiosmtplib."""
        return {
            "hostname": self.host,
            "port": self.port,
            "use_tls": self.tls == "tls",
            # None takes TLS if the server offers it.
            "start_tls": {"offered": None, "starttls": True}.get(self.tls, False),
            "tls_context": self.context,
            "username": self.username or None,
            "password": self.password or None,
        }
