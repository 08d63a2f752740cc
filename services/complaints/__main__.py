"""python -m services.complaints: settings, build, run."""

from __future__ import annotations

from services.complaints.app import build
from services.complaints.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    main(Settings, build)
