"""The knobs of the notifier: the mail server, and where customers reach us."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Settings of the notifier."""

    smtp_host: str = Field("127.0.0.1", description="The mail server that takes our letters.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port.")
    public_url: str = Field(
        "http://127.0.0.1", max_length=200, description="What customers' links begin with."
    )
    offers_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="What links to offers begin with: compensation's public_url.",
    )
