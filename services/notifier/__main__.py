"""python -m services.notifier: settings, build, run; with a word after it, a command."""

from __future__ import annotations

import sys

from services.notifier.app import build
from services.notifier.settings import Settings
from services.notifier.wording.preview import app
from shared.runtime.service import main

if __name__ == "__main__":
    if sys.argv[1:]:
        app(prog_name="python -m services.notifier")
    else:
        main(Settings, build)
