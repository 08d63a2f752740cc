"""The settings that every service has; read in `__main__` alone, from the environment, with all errors at once.

A setting may also be a file of its name in `SERVICE_CHECK_SECRETS_DIR`, as secret stores mount them.
Operators' commands read those of Kafka and Redis by the same names.
"""

from __future__ import annotations

import binascii
import importlib.util
import os
import re
import socket
import ssl
from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from secrets import token_hex
from typing import Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from shared.runtime.http.auth import LEEWAY_S, LIFETIME_MAX_S
from shared.runtime.privacy.seal import KEY_BYTES
from shared.runtime.strict_yaml import BrokenFile
from shared.runtime.wires import Broker, Login, StoreAddress

#: In place of a wrapping key: the one that is derived from the master key.
DERIVED = "derived"
#: What the names of our own settings begin with.
PREFIX = "SERVICE_CHECK_"
#: Read before all others, because it says where some of them are.
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
#: A collector's address: without user or password, because settings are logged.
COLLECTOR = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?")
#: The parts of an address that are safe to log; password and options are left out.
PRINTABLE_URL = re.compile(
    r"(?P<scheme>rediss?://)(?:[^/?#]*@)?"
    r"(?P<place>(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:/\d*)?)(?:\?.*)?"
)


def default_holder() -> str:
    """A name for this process alone: in containers every pid is 1, and hosts may have one name."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


@cache
def trusting_the_system() -> ssl.SSLContext:
    """A client's context with the system's authorities, made once: it takes tens of milliseconds to read them."""
    return ssl.create_default_context()


def tls_of(ca: Path | None) -> ssl.SSLContext:
    """What a client trusts: the authorities in a PEM file, or the system's; raises ValueError."""
    if ca is None:
        return trusting_the_system()
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # an SSLError is one
        raise ValueError(f"no certificates can be read from {ca}") from error


def readable(load: Callable[[Path], object]) -> AfterValidator:
    """For a setting that names an operator's file or folder: at start it is read by `load`, and refused with all that is wrong."""

    def read(path: Path | None) -> Path | None:
        if path is not None:
            try:
                load(path)
            except BrokenFile as broken:
                raise ValueError(str(broken)) from None
        return path

    return AfterValidator(read)


def refused(error: ValidationError | SettingsError) -> list[str]:
    """A sentence for each setting that is wrong; never with the value, which may be a secret."""
    if isinstance(error, SettingsError):  # its text names the setting, its cause may hold the value
        return [f"{SECRETS_DIR}: a file in it cannot be read as text: {error}"]
    found = []
    for item in error.errors(include_input=False, include_context=False, include_url=False):
        sentence = item["msg"].removeprefix("Value error, ")
        if item["loc"]:  # else it names its settings itself
            name = str(item["loc"][0])
            sentence = f"{name if name.isupper() else PREFIX + name.upper()}: {sentence}"
        found.append(sentence)
    return found


class FromOutside(BaseSettings):
    """Settings from the environment, where an empty one counts as unset, and from files with secrets."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    secrets_dir: Path | None = Field(
        None,
        description="Folder with one file per secret, named as its variable, which goes before the file.",
    )

    @field_validator("secrets_dir")
    @classmethod
    def _there(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError(f"there is no folder {folder}")
        return folder

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's interface
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - knows no folder yet
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment, then the files of the folder that it names."""
        folder = os.environ.get(SECRETS_DIR, "")
        files = SecretsSettingsSource(settings_cls, secrets_dir=folder)
        return (init_settings, env_settings, *([files] if Path(folder or "-").is_dir() else []))


