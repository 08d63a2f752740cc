"""The settings of compensation: those of the runtime, and the URLs of customers' pages."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Settings of compensation."""

    public_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="The base URL of the links to offers and to codes.",
    )
    answers_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="The base URL of the links to checks' pages: the notifier's public_url.",
    )
