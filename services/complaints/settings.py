"""The settings of complaints: those of the runtime, and none of its own yet."""

from __future__ import annotations

from shared.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Settings of complaints."""
