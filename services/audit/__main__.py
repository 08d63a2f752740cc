"""python -m services.audit: settings, build, run."""

from __future__ import annotations

from services.audit.app import build
from services.audit.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    main(Settings, build)
