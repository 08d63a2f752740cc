"""The knobs of compensation: those of the runtime, and where customers choose."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Settings of compensation."""

    public_url: str = Field(
        "http://127.0.0.1", max_length=200, description="What the links of offers begin with."
    )
    answers_url: str = Field(
        "http://127.0.0.1",
        max_length=200,
        description="What links to the pages of checks begin with: the notifier's public_url.",
    )
