"""The operator's file of providers, from a secret store: who sends text messages, and who reports.

providers:
  first:
    wire: form          # form posts with basic authentication, as Twilio has them
    url: https://api.provider.example/2010-04-01/Accounts/AC1/Messages.json
    username: AC1
    secret: …
  second:
    wire: json          # JSON with a bearer token; reports signed as Standard Webhooks says
    url: https://sms.provider.example/v1/messages
    secret: …
    report_secret: whsec_…
  returns:
    wire: relay         # posts returned mail
    report_secret: whsec_…
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from services.notifier.channels.bounces import Relay
from services.notifier.channels.ports import MAIL_SERVER
from services.notifier.channels.wires import FormWire, JsonWire, Wire
from shared.contracts.event import Id
from shared.runtime import strict_yaml
from shared.runtime.http.signatures import KEY_BYTES_MIN, secret_bytes
from shared.runtime.settings import tls_of

#: Eight providers with long secrets fit several times.
FILE_BYTES_MAX = 64 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Provider(BaseModel):
    """One provider of the file."""

    model_config = ConfigDict(frozen=True)

    wire: Literal["form", "json", "relay"]
    url: Annotated[str, Field(max_length=500)] = ""
    username: Annotated[str, Field(max_length=200)] = ""
    secret: SecretStr = SecretStr("")
    report_secret: SecretStr = SecretStr("")
    #: Authorities that sign its certificate; the system's if unset.
    ca: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.wire != "relay":
            parts = urlsplit(self.url)
            if parts.scheme != "https" and not (
                parts.scheme == "http" and parts.hostname in LOOPBACK
            ):
                raise ValueError("url must begin with https://")
            if not self.secret.get_secret_value():
                raise ValueError("secret is missing")
        if self.wire == "form" and not self.username:
            raise ValueError("username is missing")
        if self.wire != "form" and len(self._report_key()) < KEY_BYTES_MIN:
            raise ValueError(f"report_secret is shorter than {KEY_BYTES_MIN} bytes")
        tls_of(self.ca)
        return self

    def _report_key(self) -> bytes:
        try:
            return secret_bytes(self.report_secret.get_secret_value())
        except ValueError:
            raise ValueError("report_secret is not base64") from None

    def spoken(self) -> Wire | Relay:
        """How it is spoken to, and how its reports are read."""
        match self.wire:
            case "form":
                return FormWire(self.username, self.secret.get_secret_value())
            case "json":
                return JsonWire(self.secret.get_secret_value(), self._report_key())
            case "relay":
                return Relay(self._report_key())


class ProvidersFile(BaseModel):
    """Providers by the id that policies name them by."""

    model_config = ConfigDict(frozen=True)

    providers: Annotated[dict[Id, Provider], Field(max_length=8)]

    @model_validator(mode="after")
    def _free(self) -> Self:
        if MAIL_SERVER in self.providers:
            raise ValueError(f"{MAIL_SERVER} is the mail server of the settings")
        return self


def load(path: Path) -> Mapping[str, Provider]:
    """Providers by id; raises BrokenFile with everything that is wrong. Reads the file."""
    return strict_yaml.whole(path, ProvidersFile, bytes_max=FILE_BYTES_MAX, secret=True).providers