class BrokerSettings(FromOutside):
    """How Kafka is reached; the same for services and for operators' commands."""

    kafka_bootstrap: str = Field(
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Brokers, host:port, comma-separated.",
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        validation_alias="KAFKA_SECURITY_PROTOCOL",
        description="Whether Kafka is spoken to by TLS, and whether it asks for a login.",
    )
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512",
        validation_alias="KAFKA_SASL_MECHANISM",
        description="How the login is checked. PLAIN sends the password, so only by TLS.",
    )
    kafka_username: str = Field(
        "", validation_alias="KAFKA_SASL_USERNAME", description="Whom we log in as."
    )
    kafka_password: SecretStr = Field(
        SecretStr(""), validation_alias="KAFKA_SASL_PASSWORD", description="The user's password."
    )
    kafka_ca: Path | None = Field(
        None,
        validation_alias="KAFKA_SSL_CAFILE",
        description="File with the authorities that sign the brokers' certificates; unset: the system's.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        by_tls, asks = self.kafka_security.endswith("SSL"), self.kafka_security.startswith("SASL_")
        given = self.kafka_username, self.kafka_password.get_secret_value()
        if asks and not all(given):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL is {self.kafka_security}, which needs"
                " KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        if any(given) and not asks:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL is {self.kafka_security}, which logs in as nobody:"
                " set SASL_SSL, or no KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        if asks and not by_tls and self.kafka_mechanism == "PLAIN":
            raise ValueError(
                "KAFKA_SASL_MECHANISM is PLAIN, which sends the password as it is:"
                " set KAFKA_SECURITY_PROTOCOL to SASL_SSL"
            )
        if self.kafka_ca is not None and not by_tls:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL is {self.kafka_security}, which uses no TLS:"
                " set SSL or SASL_SSL, or no KAFKA_SSL_CAFILE"
            )
        if by_tls:
            try:
                _ = self.broker
            except ValueError as error:
                raise ValueError(f"KAFKA_SSL_CAFILE: {error}") from None
        return self

    @cached_property
    def broker(self) -> Broker:
        """How a client reaches Kafka; its files are read once."""
        login = Login(
            self.kafka_mechanism, self.kafka_username, self.kafka_password.get_secret_value()
        )
        return Broker(
            self.kafka_bootstrap,
            tls_of(self.kafka_ca) if self.kafka_security.endswith("SSL") else None,
            login if self.kafka_security.startswith("SASL_") else None,
        )


class StoreSettings(FromOutside):
    """How Redis is reached; the same for services and for operators' commands."""

    redis_url: str = Field(
        validation_alias="REDIS_URL",
        repr=False,
        description="The store's address; printed without user, password and options.",
    )
    redis_username: str | None = Field(
        None, validation_alias="REDIS_USERNAME", description="The ACL user, if not in the address."
    )
    redis_password: SecretStr | None = Field(
        None, validation_alias="REDIS_PASSWORD", description="The user's password, likewise."
    )
    redis_ca: Path | None = Field(
        None,
        validation_alias="REDIS_SSL_CAFILE",
        description="File with the authorities that sign the store's certificate; unset: the system's.",
    )

    redis_replicas: int = Field(
        0,
        ge=0,
        le=9,
        validation_alias="REDIS_REPLICAS",
        description="Replicas of the store that must have a write before it is answered.",
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.redis_username and not self.redis_password:
            raise ValueError("REDIS_USERNAME is set, which needs REDIS_PASSWORD")
        try:
            by_tls = self.store.by_tls
        except ValueError:  # its text may hold a part of the password
            raise ValueError("REDIS_URL must be like redis://host:6379/0 or rediss://…") from None
        if self.redis_ca is not None:
            if not by_tls:
                raise ValueError("REDIS_SSL_CAFILE is set, but REDIS_URL is not rediss://…")
            try:
                tls_of(self.redis_ca)
            except ValueError as error:
                raise ValueError(f"REDIS_SSL_CAFILE: {error}") from None
        return self

    @property
    def store(self) -> StoreAddress:
        """How a client reaches Redis."""
        password = self.redis_password
        return StoreAddress(
            self.redis_url,
            self.redis_username,
            None if password is None else password.get_secret_value(),
            self.redis_ca,
            self.redis_replicas,
        )

    @field_serializer("redis_url")
    def _print_url(self, url: str) -> str:
        found = PRINTABLE_URL.fullmatch(url)
        return "hidden" if found is None else found["scheme"] + found["place"]


def _bytes_of(key: SecretStr | None) -> bytes | None:
    """A wrapping key, or None for the one that is derived from the master key."""
    if key is None or key.get_secret_value() == DERIVED:
        return None
    return b64decode(key.get_secret_value())


class TraceSettings(FromOutside):
    """Where traces go: the variables that every program with OpenTelemetry reads."""

    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The collector that takes traces by OTLP over HTTP, as http://collector:4318; unset: no traces.",
    )
    otlp_traces_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="The same with its path, in place of it.",
    )
    otlp_protocol: Literal["http/protobuf"] = Field(
        "http/protobuf",
        validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL",
        description="How traces are sent; no other way is there.",
    )
    otel_disabled: bool = Field(
        False, validation_alias="OTEL_SDK_DISABLED", description="No traces, whatever else is set."
    )

    @property
    def traces(self) -> bool:
        """Whether there are traces."""
        return not self.otel_disabled and bool(self.otlp_endpoint or self.otlp_traces_endpoint)

    @field_validator("otlp_endpoint", "otlp_traces_endpoint")
    @classmethod
    def _collector(cls, given: str | None) -> str | None:
        if given is not None and not COLLECTOR.fullmatch(given):
            raise ValueError("must be like http://collector:4318, without user and password")
        return given

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        if self.traces and not exporter_installed():
            raise ValueError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, which needs what is in requirements-traces.txt"
            )
        return self


