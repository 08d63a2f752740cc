"""The settings of web: where it is reached, where the services and the issuer are, and what it serves."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from shared.runtime.settings import ListenSettings, StoreSettings, TraceSettings, tls_of

#: A scheme, a name and a port, and nothing behind them.
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")
#: Names of this machine, to which browsers and we speak without TLS.
LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/.*)?")


class Settings(ListenSettings, TraceSettings, StoreSettings):
    """Settings of web."""

    origin: str = Field(
        description="Where browsers reach this service, as https://check.example; by http:// on localhost alone."
    )
    issuer_url: str = Field(
        description="The OpenID Connect issuer that employees sign in at, as its tokens name it."
    )
    issuer_ca: Path | None = Field(
        None,
        description="File with the authorities that sign its certificate; unset: the system's.",
    )
    client_id: str = Field(
        "service-check", min_length=1, max_length=200, description="Who we are at the issuer."
    )
    client_secret: SecretStr | None = Field(
        None,
        description="Our secret at the issuer; unset: we are a public client, with PKCE alone.",
    )
    client_scope: str = Field(
        "openid offline_access",
        max_length=400,
        description="What we ask the issuer for; offline_access is what lets a session outlast a token.",
    )
    complaints_api: str = Field(description="Where complaints is reached from here.")
    compensation_api: str = Field(description="Where compensation is reached from here.")
    notifier_api: str = Field(description="Where the notifier is reached from here.")
    audit_api: str = Field(description="Where audit is reached from here.")
    client_address_header: str = Field(
        "",
        max_length=64,
        pattern=r"^[A-Za-z0-9-]*$",
        description="Header in which the proxy writes the client's address, such as X-Real-IP; unset: the connection's address.",
    )
    web_dist: Path = Field(
        Path("web/dist"),
        description="Folder with the built phone app and board; without it, a page says that they are not built.",
    )

    @field_validator("origin", "complaints_api", "compensation_api", "notifier_api", "audit_api")
    @classmethod
    def _origin(cls, given: str) -> str:
        if not ORIGIN.fullmatch(given):
            raise ValueError("must be like https://check.example, without a path")
        return given

    @field_validator("origin", "issuer_url")
    @classmethod
    def _by_tls(cls, given: str) -> str:
        if not given.startswith("https://") and not LOCAL.fullmatch(given):
            raise ValueError("must be https://, or http:// on localhost")
        return given

    @field_validator("issuer_ca")
    @classmethod
    def _authorities(cls, path: Path | None) -> Path | None:
        tls_of(path)
        return path

    @property
    def services(self) -> dict[str, str]:
        """Where each service is that requests are passed to."""
        return {
            "complaints": self.complaints_api,
            "compensation": self.compensation_api,
            "notifier": self.notifier_api,
            "audit": self.audit_api,
        }
