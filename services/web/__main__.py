"""python -m services.web: settings, build, run."""

from __future__ import annotations

from services.web.app import build
from services.web.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    main(Settings, build)
