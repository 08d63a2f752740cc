"""python -m services.notifier: settings, build, run."""

from __future__ import annotations

from services.notifier.app import build
from services.notifier.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    main(Settings, build)
