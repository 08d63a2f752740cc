"""python -m services.audit: settings, build, run; with arguments, one of its commands."""

from __future__ import annotations

import sys

from services.audit.app import build
from services.audit.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    if sys.argv[1:]:
        from services.audit.looks.commands import app

        app(prog_name="python -m services.audit")
    main(Settings, build)