def exporter_installed() -> bool:
    """Whether the packages of requirements-traces.txt are there; imports none of them."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


class ListenSettings(FromOutside):
    """Where a service listens, and what it logs."""

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
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level logged."
    )


class RuntimeSettings(ListenSettings, TraceSettings, StoreSettings, BrokerSettings):
    """Settings of the runtime; each service adds its own."""

    master_key: SecretStr = Field(
        description="32 bytes, base64: wraps customers' keys. From a secret store, never from a file in git."
    )
    wrapping_key: SecretStr | None = Field(
        None,
        description="32 bytes, base64: wraps customers' keys in place of one derived from the master key.",
    )
    wrapping_key_also: SecretStr | None = Field(
        None,
        description="A key that unwraps as well, the next one or the last; `derived` for the one derived from the master key.",
    )
    jwks: str = Field(
        description="The issuer's public keys (JWKS): a file that a sidecar keeps fresh, or an https:// URL."
    )
    jwks_ca: Path | None = Field(
        None,
        description="File with the authorities that sign the URL's certificate; unset: the system's.",
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
    crash_at: str = Field(
        "",
        pattern=r"^([a-z_]+:[0-9]{1,6}(:stop)?)?$",
        description="Tests only: kill -9 (or freeze) at a named point's nth passing.",
    )
    holder: str = Field(
        default_factory=default_holder, description="This process's name in leases."
    )

    @field_validator("jwks", mode="before")
    @classmethod
    def _file_or_url(cls, given: object) -> str:
        found = str(given)
        if "://" in found and not found.startswith("https://"):
            raise ValueError("must be a file or an https:// URL: others could change the keys")
        return found

    @field_validator("jwks_ca")
    @classmethod
    def _authorities(cls, path: Path | None) -> Path | None:
        tls_of(path)
        return path

    @property
    def wrapping(self) -> Sequence[bytes | None]:
        """The key that wraps and then one that unwraps as well; None is the one derived from the master key."""
        also = self.wrapping_key_also
        found = [_bytes_of(self.wrapping_key), *([] if also is None else [_bytes_of(also)])]
        return list(dict.fromkeys(found))

    @field_validator("wrapping_key_also")
    @classmethod
    def _key_or_derived(cls, given: SecretStr | None) -> SecretStr | None:
        if given is None or given.get_secret_value() == DERIVED:
            return given
        return cls._key(given)

    @field_validator("master_key", "wrapping_key")
    @classmethod
    def _key(cls, given: SecretStr | None) -> SecretStr | None:
        if given is None:
            return None
        try:
            length = len(b64decode(given.get_secret_value(), validate=True))
        except (binascii.Error, ValueError):
            length = 0
        if length != KEY_BYTES:
            raise ValueError(f"must be {KEY_BYTES} bytes in base64")
        return given
