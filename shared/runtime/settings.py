"""The settings that every service has; read in `__main__` alone, from the environment, with all errors at once."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_serializer
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.runtime.http.auth import LEEWAY_S, LIFETIME_MAX_S

#: The parts of an address that are safe to log; password and options are left out.
PRINTABLE_URL = re.compile(
    r"(?P<scheme>rediss?://)(?:[^/?#]*@)?"
    r"(?P<place>(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:/\d*)?)(?:\?.*)?"
)


def default_holder() -> str:
    """A name for this process: host and pid."""
    return f"{socket.gethostname()}-{os.getpid()}"


class RuntimeSettings(BaseSettings):
    """Settings of the runtime; each service adds its own."""

    model_config = SettingsConfigDict(env_prefix="SERVICE_CHECK_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Brokers, host:port, comma-separated.",
    )
    redis_url: str = Field(
        validation_alias="REDIS_URL",
        repr=False,
        description="The store's address; printed without user, password and options.",
    )
    master_key: SecretStr = Field(
        description="32 bytes, base64: wraps customers' keys. From a secret store, never from a file in git."
    )
    jwks: Path = Field(
        description="File with the issuer's public keys (JWKS), kept fresh by a sidecar."
    )
    jwt_audience: str = Field(
        "service-check", description="Tokens for another audience are refused."
    )
    jwt_issuer: str = Field("local-demo", description="Tokens of another issuer are refused.")
    jwt_leeway_s: int = Field(
        LEEWAY_S,
        ge=0,
        le=300,
        description="How far the issuer's clock may be off, in s. Beyond five minutes mend the clock.",
    )
    jwt_lifetime_max_s: int = Field(
        LIFETIME_MAX_S,
        ge=60,
        le=366 * 86_400,
        description="How long a token may be good at most, in s; a longer one is refused.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; a container sets 0.0.0.0.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    ops_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port for /metrics, /docs and /openapi.json, for nobody outside; unset: none of them.",
    )
    hsts_s: int = Field(
        0,
        ge=0,
        description="Seconds that browsers keep to HTTPS (Strict-Transport-Security); 0 where a proxy says so.",
    )
    face: Literal["both", "api", "stream"] = Field(
        "both", description="API and streams in one process, or apart where the API is busy."
    )
    shard: str = Field("c0", pattern=r"^[a-z0-9]{1,8}$", description="Shard tag in every key.")
    publish_wait_ms: int = Field(
        250, ge=0, le=5000, description="How long a write waits for Kafka before it answers anyway."
    )
    session_s: float = Field(
        10.0,
        ge=3.0,
        le=60.0,
        description="Silence after which Kafka takes a worker's partitions away.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level logged."
    )
    crash_at: str = Field(
        "",
        pattern=r"^([a-z_]+:[0-9]{1,6}(:stop)?)?$",
        description="Tests only: kill -9 (or freeze) at a named point's nth passing.",
    )
    holder: str = Field(
        default_factory=default_holder, description="This process's name in leases."
    )

    @field_serializer("redis_url")
    def _print_url(self, url: str) -> str:
        found = PRINTABLE_URL.fullmatch(url)
        return "hidden" if found is None else found["scheme"] + found["place"]
