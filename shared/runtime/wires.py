"""How the servers are reached: the one place that makes each client's arguments of the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from faust.auth import Credentials, SASLCredentials, SSLCredentials


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
