"""python -m services.compensation: settings, build, run."""

from __future__ import annotations

from services.compensation.app import build
from services.compensation.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    main(Settings, build)
